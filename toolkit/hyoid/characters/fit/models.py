# SPDX-License-Identifier: Apache-2.0
"""A character as a function that can be fitted: skin vertices of an identity, and how they move with each setting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from hyoid import characters
from hyoid.characters import Setting, bundled
from hyoid.characters.character import Character
from hyoid.characters.fit.template import Template, template_of

_PERSON = (*bundled.AXES, *bundled.RACES)
_SAME = 0.03  # of an axis of the phenotype: nearer values share their slopes
_MODES = 60  # of a statistical identity: later ones move the skin by less than a scan can show
_SKIPPED = ("cupsize", "firmness", "proportions")
_PREFIXES = (
    "l-cheek", "r-cheek", "chin", "l-ear", "r-ear", "eyebrows", "l-eye", "r-eye", "forehead", "head", "mouth", "neck",
    "nose", "measure-neck",
)  # fmt: skip


@dataclass(frozen=True)
class Knob:
    """A setting that can be fitted: its range, where it starts, and how far it usually strays from there."""

    setting: Setting
    stray: float


class Model:
    """The skin of one source of characters, over its settings.

    Attributes:
        name: of the character. template: of the neutral identity; its rows are the vertices of the skin.
        knobs: what can be fitted, by name.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.neutral = characters.load(name, part="head") if name == "human" else characters.load(name)
        self.template: Template = template_of(self.neutral)
        self.knobs = _knobs(name)
        self._basis: dict[str, np.ndarray] = {}
        self._person: dict[str, tuple[dict[str, float], np.ndarray]] = {}

    def rest(self, settings: Mapping[str, float]) -> np.ndarray:
        """(n, 3) float64 metres, the skin at rest, its middle where that of the neutral one is (see ``lift``)."""
        if self.name == "human":
            moved = self.character(settings).vertices[self.template.rows].astype(np.float64)
            return moved - (moved - self.template.rest).mean(0)
        offsets = np.zeros((len(self.template.rows), 3))
        for name, value in settings.items():
            offsets += value * self._linear(name)
        return self.template.rest + offsets - offsets.mean(0)

    def lift(self, settings: Mapping[str, float]) -> np.ndarray:
        """(3,) metres from :meth:`rest` to where the character stands: a taller one has its head higher."""
        return self.character(settings).vertices[self.template.rows].astype(np.float64).mean(
            0
        ) - self.template.rest.mean(0)

    def slopes(self, names: list[str], settings: Mapping[str, float]) -> np.ndarray:
        """(n, 3, names) float32: metres that each setting moves the skin by per unit, around ``settings``."""
        if self.name != "human":
            result = np.stack([self._linear(name) for name in names], -1).astype(np.float32)
            return result - result.mean(0, keepdims=True)
        result = np.zeros((len(self.template.rows), 3, len(names)), np.float32)
        person = {name: settings.get(name, self.knobs[name].setting.default) for name in _PERSON if name in self.knobs}
        for column, name in enumerate(names):
            if name in _PERSON:
                result[..., column] = self._person_slope(name, person)
                continue
            key = f"{name}{'-' if settings.get(name, 0.0) < 0 else '+'}"
            if key not in self._basis:
                self._basis[key] = local_offsets(key)
            result[..., column] = self._basis[key]
        # A setting that lifts the whole head (longer legs) is no news: the placement of the scan takes it up.
        return result - result.mean(0, keepdims=True)

    def _person_slope(self, name: str, person: dict[str, float]) -> np.ndarray:
        """The slope of an axis of the phenotype; kept while the person stays about the same."""
        kept = self._person.get(name)
        if kept is not None and max(abs(kept[0][key] - value) for key, value in person.items()) < _SAME:
            return kept[1]
        entry = self.knobs[name].setting
        low, high = max(person[name] - 0.02, entry.low), min(person[name] + 0.02, entry.high)
        moved = bundled.identity({**person, name: high}) - bundled.identity({**person, name: low})
        slope = _human_rows() @ (moved / (high - low))
        self._person[name] = dict(person), slope
        return slope

    def _linear(self, name: str) -> np.ndarray:
        if name not in self._basis:
            moved = characters.load(self.name, {name: 1.0})
            self._basis[name] = moved.vertices[self.template.rows].astype(np.float64) - self.template.rest
        return self._basis[name]

    def character(self, settings: Mapping[str, float]) -> Character:
        """The character at an identity."""
        return characters.load(self.name, settings, part="head" if self.name == "human" else "full")


@lru_cache(maxsize=4)
def model_of(name: str) -> Model:
    """The model of a character's name; kept, its basis is expensive."""
    return Model(name)


def _human_rows():
    return bundled._topology("head", 0).stencil.take(model_of("human").template.rows)


def local_offsets(key: str) -> np.ndarray:
    """(n, 3) metres per unit of one side of a local setting: ``nose-hump-incr-`` moves against its name."""
    targets = bundled._targets("local")
    steps = np.zeros((len(bundled._archive()["base"]), 3), np.float32)
    sign = -1.0 if key.endswith("-") else 1.0
    if key in targets.names:
        targets.add(key, sign, steps)
    return _human_rows() @ (bundled.STEP * steps)


def _knobs(name: str) -> dict[str, Knob]:
    """The settings that a head shows, with how far each strays."""
    known = characters.settings_of(name)
    if name != "human":
        modes = [key for key in known if key.startswith("identity")][:_MODES]
        return {key: Knob(known[key], 1.0) for key in modes}
    knobs = {}
    for key, setting in known.items():
        if key in bundled.RACES:
            knobs[key] = Knob(setting, 0.4)
        elif (key in bundled.AXES and key not in _SKIPPED) or key.startswith(_PREFIXES):
            knobs[key] = Knob(setting, 0.35)
    return knobs
