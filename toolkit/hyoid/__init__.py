# SPDX-License-Identifier: Apache-2.0
"""Hyoid: speech, footage, scans and sentences to performances on a rigged human."""

__version__ = "0.1.0"
