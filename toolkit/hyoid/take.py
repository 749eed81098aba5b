# SPDX-License-Identifier: Apache-2.0
"""The take: one timed performance. Every verb makes takes, every format reads or writes them.

Units and axes: metres, seconds, right-handed, +Y up, the character looks along +Z, its left is +X. Quaternions are
w, x, y, z. Joint rotations are relative to the parent joint and to the rest pose, in axes world-aligned at rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Event:
    """Something that happens in a take: a phoneme, a word, a blink, a breath, a swallow.

    ``kind`` is ``phone``, ``word``, ``viseme``, ``blink``, ``gaze``, ``breath`` or ``swallow``; ``start``, ``end`` are
    seconds from the take's start; ``strength`` scales its effect (1 = as solved); ``name`` is the phone, word or class.
    """

    kind: str
    name: str
    start: float
    end: float
    strength: float = 1.0


@dataclass(frozen=True)
class Keys:
    """Sparse editable linear keys of one channel: ``times`` (n,) float64 seconds, ``values`` (n,) or (n, 4) float32."""

    times: np.ndarray
    values: np.ndarray


@dataclass(frozen=True)
class AudioReference:
    """The sound of a take: where it lies, its SHA-256, and the second of the take at which it starts."""

    path: str
    sha256: str
    seconds: float
    offset: float = 0.0


@dataclass(frozen=True)
class Source:
    """One thing that touched a result; ``role`` is ``input``, ``weights``, ``character`` or ``dictionary``."""

    role: str
    name: str
    sha256: str
    licence: str


@dataclass(frozen=True)
class Provenance:
    """How a take came to be: version, verb, settings, and everything that touched it. Never a time stamp."""

    version: str
    verb: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    sources: tuple[Source, ...] = ()


@dataclass(frozen=True)
class CharacterReference:
    """Which character a take was made for: its name, identity settings and part (``full`` or ``head``)."""

    name: str = "human"
    settings: Mapping[str, Any] = field(default_factory=dict)
    part: str = "full"


@dataclass(frozen=True)
class Take:
    """One performance.

    Attributes:
        fps: frames a second.
        curve_names: names of the scalar curves: the 52 ARKit names (0..1), ``larynxHeight`` (millimetres, up positive),
            ``larynxSize`` (1 = the character's own), ``breath`` (0..1), ``swallow`` (0..1).
        curves: (frames, curves) float32.
        joint_names: names of the animated joints.
        rotations: (frames, joints, 4) float32 unit quaternions w, x, y, z.
        root: (frames, 3) float32, metres: translation of the root joint from its rest position.
        confidence: (frames,) float32, 0..1.
        points: (frames, vertices, 3) float32, metres, or None: an optional point cache.
        events: phonemes, words, blinks...
        keys: sparse keys by channel: a curve name, ``JOINT.rotation`` or ``root``.
        audio, character, provenance: see their records.
        mode: how the timing was found, in words (``forced alignment``), empty when it does not apply.
    """

    fps: float
    curve_names: tuple[str, ...]
    curves: np.ndarray
    joint_names: tuple[str, ...]
    rotations: np.ndarray
    root: np.ndarray
    confidence: np.ndarray
    points: np.ndarray | None = None
    events: tuple[Event, ...] = ()
    keys: Mapping[str, Keys] = field(default_factory=dict)
    audio: AudioReference | None = None
    character: CharacterReference = field(default_factory=CharacterReference)
    provenance: Provenance = field(default_factory=lambda: Provenance("", ""))
    mode: str = ""

    @property
    def frames(self) -> int:
        """The number of frames."""
        return len(self.curves)

    @property
    def seconds(self) -> float:
        """The length: each frame lasts 1 / fps."""
        return self.frames / self.fps

    def curve(self, name: str) -> np.ndarray:
        """One curve by name, (frames,) float32; zeros where the take does not have it."""
        if name in self.curve_names:
            return self.curves[:, self.curve_names.index(name)]
        return np.zeros(self.frames, np.float32)
