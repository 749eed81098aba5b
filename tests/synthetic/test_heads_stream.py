# SPDX-License-Identifier: Apache-2.0
"""Streams: what a step gets depends on its number alone; memory is bounded; failures arrive."""

from __future__ import annotations

import numpy as np
import pytest
from hyoid.errors import HyoidError, InputError, MissingToolError, UsageError
from hyoid.media import gl
from hyoid.synthetic.heads import Crops, Rule, Settings, Stream, crops
from hyoid.synthetic.heads.stream import CHUNK

SETTINGS = Settings(size=32)
RULE = Rule(first=CHUNK, rate=8.0, capacity=3 * CHUNK)


def numbered(seed: int, first: int, count: int, settings: Settings) -> Crops:
    """Crops whose pictures are their own numbers: fast to draw in another process."""
    numbers = np.arange(first, first + count)
    images = np.broadcast_to((numbers % 251).astype(np.uint8)[:, None, None, None], (count, 4, 4, 3)).copy()
    turns = np.tile(np.eye(3, dtype=np.float32), (count, 1, 1))
    return Crops(images, turns, np.tile(numbers[:, None], 4).astype(np.float32), np.full(count, seed, np.float32))


def broken(seed: int, first: int, count: int, settings: Settings) -> Crops:
    """Nothing."""
    raise InputError("nothing to draw with")


def test_a_window_grows_and_then_moves() -> None:
    assert RULE.window(0) == (0, CHUNK)
    assert RULE.window(4) == (0, 2 * CHUNK)
    assert RULE.window(40) == (8 * CHUNK, 11 * CHUNK)


def test_steps_repeat_after_a_restart_and_with_other_workers() -> None:
    with Stream(5, SETTINGS, rule=RULE, workers=2, produce=numbered) as stream:
        whole = [stream.batch(step, 16) for step in range(30)]
        assert len(stream._chunks) * CHUNK <= RULE.capacity + 8 * CHUNK
    for step, batch in enumerate(whole):
        low, high = RULE.window(step)
        assert (batch.boxes[:, 0] >= low).all()
        assert (batch.boxes[:, 0] < high).all()
        np.testing.assert_array_equal(batch.images[:, 0, 0, 0], batch.boxes[:, 0].astype(int) % 251)
    with Stream(5, SETTINGS, rule=RULE, workers=1, produce=numbered) as stream:
        for step in (20, 25, 29):
            again = stream.batch(step, 16)
            for name in ("images", "rotations", "boxes", "visible"):
                np.testing.assert_array_equal(getattr(again, name), getattr(whole[step], name))


def test_a_stream_ends_its_processes() -> None:
    with Stream(0, SETTINGS, rule=RULE, workers=2, produce=numbered) as stream:
        stream.batch(0, 2)
        processes = list(stream._processes)
    assert processes
    assert not any(process.is_alive() for process in processes)


def test_what_goes_wrong_in_a_process_arrives() -> None:
    with (
        Stream(0, SETTINGS, rule=RULE, produce=broken) as stream,
        pytest.raises(HyoidError, match="nothing to draw with"),
    ):
        stream.batch(0, 2)


def test_packed_pictures_come_back_nearly_the_same() -> None:
    with Stream(5, SETTINGS, rule=RULE, produce=numbered) as stream:
        plain = stream.batch(3, 8)
    with Stream(5, SETTINGS, rule=RULE, produce=numbered, quality=95) as stream:
        packed = stream.batch(3, 8)
        assert all(isinstance(kept, bytes) for kept in stream._chunks[0].images)
    np.testing.assert_allclose(packed.images.astype(int), plain.images.astype(int), atol=2)
    np.testing.assert_array_equal(packed.boxes, plain.boxes)


def test_a_cache_keeps_chunks_and_refuses_damaged_ones(tmp_path) -> None:
    with Stream(3, SETTINGS, rule=RULE, cache=tmp_path, produce=numbered) as stream:
        first = stream.batch(0, 8)
    kept = sorted(tmp_path.glob("*_0.npz"))
    assert len(kept) == 1
    with Stream(3, SETTINGS, rule=RULE, cache=tmp_path, produce=broken) as stream:
        np.testing.assert_array_equal(stream.batch(0, 8).images, first.images)
    kept[0].write_bytes(b"no archive")
    with (
        Stream(3, SETTINGS, rule=RULE, cache=tmp_path, produce=numbered) as stream,
        pytest.raises(HyoidError, match="damaged"),
    ):
        stream.batch(0, 8)


def test_rules_without_crops_are_refused() -> None:
    with pytest.raises(UsageError):
        Stream(0, SETTINGS, rule=RULE, workers=0)
    with pytest.raises(UsageError):
        Stream(0, SETTINGS, rule=Rule(capacity=CHUNK))


@pytest.mark.slow
def test_another_process_draws_the_same_crops() -> None:
    try:
        gl.context()
    except MissingToolError as error:
        pytest.skip(str(error))
    with Stream(4, SETTINGS, rule=Rule(first=CHUNK, rate=0, capacity=2 * CHUNK)) as stream:
        batch = stream.batch(0, 4)
    numbers = np.random.default_rng([0x57, 4, 0]).integers(0, CHUNK, 4)
    for row, number in enumerate(numbers.tolist()):
        np.testing.assert_array_equal(crops(4, number, 1, settings=SETTINGS).images[0], batch.images[row])
