# SPDX-License-Identifier: Apache-2.0
"""Does the mouth of ``hyoid talk`` move as the speaker's did? Against face curves measured from the speaker's video.

Two peers are measured in the same run: the usual table of jaw openings by phone, smoothed, and loudness alone.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from hyoid.errors import InputError
from hyoid.media import audio as media_audio
from hyoid.report import SILENT, Report
from hyoid.speech import events as event_track
from hyoid.speech import prosody, solve
from hyoid.take import Event, Take

SUMMARY = "mouth curves against curves measured from a speaker's video; bilabials closed at every rate"
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "speech"
RATES = (24, 25, 30, 50, 60)
LAG_FRAMES = 3

# jawOpen by phone as published tables for lip sync have it: one number a mouth shape, nothing else.
TABLE = {
    **dict.fromkeys(["P", "B", "M"], 0.05), **dict.fromkeys(["F", "V"], 0.06), **dict.fromkeys(["TH", "DH"], 0.14),
    **dict.fromkeys(["T", "D", "N", "L"], 0.12), **dict.fromkeys(["S", "Z"], 0.03),
    **dict.fromkeys(["SH", "ZH", "CH", "JH"], 0.05), **dict.fromkeys(["K", "G", "NG", "HH"], 0.15),
    **dict.fromkeys(["R", "ER"], 0.12), **dict.fromkeys(["W", "UW", "UH"], 0.12), "OW": 0.25,
    **dict.fromkeys(["IY", "IH", "Y"], 0.1), "EY": 0.2, **dict.fromkeys(["EH", "AE"], 0.3),
    **dict.fromkeys(["AA", "AH"], 0.5), "AY": 0.3, "AW": 0.3, "AO": 0.38, "OY": 0.25, "SIL": 0.0,
}  # fmt: skip


def _mean(curves: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    return (curves[name + "Left"] + curves[name + "Right"]) / 2


def channels(curves: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What is compared, by one definition on both sides.

    ``jaw``: jawOpen. ``closure``: everything that brings the lips together minus everything that parts them.
    ``pucker``: everything that rounds the lips.
    """
    together = curves["mouthClose"] + curves["mouthRollLower"] + curves["mouthRollUpper"] + _mean(curves, "mouthPress")
    apart = curves["jawOpen"] + _mean(curves, "mouthLowerDown") + _mean(curves, "mouthUpperUp")
    return {
        "jaw": curves["jawOpen"],
        "closure": together - apart,
        "pucker": curves["mouthPucker"] + curves["mouthFunnel"],
    }


def best_correlation(ours: np.ndarray, theirs: np.ndarray) -> tuple[float, int]:
    """Pearson's r at the best lag within three frames, and that lag (positive: ours comes later)."""
    best = (-2.0, 0)
    for lag in range(-LAG_FRAMES, LAG_FRAMES + 1):
        a = ours[max(lag, 0) : len(ours) + min(lag, 0)]
        b = theirs[max(-lag, 0) : len(theirs) - max(lag, 0)]
        r = float(np.corrcoef(a, b)[0, 1]) if a.std() > 1e-9 and b.std() > 1e-9 else 0.0
        best = max(best, (r, lag))
    return best


def load_curves(path: Path) -> tuple[dict[str, np.ndarray], float]:
    """Measured curves by name, and their rate.

    Raises:
        InputError: not an .npz with ``weights`` (frames, n), ``names`` (n,) and ``fps``.
    """
    expected = "an .npz with weights (frames, n), names (n,) and fps"
    try:
        with np.load(path, allow_pickle=False) as data:
            weights, names, fps = (
                np.asarray(data["weights"], np.float64),
                [str(n) for n in data["names"]],
                float(data["fps"]),
            )
    except (OSError, KeyError, ValueError) as error:
        raise InputError("cannot be used as curves", path=path, expected=expected) from error
    if weights.ndim != 2 or weights.shape[1] != len(names) or not np.isfinite(weights).all() or not 5 <= fps <= 240:
        raise InputError(
            f"has weights {weights.shape} and {len(names)} names at {fps:g} fps", path=path, expected=expected
        )
    needed = {"jawOpen", "mouthClose", "mouthPucker", "mouthFunnel", "mouthRollLower", "mouthRollUpper"}
    missing = needed - set(names)
    if missing:
        raise InputError(f"has no curve '{sorted(missing)[0]}'", path=path, expected=expected)
    return {name: weights[:, column] for column, name in enumerate(names)}, fps


