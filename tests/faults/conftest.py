# SPDX-License-Identifier: Apache-2.0
"""A performance to damage, and a disk that is too small."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hyoid.formats import take_npz

from tests import toy


@pytest.fixture(scope="session")
def performance(tmp_path_factory) -> Path:
    """A take of 4 seconds that the bundled human performs."""
    from dataclasses import replace

    from hyoid.take import CharacterReference

    path = tmp_path_factory.mktemp("performance") / "good.take.npz"
    take = toy.take(120)
    take_npz.write(path, replace(take, character=CharacterReference("human", {}, "head"), curves=np.abs(take.curves)))
    return path


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A file system of 32 KiB; needs the right to mount."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("no right to mount a small file system; /dev/full is tested in test_files.py")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)
