# SPDX-License-Identifier: Apache-2.0
"""The .blend of a head motion: bone, empty and mesh are where the head was, in every Blender; halves can be muted."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from hyoid.blender import head_motion
from hyoid.errors import InputError, OutputError, UsageError
from hyoid.files import part_file
from hyoid.geometry import rotations
from hyoid.geometry.registration import Similarity
from hyoid.geometry.rigid import Rigid
from hyoid.report import Report
from hyoid.take import Provenance

from tests.blender import tools

FRAMES, FPS = 30, 24000 / 1001
FIRST = 1  # the scene's frame of frame 0
SEEN = [0, 1, 11, 29]
METRES = 1e-5
PLACEMENT = Similarity(
    0.01,
    rotations.to_matrix(rotations.from_rotation_vector(np.array([-0.5, 0.2, 1.3]))),
    np.array([0.03, 1.7, 0.1]),
)  # fmt: skip
"""A tilted head in centimetres onto the place of the character's."""
VERTICES = np.random.default_rng(4).uniform(-12, 12, (40, 3))
FACES = np.array([[i, i + 1, i + 2, i + 3 if i % 3 else i + 2] for i in range(36)])


def motion(frames=FRAMES):
    """Turns past half a turn, so that quaternions leave the half of positive w; centimetres."""
    phase = np.arange(frames) / 8
    axes = np.stack([np.sin(phase), 1.2 + 0 * phase, np.cos(0.7 * phase)], -1)
    turns = rotations.to_matrix(rotations.from_rotation_vector(axes * np.linspace(0, 2.5, frames)[:, None]))
    return Rigid(turns, np.stack([20 * np.sin(phase), 8 * phase, -15 * np.cos(phase)], -1))


def stabilised(frames=FRAMES, vertices=VERTICES):
    """The target with another expression on every frame, (frames, n, 3) float32."""
    wave = np.sin(np.arange(frames)[:, None, None] / 3 + np.arange(3 * len(vertices)).reshape(-1, 3))
    return (vertices + 0.8 * wave).astype(np.float32)


def placed(points):
    """From the file to Hyoid's metres: any leading dimensions."""
    return PLACEMENT.apply(np.asarray(points).reshape(-1, 3)).reshape(np.shape(points))


def raw(folder: Path, points=None) -> Path:
    path = folder / "points.f32"
    path.write_bytes((stabilised() if points is None else points).astype("<f4").tobytes())
    return path


def write(path, moved=None, **more):
    options = {"mesh": (VERTICES, FACES), "confidence": np.linspace(1, 0.5, FRAMES)} | more
    head_motion.write(path, motion() if moved is None else moved, PLACEMENT, FPS, **options)
    return path


WATCH = """
import json, numpy as np
world = []
for frame in range({frames}):
    scene.frame_set(frame + 1)
    holder = bpy.data.objects["HeadMotion"].evaluated_get(bpy.context.evaluated_depsgraph_get())
    if holder.type == "ARMATURE":
        bone = holder.pose.bones["head"]
        world.append(np.array(holder.matrix_world @ bone.matrix @ bone.bone.matrix_local.inverted()))
    else:
        world.append(np.array(holder.matrix_world))
holder = bpy.data.objects["HeadMotion"]
action = holder.animation_data.action
bag = action if not hasattr(action, "layers") else action.layers[0].strips[0].channelbags[0]
curves = {{f"{{c.data_path}}{{c.array_index}}": [[k.interpolation for k in c.keyframe_points],
           [k.co[1] for k in c.keyframe_points]] for c in bag.fcurves}}
np.savez({out!r}, world=world, curves=np.array(json.dumps(curves)), quality=holder["confidence"],
         action=np.array(action.name), provenance=np.array(holder.get("hyoid_provenance", "")))
"""


def watched(path, folder, version="4.2"):
    """What :func:`tools.probe` sees, and what the holder does in all frames."""
    out = str(folder / "watched.npz")
    seen = tools.probe(path, [f + FIRST for f in SEEN], folder, version, WATCH.format(frames=FRAMES, out=out))
    return seen, dict(np.load(out))


