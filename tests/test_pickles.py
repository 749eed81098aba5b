# SPDX-License-Identifier: Apache-2.0
"""Pickles give their data and run nothing: what the field's files hold comes out, all else is refused by name."""

from __future__ import annotations

import builtins
import collections
import os
import pickle
import struct
import sys
import time
import types
import zipfile

import numpy as np
import pytest
from hyoid import pickles
from hyoid.errors import InputError
from scipy import sparse

PROTOCOLS = range(6)
RANDOM = np.random.default_rng(5)


def save(tmp_path, data: bytes, name: str = "a.pkl"):
    path = tmp_path / name
    path.write_bytes(data)
    return path


def same(found, expected) -> None:
    """The same kinds, values, shapes and types, all the way down."""
    if isinstance(expected, np.ndarray) and expected.dtype != object:
        assert isinstance(found, np.ndarray)
        assert found.dtype == expected.dtype.newbyteorder("=")
        np.testing.assert_array_equal(found, expected)
    elif isinstance(expected, dict):
        assert list(found) == list(expected)
        for key in expected:
            same(found[key], expected[key])
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            same(one, other)
    else:
        assert found == expected


CONTENT = {
    "mean": RANDOM.normal(size=(7, 3)).astype(np.float32),
    "fortran": np.asfortranarray(RANDOM.normal(size=(4, 5))),
    "big endian": np.arange(6, dtype=">i4").reshape(2, 3),
    "slice": np.arange(20)[::3],
    "empty": np.zeros((0, 3)),
    "point": np.array(2.5),
    "bool": np.array([True, False]),
    "text": np.array(["c7t1", "oc1"]),
    "number": np.float64(1.5),
    "plain": [1, -2, 2**40, 2**70, 1.25, True, False, None, "ä\n'", b"\x00\xff", b""],
    "tuple": ((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)),
    "set": {1, 2},
    7: {"nested": {}},
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_protocol_gives_the_data(tmp_path, protocol):
    same(pickles.read(save(tmp_path, pickle.dumps(CONTENT, protocol))), CONTENT)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_shared_objects_stay_shared(tmp_path, protocol):
    array = np.arange(5.0)
    found = pickles.read(save(tmp_path, pickle.dumps([array, array, {"again": array}], protocol)))
    assert found[0] is found[1]
    assert found[0] is found[2]["again"]


def test_object_array_with_a_dict_gives_the_dict(tmp_path):
    content = {"mean": CONTENT["mean"], "VT_std": RANDOM.normal(size=(2, 7, 3))}
    path = tmp_path / "S.npy"
    np.save(path, np.array(content))
    same(pickles.read(path), content)


def test_object_array_of_several_keeps_its_shape(tmp_path):
    path = tmp_path / "a.npy"
    content = np.empty((2, 2), object)
    content[:] = [["a", 1], [None, 2.5]]
    np.save(path, content)
    found = pickles.read(path)
    assert found.shape == (2, 2)
    assert found.tolist() == content.tolist()


@pytest.mark.parametrize("array", [np.arange(6.0).reshape(2, 3), np.asfortranarray(np.eye(3, 2)), np.array(3, ">i2")])
def test_plain_npy(tmp_path, array):
    path = tmp_path / "a.npy"
    np.save(path, array)
    same(pickles.read(path), array)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("build", [sparse.csc_matrix, sparse.csr_matrix, sparse.csc_array])
def test_sparse_matrices(tmp_path, protocol, build):
    dense = np.where(RANDOM.random((5, 8)) < 0.4, RANDOM.normal(size=(5, 8)), 0)
    found = pickles.read(save(tmp_path, pickle.dumps({"J_regressor": build(dense)}, protocol)))["J_regressor"]
    np.testing.assert_array_equal(found.toarray(), dense)


def old_names(data: bytes) -> bytes:
    """What Python 2 and old libraries wrote, for names that stand as text lines (protocols 0 to 2)."""
    for new, old in (
        (b"ccopyreg\n", b"ccopy_reg\n"),
        (b"cbuiltins\n", b"c__builtin__\n"),
        (b"cnumpy._core.", b"cnumpy.core."),
        (b"cscipy.sparse._csc\n", b"cscipy.sparse.csc\n"),
    ):
        data = data.replace(new, old)
    return data


@pytest.mark.parametrize("protocol", [0, 1, 2])
def test_names_of_python_2(tmp_path, protocol):
    matrix = sparse.csc_matrix(np.eye(3))
    data = old_names(pickle.dumps({"J": matrix, "v": np.arange(3.0), "s": {1}}, protocol))
    assert b"scipy.sparse.csc\n" in data
    found = pickles.read(save(tmp_path, data))
    np.testing.assert_array_equal(found["J"].toarray(), np.eye(3))
    same(found["v"], np.arange(3.0))


def python_2_array(values: np.ndarray, quoted: bool) -> bytes:
    """A NumPy array as Python 2 pickled it: contents and type letters are byte strings."""

    def text(raw: bytes) -> bytes:
        if quoted:  # protocol 0: the escapes of repr
            return b"S" + repr(raw)[1:].encode() + b"\n"
        return b"U" + bytes([len(raw)]) + raw

    sides = b"".join(b"K" + bytes([side]) for side in values.shape)
    return (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00t" + text(b"b") + b"tR(K\x01("
        + sides + b"tcnumpy\ndtype\n(" + text(b"f8") + b"K\x00K\x01tR(K\x03" + text(b"<") + b"NNNJ\xff\xff\xff\xff"
        b"J\xff\xff\xff\xffK\x00tbI00\n" + text(values.astype("<f8").tobytes()) + b"tb"
    )  # fmt: skip


PLAIN_ARRAY = python_2_array(np.zeros((3, 2)), False) + b"."


@pytest.mark.parametrize("quoted", [True, False])
def test_python_2_byte_strings_are_latin_1(tmp_path, quoted):
    values = RANDOM.normal(size=(3, 2)) * 1e3  # bytes of every kind, far beyond ASCII
    data = b"}(U\x04mean" + python_2_array(values, quoted) + b"U\x04name" + b"U\x02\xe4b" + b"u."
    found = pickles.read(save(tmp_path, data))
    same(found, {"mean": values, "name": "äb"})


@pytest.fixture
def chumpy():
    """Stand-ins under the names of chumpy, there while files are written and gone when they are read."""

    class Ch:
        pass

    class Select:
        pass

    Ch.__module__, Ch.__qualname__ = "chumpy.ch", "Ch"
    Select.__module__, Select.__qualname__ = "chumpy.reordering", "Select"
    names = {"chumpy": types.ModuleType("chumpy")}
    for one in (Ch, Select):
        module = names[one.__module__] = types.ModuleType(one.__module__)
        setattr(module, one.__name__, one)
    sys.modules.update(names)
    yield lambda kind, **state: _with({"Ch": Ch, "Select": Select}[kind], state)
    for name in names:
        sys.modules.pop(name, None)


def _with(kind, state):
    made = kind.__new__(kind)
    made.__dict__.update(state)
    return made


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_chumpy_objects_give_their_array(tmp_path, chumpy, protocol):
    values = RANDOM.normal(size=(4, 3, 5))
    whole = chumpy("Ch", x=values, _dirty_vars=set(), _status="new", _cache={"r": None})
    part = chumpy("Select", a=whole, idxs=np.array([0, 7, 59, 3]), preferred_shape=(2, 2))
    data = pickle.dumps({"shapedirs": whole, "few": part}, protocol)
    for name in ("chumpy", "chumpy.ch", "chumpy.reordering"):
        sys.modules.pop(name)
    found = pickles.read(save(tmp_path, data))
    same(found["shapedirs"], values)
    same(found["few"], values.ravel()[[0, 7, 59, 3]].reshape(2, 2))
    assert "chumpy" not in sys.modules


def test_ordered_dicts(tmp_path):
    content = collections.OrderedDict(b=1, a=np.arange(2))
    same(pickles.read(save(tmp_path, pickle.dumps(content, 2))), {"b": 1, "a": np.arange(2)})
    python_2 = b"ccollections\nOrderedDict\n((lp1\n(lp2\nS'b'\naI1\naatR."
    same(pickles.read(save(tmp_path, python_2)), {"b": 1})


class Foreign:
    """Pickles as a call of anything."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (Foreign(os.system, "touch hacked"), "system"),
        (Foreign(builtins.eval, "1+1"), r"builtin(s|__)\.eval"),
        (Foreign(getattr, {}, "get"), r"builtin(s|__)\.getattr"),
        (Foreign(np.load, "x"), "numpy"),
        (Foreign(np.fromfile, "/etc/passwd"), "fromfile"),
        (collections.Counter("a"), r"collections\.Counter"),
        (np.matrix([[1.0]]), "matrix"),
        (np.array([os.system], object), "system"),
        (types.SimpleNamespace(a=1), "SimpleNamespace"),
        (np.array, "numpy"),
        ({"fine": 1, "deep": [(Foreign(os.system, "touch hacked"),)]}, "system"),
    ],
)
@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_foreign_classes_are_refused_by_name(tmp_path, monkeypatch, content, name, protocol):
    monkeypatch.chdir(tmp_path)
    path = save(tmp_path, pickle.dumps(content, protocol))
    with pytest.raises(InputError, match=name) as caught:
        pickles.read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "hacked").exists()


def test_a_foreign_class_in_an_object_array_is_refused(tmp_path):
    path = tmp_path / "S.npy"
    np.save(path, np.array({"mean": Foreign(os.system, "true")}))
    with pytest.raises(InputError, match="system"):
        pickles.read(path)


@pytest.mark.parametrize(
    "data",
    [
        b"cnumpy.core.multiarray\n_reconstruct\n(c__builtin__\nbytearray\n(I0\ntS'b'\ntR.",  # another class inside
        b"c__builtin__\nobject\n.",  # a class as the result
        b"cnumpy\nndarray\n((I1000000000000\nttR.",  # the class called itself
        b"c__builtin__\nbytes\n(I99999999999\ntR.",  # memory out of one number
        b"c__builtin__\nbytearray\n(I99999999999\ntR.",
        b"cnumpy\ndtype\n(S'V9'\nI0\nI1\ntR.",
        b"cnumpy\ndtype\n(S'f8,O'\nI0\nI1\ntR.",
        b"ccopy_reg\n_reconstructor\n(c__builtin__\nset\nc__builtin__\nobject\nNtR.",
        b"}(]I1\nu.",  # a list as a key
        b"P1\n.",  # persistent ids
        b"\x82\x01.",  # the extension registry
        b"(i__main__\nAnything\n.",
        b"\x80\x05\x97.",  # an out-of-band buffer
        b"I1\nI2\nb.",  # a state for a number
        b"(a.", b"0.", b"t.", b"g9\n.", b".", b"\xff.", b"", b"]I1\n", b"(.", b"I1\nS'a\n.",
        b"cnumpy\nndarray\nR.", b"](I1\ne1.", b"K\x01\x85\x93.", b"cone\n", b"cnumpy\xe2\x80\xae\nx\n.",
    ],
)  # fmt: skip
def test_damaged_and_hostile_bytes_are_refused(tmp_path, data):
    with pytest.raises(InputError, match=r"a\.pkl"):
        pickles.read(save(tmp_path, data))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_cut_files_are_refused(tmp_path, protocol):
    data = pickle.dumps(CONTENT, protocol)
    for tenth in range(10):
        with pytest.raises(InputError):
            pickles.read(save(tmp_path, data[: len(data) * tenth // 10]))
    with pytest.raises(InputError, match=r"cut short|sound"):
        pickles.read(save(tmp_path, data[:-1]))


def test_flipped_bytes_never_escape_as_other_errors(tmp_path):
    data = pickle.dumps(CONTENT | {"sparse": sparse.csc_matrix(np.eye(4))}, 2)
    for place in range(0, len(data), 3):
        for change in (1, 0x80):
            damaged = data[:place] + bytes([data[place] ^ change]) + data[place + 1 :]
            try:
                pickles.parse(damaged, tmp_path)
            except InputError:
                continue


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x04\x8e" + struct.pack("<Q", 1 << 50) + b"few.",
        b"\x80\x04B" + struct.pack("<I", (1 << 32) - 1) + b"few.",
        b"\x80\x02\x8b" + struct.pack("<i", (1 << 31) - 1) + b"few.",
        PLAIN_ARRAY.replace(b"(K\x03K\x02t", b"(J\xff\xff\xff\x7fJ\xff\xff\xff\x7ft"),
        PLAIN_ARRAY.replace(b"\x02f8", b"\x07S999999"),
        PLAIN_ARRAY.replace(b"\x02f8", b"\x02S0").replace(b"(K\x03K\x02t", b"(J\xff\xff\xff\x7fK\x01t"),
    ],
)  # fmt: skip
def test_promises_are_compared_before_memory_is_taken(tmp_path, data):
    import tracemalloc

    path = save(tmp_path, data)
    tracemalloc.start()
    with pytest.raises(InputError):
        pickles.read(path)
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


def test_an_npy_that_promises_too_much(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.zeros(4))
    path.write_bytes(path.read_bytes().replace(b"(4,)", b"(9,)"))
    with pytest.raises(InputError, match="72 bytes"):
        pickles.read(path)


def test_deep_nesting_is_refused(tmp_path):
    with pytest.raises(InputError, match="deep"):
        pickles.read(save(tmp_path, b"]" * 100_000 + b"a" * 99_999 + b"."))


def test_something_that_contains_itself_is_refused(tmp_path):
    loop: list = []
    loop.append(loop)
    with pytest.raises(InputError, match="contains itself"):
        pickles.read(save(tmp_path, pickle.dumps(loop)))


def test_a_memo_bomb_stays_small(tmp_path):
    """Each level names the one below twice: 2 ** 60 leaves if anybody walked them all."""
    level: list | tuple = []
    for _ in range(60):
        level = [level, level]
    start = time.process_time()
    pickles.read(save(tmp_path, pickle.dumps(level)))
    keys = b"K\x01" + b"".join(b"q" + bytes([n]) + b"h" + bytes([n]) + b"\x86" for n in range(60))
    with pytest.raises(InputError, match="key"):
        pickles.read(save(tmp_path, b"}" + keys + b"K\x01s."))  # hashing the key would take for ever
    assert time.process_time() - start < 5


def test_sparse_matrices_that_contradict_themselves_are_refused(tmp_path):
    matrix = sparse.csc_matrix(np.eye(3))
    matrix.indices[1] = 99
    with pytest.raises(InputError, match="contradict"):
        pickles.read(save(tmp_path, pickle.dumps(matrix)))


def test_archives_with_pickled_entries(tmp_path):
    path = tmp_path / "SMPLX.npz"
    np.savez(path, f=np.arange(3), part2num=np.array({"head": 1}))
    found = pickles.read_archive(path)
    same(found, {"f": np.arange(3), "part2num": {"head": 1}})
    np.savez(path, f=np.array(Foreign(os.system, "true"), object))
    with pytest.raises(InputError, match="system"):
        pickles.read_archive(path)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(InputError, match="sound"):
        pickles.read_archive(path)


def test_an_archive_entry_that_promises_too_much(tmp_path):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", b"\x93NUMPY" + bytes(100))
    data = bytearray(path.read_bytes())
    place = data.index(b"PK\x01\x02")
    data[place + 24 : place + 28] = struct.pack("<I", 1 << 31)
    path.write_bytes(data)
    with pytest.raises(InputError, match="promises"):
        pickles.read_archive(path)


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        pickles.read(tmp_path / "nowhere.pkl")
    with pytest.raises(InputError):
        pickles.read(tmp_path)
