# SPDX-License-Identifier: Apache-2.0
"""KTPFormer: both forwards, gradients, windows and what they promise."""

from __future__ import annotations

import itertools
import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hyoid.errors import InputError, MissingToolError, UsageError
from hyoid.geometry import joint_errors
from hyoid.systems.ktpformer import checkpoint, infer
from hyoid.systems.ktpformer.config import Config
from scipy.spatial.transform import Rotation

from tests.systems.ktpformer_files import SMALL, drawn, tensors

torch = pytest.importorskip("torch")

from hyoid.systems.ktpformer import fast, network, train  # noqa: E402

WIDTH, HEIGHT = 1280, 720
# Two orders of summation on outputs near 1; float32 keeps 1e-7 of that and the networks are 6 blocks deep.
ROUNDING = 5e-6


def walk(frames: int, seed: int = 1) -> np.ndarray:
    """Pixels (frames, 17, 2) that move smoothly."""
    random = np.random.default_rng(seed)
    middle, size = random.uniform((400, 200), (900, 500), (17, 2)), random.uniform(10, 60, (17, 2))
    return middle + size * np.sin(0.2 * np.arange(frames)[:, None, None] + random.uniform(0, 6, (17, 2)))


@pytest.fixture(scope="module")
def model():
    return checkpoint.Model(SMALL, drawn())


@pytest.fixture(scope="module")
def lifter(model):
    return infer.ready(model)


# --- the network ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("config", "batch"), [
    (SMALL, 1), (SMALL, 3),
    (Config(frames=70, channels=16, depth=1, heads=2), 2),  # more tokens than here go through a block together
    (Config(frames=5, channels=24, depth=1, heads=8, parents=(-1, 0, 0, 2), left=(1,), right=(3,)), 2),
])  # fmt: skip
def test_fast_forward_is_the_plain_one(config, batch, monkeypatch):
    monkeypatch.setattr(fast, "_CHUNK", 1024)
    parameters = tensors(drawn(config))
    keypoints = torch.from_numpy(np.random.default_rng(2).normal(0, 0.5, (batch, config.frames, config.joints, 2)))
    plain = network.forward(parameters, config, keypoints.float())
    found = fast.forward(fast.prepare(parameters, config), keypoints.float())
    assert plain.std() > 0.3
    torch.testing.assert_close(found, plain, rtol=0, atol=ROUNDING)
    exact = network.forward(tensors(drawn(config), torch.float64), config, keypoints.float().double())
    torch.testing.assert_close(found.double(), exact, rtol=0, atol=ROUNDING)


