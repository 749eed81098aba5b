# SPDX-License-Identifier: Apache-2.0
"""hyoid stabilize: the head's motion out of meshes of any kind, and what bad meshes are told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hyoid.characters import head_motion
from hyoid.cli import run_command
from hyoid.formats import obj, take_npz
from hyoid.formats.head_motion_files import read_csv
from hyoid.formats.mesh_sequence import open_sequence
from hyoid.geometry.rigid import Rigid
from hyoid.systems.facestab import checkpoint

from tests.characters.heads import decimated
from tests.verbs import stabilize_files as files

FRAMES = 24


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    """Maps of topologies stay out of the user's cache, and are shared by the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HYOID_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("performance")
    return files.write_npz(folder / "shot.npz", files.performance(FRAMES)[0])


def hyoid(*words: object) -> int:
    return run_command(["stabilize", *map(str, words)])


def ended(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, dict]:
    """The exit code and the last event."""
    code = run_command(["stabilize", *map(str, words), "--json"])
    return code, json.loads(capsys.readouterr().out.splitlines()[-1])


def skull_error(found: Rigid, wanted: Rigid) -> np.ndarray:
    """(F,) millimetres, on the skin of the head, between two motions in metres; both relative to the first frame."""
    rest = files.skin()[0]
    points = rest[rest[:, 1] > np.quantile(rest[:, 1], 0.5)][::10]
    return 1000 * np.linalg.norm(found.apply(points) - wanted.apply(points), axis=-1).mean(1)


def left_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# --- what it is for ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["facestab", "regressor", "irls"])
def test_the_skull_stays_and_the_motion_comes_back(made, tmp_path, method):
    out = [tmp_path / "still.npz", tmp_path / "head.csv"]
    assert hyoid(made, "-o", out[0], "--motion", out[1], "--target", "0", "--method", method) == 0
    vertices, motion = files.performance(FRAMES)
    found, fps, names = read_csv(out[1])
    assert fps == 30
    assert len(names) == FRAMES
    assert skull_error(found, motion).max() < 0.5  # millimetres, at up to 14 degrees and 3 centimetres
    still = np.load(out[0])["vertices"].astype(float)
    # What was taken out and the motion make the meshes that were given.
    assert np.abs(found.apply(still) - vertices).max() < 1e-5


def test_a_coarse_cloud_of_points_is_known_to_be_coarse(tmp_path, monkeypatch):
    """The learned motions of skin are seen as the cloud can show them: it has no point where most of ours lie."""
    from hyoid.systems.facestab import infer

    vertices, motion = files.performance(FRAMES)
    face = np.flatnonzero(files.skin()[0][:, 2] > 0.02)
    source = files.write_npz(tmp_path / "cloud.npz", vertices[:, face[::4]], np.zeros((0, 4), np.int32))
    seen, plain = [], infer.shown_on

    def watched(model, points, places, cloud):
        away = np.linalg.norm(points.of(cloud) - places, axis=1)[points.mask > 0]
        seen.append((away, plain(model, points, places, cloud)))
        return seen[-1][1]

    monkeypatch.setattr(infer, "shown_on", watched)
    out = tmp_path / "head.csv"
    assert hyoid(source, "--motion", out, "--target", "0") == 0
    ((away, model),) = seen
    assert 0.0005 < np.median(away) < 0.01  # metres, between the points and what is read off for them
    change = np.abs(model.face.known - checkpoint.load(checkpoint.find("facestab")).face.known)
    assert change.max() > 0.05  # millimetres
    assert skull_error(read_csv(out)[0], motion).max() < 1.0


def test_the_take_moves_the_skull_of_the_human_as_the_head_moved(made, tmp_path):
    from hyoid import characters

    out = tmp_path / "head.take.npz"
    assert hyoid(made, "--motion", out, "--target", "0") == 0
    take = take_npz.read(out)
    assert take.frames == FRAMES
    assert take.confidence.min() > 0.5
    found = head_motion.from_take(take, characters.load("human"))
    turned = found.after(files.head_motion(FRAMES).inverse()).degrees()
    assert turned.max() < 0.3


def test_the_most_neutral_frame_is_the_target(tmp_path, capsys):
    vertices, _ = files.performance(FRAMES)
    path = files.write_npz(tmp_path / "shot.npz", np.roll(vertices, 5, axis=0))
    code, event = ended(capsys, path, "-o", tmp_path / "out.npz")
    assert code == 0
    assert event["result"]["target"] == "5"


