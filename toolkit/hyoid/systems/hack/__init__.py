# SPDX-License-Identifier: Apache-2.0
"""HACK: a parametric head and neck with eight cervical joints, pose correctives and a larynx."""
