# SPDX-License-Identifier: Apache-2.0
"""The judges of our formats: programs of other people that say whether a file is right."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

_HERE = Path(__file__).resolve().parent
_NODE_TOOLS = _HERE.parents[1] / ".tools" / "node"


def gltf_verdict(path: Path) -> dict[str, Any]:
    """What the Khronos validator says of a .glb: ``numErrors``, ``numWarnings``, ``messages``, ``info``.

    Without Node or the package the test is skipped, unless ``HYOID_REQUIRE_JUDGES`` is set: then it fails.
    """
    node = shutil.which("node")
    if node is None or not (_NODE_TOOLS / "node_modules" / "gltf-validator").is_dir():
        reason = "the glTF validator is not installed: npm install --prefix .tools/node gltf-validator@2.0.0-dev.3.10"
        if os.environ.get("HYOID_REQUIRE_JUDGES"):
            pytest.fail(reason)
        pytest.skip(reason)
    command = [node, str(_HERE / "gltf_validate.mjs"), str(_NODE_TOOLS), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)[str(path)]


def blender_import(path: Path, fps: float, frames: list[int]) -> dict[str, np.ndarray]:
    """What Blender shows of a .glb or .bvh at some frames: see ``blender_child.py``. Runs in a child process.

    Without bpy the test is skipped.
    """
    if importlib.util.find_spec("bpy") is None:
        pytest.skip("bpy is not installed: pip install 'bpy>=4.2.23,<4.3'")
    out = path.with_suffix(".imported.npz")
    command = [sys.executable, str(_HERE / "blender_child.py"), str(path), str(out), str(fps), *map(str, frames)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    with np.load(out, allow_pickle=False) as arrays:
        return dict(arrays)