def test_a_folder_of_files_keeps_names_order_and_all_but_positions(tmp_path):
    vertices, motion = files.performance(12)
    folder = files.write_folder(tmp_path / "in", vertices)
    for path in folder.iterdir():
        path.write_text("# from a scanner\n" + path.read_text().replace("g skin", "usemtl face\ng skin"))
    assert hyoid(folder, "-o", tmp_path / "out", "--motion", tmp_path / "head.csv", "--target", "frame0") == 0
    assert left_in(tmp_path / "out") == sorted(path.name for path in folder.iterdir())
    found, _, names = read_csv(tmp_path / "head.csv")
    assert names == tuple(f"frame{number}" for number in range(12))  # 2 before 10
    assert skull_error(found, motion).max() < 0.5
    for number in (0, 11):
        before, after = ((tmp_path / side / f"frame{number}.obj").read_text().splitlines() for side in ("in", "out"))
        assert [line for line in before if line[:2] != "v "] == [line for line in after if line[:2] != "v "]
    still = obj.read_vertices(tmp_path / "out" / "frame11.obj")
    assert np.abs(found[11:].apply(still[None])[0] - vertices[11]).max() < 1e-5


def test_any_topology_unit_and_axes(tmp_path):
    """A decimated mesh in centimetres with +Z up: nothing is told, all is found."""
    mesh, rows = decimated(files.human())
    vertices, motion = files.performance(FRAMES)
    turn = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    own = 100 * vertices[:, rows] @ turn.T + [300, 20, 5]
    path = files.write_npz(tmp_path / "shot.npz", own, mesh.faces)
    assert hyoid(path, "--motion", tmp_path / "head.csv", "--target", "0") == 0
    found, _, _ = read_csv(tmp_path / "head.csv")
    placed = found.apply(own[:1, :].repeat(FRAMES, 0))
    wanted = 100 * motion.apply(vertices[0][rows]) @ turn.T + [300, 20, 5]
    assert 10 * np.linalg.norm(placed - wanted, axis=-1).mean(1).max() < 0.6  # millimetres


@pytest.mark.parametrize("half", [False, True])
def test_a_part_of_a_face_is_enough(tmp_path, half):
    """A mask of the face without ears, scalp and neck; of half a face with landmarks picked on it."""
    vertices, motion = files.performance(FRAMES)
    rest, faces = files.skin()
    marks = files.human().landmarks
    height = rest[marks["chin"], 1], rest[marks["forehead"], 1]
    kept = (rest[:, 1] > height[0] - 0.02) & (rest[:, 1] < height[1] + 0.02)
    kept &= rest[:, 2] > rest[marks["nose_tip"], 2] - 0.07
    if half:
        kept &= rest[:, 0] > -0.005
    faces = faces[kept[faces].all(1)]
    rows = np.unique(faces)
    number = np.full(len(rest), -1)
    number[rows] = np.arange(len(rows))
    path = files.write_npz(tmp_path / "shot.npz", vertices[:, rows], number[faces].astype(np.int32))
    picked = [f"{name}={number[marks[name]]}" for name in ("nose_tip", "nasion", "lip_upper_outer", "chin", "forehead")]
    words = [word for mark in picked for word in ("--landmark", mark)] if half else []
    assert hyoid(path, "--motion", tmp_path / "head.csv", "--target", "0", *words) == 0
    found, _, _ = read_csv(tmp_path / "head.csv")
    assert skull_error(found, motion).mean() < 1.0


def test_smoothing_takes_jitter_out_of_the_motion_and_lags_nowhere(tmp_path):
    frames = 60
    vertices, motion = files.performance(frames)
    noisy = vertices + np.random.default_rng(1).normal(0, 2e-4, (frames, 1, 3))
    path = files.write_npz(tmp_path / "shot.npz", noisy)
    rough, soft = tmp_path / "rough.csv", tmp_path / "soft.csv"
    assert hyoid(path, "--motion", rough, "--target", "0") == 0
    assert hyoid(path, "--motion", soft, "--target", "0", "--smooth", "0.3") == 0
    centre = vertices[0].mean(0)
    paths = [read_csv(name)[0].apply(centre[None])[:, 0] for name in (rough, soft)]
    jerk = [np.abs(np.diff(path, 3, axis=0)).mean() for path in paths]
    assert jerk[1] < 0.3 * jerk[0]
    assert skull_error(read_csv(soft)[0], motion).mean() < 0.4


