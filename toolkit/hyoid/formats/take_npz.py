# SPDX-License-Identifier: Apache-2.0
"""The take as a file: ``.take.npz``, plain arrays and one JSON text, readable with NumPy alone (docs/formats.md)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from hyoid import scratch
from hyoid.errors import InputError
from hyoid.formats import sounds
from hyoid.formats.checks import valid_take
from hyoid.formats.npz import read_npz, write_npz
from hyoid.take import AudioReference, CharacterReference, Event, Keys, Provenance, Source, Take

FORMAT = "hyoid.take"
VERSION = 1
_ARRAYS = ("curves", "rotations", "root", "confidence")
_REQUIRED = (
    "format", "version", "fps", "curve_names", "joint_names", *_ARRAYS, "event_kinds", "event_names", "event_times",
    "key_channels", "key_starts", "key_times", "key_values", "document",
)  # fmt: skip


def write(path: Path, take: Take, *, level: int = 1) -> None:
    """Write a take to ``path``; equal takes give equal bytes.

    Args:
        level: deflate level 0..9. 1 is the default: performance curves hardly shrink further, only slower.

    Raises:
        InputError: the take is not sound (see :func:`hyoid.formats.checks.valid_take`); nothing is written then.
    """
    valid_take(take)
    arrays: dict[str, np.ndarray] = {
        "format": np.array(FORMAT),
        "version": np.array(VERSION, np.int64),
        "fps": np.array(take.fps, np.float64),
        "curve_names": np.array(take.curve_names, dtype=str),
        "joint_names": np.array(take.joint_names, dtype=str),
    }
    arrays |= {name: np.asarray(getattr(take, name), np.float32) for name in _ARRAYS}
    if take.points is not None:
        arrays["points"] = np.asarray(take.points, np.float32)
    arrays["event_kinds"] = np.array([event.kind for event in take.events], dtype=str)
    arrays["event_names"] = np.array([event.name for event in take.events], dtype=str)
    times = [(event.start, event.end, event.strength) for event in take.events]
    arrays["event_times"] = np.array(times, np.float64).reshape(-1, 3)
    arrays |= _packed_keys(take.keys)
    document = {
        "audio": None if take.audio is None else asdict(sounds.portable(take.audio, path)),
        "character": {**asdict(take.character), "name": sounds.portable_character(take.character.name, path)},
        "provenance": asdict(take.provenance),
        "mode": take.mode,
    }
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, default=str)
    arrays["document"] = np.frombuffer(text.encode(), np.uint8)
    write_npz(path, arrays, level)


def read(path: Path) -> Take:
    """The take in ``path``.

    Raises:
        InputError: the file is missing, damaged, no take, of a newer version, or holds numbers that make no sense.
    """
    arrays = read_npz(path)
    if "format" not in arrays or arrays["format"].shape or str(arrays["format"][()]) != FORMAT:
        raise InputError("is an .npz file, but not a take", path=path, expected="a .take.npz that hyoid wrote")
    version = _scalar(path, arrays, "version")
    if version > VERSION:
        raise InputError(
            f"is a take of version {version:g}", path=path, expected=f"version {VERSION} or older", hint="Update hyoid"
        )
    missing = [name for name in _REQUIRED if name not in arrays]
    if missing:
        raise InputError(f"lacks {', '.join(missing)}", path=path, expected="a complete take")
    try:
        document = json.loads(arrays["document"].tobytes())
        take = _take(path, arrays, document)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InputError(f"its contents do not form a take ({error})", path=path) from error
    return valid_take(take, path)


def _take(path: Path, arrays: Mapping[str, np.ndarray], document: Mapping[str, Any]) -> Take:
    names = ("points", *_ARRAYS) if "points" in arrays else _ARRAYS
    audio, character, provenance = document["audio"], document["character"], document["provenance"]
    who = sounds.located_character(_text(character["name"]), path)
    return Take(
        fps=_scalar(path, arrays, "fps"),
        curve_names=_texts(path, arrays, "curve_names"),
        joint_names=_texts(path, arrays, "joint_names"),
        **{name: _floats(path, arrays, name, np.float32) for name in names},  # type: ignore[arg-type]
        events=_events(path, arrays),
        keys=_unpacked_keys(path, arrays),
        audio=None if audio is None else sounds.located(_audio(audio), path),
        character=CharacterReference(who, dict(character["settings"]), _text(character["part"])),
        provenance=Provenance(
            _text(provenance["version"]), _text(provenance["verb"]), dict(provenance["settings"]),
            tuple(
                Source(*(_text(source[field]) for field in ("role", "name", "sha256", "licence")))
                for source in provenance["sources"]
            ),
        ),
        mode=_text(document["mode"]),
    )  # fmt: skip


def _audio(record: Mapping[str, Any]) -> AudioReference:
    seconds, offset = float(record["seconds"]), float(record["offset"])
    if not np.isfinite([seconds, offset]).all() or seconds < 0:
        raise ValueError(f"the audio lasts {seconds} s from {offset} s")
    if "\0" in _text(record["path"]):
        raise ValueError("the path of the audio holds a zero byte")
    return AudioReference(_text(record["path"]), _text(record["sha256"]), seconds, offset)


def _events(path: Path, arrays: Mapping[str, np.ndarray]) -> tuple[Event, ...]:
    kinds, names = _texts(path, arrays, "event_kinds"), _texts(path, arrays, "event_names")
    times = _floats(path, arrays, "event_times", np.float64)
    if times.shape != (len(kinds), 3) or len(names) != len(kinds):
        raise InputError(
            f"{len(kinds)} event kinds, {len(names)} names, times of shape {times.shape}",
            path=path, expected="as many of each, times (events, 3)",
        )  # fmt: skip
    return tuple(Event(kind, name, *row) for kind, name, row in zip(kinds, names, times.tolist(), strict=True))


def _packed_keys(keys: Mapping[str, Keys]) -> dict[str, np.ndarray]:
    """All channels end to end: ``key_values`` is flat, its width per channel follows from the channel's name."""
    return {
        "key_channels": np.array(list(keys), dtype=str),
        "key_starts": np.cumsum([0, *(len(entry.times) for entry in keys.values())], dtype=np.int64),
        "key_times": _end_to_end([entry.times for entry in keys.values()], np.float64),
        "key_values": _end_to_end([entry.values for entry in keys.values()], np.float32),
    }


