# SPDX-License-Identifier: Apache-2.0
"""The published models that Hyoid runs and trains, one package each."""
