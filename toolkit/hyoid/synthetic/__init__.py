# SPDX-License-Identifier: Apache-2.0
"""Made-up people with known truth, for training and benches."""
