# SPDX-License-Identifier: Apache-2.0
"""The data of ICT-FaceKit Light: the published ``FaceXModel`` folder, read once and kept in the user's cache.

A packed copy of it is read too: ``ict_facekit.npz`` with absolute positions ``neutral``, ``identity``, ``expression``
and their names, beside ``topology.txt.gz``, which is the neutral's ``.obj`` without its vertices.

Li, Bladin, Zhao et al., "Learning Formation of Physically-Based Face Attributes", CVPR 2020. Everything is linear:
vertices = neutral + identity modes + expressions, in centimetres.
"""

from __future__ import annotations

import gzip
import hashlib
import logging
import tempfile
import time
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from hyoid.errors import InputError, OutputError
from hyoid.files import cache_folder, part_file, sha256_of
from hyoid.formats import obj
from hyoid.formats.npz import read_npz, write_npz
from hyoid.geometry.mesh import Mesh

NEUTRAL = "generic_neutral_mesh"
PACKED, TOPOLOGY = "ict_facekit.npz", "topology.txt.gz"
VERTICES, FACES = 26_719, 26_384
MOST_IDENTITIES = 100
_PAIRED = (
    "browDown", "browInnerUp", "browOuterUp", "cheekPuff", "cheekSquint", "eyeBlink", "eyeLookDown", "eyeLookIn",
    "eyeLookOut", "eyeLookUp", "eyeSquint", "eyeWide", "mouthDimple", "mouthFrown", "mouthLowerDown", "mouthPress",
    "mouthSmile", "mouthStretch", "mouthUpperUp", "noseSneer",
)  # fmt: skip
_SINGLE = (
    "jawForward", "jawLeft", "jawOpen", "jawRight", "mouthClose", "mouthFunnel", "mouthLeft", "mouthPucker",
    "mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper",
)  # fmt: skip
EXPRESSIONS: tuple[str, ...] = tuple(sorted([*_SINGLE, *(f"{name}_{side}" for name in _PAIRED for side in "LR")]))
"""The 53 expressions in the order of the official weights."""
LANDMARKS_68: tuple[int, ...] = (
    1225, 1888, 1052, 367, 1719, 1722, 2199, 1447, 966, 3661, 4390, 3927, 3924, 2608, 3272, 4088, 3443, 268, 493, 1914,
    2044, 1401, 3615, 4240, 4114, 2734, 2509, 978, 4527, 4942, 4857, 1140, 2075, 1147, 4269, 3360, 1507, 1542, 1537,
    1528, 1518, 1511, 3742, 3751, 3756, 3721, 3725, 3732, 5708, 5695, 2081, 0, 4275, 6200, 6213, 6346, 6461, 5518, 5957,
    5841, 5702, 5711, 5533, 6216, 6207, 6470, 5517, 5966,
)  # fmt: skip
"""Vertices of the 68 points of the Multi-PIE scheme, in its order."""
_LARGEST_TOPOLOGY = 64 << 20
_FORMAT = 2
_log = logging.getLogger("hyoid")


@dataclass(frozen=True)
class Model:
    """The linear model, centimetres, +Y up, +Z forward.

    Attributes:
        neutral: (26719, 3) float64. identities: (K, 26719, 3) float32 offsets, K up to 100.
        expressions: (53, 26719, 3) float32 offsets in the order of :data:`EXPRESSIONS`.
        faces, face_uv: (26384, 4) int32. uv: (U, 2) float32.
        digest: the SHA-256 over the files that were read.
    """

    neutral: np.ndarray
    identities: np.ndarray
    expressions: np.ndarray
    faces: np.ndarray
    uv: np.ndarray
    face_uv: np.ndarray
    digest: str

    def evaluate(self, identity: np.ndarray, expression: np.ndarray) -> np.ndarray:
        """Vertices (B, 26719, 3) float64, centimetres.

        Args:
            identity: (B, K) standard deviations; what goes beyond the model's modes is left out.
            expression: (B, 53) weights 0..1 in the order of :data:`EXPRESSIONS`.
        """
        identity = np.asarray(identity, np.float64)[:, : len(self.identities)]
        moved = np.einsum("bk,kvc->bvc", identity, self.identities[: identity.shape[1]], optimize=True)
        moved += np.einsum("bk,kvc->bvc", np.asarray(expression, np.float64), self.expressions, optimize=True)
        return self.neutral + moved


