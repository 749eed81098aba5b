# SPDX-License-Identifier: Apache-2.0
"""Speed of the networks of heads beside plain torch modules with the same weights, and of ``hyoid headpose VIDEO``.

DirectMHP's m6 sees a picture of 640 x 640, SemiUHPE's ResNet-50 a crop of 224 x 224; weights are drawn. The peers
(``_directmhp_peer.py``, ``_semiuhpe_peer.py``) are what one would write down with ``nn.Module``. Both answers must
agree first. Times are the best of interleaved rounds: those of the processor for one thread, so that other programs
count less, those of the clock for more. The command looks at a clip whose camera pans over a render of several people;
the whole program is timed, its start included; memory is that of it and its children.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ktpformer import best
from stabilize_memory import watched

SUMMARY = "DirectMHP m6 and SemiUHPE ResNet-50: ours beside plain torch modules; frames a second of headpose on a video"
GOAL = 1.3  # times as fast as plain modules
TOLERANCE = 1e-3  # boxes in sides of the picture; parameters of a distribution in the largest of them
PICTURE, CROP = 640, 224
FPS = 25.0
_CLIP = (640, 360)


def drawn(module: Any, seed: int) -> dict[str, np.ndarray]:
    """Parameters of a module, drawn so that features keep their size; buffers that are no statistics stay."""
    random = np.random.default_rng(seed)
    found = {}
    for name, tensor in module.state_dict().items():
        array = tensor.numpy()
        values = random.standard_normal(array.shape, np.float32)
        if name.endswith("num_batches_tracked"):
            continue
        if "anchor" in name:
            values = array.copy()
        elif array.ndim > 1:
            values *= np.sqrt(np.float32(1.5 / np.prod(array.shape[1:])))
        elif name.endswith(("running_var", "weight")):
            values = np.abs(1 + 0.1 * values)
        else:
            values *= 0.1
        found[name] = values
    return found


class Pair(NamedTuple):
    """A network twice: what runs the peer, what runs ours with so many threads, and how far their answers differ."""

    plain: Callable[[], Any]
    ours: Callable[[int], Callable[[], Any]]
    difference: Callable[[Any, Any], float]
    facts: dict[str, Any]


def run(
    rounds: int = 5, threads: tuple[int, ...] = (1, 2), frames: int = 200, side: int = PICTURE
) -> dict[str, Any]:  # fmt: skip
    """Best milliseconds of ours and of the peers, after their answers were found equal, and of the whole command.

    Args:
        frames: of the clip; 0 leaves the command out. side: of the picture of the detector, pixels.

    Raises:
        MissingToolError: torch is not installed. HyoidError: the two do not agree. WeightsError: for the command.
    """
    from hyoid.errors import MissingToolError

    try:
        import torch
    except ImportError as error:
        raise MissingToolError("torch is not installed", hint="Install it: pip install 'hyoid[train]'") from error
    result: dict[str, Any] = {"torch": torch.__version__}
    for label, pair in {"DirectMHP m6": detector(side), "SemiUHPE ResNet-50": estimator()}.items():
        result[label] = side_by_side(pair, rounds, threads, label)
    if frames:
        from hyoid.systems.directmhp import checkpoint as detectors
        from hyoid.systems.semiuhpe import checkpoint as estimators

        detectors.find()  # told here, where the command's own word is not heard
        estimators.find()
        with tempfile.TemporaryDirectory(prefix="hyoid-bench-") as name:
            result["command"] = {system: command(Path(name), frames, system) for system in ("semiuhpe", "directmhp")}
    return result


def detector(side: int = PICTURE) -> Pair:
    """DirectMHP's m6 on a picture of noise: all rows (N, 9), decoded."""
    import _directmhp_peer
    import torch
    from hyoid.systems.directmhp import boxes, checkpoint, infer
    from hyoid.systems.directmhp.config import SIZES

    peer, parameters = _loaded(_directmhp_peer.Network())
    model = checkpoint.Model(SIZES["m6"], parameters)
    picture = np.random.default_rng(1).integers(0, 256, (1, side, side, 3), np.uint8)

    def plain() -> np.ndarray:
        return peer(torch.from_numpy(picture).permute(0, 3, 1, 2).float() / 255)[0].numpy()

    def ours(threads: int) -> Callable[[], np.ndarray]:
        ready = infer.ready(model, threads=threads)

        def decoded() -> np.ndarray:
            outputs = [output[0] for output in ready.run(picture)]
            return boxes.decoded(outputs, model.anchors, model.config.strides)

        return decoded

    def difference(found: np.ndarray, expected: np.ndarray) -> float:
        away = np.abs(found - expected)
        away[:, :4] /= side
        return float(away.max())

    return Pair(plain, ours, difference, {"engine": infer.ready(model).engine, "side": side})


