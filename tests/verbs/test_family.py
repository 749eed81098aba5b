# SPDX-License-Identifier: Apache-2.0
"""One talking take plays on every character of the family: in .glb, .usdc and .blend, with the head where it was.

The judges are the Khronos validator, USD's own validators and Blender, whose evaluated vertices are compared with ours.
FLAME and SMPL-X files, and HACK and ICT-FaceKit folders, are made here in the published layouts.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hyoid import characters, cli
from hyoid.characters import hack, ict_data, performance, skeleton_roles
from hyoid.formats import take_npz
from hyoid.geometry import rotations
from hyoid.systems.hack import EXPRESSIONS, checkpoint

from tests import judges
from tests.blender import tools
from tests.characters import smpl_files
from tests.formats.test_usd import problems
from tests.systems import hack_files

ROOT = Path(__file__).resolve().parents[2]
PACKED = ROOT.parent / "shared" / "data" / "ict_facekit"
SECONDS = 1.5
FAMILY = ("human", "ict", "hack", "flame", "smplx")
LICENCES = {
    "human": "CC0-1.0", "ict": "MIT", "hack": "LicenseRef-HACK", "flame": "LicenseRef-FLAME-2020",
    "smplx": "LicenseRef-SMPL-X",
}  # fmt: skip
EXACT = 0.01  # degrees between the head of the source and that of any other character
SPEECH = 0.004  # metres that some point of a speaking face moves at least, without the head's motion

pytestmark = [pytest.mark.slow, pytest.mark.blender]


@pytest.fixture(autouse=True, scope="module")
def surroundings(tmp_path_factory):
    """A cache of this module's own, and no folders of the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HYOID_CACHE", str(tmp_path_factory.mktemp("cache")))
        for name in ("HYOID_ICT", "HYOID_HACK"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="module")
def spoken(tmp_path_factory) -> Path:
    """The take: the first seconds of the example's speech, made once."""
    folder = tmp_path_factory.mktemp("talk")
    samples, rate = soundfile.read(ROOT / "examples" / "talk" / "jfk.flac", frames=int(SECONDS * 44100))
    soundfile.write(folder / "phrase.wav", samples, rate)
    take = folder / "phrase.take.npz"
    text = "and so my fellow"
    assert cli.run_command(["talk", str(folder / "phrase.wav"), "--text", text, "-o", str(take)]) == 0
    return take


@pytest.fixture(scope="module")
def packed():
    """The arrays of ICT-FaceKit and its topology, or None."""
    if not PACKED.is_dir():
        return None
    arrays = np.load(PACKED / "ict_facekit.npz", allow_pickle=False)
    return {name: arrays[name] for name in arrays.files}, gzip.decompress((PACKED / "topology.txt.gz").read_bytes())