def find(path: Path) -> Path:
    """The folder with the ``.obj`` files (or their packed copy): ``path`` itself, or a ``FaceXModel`` folder inside it.

    Raises:
        InputError: there is none.
    """
    path = Path(path)
    for folder in (path, path / "FaceXModel"):
        if (folder / f"{NEUTRAL}.obj").is_file() or (folder / PACKED).is_file():
            return folder
    found = "is a file" if path.is_file() else f"holds no {NEUTRAL}.obj" if path.is_dir() else "does not exist"
    raise InputError(found, path=path, expected="the FaceXModel folder of ICT-FaceKit, or the repository that holds it")


def identity_count(folder: Path) -> int:
    """How many identity modes a folder has: files ``identity000.obj`` and on, up to the first missing number."""
    if (folder / PACKED).is_file():
        return min(len(read_npz(folder / PACKED).get("identity", ())), MOST_IDENTITIES)
    for number in range(MOST_IDENTITIES):
        if not (folder / f"identity{number:03d}.obj").is_file():
            return number
    return MOST_IDENTITIES


def model(path: Path) -> Model:
    """The model of a folder, from the cache where it was converted before.

    Raises:
        InputError: a file is missing, damaged or of another model.
    """
    folder = find(path)
    if (folder / PACKED).is_file():
        facts = (folder / PACKED).stat()
        return _packed(folder, f"{facts.st_size} {facts.st_mtime_ns}")
    names = [NEUTRAL, *EXPRESSIONS, *(f"identity{number:03d}" for number in range(identity_count(folder)))]
    return _model(folder, tuple(names), _key(folder, names))


