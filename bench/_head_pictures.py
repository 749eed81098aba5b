# SPDX-License-Identifier: Apache-2.0
"""Pictures of what the bench of directions of heads measured: what is usual, and what goes wrong.

One sheet shows whole pictures of different kinds, chosen by their truth alone, with what was found drawn as ``hyoid
headpose`` draws it; another the heads whose direction is told worst, those that were missed, and boxes where no head
is. Axes that were found are thick, true ones are thin and end in rings. No network runs twice: an :class:`Album` keeps
the answers, and a picture is made again when it is chosen.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from _head_methods import THRESHOLD, Networks, number
from hyoid.files import part_file
from hyoid.geometry import head_angles
from hyoid.media import head_overlay
from hyoid.media.lift_figures import plain, write
from hyoid.motion import heads as found_heads
from hyoid.synthetic import head_scores
from hyoid.synthetic.head_scores import REGIONS, SMALLEST, Found

SCENES, FAILURES, EXAMPLE = "headpose_scenes.jpg", "headpose_failures.jpg", "headpose.jpg"
PHOTOGRAPHS, PHOTOGRAPH_FAILURES = "headpose_photographs.jpg", "headpose_photographs_failures.jpg"
LARGEST_FILE = 500_000
"""Bytes of a sheet."""
_FIELD_OF_VIEW = 60.0  # degrees: what `hyoid headpose` takes a lens for
_EACH = 4  # heads of a region and a domain in the sheet of failures
_BOXES = 8  # missed heads, and boxes without a head
_TILE, _LINE = 170, 15  # pixels
_AROUND = 1.9  # side of a tile over the box
_WIDE = 640  # pixels of a picture in a sheet
_PAPER, _INK = (24, 26, 30), (235, 235, 235)
_HATS_AMONG = 24  # pictures that are looked through for hats
_PHOTOGRAPHS = 8


@dataclass(frozen=True)
class Case:
    """A head, or a box without one, that may be shown.

    Attributes:
        picture: makes the picture. box: (4,) in it. found, truth: rotations (3, 3) or None. severity: the worst come
            first by it. lines: below the tile. facts: the same for JSON. nose: only the nose of the truth is known.
    """

    picture: Callable[[], np.ndarray]
    box: np.ndarray
    found: np.ndarray | None
    truth: np.ndarray | None
    severity: float
    lines: tuple[str, str]
    facts: dict[str, Any]
    nose: bool = False


@dataclass(frozen=True)
class View:
    """A whole picture, what was found in it with enough confidence, and what is true.

    Attributes:
        name: told in the sheet. picture: makes it. light: mean of its pixels. boxes (n, 4), confidence (n,), rotations
            (n, 3, 3), entropy (n,): found. truth: (m, 4). true_rotations: (m, 3, 3), NaN where nobody told.
            must: (m,) heads to be found. nose: only the noses of the truth are known.
    """

    name: str
    picture: Callable[[], np.ndarray]
    light: float
    boxes: np.ndarray
    confidence: np.ndarray
    rotations: np.ndarray
    entropy: np.ndarray
    truth: np.ndarray
    true_rotations: np.ndarray
    must: np.ndarray
    nose: bool = False

    @property
    def yaws(self) -> np.ndarray:
        """Degrees from the camera of the heads to be found."""
        return np.abs(head_angles.angles(self.true_rotations[self.must])[:, 1])

    @property
    def sizes(self) -> np.ndarray:
        """Pixels of the shorter side of the heads to be found."""
        boxes = self.truth[self.must]
        return (boxes[:, 2:] - boxes[:, :2]).min(-1)


@dataclass
class Album:
    """What the bench met, for its pictures.

    Attributes:
        again: makes the picture of a number once more. crops: the worst of each domain and region. views: all.
    """

    again: Callable[[int], np.ndarray]
    crops: dict[str, dict[str, list[Case]]] = field(default_factory=dict)
    views: list[View] = field(default_factory=list)

    def add_crops(self, domain: str, images, boxes, found, truth, entropy) -> None:
        """Keep the worst of some crops (n, S, S, 3) by the region of their truth (n, 3, 3)."""
        errors, yaws = head_angles.geodesic(found, truth), head_angles.angles(truth)[:, 1]
        kept: dict[str, list[Case]] = {}
        for region, rows in head_angles.regions(truth).items():
            chosen = np.flatnonzero(rows)
            chosen = chosen[np.argsort(-errors[chosen], kind="stable")][:_EACH]
            kept[region] = [
                case(
                    _same(images[row].copy()), boxes[row], found[row], truth[row], float(errors[row]),
                    float(entropy[row]),
                    {"domain": domain, "region": region, "crop": int(row), "yaw": number(float(yaws[row]))},
                )
                for row in chosen.tolist()
            ]  # fmt: skip
        self.crops[domain] = kept


def _same(image: np.ndarray) -> Callable[[], np.ndarray]:
    return lambda: image


def case(picture, box, found, truth, error: float, entropy: float, facts: dict[str, Any], nose: bool = False) -> Case:
    """A head whose direction is told wrongly by ``error`` degrees."""
    told = "" if np.isnan(entropy) else f"entropy {entropy:.1f}"
    lines = (f"{error:.0f} degrees off", f"{told}, yaw {facts['yaw']:.0f}")
    facts = {**facts, "error": number(float(error)), "entropy": number(float(entropy))}
    return Case(picture, np.asarray(box, np.float64), found, truth, float(error), lines, facts, nose)


# --- what goes wrong --------------------------------------------------------------------------------------------------


def lost(views: Sequence[View]) -> tuple[list[Case], list[Case]]:
    """Heads of enough pixels that were missed, the largest first, and boxes without a head, the surest first."""
    missed, false = [], []
    for view in views:
        own = head_scores.assign(Found(view.boxes, view.confidence, view.truth, view.must))
        size = (view.truth[:, 2:] - view.truth[:, :2]).min(-1)
        there = np.isin(np.arange(len(view.truth)), own)
        yaws = head_angles.angles(view.true_rotations)[:, 1]
        for row in np.flatnonzero(view.must & (size > SMALLEST) & ~there).tolist():
            facts = {"picture": view.name, "pixels": round(float(size[row])), "yaw": number(float(yaws[row]))}
            told = "no direction marked" if np.isnan(yaws[row]) else f"yaw {yaws[row]:.0f}"
            lines = (f"{size[row]:.0f} pixels", told)
            truth = None if np.isnan(yaws[row]) else view.true_rotations[row]
            missed.append(Case(view.picture, view.truth[row], None, truth, float(size[row]), lines, facts, view.nose))
        for row in np.flatnonzero(own < 0).tolist():
            sure = float(view.confidence[row])
            facts = {"picture": view.name, "confidence": number(sure)}
            lines = (f"confidence {sure:.2f}", view.name)
            false.append(Case(view.picture, view.boxes[row], view.rotations[row], None, sure, lines, facts))
    return sorted(missed, key=lambda one: -one.severity), sorted(false, key=lambda one: -one.severity)


def failures(rows: Sequence[tuple[str, Sequence[Case]]]) -> np.ndarray:
    """A sheet (H, W, 3) uint8: a heading and a row of tiles for each of some rows that are not empty."""
    from PIL import Image, ImageDraw

    rows = [(heading, cases) for heading, cases in rows if cases]
    high, columns = _TILE + 3 * _LINE + 10, max((len(cases) for _, cases in rows), default=1)
    sheet = Image.new("RGB", (max(columns, 4) * (_TILE + 4), max(len(rows), 1) * (high + 4)), _PAPER)
    pencil = ImageDraw.Draw(sheet)
    for place, (heading, cases) in enumerate(rows):
        top = place * (high + 4)
        write(pencil, (4, top + _LINE), heading, 13, _INK)
        for column, one in enumerate(cases):
            left = column * (_TILE + 4)
            sheet.paste(Image.fromarray(tile(one)), (left, top + _LINE + 6))
            for line, text in enumerate(one.lines, 1):
                write(pencil, (left + 3, top + _TILE + 4 + (line + 1) * _LINE), plain(text)[:26], 12, _INK)
    return np.array(sheet)


def tile(one: Case) -> np.ndarray:
    """The head of a case with what lies about it (S, S, 3) uint8; axes found thick, true ones thin."""
    from PIL import Image, ImageDraw

    middle, side = (one.box[:2] + one.box[2:]) / 2, _AROUND * float((one.box[2:] - one.box[:2]).max())
    low, scale = middle - side / 2, _TILE / side
    square = (float(low[0]), float(low[1]), float(low[0] + side), float(low[1] + side))
    image = Image.fromarray(one.picture()).transform(
        (_TILE, _TILE), Image.Transform.EXTENT, square, Image.Resampling.BICUBIC
    )
    pencil, box = ImageDraw.Draw(image), (one.box - np.tile(low, 2)) * scale
    pencil.rectangle([float(value) for value in box], outline=(230, 230, 90))
    if one.found is not None:
        axes(pencil, box, one.found, thin=False)
    if one.truth is not None:
        axes(pencil, box, one.truth, thin=True, nose=one.nose)
    return np.array(image)


def axes(pencil, box: np.ndarray, rotation: np.ndarray, *, thin: bool, nose: bool = False) -> None:
    """Right, up and nose of a head from the middle of its box; thin ones are the truth, longer and with a ring.

    Args:
        nose: draw the nose alone.
    """
    middle = (box[:2] + box[2:]) / 2
    reach = (0.7 if thin else 0.55) * float(np.sqrt(np.prod(np.maximum(box[2:] - box[:2], 1))))
    ends = np.stack([rotation[:, 0], -rotation[:, 1], -rotation[:, 2]])
    for axis in [2] if nose else np.argsort(-ends[:, 2], kind="stable").tolist():
        tip, ink = middle + reach * ends[axis, :2], head_overlay.AXES[axis]
        if thin:
            pencil.line([tuple(middle), tuple(tip)], fill=_PAPER, width=3)
            pencil.line([tuple(middle), tuple(tip)], fill=tuple((255 + value) // 2 for value in ink), width=1)
        else:
            pencil.line([tuple(middle), tuple(tip)], fill=ink, width=4)
        if axis == 2:
            dot = 4
            place = [tip[0] - dot, tip[1] - dot, tip[0] + dot, tip[1] + dot]
            pencil.ellipse(place, outline=(255, 255, 255) if thin else ink, fill=None if thin else ink, width=2)


# --- whole pictures ---------------------------------------------------------------------------------------------------


def overlay(view: View, *, truth: bool = True) -> np.ndarray:
    """The picture as ``hyoid headpose`` draws it, with the true axes of the heads to be found, and those missed."""
    from PIL import Image, ImageDraw

    image = view.picture()
    height, width = image.shape[:2]
    focal = head_angles.focal_length(width, height, _FIELD_OF_VIEW)
    rays = head_angles.rays((view.boxes[:, :2] + view.boxes[:, 2:]) / 2, focal, (width / 2, height / 2))
    found = found_heads.of_picture(
        0, view.boxes, view.confidence, view.rotations, head_angles.in_camera(view.rotations, rays), view.entropy
    )
    found = found_heads.by_size(found)
    names = {number: str(number) for number in found.ids.tolist()}
    drawn = head_overlay.draw(image, found, names, title=view.name)
    if not truth:
        return drawn
    sheet = Image.fromarray(drawn)
    pencil, scale = ImageDraw.Draw(sheet), head_overlay.scale_of(width, height)
    for row in np.flatnonzero(view.must & np.isfinite(view.true_rotations).all((1, 2))).tolist():
        axes(pencil, view.truth[row] * scale, view.true_rotations[row], thin=True, nose=view.nose)
    return np.array(sheet)


KINDS: dict[str, Callable[[View], float | None]] = {
    "a crowd": lambda view: float(view.must.sum()),
    "a close-up": lambda view: float(view.sizes.max()) if len(view.sizes) else None,
    "seen from behind": lambda view: float((view.yaws > head_angles.BACK).sum() - (view.yaws < head_angles.BACK).sum()),
    "the dark": lambda view: -view.light if len(view.sizes) > 1 else None,
    "seen from the side": lambda view: float(
        2 * ((view.yaws >= head_angles.FRONT) & (view.yaws <= head_angles.BACK)).sum() - len(view.yaws)
    ),
    "small heads": lambda view: -float(np.median(view.sizes)) if len(view.sizes) > 2 else None,
}
"""How much a picture is of a kind, by its truth alone; None where it cannot be."""


def chosen(views: Sequence[View], hats: int | None = None) -> list[View]:
    """One view of each kind, none twice, and the one with hats; their names tell the kind."""
    taken: list[tuple[str, int]] = [] if hats is None or hats >= len(views) else [("hats", hats)]
    for kind, score in KINDS.items():
        used = {row for _, row in taken}
        told = [
            (value, -row) for row, view in enumerate(views) if row not in used and (value := score(view)) is not None
        ]
        if told:
            taken.append((kind, -max(told)[1]))
    return [_named(views[row], kind) for kind, row in taken]


def _named(view: View, kind: str) -> View:
    return replace(view, name=f"{kind} ({view.name})")


def with_hats(seed: int, count: int, settings: Any) -> int | None:
    """The number of the scene, of the first ones, in which most people wear hats; None where nobody does."""
    best, most = None, 0
    for place in range(min(count, _HATS_AMONG)):
        worn = sum(hat is not None for hat in dressed(seed, place, settings)[0])
        if worn > most:
            best, most = place, worn
    return best


def dressed(seed: int, place: int, settings: Any) -> tuple[list[str | None], np.ndarray]:
    """Hats of the people of a scene, and the boxes (n, 4) of their heads.

    The truth of a scene does not tell hats, so its people are dressed once more, without being drawn.
    """
    from hyoid.synthetic.heads import scenes

    random = np.random.default_rng([0x5C, seed, place])  # as scenes.scene begins
    view = scenes._view(random, settings)
    people = scenes._people(random, view, settings)
    return [one.figure.look.hat for one in people], np.array([scenes._box(one, view.camera) for one in people])


def view_of(name: str, picture: Callable[[], np.ndarray], image: np.ndarray, networks: Networks) -> View:
    """What the two networks find in a picture whose truth nobody tells."""
    own = networks.detect(image)
    sure = own.confidence >= THRESHOLD
    rotations, entropy = networks.estimate(image, own.boxes[sure])
    nothing = np.zeros((0, 3, 3))
    return View(
        name, picture, float(image.mean()), own.boxes[sure], own.confidence[sure], rotations, entropy,
        np.zeros((0, 4)), nothing, np.zeros(0, bool),
    )  # fmt: skip


# --- files ------------------------------------------------------------------------------------------------------------


def of_renders(album: Album, seed: int, networks: Networks, folder: Path) -> dict[str, Any]:
    """Write the sheets of renders, and the example; their files and the worst cases.

    Raises:
        OutputError: the folder cannot be written.
    """
    from hyoid.synthetic import heads

    settings = heads.Settings(held_out=True)
    views = chosen(album.views, with_hats(seed, len(album.views), settings))
    shifted = heads.scene(seed, 0, settings=heads.Settings(domain="shifted", held_out=True, people=(3, 8)))
    other = view_of("another domain", _same(shifted.image), shifted.image, networks)
    must = shifted.visible >= 0.5
    views.append(replace(other, truth=shifted.boxes, true_rotations=shifted.apparent, must=must))
    files = [_saved(folder / SCENES, head_overlay.sheet(map(overlay, views), 2, _WIDE))]
    missed, false = lost(album.views)
    regions = [
        (f"{region}: crops of the usual domain, then of another; axes told thick, true ones thin",
         [one for kept in album.crops.values() for one in kept[region]])
        for region in REGIONS
    ]  # fmt: skip
    rows = [*regions, ("missed heads", missed[:_BOXES]), ("boxes without a head", false[:_BOXES])]
    files.append(_saved(folder / FAILURES, failures(rows)))
    example = Path(__file__).resolve().parents[1] / "examples" / "headpose" / "people.jpg"
    if example.is_file():
        from hyoid.media import images

        image = images.read(example)
        found = view_of("", _same(image), image, networks)
        files.append(_saved(folder / EXAMPLE, overlay(found, truth=False)))
    return _told(files, [one for _, cases in regions for one in cases], missed, false)


def of_photographs(views: Sequence[View], worst: dict[str, list[Case]], folder: Path) -> dict[str, Any]:
    """Write the sheets of photographs: those with the most marked heads, and what goes wrong.

    Raises:
        OutputError: the folder cannot be written.
    """
    order = sorted(range(len(views)), key=lambda row: -int(views[row].must.sum()))[:_PHOTOGRAPHS]
    files = [_saved(folder / PHOTOGRAPHS, head_overlay.sheet((overlay(views[row]) for row in order), 2, _WIDE))]
    missed, false = lost(views)
    rows = [(f"{part}: axes told thick, marked noses thin", cases) for part, cases in worst.items()]
    rows += [("missed heads", missed[:_BOXES]), ("boxes on what nobody marked", false[:_BOXES])]
    files.append(_saved(folder / PHOTOGRAPH_FAILURES, failures(rows)))
    return _told(files, [one for cases in worst.values() for one in cases], missed, false)


def worst_noses(cases: Sequence[Case], rows: dict[str, np.ndarray], each: int = 2 * _EACH) -> dict[str, list[Case]]:
    """The worst of each part; ``rows`` are the (n,) heads of the parts."""
    found = {}
    for part, mine in rows.items():
        some = [cases[row] for row in np.flatnonzero(mine).tolist()]
        found[part] = sorted(some, key=lambda one: -one.severity)[:each]
    return found


def _told(files: list[Path], worst: list[Case], missed: list[Case], false: list[Case]) -> dict[str, Any]:
    return {
        "files": [str(path) for path in files], "worst": [one.facts for one in worst],
        "missed": [one.facts for one in missed[:_BOXES]], "false": [one.facts for one in false[:_BOXES]],
        "missed_heads": len(missed), "false_boxes": len(false),
    }  # fmt: skip


def _saved(path: Path, picture: np.ndarray) -> Path:
    """Write a JPEG of at most :data:`LARGEST_FILE` bytes."""
    from PIL import Image

    image = Image.fromarray(picture)
    for quality in range(88, 20, -6):
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=quality, optimize=True)
        if stream.tell() <= LARGEST_FILE:
            break
    path.parent.mkdir(parents=True, exist_ok=True)
    with part_file(path) as part:
        part.write_bytes(stream.getvalue())
    return path
