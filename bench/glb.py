# SPDX-License-Identifier: Apache-2.0
"""Writing a performance as .glb: our writer beside Blender's exporter, the same content in one run.

Normals, UVs, morph targets with normals, skin and 300 frames in which every shape and joint moves: once on a grid of
5 041 vertices with 52 shapes and 55 joints, once on the bundled head. Before any time counts both files are opened in
Blender: joints and vertices must agree on five frames. The runs alternate, and medians are compared.
"""

from __future__ import annotations

import importlib.util
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

SUMMARY = "writing .glb: ours beside Blender's exporter, ratio of medians"
FRAMES, ROUNDS, GOAL = 300, 5, 20.0
CHECKED = [0, 60, 150, 222, 299]
TOLERANCE = 1e-4  # metres


def run() -> dict[str, Any]:
    """Measure both contents.

    Raises:
        MissingToolError: bpy is not installed.
        HyoidError: the files do not show the same.
    """
    from hyoid import characters

    peers = _peers()
    return {
        "frames": FRAMES,
        "goal": GOAL,
        "grid": _compare(peers, peers.grid_character()),
        "bundled_head": _compare(peers, characters.load("human", part="head")),
    }


def _compare(peers: Any, character: Any) -> dict[str, Any]:
    from hyoid.formats import glb

    take = peers.busy_take(character, FRAMES)
    times: dict[str, list[float]] = {"ours": [], "blender": []}
    with peers.Peer(character, take) as peer:
        ours, theirs = peer.folder / "ours.glb", peer.folder / "blender.glb"
        glb.write(ours, character, take)
        peer.export(theirs)
        difference = _difference(peer.show(ours, CHECKED), peer.show(theirs, CHECKED))
        for _ in range(ROUNDS):
            times["blender"].append(peer.export(theirs))
            start = time.perf_counter()
            glb.write(ours, character, take)
            times["ours"].append(time.perf_counter() - start)
        sizes = {"ours": ours.stat().st_size, "blender": theirs.stat().st_size}
    return {
        "vertices": len(character.vertices),
        "shapes": len(character.shapes.names),
        "joints": len(character.joint_names),
        "largest_difference_metres": difference,
        "ours": peers.spread(times["ours"]),
        "blender": peers.spread(times["blender"]),
        "ratio": float(np.median(times["blender"]) / np.median(times["ours"])),
        "bytes": sizes,
    }


def _difference(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> float:
    """The largest distance between joints of one name, and from each vertex to the nearest of the other file."""
    from hyoid.errors import HyoidError
    from scipy.spatial import KDTree

    order = [theirs["joint_names"].tolist().index(name) for name in ours["joint_names"].tolist()]
    worst = float(np.linalg.norm(ours["joints"] - theirs["joints"][:, order], axis=-1).max())
    for first, second in zip(ours["vertices"], theirs["vertices"], strict=True):
        for points, others in ((first, second), (second, first)):
            worst = max(worst, float(KDTree(others).query(points)[0].max()))
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
