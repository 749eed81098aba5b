# SPDX-License-Identifier: Apache-2.0
"""The report of a stabilisation as one HTML page that needs nothing else: no scripts, no fonts, no network."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

import numpy as np

from hyoid import licences
from hyoid.media import charts, heat_map
from hyoid.media.charts import hex_of, palette
from hyoid.media.heat_map import from_lightness
from hyoid.media.stabilize_facts import CHECK, GOOD, POOR, Numbers, ReportFacts, figure, largest, numbers, runs, verdict
from hyoid.media.stabilize_pictures import Pair, Tile, frame_word, overview, pairs
from hyoid.media.stabilize_pictures import charts as curves

GRADES = {GOOD: "Good", CHECK: "Have a look", POOR: "Not usable yet"}
_GRADE_HUES = {GOOD: 150.0, CHECK: 75.0, POOR: 30.0}
_MOST_ROWS = 300  # of a table; the JSON has all
_PICTURE = (320, 380)  # shown smaller: sharp on fine screens and on paper


def page(facts: ReportFacts) -> str:
    """The whole page."""
    found = numbers(facts)
    told = verdict(facts, found)
    body = [
        f"<h1>{escape(_title(facts))}</h1>",
        f'<div class="verdict {told.grade}"><b>{GRADES[told.grade]}</b><p>{escape(told.sentence)}</p></div>',
        _facts(facts, found), _heat_maps(facts), _curves(facts, found) if facts.ordered else _meshes(facts, found),
        _worst(facts, pairs(facts, found, _PICTURE[0] / _PICTURE[1])), _uncertain(facts), _provenance(facts),
    ]  # fmt: skip
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(_title(facts))}</title>\n<style>\n{_style(told.grade)}</style></head>\n<body><main>\n"
        + "\n".join(part for part in body if part)
        + "\n</main></body></html>\n"
    )


def _title(facts: ReportFacts) -> str:
    return f"Stabilised: {facts.source}"


def _style(grade: str) -> str:
    """The sheet of styles with its colours: dark by the reader's choice, always light on paper."""
    grounds = {False: ("#f6f7f8", "#ffffff", 0.55), True: ("#16181c", "#1e2126", 0.78)}
    blocks = []
    for dark, (ground, card, lightness) in grounds.items():
        inks = {"page": ground, "card": card, **palette(dark)}
        hue = np.array(_GRADE_HUES[grade])
        inks["grade"] = hex_of(from_lightness(np.array(lightness), np.array(0.13), hue))
        blocks.append(":root { " + " ".join(f"--{name}: {value};" for name, value in inks.items()) + " }")
    stops = ", ".join("#" + bytes(rgb).hex() for rgb in heat_map.colour_bytes(np.linspace(0, 1, 17)))
    light, dark = blocks
    return (
        f":root {{ --map: linear-gradient(to right, {stops}); }}\n{light}\n"
        f"@media screen and (prefers-color-scheme: dark) {{ {dark} }}\n"
        + Path(__file__).with_suffix(".css").read_text(encoding="utf-8")
    )


def _facts(facts: ReportFacts, found: Numbers) -> str:
    count = f"{facts.frames} frames" if facts.ordered else f"{facts.frames} meshes, in no order of time"
    if facts.ordered and facts.fps:
        count += f", {facts.frames / facts.fps:.2f} s at {facts.fps:g} frames a second"
    mapped = facts.topology
    if facts.map_error_mm is not None:
        middle, most = facts.map_error_mm
        mapped += f"{'; ' if mapped else ''}fits within {middle:.2f} mm (median), {most:.2f} mm (95 %)"
    low, high = found.degrees.min(0), found.degrees.max(0)
    words = ("nod", "turn", "tilt")
    ranges = [f"{word} {a:.1f}° to {b:.1f}°" for word, a, b in zip(words, low, high, strict=True)]
    far = np.sqrt(np.square(found.moved_mm).sum(1))
    rows = [
        ("What", f"{facts.source}: {count}, {len(facts.target)} vertices each"), ("Method", facts.method),
        ("Target", facts.target_name), ("Unit found", facts.unit), ("Topology map", mapped),
        ("Head motion taken out", f"{', '.join(ranges)}; up to {figure(far.max(), digits=1)}"),
        *(("Remark", remark) for remark in facts.remarks),
    ]  # fmt: skip
    told = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in rows if text)
    return f"<dl>{told}</dl>"


def _heat_maps(facts: ReportFacts) -> str:
    tiles = overview(facts, _PICTURE[0] / _PICTURE[1])
    heading = "<h2>Where the face moves</h2>"
    if not tiles:
        return heading + '<p class="quiet">The files hold points without faces: there is no surface to draw.</p>'
    text = (
        "How far each point of the stabilised meshes lies from the target, on average. Lips, lids and cheeks may glow: "
        "that is the expression. Forehead, nose bridge and scalp should be dark. Grey points were not looked at."
    )
    return f'{heading}<p class="quiet">{text}</p><div class="maps">{"".join(map(_figure, tiles))}</div>'


