# SPDX-License-Identifier: Apache-2.0
"""Pictures of a deforming character: buffers are rewritten in place; normals, shadow and light follow each frame."""
# pyright: reportOperatorIssue=false

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hyoid.characters.character import Character, Material
from hyoid.errors import InputError
from hyoid.geometry.meshes import vertex_normals
from hyoid.media import gl
from hyoid.media.surface import Batch, Surface, build

SHADOW_SIZE = 1024
OCCLUSION_SIZE = 512
OCCLUSION_DIRECTIONS = 64
_POSITION, _NORMAL, _UV, _OCCLUSION = range(4)

# Towards each light, in the frame of a camera that looks along -Z: key, fill, rim left, rim right.
LIGHT_DIRECTIONS = np.array([[-0.62, 0.62, 0.75], [0.85, 0.10, 0.60], [-0.80, 0.35, -0.75], [0.85, 0.40, -0.70]])
LIGHT_COLOURS = np.array([[2.05, 1.88, 1.70], [0.20, 0.23, 0.28], [0.70, 0.85, 1.10], [1.0, 0.97, 0.94]])
SKY, GROUND = np.array([0.30, 0.33, 0.37]), np.array([0.13, 0.11, 0.10])
EXPOSURE = 0.80
WALL, CORNER = np.array([0.42, 0.45, 0.48]), np.array([0.11, 0.12, 0.14])


@dataclass(frozen=True)
class View:
    """A camera: where it is, what it looks at (3,) metres, and its vertical angle of view in degrees."""

    position: np.ndarray
    target: np.ndarray
    degrees: float

    def matrix(self, aspect: float) -> np.ndarray:
        """(4, 4) float64 world to clip space for a picture of this width / height."""
        back = self.position - self.target
        distance = float(np.linalg.norm(back))
        world_to_camera = _look(back / distance)
        world_to_camera[:3, 3] = -world_to_camera[:3, :3] @ self.position
        near, far = 0.1 * distance, 4 * distance
        scale = 1 / np.tan(np.radians(self.degrees) / 2)
        lens = np.zeros((4, 4))
        lens[0, 0], lens[1, 1] = scale / aspect, scale
        lens[2, 2], lens[2, 3], lens[3, 2] = (far + near) / (near - far), 2 * far * near / (near - far), -1
        return lens @ world_to_camera

    @cached_property
    def yaw(self) -> np.ndarray:
        """(3, 3) float64: turns the lights with the camera, about the vertical only."""
        x, _, z = self.position - self.target
        length = float(np.hypot(x, z)) or 1.0
        sine, cosine = x / length, z / length
        return np.array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]])