def test_a_set_of_expressions_is_no_sequence(tmp_path, capsys):
    vertices, _ = files.performance(6)
    folder = files.write_folder(
        tmp_path / "set", vertices, ["anna_neutral", "jawOpen", "smile", "blink", "brows", "all"]
    )
    code, event = ended(capsys, folder, "-o", tmp_path / "out", "--motion", tmp_path / "h.csv", "--smooth", "0.5")
    assert code == 0
    assert event["result"]["target"] == "anna_neutral"
    plain = tmp_path / "plain.csv"
    assert hyoid(folder, "--motion", plain) == 0
    assert plain.read_bytes() == (tmp_path / "h.csv").read_bytes()  # nothing to smooth between expressions


def test_one_pair_with_a_target_of_its_own(tmp_path):
    vertices, motion = files.performance(12)
    files.write_folder(tmp_path / "pair", vertices[[0, 9]], ["neutral", "shout"])
    source, target = tmp_path / "pair" / "shout.obj", tmp_path / "pair" / "neutral.obj"
    out = tmp_path / "out" / "shout.obj"
    assert hyoid(source, "--target", target, "-o", out, "--motion", tmp_path / "h.csv") == 0
    assert skull_error(read_csv(tmp_path / "h.csv")[0], motion[9:10]).max() < 0.5
    assert obj.read_vertices(out).shape == vertices[0].shape


def test_a_job_file_says_the_same_with_paths_of_its_own(tmp_path, monkeypatch):
    vertices, _ = files.performance(6)
    folder = tmp_path / "shot"
    files.write_folder(folder / "scans", vertices[1:], [f"f{number}" for number in range(1, 6)])
    obj.write(folder / "neutral.obj", files.mesh_of(vertices[0], files.skin()[1]))
    (folder / "stabilize.toml").write_text(
        'verb = "stabilize"\nmeshes = ["scans"]\ntarget = "neutral.obj"\noutput = ["still"]\nmotion = ["head.csv"]\n'
    )
    monkeypatch.chdir(tmp_path)
    assert run_command(["check", str(folder / "stabilize.toml")]) == 0
    assert run_command(["run", str(folder / "stabilize.toml")]) == 0
    assert len(left_in(folder / "still")) == 5
    assert skull_error(read_csv(folder / "head.csv")[0], files.head_motion(6)[1:]).max() < 0.6


def test_arkit_weights_come_with_the_take(made, tmp_path, capsys):
    out = tmp_path / "face.take.npz"
    code, event = ended(capsys, made, "--motion", out, "--shapes", "human", "--target", "0")
    assert code == 0
    assert event["result"]["shapes"]["explained"] > 0.9
    take = take_npz.read(out)
    wanted = files.weights(FRAMES)
    for name in ("jawOpen", "mouthSmileLeft", "browInnerUp"):
        column = wanted[:, files.SHAPES.index(name)]
        assert np.corrcoef(take.curve(name), column)[0, 1] > 0.97
        assert np.abs(take.curve(name) - column).mean() < 0.08
    assert take.curve("cheekPuff").max() < 0.15
    assert {source.role for source in take.provenance.sources} == {"input", "weights", "character"}


@pytest.mark.slow
def test_an_expression_set_becomes_the_persons_own_shapes(tmp_path, capsys):
    from hyoid import characters

    rest = files.skin()[0]
    names = ["jawOpen", "mouthSmileLeft", "Brow_Inner_Up"]
    shapes = [files.human().offsets(name)[: len(rest)] for name in ("jawOpen", "mouthSmileLeft", "browInnerUp")]
    meshes = np.stack([rest, *(rest + 1.0 * shape for shape in shapes)])
    moved = files.head_motion(40)[::10].apply(meshes)
    folder = files.write_folder(tmp_path / "set", moved, ["neutral", *names])
    out = tmp_path / "anna.character.npz"
    code, event = ended(capsys, folder, "--blendshapes", out)
    assert code == 0
    assert event["result"]["blendshapes"] == ["browInnerUp", "jawOpen", "mouthSmileLeft"]
    found = characters.load(str(out))
    offsets = found.offsets("jawOpen")[: len(rest)]
    low = np.linalg.norm(shapes[0], axis=1) > 0.01
    assert np.median(np.linalg.norm(offsets - shapes[0], axis=1)[low]) < 0.001  # metres


