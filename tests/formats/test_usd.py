# SPDX-License-Identifier: Apache-2.0
"""USD files satisfy every validator and deform as the performance does, by USD's own skinning and in Blender."""

import dataclasses
import hashlib
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hyoid.characters import arkit
from hyoid.characters.character import Material
from hyoid.errors import InputError, OutputError
from hyoid.files import part_file
from hyoid.formats import usd
from hyoid.take import AudioReference
from PIL import Image
from pxr import Sdf, Usd, UsdGeom, UsdMedia, UsdShade, UsdSkel, UsdValidation

from tests import toy
from tests.blender import tools

FRAMES = [0, 7, 13, 22, 39]


def problems(path):
    registry = UsdValidation.ValidationRegistry()
    validators = registry.GetOrLoadAllValidators()
    assert len(validators) >= 30
    return [
        error.GetMessage() for error in UsdValidation.ValidationContext(validators).Validate(Usd.Stage.Open(str(path)))
    ]


@pytest.fixture
def dressed(tmp_path):
    """A character with every kind of map and every kind of transparency, and a take with sound."""
    maps = {}
    for name, mode in (("colour", "RGBA"), ("normal", "RGB"), ("roughness", "RGB")):
        maps[f"{name}_map"] = tmp_path / f"{name}.png"
        Image.new(mode, (8, 8)).save(maps[f"{name}_map"])
    materials = {
        "skin": Material("skin", (0.9, 0.8, 0.7, 1), 0.7, alpha="mask", subsurface=0.2, **maps),
        "eye": Material("eye", (1, 1, 1, 0.06), 0.02, alpha="blend", double_sided=True),
    }
    sound = tmp_path / "voice one.wav"
    soundfile.write(sound, np.zeros(16000), 16000)
    audio = AudioReference(str(sound), hashlib.sha256(sound.read_bytes()).hexdigest(), 1.0)
    return dataclasses.replace(toy.character(), materials=materials), toy.take(audio=audio)


@pytest.mark.parametrize("suffix", [".usda", ".usdc"])
def test_all_validators_are_content(dressed, suffix, tmp_path):
    character, take = dressed
    out = tmp_path / "out"
    with part_file(out / f"shot{suffix}") as part:
        usd.write(part, character, take)
    assert problems(out / f"shot{suffix}") == []
    files = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    beside = ["colour.png", "normal.png", "roughness.png", "voice_one.wav"]
    assert files == [f"shot{suffix}", *(f"shot_files/{name}" for name in beside)]
    usd.write(out / f"rest{suffix}", toy.character())
    assert problems(out / f"rest{suffix}") == []