def moved_as_the_head(world, points):
    """Points (n, 3) of the file, seen in Blender's axes, carried by world matrices (F, 4, 4): in Hyoid's metres."""
    rest = placed(points)
    there = np.stack([rest[:, 0], -rest[:, 2], rest[:, 1]], -1)
    moved = there @ world[:, :3, :3].transpose(0, 2, 1) + world[:, None, :3, 3]
    return np.stack([moved[..., 0], moved[..., 2], -moved[..., 1]], -1)


@pytest.fixture(scope="module")
def shots(tmp_path_factory):
    """By the version that wrote it, and by kind: a file with everything; made when it is asked for."""
    made = {}

    def shot(version="4.2", kind="armature"):
        if (version, kind) not in made:
            place = tools.folder_of(version)
            folder = tmp_path_factory.mktemp(f"{kind}-{version}")
            before = os.environ.pop("HYOID_BLENDER", None)
            try:
                if place is not None:
                    os.environ["HYOID_BLENDER"] = str(place)
                with part_file(folder / "shot.blend") as part:
                    origin = Provenance("1.0", "stabilize")
                    write(part, kind=kind, points=raw(folder), provenance=origin, pivot=VERTICES[7], name="nod")
            finally:
                os.environ.pop("HYOID_BLENDER", None)
                if before is not None:
                    os.environ["HYOID_BLENDER"] = before
            made[version, kind] = folder / "shot.blend"
        return made[version, kind]

    return shot


@pytest.mark.blender
@pytest.mark.parametrize("kind", head_motion.KINDS)
@pytest.mark.parametrize("version", tools.VERSIONS)
def test_bone_and_mesh_are_where_the_head_was(shots, kind, version, tmp_path):
    """The file of 4.2 plays in every Blender: on all frames the bone, on some the mesh with its expression."""
    path = shots(kind=kind)
    assert sorted(p.relative_to(path.parent).as_posix() for p in path.parent.rglob("*") if p.is_file()) == [
        "points.f32", "shot.blend", "shot_files/shot.pc2",
    ]  # fmt: skip
    seen, holder = watched(path, tmp_path, version)
    assert seen.info["version"].startswith(version)
    world = holder["world"]
    if kind == "empty":
        # Its own place is the pivot: what it carries from there is what counts.
        pivot = placed(VERTICES[7]) @ np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
        assert np.abs(world[:, :3, 3] - _there(motion().apply(VERTICES[7:8])[:, 0])).max() < METRES
        world = world @ np.linalg.inv(np.block([[np.eye(3), pivot[:, None]], [np.zeros(3), 1]]))
    assert np.abs(moved_as_the_head(world, VERTICES) - placed(motion().apply(VERTICES))).max() < METRES
    wanted = placed(motion().apply(stabilised().astype(float)))
    assert np.abs(seen.vertices["HeadMesh"] - wanted[SEEN]).max() < METRES


def _there(points):
    """Points of the file in Blender's metres and axes."""
    x, y, z = np.moveaxis(placed(points), -1, 0)
    return np.stack([x, -z, y], -1)


@pytest.mark.blender
@pytest.mark.parametrize("version", ["4.5", "5.0"])
@pytest.mark.parametrize("kind", head_motion.KINDS)
def test_other_versions_write_it_too(shots, kind, version, tmp_path):
    seen, _ = watched(shots(version, kind), tmp_path, version)
    wanted = placed(motion().apply(stabilised().astype(float)))
    assert np.abs(seen.vertices["HeadMesh"] - wanted[SEEN]).max() < METRES


