# SPDX-License-Identifier: Apache-2.0
"""Curves over frames as a list of marks, drawn once as SVG (its colours come from the page) and once with Pillow."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

import numpy as np

from hyoid.media.heat_map import from_lightness, to_bytes

_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 10, 34, 24  # pixels around the plot
_TEXT = 11
_WIDER = 1.12  # letters of a browser's font against those of the sheet
_HUES = (250.0, 55.0, 150.0)  # blue, orange, green: apart for colour-blind eyes, by lightness as well
_STEPS = (1, 2, 5, 10)


@dataclass(frozen=True)
class Line:
    """One curve: ``values`` (F,), NaN where there is none; ``low`` and ``high`` (F,) bound a band around it."""

    label: str
    values: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None


@dataclass(frozen=True)
class Chart:
    """Curves in one frame.

    Attributes:
        title, unit: what it shows and in what, for the heading. lines: at most three.
        log: a logarithmic axis: millimetres before and hundredths of them after stay readable side by side.
        limits: ends of the axis; None fits it to the curves, with zero inside (not for ``log``).
        marked: ranges of frames (first, last) on a tinted ground.
    """

    title: str
    unit: str
    lines: tuple[Line, ...]
    log: bool = False
    limits: tuple[float, float] | None = None
    marked: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Mark:
    """A thing to draw: ``kind`` is ``line``, ``area`` or ``text``; ``points`` (n, 2) pixels; ``role`` names its ink.

    ``anchor`` of a text is ``start``, ``middle`` or ``end``.
    """

    kind: str
    role: str
    points: np.ndarray
    text: str = ""
    anchor: str = "start"


def palette(dark: bool) -> dict[str, str]:
    """The inks of the roles as ``#rrggbb``, for a light or a dark ground."""
    hues = np.array(_HUES)
    lines = from_lightness(np.array([0.72, 0.80, 0.86] if dark else [0.50, 0.60, 0.42]), np.full(3, 0.13), hues)
    greys = {"ink": 0.90, "faint": 0.68, "grid": 0.36, "mark": 0.42} if dark else \
            {"ink": 0.27, "faint": 0.52, "grid": 0.91, "mark": 0.90}  # fmt: skip
    inks = {role: from_lightness(np.array(grey), np.array(0.008), np.array(260.0)) for role, grey in greys.items()}
    inks["mark"] = from_lightness(np.array(greys["mark"]), np.array(0.055), np.array(60.0))
    return {name: hex_of(rgb) for name, rgb in (*inks.items(), *((f"line{i}", rgb) for i, rgb in enumerate(lines)))}


def hex_of(linear: np.ndarray) -> str:
    """``#rrggbb`` of linear RGB (3,)."""
    return "#" + "".join(f"{channel:02x}" for channel in to_bytes(linear))


def marks(chart: Chart, size: tuple[int, int]) -> list[Mark]:
    """Everything that the chart shows, back to front, for ``size`` (width, height) in pixels."""
    width, height = size
    left, right, top, bottom = _LEFT, width - _RIGHT, _TOP, height - _BOTTOM
    frames = max((len(line.values) for line in chart.lines), default=0)
    low, high, ticks = _axis(chart)

    def x_of(frame):
        return left + (np.asarray(frame, float) + 0.5) / max(frames, 1) * (right - left)

    def y_of(value):
        value = np.log10(np.maximum(value, 10**low)) if chart.log else np.asarray(value, float)
        return np.clip(bottom - (value - low) / (high - low) * (bottom - top), top, bottom)

    corners = np.array([[0, top], [1, top], [1, bottom], [0, bottom]], float)
    found = []
    for start, stop in _merged(chart.marked, frames / (right - left)):
        edges = x_of([start - 0.5, stop + 0.5])
        found.append(Mark("area", "mark", np.stack([edges[corners[:, 0].astype(int)], corners[:, 1]], -1)))
    for tick, label in ticks:
        y = float(bottom - (tick - low) / (high - low) * (bottom - top))
        found.append(Mark("line", "grid", np.array([[left, y], [right, y]])))
        found.append(Mark("text", "faint", np.array([[left - 6, y + 4]]), label, "end"))
    found.append(Mark("text", "faint", np.array([[left - 6, height - 8]]), "frame", "end"))
    for frame in _frame_ticks(frames):
        found.append(Mark("text", "faint", np.array([[x_of(frame), height - 8]]), str(frame), "middle"))
    for index, line in enumerate(chart.lines):
        if line.low is not None and line.high is not None:
            found += _band(line, index, x_of, y_of, right - left)
    for index, line in enumerate(chart.lines):
        places, values = _thinned(line.values, int(right - left))
        for run in _runs(values):
            points = np.stack([x_of(places[run]), y_of(values[run])], -1)
            if len(points) == 1:  # a lone frame would be an empty line
                points = points + np.array([[-2.0, 0.0], [2.0, 0.0]])
            found.append(Mark("line", f"line{index}", points))
    return found + _heading(chart, width)