def _curves(facts: ReportFacts, found: Numbers) -> str:
    notes = "The head motion that was taken out, and how well the rest fits. Tinted frames are uncertain."
    if found.after is not None:
        notes += " The drift follows the points that move most like the skull: line = mean, band = 80 % of the points."
    shown = curves(facts, found)
    drawn = "".join(f"<figure>{charts.svg(chart)}</figure>" for chart in shown[: len(shown) // 2 * 2])
    if len(shown) % 2:
        drawn += f'<figure class="wide">{charts.svg(shown[-1], (944, 150))}</figure>'
    return f'<h2>Curves</h2><p class="quiet">{notes}</p><div class="grid">{drawn}</div>'


def _meshes(facts: ReportFacts, found: Numbers) -> str:
    drift = found.after is not None and found.before is not None
    heads = ["Mesh", "Rotation", "Translation", "Residual, median", "Residual, 95 %", "Confidence"]
    heads += ["Skull drift before", "Skull drift after"] if drift else []
    far = np.sqrt(np.square(found.moved_mm).sum(1))
    rows, marked = [], []
    for index, name in enumerate(facts.names[:_MOST_ROWS]):
        row = [
            name, figure(found.angle[index], "°"), figure(far[index]), figure(facts.residual_median_mm[index]),
            figure(facts.residual_percentile_95_mm[index]), figure(facts.confidence[index], ""),
        ]  # fmt: skip
        if found.after is not None and found.before is not None:
            row += [figure(found.before.mean[index]), figure(found.after.mean[index])]
        rows.append(row)
        marked.append(index in facts.uncertain)
    return "<h2>Meshes</h2>" + _table(heads, rows, range(1, len(heads)), marked) + _rest(facts.frames)


def _worst(facts: ReportFacts, shown: Sequence[Pair]) -> str:
    if not shown:
        return ""
    parts = [
        f'<div class="pair"><h3>{escape(pair.title)}</h3><p class="quiet">{escape(pair.note)}</p>'
        f'<div class="maps">{_figure(pair.before)}{_figure(pair.after)}</div></div>'
        for pair in shown
    ]
    text = (
        "Before and after; colours tell the distance to the target, each scale its own. An open mouth may glow: what "
        "counts is that forehead, nose bridge and scalp are dark after stabilising."
    )
    title = f"Largest residuals: {'frames' if facts.ordered else 'meshes'} to look at"
    return f'<h2>{title}</h2><p class="quiet">{text}</p><div class="pairs">{"".join(parts)}</div>'


def _uncertain(facts: ReportFacts) -> str:
    if not facts.uncertain:
        return ""
    ranges = _alike(facts)
    rows = []
    for first, last in ranges[:_MOST_ROWS]:
        part = slice(first, last + 1)
        name = frame_word(facts, first)
        if first != last:
            name = f"frames {first}-{last} ({facts.names[first]} to {facts.names[last]})"
        residuals = (facts.residual_median_mm[part], facts.residual_percentile_95_mm[part])
        lowest = -largest(-facts.confidence[part], np.nan)
        rows.append(
            [name, facts.uncertain[first], figure(lowest, ""), *(figure(largest(r, np.nan)) for r in residuals)]
        )
    things = "frames" if facts.ordered else "meshes"
    heads = [things.capitalize(), "Why", "Lowest confidence", "Residual, median up to", "95 % up to"]
    return f"<h2>Uncertain {things}</h2>{_table(heads, rows, range(2, 5))}{_rest(len(ranges))}"


def _alike(facts: ReportFacts) -> list[tuple[int, int]]:
    """Runs (first, last) of uncertain frames with one reason; each mesh of a set for itself."""
    if not facts.ordered:
        return [(index, index) for index in sorted(facts.uncertain)]
    reasons = sorted(set(facts.uncertain.values()))
    found = [runs(i for i, reason in facts.uncertain.items() if reason == each) for each in reasons]
    return sorted(run for part in found for run in part)


def _provenance(facts: ReportFacts) -> str:
    made, rights = facts.provenance, licences.verdict(facts.provenance.sources)
    rows = [[source.role, source.name, source.licence or "not stated", source.sha256[:16]] for source in made.sources]
    table = _table(["What", "Name", "Licence", "SHA-256"], rows, ())
    settings = ", ".join(f"{name} = {value}" for name, value in sorted(made.settings.items()))
    line = f"Hyoid {made.version}, {made.verb}" + (f"; {settings}" if settings else "")
    sentence = licences.sentence(rights)
    return (
        f"<h2>Provenance and licence</h2><p>{escape(sentence[:1].upper() + sentence[1:])}.</p>"
        f'{table if rows else ""}<p class="quiet" style="margin-top:12px">{escape(line)}</p>'
    )


def _figure(tile: Tile) -> str:
    drawn = heat_map.picture(
        tile.vertices, tile.faces, tile.values, limits=tile.limits, size=_PICTURE, view=tile.view, framing=tile.framing
    )
    low, high = tile.ends
    words = f"{tile.title}, {tile.view}, {low} to {high}"
    return (
        f"<figure><figcaption><span>{escape(tile.title)}</span><span>{tile.view}</span></figcaption>"
        f'<img alt="{escape(words)}" width="{_PICTURE[0]}" height="{_PICTURE[1]}" src="{_inline(drawn)}">'
        f'<div class="scale"><span>{low}</span><i></i><span>{high}</span></div></figure>'
    )


def _inline(picture: np.ndarray) -> str:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def _table(
    heads: Sequence[str], rows: Iterable[Sequence[str]], numeric: Iterable[int], marked: Sequence[bool] | None = None
) -> str:
    right = set(numeric)

    def cells(kind: str, texts: Sequence[str]) -> str:
        inks = [' class="number"' if column in right else "" for column in range(len(texts))]
        return "".join(f"<{kind}{ink}>{escape(text)}</{kind}>" for ink, text in zip(inks, texts, strict=True))

    body = [
        f"<tr{' class=uncertain' if marked and marked[number] else ''}>{cells('td', row)}</tr>"
        for number, row in enumerate(rows)
    ]
    head = cells("th", heads)
    return f'<div class="table"><table><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table></div>'


def _rest(count: int) -> str:
    more = count - _MOST_ROWS
    return f'<p class="quiet">And {more} more: the JSON report lists all.</p>' if more > 0 else ""
