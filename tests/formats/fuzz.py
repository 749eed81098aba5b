# SPDX-License-Identifier: Apache-2.0
"""Damage done to good files: a reader may refuse or accept, but only with its own error, never a crash or a hang."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hyoid.errors import HyoidError
from hyoid.formats.checks import valid_take

FLIPS = 200


def survives(read: Callable[[Path], Any], good: Path, sound: Callable[[Any], Any] = valid_take) -> None:
    """Cut a good file at each twentieth of its length, and flip 200 bits one by one: HyoidError or a sound record.

    ``sound`` raises when what was read is not sound.
    """
    whole = good.read_bytes()
    damaged = [whole[: len(whole) * step // 20] for step in range(20)]
    dice = random.Random(20)
    for _ in range(FLIPS):
        flipped = bytearray(whole)
        flipped[dice.randrange(len(whole))] ^= 1 << dice.randrange(8)
        damaged.append(bytes(flipped))
    bad = good.with_name(f"bad_{good.name}")
    refused = 0
    for data in damaged:
        bad.write_bytes(data)
        try:
            sound(read(bad))
        except HyoidError as error:
            refused += 1
            if str(bad) not in str(error):
                raise AssertionError("the message does not name the file") from error
    # A file cut to nothing or to half is never a whole take.
    assert refused >= 10