def test_fast_forward_where_torch_cannot_pack_matrices(monkeypatch, model):
    keypoints = torch.randn(2, 9, 17, 2)
    packed = fast.forward(fast.prepare(tensors(model.parameters), SMALL), keypoints)
    monkeypatch.setattr(fast, "_packs", lambda _: False)
    plain = fast.forward(fast.prepare(tensors(model.parameters), SMALL), keypoints)
    torch.testing.assert_close(packed, plain, rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("packs", [True, False])
def test_products_of_rounded_numbers_are_near_the_exact_ones(monkeypatch, model, packs):
    keypoints = torch.randn(2, 9, 17, 2)
    parameters = tensors(model.parameters)
    exact = fast.forward(fast.prepare(parameters, SMALL), keypoints)
    if not packs:
        monkeypatch.setattr(fast, "_packs", lambda _: False)
    prepared = fast.prepare(parameters, SMALL, "bfloat16")
    rounded = fast.forward(prepared, keypoints)
    assert rounded.dtype == torch.float32
    assert torch.equal(rounded, fast.forward(prepared, keypoints))
    errors = (rounded - exact).abs() / exact.std()
    assert 1e-4 < errors.mean() < 0.02
    assert errors.max() < 0.15
    with pytest.raises(UsageError, match="float16"):
        fast.prepare(parameters, SMALL, "float16")


def test_preparing_and_running_leave_parameters_and_keypoints_alone(model):
    parameters = tensors(model.parameters)
    keypoints = torch.randn(1, 9, 17, 2)
    before = {name: value.clone() for name, value in parameters.items()}, keypoints.clone()
    prepared = fast.prepare(parameters, SMALL)
    first, second = fast.forward(prepared, keypoints), fast.forward(prepared, keypoints)
    network.forward(parameters, SMALL, keypoints)
    assert torch.equal(first, second)
    assert torch.equal(keypoints, before[1])
    assert all(torch.equal(parameters[name], value) for name, value in before[0].items())


def test_topologies_are_those_of_the_specification():
    body = network.skeleton(SMALL.parents)
    assert torch.equal(body.diagonal(), torch.ones(17))
    assert body[0, [1, 4, 7]].tolist() == pytest.approx([1 / 3] * 3)
    assert body[8, [7, 9, 11, 14]].tolist() == pytest.approx([1 / 4] * 4)
    assert body[3].nonzero().flatten().tolist() == [2, 3]
    assert network.chain(4).tolist() == [[1, 1, 0, 0], [0.5, 1, 0.5, 0], [0, 0.5, 1, 0.5], [0, 0, 1, 1]]


def test_gradients_are_those_of_differences_and_reach_every_parameter():
    """The published code fails here: it adds the places in place to what ReLU needs again."""
    config = replace(SMALL, frames=4, channels=8, depth=1, heads=2)
    parameters = tensors(drawn(config), torch.float64)
    learned = {name: value for name, value in parameters.items() if "running" not in name}
    torch.manual_seed(0)
    keypoints, target = torch.randn(2, 4, 17, 2).double(), torch.randn(2, 4, 17, 3).double()

    def loss(moved):
        return train.losses(network.forward({**parameters, **moved}, config, keypoints), target).total

    leaves = {name: value.clone().requires_grad_() for name, value in learned.items()}
    loss(leaves).backward()
    direction = {name: torch.randn_like(value) for name, value in learned.items()}
    ends = [loss({n: v + sign * 1e-6 * direction[n] for n, v in learned.items()}) for sign in (1, -1)]
    slope = sum((leaves[name].grad * direction[name]).sum() for name in learned)
    torch.testing.assert_close(slope, (ends[0] - ends[1]) / 2e-6, rtol=1e-5, atol=1e-6)
    assert all(leaf.grad.abs().max() > 0 for leaf in leaves.values())


def test_training_uses_the_batch_and_drops_paths(model):
    own = tensors(model.parameters)
    parameters = {name: value.requires_grad_("running" not in name) for name, value in own.items()}
    keypoints = torch.randn(3, 9, 17, 2)
    running = parameters["kpattention.attn.kpa.bn.running_mean"].clone()
    draws = []
    for seed in (1, 1, 2):
        training = network.Training(0.5, torch.Generator().manual_seed(seed))
        draws.append(network.forward(parameters, SMALL, keypoints, training))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert not torch.equal(parameters["kpattention.attn.kpa.bn.running_mean"], running)
    draws[2].square().mean().backward()
    assert torch.isfinite(parameters["tpattention.attn.tpa.gconv1.gconv.adj2"].grad).all()
    ones = torch.ones(40000, 1, 1)
    kept = network._Drop(0.25, torch.Generator().manual_seed(0))(ones)
    assert set(kept.flatten().tolist()) == {0.0, float(torch.tensor(1) / 0.75)}
    assert kept.mean().item() == pytest.approx(1, abs=0.015)  # five standard errors


def test_another_window_length_is_refused(model):
    with pytest.raises(InputError, match=r"expected \(B, 9, 17, 2\)"):
        network.forward(tensors(model.parameters), SMALL, torch.zeros(1, 8, 17, 2))


def test_errors_of_joints():
    random = np.random.default_rng(0)
    target = random.normal(0, 1, (5, 17, 3))
    turn = Rotation.from_rotvec(random.normal(0, 1, (5, 3))).as_matrix()
    moved = 1.7 * target @ turn + random.normal(0, 1, (5, 1, 3))
    assert joint_errors.p_mpjpe(moved, target).max() < 1e-12
    assert joint_errors.p_mpjpe(target * [-1, 1, 1], target).min() > 0.1  # a mirror image is no pose of the same body
    assert joint_errors.n_mpjpe(3 * target, target).max() < 1e-12
    assert joint_errors.mpjpe(target + np.array([3, 4, 0]), target) == pytest.approx(np.full(5, 5.0))
    assert joint_errors.mpjve(target + np.array([3, 4, 0]), target).max() < 1e-12
    assert joint_errors.p_mpjpe(np.zeros((1, 17, 3)), target[:1])[0] > 0  # all joints in one place
    with pytest.raises(InputError, match="velocity"):
        joint_errors.mpjve(target[:1], target[:1])
    with pytest.raises(InputError, match="the same"):
        joint_errors.mpjpe(target, target[:, :16])


# --- clips ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("frames", [1, 2, 8, 9, 10, 13, 14, 30])
@pytest.mark.parametrize("windows", infer.WINDOWS)
def test_a_clip_of_any_length(lifter, frames, windows):
    clip = walk(frames)
    found = infer.lift(lifter, clip, WIDTH, HEIGHT, infer.Options(windows))
    assert found.shape == (frames, 17, 3)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    rows = infer.window_frames(frames, 9, 5 if windows == "blended" else None)
    answers = infer.lift_windows(lifter, infer.normalised(clip, WIDTH, HEIGHT)[rows])
    expected, weights = np.zeros((frames, 17, 3)), np.zeros((frames, 1, 1))
    for window, answer in zip(rows, answers, strict=True):
        for place, frame in enumerate(window[: frames if frames < 9 else 9]):
            weight = np.sin(np.pi * (place + 0.5) / 9) ** 2
            if windows == "official":
                expected[frame], weights[frame] = answer[place], 1
            else:
                expected[frame] += weight * answer[place]
                weights[frame] += weight
    np.testing.assert_allclose(found, expected / weights, rtol=0, atol=ROUNDING)


def test_a_short_clip_is_one_that_stands_still_at_its_end(lifter):
    clip = walk(4)
    held = np.concatenate([clip, np.repeat(clip[-1:], 5, axis=0)])
    whole = infer.lift(lifter, held, WIDTH, HEIGHT)
    assert np.array_equal(infer.lift(lifter, clip, WIDTH, HEIGHT), whole[:4])


def test_frames_far_away_change_nothing(lifter):
    """With F frames a window and steps of s: what is appended to a clip changes its last F frames at most, and what
    is put before it (a multiple of s) its first F - 1. Frames between are the same in every digit."""
    clip, other = walk(60), walk(40, seed=5)
    alone = infer.lift(lifter, clip, WIDTH, HEIGHT)
    longer = infer.lift(lifter, np.concatenate([clip, other]), WIDTH, HEIGHT)
    assert np.array_equal(longer[: 60 - 9], alone[: 60 - 9])
    assert not np.array_equal(longer[60 - 9 : 60], alone[60 - 9 :])
    later = infer.lift(lifter, np.concatenate([other, clip]), WIDTH, HEIGHT)  # 40 is 8 steps of 5
    assert np.array_equal(later[40 + 8 :], alone[8:])
    assert not np.array_equal(later[40:48], alone[:8])


@pytest.mark.parametrize("step", [None, 3, 9])
def test_stretches_equal_the_whole(lifter, step):
    clip, options = walk(73), infer.Options(step=step)
    whole = infer.lift(lifter, clip, WIDTH, HEIGHT, options)
    for first, end in ((0, 10), (10, 31), (31, 32), (32, 70), (70, 73)):
        start, stop = infer.needed(first, end, 73, 9, step)
        assert stop - start <= (end - first) + 2 * 9 + (step or 5)
        part = infer.lift(lifter, clip[start:stop], WIDTH, HEIGHT, options)
        assert np.array_equal(part[first - start : end - start], whole[first:end])


def test_windows_meet_without_a_jump(monkeypatch):
    """Windows that contradict each other as much as they can: 0, 1, 0, 1, ... Side by side the pose jumps by 1; blended
    it goes over in half a window, a raised cosine whose steepest step is pi / 2 / 122."""
    turns = itertools.cycle((0.0, 1.0))

    def answers(_, windows, mirror):
        return np.full((*windows.shape[:3], 3), next(turns), np.float32)

    monkeypatch.setattr(infer, "lift_windows", answers)
    device = SimpleNamespace(type="cpu")
    fake: Any = SimpleNamespace(config=replace(SMALL, frames=243), prepared=SimpleNamespace(device=device))
    steps = {
        name: np.abs(np.diff(infer.lift(fake, walk(1001), WIDTH, HEIGHT, infer.Options(name))[:, 0, 0])).max()
        for name in infer.WINDOWS
    }
    assert steps["official"] == 1
    # The last window lies where the clip ends and may overlap two others; twice the step leaves room for that.
    assert steps["blended"] < 2 * np.pi / 2 / 122


@pytest.mark.parametrize("cut", [1, 7, 100])
@pytest.mark.parametrize("windows", infer.WINDOWS)
def test_a_stream_is_the_clip_and_holds_little(lifter, cut, windows):
    clip, options = walk(100), infer.Options(windows)
    whole = infer.lift(lifter, clip, WIDTH, HEIGHT, options)
    given, behind, parts = 0, [], []

    def pieces():
        nonlocal given
        for start in range(0, 100, cut):
            given += len(clip[start : start + cut])
            yield clip[start : start + cut]

    for part in infer.stream(lifter, pieces(), WIDTH, HEIGHT, options):
        parts.append(part)
        behind.append(given - sum(map(len, parts)))
    assert np.array_equal(np.concatenate(parts), whole)
    assert max(behind) <= 2 * 9 + cut or cut == 100


def test_batches_agree(lifter):
    clip = walk(80)
    one = infer.lift(lifter, clip, WIDTH, HEIGHT)
    assert np.array_equal(one, infer.lift(lifter, clip, WIDTH, HEIGHT))
    for batch in (2, 5, 100):
        many = infer.lift(lifter, clip, WIDTH, HEIGHT, infer.Options(batch=batch))
        np.testing.assert_allclose(many, one, rtol=0, atol=ROUNDING)


def test_a_mirrored_clip_gives_the_mirrored_pose(lifter):
    clip = walk(20)
    mirrored = clip[:, SMALL.mirrored()] * [-1, 1] + [WIDTH, 0]
    found = infer.lift(lifter, clip, WIDTH, HEIGHT)
    other = infer.lift(lifter, mirrored, WIDTH, HEIGHT)
    np.testing.assert_allclose(other[:, SMALL.mirrored()] * [-1, 1, 1], found, rtol=0, atol=ROUNDING)
    plain = infer.lift(lifter, clip, WIDTH, HEIGHT, infer.Options(mirror=False))
    assert np.abs(plain - found).max() > 0.01


def test_pixels_are_measured_by_the_width():
    corners = infer.normalised(np.array([[0.0, 0.0], [1280, 720], [640, 360]]), 1280, 720)
    np.testing.assert_allclose(corners, [[-1, -0.5625], [1, 0.5625], [0, 0]], atol=1e-7)


def test_progress_is_told(lifter):
    from hyoid.report import Report

    events = []
    infer.lift(lifter, walk(40), WIDTH, HEIGHT, report=Report(events.append))
    fractions = [event["fraction"] for event in events]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    assert len(fractions) > 3


def test_what_cannot_be_lifted(lifter):
    clip = walk(20)
    clip[12, 3, 1] = np.nan
    with pytest.raises(InputError, match="joint 3 of frame 12 is at nan"):
        infer.lift(lifter, clip, WIDTH, HEIGHT)
    with pytest.raises(InputError, match="joint 3 of frame 12"):
        list(infer.stream(lifter, [clip[:7], clip[7:]], WIDTH, HEIGHT))
    for wrong in (np.zeros((4, 16, 2)), np.zeros((4, 17, 3)), np.zeros((17, 2)), np.zeros((4, 17, 2), complex)):
        with pytest.raises(InputError, match="keypoints are"):
            infer.lift(lifter, wrong, WIDTH, HEIGHT)
    with pytest.raises(InputError, match="there are no frames"):
        infer.lift(lifter, clip[:0], WIDTH, HEIGHT)
    for width, height in ((0, 720), (1280, -1), (np.nan, 720), (np.inf, 720)):
        with pytest.raises(InputError, match="an image of"):
            infer.lift(lifter, clip[:3], width, height)
    options = (infer.Options("other"), infer.Options(step=0), infer.Options(step=10), infer.Options("official", step=4))
    for wrong in (*options, infer.Options(batch=-1)):
        with pytest.raises(UsageError):
            infer.lift(lifter, clip[:3], WIDTH, HEIGHT, wrong)


def test_without_torch_one_error_says_so(monkeypatch, model):
    for name in ("torch", "hyoid.systems.ktpformer.fast", "hyoid.systems.ktpformer.network"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delattr("hyoid.systems.ktpformer.fast", raising=False)
    with pytest.raises(MissingToolError, match="pip install"):
        infer.ready(model)
