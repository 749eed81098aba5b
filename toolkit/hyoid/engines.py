# SPDX-License-Identifier: Apache-2.0
"""What runs a network: ONNX Runtime, which is the faster one on a processor, or torch; neither needs the other."""

from __future__ import annotations

import contextlib
import importlib
import os
from typing import Any

import numpy as np

from hyoid.errors import MissingToolError, UsageError

AUTO = "auto"
"""ONNX Runtime on a processor where it is installed, and torch otherwise."""
ENGINES = ("onnxruntime", "torch")


def choose(engine: str, device: str, system: str) -> str:
    """The name of the engine that a network runs in, one of :data:`ENGINES`; it is installed.

    Args:
        engine: what is asked for, :data:`AUTO` or one of :data:`ENGINES`. device: as torch names it.
        system: name of the network, for errors.

    Raises:
        MissingToolError: it is not installed. UsageError: an engine that is not known or not for the device.
    """
    if engine not in (AUTO, *ENGINES):
        raise UsageError(f"engine '{engine}'", expected=" or ".join((AUTO, *ENGINES)))
    on_processor = device == "cpu"
    if engine == "onnxruntime" and not on_processor:
        raise UsageError(f"engine 'onnxruntime' on '{device}'", expected="the device cpu, or engine 'torch'")
    wanted = (engine,) if engine != AUTO else ENGINES if on_processor else ("torch",)
    for name in wanted:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
            return name
    hint = "pip install 'hyoid[train]'" if wanted == ("torch",) else "pip install onnxruntime"
    raise MissingToolError(
        f"{system} is evaluated with {' or '.join(wanted)}, which is not installed", hint=f"Install it: {hint}"
    )


def session(graph: bytes, threads: int | None = None) -> Any:
    """An ONNX Runtime session of a model on the processor.

    Args:
        graph: see ``hyoid.onnx_file``. threads: None is what OMP_NUM_THREADS says, or all cores.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    told = os.environ.get("OMP_NUM_THREADS", "")
    # It does not look at this variable, which the rest of the toolkit obeys.
    options.intra_op_num_threads = threads or (int(told) if told.isdecimal() else 0)
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def tensor(array: np.ndarray, device: str) -> Any:
    """An array as a torch tensor on a device, with four axes in the order that convolutions read fastest."""
    import torch

    found = torch.tensor(array, device=device)
    return found.contiguous(memory_format=torch.channels_last) if found.ndim == 4 else found