def svg(chart: Chart, size: tuple[int, int] = (460, 190)) -> str:
    """The chart as an ``<svg>`` element; the page colours the classes named after the roles."""
    width, height = size
    parts = [f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(chart.title)}">']
    for mark in marks(chart, size):
        if mark.kind == "text":
            (x, y), anchor = mark.points[0], "" if mark.anchor == "start" else f' text-anchor="{mark.anchor}"'
            parts.append(f'<text class="{mark.role}" x="{x:.1f}" y="{y:.1f}"{anchor}>{escape(mark.text)}</text>')
        else:
            path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in mark.points) + ("Z" if mark.kind == "area" else "")
            parts.append(f'<path class="{mark.kind} {mark.role}" d="{path}"/>')
    return "".join([*parts, "</svg>"])


def draw(image, chart: Chart, place: tuple[int, int], size: tuple[int, int], scale: int, dark: bool = False) -> None:
    """Draw the chart onto an RGB Pillow image at ``place``.

    Args:
        place: the upper left corner. size: as for :func:`svg`. Both are multiplied by ``scale``, the picture's finer
            grid: Pillow's lines have hard edges, so the caller draws large and reduces.
    """
    from PIL import ImageDraw, ImageFont

    inks, corner = palette(dark), np.array(place)
    canvas = ImageDraw.Draw(image, "RGBA")
    font = ImageFont.load_default(_TEXT * scale)
    anchors = {"start": "ls", "middle": "ms", "end": "rs"}
    for mark in marks(chart, size):
        points = [tuple(point) for point in (mark.points + corner) * scale]
        if mark.kind == "text":
            canvas.text(points[0], mark.text, font=font, fill=inks[mark.role], anchor=anchors[mark.anchor])
        elif mark.kind == "area":
            canvas.polygon(points, fill=inks[mark.role] + ("" if mark.role in ("mark", "grid") else "40"))
        else:
            thick = round((0.8 if mark.role == "grid" else 1.6) * scale)
            canvas.line(points, fill=inks[mark.role], width=thick, joint="curve")


def _heading(chart: Chart, width: int) -> list[Mark]:
    """Title and unit at the left, the legend at the right; widths of words come from the sheet's font."""
    from PIL import ImageFont

    font = ImageFont.load_default(10 * _TEXT)  # large: small sizes are measured in whole pixels
    found = [Mark("text", "ink", np.array([[8.0, 18.0]]), f"{chart.title}  ({chart.unit})")]
    x = float(width - _RIGHT)
    for index in reversed(range(len(chart.lines))):
        label = chart.lines[index].label
        if not label:
            continue
        found.append(Mark("text", "faint", np.array([[x, 18.0]]), label, "end"))
        x -= font.getlength(label) / 10 * _WIDER + 7
        found.append(Mark("line", f"line{index}", np.array([[x - 14, 14.0], [x, 14.0]])))
        x -= 30
    return found


