# SPDX-License-Identifier: Apache-2.0
"""Numbers and checks of a rig that was carried onto a mesh, each with the word ``pass`` or ``fail``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hyoid.characters.character import Character
from hyoid.characters.mesh_parts import HeadMesh

if TYPE_CHECKING:
    from hyoid.characters.transfer import Carried


def quality(
    character: Character, source: Character, head: HeadMesh, carried: Carried, kinds: dict[int, str]
) -> dict[str, Any]:
    """What an artist wants to know before the first frame is keyed.

    ``median_error_mm`` and ``percentile_95_mm``: how far the face of the drawn template lies from the mesh.
    """
    face = carried.fine.stencil @ carried.template.face.astype(float) > 0.5
    hits = head.surface.closest(carried.fine.vertices[face])
    return {
        "median_error_mm": 1000 * float(np.median(hits.distances)),
        "percentile_95_mm": 1000 * float(np.quantile(hits.distances, 0.95)),
        "scale": carried.placing.scale,
        "pieces": {kind: list(kinds.values()).count(kind) for kind in dict.fromkeys(kinds.values())},
        "remarks": list(head.remarks),
    }
