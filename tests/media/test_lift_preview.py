# SPDX-License-Identifier: Apache-2.0
"""The film of lifted people: equal bytes, marks under standing feet alone, sides told apart, any size and number."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hyoid.errors import InputError, UsageError
from hyoid.media import lift_figures, lift_preview, lift_stage, video
from hyoid.media.lift_preview import Person
from hyoid.motion import cameras
from hyoid.report import Report
from PIL import Image

from tests.motion import walks

CAMERA = cameras.from_field_of_view((640, 360), np.radians(55), height=1.5, pitch=0.06)
SIZE = (640, 360)
WIDE = {"width": 640, "height": 360, "size": SIZE}


def somebody(truth: walks.Truth | None = None, name: str = "one", frames: slice = slice(None), x: float = 0) -> Person:
    truth = truth or walks.walk(1.0, 10)
    joints = truth.joints[frames] + [x, 0, 0]
    pixels = cameras.project(CAMERA, cameras.to_camera(CAMERA, joints - [0, 0, 4.5]))
    ankles = joints[:, [6, 3], None] - [0, walks.ANKLE, 0]
    soles = ankles + np.array([[0, 0, -0.05], [0, 0, 0.15]])
    shape = joints.shape[:2]
    return Person(
        name, pixels, np.ones(shape), pixels, joints, soles, truth.standing[frames], np.zeros(shape[0], bool)
    )  # fmt: skip


def stage(person: Person) -> lift_stage.Stage:
    path = lift_stage.focus_path([person], 10)
    view = lift_stage.frame_view([person], path, lift_stage.THREE_QUARTER, 0.0, (320, 240))
    return lift_stage.Stage([person], 10, path, view, "")


def close(picture: np.ndarray, colour, tolerance: int = 40) -> np.ndarray:
    return (np.abs(picture.astype(int) - colour) < tolerance).all(-1)


def test_equal_input_gives_equal_pictures_and_equal_files(tmp_path):
    people = [somebody(frames=slice(3))]
    first, second = (list(lift_preview.frames(people, 10, **WIDE)) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not np.array_equal(first[0], first[2])
    for name in ("a.mp4", "b.mp4"):
        lift_preview.write_mp4(tmp_path / name, people, 10, **WIDE)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_the_film_has_the_length_size_and_rate_of_the_take_and_tells_its_progress(tmp_path):
    events = []
    path = tmp_path / "new" / "a.mp4"
    lift_preview.write_mp4(path, [somebody(frames=slice(4))], 29.97, report=Report(events.append), **WIDE)
    facts = video.probe(path)
    assert (facts.frames, facts.fps, facts.width, facts.height) == (4, video.frame_rate(29.97), *SIZE)
    decoded = list(video.read(path))
    want = list(lift_preview.frames([somebody(frames=slice(4))], 29.97, **WIDE))
    assert np.abs(decoded[3].astype(int) - want[3]).mean() < 4  # what a lossy film may change
    assert [event["fraction"] for event in events] == [0.25, 0.5, 0.75, 1.0]
    assert [entry.name for entry in path.parent.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize("side", [0, 1])
def test_a_mark_lies_under_the_foot_that_stands_and_nowhere_else(side):
    """Two drawings that differ in one flag differ around that sole alone, by the side's own colour."""
    person = somebody(walks.still(1.0, 10))
    lifted = replace(person, standing=np.zeros_like(person.standing))
    standing = lifted.standing.copy()
    standing[:, side] = True
    here = stage(replace(person, standing=standing))
    with_mark, without = np.asarray(here.draw(5)), np.asarray(stage(lifted).draw(5))
    changed = np.argwhere((with_mark != without).any(-1))[:, ::-1]
    assert len(changed) > 20
    place, metre = lift_stage.project(here.view, person.soles[5, side].mean(0), here.path[5])
    assert np.abs(changed + 0.5 - place).max() < 0.085 * 1.25 * 1.1 * metre + 3  # the ring's radius, a line and an edge
    colour = np.array(lift_figures.side_colours()[side])
    nearer = np.abs(with_mark[changed[:, 1], changed[:, 0]] - colour.astype(float)).sum(-1)
    assert nearer.mean() < np.abs(without[changed[:, 1], changed[:, 0]] - colour.astype(float)).sum(-1).mean()


