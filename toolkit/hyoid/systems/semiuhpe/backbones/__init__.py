# SPDX-License-Identifier: Apache-2.0
"""The forwards of the backbones: each gives the name and the features of every stage, one after the other."""
