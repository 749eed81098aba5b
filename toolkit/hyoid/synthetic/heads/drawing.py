# SPDX-License-Identifier: Apache-2.0
"""Figures to pixels: one program, one target of colour, numbers and depth, one shadow map; on a GPU or in Mesa."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from PIL import Image
from scipy import ndimage

from hyoid.files import data_folder
from hyoid.media import gl
from hyoid.synthetic.heads.person import WIDTH, Figure

_SHADERS = Path(__file__).parent / "shaders"
_FIELDS = ((0, 3, 0), (1, 3, 3), (2, 2, 6), (3, 3, 8), (4, 3, 11), (5, 4, 14))
_MAPS = ("skin_map", "eye_map", "brow_map", "lash_map")
_NEAR, _FAR = 0.05, 60.0
_SHADOW = 256


@dataclass(frozen=True)
class Lights:
    """Directions (3, 3) towards three lights and colours (3, 3), camera frame with y up; sky, ground, upwards (3,)."""

    directions: np.ndarray
    colours: np.ndarray
    sky: np.ndarray
    ground: np.ndarray
    up: np.ndarray
    exposure: float
    shadows: float


@dataclass(frozen=True)
class Shown:
    """A figure in the camera frame, y up: rotation (3, 3) and shift (3,) of the model; its number in masks, 1 to
    255."""

    figure: Figure
    rotation: np.ndarray
    shift: np.ndarray
    number: int


@dataclass(frozen=True)
class Drawn:
    """What came out, first row on top.

    Attributes:
        colour: (H, W, 3) float32 0..1, times coverage. cover: (H, W) float32. number: (H, W) uint8, 0 for nothing.
        depth: (H, W) float32 metres, None where it was not asked for.
    """

    colour: np.ndarray
    cover: np.ndarray
    number: np.ndarray
    depth: np.ndarray | None


class Painter:
    """Draws at a size of (width, height) pixels, each from 2 by 2 samples."""

    def __init__(self, width: int, height: int) -> None:
        gl.context().make_current()
        from OpenGL import GL

        self.width, self.height = width, height
        wide, high = 2 * width, 2 * height
        self._frame = int(GL.glGenFramebuffers(1))
        GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, self._frame)
        names = [int(name) for name in GL.glGenRenderbuffers(3)]
        places = (GL.GL_COLOR_ATTACHMENT0, GL.GL_COLOR_ATTACHMENT1, GL.GL_DEPTH_ATTACHMENT)
        for name, place, kind in zip(names, places, (GL.GL_RGBA8, GL.GL_RGBA8, GL.GL_DEPTH_COMPONENT32F), strict=True):
            GL.glBindRenderbuffer(GL.GL_RENDERBUFFER, name)
            GL.glRenderbufferStorage(GL.GL_RENDERBUFFER, kind, wide, high)
            GL.glFramebufferRenderbuffer(GL.GL_FRAMEBUFFER, place, GL.GL_RENDERBUFFER, name)
        GL.glDrawBuffers(2, [GL.GL_COLOR_ATTACHMENT0, GL.GL_COLOR_ATTACHMENT1])
        assert GL.glCheckFramebufferStatus(GL.GL_FRAMEBUFFER) == GL.GL_FRAMEBUFFER_COMPLETE

    def draw(
        self, shown: list[Shown], focal: float, centre: tuple[float, float], lights: Lights, depth: bool = False
    ) -> Drawn:
        """Draw figures, nearest last or first alike; focal length and principal point in pixels."""
        gl.context().make_current()
        from OpenGL import GL

        tools = _tools()
        projection = self._projection(focal, centre)
        shadow_of = {}
        GL.glEnable(GL.GL_DEPTH_TEST)
        GL.glDisable(GL.GL_CULL_FACE)
        GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, self._frame)
        GL.glViewport(0, 0, 2 * self.width, 2 * self.height)
        GL.glClearColor(0, 0, 0, 0)
        GL.glClear(int(GL.GL_COLOR_BUFFER_BIT) | int(GL.GL_DEPTH_BUFFER_BIT))
        for one in shown:
            vertices = one.figure.vertices.copy()
            turn = one.rotation.astype(np.float32)
            vertices[:, :3] = vertices[:, :3] @ turn.T + one.shift.astype(np.float32)
            vertices[:, 3:6] = vertices[:, 3:6] @ turn.T
            tools.upload(vertices, one.figure.triangles)
            middle = one.rotation @ one.figure.centre + one.shift
            shadow_of = shadow_matrix(lights.directions[0], middle)
            if lights.shadows > 0:
                tools.shadow.bind()
                GL.glDisable(GL.GL_BLEND)
                tools.depth_program.use({"shadow_matrix": shadow_of})
                tools.draw(0, len(one.figure.triangles))
                GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, self._frame)
                GL.glViewport(0, 0, 2 * self.width, 2 * self.height)
            self._paint(tools, one, projection, shadow_of, lights)
        return self._read(depth)

    def _paint(self, tools: _Tools, one: Shown, projection: np.ndarray, shadow: np.ndarray, lights: Lights) -> None:
        from OpenGL import GL

        look = one.figure.look
        cloth = np.zeros((4, 4))
        cloth[:3, :3] = look.cloth
        cloth[:3, 3] = look.pattern, look.pattern_size, float(look.garment == 3)
        for unit, (_, texture) in enumerate(tools.maps):
            GL.glActiveTexture(int(GL.GL_TEXTURE0) + unit)
            GL.glBindTexture(GL.GL_TEXTURE_2D, texture)
        GL.glActiveTexture(GL.GL_TEXTURE4)
        GL.glBindTexture(GL.GL_TEXTURE_2D, tools.shadow.texture)
        GL.glEnable(GL.GL_BLEND)
        GL.glBlendFuncSeparate(GL.GL_SRC_ALPHA, GL.GL_ONE_MINUS_SRC_ALPHA, GL.GL_ONE, GL.GL_ONE_MINUS_SRC_ALPHA)
        GL.glDisablei(GL.GL_BLEND, 1)
        uniforms = {
            "projection": projection, "shadow_matrix": shadow, "shadow_map": 4, "shadows": float(lights.shadows),
            "light_direction": lights.directions, "light_colour": lights.colours, "sky": lights.sky, "ground":
            lights.ground,
            "up": lights.up, "exposure": float(lights.exposure), "skin": look.skin, "hair": look.hair_colour,
            "lips": look.lips,
            "iris": look.iris, "looks": [look.cover, 1.0, look.blotches], "cloth": cloth.T, "gloss": float(look.gloss),
            "lapel": 1.25, "identity": one.number / 255, **{name: unit for unit, (name, _) in enumerate(tools.maps)},
        }  # fmt: skip
        for kind, first, count in one.figure.runs:
            tools.programs[kind].use(uniforms)
            tools.draw(first, count)

    def _projection(self, focal: float, centre: tuple[float, float]) -> np.ndarray:
        wide, high = self.width, self.height
        return np.array([
            [2 * focal / wide, 0, 1 - 2 * centre[0] / wide, 0], [0, 2 * focal / high, 2 * centre[1] / high - 1, 0],
            [0, 0, (_NEAR + _FAR) / (_NEAR - _FAR), 2 * _NEAR * _FAR / (_NEAR - _FAR)], [0, 0, -1, 0],
        ])  # fmt: skip

    def _read(self, depth: bool) -> Drawn:
        from OpenGL import GL

        shape = (2 * self.height, 2 * self.width)
        GL.glPixelStorei(GL.GL_PACK_ALIGNMENT, 1)
        planes = []
        for place in (GL.GL_COLOR_ATTACHMENT0, GL.GL_COLOR_ATTACHMENT1):
            GL.glReadBuffer(place)
            pixels = np.empty((*shape, 4), np.uint8)
            GL.glReadPixels(0, 0, shape[1], shape[0], GL.GL_RGBA, GL.GL_UNSIGNED_BYTE, pixels)
            planes.append(pixels[::-1])
        halves = planes[0].astype(np.uint16)
        small = (halves[::2, ::2] + halves[1::2, ::2] + halves[::2, 1::2] + halves[1::2, 1::2]).astype(
            np.float32
        ) / 1020
        far = None
        if depth:
            raw = np.empty(shape, np.float32)
            GL.glReadPixels(0, 0, shape[1], shape[0], GL.GL_DEPTH_COMPONENT, GL.GL_FLOAT, raw)
            raw = raw[::-1][::2, ::2].astype(np.float64)
            far = np.where(raw >= 1, np.inf, _NEAR * _FAR / (_FAR - raw * (_FAR - _NEAR))).astype(np.float32)
        return Drawn(small[..., :3], small[..., 3], np.ascontiguousarray(planes[1][::2, ::2, 0]), far)


def shadow_matrix(direction: np.ndarray, middle: np.ndarray, reach: float = 0.42) -> np.ndarray:
    """The matrix (4, 4) of a light's own view of a head and shoulders."""
    helper = np.array([0.0, 1.0, 0.0]) if abs(direction[1]) < 0.9 else np.array([1.0, 0.0, 0.0])
    side = np.cross(helper, direction)
    side /= np.linalg.norm(side)
    axes = np.stack([side, np.cross(direction, side), -direction]) / reach
    axes[2] /= 2.5
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = axes, -axes @ middle
    return matrix


