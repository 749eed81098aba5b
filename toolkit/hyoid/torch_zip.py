# SPDX-License-Identifier: Apache-2.0
"""Tensors out of a file of ``torch.save`` without torch and without running anything of it.

Such a file is a zip: ``data.pkl`` says what there is, ``data/0``, ``data/1``, ... hold the numbers. The pickle goes
through the interpreter of :mod:`hyoid.pickles`, which here knows torch's few names as well: storages are read and
tensors built from their bytes. What a training leaves beside the weights (the state of a random generator) is passed
over as something without a value; every other class is refused by name. Where whole networks are saved
(:func:`read_network`), their modules are bare holders of attributes, of which tensors are read.
"""

from __future__ import annotations

import math
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hyoid import pickles
from hyoid.errors import InputError

_LARGEST_PICKLE = 64 << 20
_DEEPEST, _MOST_PARTS = 64, 50_000
_NETWORK_PACKAGES = ("torch.nn.modules.",)
_TYPES = {
    "FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2", "LongStorage": "<i8", "IntStorage": "<i4",
    "ShortStorage": "<i2", "CharStorage": "|i1", "ByteStorage": "|u1", "BoolStorage": "|b1",
}  # fmt: skip
_TORCH = {
    ("torch._utils", "_rebuild_tensor_v2"): "tensor",
    ("torch._utils", "_rebuild_parameter"): "parameter",
    **{("torch", name): name for name in _TYPES},
}
_PASSED_OVER = frozenset(
    [("numpy.random._pickle", name) for name in ("__randomstate_ctor", "__bit_generator_ctor", "__generator_ctor")]
    + [("numpy.random", "__RandomState_ctor"), ("numpy.random._mt19937", "MT19937")]
)


@dataclass(frozen=True, eq=False)
class _Name:
    """One of torch's names, or one that is passed over (an empty ``kind``)."""

    kind: str


@dataclass(frozen=True, eq=False)
class _Storage:
    key: str
    dtype: np.dtype
    count: int


@dataclass(frozen=True, eq=False)
class _Stored:
    """A tensor that is not read yet."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class _Nothing:
    """What a passed-over name would have made."""


@dataclass(eq=False)
class _Module:
    """What an object of a network's class is here: its attributes, and nothing that it could do."""

    attributes: dict[str, Any]


class _Machine(pickles._Machine):
    """The interpreter of plain data, with torch's names among what it knows."""

    def _step(self, name: str, argument: Any) -> None:
        if name == "BINPERSID":
            self._stack.append(_storage(self._pop()))
        else:
            super()._step(name, argument)

    def _global(self, module: Any, name: Any) -> None:
        kind = "" if (module, name) in _PASSED_OVER else _TORCH.get((module, name))
        if kind is None:
            super()._global(module, name)
        else:
            self._stack.append(_Name(kind))

    def _reduce(self) -> None:
        made = self._stack[-2]
        if not isinstance(made, _Name):
            super()._reduce()
            return
        arguments, _ = self._pop(), self._pop()
        if not isinstance(arguments, tuple):
            raise InputError("calls something with no arguments")
        self._stack.append(_made(made.kind, arguments))

    def _build(self) -> None:
        if isinstance(self._stack[-2], _Nothing):
            self._pop()
        else:
            super()._build()


class _NetworkMachine(_Machine):
    """The interpreter with the classes of networks among what it knows; their objects hold attributes alone."""

    def __init__(self, data: bytes, packages: tuple[str, ...]) -> None:
        super().__init__(data)
        self._packages = packages

    def _global(self, module: Any, name: Any) -> None:
        if isinstance(module, str) and isinstance(name, str) and f"{module}.".startswith(self._packages):
            self._stack.append(_Name("module"))
        else:
            super()._global(module, name)

    def _new_object(self, made: Any, arguments: Any) -> None:
        if isinstance(made, _Name) and made.kind == "module":
            self._stack.append(_Module({}))
        else:
            super()._new_object(made, arguments)

    def _build(self) -> None:
        target = self._stack[-2]
        if not isinstance(target, _Module):
            super()._build()
            return
        state = self._pop()
        if not isinstance(state, dict):
            raise InputError("gives a module a state that is not its attributes")
        target.attributes = state


