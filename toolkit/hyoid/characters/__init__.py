# SPDX-License-Identifier: Apache-2.0
"""Characters by name: :func:`load` gives the same record for every source.

A name is ``human`` (bundled), ``human_mixamo`` and the like (the same with joints as others name them),
``SOURCE:FOLDER_OR_FILE`` for models that the user brings (``hack:models/HACK``), or the path of a ``.character.npz``
that Hyoid wrote. ``SOURCE`` alone looks where ``$HYOID_SOURCE`` points (``$HYOID_HACK``).

The room: ``character`` is the record. Its sources are ``bundled``, ``named_skeletons`` (with ``joint_names`` and
``t_pose``), ``hack``, ``ict``, ``flame``, ``smplx`` (``smpl`` is what the last two share) and ``stored``; ``lent`` is
what bare models borrow. ``arkit``, ``curve_names`` and ``facs`` are the names of curves; ``neck``, ``neck_insert``,
``larynx`` and ``gestures`` the throat. ``performance`` plays a take on a character, ``retarget`` moves it to another.
``fit`` brings a character onto a head of the user.
"""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from hyoid.errors import InputError, UsageError

if TYPE_CHECKING:
    from hyoid.characters.character import Character

SOURCES: dict[str, str] = {
    "human": "the bundled CC0 human",
    "hack": "a HACK model folder",
    "ict": "an ICT-FaceKit folder",
    "flame": "a FLAME file (.pkl or .npz)",
    "smplx": "an SMPL-X, SMPL-H or SMPL file (.npz or .pkl)",
}
"""What the word before the colon may be."""
SKELETON_PREFIX = "human_"
SKELETONS: dict[str, str] = {
    "human_mixamo": "the bundled human with Mixamo's joints",
    "human_rigify": "the bundled human with the joints of Rigify's metarig",
    "human_cmu": "the bundled human with the joints of CMU's recordings",
    "human_smplx": "the bundled human with SMPL-X's joints",
}
"""Names without a path, of :mod:`hyoid.characters.named_skeletons`."""
FILE_SUFFIX = ".character.npz"
PARTS = ("full", "head")
LEVELS = (0, 1, 2)
_NO_SETTINGS: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True)
class Setting:
    """One number of an identity: its range and what it is when nobody sets it."""

    low: float
    high: float
    default: float


def parse(name: str) -> tuple[str, Path | None]:
    """The source of a character's name and the path that goes with it (None for the bundled human).

    ``("file", path)`` is a ``.character.npz``. A name of :data:`SKELETONS` is a source of its own.

    Raises:
        UsageError: no such source, or a source without a path.
    """
    if name.lower().endswith(FILE_SUFFIX):
        return "file", Path(name)
    if name in SKELETONS:
        return name, None
    source, colon, path = name.partition(":")
    if source not in SOURCES or (source == "human" and colon):
        raise UsageError(
            f"unknown character '{name}'",
            expected=" or ".join((*(_form(known) for known in SOURCES), *SKELETONS, f"*{FILE_SUFFIX}")),
        )
    if source == "human":
        return source, None
    path = path or os.environ.get(f"HYOID_{source.upper()}", "")
    if not path:
        hint = f"Or set the environment variable HYOID_{source.upper()}"
        raise UsageError(f"'{name}' names no file", expected=f"{source}:PATH, {SOURCES[source]}", hint=hint)
    return source, Path(path)


def load(
    name: str, settings: Mapping[str, float] = _NO_SETTINGS, *, part: str = "full", subdivision: int = 0
) -> Character:
    """One character at one identity.

    Args:
        name: see the module.
        settings: identity by name (see :func:`settings_of`); what is not given keeps its default.
        part: ``full``, or ``head``: the bundled human cut at the shoulders, with the same skeleton. Other sources
            have one part.
        subdivision: 0 is the base mesh, 1 and 2 are Catmull-Clark levels.

    Raises:
        UsageError: an unknown name, setting, part or level; the message lists what exists.
        InputError: the data is missing or damaged.
    """
    source, path = parse(name)
    if part not in PARTS:
        raise UsageError(f"unknown part '{part}'", expected=" or ".join(PARTS))
    if subdivision not in LEVELS:
        raise UsageError(f"subdivision is {subdivision}", expected="0, 1 or 2")
    if source == "human":
        from hyoid.characters import bundled

        return bundled.load(settings, part, subdivision)
    if source in SKELETONS:
        return _module(source).load(source, settings, part, subdivision)
    assert path is not None, "only the bundled human has no path"
    checked = check_settings(name, settings)
    found = _module(source).load(path, checked)
    if subdivision:
        from hyoid.characters.refine import refine

        return refine(found, subdivision)
    return found


def settings_of(name: str) -> dict[str, Setting]:
    """Every identity setting of a character by name, the most useful first.

    Raises:
        UsageError, InputError: as :func:`load`.
    """
    source, path = parse(name)
    if source == "human" or source in SKELETONS:
        from hyoid.characters import bundled

        defaults = bundled.defaults()
        names = bundled.setting_names()
        return {key: Setting(*bundled.setting_range(key), defaults.get(key, 0.0)) for key in names}
    return _module(source).settings(path)


def check_settings(name: str, settings: Mapping[str, float]) -> dict[str, float]:
    """The settings as floats.

    Raises:
        UsageError: an unknown setting, or a value that is not a number or out of range.
    """
    if not settings:
        return {}
    known = settings_of(name)
    checked = {}
    for key, value in settings.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, 5, 0.5)
            hint = f"Did you mean {', '.join(near)}" if near else f"They are listed by 'hyoid rig {name} --list'"
            raise UsageError(f"'{name}' has no setting '{key}'", expected=_some(list(known)), hint=hint)
        entry = known[key]
        if not (isinstance(value, int | float) and math.isfinite(value) and entry.low <= value <= entry.high):
            raise UsageError(f"setting '{key}' is {value}", expected=f"a number from {entry.low:g} to {entry.high:g}")
        checked[key] = float(value)
    return checked


def _some(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 8 else f"{', '.join(names[:3])} ... {names[-1]}" if names else "no setting"


def _form(source: str) -> str:
    return source if source == "human" else f"{source}:PATH"


def _module(source: str) -> Any:
    """The module of a source: ``load(path, settings) -> Character`` and ``settings(path) -> dict[str, Setting]``.

    That of the skeletons has a ``load`` like the one here.
    """
    try:
        if source == "hack":
            from hyoid.characters import hack

            return hack
        if source == "ict":
            from hyoid.characters import ict

            return ict
        if source == "flame":
            from hyoid.characters import flame

            return flame
        if source == "smplx":
            from hyoid.characters import smplx

            return smplx
        if source in SKELETONS:
            from hyoid.characters import named_skeletons

            return named_skeletons
        from hyoid.characters import stored
    except ImportError as error:
        # The add-on carries the bundled human and character files only.
        made = source if source in SKELETONS else f"{source}:PATH"
        hint = f"Build it with the toolkit: hyoid rig {made} -o NAME{FILE_SUFFIX}"
        raise InputError(
            f"a character of source '{source}' cannot be built here ({error.name} is missing)", hint=hint
        ) from error
    return stored
