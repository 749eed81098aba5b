# SPDX-License-Identifier: Apache-2.0
"""Face meshes with the head's motion taken out: python examples/python/stabilize.py MESHES OUT.npy

MESHES is a folder of .obj or .ply files, or one .npz, .glb, .usdc or .abc; all meshes have one topology.
`hyoid stabilize` does this and more (reports, takes, ARKit weights): docs/stabilize.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from hyoid.report import SILENT
from hyoid.verbs import stabilize


def main(meshes: Path, out: Path) -> None:
    """Find the motion of the skull in every mesh, and write the meshes without it as one array (F, N, 3)."""
    found = stabilize.find(stabilize.Job(meshes=[meshes], output=[out]), SILENT)
    np.save(out, np.stack(list(found.stabilised())))  # one frame at a time, in the unit and axes of the files
    head = found.motion.inverse()  # from the target to each frame
    sys.stdout.write(
        f"{len(head)} frames onto '{found.target_name}': the head turned by up to {head.degrees().max():.1f} degrees;"
        f" the skull is expected within {float(np.median(found.result.expected_error)):.2f} mm\n"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