def _end_to_end(arrays: Sequence[np.ndarray], kind: type) -> np.ndarray:
    """All numbers of all arrays, flat."""
    flat, place = scratch.empty((sum(array.size for array in arrays),), kind), 0
    for array in arrays:
        flat[place : place + array.size] = array.ravel()
        place += array.size
        scratch.give_back(flat)
    return flat


def _unpacked_keys(path: Path, arrays: Mapping[str, np.ndarray]) -> dict[str, Keys]:
    channels = _texts(path, arrays, "key_channels")
    starts, times = arrays["key_starts"], _floats(path, arrays, "key_times", np.float64)
    values = _floats(path, arrays, "key_values", np.float32)
    curves = set(_texts(path, arrays, "curve_names"))
    sound = starts.dtype.kind == "i" and starts.shape == (len(channels) + 1,) and times.ndim == values.ndim == 1
    if not sound or starts[0] != 0 or starts[-1] != len(times) or (np.diff(starts) < 0).any():
        raise InputError("the tables of keys do not agree", path=path, expected="key_starts that rise to the last key")
    keys: dict[str, Keys] = {}
    place = 0
    for channel, start, stop in zip(channels, starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        width = 1 if channel in curves else 3 if channel == "root" else 4
        block = values[place : place + width * (stop - start)]
        place += width * (stop - start)
        keys[channel] = Keys(times[start:stop], block if width == 1 else block.reshape(-1, width))
    if place != len(values) or len(keys) != len(channels):
        raise InputError("the tables of keys do not agree", path=path, expected="as many values as keys")
    return keys


def _scalar(path: Path, arrays: Mapping[str, np.ndarray], name: str) -> float:
    value = arrays.get(name)
    if value is None or value.shape or value.dtype.kind not in "iuf":
        raise InputError(f"'{name}' is not one number", path=path)
    return value.item()


def _floats(path: Path, arrays: Mapping[str, np.ndarray], name: str, kind: type) -> np.ndarray:
    if arrays[name].dtype.kind != "f":
        raise InputError(f"'{name}' holds {arrays[name].dtype}", path=path, expected="floating-point numbers")
    return np.ascontiguousarray(arrays[name], kind)


def _texts(path: Path, arrays: Mapping[str, np.ndarray], name: str) -> tuple[str, ...]:
    if arrays[name].dtype.kind != "U" or arrays[name].ndim != 1:
        raise InputError(
            f"'{name}' holds {arrays[name].dtype} {arrays[name].shape}", path=path, expected="a list of names"
        )
    return tuple(arrays[name].tolist())


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} is not text")
    return value
