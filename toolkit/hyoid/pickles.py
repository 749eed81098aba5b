# SPDX-License-Identifier: Apache-2.0
"""Data out of pickles without running any of it: numbers, text, containers and arrays, and nothing else.

Model files of the field (HACK ``S.npy``, FLAME and SMPL ``.pkl``) are pickles, and loading a pickle executes it. This
module reads the opcodes with an interpreter of its own that knows a fixed table of names and calls none of them: arrays
are built here from their bytes, sparse matrices from their arrays, chumpy objects give the array that they hold. Every
other class is refused by name. Text of Python 2 is read as Latin-1, protocols 0 to 5 are understood.
"""

from __future__ import annotations

import codecs
import io
import pickletools
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hyoid.errors import InputError
from hyoid.pickle_values import BUILT, MAKERS, as_bytes, fields, make_array_of, printable

_NPY = b"\x93NUMPY"
_DEEPEST = 64
_DEFLATE_LIMIT = 1032
_OPCODES = {ord(info.code): info for info in pickletools.opcodes}
_MULTIARRAY = ("numpy.core.multiarray", "numpy._core.multiarray")
_NUMERIC = ("numpy.core.numeric", "numpy._core.numeric")
_BUILTINS = ("builtins", "__builtin__")
_KNOWN: dict[tuple[str, str], str] = {
    **{(module, "_reconstruct"): "array" for module in _MULTIARRAY},
    **{(module, "scalar"): "scalar" for module in _MULTIARRAY},
    **{(module, "_frombuffer"): "buffer" for module in _NUMERIC},
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): "dtype",
    ("_codecs", "encode"): "encode",
    **{(module, name): name for module in _BUILTINS for name in ("bytes", "bytearray", "set", "frozenset", "object")},
    ("collections", "OrderedDict"): "ordered",
    **{(module, "_reconstructor"): "reconstructor" for module in ("copy_reg", "copyreg")},
    **{
        (f"scipy.sparse.{module}", f"{kind}_{word}"): kind
        for kind in ("csc", "csr")
        for module in (kind, f"_{kind}")
        for word in ("matrix", "array")
    },
    ("chumpy.ch", "Ch"): "chumpy",
    ("chumpy", "Ch"): "chumpy",
    ("chumpy.reordering", "Select"): "select",
}


def read(path: str | Path) -> Any:
    """What a pickle or a ``.npy`` file holds: dict, list, tuple, str, bytes, numbers, arrays, SciPy sparse matrices.

    An object array without dimensions (a dict that was saved with NumPy) gives the object itself; a chumpy object gives
    its array. Arrays may be read-only.

    Raises:
        InputError: the file is missing, cut short, damaged, or needs a class that is not data; the class is named.
    """
    path = Path(path)
    try:
        return parse(path.read_bytes(), path)
    except FileNotFoundError:
        raise InputError("the file does not exist", path=path) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", path=path) from error