def _key(folder: Path, names: list[str]) -> str:
    """What a folder's conversion is kept under: names, sizes and times of its files.

    Raises:
        InputError: a file is missing.
    """
    digest = hashlib.sha256(f"ict {_FORMAT} {folder.resolve()}".encode())
    for name in names:
        path = folder / f"{name}.obj"
        try:
            facts = path.stat()
        except OSError as error:
            expected = f"all {len(EXPRESSIONS)} expressions of ICT-FaceKit"
            raise InputError(error.strerror or str(error), path=path, expected=expected) from None
        digest.update(f"{name} {facts.st_size} {facts.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:32]


@lru_cache(maxsize=1)
def _packed(folder: Path, key: str) -> Model:
    """The model of a packed copy; ``key`` changes with the file."""
    path = folder / PACKED
    arrays = read_npz(path)
    try:
        neutral = decimals(arrays["neutral"])
        known = arrays["expression_names"].tolist()
        chosen = arrays["expression"][[known.index(name) for name in EXPRESSIONS]]
        modes = arrays["identity"][:MOST_IDENTITIES]
        if neutral.shape != (VERTICES, 3) or chosen.shape[1:] != neutral.shape or modes.shape[1:] != neutral.shape:
            raise ValueError(f"{len(neutral)} vertices")
    except (KeyError, ValueError, IndexError, TypeError) as error:
        raise InputError(
            f"is not ICT-FaceKit ({error})", path=path, expected="neutral, identity and expression with their names"
        ) from None
    expressions, identities = (
        np.stack([(decimals(mode) - neutral).astype(np.float32) for mode in positions])
        if len(positions) else np.zeros((0, VERTICES, 3), np.float32)
        for positions in (chosen, modes)
    )  # fmt: skip
    mesh = _topology(folder / TOPOLOGY, neutral)
    return Model(neutral, identities, expressions, mesh.faces, mesh.uv, mesh.face_uv, sha256_of(path))


def _topology(path: Path, neutral: np.ndarray) -> Mesh:
    """The neutral's mesh from the text of its ``.obj`` without vertices."""
    try:
        with gzip.open(path, "rb") as stream:
            text = stream.read(_LARGEST_TOPOLOGY)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(
            f"cannot be read: {error}", path=path, expected="the neutral's .obj without vertices"
        ) from None
    with tempfile.TemporaryDirectory(prefix="hyoid-") as folder:
        whole = Path(folder) / f"{NEUTRAL}.obj"
        lines = [f"v {x!r} {y!r} {z!r}" for x, y, z in neutral.tolist()]
        whole.write_bytes("\n".join([*lines, ""]).encode() + text)
        mesh = obj.read(whole)
    if len(mesh.faces) != FACES:
        raise InputError(f"has {len(mesh.faces)} faces", path=path, expected=f"{FACES}, as in ICT-FaceKit Light")
    return mesh


@lru_cache(maxsize=1)
def _model(folder: Path, names: tuple[str, ...], key: str) -> Model:
    kept = cache_folder() / "ict" / f"{key}.npz"
    if kept.is_file():
        try:
            return _from_arrays(read_npz(kept))
        except (InputError, KeyError, ValueError) as error:
            _log.warning("%s cannot be used (%s); the model is converted again", kept, error)
    _log.info("converting %d files of %s once; this takes up to half a minute", len(names), folder)
    arrays = convert(folder, names)
    try:
        with part_file(kept) as part:
            write_npz(part, arrays, level=0)
    except OutputError as error:
        _log.warning("the converted model is not kept (%s); it will be converted each time", error)
    return _from_arrays(arrays)


def convert(folder: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The arrays of a folder: topology of the neutral, vertices of all the rest.

    Raises:
        InputError: a file is damaged or has another number of vertices.
    """
    started = time.monotonic()
    path = folder / f"{NEUTRAL}.obj"
    mesh = obj.read(path)
    neutral = decimals(mesh.vertices)
    _check_counts(path, len(neutral))
    if len(mesh.faces) != FACES or not len(mesh.face_uv):
        expected = f"{FACES} faces with texture coordinates, as in ICT-FaceKit Light"
        raise InputError(f"has {len(mesh.faces)} faces", path=path, expected=expected)
    digest = hashlib.sha256()
    offsets = []
    for name in names:
        path = folder / f"{name}.obj"
        if name != NEUTRAL:
            vertices = obj.read_vertices(path)
            _check_counts(path, len(vertices))
            offsets.append((decimals(vertices) - neutral).astype(np.float32))
        digest.update(f"{name} {sha256_of(path)}\n".encode())
    expressions, identities = offsets[: len(EXPRESSIONS)], offsets[len(EXPRESSIONS) :]
    _log.debug("converted in %.1f s", time.monotonic() - started)
    return {
        "neutral": neutral,
        "faces": mesh.faces,
        "uv": mesh.uv,
        "face_uv": mesh.face_uv,
        "expressions": np.stack(expressions),
        "identities": np.stack(identities) if identities else np.zeros((0, VERTICES, 3), np.float32),
        "digest": np.array(digest.hexdigest()),
    }


def decimals(values: np.ndarray) -> np.ndarray:
    """Numbers as they were published, float64: the files hold six or seven digits, copies of them often float32.

    Sums of a hundred modes would multiply the rounding of a copy; a number that equals a shorter one in float32 becomes
    that one.
    """
    exact = np.array(values, np.float64)
    single = exact.astype(np.float32)
    size = np.abs(exact)
    power = np.floor(np.log10(size, out=np.zeros_like(size), where=size > 1e-30))
    left = np.ones(exact.shape, bool)
    for digits in (6, 7):
        scale = 10.0 ** (digits - 1 - power[left])
        shorter = np.round(exact[left] * scale) / scale
        same = shorter.astype(np.float32) == single[left]
        exact[left] = np.where(same, shorter, exact[left])
        left[left] = ~same
        if not left.any():
            break
    return exact


def _check_counts(path: Path, count: int) -> None:
    if count != VERTICES:
        raise InputError(f"has {count} vertices", path=path, expected=f"{VERTICES}, as in ICT-FaceKit Light")


def _from_arrays(arrays: dict[str, np.ndarray]) -> Model:
    """The record of converted arrays.

    Raises:
        KeyError, ValueError: one is missing or of another shape.
    """
    shapes = {"neutral": (VERTICES, 3), "expressions": (len(EXPRESSIONS), VERTICES, 3), "faces": (FACES, 4)}
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise ValueError(f"'{name}' is {arrays[name].shape}")
    if arrays["identities"].shape[1:] != (VERTICES, 3):
        raise ValueError(f"'identities' is {arrays['identities'].shape}")
    fields = ("neutral", "identities", "expressions", "faces", "uv", "face_uv")
    return Model(*(arrays[name] for name in fields), digest=str(arrays["digest"]))