class _Tools:
    """What all painters of a process share."""

    def __init__(self) -> None:
        from OpenGL import GL

        self.programs = tuple(_Kind(kind) for kind in range(4))
        self.depth_program = gl.Program(str(_SHADERS / "shadow.vert"), str(_SHADERS / "shadow.frag"))
        self.shadow = gl.DepthMap(_SHADOW)
        self.maps = tuple(zip(_MAPS, _textures(), strict=True))
        self._array = int(GL.glGenVertexArrays(1))
        GL.glBindVertexArray(self._array)
        self._vertices, self._indices = (int(name) for name in GL.glGenBuffers(2))
        GL.glBindBuffer(GL.GL_ARRAY_BUFFER, self._vertices)
        for location, count, first in _FIELDS:
            GL.glEnableVertexAttribArray(location)
            GL.glVertexAttribPointer(location, count, GL.GL_FLOAT, False, 4 * WIDTH, ctypes.c_void_p(4 * first))
        GL.glBindBuffer(GL.GL_ELEMENT_ARRAY_BUFFER, self._indices)
        GL.glBindVertexArray(0)

    def upload(self, vertices: np.ndarray, triangles: np.ndarray) -> None:
        from OpenGL import GL

        GL.glBindVertexArray(self._array)
        GL.glBindBuffer(GL.GL_ARRAY_BUFFER, self._vertices)
        GL.glBufferData(GL.GL_ARRAY_BUFFER, vertices.nbytes, np.ascontiguousarray(vertices), GL.GL_STREAM_DRAW)
        GL.glBufferData(
            GL.GL_ELEMENT_ARRAY_BUFFER, triangles.nbytes, np.ascontiguousarray(triangles), GL.GL_STREAM_DRAW
        )

    def draw(self, first: int, count: int) -> None:
        from OpenGL import GL

        GL.glBindVertexArray(self._array)
        GL.glDrawElements(GL.GL_TRIANGLES, 3 * count, GL.GL_UNSIGNED_INT, ctypes.c_void_p(12 * first))


