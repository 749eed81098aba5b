# SPDX-License-Identifier: Apache-2.0
"""Hyoid: speech, footage, scans and sentences to performances on a rigged human."""

from typing import Any

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name in ("bl_info", "register", "unregister"):  # only Blender asks for them, when it takes this for its add-on
        import sys

        from hyoid._namesake import hand_over

        here = sys.modules[__name__]
        hand_over(here)
        return vars(here)[name]
    raise AttributeError(f"module 'hyoid' has no attribute '{name}'")