def test_the_report_tells_in_three_forms(made, tmp_path):
    for suffix in (".html", ".png", ".json"):
        path = tmp_path / f"report{suffix}"
        assert hyoid(made, "--report", path) == 0
    page = (tmp_path / "report.html").read_text()
    assert "skull" in page
    assert "<svg" in page
    record = json.loads((tmp_path / "report.json").read_text())
    assert record["verdict"]["grade"] == "good"
    assert (tmp_path / "report.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize("suffix", [".glb", ".usdc", ".npz"])
def test_caches_of_other_kinds(made, tmp_path, suffix):
    out = tmp_path / f"still{suffix}"
    assert hyoid(made, "-o", out, "--target", "0") == 0
    again = tmp_path / "again.csv"
    # Stabilised once, nothing is left to be taken out.
    assert hyoid(out, "--motion", again, "--target", "0") == 0
    motion, _, names = read_csv(again)
    assert len(names) >= FRAMES
    assert motion.degrees().max() < 0.15


def test_equal_inputs_give_equal_bytes(made, tmp_path):
    for folder in ("a", "b"):
        out = tmp_path / folder
        words = [made, "-o", out / "s.npz", "--report", out / "r.html"]
        for name in ("h.csv", "h.take.npz", "h.usda"):
            words += ["--motion", out / name]
        assert hyoid(*words) == 0
    for name in ("s.npz", "r.html", "h.csv", "h.take.npz", "h.usda"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_a_topology_is_mapped_once(made, tmp_path, monkeypatch):
    from hyoid.characters.fit import face_points

    assert hyoid(made, "--motion", tmp_path / "a.csv") == 0
    monkeypatch.setattr(face_points, "_map", None)  # nobody may look again
    assert hyoid(made, "--motion", tmp_path / "b.csv") == 0
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


# --- bad input --------------------------------------------------------------------------------------------------------


def refused(capsys: pytest.CaptureFixture[str], tmp_path: Path, source: Path, *words: object) -> tuple[int, str]:
    """The exit code and the one line; nothing may be left behind."""
    out = tmp_path / "result"
    code = hyoid(source, "-o", out / "out.npz", "--motion", out / "h.csv", *words)
    text = capsys.readouterr().err.strip()
    assert len(text.splitlines()) == 1, text
    assert left_in(out) == []
    return code, text


def test_a_frame_with_other_vertices_is_named(tmp_path, capsys):
    folder = files.write_folder(tmp_path / "in", files.performance(4)[0])
    rest, faces = files.skin()
    kept = faces[(faces < len(rest) - 7).all(1)]
    obj.write(folder / "frame2.obj", files.mesh_of(rest[:-7], kept))
    code, text = refused(capsys, tmp_path, folder)
    assert code == 3
    assert "frame2.obj" in text
    assert str(len(rest) - 7) in text
    assert str(len(rest)) in text


def test_a_number_that_is_none_is_named(tmp_path, capsys):
    vertices = files.performance(4)[0]
    vertices[2, 17, 1] = np.nan
    code, text = refused(capsys, tmp_path, files.write_npz(tmp_path / "shot.npz", vertices))
    assert code == 3
    assert "frame 2" in text
    assert "17" in text


def test_another_person_as_target(tmp_path, capsys):
    from hyoid import characters

    other = characters.load(
        "human", {"age": 0.95, "gender": 0.1, "weight": 0.95, "chin-width-incr": 0.9, "nose-scale-vert-incr": 0.9,
                  "head-scale-vert-incr": 0.8, "head-scale-horiz-incr": -0.8, "mouth-scale-horiz-incr": 0.9},
        part="head",
    )  # fmt: skip
    rest, faces = files.skin()
    target = tmp_path / "other.obj"
    strange = other.vertices[: len(rest)] + 0.012 * np.sin(80 * rest)
    obj.write(target, files.mesh_of(strange.astype(float), faces))
    source = files.write_npz(tmp_path / "shot.npz", files.performance(3)[0])
    code, text = refused(capsys, tmp_path, source, "--target", target)
    assert code == 3
    assert "another face" in text


def test_a_jump_in_scale_is_told_and_the_other_frames_are_done(tmp_path, capsys):
    vertices, motion = files.performance(6)
    vertices[4] *= 10
    source = files.write_npz(tmp_path / "shot.npz", vertices)
    code, event = ended(capsys, source, "-o", tmp_path / "out.npz", "--motion", tmp_path / "h.csv", "--target", "0")
    assert code == 7
    assert list(event["result"]["refused"]) == ["4"]
    assert "10 times as large" in event["result"]["refused"]["4"]
    good = [0, 1, 2, 3, 5]
    assert skull_error(read_csv(tmp_path / "h.csv")[0], motion)[good].max() < 0.5
    assert 4 in event["result"]["uncertain"]


def test_a_mirrored_mesh(tmp_path, capsys):
    vertices = files.performance(3)[0]
    rest, faces = files.skin()
    lopsided = rest + np.stack([0 * rest[:, 0], 0.2 * np.abs(rest[:, 0]) * (rest[:, 0] > 0), 0 * rest[:, 0]], 1)
    target = tmp_path / "target.obj"
    obj.write(target, files.mesh_of(lopsided, faces))
    source = files.write_npz(tmp_path / "shot.npz", (vertices - rest + lopsided) * [-1, 1, 1])
    code, text = refused(capsys, tmp_path, source, "--target", target)
    assert code == 3
    assert "mirror" in text


def test_an_empty_folder(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    code, text = refused(capsys, tmp_path, tmp_path / "in")
    assert code == 3
    assert "holds no meshes" in text


def test_one_frame_is_its_own_target(tmp_path, capsys):
    source = files.write_npz(tmp_path / "one.npz", files.performance(1)[0])
    code, event = ended(capsys, source, "-o", tmp_path / "out.npz", "--motion", tmp_path / "h.csv", "--smooth", "1")
    assert code == 0
    assert event["result"]["frames"] == 1
    found, _, _ = read_csv(tmp_path / "h.csv")
    assert found.degrees().max() < 1e-4


def test_a_target_that_cannot_be_read(tmp_path, capsys):
    source = files.write_npz(tmp_path / "shot.npz", files.performance(3)[0])
    (tmp_path / "bad.obj").write_bytes(b"\x00\x01no mesh")
    code, text = refused(capsys, tmp_path, source, "--target", tmp_path / "bad.obj")
    assert code == 3
    assert "bad.obj" in text
    code, text = refused(capsys, tmp_path, source, "--target", tmp_path / "missing.obj")
    assert code == 2
    assert "missing.obj" in text
    code, text = refused(capsys, tmp_path, source, "--target", "99")
    assert code == 2
    assert "0 to 2" in text


def test_a_target_of_another_topology(tmp_path, capsys):
    source = files.write_npz(tmp_path / "shot.npz", files.performance(3)[0])
    mesh, _ = decimated(files.human())
    obj.write(tmp_path / "other.obj", mesh)
    code, text = refused(capsys, tmp_path, source, "--target", tmp_path / "other.obj")
    assert code == 3
    assert "other.obj" in text
    assert str(len(mesh.vertices)) in text


def test_what_is_no_face(tmp_path, capsys):
    """A ball has no point of a face."""
    rest, faces = files.skin()
    away = rest - rest.mean(0)
    ball = 0.1 * away / np.linalg.norm(away, axis=1, keepdims=True) + [0, 1.6, 0]
    source = files.write_npz(tmp_path / "ball.npz", np.stack([ball] * 3), np.roll(faces, 1, axis=0))
    code, text = refused(capsys, tmp_path, source)
    assert code == 3
    assert "face" in text or "head" in text


def test_points_that_match_nothing(tmp_path, capsys, monkeypatch):
    """No canonical point on the mesh: the mask is empty."""
    from hyoid.characters.fit import face_points

    monkeypatch.setattr(face_points, "_FAR", -1.0)
    source = files.write_npz(tmp_path / "shot.npz", files.performance(2)[0], np.roll(files.skin()[1], 3, axis=0))
    code, text = refused(capsys, tmp_path, source)
    assert code == 3
    assert "0 of 1024 points" in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "no output"), (["-o", "x.fbx"], ".fbx"), (["--motion", "x.mp4"], ".mp4"), (["--report", "x.txt"], ".txt"),
        (["--report", "r.html", "--shapes", "human"], "--shapes"), (["-o", "a.npz", "--smooth", "-1"], "smooth"),
    ],
)  # fmt: skip
def test_commands_that_make_no_sense(made, tmp_path, capsys, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    assert hyoid(made, *words) == 2
    assert said in capsys.readouterr().err
    assert left_in(tmp_path) == []


def test_outputs_do_not_replace_inputs(made, capsys):
    before = made.read_bytes()
    assert hyoid(made, "-o", made) == 2
    assert "inputs" in capsys.readouterr().err
    assert made.read_bytes() == before


def test_weights_that_are_none(made, tmp_path, capsys):
    (tmp_path / "w.safetensors").write_bytes(b"<html>")
    code, text = refused(capsys, tmp_path, made, "--weights", tmp_path / "w.safetensors")
    assert code == 4
    assert "w.safetensors" in text


def test_a_folder_that_cannot_be_written(made, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert hyoid(made, "-o", tmp_path / "file" / "out.npz") == 6
    assert "file" in capsys.readouterr().err


def test_a_stabilised_file_reads_back_with_rate_and_faces(made, tmp_path):
    assert hyoid(made, "-o", tmp_path / "out.npz") == 0
    found = open_sequence([tmp_path / "out.npz"])
    assert found.fps == 30
    assert np.array_equal(found.faces, files.skin()[1])