def estimator() -> Pair:
    """SemiUHPE's ResNet-50 on a crop of noise: the parameters (1, 3, 3) of the distribution."""
    import _semiuhpe_peer
    import torch
    from hyoid.systems.semiuhpe import checkpoint, infer
    from hyoid.systems.semiuhpe.config import Config

    peer, parameters = _loaded(_semiuhpe_peer.Network())
    model = checkpoint.Model(Config("resnet50"), parameters)
    crops = np.random.default_rng(1).integers(0, 256, (1, CROP, CROP, 3), np.uint8)
    images = infer.normalised(crops)

    def ours(threads: int) -> Callable[[], np.ndarray]:
        ready = infer.ready(model, threads=threads)
        return lambda: ready.run(images)

    return Pair(
        lambda: peer(torch.from_numpy(images)).numpy(), ours,
        lambda found, expected: float(np.abs(found - expected).max() / np.abs(expected).max()),
        {"engine": infer.ready(model).engine, "side": CROP},
    )  # fmt: skip


def _loaded(peer: Any) -> tuple[Any, dict[str, np.ndarray]]:
    """A peer with drawn parameters, in evaluation mode, and these."""
    import torch

    parameters = drawn(peer, 0)
    peer.load_state_dict({name: torch.from_numpy(array) for name, array in parameters.items()}, strict=False)
    return peer.eval(), parameters


def side_by_side(pair: Pair, rounds: int, threads: tuple[int, ...], label: str) -> dict[str, Any]:
    """The largest difference of the answers, then the best milliseconds by the number of threads.

    Raises:
        HyoidError: the answers differ by more than TOLERANCE.
    """
    import torch
    from hyoid.errors import HyoidError

    before = torch.get_num_threads()
    result: dict[str, Any] = {**pair.facts}
    try:
        with torch.inference_mode():
            for count in threads:
                torch.set_num_threads(count)
                ours = pair.ours(count)
                error = pair.difference(ours(), pair.plain())
                if not error < TOLERANCE:
                    raise HyoidError(f"{label}: the two differ by {error:.2g}", expected=f"at most {TOLERANCE:g}")
                result["largest_difference"] = max(error, result.get("largest_difference", 0.0))
                clock = time.process_time if count == 1 else time.perf_counter
                found = best({"plain": pair.plain, "ours": ours}, rounds, clock)
                ratio = round(found["plain"] / found["ours"], 3)
                result[f"threads_{count}"] = {
                    **{f"{name}_ms": round(value, 1) for name, value in found.items()}, "ratio": ratio,
                    "reached": ratio >= GOAL,
                }  # fmt: skip
    finally:
        torch.set_num_threads(before)
    return result


def clip(path: Path, frames: int) -> int:
    """Write a film whose camera pans over a render of people who were not trained on; how many people there are."""
    from hyoid.media import video
    from hyoid.synthetic import heads

    settings = heads.Settings(held_out=True, width=1280, height=720, people=(6, 10), heads=(40.0, 160.0))
    scene = heads.scene(7, 0, settings=settings)

    def panned() -> Iterator[np.ndarray]:
        width, height = _CLIP
        for frame in range(frames):
            turn = 2 * np.pi * frame / max(frames, 1)
            x = round((1280 - width) * (0.5 - 0.5 * np.cos(turn)))
            y = round((720 - height) * (0.5 - 0.5 * np.cos(2 * turn)))
            yield scene.image[y : y + height, x : x + width]

    video.write(path, panned(), FPS)
    return len(scene.boxes)


def command(folder: Path, frames: int, system: str) -> dict[str, Any]:
    """Seconds, frames a second and peak megabytes of the whole command on the clip."""
    source, target = folder / "clip.mp4", folder / f"{system}.json"
    if not source.is_file():
        clip(source, frames)
    words = [sys.executable, "-m", "hyoid", "headpose", str(source), "-o", str(target), "--system", system]
    begun = time.monotonic()
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        largest = watched(process)
    seconds = time.monotonic() - begun
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, words)
    return {
        "frames": frames, "seconds": round(seconds, 1), "frames_a_second": round(frames / seconds, 1),
        "peak_mb": round(largest),
    }  # fmt: skip


def show(result: dict[str, Any]) -> str:
    """A line for each network and number of threads, and one for the command with each system."""
    lines = []
    for label, part in result.items():
        rows = part if isinstance(part, dict) else {}
        for name, row in rows.items():
            if name.startswith("threads_"):
                verdict = "reached" if row["reached"] else "missed"
                lines.append(
                    f"{label}, {name.removeprefix('threads_')} threads: plain {row['plain_ms']:.1f} ms, ours "
                    f"{row['ours_ms']:.1f} ms, {row['ratio']:.2f} times as fast (goal {GOAL:g}: {verdict})"
                )
        if "largest_difference" in rows:
            told = f"with {rows['engine']}; answers differ by {rows['largest_difference']:.1e} at most"
            lines.append(f"{label} at {rows['side']}, {told}")
    for system, row in result.get("command", {}).items():
        lines.append(
            f"hyoid headpose, {system}: {row['frames']} frames of {_CLIP[0]} x {_CLIP[1]} in {row['seconds']} s, "
            f"{row['frames_a_second']} a second; peak {row['peak_mb']} MB"
        )
    return "\n".join(lines)


def main() -> None:
    """Print the lines, or with ``--json`` the figures."""
    parser = argparse.ArgumentParser(description=SUMMARY)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    told = run(given.rounds, frames=given.frames)
    print(json.dumps(told, indent=1) if given.json else show(told))


if __name__ == "__main__":
    main()