def _storage(value: Any) -> _Storage:
    fits = isinstance(value, tuple) and len(value) == 5 and value[0] == "storage" and isinstance(value[1], _Name)
    if not (fits and value[1].kind in _TYPES and isinstance(value[2], str) and value[2].isdigit()):
        raise InputError("refers to something that is not a storage of numbers")
    if not (isinstance(value[4], int) and 0 <= value[4] < 1 << 40):
        raise InputError(f"promises a storage of {value[4]!r} numbers")
    return _Storage(value[2], np.dtype(_TYPES[value[1].kind]), value[4])


def _made(kind: str, arguments: tuple) -> Any:
    if not kind:
        return _Nothing()
    if kind == "parameter" and arguments and isinstance(arguments[0], _Stored):
        return arguments[0]
    sizes = arguments[1:4]
    if kind != "tensor" or len(sizes) != 3 or not isinstance(arguments[0], _Storage):
        raise InputError("makes a tensor of something that is not a storage")
    offset, shape, strides = sizes
    numbers = (offset, *shape, *strides) if isinstance(shape, tuple) and isinstance(strides, tuple) else (None,)
    if not all(isinstance(number, int) and 0 <= number < 1 << 40 for number in numbers) or len(shape) != len(strides):
        raise InputError(f"promises a tensor of the shape {shape!r}")
    last = offset + sum((side - 1) * stride for side, stride in zip(shape, strides, strict=True))
    # Strides of 0 would let a few bytes fill any memory.
    if 0 not in shape and max(last + 1, math.prod(shape)) > arguments[0].count:
        raise InputError(f"promises a tensor {shape} that is larger than its storage of {arguments[0].count}")
    return _Stored(arguments[0], offset, shape, strides)


def read(path: Path, entry: str) -> dict[str, np.ndarray]:
    """The tensors by name of one entry of a saved dict (``model_pos``, ``state_dict``), and nothing else of it.

    Raises:
        InputError: the file is missing, damaged, of another kind, needs a class that is not data (it is named), or has
            no such entry.
    """

    def chosen(content: Any) -> dict[str, Any]:
        found = content.get(entry) if isinstance(content, dict) else None
        if not isinstance(found, dict):
            raise InputError(f"has no entry '{entry}' but {_names(content)}")
        return found

    return _read(Path(path), f"a file of torch.save with the entry '{entry}'", _Machine, chosen)