@pytest.mark.blender
def test_the_action_is_what_an_artist_expects(shots, tmp_path):
    """One named action, a linear key on every frame, no sign jumps, frame rate and range of the shot."""
    seen, holder = watched(shots(), tmp_path)
    assert str(holder["action"]) == "nod"
    assert seen.info["actions"] == ["nod"]
    curves = json.loads(str(holder["curves"]))
    stem = 'pose.bones["head"]'
    named = [f"{stem}.location{i}" for i in range(3)] + [f"{stem}.rotation_quaternion{i}" for i in range(4)]
    assert sorted(curves) == sorted([*named, '["confidence"]0'])
    for kinds, _ in curves.values():
        assert kinds == ["LINEAR"] * FRAMES
    turns = np.array([curves[name][1] for name in named[3:]]).T
    assert (np.sum(turns[1:] * turns[:-1], -1) > 0).all()
    np.testing.assert_allclose(curves['["confidence"]0'][1], np.linspace(1, 0.5, FRAMES), atol=1e-6)
    assert seen.info["fps"] == pytest.approx(FPS, abs=1e-5)
    assert seen.info["range"] == [1, FRAMES]
    assert '"verb": "stabilize"' in str(holder["provenance"])
    assert seen.info["objects"] == {"HeadMotion": "ARMATURE", "HeadMesh": "MESH"}
    assert seen.info["sounds"] == []


@pytest.mark.blender
def test_before_and_after_by_muting(shots, tmp_path):
    """Without the modifier the target moves; without the action the expression plays on a head that stands still."""
    frames = [f + FIRST for f in SEEN]
    still_face = "m = bpy.data.objects['HeadMesh'].modifiers['Expression']\nm.show_viewport = m.show_render = False"
    seen = tools.probe(shots(), frames, tmp_path, statement=still_face)
    assert np.abs(seen.vertices["HeadMesh"] - placed(motion().apply(VERTICES))[SEEN]).max() < METRES
    still_head = "armature.animation_data.action = None\nbone = armature.pose.bones['head']\n"
    still_head += "bone.location, bone.rotation_quaternion = (0, 0, 0), (1, 0, 0, 0)"
    seen = tools.probe(shots(), frames, tmp_path, statement=still_head)
    assert np.abs(seen.vertices["HeadMesh"] - placed(stabilised())[SEEN]).max() < METRES


