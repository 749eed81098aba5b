# SPDX-License-Identifier: Apache-2.0
"""Rigid motions that put a face's skull where the target has it, by every method, behind one call.

Frame by frame: nothing hangs on the order of frames or on how they are cut into chunks. Points are millimetres in the
axes of the file; the answer follows any rigid motion of either input (float64 Procrustes before and after).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hyoid.errors import InputError
from hyoid.geometry.rigid import Rigid, align, concatenate, identity, orthonormal
from hyoid.systems.facestab import known, network, robust
from hyoid.systems.facestab.checkpoint import Model
from hyoid.systems.facestab.known import FLOOR, KnownMotions

METHODS = ("facestab", "regressor", "irls", "l1", "procrustes")
"""``facestab`` is our trust network, ``regressor`` the paper's form, the others learn nothing."""
BATCH = 128
PERSON_MM = 5.0
"""Median residual after robust alignment above which two meshes are not one person, millimetres."""
SCALE = 0.05
"""How far the size of a frame may differ from the target's: more than a growing child, less than a wrong unit."""
_SCALED = 1.4  # a skull this much larger or smaller is told as a change of unit or scale
_MIRRORED = 0.5  # a mirrored mesh fits this much better mirrored
ROUNDS, _HABIT_ROUNDS = 16, 8  # of the robust pre-alignment, and of the fit by habit after it
_HALF = 1.0  # millimetres of expected error at which confidence is one half
_MOST = 0.9  # quantile of the weights that is full trust
_SPREAD = 12.0  # millimetres: points nearer to each other err alike


@dataclass(frozen=True)
class Stabilised:
    """What was found for F frames with K points.

    Attributes:
        motion: from each frame to the target, lengths in millimetres: ``R p + t``.
        residuals: (F, K) float32, millimetres, how far each point lies from the target's afterwards; NaN where missing.
        trust: (F, K) float32, 0..1, how much each point counted; the most trusted tenth 1.
        expected_error: (F,) float32 millimetres on the face, from residuals and trust, without knowing the truth.
        confidence: (F,) float32, 0..1, one half at an expected error of a millimetre; 0 where the frame was refused.
        refused: why a frame is not the target's person or scale, by its number.
    """

    motion: Rigid
    residuals: np.ndarray
    trust: np.ndarray
    expected_error: np.ndarray
    confidence: np.ndarray
    refused: dict[int, str]


def stabilise(
    source: np.ndarray,
    target: np.ndarray,
    *,
    mask: np.ndarray | None = None,
    method: str = "facestab",
    model: Model | None = None,
    threads: int | None = None,
    progress: Callable[[float], None] = lambda fraction: None,
) -> Stabilised:
    """The motions that take the skull of each source frame onto the target's.

    Args:
        source: (F, K, 3) millimetres. target: (K, 3).
        mask: (K,), 1 for points that the mesh has.
        method: one of :data:`METHODS`. model: the trained network, for the first two; its points are the K points.
        threads: batches at a time; None takes what the processor has.
        progress: is told the share that is done.

    Raises:
        InputError: numbers that are not finite, shapes that do not fit, or fewer than four points.
    """
    source, target = np.asarray(source), np.asarray(target, np.float64)
    mask = np.ones(len(target)) if mask is None else np.asarray(mask, np.float64)
    _check(source, target, mask, method, model)
    solve = _Solver(target, mask, method, model)
    spans = [slice(start, start + BATCH) for start in range(0, len(source), BATCH)]
    found: list[tuple[Any, ...]] = []
    for batch in _in_order(solve, source, spans, threads or os.cpu_count() or 1):
        found.append(batch)
        progress(len(found) / len(spans))
    motions, residuals, trust, errors, reasons = zip(*found, strict=True)
    listed = [reason for batch in reasons for reason in batch]
    refused = {number: reason for number, reason in enumerate(listed) if reason}
    error = np.concatenate(errors).astype(np.float32)
    confidence = 1 / (1 + (error / _HALF) ** 2)
    confidence[list(refused)] = 0
    return Stabilised(
        concatenate(list(motions)), np.concatenate(residuals), np.concatenate(trust), error, confidence, refused
    )


def shown_on(model: Model, points: Any, places: np.ndarray, vertices: np.ndarray) -> Model:
    """The model for one mesh: with the motions that it knows as the mesh shows them (see ``known.shown``).

    Args:
        points: a ``characters.fit.face_points.FacePoints``. places: (K, 3), where the canonical points themselves lie:
            on a mesh ``points.of(vertices)``, in a coarse cloud between its points. vertices: (V, 3), its own.
    """
    if not len(model.face.known):
        return model
    motions = known.shown(model.face.known, places, vertices, points.vertices, points.shares, points.mask)
    return replace(model, face=replace(model.face, known=motions))