@pytest.mark.parametrize("suffix", [".usda", ".usdc"])
def test_equal_input_gives_equal_bytes(dressed, suffix, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        usd.write(tmp_path / name / f"shot{suffix}", *dressed)
    assert (tmp_path / f"a/shot{suffix}").read_bytes() == (tmp_path / f"b/shot{suffix}").read_bytes()


def test_usd_skins_it_to_the_performance(tmp_path):
    """The judge is USD's own skinning: blend shapes, then joints, baked into points."""
    character, take = toy.character(), toy.take()
    usd.write(tmp_path / "shot.usdc", character, take)
    stage = Usd.Stage.Open(str(tmp_path / "shot.usdc"))
    assert UsdSkel.BakeSkinning(UsdSkel.Root(stage.GetDefaultPrim()))
    vertices, _ = tools.expected(character, take, FRAMES)
    for part in character.parts:
        points = UsdGeom.Mesh(stage.GetPrimAtPath(f"/toy/{part.name}")).GetPointsAttr()
        baked = np.stack([np.array(points.Get(frame)) for frame in FRAMES])
        assert np.abs(baked - vertices[:, part.vertices]).max() < 1e-5, part.name


@pytest.mark.blender
@pytest.mark.parametrize("version", tools.VERSIONS)
def test_blender_reads_it_as_the_performance(dressed, version, tmp_path):
    character, take = dressed
    usd.write(tmp_path / "shot.usdc", character, take)
    seen = tools.probe(tmp_path / "shot.usdc", FRAMES, tmp_path, version)
    tools.check(seen, character, take, FRAMES, plain=lambda name: name.replace(".", "_"))
    assert seen.info["keys"]["body"][1:] == [*arkit.NAMES, *arkit.LARYNX_SHAPES]


def test_structure_and_metadata(dressed, tmp_path):
    character, take = dressed
    usd.write(tmp_path / "shot.usda", character, take)
    stage = Usd.Stage.Open(str(tmp_path / "shot.usda"))
    assert UsdGeom.GetStageMetersPerUnit(stage) == 1.0
    assert UsdGeom.GetStageUpAxis(stage) == "Y"
    assert stage.GetTimeCodesPerSecond() == take.fps
    assert (stage.GetStartTimeCode(), stage.GetEndTimeCode()) == (0, take.frames - 1)
    assert "talk" in stage.GetRootLayer().customLayerData["hyoid"]["provenance"]
    skeleton = UsdSkel.Skeleton(stage.GetPrimAtPath("/toy/Skeleton"))
    assert list(skeleton.GetJointNamesAttr().Get()) == list(character.joint_names)
    assert skeleton.GetJointsAttr().Get()[-1].endswith("/eye_R")
    bind = np.array(skeleton.GetBindTransformsAttr().Get())
    assert np.abs(bind[:, 3, :3] - character.heads).max() < 1e-7
    animation = UsdSkel.Animation(stage.GetPrimAtPath("/toy/Animation"))
    assert list(animation.GetBlendShapesAttr().Get()) == [*arkit.NAMES, *arkit.LARYNX_SHAPES]
    assert len(animation.GetRotationsAttr().GetTimeSamples()) == take.frames
    # A part that no shape moves has no blend shapes, not fifty empty ones.
    assert not UsdSkel.BindingAPI(stage.GetPrimAtPath("/toy/eye_left")).GetBlendShapesAttr().HasAuthoredValue()
    audio = UsdMedia.SpatialAudio(stage.GetPrimAtPath("/toy/Voice"))
    assert audio.GetFilePathAttr().Get().path == "./shot_files/voice_one.wav"
    surface = UsdShade.Shader(stage.GetPrimAtPath("/toy/Materials/skin/Surface"))
    assert surface.GetInput("opacityThreshold").Get() == 0.5
    st = UsdGeom.PrimvarsAPI(stage.GetPrimAtPath("/toy/body")).GetPrimvar("st")
    body = character.parts[0]
    assert np.array_equal(np.array(st.ComputeFlattened()), character.uv[character.face_uv[body.faces]].reshape(-1, 2))


def test_triangles_and_odd_names(tmp_path):
    character = toy.character()
    faces, face_uv = character.faces.copy(), character.face_uv.copy()
    faces[0, 3], face_uv[0, 3] = faces[0, 2], face_uv[0, 2]
    parts = (dataclasses.replace(character.parts[0], name="Skeleton"), *character.parts[1:])
    character = dataclasses.replace(character, name="1. Zoë's head", faces=faces, face_uv=face_uv, parts=parts)
    usd.write(tmp_path / "shot.usda", character, toy.take())
    assert problems(tmp_path / "shot.usda") == []
    stage = Usd.Stage.Open(str(tmp_path / "shot.usda"))
    assert stage.GetDefaultPrim().GetName() == "_1__Zo__s_head"
    mesh = UsdGeom.Mesh(stage.GetDefaultPrim().GetChild("Skeleton_1"))
    assert list(mesh.GetFaceVertexCountsAttr().Get())[:2] == [3, 4]


def test_what_cannot_be_written_is_named(dressed, tmp_path):
    character, take = dressed
    broken = character.vertices.copy()
    broken[3, 1] = np.nan
    with pytest.raises(InputError, match=r"vertices holds 1 numbers that are not finite, the first at index \(3, 1\)"):
        usd.write(tmp_path / "shot.usdc", dataclasses.replace(character, vertices=broken), take)
    gone = dataclasses.replace(character.materials["skin"], colour_map=tmp_path / "gone.png")
    with pytest.raises(InputError, match=r"gone\.png: cannot be read"):
        usd.write(
            tmp_path / "shot.usdc",
            dataclasses.replace(character, materials={**character.materials, "skin": gone}),
            take,
        )
    assert not (tmp_path / "shot.usdc").exists()


@pytest.mark.parametrize("suffix", [".usda", ".usdc"])
def test_a_full_disk_is_named_and_leaves_nothing(suffix, tmp_path):
    """A limit on file sizes stands in for it: the write fails in the middle."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        said = f"shot{suffix}: cannot be written: the limit on file sizes"
        with pytest.raises(OutputError, match=said), part_file(tmp_path / f"shot{suffix}") as part:
            usd.write(part, toy.character(), toy.take())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_gone(tmp_path):
    with pytest.raises(OutputError, match="cannot be written"), part_file(tmp_path / "shot.usdc") as part:
        part.parent.rmdir()
        part.parent.write_bytes(b"a file where the folder was")
        usd.write(part, toy.character(), toy.take())


def test_a_sound_that_is_gone_is_left_out(tmp_path):
    take = toy.take(audio=AudioReference(str(tmp_path / "gone.wav"), "0" * 64, 1.0))
    usd.write(tmp_path / "shot.usda", toy.character(), take)
    assert not Sdf.Layer.FindOrOpen(str(tmp_path / "shot.usda")).GetPrimAtPath("/toy/Voice")


def test_nothing_is_printed_on_standard_error(tmp_path):
    """A sound that starts later than the take needs a newer .usdc, of which USD would warn."""
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    code = (
        "import sys; from pathlib import Path; from hyoid.formats import usd; from hyoid.take import AudioReference; "
        "from tests import toy; usd.write(Path(sys.argv[1], 'a.usdc'), toy.character(), "
        "toy.take(5, audio=AudioReference(sys.argv[1] + '/a.wav', '', 1.0, 0.5)))"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
