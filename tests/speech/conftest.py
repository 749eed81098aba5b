# SPDX-License-Identifier: Apache-2.0
"""The example recording, solved once for all tests that look at it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hyoid.speech import solve

EXAMPLE = Path(__file__).parents[2] / "examples" / "talk"


@pytest.fixture(scope="session")
def voice() -> Path:
    return EXAMPLE / "jfk.flac"


@pytest.fixture(scope="session")
def transcript() -> str:
    return str(EXAMPLE / "jfk.txt")


@pytest.fixture(scope="session")
def take(voice, transcript):
    return solve(voice, text=transcript)