def closed_bilabials(take: Take) -> float:
    """Share of P, B and M phones with a frame, in them or up to 60 ms before, that leaves no gap between the lips."""
    curves = {name: take.curve(name) for name in take.curve_names}
    parting = np.stack([
        curves["jawOpen"] - curves["mouthClose"], _mean(curves, "mouthLowerDown"), _mean(curves, "mouthUpperUp"),
        curves["mouthFunnel"],
    ])  # fmt: skip
    closed = (parting < 0.02).all(0)
    times = np.arange(take.frames) / take.fps
    phones = [event for event in take.events if event.kind == "phone" and event.name in "PBM"]
    slack = 0.5 / take.fps
    hits = [closed[(times >= p.start - 0.06 - slack) & (times <= p.end + slack)].any() for p in phones]
    return float(np.mean(hits)) if hits else 1.0


def _table(events: tuple[Event, ...], times: np.ndarray, spread: float) -> np.ndarray:
    grid = np.arange(0, times[-1] + 1, 0.01)
    track = np.zeros(len(grid), np.float32)
    for event in events:
        if event.kind == "phone":
            track[(grid >= event.start) & (grid < event.end)] = TABLE[event.name]
    return np.interp(times, grid, prosody.smooth(track, spread))


def _at(take: Take, times: np.ndarray) -> dict[str, np.ndarray]:
    own = np.arange(take.frames) / take.fps
    return {name: np.interp(times, own, take.curve(name)) for name in take.curve_names}


def run(
    audio: Path | None = None, curves: Path | None = None, text: str | None = None, report: Report = SILENT
) -> dict[str, Any]:
    """Measure; without arguments on the shared clip, which no parameter was fitted to."""
    audio = Path(audio) if audio else SHARED / "talking_portrait.wav"
    curves = Path(curves) if curves else SHARED / "talking_portrait.face.npz"
    measured, fps = load_curves(curves)
    nearest = min(RATES, key=lambda rate: (abs(rate - fps) > 0.5, abs(rate - fps) if abs(rate - fps) <= 0.5 else -rate))
    take = solve(audio, text=text, fps=nearest, report=report.stage(0, 0.8))
    count = min(len(measured["jawOpen"]), int(take.seconds * fps))
    times = np.arange(count) / fps
    ours, theirs = channels(_at(take, times)), channels({k: v[:count] for k, v in measured.items()})
    result: dict[str, Any] = {"audio": audio.name, "timing": take.mode, "seconds": round(take.seconds, 2), "fps": fps}
    for name in ours:
        r, lag = best_correlation(ours[name], theirs[name])
        result[name] = {"correlation": round(r, 3), "lag_frames": lag}
    with media_audio.recording(audio) as sound:
        voice = prosody.measure(sound.samples)
    loudness = np.interp(times, voice.times, prosody.smooth(voice.loudness, 0.04))
    amplitude = np.interp(times, voice.times, prosody.smooth(10 ** (voice.loudness / 20), 0.04))
    peers = {f"phone table, smoothed {ms} ms": _table(take.events, times, ms / 1000) for ms in (30, 40, 50)}
    peers |= {"loudness, dB": loudness, "loudness, amplitude": amplitude}
    result["jaw_peers"] = {name: round(best_correlation(track, theirs["jaw"])[0], 3) for name, track in peers.items()}
    best = max(result["jaw_peers"].values())
    result["jaw_against_best_peer"] = round(result["jaw"]["correlation"] / best, 3) if best > 0 else None
    with tempfile.TemporaryDirectory() as folder:
        track = Path(folder) / "events.csv"
        event_track.write(track, take.events)
        result["bilabials_closed"] = {
            f"{rate} fps": closed_bilabials(solve(audio, fps=rate, events=track)) for rate in RATES
        }  # fmt: skip
    result["bilabials"] = sum(event.kind == "phone" and event.name in "PBM" for event in take.events)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=SUMMARY)
    parser.add_argument("--audio", type=Path)
    parser.add_argument("--curves", type=Path)
    parser.add_argument("--text")
    options = parser.parse_args()
    print(json.dumps(run(options.audio, options.curves, options.text), indent=1))


if __name__ == "__main__":
    main()
