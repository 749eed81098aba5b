# SPDX-License-Identifier: Apache-2.0
"""Characters by name: :func:`load` gives the same record for every source."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from hyoid.characters.character import Character
from hyoid.errors import UsageError

NAMES = ("human",)
PARTS = ("full", "head")
LEVELS = (0, 1, 2)
_NO_SETTINGS: Mapping[str, float] = MappingProxyType({})


def load(
    name: str, settings: Mapping[str, float] = _NO_SETTINGS, *, part: str = "full", subdivision: int = 0
) -> Character:
    """One character at one identity.

    Args:
        name: ``human``, the bundled CC0 character.
        settings: identity by name (phenotype axes 0..1, local shapes -1..1); what is not given keeps its default.
        part: ``full``, or ``head``: cut at the shoulders, with the same skeleton.
        subdivision: 0 is the base mesh, 1 and 2 are Catmull-Clark levels.

    Raises:
        UsageError: an unknown name, setting, part or level; the message lists what exists.
        InputError: the bundled data is missing.
    """
    if name not in NAMES:
        raise UsageError(f"unknown character '{name}'", expected=" or ".join(NAMES))
    if part not in PARTS:
        raise UsageError(f"unknown part '{part}'", expected=" or ".join(PARTS))
    if subdivision not in LEVELS:
        raise UsageError(f"subdivision is {subdivision}", expected="0, 1 or 2")
    from hyoid.characters import bundled

    return bundled.load(settings, part, subdivision)