@pytest.mark.blender
def test_the_file_may_be_moved_with_its_folder(shots, tmp_path):
    """The path of the cache is relative: another folder on another machine plays the same."""
    home = shots().parent
    for name in ("shot.blend", "shot_files/shot.pc2"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((home / name).read_bytes())
    statement = "assert bpy.data.objects['HeadMesh'].modifiers['Expression'].filepath == '//shot_files/shot.pc2'"
    seen = tools.probe(tmp_path / "shot.blend", [12], tmp_path, statement=statement)
    wanted = placed(motion().apply(stabilised().astype(float)))[11]
    assert np.abs(seen.vertices["HeadMesh"][0] - wanted).max() < METRES


@pytest.mark.blender
@pytest.mark.parametrize("kind", head_motion.KINDS)
def test_without_a_mesh_or_a_cache(kind, tmp_path):
    """Motion alone stands at the file's origin; with a mesh alone the target moves; no folder appears beside it."""
    tools.folder_of("4.2")
    write(tmp_path / "bare.blend", kind=kind, mesh=None)
    _, holder = watched(tmp_path / "bare.blend", tmp_path)
    world = holder["world"]
    if kind == "empty":
        assert np.abs(world[:, :3, 3] - _there(motion().translations)).max() < METRES
    else:
        assert np.abs(moved_as_the_head(world, VERTICES) - placed(motion().apply(VERTICES))).max() < METRES
    write(tmp_path / "mesh.blend", kind=kind)
    seen = tools.probe(tmp_path / "mesh.blend", [f + FIRST for f in SEEN], tmp_path)
    assert np.abs(seen.vertices["HeadMesh"] - placed(motion().apply(VERTICES))[SEEN]).max() < METRES
    assert not list(tmp_path.glob("*_files"))


@pytest.mark.blender
def test_one_frame(tmp_path):
    tools.folder_of("4.2")
    write(tmp_path / "one.blend", motion()[5:6], confidence=None)
    seen = tools.probe(tmp_path / "one.blend", [1], tmp_path)
    assert np.abs(seen.vertices["HeadMesh"][0] - placed(motion()[5:6].apply(VERTICES))[0]).max() < METRES
    assert seen.info["range"] == [1, 1]


def test_the_point_cache_in_blocks(tmp_path, monkeypatch):
    """Long takes go through in blocks: the bytes are those of one piece, in the format's own layout."""
    points = raw(tmp_path)
    fractions = []
    head_motion.write_point_cache(tmp_path / "whole.pc2", points, FRAMES, len(VERTICES), PLACEMENT)
    monkeypatch.setattr(head_motion, "_BLOCK", 7 * 3 * len(VERTICES))
    report = Report(lambda event: fractions.append(event["fraction"]))
    head_motion.write_point_cache(tmp_path / "parts.pc2", points, FRAMES, len(VERTICES), PLACEMENT, report)
    data = (tmp_path / "parts.pc2").read_bytes()
    assert data == (tmp_path / "whole.pc2").read_bytes()
    assert fractions == [0, 7 / 30, 14 / 30, 21 / 30, 28 / 30]
    assert struct.unpack("<12siiffi", data[:32]) == (b"POINTCACHE2\0", 1, len(VERTICES), 1.0, 1.0, FRAMES)
    held = np.frombuffer(data[32:], "<f4").reshape(FRAMES, -1, 3)
    np.testing.assert_allclose(held, placed(stabilised()), atol=1e-6)


def test_points_that_do_not_fit_are_named(tmp_path):
    broken = stabilised()
    broken[12, 3, 1] = np.nan
    for points, said in (
        (broken, r"points\.f32: vertex 3 in frame 12 is not finite"),
        (broken[1:], r"points\.f32: has 13920 bytes; expected 14400: 30 frames of 40 vertices"),
        (None, r"points\.f32: cannot be read: No such file"),
    ):
        path = tmp_path / "points.f32"
        path.unlink(missing_ok=True)
        if points is not None:
            raw(tmp_path, points)
        with pytest.raises(InputError, match=said):
            head_motion.write_point_cache(tmp_path / "a.pc2", path, FRAMES, len(VERTICES), PLACEMENT)


def test_wrong_arguments_are_named(tmp_path):
    path = tmp_path / "shot.blend"
    for options, said in (
        ({"kind": "camera"}, "unknown kind 'camera'; expected armature or empty"),
        ({"mesh": None, "points": tmp_path / "a"}, "there are points, but no mesh"),
    ):
        with pytest.raises(UsageError, match=said):
            write(path, **options)
    with pytest.raises(UsageError, match=r"cannot write '\.fbx' as a Blender file; expected \.blend"):
        write(tmp_path / "shot.fbx")
    broken = np.where(np.arange(120).reshape(40, 3) == 5, np.nan, VERTICES)
    for options, said in (
        ({"mesh": (VERTICES[:20], FACES)}, "faces name vertices that it has not"),
        ({"mesh": (VERTICES, FACES[:, :3])}, r"faces has the shape \(36, 3\); expected \(any, 4\)"),
        ({"mesh": (broken, FACES)}, r"vertices holds 1 numbers that are not finite, the first at index \(1, 2\)"),
        ({"pivot": np.zeros(2)}, r"the pivot has the shape \(2,\)"),
        ({"confidence": np.ones(3)}, r"the confidence has the shape \(3,\); expected \(30\)"),
        ({"moved": motion()[:0], "confidence": None}, "no frames"),
    ):
        with pytest.raises(InputError, match=said):
            write(path, **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.blender
def test_nothing_half_written_stays(tmp_path):
    """Points that turn out bad in the middle, and a folder that is a file: one clear error, an empty folder."""
    tools.folder_of("4.2")
    points = stabilised()
    points[-1, -1, -1] = np.inf
    source = raw(tmp_path, points)
    with pytest.raises(InputError, match="vertex 39 in frame 29"), part_file(tmp_path / "shot.blend") as part:
        write(part, points=source)
    assert list(tmp_path.iterdir()) == [source]
    with pytest.raises(OutputError, match=r"shot\.blend: cannot be written"):
        write(tmp_path / "gone" / "shot.blend")
    assert list(tmp_path.iterdir()) == [source]