def _check(source: np.ndarray, target: np.ndarray, mask: np.ndarray, method: str, model: Model | None) -> None:
    assert method in METHODS, method
    if (
        source.ndim != 3
        or source.shape[1:] != target.shape
        or target.shape[1:] != (3,)
        or mask.shape != target.shape[:1]
    ):
        raise InputError(f"points of the shapes {source.shape} and {target.shape}", expected="(F, K, 3) and (K, 3)")
    if not len(source):
        raise InputError("there are no frames", expected="at least one")
    if int((mask > 0).sum()) < 4:
        raise InputError(f"{int((mask > 0).sum())} points to align", expected="at least 4")
    if model is not None and method in ("facestab", "regressor"):
        assert len(model.face.rows) == len(target), "the points are those of the model"
    for name, points in (("target", target[None]), ("frame", source)):
        finite = np.isfinite(points[:, mask > 0]).all((1, 2))
        if not finite.all():
            number = "" if name == "target" else f" {int(np.argmin(finite))}"
            raise InputError(f"{name}{number} holds numbers that are not finite", expected="finite coordinates")


def _in_order(
    solve: Callable[[np.ndarray], tuple[Any, ...]], source: np.ndarray, spans: list[slice], threads: int
) -> Iterator[tuple[Any, ...]]:
    from hyoid.threads import one_blas_thread

    # The matrices are small: threads of the linear algebra inside of ours would only wait for each other.
    with one_blas_thread(), ThreadPoolExecutor(threads) as pool:
        try:
            yield from pool.map(lambda span: solve(source[span]), spans)
        finally:
            pool.shutdown(cancel_futures=True)


class _Solver:
    """One target, prepared: everything that all frames share."""

    def __init__(self, target: np.ndarray, mask: np.ndarray, method: str, model: Model | None) -> None:
        self.target, self.mask, self.method, self.model = target, mask, method, model
        self.used = mask > 0
        self.to_frame: Rigid | None = None
        self.error_scale = 1.0
        if model is not None and method in ("facestab", "regressor"):
            self.to_frame = align(target[None], model.face.template.astype(np.float64), mask)
            self.error_scale = float(model.note.get("error_scale", 1.0))
        aligned = target if self.to_frame is None else self.to_frame.apply(target)[0]
        self.aligned = np.where(self.used[:, None], aligned, 0.0)
        size = np.exp(-((target[self.used, None] - target[None, self.used]) ** 2).sum(-1) / (2 * _SPREAD**2))
        self.alike = float(size.sum(1).mean())  # points that err together
        self.known: KnownMotions | None = None
        if self.to_frame is not None and model is not None and model.form == "trust" and len(model.face.known):
            self.known = known.prepared(model.face.template, model.face.known, mask)

    def __call__(self, source: np.ndarray) -> tuple[Any, ...]:
        source = np.where(self.used[:, None], np.asarray(source, np.float64), 0.0)
        target = np.where(self.used[:, None], self.target, 0.0)
        unexplained: np.ndarray | None = None
        if self.to_frame is not None:
            motion, weights, unexplained = self._learned(source)
        else:
            motion, weights = self._plain(source, target)
        residuals = robust.residuals(motion, source, target)
        reasons = self._refusals(source, target, residuals)
        error = self.error_scale * self._expected(source, weights, residuals)
        if self.known is not None and unexplained is not None:
            error += known.share(unexplained, 0.0) * (self.known.expected(unexplained) - error)
        most = np.quantile(weights[:, self.used], _MOST, axis=1)[:, None]
        trust = np.minimum(weights / np.maximum(most, 1e-12), 1.0)
        residuals[:, ~self.used] = np.nan
        return motion, residuals.astype(np.float32), trust.astype(np.float32), error, reasons

    def _plain(self, source: np.ndarray, target: np.ndarray) -> tuple[Rigid, np.ndarray]:
        motion = {
            "procrustes": robust.procrustes, "l1": robust.least_absolute, "irls": robust.geman_mcclure,
        }[self.method](source, target, self.mask)  # fmt: skip
        residuals = robust.residuals(motion, source, target)
        kernel = {
            "procrustes": np.ones_like(residuals), "l1": 1 / np.maximum(residuals, 0.1),
            "irls": 1 / (1 + residuals**2) ** 2,
        }[self.method]  # fmt: skip
        return motion, kernel * self.mask

    def _learned(self, source: np.ndarray) -> tuple[Rigid, np.ndarray, np.ndarray | None]:
        """Source -> target's place in the canonical frame -> network -> back; and what known motions leave over."""
        assert self.model is not None
        assert self.to_frame is not None
        model = self.model
        first = align(source, self.aligned, self.mask)
        start = first.apply(source).astype(np.float32)
        start[:, ~self.used] = 0
        shape = start.shape[:2]
        wanted = np.broadcast_to(self.aligned.astype(np.float32), start.shape)
        mask = np.broadcast_to(self.mask.astype(np.float32), shape)
        unexplained = None
        if model.form == "trust":
            early, start = network.pre_align(start, wanted, mask, ROUNDS)
            late, settled, weights, moved = network.trusting_fit(
                model.parameters, model.config, model.gather, model.spread, start, wanted, mask
            )
            still = identity(len(start))
            first, learned = _composed(first, [early]), _composed(still, late)
            if self.known is not None:
                step = self.known.trusted_fit(settled, wanted, weights, moved)
                learned = _between(learned, _composed(learned, [step]), model.config.known, start)
            if model.config.habit:
                step = network.habitual_fit(start, wanted, mask, model.face.motion, _HABIT_ROUNDS)
                learned = _between(learned, _composed(still, [step]), model.config.habit, start)
            if self.known is not None:
                steps, unexplained = self.known.fit(start, wanted)
                part = known.share(unexplained, model.config.linear)
                learned = _between(learned, _composed(still, steps), part, start)
            found = learned.after(first)
        else:
            step = network.regress(model.parameters, model.face.template, start, wanted, mask)
            moved = start @ step[0].swapaxes(1, 2) + step[1][:, None]
            weights = mask / (1 + ((moved - wanted) ** 2).sum(-1))
            found = _composed(first, [step])
        found = Rigid(orthonormal(found.rotations), found.translations)
        return self.to_frame.inverse().after(found), np.asarray(weights, np.float64), unexplained

    def _expected(self, source: np.ndarray, weights: np.ndarray, residuals: np.ndarray) -> np.ndarray:
        """(F,) millimetres: the covariance of weighted least squares, carried to the points of the face.

        The residuals of the trusted points tell the noise; neighbours err alike and count as one.
        """
        total = np.maximum(weights.sum(1), 1e-12)
        variance = (weights * residuals**2).sum(1) / total / 3 + FLOOR**2
        share = weights / total[:, None]
        count = np.maximum(1 / np.maximum((share**2).sum(1), 1e-12) / self.alike, 1.0)
        middle = (share[:, None] @ source)[:, 0]
        arm = source - middle[:, None]
        inertia = _inertia(arm, share) + 1e-6 * np.eye(3)
        wanted = _inertia(arm, np.broadcast_to(self.mask / self.mask.sum(), share.shape))
        turning = np.trace(np.linalg.solve(inertia, wanted), axis1=1, axis2=2)
        return np.sqrt(variance / count * (3 + turning))

    def _refusals(self, source: np.ndarray, target: np.ndarray, residuals: np.ndarray) -> list[str]:
        """Why each frame cannot be the target's person at the target's scale, or nothing."""
        own, other = source[:, self.used], target[self.used]
        size = _size(own) / _size(other[None])
        median = np.median(residuals[:, self.used], axis=1)
        reasons = []
        for frame in range(len(source)):
            reason = ""
            if median[frame] > PERSON_MM or abs(np.log(size[frame])) > np.log(_SCALED):
                reason = self._why(own[frame], other, float(size[frame]), float(median[frame]))
            reasons.append(reason)
        return reasons

    def _why(self, own: np.ndarray, other: np.ndarray, size: float, median: float) -> str:
        if abs(np.log(size)) > np.log1p(SCALE):
            scaled = own / size
            fit = np.median(robust.residuals(robust.geman_mcclure(scaled[None], other), scaled[None], other))
            if fit < PERSON_MM or abs(np.log(size)) > np.log(_SCALED):
                return f"is {size:.3g} times as large as the target"
        mirrored = (own * [-1, 1, 1])[None]
        fit = float(np.median(robust.residuals(robust.geman_mcclure(mirrored, other), mirrored, other)))
        if fit < _MIRRORED * median:
            return "is a mirror image of the target"
        return f"is another face than the target: half of it lies more than {median:.1f} mm away"


