# SPDX-License-Identifier: Apache-2.0
"""From camera-space joints to a clean performance: path, bones, rotations, contacts, feet, people, time.

Every module stands alone: NumPy and SciPy in, NumPy out. :mod:`hyoid.motion.chain` runs them in order.
"""
