# SPDX-License-Identifier: Apache-2.0
"""Speech to rig: :func:`solve` turns a recording into a take (see docs/talk.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hyoid.speech.solver import solve

__all__ = ["solve"]


def __getattr__(name: str) -> Any:
    # Loaded when first used: worker processes of the recogniser need only a part of this package.
    if name == "solve":
        from hyoid.speech.solver import solve

        return solve
    raise AttributeError(f"module 'hyoid.speech' has no attribute '{name}'")
