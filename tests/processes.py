# SPDX-License-Identifier: Apache-2.0
"""Waiting for other processes, and whether they are there."""

from __future__ import annotations

import time
from pathlib import Path


def until(what, seconds=60.0):
    """Wait until ``what`` says so."""
    begun = time.monotonic()
    while not what():
        assert time.monotonic() - begun < seconds
        time.sleep(0.01)


def alive(process: int) -> bool:
    """Whether a process is there and has not ended; it need not be our child."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