class Renderer:
    """Draws one character. Make one, call :meth:`draw` for each frame, :meth:`close` at the end.

    Args:
        character: its parts, UVs and materials.
        width, height: pixels of the pictures.
        focus: centre (3,) and radius, metres, of the ball that is looked at: it gets fine shadows.
        budget: points that the surface may have after refinement.
        supersample: pixels are averaged from this many times as many in each direction.

    Raises:
        MissingToolError: there is no OpenGL.
        InputError: a texture cannot be read.
    """

    def __init__(
        self,
        character: Character,
        width: int,
        height: int,
        focus: tuple[np.ndarray, float],
        *,
        supersample: float = 1.5,
        budget: int = 60_000,
    ) -> None:
        self._context = gl.context()  # before the import of OpenGL, which needs to know the platform
        self._context.make_current()
        from OpenGL import GL

        self.character, self._size = character, (width, height)
        limit = int(GL.glGetIntegerv(GL.GL_MAX_RENDERBUFFER_SIZE))
        if max(width, height) * supersample > limit:
            expected = f"at most {int(limit / supersample)}"
            raise InputError(f"{width}x{height} is too large for this OpenGL", expected=expected)
        self._focus = focus
        self.surface: Surface = build(character, (focus[0], 2 * focus[1]), budget)
        zeros = np.zeros((len(self.surface.wedge_point), 3), np.float32)
        streams = {_POSITION: zeros, _NORMAL: zeros, _UV: self.surface.wedge_uv}
        streams[_OCCLUSION] = np.ones_like(self.surface.wedge_uv)
        self._buffers = gl.Buffers(streams, self.surface.triangles)
        self._target = gl.Target(round(width * supersample), round(height * supersample))
        self._shadow = gl.DepthMap(SHADOW_SIZE)
        self._surface = gl.Program("surface.vert", "surface.frag")
        self._depth = gl.Program("depth.vert", "depth.frag")
        self._backdrop = gl.Program("backdrop.vert", "backdrop.frag")
        self._textures: dict[str, int] = {}
        self._uniforms = [
            self._material_uniforms(character.materials[batch.material]) for batch in self.surface.batches
        ]

    def set_occlusion(self, closed: np.ndarray, opened: np.ndarray) -> None:
        """Set how much open sky each vertex sees, (V,) 0..1, mouth closed and open (see :func:`occlusion`)."""
        self._context.make_current()
        both = self.surface.stencil @ np.stack([closed, opened], -1).astype(np.float32)
        self._buffers.update(_OCCLUSION, both[self.surface.wedge_point])

    def draw(self, vertices: np.ndarray, view: View, *, mouth: float = 0.0) -> np.ndarray:
        """One picture, (height, width, 3) uint8 RGB.

        Args:
            vertices: (V, 3) float32, metres: the deformed mesh.
            mouth: 0..1, how far the mouth is open (mixes the two occlusions).
        """
        from OpenGL import GL

        self._context.make_current()
        self._upload(vertices)
        directions = LIGHT_DIRECTIONS / np.linalg.norm(LIGHT_DIRECTIONS, axis=1, keepdims=True) @ view.yaw.T
        shadow_matrix = _light_matrix(directions[0], *self._focus)
        for state in (GL.GL_DEPTH_TEST, GL.GL_DEPTH_CLAMP):
            GL.glEnable(state)
        GL.glDepthMask(True)
        GL.glDisable(GL.GL_BLEND)
        GL.glDisable(GL.GL_CULL_FACE)
        self._shadow.bind()
        self._draw_depth(shadow_matrix)
        self._target.bind()
        GL.glClear(GL.GL_DEPTH_BUFFER_BIT | GL.GL_COLOR_BUFFER_BIT)
        width, height = self._size
        self._draw_backdrop(width / height)
        self._surface.use(
            {
                "view_projection": view.matrix(width / height),
                "shadow_matrix": shadow_matrix,
                "mouth": float(mouth),
                "camera": view.position,
                "light_direction": directions,
                "light_colour": LIGHT_COLOURS,
                "sky_colour": SKY,
                "ground_colour": GROUND,
                "exposure": EXPOSURE,
                "shadow_map": 0,
                "shadow_spread": 0.004 / (2 * self._focus[1]),
                "colour_map": 1,
                "normal_map": 2,
                "roughness_map": 3,
            }
        )
        GL.glActiveTexture(GL.GL_TEXTURE0)
        GL.glBindTexture(GL.GL_TEXTURE_2D, self._shadow.texture)
        for batch, (uniforms, textures) in zip(self.surface.batches, self._uniforms, strict=True):
            self._draw_batch(batch, uniforms, textures)
        GL.glDepthMask(True)
        return _averaged(self._target.read(), self._size)

    def close(self) -> None:
        """Give the graphics memory back."""
        from OpenGL import GL

        self._context.make_current()
        for thing in (self._buffers, self._target, self._shadow):
            thing.close()
        if self._textures:
            GL.glDeleteTextures(list(self._textures.values()))
        for program in (self._surface, self._depth, self._backdrop):
            GL.glDeleteProgram(program.handle)

    def _upload(self, vertices: np.ndarray) -> None:
        points = self.surface.points(vertices)
        normals = self.surface.normals(points)
        self._buffers.update(_POSITION, points[self.surface.wedge_point])
        self._buffers.update(_NORMAL, normals[self.surface.wedge_point])

    def _draw_depth(self, matrix: np.ndarray) -> None:
        self._depth.use({"view_projection": matrix})
        _draw_opaque(self.character, self.surface, self._buffers)

    def _draw_backdrop(self, aspect: float) -> None:
        from OpenGL import GL

        GL.glDisable(GL.GL_DEPTH_TEST)
        self._backdrop.use({"aspect": float(aspect), "wall": WALL, "corner": CORNER})
        GL.glBindVertexArray(self._buffers.array)
        GL.glDrawArrays(GL.GL_TRIANGLES, 0, 3)
        GL.glEnable(GL.GL_DEPTH_TEST)

    def _draw_batch(self, batch: Batch, uniforms: dict, textures: dict[int, int]) -> None:
        from OpenGL import GL

        material = self.character.materials[batch.material]
        blended = material.alpha == "blend"
        for state, wanted in ((GL.GL_BLEND, blended), (GL.GL_CULL_FACE, not material.double_sided)):
            (GL.glEnable if wanted else GL.glDisable)(state)
        GL.glBlendFunc(GL.GL_SRC_ALPHA, GL.GL_ONE_MINUS_SRC_ALPHA)
        GL.glDepthMask(not blended)
        for unit, name in textures.items():
            GL.glActiveTexture(GL.GL_TEXTURE0 + unit)
            GL.glBindTexture(GL.GL_TEXTURE_2D, name)
        self._surface.use(uniforms)
        self._buffers.draw(batch.first, batch.count)

    def _material_uniforms(self, material: Material) -> tuple[dict, dict[int, int]]:
        blended = material.alpha == "blend"
        uniforms = {
            "base": np.array(material.colour, np.float32),
            "roughness": float(material.roughness),
            "metallic": float(material.metallic),
            "subsurface": float(np.clip(material.subsurface, 0, 1)),
            "alpha_mode": {"opaque": 0, "mask": 1, "blend": 2}[material.alpha],
            "coat": 1.0 if blended and material.roughness < 0.2 else 0.0,
        }
        textures = {}
        maps = (
            ("colour_map", material.colour_map),
            ("normal_map", material.normal_map),
            ("roughness_map", material.roughness_map),
        )
        for unit, (name, path) in enumerate(maps, 1):
            uniforms[f"has_{name}"] = int(path is not None)
            if path is not None:
                textures[unit] = self._texture(path, srgb=unit == 1)
        return uniforms, textures

    def _texture(self, path, *, srgb: bool) -> int:
        key = f"{path} {srgb}"
        if key not in self._textures:
            self._textures[key] = gl.picture_texture(_picture(path), srgb=srgb)
        return self._textures[key]