def read_archive(path: str | Path) -> dict[str, Any]:
    """Every entry of an ``.npz`` by name, also those that NumPy pickled (SMPL-X keeps dicts in them).

    Raises:
        InputError: as :func:`read`; an entry that promises more than the file can hold is refused, too.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        with zipfile.ZipFile(path) as archive:
            result = {}
            for entry in archive.infolist():
                if entry.compress_size > size or entry.file_size > _DEFLATE_LIMIT * entry.compress_size + 1024:
                    found = f"'{entry.filename[:60]}' promises {entry.file_size} bytes, more than {size} can hold"
                    raise InputError(found, path=path)
                result[entry.filename.removesuffix(".npy")] = parse(archive.read(entry), path)
            return result
    except FileNotFoundError:
        raise InputError("the file does not exist", path=path) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", path=path) from error
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, struct.error) as error:
        raise InputError(f"is not a sound .npz file ({error})", path=path) from error


def parse(data: bytes, path: Path) -> Any:
    """As :func:`read`, of bytes that were read already; ``path`` is for messages."""
    try:
        return _npy(data) if data.startswith(_NPY) else _Machine(data).run()
    except InputError as error:
        raise InputError(error.found, path=path, expected=error.expected, hint=error.hint) from error
    except (
        ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, SyntaxError, EOFError,
        RecursionError, struct.error, tokenize.TokenError,
    ) as error:  # fmt: skip
        # What damaged bytes do to an interpreter has many forms; they all mean the same to the user.
        raise InputError(f"is not a sound pickle ({error})", path=path, expected="a .npy or .pkl file") from error


def _npy(data: bytes) -> Any:
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise InputError(f"is of npy version {version}", expected="version 1.0 or 2.0")
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = header(stream)
    if dtype == np.dtype(object):
        return _Machine(data[stream.tell() :]).run()
    if dtype.kind not in "biufcSU":
        raise InputError(f"holds an array of type {dtype}", expected="plain numbers or text")
    return make_array_of(data[stream.tell() :], dtype, shape, fortran)


@dataclass(frozen=True)
class _Class:
    """A name of the table; it stands on the stack where a class or function would."""

    kind: str
    name: str


@dataclass(eq=False)
class _Object:
    """Something that is made of arguments and a state once everything is read."""

    kind: str
    arguments: tuple
    state: Any = None


_MARK = object()


class _Machine:
    """The stack machine that pickles are programs of, with inert operands."""

    def __init__(self, data: bytes) -> None:
        self._stream = io.BytesIO(data)
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._finished: dict[int, Any] = {}
        self._open: set[int] = set()
        self._kept: list[Any] = []  # the numbers of objects in the two above hold only while the objects live

    def run(self) -> Any:
        read_code = self._stream.read
        while code := read_code(1):
            info = _OPCODES.get(code[0])
            if info is None:
                raise InputError(f"is not a pickle: byte {code!r} at {self._stream.tell() - 1} is no instruction")
            if info.name == "STOP":
                return self._finish(self._stack.pop(), 0)
            if info.name == "STRING":
                argument: Any = _text_line(self._stream.readline())
            else:
                argument = info.arg.reader(self._stream) if info.arg is not None else None
            self._step(info.name, argument)
        raise InputError("is cut short: the pickle has no end")

    def _step(self, name: str, argument: Any) -> None:
        if name in _CONSTANTS:
            self._stack.append(_CONSTANTS[name]())
        elif name in _LITERALS:
            self._stack.append(argument)
        elif name in _ACTIONS:
            _ACTIONS[name](self, argument)
        elif name not in ("PROTO", "FRAME"):
            raise InputError(f"uses the instruction {name}", expected="plain data")

    def _pop(self) -> Any:
        value = self._stack.pop()
        if value is _MARK:
            raise InputError("is damaged: a mark stands where a value should")
        return value

    def _since_mark(self) -> list[Any]:
        for place in range(len(self._stack) - 1, -1, -1):
            if self._stack[place] is _MARK:
                values = self._stack[place + 1 :]
                del self._stack[place:]
                return values
        raise InputError("is damaged: a mark is missing")

    def _tuple(self, count: int) -> None:
        self._stack.append(tuple(self._pop() for _ in range(count))[::-1])

    def _append(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, list):
            raise InputError("appends to something that is not a list")
        target.extend(values)

    def _items(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, dict) or len(values) % 2:
            raise InputError("sets items of something that is not a dict")
        for key, value in zip(values[::2], values[1::2], strict=True):
            target[_key(key)] = value

    def _set_items(self) -> None:
        value, key = self._pop(), self._pop()
        self._items([key, value])

    def _add(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, set):
            raise InputError("adds to something that is not a set")
        target.update(map(_key, values))

    def _new_dict(self, values: list[Any]) -> None:
        self._stack.append({})
        self._items(values)

    def _put(self, place: int) -> None:
        if self._stack[-1] is _MARK:
            raise InputError("is damaged: a mark stands where a value should")
        self._memo[place] = self._stack[-1]

    def _get(self, place: int) -> None:
        self._stack.append(self._memo[place])

    def _global(self, module: Any, name: Any) -> None:
        if not (isinstance(module, str) and isinstance(name, str)):
            raise InputError("is damaged: a class without a name")
        kind = _KNOWN.get((module, name))
        if kind is None:
            raise InputError(
                f"needs the class or function '{printable(f'{module}.{name}')}', which is not data",
                expected="numbers, text, containers, NumPy arrays, SciPy sparse matrices or chumpy arrays",
                hint="Nothing of the file was run; do not load it with other programs unless you trust its source",
            )
        self._stack.append(_Class(kind, f"{module}.{name}"))

    def _stack_global(self) -> None:
        name, module = self._pop(), self._pop()
        self._global(module, name)

    def _reduce(self) -> None:
        arguments, made = self._pop(), self._pop()
        if not (isinstance(made, _Class) and isinstance(arguments, tuple)):
            raise InputError("calls something that is not a known class")
        self._stack.append(_call(made, arguments))

    def _new_object(self, made: Any, arguments: Any) -> None:
        if isinstance(made, _Class) and made.kind in ("set", "frozenset", "ordered") and isinstance(arguments, tuple):
            self._stack.append(_call(made, arguments))
            return
        if not (isinstance(made, _Class) and made.kind in BUILT and arguments == ()):
            raise InputError("makes an object of something that is not a known class")
        self._stack.append(_Object(made.kind, ()))

    def _new(self) -> None:
        arguments, made = self._pop(), self._pop()
        self._new_object(made, arguments)

    def _instance(self) -> None:
        made, *arguments = self._since_mark()
        self._new_object(made, tuple(arguments))

    def _instance_of(self, name: str) -> None:
        arguments = self._since_mark()
        self._global(*name.split(" ", 1))
        self._new_object(self._pop(), tuple(arguments))

    def _build(self) -> None:
        state = self._pop()
        target = self._stack[-1]
        if isinstance(target, dict) and isinstance(state, dict):  # attributes of an ordered dict
            return
        if not isinstance(target, _Object) or target.kind not in ("array", "dtype", *BUILT):
            raise InputError("gives a state to something that has none")
        target.state = state

    def _finish(self, value: Any, depth: int) -> Any:
        """The value with every :class:`_Object` in it replaced by what it stands for; shared parts stay shared."""
        if not isinstance(value, list | dict | tuple | _Object):
            if isinstance(value, _Class) or value is _MARK:
                raise InputError("holds a class where data should be")
            return value
        key = id(value)
        if key in self._finished:
            return self._finished[key]
        if key in self._open:
            raise InputError("holds something that contains itself")
        if depth > _DEEPEST:
            raise InputError(f"is nested more than {_DEEPEST} deep")
        self._open.add(key)
        result: Any
        if isinstance(value, list):
            value[:] = [self._finish(entry, depth + 1) for entry in value]
            result = value
        elif isinstance(value, dict):
            for name, entry in value.items():
                value[name] = self._finish(entry, depth + 1)
            result = value
        elif isinstance(value, tuple):
            result = tuple(self._finish(entry, depth + 1) for entry in value)
        else:
            plain = tuple(entry for entry in value.arguments if not isinstance(entry, _Class))
            self._kept.append(plain)
            arguments = self._finish(plain, depth + 1)
            if value.kind in BUILT:
                value.state = fields(value.kind, value.state)
            result = MAKERS[value.kind](arguments, self._finish(value.state, depth + 1))
        self._open.discard(key)
        self._finished[key] = result
        self._kept.append(value)
        return result


def _text_line(line: bytes) -> str:
    """The argument of a protocol 0 string: a quoted line of Python 2, bytes read as Latin-1."""
    line = line.rstrip(b"\r\n")
    if len(line) < 2 or line[:1] not in (b"'", b'"') or line[-1:] != line[:1]:
        raise InputError("is damaged: a text without quotes")
    return codecs.escape_decode(line[1:-1])[0].decode("latin-1")  # pyright: ignore[reportAttributeAccessIssue]


def _key(value: Any) -> Any:
    """A key of a dict or a member of a set: plain values only, because nested ones can take for ever to hash."""
    flat = value if isinstance(value, tuple) else (value,)
    if not all(entry is None or isinstance(entry, str | bytes | int | float) for entry in flat):
        raise InputError(f"holds a key of type {type(value).__name__}", expected="text or a number")
    return value


def _call(made: _Class, arguments: tuple) -> Any:
    """What a call of a known name stands for; plain values at once, everything else when all is read."""
    if made.kind in ("encode", "bytes", "bytearray"):
        if not arguments:
            return b""
        if not isinstance(arguments[0], str | bytes | bytearray):
            raise InputError(f"calls '{made.name}' with a {type(arguments[0]).__name__}")
        if isinstance(arguments[0], str) and arguments[1:] not in (("latin1",), ("latin-1",)):
            raise InputError(f"calls '{made.name}' with another encoding", expected="latin1")
        return as_bytes(arguments[0])
    if made.kind in ("set", "frozenset"):
        members = arguments[0] if arguments else []
        if not isinstance(members, list | tuple | set):
            raise InputError(f"calls '{made.name}' with a {type(members).__name__}")
        return set(map(_key, members))
    if made.kind == "ordered":
        pairs = arguments[0] if arguments else []
        if not (isinstance(pairs, list) and all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs)):
            raise InputError(f"calls '{made.name}' with something that is not a list of pairs")
        return {_key(key): value for key, value in pairs}
    if made.kind == "reconstructor":
        inner = arguments[0] if arguments else None
        if not (isinstance(inner, _Class) and inner.kind in BUILT):
            raise InputError("makes an object of something that is not a known class")
        return _Object(inner.kind, ())
    if made.kind == "array" and not (arguments and isinstance(arguments[0], _Class) and arguments[0].kind == "ndarray"):
        raise InputError("makes an array of a class of its own", expected="numpy.ndarray")
    if made.kind not in ("array", "scalar", "buffer", "dtype"):
        raise InputError(f"calls '{made.name}', which is not data")
    return _Object(made.kind, arguments)


_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
    "EMPTY_SET": set,
    "MARK": lambda: _MARK,
}
_LITERALS = frozenset((
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING",
    "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8", "UNICODE", "BINUNICODE",
    "SHORT_BINUNICODE", "BINUNICODE8",
))  # fmt: skip
_ACTIONS: dict[str, Callable[[_Machine, Any], Any]] = {
    "POP": lambda machine, _: machine._stack.pop(),
    "POP_MARK": lambda machine, _: machine._since_mark(),
    "DUP": lambda machine, _: machine._stack.append(machine._stack[-1]),
    "APPEND": lambda machine, _: machine._append([machine._pop()]),
    "APPENDS": lambda machine, _: machine._append(machine._since_mark()),
    "LIST": lambda machine, _: machine._stack.append(machine._since_mark()),
    "TUPLE": lambda machine, _: machine._stack.append(tuple(machine._since_mark())),
    "TUPLE1": lambda machine, _: machine._tuple(1),
    "TUPLE2": lambda machine, _: machine._tuple(2),
    "TUPLE3": lambda machine, _: machine._tuple(3),
    "DICT": lambda machine, _: machine._new_dict(machine._since_mark()),
    "SETITEM": lambda machine, _: machine._set_items(),
    "SETITEMS": lambda machine, _: machine._items(machine._since_mark()),
    "ADDITEMS": lambda machine, _: machine._add(machine._since_mark()),
    "FROZENSET": lambda machine, _: machine._stack.append(set(map(_key, machine._since_mark()))),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), lambda machine, place: machine._get(place)),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), lambda machine, place: machine._put(place)),
    "MEMOIZE": lambda machine, _: machine._put(len(machine._memo)),
    "GLOBAL": lambda machine, name: machine._global(*name.split(" ", 1)),
    "STACK_GLOBAL": lambda machine, _: machine._stack_global(),
    "REDUCE": lambda machine, _: machine._reduce(),
    "NEWOBJ": lambda machine, _: machine._new(),
    "OBJ": lambda machine, _: machine._instance(),
    "INST": lambda machine, name: machine._instance_of(name),
    "BUILD": lambda machine, _: machine._build(),
}
