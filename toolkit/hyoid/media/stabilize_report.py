# SPDX-License-Identifier: Apache-2.0
"""The report of a stabilisation: page to read, sheet to look at, record for machines. Equal facts, equal bytes."""

from __future__ import annotations

import io
import json
import textwrap
from pathlib import Path

import numpy as np

from hyoid import licences
from hyoid.files import write_bytes
from hyoid.media import charts, heat_map
from hyoid.media.charts import palette
from hyoid.media.stabilize_facts import (
    FrameMeshes,
    Numbers,
    ReportFacts,
    Verdict,
    check,
    choose_worst,
    document,
    figure,
    numbers,
    verdict,
)  # fmt: skip
from hyoid.media.stabilize_pictures import Tile, overview, pairs
from hyoid.media.stabilize_pictures import charts as curves

__all__ = ["FrameMeshes", "ReportFacts", "choose_worst", "write_html", "write_json", "write_png"]

_WIDTH, _MARGIN, _GAP = 1600, 28, 16
_ROOM = _WIDTH - 2 * _MARGIN
_PAPER = (255, 255, 255)
_TILE, _CAPTION = (374, 400), 26
_CHART, _FINE = (509, 180), 3  # drawn three times as large, then halved
_ROW, _NAME_ROOM, _COLUMN = 28, 640, 180
_MOST_ROWS = 40
_LONGEST = 400  # letters of a line


def write_html(path: str | Path, facts: ReportFacts) -> None:
    """Write the report as one HTML file that opens offline, in light and dark, and prints.

    Raises:
        OutputError: the file cannot be written.
    """
    from hyoid.media.stabilize_page import page

    check(facts)
    # A file name that is not Unicode arrives with lone surrogates, which no page can hold.
    write_bytes(Path(path), page(facts).encode("utf-8", "backslashreplace"))


def write_json(path: str | Path, facts: ReportFacts) -> None:
    """Write the numbers of the report for machines: every frame, no meshes.

    Raises:
        OutputError: the file cannot be written.
    """
    text = json.dumps(document(facts), indent=1, sort_keys=True, allow_nan=False)
    write_bytes(Path(path), text.encode() + b"\n")


def write_png(path: str | Path, facts: ReportFacts) -> None:
    """Write a contact sheet: verdict, heat maps, worst frames before and after, and the curves or a table of meshes.

    Raises:
        OutputError: the file cannot be written.
    """
    check(facts)
    stream = io.BytesIO()
    _sheet(facts).save(stream, format="PNG")
    write_bytes(Path(path), stream.getvalue())


def _sheet(facts: ReportFacts):
    from PIL import Image

    found = numbers(facts)
    told = verdict(facts, found)
    rows = [*_tile_rows(facts, found), *(_chart_rows(facts, found) if facts.ordered else _table_rows(facts, found))]
    heading = _heading(facts, told)
    footer = _lettering([(licences.sentence(licences.verdict(facts.provenance.sources)), 17, "faint")])
    strips = [heading, *rows, footer]
    height = 2 * _MARGIN + sum(strip.height for strip in strips) + _GAP * (len(strips) - 1)
    sheet = Image.new("RGB", (_WIDTH, height), _PAPER)
    top = _MARGIN
    for strip in strips:
        sheet.paste(strip, (_MARGIN, top))
        top += strip.height + _GAP
    return sheet


def _heading(facts: ReportFacts, told: Verdict):
    count = f"{facts.frames} {'frames' if facts.ordered else 'meshes'} of {len(facts.target)} vertices"
    about = [count, facts.method, f"target: {facts.target_name}" if facts.target_name else "", facts.unit]
    words = [(line, 22, "ink") for line in textwrap.wrap(told.sentence, 120)]
    return _lettering(
        [(f"Stabilised: {facts.source}", 32, "ink"), *words, ("   |   ".join(filter(None, about)), 17, "faint")]
    )


def _lettering(lines: list[tuple[str, int, str]]):
    """A strip of lines of text: (text, size, ink); what is too long for the sheet is cut."""
    from PIL import Image, ImageDraw

    strip = Image.new("RGB", (_ROOM, sum(round(1.5 * size) for _, size, _ in lines)), _PAPER)
    draw, top = ImageDraw.Draw(strip), 0
    for text, size, ink in lines:
        _write(draw, (0, top), text, size, ink, _ROOM)
        top += round(1.5 * size)
    return strip


