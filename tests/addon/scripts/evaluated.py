# SPDX-License-Identifier: Apache-2.0
"""What other scripts measure: evaluated meshes, as Blender shows them."""

import numpy as np


def world_points(evaluated):
    """The vertices (n, 3) of an evaluated object in the world."""
    mesh = evaluated.to_mesh()
    points = np.empty(3 * len(mesh.vertices), np.float32)
    mesh.vertices.foreach_get("co", points)
    world = np.array(evaluated.matrix_world)
    points = points.reshape(-1, 3) @ world[:3, :3].T + world[:3, 3]
    evaluated.to_mesh_clear()
    return points
