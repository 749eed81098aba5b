# SPDX-License-Identifier: Apache-2.0
"""Work in chunks on machines that die: plans, tasks, workers, and Open Job Description templates of them."""