def _write(draw, place: tuple[float, float], text: str, size: int, ink: str, room: float) -> None:
    from PIL import ImageFont

    font = ImageFont.load_default(size)
    text = "".join(letter if letter.isprintable() else "?" for letter in text)[:_LONGEST]
    if font.getlength(text) > room:
        while text and font.getlength(text + "...") > room:
            text = text[:-1]
        text += "..."
    draw.text(place, text, font=font, fill=palette(False)[ink])


def _tile_rows(facts: ReportFacts, found: Numbers) -> list:
    """Strips of four heat maps: the overview, then two frames before and after in each."""
    aspect = _TILE[0] / _TILE[1]
    tiles = [(tile, f"{tile.title}, {tile.view}") for tile in overview(facts, aspect)]
    for pair in pairs(facts, found, aspect):
        tiles += [(tile, f"{pair.title}, {tile.title}") for tile in (pair.before, pair.after)]
    return [_strip([_captioned(*entry) for entry in tiles[start : start + 4]]) for start in range(0, len(tiles), 4)]


def _captioned(tile: Tile, caption: str):
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (_TILE[0], _TILE[1] + _CAPTION), _PAPER)
    drawn = heat_map.render(
        tile.vertices, tile.faces, tile.values, limits=tile.limits, size=_TILE, view=tile.view, framing=tile.framing,
        unit=tile.unit, background=_PAPER,
    )  # fmt: skip
    image.paste(Image.fromarray(drawn), (0, _CAPTION))
    _write(ImageDraw.Draw(image), (0, 0), caption, 16, "ink", _TILE[0])
    return image


def _chart_rows(facts: ReportFacts, found: Numbers) -> list:
    from PIL import Image

    shown, drawn = curves(facts, found), []
    for index, chart in enumerate(shown):
        alone = index == len(shown) - 1 and index % 2 == 0
        size = (_ROOM * 2 // _FINE, _CHART[1] * 3 // 4) if alone else _CHART
        fine = Image.new("RGB", (size[0] * _FINE, size[1] * _FINE), _PAPER)
        charts.draw(fine, chart, (0, 0), size, _FINE)
        drawn.append(fine.reduce(2))
    return [_strip(drawn[start : start + 2]) for start in range(0, len(drawn), 2)]


def _strip(images: list):
    """Pictures of one size side by side."""
    from PIL import Image

    strip = Image.new("RGB", (_ROOM, images[0].height), _PAPER)
    for index, image in enumerate(images):
        strip.paste(image, (index * (image.width + _GAP), 0))
    return strip


def _table_rows(facts: ReportFacts, found: Numbers) -> list:
    """The first meshes of a set, a line each."""
    from PIL import Image, ImageDraw

    far = np.sqrt(np.square(found.moved_mm).sum(1))
    heads = ("mesh", "rotation", "translation", "residual, median", "residual, 95 %", "confidence")
    lines: list[tuple[str, ...]] = [heads]
    lines += [
        (
            facts.names[index] + (" (uncertain)" if index in facts.uncertain else ""),
            figure(found.angle[index], "°"), figure(far[index]), figure(facts.residual_median_mm[index]),
            figure(facts.residual_percentile_95_mm[index]), figure(facts.confidence[index], ""),
        )
        for index in range(min(facts.frames, _MOST_ROWS))
    ]  # fmt: skip
    if facts.frames > _MOST_ROWS:
        lines.append((f"and {facts.frames - _MOST_ROWS} more", *[""] * 5))
    strip = Image.new("RGB", (_ROOM, len(lines) * _ROW), _PAPER)
    draw = ImageDraw.Draw(strip)
    for row, texts in enumerate(lines):
        for column, text in enumerate(texts):
            left = 0 if column == 0 else _NAME_ROOM + (column - 1) * _COLUMN
            room = (_NAME_ROOM if column == 0 else _COLUMN) - _GAP
            _write(draw, (left, row * _ROW), text, 17, "ink" if row else "faint", room)
    return [strip]