def read_network(path: Path, entries: tuple[str, ...], packages: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The tensors by dotted name of a network that was saved whole, as ``state_dict`` of it would give them.

    Args:
        entries: of the saved dict; the first one that is there and not None is read. packages: with a dot at the end;
            objects of their classes are networks and parts of them (torch's own are known).

    Raises:
        InputError: as :func:`read`.
    """

    def machine(data: bytes) -> _Machine:
        return _NetworkMachine(data, (*packages, *_NETWORK_PACKAGES))

    def chosen(content: Any) -> dict[str, Any]:
        there = (
            [content[entry] for entry in entries if content.get(entry) is not None] if isinstance(content, dict) else []
        )
        if not there or not isinstance(there[0], dict | _Module):
            raise InputError(f"has no network under '{' or '.join(entries)}' but {_names(content)}")
        return there[0] if isinstance(there[0], dict) else dict(_tensors_of(there[0]))

    return _read(Path(path), "a file of torch.save with a whole network", machine, chosen)


def _names(content: Any) -> str:
    names = ", ".join(map(str, content)) if isinstance(content, dict) else type(content).__name__.strip("_")
    return pickles.printable(names) or "nothing"


def _tensors_of(network: _Module) -> Iterator[tuple[str, Any]]:
    waiting, parts = [("", network, 0)], 0
    while waiting:
        prefix, module, depth = waiting.pop()
        parts += 1
        # Parts that hold a part twice, or themselves, would go on for ever.
        if depth > _DEEPEST or parts > _MOST_PARTS:
            raise InputError(f"holds more than {_MOST_PARTS} modules, or modules nested more than {_DEEPEST} deep")
        for kind in ("_parameters", "_buffers"):
            for name, value in _table(module, kind).items():
                if value is not None:
                    yield f"{prefix}{name}", value
        for name, part in _table(module, "_modules").items():
            if isinstance(part, _Module):
                waiting.append((f"{prefix}{name}.", part, depth + 1))


def _table(module: _Module, kind: str) -> dict[Any, Any]:
    found = module.attributes.get(kind, {})
    if not isinstance(found, dict):
        raise InputError(f"holds a module whose '{kind}' is no table")
    return found


def _read(
    path: Path, expected: str, machine: Callable[[bytes], _Machine], chosen: Callable[[Any], dict[str, Any]]
) -> dict[str, np.ndarray]:
    """The tensors that ``chosen`` takes from the content of a file; whatever is wrong is one error with its path."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _opened(archive, path.stat().st_size, machine, chosen)
    except FileNotFoundError:
        raise InputError("the file does not exist", path=path, expected=expected) from None
    except InputError as error:
        raise InputError(error.found, path=path, expected=error.expected or expected, hint=error.hint) from error
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", path=path) from error
    except (
        ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, SyntaxError, EOFError,
        RuntimeError, struct.error, zipfile.BadZipFile, zlib.error,
    ) as error:  # fmt: skip
        # What damaged bytes do to an interpreter has many forms; they all mean the same to the user.
        raise InputError(f"is not a sound checkpoint ({error})", path=path, expected=expected) from error


def _opened(
    archive: zipfile.ZipFile, size: int, machine: Callable[[bytes], _Machine], chosen: Callable[[Any], dict[str, Any]]
) -> dict[str, np.ndarray]:
    members = {info.filename: info for info in archive.infolist()}
    found = [name for name in members if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(found) != 1:
        raise InputError("is a zip without one 'data.pkl'")
    folder = found[0].removesuffix("data.pkl")
    order = members.get(f"{folder}byteorder")
    if order is not None and _member(archive, order, size) != b"little":
        raise InputError("was written on a machine of another byte order", expected="little-endian numbers")
    if members[found[0]].file_size > _LARGEST_PICKLE:
        raise InputError(f"its data.pkl has {members[found[0]].file_size} bytes", expected="names and shapes")
    content = machine(_member(archive, members[found[0]], size)).run()
    storages: dict[str, np.ndarray] = {}
    arrays = {}
    for name, value in chosen(content).items():
        if not isinstance(value, _Stored):
            raise InputError(f"'{pickles.printable(str(name))}' is no tensor")
        own = value.storage
        if own.key not in storages:
            storages[own.key] = _numbers(archive, members.get(f"{folder}data/{own.key}"), size, own)
        arrays[str(name)] = _array(storages[own.key], value)
    return arrays


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, size: int) -> bytes:
    if info.compress_type != zipfile.ZIP_STORED or info.file_size > size:
        raise InputError(f"'{pickles.printable(info.filename)}' promises more bytes than the file holds")
    return archive.read(info)


def _numbers(archive: zipfile.ZipFile, info: zipfile.ZipInfo | None, size: int, storage: _Storage) -> np.ndarray:
    promised = storage.count * storage.dtype.itemsize
    if info is None or info.file_size != promised:
        there = "none" if info is None else str(info.file_size)
        raise InputError(f"storage {storage.key} promises {promised} bytes, {there} are there")
    return np.frombuffer(_member(archive, info, size), storage.dtype)


def _array(numbers: np.ndarray, stored: _Stored) -> np.ndarray:
    if 0 in stored.shape:
        return np.zeros(stored.shape, numbers.dtype)
    strides = tuple(stride * numbers.itemsize for stride in stored.strides)
    view = np.lib.stride_tricks.as_strided(numbers[stored.offset :], stored.shape, strides, writeable=False)
    return np.ascontiguousarray(view)
