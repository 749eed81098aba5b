# SPDX-License-Identifier: Apache-2.0
"""HopFIR on clips: pixels in, metres out, the same numbers however a clip is cut, and keypoints that are refused."""

from __future__ import annotations

import numpy as np
import pytest
from hyoid.errors import InputError, WeightsError
from hyoid.report import Report
from hyoid.systems.hopfir import checkpoint, infer, network
from hyoid.systems.hopfir.network import HUMAN36M

from tests.systems.test_hopfir import SMALL, arrays_of

torch = pytest.importorskip("torch")
WIDTH, HEIGHT = 1920, 1080


@pytest.fixture(scope="module")
def lifter() -> infer.Lifter:
    return infer.ready(checkpoint.Model(SMALL, arrays_of()))


def clip(frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform((0, 0), (WIDTH, HEIGHT), (frames, 17, 2))


@pytest.mark.parametrize("frames", [1, 3, infer.BATCH, infer.BATCH + 1])
@pytest.mark.parametrize("mirror", [True, False])
def test_it_is_the_network_on_each_picture(lifter, frames, mirror):
    keypoints = clip(frames)
    found = infer.lift(lifter, keypoints, WIDTH, HEIGHT, mirror=mirror)
    image = torch.from_numpy(network.normalised(keypoints, WIDTH, HEIGHT).astype(np.float32))
    answer = network.lift if mirror else network.forward
    wanted = answer(lifter.parameters, SMALL, image).numpy()
    assert (found.shape, found.dtype) == ((frames, 17, 3), np.float32)
    assert np.abs(found - wanted).max() < 1e-5
    assert (found[:, 0] == 0).all()


def test_a_clip_that_is_cut_where_a_batch_ends_gives_the_same_digits(lifter):
    keypoints = clip(2 * infer.BATCH + 7)
    whole = infer.lift(lifter, keypoints, WIDTH, HEIGHT)
    later = infer.lift(lifter, keypoints[infer.BATCH :], WIDTH, HEIGHT)
    assert np.array_equal(whole[infer.BATCH :], later)


def test_a_mirrored_clip_gives_the_mirrored_poses(lifter):
    keypoints, other = clip(5), list(HUMAN36M.mirror)
    turned = (keypoints * [-1, 1] + [WIDTH, 0])[:, other]
    plain, found = (infer.lift(lifter, each, WIDTH, HEIGHT) for each in (keypoints, turned))
    assert np.abs(found - (plain * [-1, 1, 1])[:, other]).max() < 1e-5


def test_whole_pixels_and_larger_pictures_are_alike(lifter):
    keypoints = np.round(clip(2)).astype(np.int32)
    one, other = (infer.lift(lifter, n * keypoints, n * WIDTH, n * HEIGHT) for n in (1, 2))
    assert np.abs(one - other).max() < 1e-5


def test_a_file_answers_as_the_model_in_memory(lifter, tmp_path):
    path = tmp_path / "w.safetensors"
    checkpoint.save(path, lifter.model, half=False)
    keypoints, told = clip(70), []
    found = infer.lift(infer.load(path), keypoints, WIDTH, HEIGHT, report=Report(told.append))
    assert np.array_equal(found, infer.lift(lifter, keypoints, WIDTH, HEIGHT))
    assert [event["what"] for event in told] == ["frame 64 of 70", "frame 70 of 70"]
    with pytest.raises(WeightsError):
        infer.load(tmp_path / "missing.safetensors")


def test_wrong_keypoints_are_refused_by_name(lifter):
    gap = clip(4)
    gap[2, 5, 1] = np.nan
    cases = (
        (gap, WIDTH, "joint 5 of frame 2"), (clip(2)[:, :16], WIDTH, "(2, 16, 2)"), (clip(0), WIDTH, "no frames"),
        (clip(1)[0], WIDTH, "(17, 2)"), (clip(1).astype(str), WIDTH, "keypoints"), (clip(1), 0, "image of 0"),
        (clip(1), float("nan"), "image of nan"),
    )  # fmt: skip
    for keypoints, width, said in cases:
        with pytest.raises(InputError) as error:
            infer.lift(lifter, keypoints, width, HEIGHT)
        assert said in str(error.value)
