# SPDX-License-Identifier: Apache-2.0
"""What the tests of Blender files share: the versions at hand, the probe process, and what a frame should be."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hyoid.characters import performance
from hyoid.characters.character import Character
from hyoid.take import Take

ROOT = Path(__file__).parents[2]
PROBE = Path(__file__).with_name("probe.py")
VERSIONS = ("4.2", "4.5", "5.0")
TOLERANCE = 1e-4
"""Metres: what a joint or a vertex may be off after a round trip."""


def folder_of(version: str) -> Path | None:
    """The folder with the bpy of a version; None stands for the bpy of this environment. Skips where it is absent."""
    if version == "4.2":
        if importlib.util.find_spec("bpy") is None:
            pytest.skip('bpy is not installed: pip install "bpy>=4.2.23,<4.3"')
        return None
    folder = ROOT / ".tools" / f"bpy-{version}"
    if not (folder / "bpy").is_dir():
        pytest.skip(f"bpy {version} is not in {folder}: make tools")
    return folder


@dataclass(frozen=True)
class Seen:
    """What Blender shows: ``vertices`` by object and ``joints`` by bone, (frames, n, 3) and (frames, 3), and facts."""

    vertices: dict[str, np.ndarray]
    joints: dict[str, np.ndarray]
    info: dict


def probe(path: Path, frames, folder: Path, version: str = "4.2", statement: str = "", fps: int = 30) -> Seen:
    """Open a file in its own process and sample frames."""
    place = folder_of(version)
    environment = dict(os.environ, PROBE_FPS=str(fps), BLENDER_USER_RESOURCES=str(folder / "resources"))
    environment["PYTHONPATH"] = "" if place is None else str(place)
    out = folder / "probe.npz"
    out.unlink(missing_ok=True)
    command = [sys.executable, str(PROBE), str(path), str(out), ",".join(map(str, frames)), statement]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    with np.load(out) as archive:
        arrays = {name: archive[name] for name in archive.files}
    pick = {kind: {n[len(kind) + 1 :]: a for n, a in arrays.items() if n.startswith(f"{kind}.")}
            for kind in ("vertices", "joints")}  # fmt: skip
    return Seen(pick["vertices"], pick["joints"], json.loads(str(arrays["info"])))


def expected(character: Character, take: Take, frames) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (frames, V, 3) and joint positions (frames, J, 3) of the performance itself."""
    performed = performance.perform(character, take)
    chosen = performance.Performance(
        performed.shape_weights[frames], performed.rotations[frames], performed.root[frames]
    )  # fmt: skip
    return performance.deform(character, chosen), performance.joint_transforms(character, chosen)[:, :, :3, 3]


def check(seen: Seen, character: Character, take: Take, frames, *, joints: bool = True, plain=lambda n: n) -> None:
    """Every vertex and joint is where the performance puts it."""
    vertices, positions = expected(character, take, frames)
    for part in character.parts:
        name = next(n for n in seen.vertices if n == part.name or n.endswith(f"_{part.name}"))
        assert np.abs(seen.vertices[name] - vertices[:, part.vertices]).max() < TOLERANCE, part.name
    if joints:
        for index, name in enumerate(character.joint_names):
            if seen.joints.get(plain(name)) is not None:
                assert np.abs(seen.joints[plain(name)] - positions[:, index]).max() < TOLERANCE, name
        missing = {plain(name) for name in character.joint_names} - set(seen.joints)
        assert not missing, missing