def test_a_foot_that_slides_leaves_its_ring_where_it_came_down():
    person = somebody(walks.still(1.0, 10))
    slid = person.soles.copy()
    slid[8:, 0, :, 0] += 0.4
    here, there = stage(person), stage(replace(person, soles=slid))
    place, metre = lift_stage.project(here.view, person.soles[0, 0].mean(0), here.path[0])
    x, y = place[0] + 0.085 * 1.25 * metre, place[1]  # the ring's outermost point
    box = np.s_[int(y) - 2 : int(y) + 3, int(x) - 2 : int(x) + 3]
    ring = close(np.asarray(there.draw(9))[box], lift_figures.side_colours()[0], 90)
    assert ring.any()


def test_left_and_right_have_their_colours_on_their_sides():
    """Somebody who faces the camera has the left hand at the right of the footage and of the three-quarter view."""
    person = replace(somebody(walks.still(1.0, 10)), reprojected=None)
    left, right = lift_figures.side_colours()
    picture = lift_preview.still([person], 10, frame=0, **WIDE)
    footage, view = picture[24:200, :352], np.asarray(stage(person).draw(0))
    for part in (footage, view):
        blue, orange = np.argwhere(close(part, left))[:, 1], np.argwhere(close(part, right))[:, 1]
        assert min(len(blue), len(orange)) > 20
        assert blue.mean() > orange.mean() + 5


def test_the_colours_of_the_sides_differ_in_blue_against_yellow_for_eyes_that_confuse_red_and_green():
    left, right = np.array(lift_figures.side_colours(), int)
    assert (left[2] - left[:2].mean()) - (right[2] - right[:2].mean()) > 150
    inks = np.array([left, right, *lift_figures.tints(6)], int)
    apart = np.abs(inks[:, None] - inks[None]).sum(-1) + 1000 * np.eye(len(inks), dtype=int)
    assert apart.min() > 60


def test_what_is_missing_is_not_drawn_and_what_is_doubtful_is_faint():
    person = replace(somebody(walks.still(1.0, 10)), reprojected=None)
    left, _ = lift_figures.side_colours()

    def blue(of: Person) -> float:
        footage = lift_preview.still([of], 10, frame=0, **WIDE)[24:200, :352].astype(float)
        return float(np.clip(footage[..., 2] - footage[..., 0], 0, None).sum())

    missing = person.keypoints.copy()
    missing[:, [4, 5, 6, 11, 12, 13]] = np.nan
    nothing = blue(replace(person, keypoints=np.full_like(missing, np.nan)))
    seen, doubted = blue(person), blue(replace(person, confidence=np.full_like(person.confidence, 0.1)))
    assert blue(replace(person, keypoints=missing)) < nothing + 0.15 * (seen - nothing)  # grey is slightly blue
    assert nothing + 0.1 * (seen - nothing) < doubted < nothing + 0.5 * (seen - nothing)
    gone = replace(person, joints=np.full_like(person.joints, np.nan), soles=None, standing=person.standing & False)
    assert not close(np.asarray(stage(gone).draw(0)), left).any()


def test_a_gap_is_faded_and_named():
    person = somebody(walks.still(1.0, 10))
    hidden = replace(person, hidden=np.ones(10, bool), keypoints=np.full_like(person.keypoints, np.nan))
    left, _ = lift_figures.side_colours()
    calm = replace(hidden, standing=hidden.standing & False)
    assert not close(np.asarray(stage(calm).draw(0)), left).any()
    assert lift_figures.NOT_SEEN in lift_stage.label(hidden, True, 1)
    assert lift_stage.label(person, False, 1) == ""
    assert lift_stage.label(replace(person, name="Zoë"), False, 2) == "Zoe"


@pytest.mark.parametrize(
    ("footage", "size"), [((360, 640), SIZE), ((640, 360), (361, 641)), ((101, 77), (333, 320)), ((4, 4000), SIZE)]
)
def test_any_shape_of_footage_and_film(footage, size):
    person = somebody(frames=slice(1))
    pictures = [np.full((footage[1], footage[0], 3), 200, np.uint8)]
    drawn = list(
        lift_preview.frames([person], 10, width=footage[0], height=footage[1], footage=pictures, size=size, title="x")
    )
    assert len(drawn) == 1
    assert drawn[0].shape == (size[1], size[0], 3)
    assert drawn[0].dtype == np.uint8
    assert close(drawn[0], (200, 200, 200), 3).any()


