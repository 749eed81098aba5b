# SPDX-License-Identifier: Apache-2.0
"""OpenGL without a window: an EGL context on a GPU or in Mesa's rasteriser, and the few objects a renderer needs."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from hyoid.errors import MissingToolError

APT_LINE = "apt-get install -y libegl1 libgl1 libgl1-mesa-dri"
_SHADERS = Path(__file__).parent / "shaders"

# Numbers of the EGL registry (khronos.org/registry/EGL).
_PLATFORM_DEVICE, _PLATFORM_SURFACELESS = 0x313F, 0x31DD
_OPENGL_API, _NONE, _RENDERABLE_TYPE, _OPENGL_BIT, _SURFACE_TYPE, _PBUFFER_BIT = 0x30A2, 0x3038, 0x3040, 8, 0x3033, 1
_MAJOR, _MINOR, _PROFILE, _CORE = 0x3098, 0x30FB, 0x30FD, 1


@dataclass(frozen=True)
class Context:
    """A current OpenGL 3.3 core context. ``renderer`` and ``version`` are what the driver calls itself."""

    renderer: str
    version: str
    make_current: Any


@cache
def context() -> Context:
    """The OpenGL context of this process, made on the first call; call ``make_current()`` before drawing.

    Devices are tried in the driver's order (a GPU before software), ``EGL_DEVICE_ID`` picks one by number.

    Raises:
        MissingToolError: EGL or OpenGL is not to be had; the hint is the command that brings it.
    """
    # PyOpenGL reads this at import; a user's own value stays.
    platform = os.environ.setdefault("PYOPENGL_PLATFORM", "egl")
    if platform != "egl":
        raise MissingToolError(
            f"PYOPENGL_PLATFORM is '{platform}'", expected="'egl' or nothing", hint="Run: unset PYOPENGL_PLATFORM"
        )
    os.environ.setdefault("EGL_LOG_LEVEL", "fatal")  # Mesa tells of every driver that it did not find
    os.environ.setdefault("MESA_LOG_LEVEL", "error")
    try:
        egl = ctypes.CDLL("libEGL.so.1")
        from OpenGL import GL  # loads libGL
    except (OSError, ImportError, AttributeError) as error:
        raise _missing(f"OpenGL cannot be loaded ({error})") from error
    from OpenGL.platform import PLATFORM

    if type(PLATFORM).__name__ != "EGLPlatform":
        raise MissingToolError(
            "OpenGL was imported for a window system before", expected="PYOPENGL_PLATFORM=egl from the start",
            hint="Run: export PYOPENGL_PLATFORM=egl",
        )  # fmt: skip
    for name in ("eglGetProcAddress", "eglGetDisplay", "eglCreateContext"):
        getattr(egl, name).restype = ctypes.c_void_p
    for display in _displays(egl):
        handle = _create_context(egl, display)
        if handle is None:
            continue

        def make_current(display: int = display, handle: int = handle) -> None:
            if not egl.eglMakeCurrent(ctypes.c_void_p(display), None, None, ctypes.c_void_p(handle)):
                raise _missing("the OpenGL context cannot be made current")

        make_current()
        return Context(GL.glGetString(GL.GL_RENDERER).decode(), GL.glGetString(GL.GL_VERSION).decode(), make_current)
    raise _missing("no EGL device gives OpenGL 3.3")


def _missing(found: str) -> MissingToolError:
    return MissingToolError(
        f"previews need OpenGL: {found}", expected="EGL with OpenGL 3.3 or newer", hint=f"Run: {APT_LINE}"
    )


def _displays(egl: ctypes.CDLL) -> list[int]:
    """Initialised EGL displays worth a try: every device, then Mesa without a surface, then the default display."""
    found = []
    get_platform_display = _extension(egl, b"eglGetPlatformDisplayEXT", ctypes.c_void_p)
    query_devices = _extension(egl, b"eglQueryDevicesEXT", ctypes.c_uint)
    if get_platform_display and query_devices:
        devices, count = (ctypes.c_void_p * 32)(), ctypes.c_int()
        if query_devices(32, devices, ctypes.byref(count)):
            chosen = os.environ.get("EGL_DEVICE_ID")
            indices = [int(chosen)] if chosen and chosen.isdigit() else range(count.value)
            for index in indices:
                if index < count.value:
                    found.append((get_platform_display, (_PLATFORM_DEVICE, ctypes.c_void_p(devices[index]), None)))
    if get_platform_display:
        found.append((get_platform_display, (_PLATFORM_SURFACELESS, None, None)))
    if not os.environ.get("DISPLAY"):
        # With a display set, the default display would open a connection to a window system.
        found.append((egl.eglGetDisplay, (None,)))
    displays = []
    for function, arguments in found:
        display = function(*arguments)
        if display and egl.eglInitialize(ctypes.c_void_p(display), None, None):
            displays.append(display)
    return displays


def _extension(egl: ctypes.CDLL, name: bytes, result: Any) -> Any:
    address = egl.eglGetProcAddress(name)
    return ctypes.CFUNCTYPE(result)(address) if address else None


def _create_context(egl: ctypes.CDLL, display: int) -> int | None:
    """A core context, 3.3 or newer, that can be current without a surface; None when this display has none."""
    pointer = ctypes.c_void_p(display)
    wanted = (ctypes.c_int * 5)(_RENDERABLE_TYPE, _OPENGL_BIT, _SURFACE_TYPE, _PBUFFER_BIT, _NONE)
    config, count = ctypes.c_void_p(), ctypes.c_int()
    if not egl.eglChooseConfig(pointer, wanted, ctypes.byref(config), 1, ctypes.byref(count)) or not count.value:
        return None
    if not egl.eglBindAPI(_OPENGL_API):
        return None
    attributes = (ctypes.c_int * 7)(_MAJOR, 3, _MINOR, 3, _PROFILE, _CORE, _NONE)
    handle = egl.eglCreateContext(pointer, config, None, attributes)
    if not handle or not egl.eglMakeCurrent(pointer, None, None, ctypes.c_void_p(handle)):
        return None
    return handle


class Program:
    """A linked shader program from ``shaders/NAME.vert`` and ``.frag``; uniforms are set by name."""

    def __init__(self, vertex: str, fragment: str) -> None:
        from OpenGL import GL

        self.handle = GL.glCreateProgram()
        for name, kind in ((vertex, GL.GL_VERTEX_SHADER), (fragment, GL.GL_FRAGMENT_SHADER)):
            shader = GL.glCreateShader(kind)
            GL.glShaderSource(shader, (_SHADERS / name).read_text())
            GL.glCompileShader(shader)
            log = GL.glGetShaderInfoLog(shader)
            assert GL.glGetShaderiv(shader, GL.GL_COMPILE_STATUS), f"{name}: {log}"
            GL.glAttachShader(self.handle, shader)
            GL.glDeleteShader(shader)
        GL.glLinkProgram(self.handle)
        assert GL.glGetProgramiv(self.handle, GL.GL_LINK_STATUS), GL.glGetProgramInfoLog(self.handle)
        self._places: dict[str, int] = {}

    def use(self, uniforms: Mapping[str, Any] = {}) -> None:
        """Make the program current and set uniforms: numbers, sequences of 2..4 floats or arrays, 4x4 matrices."""
        from OpenGL import GL

        GL.glUseProgram(self.handle)
        for name, value in uniforms.items():
            if name not in self._places:
                self._places[name] = GL.glGetUniformLocation(self.handle, name)
            place = self._places[name]
            if isinstance(value, (bool, int)):
                GL.glUniform1i(place, int(value))
                continue
            array = np.array(value, np.float32, order="C")
            if array.ndim == 0:
                GL.glUniform1f(place, float(array))
            elif array.ndim == 1:
                {2: GL.glUniform2fv, 3: GL.glUniform3fv, 4: GL.glUniform4fv}[len(array)](place, 1, array)
            elif array.shape[-2:] == (4, 4):
                GL.glUniformMatrix4fv(place, max(1, array.size // 16), GL.GL_TRUE, array)
            else:
                GL.glUniform3fv(place, len(array), array)


class Buffers:
    """A vertex array: streams of float32 attributes, one buffer each, and triangle indices; streams are writable."""

    def __init__(self, streams: Mapping[int, np.ndarray], triangles: np.ndarray) -> None:
        from OpenGL import GL

        self.array = GL.glGenVertexArrays(1)
        GL.glBindVertexArray(self.array)
        self._streams: dict[int, int] = {}
        for location, values in streams.items():
            values = np.ascontiguousarray(values, np.float32)
            self._streams[location] = GL.glGenBuffers(1)
            GL.glBindBuffer(GL.GL_ARRAY_BUFFER, self._streams[location])
            GL.glBufferData(GL.GL_ARRAY_BUFFER, values.nbytes, values, GL.GL_DYNAMIC_DRAW)
            GL.glEnableVertexAttribArray(location)
            GL.glVertexAttribPointer(location, values.shape[1], GL.GL_FLOAT, False, 0, None)
        triangles = np.ascontiguousarray(triangles, np.uint32)
        self._indices = GL.glGenBuffers(1)
        GL.glBindBuffer(GL.GL_ELEMENT_ARRAY_BUFFER, self._indices)
        GL.glBufferData(GL.GL_ELEMENT_ARRAY_BUFFER, triangles.nbytes, triangles, GL.GL_STATIC_DRAW)
        GL.glBindVertexArray(0)

    def update(self, location: int, values: np.ndarray) -> None:
        """Replace one stream in place; the shape stays."""
        from OpenGL import GL

        values = np.ascontiguousarray(values, np.float32)
        GL.glBindBuffer(GL.GL_ARRAY_BUFFER, self._streams[location])
        GL.glBufferSubData(GL.GL_ARRAY_BUFFER, 0, values.nbytes, values)

    def draw(self, first: int, count: int) -> None:
        """Draw ``count`` triangles from triangle ``first``."""
        from OpenGL import GL

        GL.glBindVertexArray(self.array)
        GL.glDrawElements(GL.GL_TRIANGLES, 3 * count, GL.GL_UNSIGNED_INT, ctypes.c_void_p(12 * first))

    def close(self) -> None:
        """Give the memory back."""
        from OpenGL import GL

        GL.glDeleteBuffers(len(self._streams) + 1, [*self._streams.values(), self._indices])
        GL.glDeleteVertexArrays(1, [self.array])


class Target:
    """A picture to draw into: RGBA8 and depth."""

    def __init__(self, width: int, height: int) -> None:
        from OpenGL import GL

        self.width, self.height = width, height
        self._buffers = [int(name) for name in GL.glGenRenderbuffers(2)]
        self._frame = int(GL.glGenFramebuffers(1))
        GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, self._frame)
        kinds = ((GL.GL_COLOR_ATTACHMENT0, GL.GL_RGBA8), (GL.GL_DEPTH_ATTACHMENT, GL.GL_DEPTH_COMPONENT24))
        for name, (place, kind) in zip(self._buffers, kinds, strict=True):
            GL.glBindRenderbuffer(GL.GL_RENDERBUFFER, name)
            GL.glRenderbufferStorage(GL.GL_RENDERBUFFER, kind, width, height)
            GL.glFramebufferRenderbuffer(GL.GL_FRAMEBUFFER, place, GL.GL_RENDERBUFFER, name)
        assert GL.glCheckFramebufferStatus(GL.GL_FRAMEBUFFER) == GL.GL_FRAMEBUFFER_COMPLETE

    def bind(self) -> None:
        """Draw here from now on."""
        from OpenGL import GL

        GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, self._frame)
        GL.glViewport(0, 0, self.width, self.height)

    def read(self) -> np.ndarray:
        """The picture, (height, width, 3) uint8 RGB, first row on top."""
        from OpenGL import GL

        GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, self._frame)
        GL.glPixelStorei(GL.GL_PACK_ALIGNMENT, 1)
        pixels = np.empty((self.height, self.width, 4), np.uint8)
        GL.glReadPixels(0, 0, self.width, self.height, GL.GL_RGBA, GL.GL_UNSIGNED_BYTE, pixels)
        return np.ascontiguousarray(pixels[::-1, :, :3])

    def close(self) -> None:
        """Give the memory back."""
        from OpenGL import GL

        GL.glDeleteFramebuffers(1, [self._frame])
        GL.glDeleteRenderbuffers(2, self._buffers)


class DepthMap:
    """A square depth texture seen from a light; ``texture`` compares in hardware when ``compare``."""

    def __init__(self, size: int, *, compare: bool = True) -> None:
        from OpenGL import GL

        self.size = size
        self.texture = int(GL.glGenTextures(1))
        GL.glBindTexture(GL.GL_TEXTURE_2D, self.texture)
        GL.glTexImage2D(
            GL.GL_TEXTURE_2D, 0, GL.GL_DEPTH_COMPONENT32F, size, size, 0, GL.GL_DEPTH_COMPONENT, GL.GL_FLOAT, None
        )
        smooth = GL.GL_LINEAR if compare else GL.GL_NEAREST
        settings = {GL.GL_TEXTURE_MIN_FILTER: smooth, GL.GL_TEXTURE_MAG_FILTER: smooth}
        settings |= {GL.GL_TEXTURE_WRAP_S: GL.GL_CLAMP_TO_BORDER, GL.GL_TEXTURE_WRAP_T: GL.GL_CLAMP_TO_BORDER}
        if compare:
            settings |= {
                GL.GL_TEXTURE_COMPARE_MODE: GL.GL_COMPARE_REF_TO_TEXTURE,
                GL.GL_TEXTURE_COMPARE_FUNC: GL.GL_LEQUAL,
            }
        for name, value in settings.items():
            GL.glTexParameteri(GL.GL_TEXTURE_2D, name, value)
        GL.glTexParameterfv(GL.GL_TEXTURE_2D, GL.GL_TEXTURE_BORDER_COLOR, np.ones(4, np.float32))
        self._frame = int(GL.glGenFramebuffers(1))
        GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, self._frame)
        GL.glFramebufferTexture2D(GL.GL_FRAMEBUFFER, GL.GL_DEPTH_ATTACHMENT, GL.GL_TEXTURE_2D, self.texture, 0)
        GL.glDrawBuffer(GL.GL_NONE)
        GL.glReadBuffer(GL.GL_NONE)
        assert GL.glCheckFramebufferStatus(GL.GL_FRAMEBUFFER) == GL.GL_FRAMEBUFFER_COMPLETE

    def bind(self) -> None:
        """Draw here from now on, onto a cleared map."""
        from OpenGL import GL

        GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, self._frame)
        GL.glViewport(0, 0, self.size, self.size)
        GL.glClear(GL.GL_DEPTH_BUFFER_BIT)

    def read(self) -> np.ndarray:
        """The depths, (size, size) float32 in 0..1, first row at the bottom."""
        from OpenGL import GL

        GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, self._frame)
        GL.glPixelStorei(GL.GL_PACK_ALIGNMENT, 1)
        depths = np.empty((self.size, self.size), np.float32)
        GL.glReadPixels(0, 0, self.size, self.size, GL.GL_DEPTH_COMPONENT, GL.GL_FLOAT, depths)
        return depths

    def close(self) -> None:
        """Give the memory back."""
        from OpenGL import GL

        GL.glDeleteFramebuffers(1, [self._frame])
        GL.glDeleteTextures([self.texture])


def picture_texture(pixels: np.ndarray, *, srgb: bool) -> int:
    """A repeating, mip-mapped texture of (height, width, 4) uint8 pixels, first row on top; returns its name."""
    from OpenGL import GL

    name = int(GL.glGenTextures(1))
    GL.glBindTexture(GL.GL_TEXTURE_2D, name)
    GL.glPixelStorei(GL.GL_UNPACK_ALIGNMENT, 1)
    height, width = pixels.shape[:2]
    kind = GL.GL_SRGB8_ALPHA8 if srgb else GL.GL_RGBA8
    flipped = np.ascontiguousarray(pixels[::-1])
    GL.glTexImage2D(GL.GL_TEXTURE_2D, 0, kind, width, height, 0, GL.GL_RGBA, GL.GL_UNSIGNED_BYTE, flipped)
    GL.glGenerateMipmap(GL.GL_TEXTURE_2D)
    GL.glTexParameteri(GL.GL_TEXTURE_2D, GL.GL_TEXTURE_MIN_FILTER, GL.GL_LINEAR_MIPMAP_LINEAR)
    GL.glTexParameteri(GL.GL_TEXTURE_2D, GL.GL_TEXTURE_MAG_FILTER, GL.GL_LINEAR)
    # Half a level sharper than isotropic filtering would be; the multi-sampling takes the shimmer.
    GL.glTexParameterf(GL.GL_TEXTURE_2D, GL.GL_TEXTURE_LOD_BIAS, -0.5)
    return name