def _axis(chart: Chart) -> tuple[float, float, list[tuple[float, str]]]:
    """Ends of the axis (exponents of ten if it is logarithmic) and its ticks with their labels."""
    columns = [part for line in chart.lines for part in (line.values, line.low, line.high) if part is not None]
    known = np.concatenate([np.asarray(part, float) for part in columns]) if columns else np.zeros(0)
    known = known[np.isfinite(known)]
    if chart.log:
        known = known[known > 0]
        # A single perfect frame must not stretch the axis over ten empty decades.
        low = np.floor(np.log10(max(float(np.quantile(known, 0.02)), 1e-3))) if len(known) else -1.0
        high = np.ceil(np.log10(float(known.max())) - 1e-9) if len(known) else 1.0
        high = max(high, low + 1)
        exponents = np.arange(low, high + 1)
        return float(low), float(high), [(float(e), f"{10.0**e:g}") for e in exponents]
    low, high = chart.limits or (min(float(known.min(initial=0)), 0.0), max(float(known.max(initial=0)), 0.0))
    if high - low < 1e-9:
        high = low + 1.0
    step = _step((high - low) / 4)
    if chart.limits is None:
        low, high = np.floor(low / step + 1e-9) * step, np.ceil(high / step - 1e-9) * step
    values = np.arange(np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9) + 1) * step
    return float(low), float(high), [(float(value), f"{value + 0.0:.6g}") for value in values]


def _step(rough: float) -> float:
    decade = 10.0 ** np.floor(np.log10(rough))
    return float(next(step * decade for step in _STEPS if step * decade >= rough * (1 - 1e-9)))


def _frame_ticks(frames: int) -> list[int]:
    step = max(1, round(_step(max(frames - 1, 1) / 7)))
    return list(range(0, frames, step))


def _thinned(values: np.ndarray, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Frames and values to draw: all, or the lowest and the highest of each column where frames are too many."""
    values = np.asarray(values, float)
    count = len(values)
    if count <= 2 * columns:
        return np.arange(count), values
    chosen: list[int] = []
    for start, stop in _slices(count, columns):
        part = values[start:stop]
        if np.isfinite(part).any():
            chosen += sorted({start + int(np.nanargmin(part)), start + int(np.nanargmax(part))})
        else:
            chosen.append(start)
    return np.array(chosen), values[chosen]


def _merged(ranges: tuple[tuple[int, int], ...], gap: float) -> list[tuple[int, int]]:
    """Ranges (first, last) of frames, with those closer than a pixel in one."""
    found: list[tuple[int, int]] = []
    for first, last in ranges:
        if found and first - found[-1][1] - 1 < gap:
            found[-1] = (found[-1][0], last)
        else:
            found.append((first, last))
    return found


def _slices(count: int, columns: int) -> list[tuple[int, int]]:
    edges = np.linspace(0, count, columns + 1).astype(int)
    return list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))


def _runs(values: np.ndarray) -> list[slice]:
    """The stretches without NaN."""
    known = np.concatenate([[False], np.isfinite(values), [False]])
    edges = np.flatnonzero(known[1:] != known[:-1])
    return [slice(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]


def _band(line: Line, index: int, x_of, y_of, columns: int) -> list[Mark]:
    low, high = np.asarray(line.low, float), np.asarray(line.high, float)
    places = np.arange(len(low))
    if len(low) > 2 * columns:
        spans = _slices(len(low), columns)
        places = np.array([start for start, _ in spans])
        low = np.array([np.fmin.reduce(low[start:stop]) for start, stop in spans])
        high = np.array([np.fmax.reduce(high[start:stop]) for start, stop in spans])
    found = []
    for run in _runs(low + high):
        if run.stop - run.start > 1:
            there = np.stack([x_of(places[run]), y_of(high[run])], -1)
            back = np.stack([x_of(places[run]), y_of(low[run])], -1)[::-1]
            found.append(Mark("area", f"line{index}", np.concatenate([there, back])))
    return found
