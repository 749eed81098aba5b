# SPDX-License-Identifier: GPL-3.0-or-later
"""What takes, speech, neck and export share about time: frame rates and ranges, f-curves, what a frame shows."""