def test_footage_that_ends_early_is_held_and_what_is_too_much_is_not_read():
    def pictures(count: int):
        for index in range(count):
            taken.append(index)
            yield np.full((36, 64, 3), 60 + 60 * index, np.uint8)

    # No keypoints, so that a corner of the footage is all there is.
    person = somebody(frames=slice(3))
    for count in (2, 9):
        taken: list[int] = []
        drawn = list(lift_preview.frames([person], 10, footage=pictures(count), **WIDE))
        levels = [int(picture[30, 5, 0]) for picture in drawn]
        assert levels == ([60, 120, 120] if count == 2 else [60, 120, 180])
        assert len(taken) == min(count, 3)


def test_the_camera_stands_still_for_a_small_scene_and_follows_a_long_walk_calmly():
    near, far = somebody(walks.still(1.0, 10)), somebody(walks.walk(8.0, 30))
    assert np.ptp(lift_stage.focus_path([near], 10), 0).max() == 0
    path = lift_stage.focus_path([far], 30)
    assert np.ptp(path[:, 2]) > 6  # of the eight metres
    speed = np.diff(path[30:-30, 2]) * 30
    assert np.ptp(speed) < 0.1  # of one metre a second; the pelvis itself sways
    view = lift_stage.frame_view([far], path, lift_stage.SIDE, 0.0, (320, 200))
    for frame in range(0, 240, 24):
        pixels, _ = lift_stage.project(view, far.joints[frame], path[frame])
        assert (pixels > 0).all()
        assert (pixels < (320, 200)).all()


def test_whoever_turns_the_back_is_shown_from_the_front():
    assert lift_stage.facing([somebody()]) == pytest.approx(0, abs=0.05)
    away = somebody(walks.walk(1.0, 10, heading=np.pi))
    assert abs(lift_stage.facing([away])) == pytest.approx(np.pi, abs=0.05)
    assert lift_stage.facing([somebody(), away]) == 0.0  # they do not agree: as the footage's camera


def test_a_crowd_and_somebody_who_is_never_there():
    one = walks.walk(0.2, 10)
    crowd = [somebody(one, f"p{index}", x=0.4 * index) for index in range(100)]
    nobody = somebody(one)
    empty = {name: np.full_like(getattr(nobody, name), np.nan) for name in ("keypoints", "reprojected", "joints")}
    nobody = replace(nobody, **empty, soles=None)
    picture = lift_preview.still([*crowd, nobody], 10, frame=1, **WIDE)
    assert picture.shape == (360, 640, 3)
    assert lift_preview.still([nobody], 10, **WIDE).shape == picture.shape


def test_the_still_is_a_frame_of_the_film(tmp_path):
    people = [somebody()]
    chosen = lift_preview.telling_frame(people)
    lift_preview.write_png(tmp_path / "a.png", people, 10, **WIDE)
    film = list(lift_preview.frames(people, 10, **WIDE))
    with Image.open(tmp_path / "a.png") as image:
        assert np.array_equal(np.asarray(image), film[chosen])
    steps = np.abs(people[0].joints[:, 6, 2] - people[0].joints[:, 3, 2])
    assert steps[chosen] > np.median(steps)


def test_what_does_not_fit_is_refused():
    person = somebody()
    with pytest.raises(InputError, match="nobody"):
        lift_preview.frames([], 10, **WIDE)
    with pytest.raises(InputError, match="'standing' of 'one'"):
        lift_preview.frames([replace(person, standing=person.standing[:-1])], 10, **WIDE)
    with pytest.raises(InputError, match="no frame"):
        lift_preview.frames([somebody(frames=slice(0))], 10, **WIDE)
    with pytest.raises(InputError, match="0 frames a second"):
        lift_preview.frames([person], 0, **WIDE)
    with pytest.raises(UsageError, match="100x100"):
        lift_preview.frames([person], 10, width=640, height=360, size=(100, 100))
    with pytest.raises(UsageError, match="outside the take"):
        lift_preview.still([person], 10, frame=10, **WIDE)
    with pytest.raises(InputError, match="picture 0 of the footage"):
        next(lift_preview.frames([person], 10, footage=[np.zeros((4, 4), np.uint8)], **WIDE))
