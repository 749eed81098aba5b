# SPDX-License-Identifier: Apache-2.0
"""Writing and reading .bvh: ours beside Blender's exporter and importer, the same motion in one run.

300 frames in which all joints move: 55 joints, and the bundled human's. Before any time counts both files are opened in
Blender: the joints must agree on five frames. The runs alternate, and medians are compared. Reading compares unlike
things and is told apart: Blender's importer also builds its armature and action, ours makes a take.
"""

from __future__ import annotations

import importlib.util
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

SUMMARY = "writing and reading .bvh: ours beside Blender's, ratios of medians"
FRAMES, ROUNDS = 300, 5
CHECKED = [0, 60, 150, 222, 299]
TOLERANCE = 1e-4  # metres


def run() -> dict[str, Any]:
    """Measure both skeletons.

    Raises:
        MissingToolError: bpy is not installed.
        HyoidError: the files do not show the same.
    """
    from hyoid import characters

    peers = _peers()
    return {
        "frames": FRAMES,
        "chain": _compare(peers, peers.grid_character(side=8)),
        "bundled_human": _compare(peers, characters.load("human")),
    }


def _compare(peers: Any, character: Any) -> dict[str, Any]:
    from hyoid.formats import bvh

    # Without meshes: Blender would deform them in each frame that it samples, and BVH holds none.
    character = replace(character, parts=())
    take = peers.busy_take(character, FRAMES)
    write: dict[str, list[float]] = {"ours": [], "blender": []}
    read: dict[str, list[float]] = {"ours": [], "blender": []}
    with peers.Peer(character, take) as peer:
        ours, theirs = peer.folder / "ours.bvh", peer.folder / "blender.bvh"
        bvh.write(ours, character, take)
        peer.export(theirs)
        difference = _difference(peer.show(ours, CHECKED), peer.show(theirs, CHECKED))
        for _ in range(ROUNDS):
            write["blender"].append(peer.export(theirs))
            start = time.perf_counter()
            bvh.write(ours, character, take)
            write["ours"].append(time.perf_counter() - start)
            read["blender"].append(
                peer.ask(do="show", path=str(ours), frames=[], out=str(peer.folder / "o.npz"))["seconds"]
            )
            start = time.perf_counter()
            bvh.read(ours)
            read["ours"].append(time.perf_counter() - start)
    return {
        "joints": len(character.joint_names),
        "largest_difference_metres": difference,
        "write": _ratio(peers, write),
        "read": _ratio(peers, read),
    }


def _ratio(peers: Any, times: dict[str, list[float]]) -> dict[str, Any]:
    ratio = float(np.median(times["blender"]) / np.median(times["ours"]))
    return {"ours": peers.spread(times["ours"]), "blender": peers.spread(times["blender"]), "ratio": ratio}


def _difference(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> float:
    """The largest distance between joints of one name."""
    from hyoid.errors import HyoidError

    order = [theirs["joint_names"].tolist().index(name) for name in ours["joint_names"].tolist()]
    worst = float(np.linalg.norm(ours["joints"] - theirs["joints"][:, order], axis=-1).max())
    if not worst < TOLERANCE:
        raise HyoidError(f"the files differ by {worst:.2g} m", expected=f"at most {TOLERANCE:g} m")
    return worst


def _peers() -> Any:
    spec = importlib.util.spec_from_file_location("_blender_peer", Path(__file__).with_name("_blender_peer.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Print the figures as JSON."""
    print(json.dumps(run(), indent=1))


if __name__ == "__main__":
    main()