def _composed(first: Rigid, steps: list[tuple[np.ndarray, np.ndarray]]) -> Rigid:
    """The steps after ``first``, in their order."""
    for rotation, translation in steps:
        first = Rigid(rotation.astype(np.float64), translation.astype(np.float64)).after(first)
    return first


def _between(one: Rigid, other: Rigid, share: float | np.ndarray, points: np.ndarray) -> Rigid:
    """Motions ``share`` (F,) of the way from one to another near it, judged at the middle of points (F, K, 3)."""
    part = np.broadcast_to(share, len(points))[:, None]
    middle = points.mean(1).astype(np.float64)
    rotations = orthonormal((1 - part[..., None]) * one.rotations + part[..., None] * other.rotations)
    places = [motion.apply(middle[:, None])[:, 0] for motion in (one, other)]
    place = (1 - part) * places[0] + part * places[1]
    return Rigid(rotations, place - (rotations @ middle[..., None])[..., 0])


def _size(points: np.ndarray) -> np.ndarray:
    """(F,) the spread of points (F, n, 3) about their middle."""
    return np.sqrt(((points - points.mean(1, keepdims=True)) ** 2).sum((1, 2)) / points.shape[1])


def _inertia(arm: np.ndarray, share: np.ndarray) -> np.ndarray:
    """(F, 3, 3) sum of ``share * (|a|^2 I - a a^T)`` over points."""
    second = arm.transpose(0, 2, 1) @ (share[..., None] * arm)
    return np.trace(second, axis1=1, axis2=2)[:, None, None] * np.eye(3) - second
