# SPDX-License-Identifier: Apache-2.0
"""Curves: values stand where the axis says, gaps stay gaps, peaks survive long takes, SVG is well-formed."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest
from hyoid.media import charts
from hyoid.media.charts import Chart, Line

SIZE = (460, 190)


def of_role(chart: Chart, kind: str, role: str) -> list[charts.Mark]:
    return [mark for mark in charts.marks(chart, SIZE) if (mark.kind, mark.role) == (kind, role)]


def curve(chart: Chart, index: int = 0) -> list[charts.Mark]:
    """The strokes of one curve, without its stroke in the legend."""
    return [mark for mark in of_role(chart, "line", f"line{index}") if mark.points[:, 1].max() > 20]


def height_of(chart: Chart, label: str) -> float:
    """The y of the rule beside a number of the axis."""
    marks = charts.marks(chart, SIZE)
    return next(float(marks[i - 1].points[0, 1]) for i, mark in enumerate(marks)
                if mark.text == label and mark.anchor == "end")  # fmt: skip


def test_values_stand_at_the_height_of_their_number():
    chart = Chart("a", "mm", (Line("", np.array([0.0, 20.0, 40.0, 10.0])),))
    (stroke,) = curve(chart)
    assert stroke.points[1, 1] == pytest.approx(height_of(chart, "20"))
    assert stroke.points[2, 1] == pytest.approx(height_of(chart, "40"))
    assert (np.diff(stroke.points[:, 0]) > 0).all()


def test_a_logarithmic_axis_shows_hundredths_and_tens_of_millimetres_together():
    after, before = np.full(5, 0.05), np.full(5, 40.0)
    chart = Chart("drift", "mm", (Line("after", after), Line("before", before)), log=True)
    low, high = (curve(chart, index)[0].points[0, 1] for index in (0, 1))
    assert low - high > 80  # pixels of the 132 of the plot
    assert height_of(chart, "0.1") < low < height_of(chart, "0.01")
    assert height_of(chart, "100") < high < height_of(chart, "10")


def test_zeros_do_not_break_a_logarithmic_axis():
    chart = Chart("drift", "mm", (Line("", np.array([0.0, 0.1, 0.2])),), log=True)
    assert np.isfinite(curve(chart)[0].points).all()
    assert charts.svg(Chart("drift", "mm", (Line("", np.zeros(3)),), log=True)).count("<path") > 1


def test_frames_without_a_value_leave_a_gap_and_a_lone_frame_is_seen():
    chart = Chart("a", "mm", (Line("", np.array([1.0, 2.0, np.nan, 3.0, np.nan])),))
    first, second = curve(chart)
    assert len(first.points) == 2
    assert np.ptp(second.points[:, 0]) > 1


def test_a_single_frame_makes_a_chart():
    assert len(curve(Chart("a", "mm", (Line("", np.array([2.0])),)))) == 1


def test_long_takes_keep_their_peaks_in_few_points():
    values = np.zeros(20_000)
    values[12_345] = 7.0
    chart = Chart("a", "mm", (Line("", values, values - 1, values + 1),))
    (stroke,) = curve(chart)
    assert len(stroke.points) < 1000
    assert stroke.points[:, 1].min() == pytest.approx(
        height_of(chart, "0") - 7 / 5 * (height_of(chart, "0") - height_of(chart, "5"))
    )
    (band,) = of_role(chart, "area", "line0")
    assert band.points[:, 1].min() < stroke.points[:, 1].min()


def test_marked_frames_stand_behind_their_part_of_the_curve():
    chart = Chart("a", "mm", (Line("", np.arange(100.0)),), marked=((40, 44), (60, 60)))
    boxes = of_role(chart, "area", "mark")
    (stroke,) = curve(chart)
    x = stroke.points[:, 0]
    inside = [np.flatnonzero((x > box.points[:, 0].min()) & (x < box.points[:, 0].max())).tolist() for box in boxes]
    assert inside == [[40, 41, 42, 43, 44], [60]]
    assert charts.marks(chart, SIZE)[0].role == "mark"  # drawn first


def test_thousands_of_marked_frames_do_not_swell_the_page():
    marked = tuple((frame, frame) for frame in range(0, 10_000, 2))
    chart = Chart("a", "mm", (Line("", np.zeros(10_000)),), marked=marked)
    assert len(of_role(chart, "area", "mark")) < SIZE[0]


def test_svg_is_well_formed_whatever_the_labels():
    chart = Chart("<a & b>", '"mm"', (Line("x < y", np.arange(4.0), np.zeros(4), np.ones(4) * 5),))
    root = ElementTree.fromstring(charts.svg(chart))
    assert any((element.text or "").startswith("<a & b>") for element in root.iter("text"))


def test_pillow_draws_the_curve_in_its_ink():
    from PIL import Image

    image = Image.new("RGB", (SIZE[0] * 2, SIZE[1] * 2), "white")
    charts.draw(image, Chart("a", "mm", (Line("", np.zeros(10)), Line("", np.ones(10)))), (0, 0), SIZE, 2)
    inks = {"#" + bytes(pixel).hex() for pixel in np.unique(np.asarray(image).reshape(-1, 3), axis=0)}
    assert {charts.palette(False)["line0"], charts.palette(False)["line1"]} <= inks


def test_inks_stand_out_from_their_ground():
    """Text and curves need a contrast of 3 : 1 and more against the page, in the dark as in the light."""

    def light(ink: str) -> float:
        channels = np.array([int(ink[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        return float(np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
                     @ [0.2126, 0.7152, 0.0722])  # fmt: skip

    for dark, ground in ((False, 1.0), (True, light("#1e2126"))):
        for name in ("ink", "faint", "line0", "line1", "line2"):
            pair = sorted((ground, light(charts.palette(dark)[name])))
            assert (pair[1] + 0.05) / (pair[0] + 0.05) > 3, (dark, name)
