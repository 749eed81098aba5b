# SPDX-License-Identifier: Apache-2.0
"""A head scan, fitted and rigged: python examples/python/fit_scan.py SCAN.obj OUT.character.npz

`hyoid rig fit` does this and more (units and axes told, pictures, eyes, reports): docs/fit.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

from hyoid.characters.fit.transfer import rig_head
from hyoid.formats import character_npz
from hyoid.formats.mesh_files import read_mesh
from hyoid.verbs.outputs import made_of


def main(scan: Path, out: Path) -> None:
    """Find the head, fit the bundled human's identity to it, carry its rig over onto the scan's own topology."""
    character, quality, found = rig_head(read_mesh(scan), source="human", name=scan.stem)
    character_npz.write(out, character, made_of(character))
    sys.stdout.write(
        f"fitted within {1000 * found.median_error:.2f} mm, rigged within {quality['median_error_mm']:.2f} mm;"
        f" {len(character.vertices)} vertices, {len(character.shapes.names)} shapes\n"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