@pytest.fixture(scope="module", params=FAMILY)
def member(request, tmp_path_factory, packed) -> tuple[str, str]:
    """A character of the family, and the name by which the command line knows it."""
    kind = request.param
    folder = tmp_path_factory.mktemp(kind)
    if kind == "ict" and packed is None:
        pytest.skip(f"no ICT-FaceKit data in {PACKED}")
    if kind == "ict":
        ict_folder(folder, *packed)
    elif kind == "hack":
        hack_files.write(folder, rings=hack.VERTICES // hack_files.RING, modes=1)
        if packed is not None:
            ict_as_hack(folder, *packed)
    elif kind == "flame":
        folder = smpl_files.write_pkl(folder / "FLAME_NEUTRAL.pkl", smpl_files.arrays("FLAME", 400))
    elif kind == "smplx":
        folder = smpl_files.write_npz(folder / "SMPLX_NEUTRAL.npz", smpl_files.arrays("SMPL-X", 20))
    return kind, kind if kind == "human" else f"{kind}:{folder}"


def points_of(vertices: np.ndarray) -> str:
    return "".join(f"v {x:.7g} {y:.7g} {z:.7g}\n" for x, y, z in vertices.tolist())


def ict_folder(folder: Path, arrays: dict[str, np.ndarray], topology: bytes) -> None:
    """The published layout with one identity."""
    names = arrays["expression_names"].tolist()
    (folder / f"{ict_data.NEUTRAL}.obj").write_bytes(points_of(arrays["neutral"]).encode() + topology)
    (folder / "identity000.obj").write_text(points_of(arrays["identity"][0]))
    for name in ict_data.EXPRESSIONS:
        (folder / f"{name}.obj").write_text(points_of(arrays["expression"][names.index(name)]))


def ict_as_hack(folder: Path, arrays: dict[str, np.ndarray], topology: bytes) -> None:
    """Give a HACK folder the geometry that the real one has: ICT's first vertices, faces and expressions."""
    points = arrays["neutral"][: hack.VERTICES]
    lines = [line.split() for line in topology.decode().splitlines() if line.startswith("f ")]
    faces = [[int(corner.partition("/")[0]) for corner in line[1:]] for line in lines]
    faces = [face for face in faces if max(face) <= hack.VERTICES]
    turn = np.arctan2(points[:, 0], points[:, 2]) / (2 * np.pi) + 0.5
    uv = np.clip(np.stack([turn, (points[:, 1] + 19.4) / 34], -1), 0.01, 0.99)
    text = [points_of(points), *(f"vt {u:.6f} {v:.6f}\n" for u, v in uv.tolist())]
    text += ["f " + " ".join(f"{corner}/{corner}" for corner in face) + "\n" for face in faces]
    (folder / checkpoint.MESH).write_text("".join(text))
    level = np.interp(points[:, 1], [-13, -1], [0, 7])
    np.save(folder / checkpoint.WEIGHTS, np.maximum(1 - np.abs(level - np.arange(8)[:, None]) / 2, 0))
    names = arrays["expression_names"].tolist()
    shapes = [arrays["expression"][names.index(name)] if name in names else arrays["neutral"] for name in EXPRESSIONS]
    absolute = np.stack([arrays["neutral"], *shapes])[:, : hack.VERTICES]
    np.save(folder / checkpoint.BLENDSHAPES, absolute)
    for name in (checkpoint.IDENTITY, checkpoint.EXPRESSION, checkpoint.CORRECTIVE):
        (folder / name).unlink()  # as one who could not download the large files


def heads(character, take) -> np.ndarray:
    """World rotations (frames, 4) of the skull."""
    joint = skeleton_roles.roles_of(character.joint_names)["neck"][-1]
    matrices = performance.joint_transforms(character, performance.perform(character, take))[:, joint, :3, :3]
    return rotations.from_matrix(matrices.astype(float))


def degrees(a: np.ndarray, b: np.ndarray) -> float:
    between = rotations.to_rotation_vector(rotations.multiply(rotations.inverse(a), b))
    return float(np.degrees(np.linalg.norm(between, axis=-1)).max())


def test_the_take_plays_on_it_in_every_format(member, spoken, tmp_path, capfd):
    kind, name = member
    tools.folder_of("4.2")
    files = [tmp_path / f"shot{suffix}" for suffix in (".take.npz", ".glb", ".usdc", ".blend")]
    command = ["convert", str(spoken), *map(str, files), "--character", name, "--part", "head", "--keys", "dense"]
    code = cli.run_command([*command, "--json"])
    said = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert code == 0, said[-1]

    verdict = judges.gltf_verdict(files[1])
    assert verdict["numErrors"] == 0, verdict
    assert problems(files[2]) == []

    character, take = characters.load(name, part="head"), take_npz.read(files[0])
    assert character.licence == LICENCES[kind]
    source = take_npz.read(spoken)
    assert take.frames == source.frames == int(np.ceil(SECONDS * 30))
    wanted = heads(characters.load("human", part="head"), source)
    assert degrees(wanted, wanted[:1]) > 0.5  # the take turns its head at all
    assert degrees(wanted, heads(character, take)) < EXACT

    performed = performance.perform(character, take)
    performed.rotations[:, [name != "jaw" for name in character.joint_names]] = (1, 0, 0, 0)
    face = performance.deform(character, performed)
    assert np.linalg.norm(face - face[:1], axis=-1).max() > SPEECH

    frames = [0, 9, 17, 26, 38]
    seen = tools.probe(files[3], [frame + 1 for frame in frames], tmp_path)
    tools.check(seen, character, take, frames)
