# SPDX-License-Identifier: Apache-2.0
"""hyoid lift: keypoints of any detector to people on the ground, and what bad keypoints are told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hyoid import characters
from hyoid.characters import neck
from hyoid.cli import run_command
from hyoid.formats import bvh, lifted_npz, take_npz
from hyoid.geometry import rotations

from tests.motion import walks
from tests.verbs import lift_files as files

pytest.importorskip("torch")


@pytest.fixture(scope="module")
def shot(tmp_path_factory) -> Path:
    return files.write(tmp_path_factory.mktemp("shot") / "walk.npz", files.walking())


@pytest.fixture(scope="module")
def lifted(shot) -> Path:
    path = shot.with_name("walk.lifted.npz")
    assert run_command(["lift", str(shot), "-o", str(path)]) == 0
    return path


def ended(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, dict]:
    """The exit code and the last event."""
    code = run_command(["lift", *map(str, words), "--json"])
    event = json.loads(capsys.readouterr().out.splitlines()[-1])
    return code, event.get("result", event)


def messages(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    run_command(["lift", *map(str, words), "--json"])
    events = map(json.loads, capsys.readouterr().out.splitlines())
    return "\n".join(event["text"] for event in events if event["event"] == "message")


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def places_of(path: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    """Joints (F, J, 3) of a take on its character."""
    take = take_npz.read(path)
    human = characters.load(take.character.name)
    rest = human.heads.astype(float)
    places = np.zeros((take.frames, len(rest), 3))
    world = np.zeros((take.frames, len(rest), 4))
    own = {name: take.rotations[:, row] for row, name in enumerate(take.joint_names)}
    for joint, parent in enumerate(human.parents.tolist()):
        turn = own.get(human.joint_names[joint], rotations.identity(take.frames)).astype(float)
        if parent < 0:
            world[:, joint], places[:, joint] = turn, rest[joint] + take.root
        else:
            world[:, joint] = rotations.multiply(world[:, parent], turn)
            places[:, joint] = places[:, parent] + rotations.rotate(world[:, parent], rest[joint] - rest[parent])
    return places, human.joint_names


# --- what it is for ---------------------------------------------------------------------------------------------------


def test_somebody_who_walks_walks_on_the_ground(shot, tmp_path, capsys):
    code, told = ended(capsys, shot, "-o", tmp_path / "walk.take.npz", "-o", tmp_path / "walk.bvh")
    assert code == 0
    person = told["people"][0]
    assert person["seen_seconds"] == 3.0
    # Targets of the chain: feet that stand do not slide, and nothing is below the ground.
    assert person["quality"]["skate"] < 5
    assert person["quality"]["penetration"] < 10
    assert person["quality"]["bone_variance"] < 1e-12
    take = take_npz.read(tmp_path / "walk.take.npz")
    assert take.frames == 90
    assert take.provenance.verb == "lift"
    assert {source.role for source in take.provenance.sources} == {"input", "weights", "character"}
    places, names = places_of(tmp_path / "walk.take.npz")
    hips = places[:, names.index("root")]
    assert np.abs(hips[0, [0, 2]]).max() < 0.1  # the first frame stands at the origin
    # Three metres in three seconds; a body of unknown size and a lens that is guessed leave a fifth open.
    assert np.linalg.norm((hips[-1] - hips[0])[[0, 2]]) == pytest.approx(3.0, rel=0.35)
    found = bvh.read(tmp_path / "walk.bvh")
    assert found.frames == 90
    sidecar = json.loads((tmp_path / "walk.bvh.json").read_text())
    assert sidecar["settings"]["quality"]["skate"] == person["quality"]["skate"]


def test_equal_keypoints_give_equal_bytes(lifted, tmp_path):
    for name in ("a", "b"):
        assert run_command(["lift", str(lifted), "-o", str(tmp_path / f"{name}.bvh")]) == 0
    assert (tmp_path / "a.bvh").read_bytes() == (tmp_path / "b.bvh").read_bytes()


def test_redoing_gives_what_lifting_gave(shot, lifted, tmp_path):
    for name, source in (("a", shot), ("b", lifted)):
        assert run_command(["lift", str(source), "--smoothing", "0.5", "-o", str(tmp_path / f"{name}.take.npz")]) == 0
    one, other = (take_npz.read(tmp_path / f"{name}.take.npz") for name in "ab")
    # The file keeps float32.
    np.testing.assert_allclose(one.rotations, other.rotations, atol=2e-3)


def test_products_of_rounded_numbers_move_joints_by_millimetres(shot, lifted, tmp_path, capsys):
    assert run_command(["lift", str(shot), "--precision", "bfloat16", "-o", str(tmp_path / "fast.lifted.npz")]) == 0
    exact, fast = (np.load(path)["joints"] for path in (lifted, tmp_path / "fast.lifted.npz"))
    apart = np.linalg.norm(exact - fast, axis=-1)
    assert 0 < np.nanmax(apart) < 0.02
    words = ["--system", "hopfir", "--precision", "bfloat16"]
    assert "--system ktpformer" in refused(capsys, tmp_path, shot, *words, code=2)


def test_the_neck_shares_the_turn_of_the_head(lifted, tmp_path):
    assert run_command(["lift", str(lifted), "-o", str(tmp_path / "walk.take.npz")]) == 0
    take = take_npz.read(tmp_path / "walk.take.npz")
    rows = [take.joint_names.index(name) for name in neck.JOINTS]
    head = neck.collapse(take.rotations[:, rows].astype(float))
    wanted = neck.distribute(characters.load("human").neck, head)
    off = 2 * np.arccos(np.clip(np.abs((wanted * take.rotations[:, rows]).sum(-1)), 0, 1))
    assert np.degrees(off).max() < 3  # smoothing of each joint leaves the shares nearly as they are


def test_feet_are_as_firm_as_asked_for(lifted, tmp_path, capsys):
    def slides(strength: float) -> float:
        path = tmp_path / f"{strength}.take.npz"
        assert ended(capsys, lifted, "--foot-lock", strength, "-o", path)[0] == 0
        places, names = places_of(path)
        feet = places[:, [names.index("foot.L"), names.index("foot.R")]]
        steps = np.linalg.norm(np.diff(feet, axis=0)[..., [0, 2]], axis=-1)
        return float(np.quantile(steps, 0.2))

    free, half, firm = slides(0), slides(0.5), slides(1)
    assert firm < 0.003
    assert firm < half < free


def test_a_rate_of_ones_own_keeps_the_seconds(lifted, tmp_path, capsys):
    lengths = {}
    for fps in ("24", "29.97", "60"):
        code, told = ended(capsys, lifted, "--fps", fps, "-o", tmp_path / f"{fps}.take.npz")
        assert code == 0
        lengths[fps] = told["seconds"]
    # 90 frames of 1/30 s, the last one begins at 2.967 s.
    assert all(abs(seconds - 3.0) < 1.1 / 24 for seconds in lengths.values())
    assert take_npz.read(tmp_path / "29.97.take.npz").fps == pytest.approx(30000 / 1001)


def test_a_variable_frame_rate_lands_on_the_same_seconds(tmp_path):
    truth = walks.walk(seconds=4, fps=60, heading=1.2)
    points = files.keypoints(truth, noise=0.0)
    random = np.random.default_rng(3)
    rows = np.sort(random.choice(np.arange(1, 239), 130, replace=False))
    rows = np.concatenate([[0], rows, [239]])
    files.write(tmp_path / "even.npz", points[::2])
    files.write(tmp_path / "uneven.npz", points[rows], fps=None, times=rows / 60)
    for name in ("even", "uneven"):
        words = ["lift", str(tmp_path / f"{name}.npz"), "--fps", "30", "-o", str(tmp_path / f"{name}.take.npz")]
        assert run_command([*words, "--system", "hopfir", "--place", "camera"]) == 0
    one, other = (places_of(tmp_path / f"{name}.take.npz")[0] for name in ("even", "uneven"))
    frames = min(len(one), len(other))
    # A frame of delay would be 33 mm on a walk of a metre a second.
    assert np.median(np.linalg.norm(one[:frames, 0] - other[:frames, 0], axis=-1)) < 0.03


@pytest.mark.parametrize(("skeleton", "hips"), [
    ("mixamo", "mixamorig:Hips"), ("rigify", "spine"), ("cmu", "Hips"), ("smplx", "pelvis"),
])  # fmt: skip
def test_bones_have_the_names_of_the_program_they_go_to(lifted, tmp_path, skeleton, hips):
    path = tmp_path / "walk.bvh"
    assert run_command(["lift", str(lifted), "--skeleton", skeleton, "-o", str(path)]) == 0
    assert bvh.read(path).joint_names[0] == hips


@pytest.mark.slow
def test_every_type_of_file_is_written(lifted, tmp_path):
    names = ["walk.glb", "walk.usdc", "walk.fbx", "walk.blend", "walk.csv", "walk.take.npz", "walk.lifted.npz"]
    words = [word for name in names for word in ("-o", str(tmp_path / name))]
    assert run_command(["lift", str(lifted), *words]) == 0
    assert all((tmp_path / name).stat().st_size > 500 for name in names)


def test_the_film_shows_every_frame(tmp_path):
    from hyoid.media import video

    path = files.write(tmp_path / "short.npz", files.walking(seconds=0.5))
    assert run_command(["lift", str(path), "--system", "hopfir", "-o", str(tmp_path / "walk.mp4")]) == 0
    facts = video.probe(tmp_path / "walk.mp4")
    assert (facts.frames, float(facts.fps)) == (15, 30.0)


def test_openpose_frames_keep_their_gaps(tmp_path, capsys):
    points = files.walking()
    folder = files.openpose(tmp_path / "json", points[:40], first=100)
    files.openpose(folder, points[75:], first=175)
    code, told = ended(
        capsys, folder, "--size", "1280x720", "--source-fps", 30, "--system", "hopfir", "-o", tmp_path / "w.take.npz"
    )
    assert code == 0
    assert told["layout"] == "body25"
    take = take_npz.read(tmp_path / "w.take.npz")
    assert take.frames == 90
    hidden = [event for event in take.events if event.kind == "hidden"]
    assert [(event.start, event.end) for event in hidden] == [(pytest.approx(40 / 30), pytest.approx(75 / 30))]
    assert (take.confidence[40:75] == 0).all()
    assert (take.confidence[:40] > 0).all()


# --- several people ---------------------------------------------------------------------------------------------------


def test_people_who_cross_stay_who_they_are(tmp_path, capsys):
    one = files.keypoints(walks.walk(seconds=4, heading=np.pi / 2), distance=5.0, seed=1)
    other = files.keypoints(walks.walk(seconds=4, heading=-np.pi / 2), distance=7.0, seed=2)
    both = np.stack([one, other], 1)
    both[::2] = both[::2, ::-1]  # a detector lists people in any order
    path = files.write(tmp_path / "two.npz", both)
    out = tmp_path / "two.take.npz"
    code, told = ended(capsys, path, "--person", "all", "-o", out, "-o", tmp_path / "two.lifted.npz")
    assert code == 0
    assert [person["name"] for person in told["people"]] == ["person_01", "person_02"]
    assert left_in(tmp_path) == ["two.lifted.npz", "two.npz", "two.person_01.take.npz", "two.person_02.take.npz"]
    people = lifted_npz.read(tmp_path / "two.lifted.npz").people
    middles = sorted((person.keypoints[:, 0] for person in people), key=lambda points: points[0, 0])
    for found, wanted in zip(middles, sorted((one[:, 0], other[:, 0]), key=lambda p: p[0, 0]), strict=True):
        assert np.abs(found - wanted).max() < 1e-2


def test_numbers_of_the_detector_are_who_people_are(tmp_path, capsys):
    one, other = files.walking(), files.walking(distance=7.0, seed=1)
    ids = np.tile([7, 3], (len(one), 1))
    ids[1::2] = ids[1::2, ::-1]
    both = np.stack([one, other], 1)
    both[1::2] = both[1::2, ::-1]
    path = files.write(tmp_path / "two.npz", both, ids=ids)
    code, told = ended(capsys, path, "--system", "hopfir", "-o", tmp_path / "main.lifted.npz")
    assert code == 0
    assert told["others"] == [{"name": "person_02", "seen_seconds": 3.0, "first": 0.0, "last": 2.967, "id": 7}]
    found = lifted_npz.read(tmp_path / "main.lifted.npz").people
    assert np.abs(found[0].keypoints - other).max() < 1e-2  # number 3 comes first


def test_a_hundred_people(tmp_path, capsys):
    shown = [files.walking(seconds=0.5, distance=4 + 0.1 * n, aside=-2 + 0.04 * n, seed=n) for n in range(100)]
    ids = np.tile(np.arange(100), (15, 1))
    path = files.write(tmp_path / "crowd.npz", np.stack(shown, 1), ids=ids)
    code, told = ended(capsys, path, "--system", "hopfir", "--person", "person_42", "-o", tmp_path / "one.bvh")
    assert code == 0
    assert [person["name"] for person in told["people"]] == ["person_42"]
    assert len(told["others"]) == 99


# --- what is bad, and what looks bad ----------------------------------------------------------------------------------


def refused(capsys, tmp_path, *words: object, code: int = 3) -> str:
    before = left_in(tmp_path)
    found, told = ended(capsys, *words, "-o", tmp_path / "out.bvh")
    assert found == code
    assert left_in(tmp_path) == before  # no partial file
    return told["error"]


def test_unknown_joints_are_named_with_the_closest_guess(tmp_path, capsys):
    path = files.write(tmp_path / "odd.npz", np.ones((5, 19, 2)), layout=None)
    text = refused(capsys, tmp_path, path)
    assert "19 joints" in text
    assert "coco18" in text


def test_the_guess_is_told_with_its_reason(tmp_path, capsys):
    path = files.write(tmp_path / "walk.npz", files.walking(), layout=None)
    told = messages(capsys, path, "--system", "hopfir", "-o", tmp_path / "walk.bvh")
    assert "17 joints: Human3.6M-17, because" in told


def test_the_size_of_the_picture_is_asked_for(tmp_path, capsys):
    path = files.write(tmp_path / "walk.npz", files.walking(), width=None, height=None)
    assert "--size 1920x1080" in refused(capsys, tmp_path, path)
    assert ended(capsys, path, "--size", "1280x720", "--system", "hopfir", "-o", tmp_path / "w.bvh")[0] == 0
    assert "--size 0x720" in refused(capsys, tmp_path, path, "--size", "0x720", code=2)


def test_nobody_who_is_trusted_is_nobody(tmp_path, capsys):
    points = files.walking()
    path = files.write(tmp_path / "none.npz", points, confidence=np.zeros(points.shape[:2]))
    assert "confidences that are not all 0" in refused(capsys, tmp_path, path)
    path = files.write(tmp_path / "low.npz", points, confidence=np.full(points.shape[:2], 0.02))
    assert "--confidence" in refused(capsys, tmp_path, path)


def test_numbers_that_are_not_finite_are_named(tmp_path, capsys):
    points = files.walking()
    points[7, 3, 1] = np.inf
    path = files.write(tmp_path / "bad.npz", points, confidence=np.ones(points.shape[:2]))
    assert "frame 7" in refused(capsys, tmp_path, path)


def test_no_frames_a_second_are_refused(tmp_path, shot, capsys):
    path = files.write(tmp_path / "zero.npz", files.walking(), fps=0.0)
    assert "frame rate is 0" in refused(capsys, tmp_path, path)
    assert "source-fps" in refused(capsys, tmp_path, shot, "--source-fps", 0, code=2)


def test_one_frame_is_a_pose(tmp_path, capsys):
    path = files.write(tmp_path / "one.npz", files.walking()[:1])
    code, told = ended(capsys, path, "-o", tmp_path / "pose.take.npz")
    assert (code, told["frames"]) == (0, 1)
    assert np.isfinite(take_npz.read(tmp_path / "pose.take.npz").rotations).all()


def test_somebody_without_legs_is_a_guess_that_is_told(tmp_path, capsys):
    points = files.walking()
    points[:, [2, 3, 5, 6]] = np.nan
    path = files.write(tmp_path / "half.npz", points)
    told = messages(capsys, path, "--system", "hopfir", "-o", tmp_path / "half.take.npz")
    assert "left knee (0 %)" in told
    assert np.isfinite(take_npz.read(tmp_path / "half.take.npz").rotations).all()


def test_a_wrong_person_system_or_output_is_told_before_the_work(tmp_path, shot, lifted, capsys):
    assert "person_01" in refused(capsys, tmp_path, lifted, "--person", "person_09", code=2)
    assert "unknown file type" in ended(capsys, shot, "-o", tmp_path / "walk.xyz")[1]["error"]
    assert ended(capsys, shot, "-o", shot)[0] == 2
    assert "unknown character" in refused(capsys, tmp_path, shot, "--character", "nobody", code=2)
    assert refused(capsys, tmp_path, shot, "--weights", tmp_path / "none.safetensors", code=4)
    assert refused(capsys, tmp_path, tmp_path / "missing.json")


def test_damaged_lifted_people_are_refused(tmp_path, lifted, capsys):
    (tmp_path / "cut.lifted.npz").write_bytes(lifted.read_bytes()[:-200])
    assert "not a sound .npz" in refused(capsys, tmp_path, tmp_path / "cut.lifted.npz")
    arrays = dict(np.load(lifted))
    arrays["joints"] = arrays["joints"][:, :-1]
    np.savez(tmp_path / "short.lifted.npz", **arrays)
    assert "shape" in refused(capsys, tmp_path, tmp_path / "short.lifted.npz")
    del arrays["times"]
    np.savez(tmp_path / "less.lifted.npz", **arrays)
    assert "lacks times" in refused(capsys, tmp_path, tmp_path / "less.lifted.npz")


def test_a_video_needs_a_detector(tmp_path, capsys):
    from hyoid.media import video

    film = tmp_path / "film.mp4"
    video.write(film, iter([np.zeros((64, 64, 3), np.uint8)] * 3), 30)
    code = ended(capsys, film, "-o", tmp_path / "out.bvh")
    assert code[0] in (4, 6)  # MediaPipe is not there, or its model is not
    assert "keypoints of another detector" in code[1]["error"]


# --- what lies in the files -------------------------------------------------------------------------------------------


def test_info_tells_what_keypoints_and_lifted_people_are(shot, lifted, capsys):
    for path, kind in ((shot, "keypoints"), (lifted, "lifted")):
        assert run_command(["info", str(path), "--json"]) == 0
        told = json.loads(capsys.readouterr().out.splitlines()[-1])["result"]
        assert (told["type"], told["contents"]["frames"]) == (kind, 90)
    assert told["contents"]["people"] == {"person_01": "seen in 90 frames"}
    assert told["licence"]["commercial"] in ("yes", "ask")
    assert run_command(["check", str(shot), str(lifted)]) == 0
