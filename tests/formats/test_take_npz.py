# SPDX-License-Identifier: Apache-2.0
"""A take survives its file, and no damaged file becomes a take."""

from __future__ import annotations

import contextlib
import time
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from hyoid.characters import arkit
from hyoid.errors import InputError
from hyoid.formats import read_take, take_npz
from hyoid.formats.npz import read_npz, write_npz
from hyoid.take import AudioReference, CharacterReference, Keys

from tests import toy
from tests.formats.fuzz import survives


def full_take():
    take = toy.take(audio=AudioReference("voices/a b.flac", "f" * 64, 1.25, -0.2))
    keys = {
        "jawOpen": Keys(np.array([0, 0.5, 1]), np.array([0, 1, 0.25], np.float32)),
        "oc1.rotation": Keys(np.array([0.1]), np.array([[1, 0, 0, 0]], np.float32)),
        "root": Keys(np.array([0, 1.0]), np.array([[0, 0, 0], [0, 0.1, 0]], np.float32)),
    }
    points = np.random.default_rng(3).normal(size=(take.frames, 11, 3)).astype(np.float32)
    return replace(take, keys=keys, points=points)


def changed(tmp_path, **arrays):
    """A file of the full take with some arrays replaced."""
    take_npz.write(tmp_path / "a.take.npz", full_take())
    write_npz(tmp_path / "b.take.npz", read_npz(tmp_path / "a.take.npz") | arrays)
    return tmp_path / "b.take.npz"


def test_everything_in_a_take_comes_back(tmp_path):
    take = full_take()
    take_npz.write(tmp_path / "a.take.npz", take)
    back = read_take(tmp_path / "a.take.npz")
    assert back.audio == replace(take.audio, path=str(tmp_path / "voices" / "a b.flac"))
    for name in ("fps", "curve_names", "joint_names", "events", "character", "provenance", "mode"):
        assert getattr(back, name) == getattr(take, name), name
    for name in ("curves", "rotations", "root", "confidence", "points"):
        assert getattr(back, name).dtype == np.float32
        np.testing.assert_array_equal(getattr(back, name), getattr(take, name), name)
    assert list(back.keys) == list(take.keys)
    for name, keys in take.keys.items():
        np.testing.assert_array_equal(back.keys[name].times, keys.times)
        np.testing.assert_array_equal(back.keys[name].values, keys.values)


def test_a_take_without_curves_joints_events_comes_back(tmp_path):
    take = replace(
        toy.take(3), curve_names=(), curves=np.zeros((3, 0), np.float32), joint_names=(), events=(),
        rotations=np.zeros((3, 0, 4), np.float32),
    )  # fmt: skip
    take_npz.write(tmp_path / "a.take.npz", take)
    back = take_npz.read(tmp_path / "a.take.npz")
    assert back.frames == 3
    assert (back.curve_names, back.joint_names, back.events, back.points, back.audio) == ((), (), (), None, None)


def test_equal_takes_give_equal_bytes(tmp_path):
    for name in ("a", "b"):
        take_npz.write(tmp_path / name, full_take())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_numpy_alone_reads_it(tmp_path):
    take_npz.write(tmp_path / "a.take.npz", full_take())
    with np.load(tmp_path / "a.take.npz", allow_pickle=False) as arrays:
        assert arrays["curves"][:, list(arrays["curve_names"]).index("jawOpen")].max() > 0.9


def test_a_hundred_thousand_frames_are_quick_and_compact(tmp_path):
    take = toy.take(100_000)
    start = time.perf_counter()
    take_npz.write(tmp_path / "a.take.npz", take)
    back = take_npz.read(tmp_path / "a.take.npz")
    # 0.3 s on one core of a desktop; ten times that on a busy machine.
    assert time.perf_counter() - start < 5
    np.testing.assert_array_equal(back.curves, take.curves)
    assert (tmp_path / "a.take.npz").stat().st_size < take.curves.nbytes + take.rotations.nbytes + take.root.nbytes


def test_damaged_files_are_refused_or_sound(tmp_path):
    take_npz.write(tmp_path / "a.take.npz", full_take())
    survives(take_npz.read, tmp_path / "a.take.npz")


def test_damage_that_no_checksum_sees_is_refused_or_sound(tmp_path):
    """Stored arrays with right checksums but flipped contents: the checks behind the archive must hold alone."""
    take_npz.write(tmp_path / "a.take.npz", full_take())
    dice = np.random.default_rng(5)
    with zipfile.ZipFile(tmp_path / "a.take.npz") as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    for _ in range(200):
        name = list(entries)[dice.integers(len(entries))]
        data = bytearray(entries[name])
        data[dice.integers(len(data))] ^= 1 << int(dice.integers(8))
        with zipfile.ZipFile(tmp_path / "b.take.npz", "w") as archive:
            for other, content in entries.items():
                archive.writestr(other, bytes(data) if other == name else content)
        with contextlib.suppress(InputError):
            take_npz.write(tmp_path / "c.take.npz", take_npz.read(tmp_path / "b.take.npz"))


