# SPDX-License-Identifier: Apache-2.0
"""What ``hyoid train`` of several systems shares: options, device, threads, checks of outputs, weights and card."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from hyoid.errors import MissingToolError, UsageError
from hyoid.verbs.job import CLI, JobModel, short

SUFFIX = ".safetensors"
LICENCE = "Apache-2.0"

Presets = dict[str, tuple[dict[str, Any], dict[str, Any]]]
"""By name: sizes of the network, and numbers of the recipe."""


class Options(JobModel):
    """What every training is told."""

    output: Path = Field(description="weights to write; a card with data and quality lies beside them",
                         json_schema_extra=short("-o"))  # fmt: skip
    preset: Literal["cpu", "gpu"] = Field("cpu", description="sizes and recipe for processors, or for a large GPU")
    steps: int | None = Field(None, ge=1, le=10_000_000, description="training steps; without it the preset's")
    seed: int = Field(0, ge=0, description="of all random numbers")
    threads: int = Field(2, ge=1, le=256, description="processor threads")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto: a GPU where there is one")
    precision: Literal["bfloat16", "float32"] | None = Field(
        None, description="of the network's products; without it the preset's"
    )
    state: Path | None = Field(
        None, description="keep the unfinished training here, and go on from it when it is there",
        json_schema_extra={CLI: {"file": "write"}},
    )  # fmt: skip


def chosen(job: Options, presets: Presets) -> tuple[dict[str, Any], dict[str, Any]]:
    """Sizes of the network and numbers of the recipe: those of the preset, and what the job says otherwise."""
    sizes, recipe = presets[job.preset]
    given = {"steps": job.steps, "precision": job.precision, "seed": job.seed}
    return sizes, {**recipe, **{name: value for name, value in given.items() if value is not None}}


def check_outputs(job: Options) -> None:
    """Refuse outputs that could not be written, before the work and for ``hyoid check``.

    Raises:
        UsageError: weights of another type. OutputError: a folder cannot be written.
    """
    from hyoid.files import check_writable

    if job.output.suffix != SUFFIX:
        raise UsageError(f"unknown type of weights '{job.output.suffix}'", path=job.output, expected=SUFFIX)
    for path in (job.output, job.output.with_suffix(".card.md"), *([job.state] if job.state else [])):
        check_writable(path)


def device_of(wanted: str) -> str:
    """The device of torch, ``cpu`` or ``cuda``.

    Raises:
        MissingToolError: torch, or the GPU that was asked for, is not there.
    """
    from hyoid.training import torch_or_error

    there = torch_or_error().cuda.is_available()
    if wanted == "cuda" and not there:
        raise MissingToolError("torch finds no GPU", hint="Train with --device cpu, or install torch for CUDA")
    return "cuda" if there and wanted != "cpu" else "cpu"


@contextlib.contextmanager
def threads(count: int) -> Iterator[None]:
    """Let torch and the linear algebra of NumPy use so many threads."""
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        with threadpool_limits(count, user_api="blas"):
            yield
    finally:
        torch.set_num_threads(before)


def stored(model: Any, save: Callable[[Path, Any], None], load: Callable[[Path], Any]) -> Any:
    """The model as its file holds it: parameters that were written and read again, so in half precision if need be."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"model{SUFFIX}"
        save(path, model)
        return replace(model, parameters=load(path).parameters)


def command(name: str, job: Options, recipe: dict[str, Any], *given: str) -> str:
    """The command line that trains the same again, without folders of this machine.

    Args:
        recipe: with ``steps`` and ``precision``. given: more words that stand behind the output.
    """
    words = [f"hyoid train {name} -o {job.output.name}", *given, f"--preset {job.preset} --steps {recipe['steps']}"]
    return " ".join([*words, f"--seed {job.seed} --threads {job.threads} --precision {recipe['precision']}"])


def write(job: Options, model: Any, save: Callable[[Path, Any], None], card: str) -> list[str]:
    """Write weights and card, remove the state of the unfinished training, and tell the paths.

    Raises:
        OutputError: the files cannot be written.
    """
    from hyoid import files

    path = job.output.with_suffix(".card.md")
    save(job.output, model)
    files.write_bytes(path, card.encode())
    if job.state is not None:
        job.state.unlink(missing_ok=True)
    return [str(job.output), str(path)]
