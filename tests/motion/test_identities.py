# SPDX-License-Identifier: Apache-2.0
"""Who is who."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hyoid.errors import InputError
from hyoid.motion import cameras, identities
from hyoid.motion.identities import Detections
from scipy.spatial.transform import Rotation

from tests.motion import walks

FPS = 30.0


def _people(paths: list[np.ndarray], seed: int, *, depth: float = 0.08, missed: float = 0.05, doubled: float = 0.01):
    """Detections of people whose pelvis goes along paths (F, 3) in camera space, and the truth of each detection."""
    random = np.random.default_rng(seed)
    camera = walks.camera()
    rows, truth = [], []
    for person, path in enumerate(paths):
        shape = random.normal(size=10)
        base = Rotation.random(21, random_state=person)
        for frame, place in enumerate(path):
            if not np.isfinite(place).all() or random.random() < missed:
                continue
            for copy in range(1 + (random.random() < doubled)):
                seen = place * np.exp(depth * random.normal()) if not copy else rows[-1][1] + 0.05
                middle = cameras.project(camera, seen) + random.normal(size=2) * 3
                # Boxes are seen in the picture: they do not tremble with the depth.
                size = camera.focal / place[2] * np.array([0.3, 0.9]) * np.exp(0.02 * random.normal())
                pose = (base * Rotation.from_rotvec(random.normal(size=(21, 3)) * 0.12)).as_quat()[:, [3, 0, 1, 2]]
                rows.append((frame, seen, np.concatenate([middle - size, middle + size]), 0.9 - 0.2 * copy, pose,
                             shape + 0.2 * random.normal(size=10)))  # fmt: skip
                truth.append(person if not copy else -1)
    order = random.permutation(len(rows))
    columns = [np.array([rows[i][k] for i in order]) for k in range(6)]
    found = Detections(columns[0], columns[1], columns[1] - [0, 0.6, 0], *columns[2:])
    return found, np.array(truth)[order]


def _crossing(frames: int = 150) -> list[np.ndarray]:
    along = np.linspace(-2, 2, frames)
    zeros = np.zeros(frames)
    return [np.stack([along, zeros, 5.0 + zeros], -1), np.stack([-along, zeros, 5.8 + zeros], -1)]


@pytest.mark.parametrize("seed", range(5))
def test_two_people_who_cross_keep_their_names(seed):
    found, truth = _people(_crossing(), seed)
    tracks = identities.track(found, np.arange(150) / FPS)
    assert [one.name for one in tracks.people] == ["person_01", "person_02"]
    for one in tracks.people:
        who = truth[one.detections]
        assert len(np.unique(who[who >= 0])) == 1
        assert (np.diff(found.frames[one.detections]) > 0).all()
        assert len(one.detections) > 0.9 * (truth == who[0]).sum()


def test_place_and_box_are_enough_for_lifted_joints():
    found, truth = _people(_crossing(), 1, depth=0.02)
    bare = replace(found, poses=found.poses[:, :0], shapes=found.shapes[:, :0])
    tracks = identities.track(bare, np.arange(150) / FPS)
    assert len(tracks.people) == 2
    for one in tracks.people:
        who = truth[one.detections]
        assert len(np.unique(who[who >= 0])) == 1


def test_doubles_are_found_and_the_better_one_kept():
    found, truth = _people(_crossing(), 2, doubled=0.3)
    doubles = identities.same_person(found)
    np.testing.assert_array_equal(doubles, np.flatnonzero(truth == -1))


def test_somebody_behind_a_pillar_comes_back_as_the_same_person():
    path = np.stack([np.linspace(-2, 2, 180), np.zeros(180), np.full(180, 5.0)], -1)
    path[70:115] = np.nan  # 1.5 s: longer than a track waits, shorter than what the second pass joins
    found, _ = _people([path], 3)
    tracks = identities.track(found, np.arange(180) / FPS)
    assert len(tracks.people) == 1
    assert len(tracks.people[0].detections) == len(found.frames) - len(tracks.doubles)


def test_another_body_in_the_same_place_is_another_person():
    first = np.stack([np.zeros(180), np.zeros(180), np.full(180, 5.0)], -1)
    second = first.copy()
    first[70:] = np.nan
    second[:115] = np.nan
    found, _ = _people([first, second], 4)
    assert len(identities.track(found, np.arange(180) / FPS).people) == 2


def test_ghosts_are_listed_but_are_no_people():
    path = np.stack([np.linspace(-1, 1, 120), np.zeros(120), np.full(120, 5.0)], -1)
    ghost, flash = np.full((120, 3), np.nan), np.full((120, 3), np.nan)
    ghost[40:48] = [3.0, 0, 9.0]  # 8 frames: 0.27 s
    flash[80] = [-4.0, 0, 9.0]
    found, truth = _people([path, ghost, flash], 5, missed=0.0, doubled=0.0)
    tracks = identities.track(found, np.arange(120) / FPS)
    assert len(tracks.people) == 1
    assert [len(one.detections) for one in tracks.dropped] == [8]
    np.testing.assert_array_equal(truth[tracks.unused], [2])


def test_the_longest_is_the_first_and_every_order_of_detections_gives_the_same():
    short, long = _crossing()
    short[:60] = np.nan
    found, truth = _people([short, long], 6)
    tracks = identities.track(found, np.arange(150) / FPS)
    assert (truth[tracks.people[0].detections] != 0).all()
    turned = Detections(*(np.asarray(getattr(found, name))[::-1] for name in
                          ("frames", "pelvis", "head", "boxes", "scores", "poses", "shapes")))  # fmt: skip
    again = identities.track(turned, np.arange(150) / FPS)
    for one, other in zip(tracks.people, again.people, strict=True):
        np.testing.assert_array_equal(one.detections, len(found.frames) - 1 - other.detections)


def test_boxes_overlap_as_areas_do():
    a = np.array([[0, 0, 2, 2.0]])
    b = np.array([[1, 0, 3, 2.0], [5, 5, 6, 6], [0, 0, 2, 2]])
    np.testing.assert_allclose(identities.overlap(a, b), [[1 / 3, 0, 1]])


def test_wrong_detections_are_refused():
    found, _ = _people(_crossing(20), 7)
    with pytest.raises(InputError, match="boxes"):
        replace(found, boxes=found.boxes[:-1])
    with pytest.raises(InputError, match="frame"):
        identities.track(found, np.arange(5) / FPS)
    empty = Detections(np.zeros(0, int), *(np.zeros((0, n)) for n in (3, 3, 4)), np.zeros(0), np.zeros((0, 0, 4)),
                       np.zeros((0, 0)))  # fmt: skip
    assert identities.track(empty, np.arange(5) / FPS).people == ()
