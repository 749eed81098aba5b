# SPDX-License-Identifier: Apache-2.0
"""FLAME and SMPL-X, -H and SMPL: their files, exact evaluation, and characters made of them.

``family`` reads and evaluates, ``record`` makes a character, ``expression`` carries the ARKit shapes onto the topology
and fits the model's own coefficients to them, ``expression_map`` takes takes there and back.
"""
