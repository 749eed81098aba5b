# SPDX-License-Identifier: Apache-2.0
"""hyoid convert: every readable type to the outputs, cut, resampled and thinned, with the take's own character."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hyoid import formats
from hyoid.errors import InputError, UsageError
from hyoid.formats import take_npz
from hyoid.report import SILENT
from hyoid.take import CharacterReference
from hyoid.verbs import convert

from tests import toy


@pytest.fixture
def source(tmp_path):
    """A take of 40 frames for the head of the bundled human."""
    path = tmp_path / "in.take.npz"
    take_npz.write(path, replace(toy.take(), character=CharacterReference("human", {"age": 0.9}, "head")))
    return path


def run(**options):
    return convert.run(convert.Job(**options), SILENT)


@pytest.mark.parametrize("suffix", [".take.npz", ".csv", ".bvh"])
def test_what_is_written_can_be_read_again(tmp_path, source, suffix):
    result = run(source=source, outputs=[tmp_path / f"out{suffix}"])
    assert result["outputs"] == [str(tmp_path / f"out{suffix}")]
    assert result["frames"] == formats.read_take(tmp_path / f"out{suffix}").frames == 40


def test_cut_and_resample(tmp_path, source):
    out = tmp_path / "out.take.npz"
    result = run(source=source, outputs=[out], start=0.5, stop=1.0, fps=60)
    take = take_npz.read(out)
    assert (result["frames"], take.frames, take.fps) == (30, 30, 60.0)
    whole = take_npz.read(source)
    assert np.allclose(take.curves[0], whole.curves[15], atol=1e-6)
    assert np.allclose(take.rotations[0], whole.rotations[15], atol=1e-6)


def test_tolerance_makes_sparse_keys(tmp_path, source):
    out = tmp_path / "out.take.npz"
    run(source=source, outputs=[out], tolerance=0.05)
    keys = take_npz.read(out).keys
    assert keys
    assert len(keys["jawOpen"].times) < 40


def test_the_take_keeps_its_character_unless_told_otherwise(source):
    take = take_npz.read(source)
    job = convert.Job(source=source, outputs=["a.glb"])
    assert convert.edited(take, job).character == take.character
    younger = convert.edited(take, job.model_copy(update={"set": {"age": 0.5}}))
    assert (younger.character.name, younger.character.settings, younger.character.part) == (
        "human", {"age": 0.5}, "head",
    )  # fmt: skip
    assert convert.character_of(younger.character).settings["age"] == 0.5
    whole = convert.edited(take, job.model_copy(update={"part": "full"}))
    assert whole.character == CharacterReference("human", {"age": 0.9}, "full")


HANGING = """HIERARCHY
ROOT Hips
{
	OFFSET 0 1 0
	CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
	JOINT Spine
	{
		OFFSET 0 0.2 0
		CHANNELS 3 Zrotation Xrotation Yrotation
		JOINT Neck
		{
			OFFSET 0 0.3 0
			CHANNELS 3 Zrotation Xrotation Yrotation
			JOINT Head
			{
				OFFSET 0 0.1 0
				CHANNELS 3 Zrotation Xrotation Yrotation
				End Site
				{
					OFFSET 0 0.1 0
				}
			}
		}
	}
}
MOTION
Frames: 3
Frame Time: 0.04
0 1 0 0 0 0 0 0 10 0 0 20 0 0 10
0 1 0 0 0 0 0 0 10 0 0 20 0 0 10
0 1 0 0 0 0 0 0 10 0 0 20 0 0 10
"""


def head_turn(take):
    """Degrees about the vertical that the joints of spine and neck make together."""
    from hyoid.characters import neck
    from hyoid.geometry import rotations

    names = ["spine05", "spine04", "spine03", "spine02", "spine01", *neck.JOINTS]
    turns = [take.rotations[:, take.joint_names.index(name)] for name in names]
    return np.degrees(rotations.to_rotation_vector(neck.collapse(np.stack(turns, 1).astype(float))))[:, 1]


def test_a_skeleton_of_another_kind_reaches_the_character(tmp_path):
    """Without a character a bvh stays what it is; a picture of one, or --character, moves its joints over."""
    (tmp_path / "a.bvh").write_text(HANGING)
    run(source=tmp_path / "a.bvh", outputs=[tmp_path / "as_is.take.npz"])
    assert take_npz.read(tmp_path / "as_is.take.npz").joint_names == ("Hips", "Spine", "Neck", "Head")
    result = run(source=tmp_path / "a.bvh", outputs=[tmp_path / "human.take.npz"], character="human")
    take = take_npz.read(tmp_path / "human.take.npz")
    assert np.allclose(head_turn(take), 40, atol=0.01)
    assert result["character"] == "human"
    assert {row["target"] for row in result["retarget"]["joints"]} > {"c7t1 c6c7 c5c6 c4c5 c3c4 c2c3 c1c2 oc1"}
    assert "groups of joints" in convert.show(result)
    result = run(source=tmp_path / "a.bvh", outputs=[tmp_path / "a.glb"], part="head")
    assert np.allclose(head_turn(formats.read_take(tmp_path / "a.glb")), 40, atol=0.01)


def test_a_piece_moves_as_the_whole(tmp_path):
    """The joints of a neck follow what came before, also when that was cut off."""
    frames = [f"0 1 0 0 0 0 0 0 0 0 0 {30 * np.sin(i / 5):.4f} 0 0 {20 * np.sin(i / 7):.4f}" for i in range(50)]
    text = HANGING.replace("Frames: 3", "Frames: 50")
    (tmp_path / "a.bvh").write_text(text[: text.index("0.04") + 5] + "\n".join(frames) + "\n")
    run(source=tmp_path / "a.bvh", outputs=[tmp_path / "all.take.npz"], character="human")
    run(source=tmp_path / "a.bvh", outputs=[tmp_path / "end.take.npz"], character="human", start=1.0)
    whole, end = (take_npz.read(tmp_path / f"{name}.take.npz") for name in ("all", "end"))
    assert np.array_equal(whole.rotations[25:], end.rotations)


def test_curve_names_of_other_models(tmp_path, source):
    from hyoid.characters import curve_names

    result = run(source=source, outputs=[tmp_path / "a.csv"], curves="hack")
    table = formats.read_take(tmp_path / "a.csv")
    assert table.curve_names[:55] == curve_names.HACK
    assert [row["how"] for row in result["retarget"]["curves"] if row["source"] == "tongueOut"] == [
        "there is no such shape"
    ]
    run(source=tmp_path / "a.csv", outputs=[tmp_path / "back.take.npz"], character="human")
    back, take = take_npz.read(tmp_path / "back.take.npz"), take_npz.read(source)
    assert np.allclose(back.curve("mouthSmileLeft"), take.curve("mouthSmileLeft"), atol=1e-5)
    with pytest.raises(UsageError, match="no expression coefficients"):
        run(source=source, outputs=[tmp_path / "b.csv"], curves="expression")


def test_hacks_recording_on_the_human(tmp_path):
    """Its own character cannot be loaded from this folder: that is told, and the neck goes over all the same."""
    from hyoid.characters import neck
    from hyoid.formats import hack_take
    from hyoid.report import Report

    from tests.formats.test_hack_take import recording

    data = recording(tmp_path)
    told = []
    job = convert.Job(source=data / "theta_list.npy", outputs=[tmp_path / "a.take.npz"], character="human", fps=25)
    convert.run(job, Report(told.append))
    take = take_npz.read(tmp_path / "a.take.npz")
    assert (take.fps, take.character.name) == (25, "human")
    before = hack_take.read(data)
    assert np.allclose(np.abs((take.rotations * before.rotations).sum(-1)), 1, atol=1e-6)
    assert take.joint_names == neck.JOINTS
    assert any("cannot be loaded" in event.get("text", "") for event in told)


def test_geometry_outputs_get_the_character(tmp_path, source):
    from hyoid.formats import glb_read

    run(source=source, outputs=[tmp_path / "a.glb"])
    facts = glb_read.summary(glb_read.read(tmp_path / "a.glb"))
    assert facts["hyoid"]["character"]["settings"]["age"] == 0.9
    assert facts["animation_seconds"] == pytest.approx(39 / 30, abs=1e-5)


def test_picture_and_sheet(tmp_path, source):
    from PIL import Image

    size = {"width": 48, "height": 40}
    run(source=source, outputs=[tmp_path / "a.png"], time=0.4, **size)
    run(source=source, outputs=[tmp_path / "b.png"], sheet=True, **size)
    with Image.open(tmp_path / "a.png") as still, Image.open(tmp_path / "b.png") as sheet:
        assert still.size == (48, 40)
        assert sheet.width == 3 * 48


def test_bad_requests_fail_before_anything_is_written(tmp_path, source):
    with pytest.raises(UsageError, match=r"\.xyz"):
        run(source=source, outputs=[tmp_path / "a.xyz"])
    with pytest.raises(UsageError, match="no frame"):
        run(source=source, outputs=[tmp_path / "a.csv"], start=5)
    with pytest.raises(UsageError, match="cannot be read back"):
        run(source=tmp_path / "a.fbx", outputs=[tmp_path / "a.csv"])
    with pytest.raises(InputError):
        run(source=tmp_path / "gone.bvh", outputs=[tmp_path / "a.csv"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.take.npz"]


def test_the_character_that_shows_a_take_is_among_its_sources(tmp_path, source):
    """Its licence decides what may be done with a film; curves alone carry nothing of it."""
    import json

    run(source=source, outputs=[tmp_path / "a.png", tmp_path / "a.glb"], width=32, height=32)
    sources = json.loads((tmp_path / "a.png.json").read_text())["sources"]
    assert [(entry["role"], entry["name"], entry["licence"]) for entry in sources] == [
        ("character", "human", "CC0-1.0")
    ]
    run(source=source, outputs=[tmp_path / "a.csv"])
    run(source=tmp_path / "a.csv", outputs=[tmp_path / "b.take.npz"])
    origin = take_npz.read(tmp_path / "b.take.npz").provenance
    assert (origin.verb, [(entry.role, entry.name) for entry in origin.sources]) == ("convert", [("input", "a.csv")])


def test_action_units_of_a_table_reach_the_mesh(tmp_path):
    (tmp_path / "a.csv").write_text("time,frame,AU12,AU26\n0,0,0,0\n0.04,1,0.5,1\n0.08,2,1,0\n")
    run(source=tmp_path / "a.csv", outputs=[tmp_path / "a.glb", tmp_path / "b.csv"], part="head")
    shown = formats.read_take(tmp_path / "a.glb")
    assert np.allclose(shown.curve("mouthSmileLeft"), [0, 0.5, 1], atol=1e-6)
    assert shown.curve("jawOpen")[1] > 0.3
    assert formats.read_take(tmp_path / "b.csv").curve_names == ("AU12", "AU26")
