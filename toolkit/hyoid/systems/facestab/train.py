# SPDX-License-Identifier: Apache-2.0
# pyright: reportPrivateImportUsage=false
"""Training of both networks on streams of made-up pairs; it can be stopped and goes on where it was.

A pair lies in the frame of its skull, so the motion to be found is none. Any rigid motion on top of it is taken away
exactly by the pre-alignment and need not be sampled. The loss is the mean distance between where the points of the face
come to lie and where they belong, in millimetres (the paper does not give its loss).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from hyoid import training
from hyoid.report import SILENT, Report
from hyoid.systems.facestab import checkpoint, infer, network
from hyoid.systems.facestab.checkpoint import Face, Model

_REFRESH = 60  # steps between new variants of the shapes; states are kept at these moments
_KEPT_EVERY = 4  # of them
_WARM_UP = 50
_LAST = 1e-3  # of the learning rate, at the end
_LARGEST_GRADIENT = 5.0
_REST = 0.3  # of the loss: scalp and ears, whose place tells a wrong turn
_VALIDATION = 16  # batches


class Stream(Protocol):
    """A source of pairs, see ``hyoid.synthetic.face_pairs.Pairs``."""

    random: np.random.Generator

    def batch(self, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Target and source (count, K, 3) mm, and masks (count, K)."""
        ...

    def refresh(self) -> None:
        """Vary the shapes anew."""
        ...


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes:
        form: ``trust`` or ``regress``. steps, batch, rate, decay: of AdamW, the rate falls along a cosine.
        tail: how much the square of the error counts beside the error: large errors matter more.
        rounds: of the robust pre-alignment before the trust network.
    """

    form: str = "trust"
    steps: int = 10_000
    batch: int = 64
    rate: float = 2e-3
    decay: float = 1e-3
    tail: float = 0.05
    rounds: int = infer.ROUNDS
    seed: int = 0


def train(
    streams: Sequence[Stream],
    validation: Sequence[Stream],
    face: Face,
    recipe: Recipe,
    *,
    config: Any = None,
    note: dict[str, Any] | None = None,
    state: Path | None = None,
    threads: int = 2,
    report: Report = SILENT,
) -> Model:
    """A trained model; the same arguments give the same one on the same machine.

    Args:
        streams: the pairs that it learns from, in turn. validation: other people, from which the quality is told and
            the expected error is scaled.
        note: what the model says of itself beside the recipe. state: file that holds an unfinished training.

    Raises:
        MissingToolError: torch is not installed. InputError: ``state`` belongs to another training.
    """
    torch = training.torch_or_error()
    torch.set_num_threads(threads)
    config = config or (network.TrustConfig() if recipe.form == "trust" else network.RegressConfig())
    shapes = checkpoint.shapes_of(recipe.form, config, len(face.rows))
    start = network.initial(shapes, recipe.seed)
    parameters = {name: torch.tensor(array, requires_grad=True) for name, array in start.items()}
    optimiser = torch.optim.AdamW(parameters.values(), lr=recipe.rate, weight_decay=recipe.decay)
    key = json.dumps([asdict(recipe), asdict(config), note], sort_keys=True)
    first = training.resume(state, key, parameters, optimiser, {}, lambda note: _set_draws(streams, note))
    loss_of = _loss(recipe, config, face)
    recent: list[float] = []
    for step in range(first, recipe.steps):
        if step % _REFRESH == 0:
            if state is not None and step > first and step % (_REFRESH * _KEPT_EVERY) == 0:
                training.keep(state, key, step, parameters, optimiser, {}, _draws(streams))
            for stream in streams:
                stream.refresh()
        for group in optimiser.param_groups:
            group["lr"] = _rate(recipe, step)
        arrays = streams[step % len(streams)].batch(recipe.batch)
        loss, error = loss_of(parameters, *map(torch.from_numpy, arrays))
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(parameters.values()), _LARGEST_GRADIENT)
        optimiser.step()
        recent = [*recent[-199:], float(error)]
        if step % 20 == 0:
            report.progress(step / recipe.steps, f"step {step} of {recipe.steps}, {np.mean(recent):.3f} mm")
    arrays = {name: value.detach().numpy() for name, value in parameters.items()}
    made = checkpoint.make(recipe.form, config, arrays, face, {**(note or {}), "recipe": asdict(recipe)})
    return _judged(made, validation)


def _rate(recipe: Recipe, step: int) -> float:
    share = step / recipe.steps
    return recipe.rate * (0.5 * (1 + np.cos(np.pi * share)) + _LAST) * min(1.0, (step + 1) / _WARM_UP)


def _loss(recipe: Recipe, config: Any, face: Face) -> Callable[..., tuple[Any, Any]]:
    """A function of parameters, target, source and masks: the loss, and the mean error in millimetres."""
    torch = training.torch_or_error()
    template = torch.from_numpy(face.template)
    core = torch.from_numpy(face.core.astype(np.float32))
    share = (1 - _REST) * core / core.sum()
    if not face.core.all():
        share = share + _REST * (1 - core) / (1 - core).sum()
    gather = spread = None
    if recipe.form == "trust":
        gather, spread = map(torch.from_numpy, network.patches(face.template, config))

    def loss(parameters: Any, target: Any, source: Any, mask: Any) -> tuple[Any, Any]:
        with torch.no_grad():
            # The target's place in the canonical frame; the truth moves along with it.
            for _ in range(2):
                rotation, shift = network.small_step(target, template.expand_as(target), mask)
                target, source = (points @ rotation.swapaxes(1, 2) + shift[:, None] for points in (target, source))
            truth = source
            for _ in range(3):
                rotation, shift = network.small_step(source, target, mask)
                source = source @ rotation.swapaxes(1, 2) + shift[:, None]
            if recipe.form == "trust":
                _, source = network.pre_align(source, target, mask, recipe.rounds)
        if recipe.form == "trust":
            _, moved, _, _ = network.trusting_fit(parameters, config, gather, spread, source, target, mask)
        else:
            rotation, shift = network.regress(parameters, template, source, target, mask)
            moved = source @ rotation.swapaxes(1, 2) + shift[:, None]
        away = torch.sqrt(((moved - truth) ** 2).sum(-1) + 1e-8)
        error = away @ share
        return error.mean() + recipe.tail * (error * error).mean(), error.detach().mean()

    return loss


def _judged(made: Model, validation: Sequence[Stream]) -> Model:
    """The model with its error on other people, and with its expected error in millimetres."""
    actual, expected = [], []
    for stream in validation:
        for _ in range(_VALIDATION // len(validation)):
            targets, sources, masks = stream.batch(32)
            for target, source, mask in zip(targets, sources, masks, strict=True):
                found = infer.stabilise(
                    source[None], target, mask=mask, model=made, threads=1,
                    method="facestab" if made.form == "trust" else "regressor",
                )  # fmt: skip
                away = np.linalg.norm(found.motion.apply(source[None])[0] - source, axis=-1)
                actual.append(float(away[made.face.core].mean()))
                expected.append(float(found.expected_error[0]))
    scale = float(np.mean(actual) / np.mean(expected))
    quality = {"validation_mm": round(float(np.mean(actual)), 4), "error_scale": round(scale, 4)}
    return Model(**{**vars(made), "note": {**made.note, **quality}})


def _draws(streams: Sequence[Stream]) -> dict[str, Any]:
    """Where the random numbers of the streams are."""
    return {"streams": [stream.random.bit_generator.state for stream in streams]}


def _set_draws(streams: Sequence[Stream], note: dict[str, Any]) -> None:
    for stream, kept in zip(streams, note["streams"], strict=True):
        stream.random.bit_generator.state = kept
