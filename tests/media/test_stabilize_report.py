# SPDX-License-Identifier: Apache-2.0
"""The report of a stabilisation: its numbers are right, its verdict is true, its files stand alone and repeat."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from hyoid.errors import OutputError
from hyoid.geometry import rigid, rotations
from hyoid.geometry.rigid import Rigid
from hyoid.media import stabilize_facts, stabilize_page, stabilize_report
from hyoid.media.stabilize_facts import numbers, runs, verdict
from hyoid.media.stabilize_report import FrameMeshes, ReportFacts, choose_worst, write_html, write_json, write_png
from hyoid.take import Provenance, Source

from tests import toy

LARGE = stabilize_report._TILE
WRITERS = {"html": write_html, "png": write_png, "json": write_json}
WEIGHTS = Source("weights", "facestab.safetensors", "12" * 32, "CC0-1.0")


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch):
    """Large pictures take most of the time and show nothing more."""
    monkeypatch.setattr(stabilize_page, "_PICTURE", (64, 76))
    monkeypatch.setattr(stabilize_report, "_TILE", (110, 100))


def turned(degrees: np.ndarray) -> np.ndarray:
    """Matrices of rotation vectors in degrees."""
    return rotations.to_matrix(rotations.from_rotation_vector(np.radians(degrees)))


def facts(frames: int = 12, **changes) -> ReportFacts:
    """A toy head that turns and nods, stabilised to a tenth of a millimetre."""
    random = np.random.default_rng(3)
    character = toy.character()
    target = character.vertices.astype(np.float64)
    middle = (target.min(0) + target.max(0)) / 2
    time = np.arange(frames) / 5
    motion = turned(np.stack([10 * np.sin(time), 20 * np.cos(time), 3 * time], 1))
    moved = np.stack([0.02 * time, 0.01 * np.sin(time), 0 * time], 1)
    head = Rigid(motion, moved + middle - motion @ middle)
    skull = target[::25]
    drift = random.normal(0, 0.06, (frames, len(skull), 3))
    mean = np.abs(target[:, 0]) * 10
    mean[target[:, 1] < 1.4] = np.nan
    stabilised = target + random.normal(0, 1e-4, target.shape)
    made = {
        "source": "takes/anna", "names": tuple(f"face_{index:04d}" for index in range(frames)), "method": "facestab",
        "target": target, "faces": character.faces, "motion": head,
        "residual_median_mm": random.uniform(0.1, 0.3, frames),
        "residual_percentile_95_mm": random.uniform(1, 3, frames), "confidence": np.full(frames, 0.9),
        "mean_residual_mm": mean, "provenance": Provenance("1.0", "stabilize", {"method": "facestab"}, (WEIGHTS,)),
        "fps": 30.0, "target_name": "neutral.obj", "unit": "metres", "topology": "guided fit",
        "map_error_mm": (0.2, 0.8), "skull_points": skull, "skull_drift_mm": drift, "trust": np.nan_to_num(mean),
        "worst": (FrameMeshes(frames // 2, head[frames // 2 : frames // 2 + 1].apply(stabilised)[0], stabilised),),
    }  # fmt: skip
    return ReportFacts(**{**made, **changes})


def plain(value: ReportFacts) -> ReportFacts:
    """Without what only some callers know."""
    return replace(value, skull_points=None, skull_drift_mm=None, trust=None, worst=(), map_error_mm=None)


def written(tmp_path, kind: str, value: ReportFacts) -> bytes:
    path = tmp_path / f"report.{kind}"
    WRITERS[kind](path, value)
    assert [entry.name for entry in path.parent.iterdir() if entry.name.startswith(".")] == []
    return path.read_bytes()


class _Page(HTMLParser):
    """Tags that are balanced, links, and the text that a reader sees."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [value or "" for name, value in attributes if name in ("src", "href", "srcset", "action")]
        if tag not in ("meta", "img", "br", "path"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.text += data + "\n"


def page(tmp_path, value: ReportFacts) -> _Page:
    found = _Page(written(tmp_path, "html", value).decode())
    assert found.open == []
    return found


def test_nod_turn_and_tilt_have_the_signs_that_people_read():
    """Down, to the own left, to the own right: +X, +Y and +Z of a head that looks along +Z."""
    vectors = np.array([[10.0, 0, 0], [0, 20, 0], [0, 0, 5], [-7, 0, 0]])
    found = numbers(plain(facts(4, motion=Rigid(turned(vectors), np.zeros((4, 3))))))
    assert found.degrees == pytest.approx(vectors, abs=1e-5)
    assert found.angle == pytest.approx([10, 20, 5, 7], abs=1e-5)
    nose_nods = turned(vectors)[0] @ [0, 0, 1]
    nose_turns = turned(vectors)[1] @ [0, 0, 1]
    assert nose_nods[1] < 0
    assert nose_turns[0] > 0


def test_translation_is_that_of_the_head_and_not_of_the_scene_origin():
    """A head that turns on the spot far above the origin has not moved; one that is carried has."""
    value = plain(facts(3))
    known = value.target[np.isfinite(value.mean_residual_mm)]
    middle = (known.min(0) + known.max(0)) / 2
    turns = turned(np.array([[0.0, 30, 0], [15, 0, 0], [0, 0, 0]]))
    shift = np.array([[0, 0, 0], [0, 0, 0], [0.01, -0.02, 0.03]])
    found = numbers(replace(value, motion=Rigid(turns, middle - turns @ middle + shift)))
    assert found.moved_mm == pytest.approx(1000 * shift, abs=1e-6)


def test_angles_go_on_past_half_a_turn_in_a_sequence_only():
    vectors = np.array([[0, 170.0, 0], [0, 190, 0]])
    motion = Rigid(turned(vectors), np.zeros((2, 3)))
    assert numbers(plain(facts(2, motion=motion))).degrees[:, 1] == pytest.approx([170, 190], abs=1e-4)
    assert numbers(plain(facts(2, motion=motion, ordered=False))).degrees[1, 1] == pytest.approx(-170, abs=1e-4)


def test_drift_before_follows_from_the_motion_that_was_taken_out():
    value = facts(300)  # more than a chunk
    moved = np.zeros((300, 3))
    moved[:, 1] = np.linspace(0, 0.05, 300)
    motion = Rigid(rigid.identity(300).rotations, moved)
    still = replace(value, motion=motion, skull_drift_mm=np.zeros_like(value.skull_drift_mm))
    found = numbers(still)
    assert found.before is not None
    assert found.after is not None
    assert found.before.mean == pytest.approx(1000 * moved[:, 1])
    assert found.after.high.max() == 0
    real = numbers(value).after
    assert real is not None
    assert value.skull_drift_mm is not None
    far = np.linalg.norm(value.skull_drift_mm, axis=-1)
    assert real.mean == pytest.approx(far.mean(1))
    assert (real.low < real.mean).all()
    assert (real.mean < real.high).all()


def drifting(millimetres: float, uncertain=(), frames: int = 12, **changes) -> ReportFacts:
    """Facts whose skull lies exactly so far off in every certain frame, and 9 mm in the others."""
    value = facts(frames, uncertain=dict.fromkeys(uncertain, "why"), **changes)
    drift = np.zeros_like(value.skull_drift_mm)
    drift[..., 0] = millimetres
    drift[list(uncertain), :, 0] = 9.0
    return replace(value, skull_drift_mm=drift)


@pytest.mark.parametrize(
    ("value", "grade", "words"),
    [
        (drifting(0.3), "good", ["stays within 0.30 mm", "before)", "no frame is uncertain"]),
        (drifting(0.3, [4]), "check", ["stays within 0.30 mm", "frame 4 is uncertain"]),
        (drifting(0.3, [2, 3, 7]), "check", ["frames 2-3 and 7 are uncertain"]),
        (drifting(0.9), "check", ["stays within 0.90 mm"]),
        (drifting(3.0), "poor", ["still moves by up to 3.0 mm"]),
        (drifting(0.3, range(4)), "poor", ["frames 0-3 are uncertain"]),
        (drifting(0.3, range(12)), "poor", ["every frame is uncertain"]),
        (drifting(0.3, range(0, 60, 5), 60), "check", ["12 of 60 frames are uncertain"]),
        (drifting(0.3, [1], ordered=False), "check", ["face_0001 is uncertain"]),
        (drifting(0.3, range(0, 60, 5), 60, ordered=False), "check", ["12 of 60 meshes are uncertain"]),
        (plain(facts(4, residual_median_mm=np.full(4, 0.4))), "good", ["Half of the face lies within 0.40 mm"]),
        (drifting(np.nan), "poor", ["is not known"]),
    ],
)
def test_the_verdict_says_what_an_artist_must_know(value, grade, words):
    told = verdict(value, numbers(value))
    assert told.grade == grade, told
    assert all(word in told.sentence for word in words), told


def test_within_is_never_less_than_the_truth():
    for off in np.random.default_rng(1).uniform(0.001, 1.9, 200):
        value = plain(facts(2, residual_median_mm=np.array([off, off / 2])))
        told = re.search(r"within ([\d.]+) mm", verdict(value, numbers(value)).sentence)
        assert told
        assert off <= float(told[1]) < 1.1 * off + 0.1


def test_runs_and_worst_frames():
    assert runs([7, 3, 4, 1]) == [(1, 1), (3, 4), (7, 7)]
    assert runs([]) == []
    residual = np.array([1.0, 5, 4.9, np.nan, 3, 5])
    assert choose_worst(residual, 3) == (1, 5, 2)
    assert choose_worst(residual, 3, apart=2) == (1, 5)
    assert choose_worst(np.array([np.nan])) == ()


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("ordered", [True, False])
def test_equal_facts_give_equal_bytes(tmp_path, kind, ordered):
    first = written(tmp_path, kind, facts(ordered=ordered, uncertain={5: "b", 2: "a"}))
    assert written(tmp_path, kind, facts(ordered=ordered, uncertain={2: "a", 5: "b"})) == first


def test_the_page_needs_nothing_from_outside(tmp_path):
    found = page(tmp_path, facts())
    assert all(link.startswith("data:image/png;base64,") for link in found.links)
    assert len(found.links) == 6  # two views of two maps, one frame before and after
    assert not {"script", "link", "iframe", "object"} & set(found.tags)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "http" not in text.replace("http-equiv", "")
    assert "@import" not in text
    assert "url(" not in text


def test_the_page_tells_what_was_done_and_under_which_licence(tmp_path):
    value = facts(uncertain={3: "few points agree", 4: "few points agree", 9: "a jump"}, remarks=("No ears.",))
    found = page(tmp_path, value)
    told = verdict(value, numbers(value)).sentence
    words = [
        told, "12 frames, 0.40 s at 30 frames a second", f"{len(value.target)} vertices", "facestab", "neutral.obj",
        "metres", "guided fit; fits within 0.20 mm (median), 0.80 mm (95 %)", "No ears.", "few points agree", "a jump",
        "frames 3-4 (face_0003 to face_0004)", "frame 9 (face_0009)", "facestab.safetensors", "CC0-1.0",
        "Commercial use: yes", "Head rotation", "Drift of the skull", "Confidence", "frame 6 (face_0006)",
    ]  # fmt: skip
    assert [word for word in words if word not in found.text] == []
    assert found.tags.count("svg") == 5


def test_a_set_has_a_row_a_mesh_instead_of_curves(tmp_path):
    value = facts(5, ordered=False, names=("smile", "jaw_open", "blink", "neutral", "pucker"), uncertain={1: "odd"})
    found = page(tmp_path, value)
    assert "svg" not in found.tags
    rows = re.findall(r"<tr[^>]*><td>(\w+)</td>", (tmp_path / "report.html").read_text(encoding="utf-8"))
    assert rows[:5] == list(value.names)
    assert f"{numbers(value).angle[1]:.2f}°" in found.text
    assert "no order of time" in found.text


def test_the_page_lives_without_faces_without_drift_and_with_unknown_numbers(tmp_path):
    bare = plain(facts(3, faces=np.zeros((0, 4), np.int32), fps=None, unit="", topology="", target_name=""))
    bare = replace(bare, residual_median_mm=np.array([0.1, np.nan, 0.2]), confidence=np.full(3, np.nan))
    found = page(tmp_path, bare)
    assert "no surface to draw" in found.text
    assert "img" not in found.tags
    assert "Drift" not in found.text
    assert not re.search(r"\bnan\b", found.text)
    one = page(tmp_path, facts(1, mean_residual_mm=np.full(len(bare.target), np.nan)))
    assert "svg" in one.tags


@pytest.mark.parametrize("ordered", [True, False])
def test_names_cannot_break_out_of_the_page(tmp_path, ordered):
    """File names are foreign text; a name that is not Unicode arrives with a lone surrogate."""
    harmless = {"names": ("a", "b", "c"), "source": "d", "uncertain": {0: "e"}, "remarks": ("f",)}
    names = ("<script>alert(1)</script>", '"><img src=x>', "a\udcff & b")
    hostile = {"names": names, "source": "<b>", "uncertain": {0: "<i>why</i>"}, "remarks": ("</main>",)}
    value = facts(3, ordered=ordered, **hostile)
    found = page(tmp_path, value)
    assert found.tags == page(tmp_path, facts(3, ordered=ordered, **harmless)).tags
    assert "<i>why</i>" in found.text
    for kind in ("png", "json"):
        assert written(tmp_path, kind, value)


def test_json_holds_every_frame_and_nothing_that_json_does_not_know(tmp_path):
    value = facts(300, uncertain={7: "few points"})
    value.residual_median_mm[3] = np.nan
    text = written(tmp_path, "json", value)

    def refuse(word):
        raise AssertionError(word)

    record = json.loads(text, parse_constant=refuse)
    assert (record["format"], record["version"], record["frames"]) == ("hyoid.stabilize.report", 1, 300)
    assert {len(column) for column in record["per_frame"].values()} == {300}
    assert record["per_frame"]["residual_median_mm"][3] is None
    assert record["per_frame"]["nod_turn_tilt_degrees"] == pytest.approx(numbers(value).degrees, abs=1e-5)
    assert record["uncertain"] == [{"frame": 7, "name": "face_0007", "reason": "few points"}]
    assert record["verdict"]["grade"] == "check"
    assert record["licence"]["commercial"] == "yes"
    assert record["provenance"]["sources"][0]["sha256"] == WEIGHTS.sha256


def test_weights_that_forbid_commercial_use_are_named(tmp_path):
    foreign = Provenance("1.0", "stabilize", {}, (replace(WEIGHTS, licence="CC-BY-NC-4.0"),))
    assert "forbids commercial use" in page(tmp_path, facts(provenance=foreign)).text


def test_the_sheet_shows_maps_and_curves(tmp_path, monkeypatch):
    from PIL import Image

    monkeypatch.setattr(stabilize_report, "_TILE", LARGE)
    sheet = np.asarray(Image.open(io.BytesIO(written(tmp_path, "png", facts(uncertain={2: "why"})))).convert("RGB"))
    assert sheet.shape[1] == stabilize_report._WIDTH
    coloured = np.ptp(sheet.astype(int), axis=2) > 60
    upper, lower = coloured[200:1000].mean(), coloured[1000:].mean()
    assert upper > 0.05  # four heat maps and a pair
    assert 0.002 < lower < 0.2  # thin curves and the tinted frame
    bare = np.asarray(Image.open(io.BytesIO(written(tmp_path, "png", plain(facts(faces=np.zeros((0, 4), int)))))))
    assert bare.shape[0] < sheet.shape[0] / 2


def test_a_long_name_does_not_leave_the_sheet(tmp_path):
    from PIL import Image

    value = facts(2, ordered=False, names=("x" * 3000, "b"), source="s" * 3000)
    image = np.asarray(Image.open(io.BytesIO(written(tmp_path, "png", value))))
    assert (image[:, -stabilize_report._MARGIN :] == 255).all()


@pytest.mark.parametrize("kind", WRITERS)
def test_a_place_that_cannot_be_written_is_told_and_nothing_is_left(tmp_path, kind):
    target = tmp_path / f"taken.{kind}"
    target.mkdir()
    with pytest.raises(OutputError, match=f"taken.{kind}: is a folder") as caught:
        WRITERS[kind](target, facts(2))
    assert caught.value.exit_code == 6
    assert list(target.iterdir()) == []
    assert list(tmp_path.iterdir()) == [target]


def test_our_own_mistakes_are_caught_before_anything_is_written(tmp_path):
    changes: list[dict[str, Any]] = [{"confidence": np.zeros(3)}, {"uncertain": {99: "why"}}, {"skull_points": None}]
    for wrong in changes:
        with pytest.raises(AssertionError):
            write_html(tmp_path / "a.html", facts(**wrong))
    assert list(tmp_path.iterdir()) == []


def test_figures_that_are_not_known_are_a_dash():
    assert stabilize_facts.figure(np.nan) == "-"
    assert stabilize_facts.figure(1.234) == "1.23 mm"
