# SPDX-License-Identifier: Apache-2.0
"""Errors of directions and boxes of heads, against answers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hyoid.geometry import head_angles
from hyoid.synthetic import head_scores
from hyoid.synthetic.head_scores import Found

from tests.parity.cases import ROOT, seeded

SQUARE = [0.0, 0.0, 10.0, 10.0]


def turned(*angles: tuple[float, float, float]) -> np.ndarray:
    return head_angles.matrices(np.array(angles, float))


# --- directions -------------------------------------------------------------------------------------------------------


def test_yaw_goes_the_short_way_round():
    found = head_scores.angle_errors(np.array([[10, -170, 5], [0, 90, -20]]), np.array([[-10, 175, 0], [0, -90, 20]]))
    assert found.tolist() == [[20, 15, 5], [0, 180, 40]]


def test_regions_are_cut_at_60_and_120_degrees_of_yaw():
    yaws = np.array([0, 59.9, -60.1, 119.9, -120.1, 180])
    rotations = turned(*[(20, yaw, 10) for yaw in yaws])
    found = head_angles.regions(rotations)
    assert {name: yaws[rows].tolist() for name, rows in found.items()} == {
        "front": [0, 59.9], "side": [-60.1, 119.9], "back": [-120.1, 180],
    }  # fmt: skip


def test_errors_of_turns_about_one_axis():
    """Turns by 10, 20 and 60 degrees about the vertical: means 30, median 20, and no error of pitch and roll."""
    found = head_scores.by_region(
        turned((0, 10, 0), (0, 110, 0), (0, -130, 0)), turned((0, 0, 0), (0, 90, 0), (0, 170, 0))
    )
    assert found["all"].heads == 3
    assert (found["all"].yaw, found["all"].mean, found["all"].median) == pytest.approx((30, 30, 20))
    assert (found["all"].pitch, found["all"].roll) == pytest.approx((0, 0), abs=1e-9)
    assert [found[name].median for name in head_scores.REGIONS] == pytest.approx([10, 20, 60])
    nobody = head_scores.by_region(turned((0, 0, 0)), turned((0, 0, 0)))["back"]
    assert nobody.heads == 0
    assert np.isnan(nobody.median)


def test_the_nose_does_not_feel_the_roll():
    """Up by 30 against down by 30 is 60; seen from behind against the front half a turn; unknown roll is no matter."""
    found = head_scores.noses(np.array([[30, 0, 80], [0, 180, 0], [0, 40, np.nan]]))
    truth = head_scores.noses(np.array([[-30, 0, -80], [0, 0, 0], [0, 40, 10]]))
    assert head_scores.nose_errors(found, truth) == pytest.approx([60, 180, 0], abs=1e-6)


def test_noses_point_as_the_matrix_says():
    rotations = turned((20, -50, 30), (-40, 150, -10))
    assert np.allclose(head_scores.noses(head_angles.angles(rotations)), -rotations[:, :, 2])
    assert np.allclose(head_scores.noses(head_scores.eye_angles(rotations), eye=True), -rotations[:, :, 2])


def test_angles_by_eye_go_by_the_head():
    """A profile that looks up by 30, tilted by 20, and a back that looks down."""
    profile = turned((0, 90, 0)) @ turned((30, 0, 0)) @ turned((0, 0, 20))
    assert head_scores.eye_angles(profile)[0] == pytest.approx([30, 90, 20])
    assert head_scores.noses(np.array([30, 90, np.nan]), eye=True) == pytest.approx([-np.sqrt(0.75), -0.5, 0])
    behind = turned((0, 180, 0)) @ turned((-30, 0, 0))
    assert head_scores.eye_angles(behind)[0] == pytest.approx([-30, 180, 0])
    assert head_angles.angles(behind)[0] == pytest.approx([30, 180, 0])
    ahead = turned((0, -25, 0), (40, 0, 0), (0, 0, -70))
    assert np.allclose(head_scores.eye_angles(ahead), head_angles.angles(ahead))


def test_a_turned_picture_turns_the_answer():
    before = turned((0, 0, 0), (15, 100, 0))
    after = turned((0, 0, 25), (15, 100, 0))
    assert head_scores.turn_errors(before, after, 25.0) == pytest.approx([0, 25])
    assert head_scores.turn_errors(before, before, np.array([25.0, -40.0])) == pytest.approx([25, 40])


# --- certainty --------------------------------------------------------------------------------------------------------


def test_the_most_certain_fifth_against_the_rest():
    """Ten heads whose error grows with the entropy: the surest two err by 1.5, the others by 6.5 in the middle."""
    error = np.arange(1.0, 11)
    found = head_scores.calibration(error - 20, error)
    assert (found.certain, found.others, found.correlation) == pytest.approx((1.5, 6.5, 1))
    assert found.area == pytest.approx(np.mean([1.25 + 0.5 * step for step in range(9)]))
    worst = head_scores.calibration(-error, error)
    assert (worst.certain, worst.others, worst.correlation) == pytest.approx((9.5, 4.5, -1))
    assert np.isnan(head_scores.calibration(error[:1], error[:1]).certain)


def test_risk_is_the_mean_error_of_those_answered():
    coverage, risk = head_scores.risk_coverage(np.array([-1.0, -3.0, -2.0, 0.0]), np.array([6.0, 2.0, 4.0, 40.0]))
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1]
    assert risk.tolist() == [2, 3, 4, 13]


# --- boxes ------------------------------------------------------------------------------------------------------------


def test_overlaps():
    """Shifted by half a side: 50 of 150. A box in the middle of a quarter of the area: 0.25. Beside: 0. Empty: 0."""
    others = np.array([[5, 0, 15, 10], [2.5, 2.5, 7.5, 7.5], [10, 0, 20, 10], [3, 3, 3, 3], SQUARE])
    assert head_scores.overlaps(np.array([SQUARE]), others)[0] == pytest.approx([1 / 3, 0.25, 0, 0, 1])
    assert head_scores.overlaps(np.zeros((0, 4)), others).shape == (0, 5)
    assert head_scores.overlaps(np.zeros((1, 4)), np.zeros((1, 4))).tolist() == [[0]]


def test_match_takes_the_largest_overlap_above_the_threshold():
    boxes = np.array([[0, 0, 10, 9], [0, 0, 10, 10], [40, 0, 50, 10], [0, 60, 10, 70]])
    confidence = np.array([0.8, 0.6, 0.9, 0.9])
    truth = np.array([SQUARE, [41, 0, 51, 10], [45, 0, 55, 10], [0, 0, 10, 8], [80, 80, 90, 90]])
    assert head_scores.match(boxes, confidence, truth, 0.7).tolist() == [0, 2, -1, 0, -1]
    assert head_scores.match(boxes, confidence, truth, 0.5).tolist() == [1, 2, -1, 0, -1]
    assert head_scores.match(boxes[:0], confidence[:0], truth).tolist() == [-1] * 5
    half = np.array([[0.0, 0, 10, 5]])  # exactly 0.5 is not more than 0.5
    assert head_scores.match(half, np.ones(1), np.array([SQUARE])).tolist() == [-1]


def test_every_head_has_one_box():
    boxes = np.array([[0, 0, 10, 9], SQUARE, [30, 0, 40, 10]])
    found = Found(boxes, np.array([0.9, 0.8, 0.7]), np.array([SQUARE]))
    assert head_scores.assign(found).tolist() == [0, -1, -1]


def three_boxes(counted=None) -> Found:
    """Two heads; the boxes by confidence are right, wrong, right."""
    boxes = np.array([SQUARE, [50, 50, 60, 60], [100, 0, 140, 40]], float)
    truth = np.array([SQUARE, [100, 0, 140, 40]], float)
    return Found(boxes, np.array([0.9, 0.5, 0.3]), truth, counted)


def test_average_precision():
    """Precision is 1 to a recall of 0.5 (51 of the 101 places), and 2/3 for the other 50."""
    assert head_scores.average_precision([three_boxes()]) == pytest.approx((51 + 50 * 2 / 3) / 101)
    empty = Found(np.zeros((0, 4)), np.zeros(0), np.array([SQUARE, SQUARE]))
    assert head_scores.average_precision([empty]) == 0
    # With two more heads that nobody finds, recall ends at 0.5: 26 places at 1 (0..0.25), 25 at 2/3 (0.26..0.5).
    assert head_scores.average_precision([three_boxes(), empty]) == pytest.approx((26 + 25 * 2 / 3) / 101)
    assert np.isnan(head_scores.average_precision([]))


def test_heads_that_need_not_be_found_do_not_count():
    """The second head is optional: its box is neither right nor wrong, the first head is found before the error."""
    one = three_boxes(np.array([True, False]))
    assert head_scores.average_precision([one]) == 1
    found = head_scores.detection([one], 0.2)
    assert (found.heads, found.false_boxes) == (0, 1)
    assert np.isnan(found.recall)


def test_recall_is_of_large_heads_and_false_boxes_are_a_picture():
    """Only the head of 40 pixels is large enough; it is found with 0.3."""
    found = head_scores.detection([three_boxes()], 0.2)
    assert (found.recall, found.heads, found.false_boxes) == (1, 1, 1)
    found = head_scores.detection([three_boxes(), Found(np.zeros((0, 4)), np.zeros(0), np.zeros((0, 4)))], 0.4)
    assert (found.recall, found.heads, found.false_boxes) == (0, 1, 0.5)
    assert head_scores.detection([three_boxes()], 0.6).false_boxes == 0
    assert np.isnan(head_scores.detection([], 0.4).recall)


# --- the published metric ---------------------------------------------------------------------------------------------

CASE = ROOT / "directmhp" / "metric"


@pytest.mark.skipif(not (CASE / "case.json").is_file(), reason=f"no reference case in {CASE}")
def test_the_metric_of_many_heads_is_the_published_one():
    _, inputs, outputs, config = seeded().read_case(CASE)
    truth, boxes = inputs["truth"].astype(float), inputs["predictions"].astype(float)
    errors, yaws = [], []
    for picture in np.unique(truth[:, 0]):
        own, found = truth[truth[:, 0] == picture], boxes[boxes[:, 0] == picture]
        corners = [np.concatenate([rows[:, 1:3], rows[:, 1:3] + rows[:, 3:5]], 1) for rows in (found, own)]
        rows = head_scores.match(
            corners[0], found[:, 5], corners[1], config["score_threshold"], config["iou_threshold"]
        )
        errors.append(head_scores.angle_errors(found[rows[rows >= 0], 6:], own[rows >= 0, 5:]))
        yaws.append(np.abs(own[rows >= 0, 6]))
    each, yaw = np.concatenate(errors), np.concatenate(yaws)
    counts = [len(truth), len(each), int((yaw > 90).sum()), int((yaw <= 90).sum())]
    assert counts == outputs["counts"].tolist()
    for name, rows in (("", yaw >= 0), ("_back", yaw > 90), ("_front", yaw <= 90)):
        np.testing.assert_allclose(each[rows].mean(0), outputs[f"pitch_yaw_roll{name}"], atol=1e-4)
