# SPDX-License-Identifier: Apache-2.0
"""Pictures of the cases in which stabilisation errs most.

Four of each, from the left: the target; the source where the truth lays it, coloured by its distance from the target
(to 10 mm); the source where the answer lays it, the same; how far the answer takes each point from the truth (to 2 mm).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from _facestab_data import FACE, MILLIMETRES, Pairs
from hyoid.characters import ict_data
from hyoid.media import heat_map
from hyoid.systems.facestab import checkpoint

COUNT = 10
_SIZE, _CAPTION = (210, 240), 22
_BESIDE = 2  # cases side by side
_PAPER = (255, 255, 255)


def worst(weights: checkpoint.Model, pairs: Pairs, points: Any, model: ict_data.Model, folder: Path) -> dict[str, Any]:
    """One sheet: a row a case, the target, the source as the truth lays it, and what the answer leaves, millimetres."""
    from facestab import learned
    from PIL import Image, ImageDraw, ImageFont

    folder.mkdir(parents=True, exist_ok=True)
    found = learned(weights, pairs, points, points.narrow)
    errors = pairs.face_errors(found.motion)
    order = np.argsort(-errors)[:COUNT]
    faces = model.faces[(model.faces < FACE.stop).all(1)]
    height = _SIZE[1] + _CAPTION
    sheet = Image.new("RGB", (_BESIDE * 4 * _SIZE[0], -(-COUNT // _BESIDE) * height), _PAPER)
    cases = []
    for row, number in enumerate(order.tolist()):
        target = pairs.target[number, FACE].astype(np.float64)
        source = pairs.source[number, FACE].astype(np.float64)
        true = source @ pairs.truth.rotations[number].T + pairs.truth.translations[number]
        ours = source @ found.motion.rotations[number].T + found.motion.translations[number]
        wrong = np.linalg.norm(
            pairs.clean[number] @ (found.motion.rotations[number] - pairs.truth.rotations[number]).T
            + found.motion.translations[number] - pairs.truth.translations[number], axis=1,
        )  # fmt: skip
        tiles = (
            (target, np.full(len(target), np.nan), 1.0),
            (true, np.linalg.norm(true - target, axis=1), 10.0),
            (ours, np.linalg.norm(ours - target, axis=1), 10.0),
            (true, wrong, 2.0),
        )
        for column, (vertices, values, limit) in enumerate(tiles):
            placed = vertices / (100 * MILLIMETRES)
            picture = heat_map.render(
                placed, faces, values, limits=(0.0, limit), size=_SIZE, view="front", background=_PAPER
            )
            left, top = (row % _BESIDE * 4 + column) * _SIZE[0], row // _BESIDE * height
            sheet.paste(Image.fromarray(picture), (left, top + _CAPTION))
        order_of = np.argsort(-np.abs(pairs.shown[number]))[:5]
        shown = ", ".join(
            f"{ict_data.EXPRESSIONS[k]} {pairs.shown[number, k]:+.1f}" for k in order_of if pairs.shown[number, k]
        )
        caption = f"{row + 1}.  {errors[number]:.2f} mm   {shown}"[:100]
        place = row % _BESIDE * 4 * _SIZE[0] + 8, row // _BESIDE * height + 4
        ImageDraw.Draw(sheet).text(place, caption, fill="black", font=ImageFont.load_default(13))
        cases.append({
            "pair": number, "mm": float(errors[number]), "expected mm": float(found.expected_error[number]),
            "shown": shown,
        })  # fmt: skip
    path = folder / "facestab_worst.jpg"
    sheet.save(path, quality=85)
    return {"picture": str(path), "cases": cases}
