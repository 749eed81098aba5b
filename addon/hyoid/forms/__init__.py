# SPDX-License-Identifier: GPL-3.0-or-later
"""To be written."""


def register() -> None:
    """Nothing yet."""


def unregister() -> None:
    """Nothing yet."""


def refresh() -> None:
    """Nothing yet."""
