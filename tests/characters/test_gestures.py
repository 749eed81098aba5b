# SPDX-License-Identifier: Apache-2.0
"""Swallow, breath and effort move larynx, neck and shoulders once, whoever made the take."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hyoid import characters
from hyoid.characters import gestures, neck, performance
from hyoid.formats import curves_csv
from hyoid.geometry import rotations
from hyoid.take import Take


@pytest.fixture(scope="module")
def human():
    return characters.load("human", part="head")


def _take(fps: float = 30.0, **curves: np.ndarray) -> Take:
    frames = len(next(iter(curves.values())))
    return Take(
        fps=fps, curve_names=tuple(curves), curves=np.stack(list(curves.values()), -1).astype(np.float32),
        joint_names=(), rotations=np.zeros((frames, 0, 4), np.float32), root=np.zeros((frames, 3), np.float32),
        confidence=np.ones(frames, np.float32),
    )  # fmt: skip


def _swallow(fps: float, seconds: float = 1.0) -> np.ndarray:
    time = np.arange(round(2 * fps)) / fps - 0.4
    return np.where((time > 0) & (time < seconds), np.sin(np.pi * time / seconds) ** 2, 0.0)


@pytest.mark.parametrize("fps", [24, 30, 60])
def test_a_swallow_dips_rises_and_comes_back(fps):
    height = gestures.swallow_height(_swallow(fps), fps)
    top, low = int(height.argmax()), int(height[: height.argmax()].argmin())
    assert 15 < height.max() <= gestures.SWALLOW_RISE
    assert -5 < height.min() < -2
    # The literature: about a second in all, 0.2 to 0.4 s of it the rise (docs/neck.md); one frame of play.
    risen = int(np.argmax(height > 0.95 * height.max()))
    assert 0.2 - 1 / fps <= (risen - low) / fps <= 0.4 + 1 / fps
    assert height[top:].min() > -0.5, "no dip on the way back"
    assert abs(height[-1]) < 1e-9


def test_the_swallow_is_the_same_at_every_frame_rate():
    fine = gestures.swallow_height(_swallow(240), 240)
    for fps in (24, 30, 60):
        coarse = gestures.swallow_height(_swallow(fps), fps)
        # The dip lasts four frames at 24 a second, and its slope is measured over two of them.
        assert np.abs(coarse - fine[:: 240 // fps]).max() < (1.5 if fps < 60 else 0.4)


def test_a_take_with_only_a_curve_moves_larynx_neck_and_shoulders(human):
    take = _take(swallow=_swallow(30))
    done = performance.perform(human, take)
    column = human.shapes.names.index
    assert done.shape_weights[:, column("larynxUp")].max() > 1.4
    assert done.shape_weights[:, column("larynxDown")].max() > 0.2
    assert np.abs(done.rotations[:, human.joint("oc1"), 1]).max() > 0.005
    breath = performance.perform(human, _take(breath=np.linspace(0, 1, 10)))
    assert breath.shape_weights[-1, column("larynxDown")] == pytest.approx(gestures.BREATH_DROP / 10)
    shoulders = performance.deform(human, breath)[-1] - performance.deform(human, breath)[0]
    collar = human.weights[np.arange(len(human.vertices)), 0] > 0
    assert 1e-3 < shoulders[collar, 1].max() < 0.02, "millimetres that a breath lifts a shoulder"
    head = rotations.to_rotation_vector(neck.collapse(breath.rotations[:, [human.joint(n) for n in neck.JOINTS]]))
    assert np.degrees(np.abs(head)).max() < 1.0, "the eyes stay on what they look at"


def test_effort_tenses_the_neck(human):
    done = performance.perform(human, _take(effort=np.array([0.0, 0.5, 1.0])))
    tense = done.shape_weights[:, human.shapes.names.index(gestures.TENSE)]
    np.testing.assert_allclose(tense, [0, 0.5, 1])
    for side, sense in (("L", 1), ("R", -1)):
        assert sense * done.rotations[2, human.joint(f"clavicle.{side}"), 3] > 0.01


def test_what_a_take_says_itself_is_not_moved_twice(human):
    swallow = _swallow(30)
    own = _take(swallow=swallow, larynxHeight=np.full(len(swallow), 3.0), effort=swallow, neckTense=0 * swallow)
    done = performance.perform(human, own)
    np.testing.assert_allclose(done.shape_weights[:, human.shapes.names.index("larynxUp")], 0.3)
    assert not done.shape_weights[:, human.shapes.names.index(gestures.TENSE)].any()
    still = rotations.identity(len(swallow), 8)
    held = performance.perform(human, replace(own, joint_names=neck.JOINTS, rotations=still))
    np.testing.assert_array_equal(held.rotations[:, [human.joint(n) for n in neck.JOINTS]], still)


def test_baking_writes_the_gestures_out_once(human):
    take = _take(swallow=_swallow(30), effort=0.5 * _swallow(30))
    baked = gestures.baked(take)
    assert {"larynxHeight", "neckTense"} <= set(baked.curve_names)
    assert {"oc1", "clavicle.L"} <= set(baked.joint_names)
    again, direct = performance.perform(human, baked), performance.perform(human, take)
    np.testing.assert_allclose(again.shape_weights, direct.shape_weights, atol=1e-6)
    np.testing.assert_allclose(again.rotations, direct.rotations, atol=1e-6)
    assert gestures.baked(baked) is baked
    quiet = _take(jawOpen=np.zeros(4))
    assert gestures.baked(quiet) is quiet


def test_any_window_is_the_whole(human):
    take = _take(swallow=_swallow(30), breath=np.linspace(0, 1, 60), effort=_swallow(30))
    whole = performance.perform(human, take)
    for start, stop in ((0, 8), (8, 20), (20, 60), (59, 60)):
        part = performance.perform(human, take, start, stop)
        np.testing.assert_allclose(part.shape_weights, whole.shape_weights[start:stop], atol=1e-6)
        np.testing.assert_allclose(part.rotations, whole.rotations[start:stop], atol=1e-6)


def test_a_table_made_by_hand_swallows(human, tmp_path):
    rows = [f"{frame / 30:.6f},{frame},{value:.6f}" for frame, value in enumerate(_swallow(30))]
    path = tmp_path / "swallow.csv"
    path.write_text("\n".join(["time,frame,swallow", *rows]) + "\n", encoding="utf-8")
    done = performance.perform(human, curves_csv.read(path))
    assert done.shape_weights[:, human.shapes.names.index("larynxUp")].max() > 1.4