class _Kind(gl.Program):
    """The program of one kind of surface: a rasteriser in software would work through the branches of all of them."""

    def __init__(self, kind: int) -> None:
        from OpenGL import GL

        self._places = {}
        self.handle = GL.glCreateProgram()
        fragment = f"#version 330 core\n#define KIND {kind}\n" + (_SHADERS / "person.frag").read_text()
        sources = ((GL.GL_VERTEX_SHADER, (_SHADERS / "person.vert").read_text()), (GL.GL_FRAGMENT_SHADER, fragment))
        for stage, text in sources:
            shader = GL.glCreateShader(stage)
            GL.glShaderSource(shader, text)
            GL.glCompileShader(shader)
            assert GL.glGetShaderiv(shader, GL.GL_COMPILE_STATUS), GL.glGetShaderInfoLog(shader)
            GL.glAttachShader(self.handle, shader)
            GL.glDeleteShader(shader)
        GL.glLinkProgram(self.handle)
        assert GL.glGetProgramiv(self.handle, GL.GL_LINK_STATUS), GL.glGetProgramInfoLog(self.handle)
        count = int(GL.glGetProgramiv(self.handle, GL.GL_ACTIVE_UNIFORMS))
        names = (GL.glGetActiveUniform(self.handle, index)[0] for index in range(count))
        self._active = {bytes(name).split(b"\0")[0].decode().removesuffix("[0]") for name in names}

    def use(self, uniforms: Mapping[str, Any] = MappingProxyType({})) -> None:
        """As its parent does, without what this kind does not need."""
        super().use({name: value for name, value in uniforms.items() if name in self._active})


@cache
def _tools() -> _Tools:
    return _Tools()


def _textures() -> list[int]:
    folder = data_folder("rigs") / "human" / "textures"
    skin = np.asarray(Image.open(folder / "skin_colour.jpg").convert("RGB").resize((1024, 1024), Image.Resampling.BOX))
    eye = np.asarray(Image.open(folder / "eye_colour.jpg").convert("RGBA").resize((256, 256), Image.Resampling.BOX))
    brow, lash = (
        np.asarray(Image.open(folder / name).convert("RGBA")) for name in ("brow_colour.png", "lashes_colour.png")
    )
    return [gl.picture_texture(np.ascontiguousarray(p), srgb=True) for p in (without_hair(skin), eye, brow, lash)]


def without_hair(skin: np.ndarray) -> np.ndarray:
    """The skin map (H, W, 4) with bare skin where hair is painted; alpha is how much hair was there."""
    values = skin.astype(np.float32)
    red, green = values[..., 0], values[..., 1]
    hair = np.clip((198 - red) / 110, 0, 1) * (red - green < 42)
    row, column = np.mgrid[: skin.shape[0], : skin.shape[1]] / skin.shape[0]
    hair *= (column > 0.37) & (row < 0.93) & ~((column > 0.72) & (row > 0.3) & (row < 0.7))
    hair = np.maximum(hair, ndimage.gaussian_filter(hair, 1.5))
    near = np.clip(2.5 * ndimage.gaussian_filter(ndimage.maximum_filter(hair, 9), 3), 0, 1)
    share = np.maximum(near, np.clip(2 * hair, 0, 1))[..., None]
    colour = values + share * (
        np.array([226.0, 182, 157]) + 0.1 * (values[..., :1] - 200) * (1 - hair[..., None]) - values
    )
    return np.concatenate([colour, 255 * hair[..., None]], -1).clip(0, 255).astype(np.uint8)
