# SPDX-License-Identifier: Apache-2.0
# pyright: reportPrivateImportUsage=false
"""What all trainings share: the schedule of the optimiser, averaged parameters, and going on with one that was stopped.

Whatever a step draws is drawn from the seed and the number of the step alone, so a resumed training ends with the same
numbers as one that was never stopped, on the same machine.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hyoid.errors import InputError, MissingToolError
from hyoid.files import write_bytes
from hyoid.report import SILENT, Report

_TOLD_EVERY = 20  # steps
_RECENT = 200  # steps whose error is told
_DRAWS = 2**31


@dataclass(frozen=True)
class Schedule:
    """AdamW whose rate rises for some steps and falls along a cosine.

    Attributes:
        steps: in all. rate: the highest. decay: of matrices; vectors (biases, norms) do not decay.
        warm_up: steps. last: share of the rate at the end. clip: largest norm of the gradient.
        average: how much of the averaged parameters stays at each step; 0 takes the last ones as they are.
        kept_every: steps after which an unfinished training is written.
    """

    steps: int
    rate: float = 1e-3
    decay: float = 0.01
    warm_up: int = 500
    last: float = 0.01
    clip: float = 1.0
    average: float = 0.999
    kept_every: int = 250

    def rate_at(self, step: int) -> float:
        """The rate of a step."""
        share = self.last + (1 - self.last) * 0.5 * (1 + np.cos(np.pi * step / self.steps))
        return self.rate * share * min(1.0, (step + 1) / max(1, min(self.warm_up, self.steps // 10)))


Loss = Callable[[Mapping[str, Any], int], tuple[Any, Any]]
"""Of parameters and the number of the step: what is made smaller, and the error that is told, both scalars."""


def optimise(
    start: Mapping[str, np.ndarray],
    loss_of: Loss,
    schedule: Schedule,
    *,
    seed: int,
    buffers: frozenset[str] = frozenset(),
    key: str = "",
    state: Path | None = None,
    device: str = "cpu",
    unit: str = "mm",
    report: Report = SILENT,
) -> dict[str, np.ndarray]:
    """Parameters that make a loss small, averaged over the last steps, float32.

    Args:
        start: parameters to begin with. buffers: names of those that the loss changes itself (running statistics).
        seed: of torch's draws. key: what else this training depends on, to know an unfinished one by.
        state: file that holds an unfinished training. unit: of the error that is told.

    Raises:
        MissingToolError: torch is not installed. InputError: ``state`` belongs to another training or is damaged.
    """
    torch = torch_or_error()
    parameters = {
        name: torch.tensor(array, device=device, requires_grad=name not in buffers) for name, array in start.items()
    }
    trained = [value for name, value in parameters.items() if name not in buffers]
    groups = [
        {"params": [value for value in trained if value.ndim > 1], "weight_decay": schedule.decay},
        {"params": [value for value in trained if value.ndim <= 1], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW([group for group in groups if group["params"]], lr=schedule.rate)
    averaged = {name: value.detach().clone() for name, value in parameters.items()}
    begun = resume(state, key, parameters, optimiser, averaged)
    recent: list[float] = []
    for step in range(begun, schedule.steps):
        if state is not None and step > begun and step % schedule.kept_every == 0:
            keep(state, key, step, parameters, optimiser, averaged)
        torch.manual_seed(np.random.SeedSequence([seed, step]).generate_state(1)[0] % _DRAWS)
        for group in optimiser.param_groups:
            group["lr"] = schedule.rate_at(step)
        loss, error = loss_of(parameters, step)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, schedule.clip)
        optimiser.step()
        _add_to(averaged, parameters, min(schedule.average, (step + 1) / (step + 10)))
        if step % _TOLD_EVERY == 0:
            recent = [*recent[-_RECENT // _TOLD_EVERY :], float(error)]
            report.progress(step / schedule.steps, f"step {step} of {schedule.steps}, {np.mean(recent):.1f} {unit}")
    return {name: value.detach().float().cpu().numpy().copy() for name, value in averaged.items()}


def _add_to(averaged: Mapping[str, Any], parameters: Mapping[str, Any], kept: float) -> None:
    torch = torch_or_error()
    with torch.no_grad():
        torch._foreach_lerp_(list(averaged.values()), [value.detach() for value in parameters.values()], 1 - kept)


def keep(
    path: Path, key: str, step: int, parameters: Mapping[str, Any], optimiser: Any, averaged: Mapping[str, Any],
    note: Mapping[str, Any] | None = None,
) -> None:  # fmt: skip
    """Write an unfinished training.

    Args:
        averaged: may be empty. note: what else belongs to it.

    Raises:
        OutputError: see :func:`hyoid.files.part_file`.
    """
    from safetensors.numpy import save

    arrays = {name: _array(value) for name, value in parameters.items()}
    arrays |= {f"averaged.{name}": _array(value) for name, value in averaged.items()}
    for name, value in parameters.items():
        kept = optimiser.state.get(value, {})
        if kept:
            arrays[f"adam.{name}.first"] = _array(kept["exp_avg"])
            arrays[f"adam.{name}.second"] = _array(kept["exp_avg_sq"])
    facts = {"step": str(step), "key": key, "note": json.dumps(note or {})}
    write_bytes(path, save(arrays, metadata=facts))


def resume(
    path: Path | None, key: str, parameters: Mapping[str, Any], optimiser: Any, averaged: Mapping[str, Any],
    take_note: Callable[[dict[str, Any]], None] | None = None,
) -> int:  # fmt: skip
    """The step to go on with: 0, or where the state in the file is; parameters and optimiser are set to it.

    Raises:
        InputError: the file holds another training, or is damaged.
    """
    if path is None or not path.is_file():
        return 0
    torch = torch_or_error()
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as archive:
            facts = archive.metadata() or {}
            if facts.get("key") != key:
                raise InputError(
                    "holds another training", path=path, expected="the same data, recipe and seed",
                    hint="Take another file, or remove it to begin anew",
                )  # fmt: skip
            step = int(facts["step"])
            with torch.no_grad():
                for name, value in parameters.items():
                    value.copy_(torch.from_numpy(archive.get_tensor(name)))
                    if name in averaged:
                        averaged[name].copy_(torch.from_numpy(archive.get_tensor(f"averaged.{name}")))
                    if value.requires_grad:
                        optimiser.state[value] = {
                            "step": torch.tensor(float(step)),
                            "exp_avg": torch.from_numpy(archive.get_tensor(f"adam.{name}.first")).to(value.device),
                            "exp_avg_sq": torch.from_numpy(archive.get_tensor(f"adam.{name}.second")).to(value.device),
                        }
            if take_note is not None:
                take_note(json.loads(facts["note"]))
    except (SafetensorError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise InputError(f"is damaged ({error})", path=path, hint="Remove it to begin anew") from None
    return step


def _array(value: Any) -> np.ndarray:
    return value.detach().cpu().numpy()


def torch_or_error() -> Any:
    """The module torch.

    Raises:
        MissingToolError: it is not installed.
    """
    with contextlib.suppress(ImportError):
        import torch

        return torch
    raise MissingToolError(
        "training needs torch, which is not installed", hint='Install it: pip install "hyoid[train]"'
    )
