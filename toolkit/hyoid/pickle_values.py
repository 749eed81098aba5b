# SPDX-License-Identifier: Apache-2.0
"""The values of :mod:`hyoid.pickles`: arrays, sparse matrices and chumpy objects, checked and built here."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from hyoid.errors import InputError

_DTYPE = re.compile(r"[<>|=]?([biufcSUO?])(\d{0,6})")
_SPARSE = ("_shape", "data", "indices", "indptr")
BUILT = {"csc": _SPARSE, "csr": _SPARSE, "chumpy": ("x",), "select": ("a", "idxs", "preferred_shape")}
"""Classes whose objects are made empty and then get a state, of which these attributes are read."""


def make_array_of(data: bytes, dtype: np.dtype, shape: tuple[int, ...], fortran: bool) -> np.ndarray:
    """The array whose contents are ``data``, in native byte order; read-only where nothing had to be turned.

    Raises:
        InputError: shape and type promise another number of bytes.
    """
    if not all(isinstance(side, int) and 0 <= side < 1 << 40 for side in shape) or not dtype.itemsize:
        raise InputError(f"promises an array of the shape {shape}")
    promised = math.prod(shape) * dtype.itemsize
    if promised != len(data):
        raise InputError(f"promises {promised} bytes of {dtype} {shape}, {len(data)} are there")
    if not promised:
        return np.zeros(shape, dtype)
    array = np.frombuffer(data, dtype)
    array = array.reshape(shape[::-1]).T if fortran else array.reshape(shape)
    return array if dtype.isnative else array.astype(dtype.newbyteorder("="))


def printable(name: str) -> str:
    """A name from a file as it may stand in a message: one line, not too long."""
    return "".join(letter if letter.isprintable() else "?" for letter in name)[:120]


def as_bytes(value: Any) -> bytes:
    """The contents of an array, which Python 2 wrote as text.

    Raises:
        InputError: they are neither bytes nor text.
    """
    if isinstance(value, str):
        return value.encode("latin-1")
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    raise InputError(f"holds the contents of an array as {type(value).__name__}", expected="bytes")


def _make_dtype(arguments: tuple, state: Any) -> np.dtype:
    text = arguments[0] if arguments else None
    match = _DTYPE.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise InputError(f"holds an array of type {printable(str(text))}", expected="plain numbers or text")
    dtype = np.dtype(text)
    if state is None:
        return dtype
    if not (isinstance(state, tuple) and len(state) >= 8 and state[2:5] == (None, None, None)):
        raise InputError("holds an array with named fields", expected="plain numbers or text")
    return dtype.newbyteorder(state[1]) if state[1] in ("<", ">", "=") else dtype


def _make_array(arguments: tuple, state: Any) -> Any:
    if not (isinstance(state, tuple) and len(state) == 5):
        raise InputError("holds an array without contents")
    _, shape, dtype, fortran, data = state
    if not (isinstance(shape, tuple) and isinstance(dtype, np.dtype)):
        raise InputError("holds an array without shape or type")
    if dtype != np.dtype(object):
        return make_array_of(as_bytes(data), dtype, shape, bool(fortran))
    sides = all(isinstance(side, int) and side >= 0 for side in shape)
    if not (sides and isinstance(data, list) and math.prod(shape) == len(data)):
        raise InputError(f"promises objects of shape {shape} that are not there")
    if not shape:
        return data[0]
    array = np.empty(len(data), object)
    array[:] = data
    return array.reshape(shape, order="F" if fortran else "C")


def _make_scalar(arguments: tuple, state: Any) -> Any:
    dtype, data = arguments
    if dtype == np.dtype(object):
        raise InputError("holds an object where a number should be")
    return make_array_of(as_bytes(data), dtype, (), False)[()]


def _make_buffer(arguments: tuple, state: Any) -> np.ndarray:
    data, dtype, shape, order = arguments
    if not isinstance(dtype, np.dtype) or dtype == np.dtype(object) or not isinstance(shape, tuple):
        raise InputError("holds an array without shape or type")
    return make_array_of(as_bytes(data), dtype, shape, order == "F")


def fields(kind: str, state: Any) -> tuple[Any, ...]:
    """The attributes of an object's state that :data:`BUILT` names.

    Raises:
        InputError: one is missing.
    """
    missing = [name for name in BUILT[kind] if not isinstance(state, dict) or name not in state]
    if missing:
        raise InputError(f"holds a {kind} object without '{missing[0]}'")
    return tuple(state[name] for name in BUILT[kind])


def _make_sparse(kind: str, state: Any) -> Any:
    """A SciPy matrix made from arrays that were compared with its shape first."""
    from scipy import sparse

    shape = state[0]
    arrays = [np.asarray(array) for array in state[1:]]
    data, indices, starts = arrays
    sound = (
        isinstance(shape, tuple) and len(shape) == 2 and all(isinstance(side, int) and side >= 0 for side in shape)
        and all(array.ndim == 1 for array in arrays) and data.dtype.kind in "biuf"
        and indices.dtype.kind in "iu" and starts.dtype.kind in "iu"
    )  # fmt: skip
    if sound:
        major, minor = shape if kind == "csr" else shape[::-1]
        count = len(indices)
        sound = len(data) >= count and len(starts) == major + 1 and starts[0] == 0 and starts[-1] == count
        sound = sound and bool((np.diff(starts.astype(np.int64)) >= 0).all())
        sound = sound and (not count or (int(indices.min()) >= 0 and int(indices.max()) < minor))
    if not sound:
        raise InputError("holds a sparse matrix whose arrays contradict each other")
    build = sparse.csr_matrix if kind == "csr" else sparse.csc_matrix
    return build((data[: len(indices)].copy(), indices.copy(), starts.copy()), shape=shape)


def _make_chumpy(arguments: tuple, state: Any) -> Any:
    (value,) = state
    if not isinstance(value, np.ndarray | np.generic | float | int):
        raise InputError("holds a chumpy object whose value is not an array")
    return np.asarray(value)


def _make_select(arguments: tuple, state: Any) -> np.ndarray:
    """Entries of another array, the one computed chumpy object in published body models."""
    source, chosen, shape = state
    if not (isinstance(source, np.ndarray) and isinstance(chosen, np.ndarray) and chosen.dtype.kind in "iu"):
        raise InputError("holds a chumpy selection that is not of arrays")
    if chosen.size and not (chosen.min() >= 0 and chosen.max() < source.size):
        raise InputError("holds a chumpy selection outside of its array")
    result = source.ravel()[chosen]
    return result.reshape(shape) if isinstance(shape, tuple) else result


MAKERS: dict[str, Callable[[tuple, Any], Any]] = {
    "dtype": _make_dtype,
    "array": _make_array,
    "scalar": _make_scalar,
    "buffer": _make_buffer,
    "csc": lambda _, state: _make_sparse("csc", state),
    "csr": lambda _, state: _make_sparse("csr", state),
    "chumpy": _make_chumpy,
    "select": _make_select,
}
"""How each kind of object is made of its arguments and its state."""
