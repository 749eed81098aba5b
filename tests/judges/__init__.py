# SPDX-License-Identifier: Apache-2.0
"""The judges of our formats: programs of other people that say whether a file is right."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

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