NAN = np.float32("nan")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"version": np.array(2)}, "version 2; expected version 1 or older. Update hyoid"),
        ({"format": np.array("other")}, "not a take"),
        ({"fps": np.array(np.nan)}, "frame rate is nan"),
        ({"fps": np.array(0.0)}, "frame rate is 0"),
        ({"curves": np.zeros((40, 55), np.float32)}, r"curves has the shape \(40, 55\); expected \(40, 5[67]\)"),
        ({"curves": np.zeros((0, 56), np.float32)}, "has no frames"),
        ({"curves": np.zeros((40, 56), np.int32)}, "'curves' holds int32"),
        ({"rotations": np.zeros((40, 9, 4), np.float32)}, "rotation of 'c7t1' in frame 0"),
        ({"root": np.full((40, 3), NAN)}, r"root holds 120 numbers that are not finite, the first at index \(0, 0\)"),
        ({"confidence": np.full(40, 1.5, np.float32)}, "confidence leaves 0..1"),
        ({"points": np.zeros((39, 5, 3), np.float32)}, "points has the shape"),
        ({"curve_names": np.array([*arkit.CURVES[:-1], "jawOpen"])}, "two curves are named 'jawOpen'"),
        ({"event_times": np.zeros((2, 3))}, "3 event kinds"),
        ({"event_times": np.array([[1, 0, 1]] * 3, float)}, "event 0"),
        ({"key_channels": np.array(["jawOpen", "nose", "root"])}, "keys belong to 'nose'"),
        ({"key_starts": np.array([0, 9, 4, 6])}, "tables of keys"),
        ({"document": np.frombuffer(b"{]", np.uint8)}, "do not form a take"),
        ({"document": np.frombuffer(b"[" * 100_000, np.uint8)}, "do not form a take"),
    ],
)
def test_senseless_contents_are_named(tmp_path, arrays, message):
    with pytest.raises(InputError, match=message):
        take_npz.read(changed(tmp_path, **arrays))


def test_nan_is_refused_with_its_first_index(tmp_path):
    curves = full_take().curves.copy()
    curves[7, 3] = NAN
    curves[9, 1] = np.inf
    with pytest.raises(InputError, match=r"curves holds 2 numbers that are not finite, the first at index \(7, 3\)"):
        take_npz.read(changed(tmp_path, curves=curves))
    with pytest.raises(InputError, match="not finite"):
        take_npz.write(tmp_path / "c.take.npz", replace(full_take(), curves=curves))
    assert not (tmp_path / "c.take.npz").exists()


def test_a_huge_promise_is_refused_before_memory_is_taken(tmp_path):
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (100000000000, 4), }"
    header += b" " * (117 - len(header)) + b"\n"
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("curves.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(64))
    with pytest.raises(InputError, match="promises 1600000000000 bytes"):
        read_npz(tmp_path / "a.npz")


def test_an_archive_that_unpacks_beyond_reason_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("curves.npy", bytes(10_000_000))
    data = bytearray((tmp_path / "a.npz").read_bytes())
    # The uncompressed size in the central directory, raised to 2 GB.
    place = data.rindex(b"PK\x01\x02") + 24
    data[place : place + 4] = (2_000_000_000).to_bytes(4, "little")
    (tmp_path / "a.npz").write_bytes(data)
    with pytest.raises(InputError, match="more than"):
        read_npz(tmp_path / "a.npz")


def test_the_sound_is_found_again_when_the_folder_moves(tmp_path):
    """Recorded relative to the take; beside it as a second try; absolute when they share no folder."""
    voice = tmp_path / "shot" / "audio" / "voice.wav"
    (tmp_path / "shot" / "takes").mkdir(parents=True)
    voice.parent.mkdir()
    voice.write_bytes(b"x")
    take_npz.write(tmp_path / "shot" / "takes" / "a.take.npz", toy.take(3, audio=AudioReference(str(voice), "", 1.0)))
    document = read_npz(tmp_path / "shot" / "takes" / "a.take.npz")["document"].tobytes().decode()
    assert '"../audio/voice.wav"' in document
    assert str(tmp_path) not in document
    (tmp_path / "shot").rename(tmp_path / "moved")
    take = take_npz.read(tmp_path / "moved" / "takes" / "a.take.npz")
    assert take.audio.path == str(tmp_path / "moved" / "audio" / "voice.wav")
    (tmp_path / "moved" / "audio" / "voice.wav").rename(tmp_path / "moved" / "takes" / "voice.wav")
    take = take_npz.read(tmp_path / "moved" / "takes" / "a.take.npz")
    assert take.audio.path == str(tmp_path / "moved" / "takes" / "voice.wav")
    take_npz.write(tmp_path / "b.take.npz", toy.take(3, audio=AudioReference("/elsewhere/voice.wav", "", 1.0)))
    assert take_npz.read(tmp_path / "b.take.npz").audio.path == "/elsewhere/voice.wav"


def test_the_character_of_a_take_is_named_from_the_take(tmp_path, monkeypatch):
    """A folder with a take and its character can move, and says nothing of the machine that made it."""
    there = tmp_path / "there"
    (there / "HACK").mkdir(parents=True)
    (there / "out").mkdir()
    (there / "a.character.npz").touch()
    for name in (f"hack:{there / 'HACK'}", f"{there / 'a.character.npz'}", "human", "hack:gone", "ict:"):
        take_npz.write(there / "out" / "a.take.npz", replace(toy.take(), character=CharacterReference(name)))
        assert str(tmp_path).encode() not in read_npz(there / "out" / "a.take.npz")["document"].tobytes()
        assert take_npz.read(there / "out" / "a.take.npz").character.name == name
    monkeypatch.chdir(there)  # typed from here, read from here: the same words
    for name in ("hack:HACK", "a.character.npz"):
        take_npz.write(there / "out" / "a.take.npz", replace(toy.take(), character=CharacterReference(name)))
        assert take_npz.read(there / "out" / "a.take.npz").character.name == name
    there.rename(tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path)
    assert take_npz.read(tmp_path / "elsewhere/out/a.take.npz").character.name == "elsewhere/a.character.npz"