def occlusion(character: Character, poses: list[np.ndarray], focus: tuple[np.ndarray, float]) -> list[np.ndarray]:
    """How much of the sky each vertex sees, cosine-weighted, (V,) float32 in 0..1 for each pose (V, 3).

    Depth maps of the unrefined mesh from directions all around say which vertices are hidden from where; vertices
    outside the focus (centre, radius in metres) count as free.
    """
    from OpenGL import GL

    cage = build(character, (focus[0], 1.5 * focus[1]), 0)
    depth_map, program = gl.DepthMap(OCCLUSION_SIZE, compare=False), gl.Program("depth.vert", "depth.frag")
    buffers = gl.Buffers({_POSITION: np.zeros((len(cage.wedge_point), 3)), _UV: cage.wedge_uv}, cage.triangles)
    for state in (GL.GL_DEPTH_TEST, GL.GL_DEPTH_CLAMP):
        GL.glEnable(state)
    GL.glDisable(GL.GL_CULL_FACE)
    GL.glDepthMask(True)
    results = []
    for vertices in poses:
        normals = vertex_normals(vertices, character.faces)
        buffers.update(_POSITION, cage.points(vertices)[cage.wedge_point])

        def draw(matrix: np.ndarray) -> np.ndarray:
            depth_map.bind()
            program.use({"view_projection": matrix})
            _draw_opaque(character, cage, buffers)
            return depth_map.read()

        results.append(_visible_share(vertices, normals, focus, draw))
    buffers.close()
    depth_map.close()
    GL.glDeleteProgram(program.handle)
    return results


def _visible_share(
    vertices: np.ndarray,
    normals: np.ndarray,
    focus: tuple[np.ndarray, float],
    draw: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    centre, radius = focus
    bias = 3 * radius / OCCLUSION_SIZE
    inside = np.flatnonzero(np.linalg.norm(vertices - centre, axis=1) < radius)
    points, facings = vertices[inside] + bias * normals[inside], normals[inside]
    seen, total = np.zeros(len(inside), np.float32), np.full(len(inside), 1e-6, np.float32)
    for direction in _sphere(OCCLUSION_DIRECTIONS):
        facing = np.maximum(facings @ direction, 0).astype(np.float32)
        matrix = _light_matrix(direction, centre, radius)
        place = (points @ matrix[:3, :3].T + matrix[:3, 3]) * 0.5 + 0.5
        columns, rows = np.clip((place[:, :2] * OCCLUSION_SIZE).astype(int), 0, OCCLUSION_SIZE - 1).T
        seen += facing * (place[:, 2] <= draw(matrix)[rows, columns] + bias / (2 * radius))
        total += facing
    result = np.ones(len(vertices), np.float32)
    result[inside] = seen / total
    return result


def _draw_opaque(character: Character, surface: Surface, buffers: gl.Buffers) -> None:
    for batch in surface.batches:
        if character.materials[batch.material].alpha == "opaque":
            buffers.draw(batch.first, batch.count)


def _look(back: np.ndarray) -> np.ndarray:
    """(4, 4) float64 rotation into a frame whose +Z is ``back`` (unit) and whose +Y is up."""
    up = np.array([0.0, 1.0, 0.0]) if abs(back[1]) < 0.999 else np.array([0.0, 0.0, -1.0])
    right = np.cross(up, back)
    right /= np.linalg.norm(right)
    matrix = np.eye(4)
    matrix[:3, :3] = right, np.cross(back, right), back
    return matrix


def _light_matrix(direction: np.ndarray, centre: np.ndarray, radius: float) -> np.ndarray:
    """(4, 4) float64: an orthographic view from ``direction`` onto the ball, to clip space."""
    matrix = _look(direction)
    matrix[:3, 3] = -matrix[:3, :3] @ centre
    return np.diag([1 / radius, 1 / radius, -1 / radius, 1.0]) @ matrix


def _sphere(count: int) -> np.ndarray:
    """(count, 3) float64 directions spread evenly (Fibonacci)."""
    index = np.arange(count) + 0.5
    y, turn = 1 - 2 * index / count, np.pi * (1 + 5**0.5) * index
    around = np.sqrt(1 - y * y)
    return np.stack([around * np.cos(turn), y, around * np.sin(turn)], -1)


def _averaged(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    from PIL import Image

    if picture.shape[1::-1] == size:
        return picture
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR))


def _picture(path) -> np.ndarray:
    """A texture file as (height, width, 4) uint8."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            if max(image.size) > 4096:
                image.thumbnail((4096, 4096))
            return np.asarray(image.convert("RGBA"))
    except OSError as error:
        raise InputError(f"cannot be read as a picture ({error})", path=path) from error
