# SPDX-License-Identifier: Apache-2.0
"""Directions of heads: our networks beside simple opponents on renders of people that no network has learned from.

``hyoid bench headpose`` draws crops of one head each and pictures of several people: identities, hair, garments and
backgrounds that training never shows, any direction. Everybody gets the true boxes, but the detector has its own; of
these the directions of heads are judged that it found (confidence 0.4, IoU above 0.5). Heads that are hidden or outside
by more than half need not be found.

``--images FOLDER --truth heads.json`` judges on photographs instead: see ``_head_photographs.py``. ``--pictures
FOLDER`` draws what was found and what went wrong: see ``_head_pictures.py``. ``python bench/headpose.py --cards
models`` puts the figures into the cards of the weights: see ``_head_cards.py``.
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path
from typing import Any

import _head_landmarks
import _head_pictures
import numpy as np
from _head_methods import THRESHOLD, Answers, Estimate, Networks, always, number, ours, plain, turned
from _head_text import boxes_line, certainty, table, text, verdicts
from hyoid.errors import UsageError
from hyoid.geometry import head_angles
from hyoid.report import SILENT, Report
from hyoid.synthetic import head_scores
from hyoid.synthetic.head_scores import Found

SUMMARY = "directions of heads on held-out renders, or on photographs (--images, --truth): error in degrees, boxes"
FRONTAL, MEAN, LANDMARKS = "frontal", "mean pose", "landmarks + PnP"
CROP, DETECTOR, BOTH = "SemiUHPE", "DirectMHP", "DirectMHP + SemiUHPE"
GOALS = {"front": 5.0, "side": 5.0, "back": 12.0}  # degrees, median over crops
PRECISION_GOAL = 0.85
_VISIBLE = 0.5  # share of a head that must be found
_TURN = 25.0  # degrees
_FITTING = {"people": (3, 8), "heads": (40.0, 300.0)}  # pictures of several large heads for the opponent
_LANDMARKS = 12
_OF_THE_NECK = ("throat",)


def run(
    count: int = 400, seed: int = 2024, images: Path | None = None, truth: Path | None = None,
    pictures: Path | None = None, networks: Networks | None = None, fitting: int = 300, report: Report = SILENT,
) -> dict[str, Any]:  # fmt: skip
    """The tables of crops, of crops of another domain, and of pictures; or the one of photographs.

    Args:
        count: crops; half as many pictures. images, truth: photographs and their marked heads. pictures: folder for
            drawings of what was found and what went wrong. networks: in place of those that come with Hyoid. fitting:
            pictures from which the opponent learns.

    Raises:
        UsageError: photographs without truth, or the other way round. InputError: they cannot be used.
        WeightsError: weights are not there. MissingToolError: torch or GL is not there.
    """
    if (images is None) != (truth is None):
        raise UsageError("photographs need both", expected="--images FOLDER and --truth heads.json")
    networks = networks or ours()
    if images is not None and truth is not None:
        import _head_photographs

        return _head_photographs.run(Path(images), Path(truth), networks, report, pictures)
    from hyoid.synthetic import heads

    others, learned = opponents(fitting, seed, report.stage(0, 0.3))
    methods = others | {CROP: networks.estimate}
    settings = heads.Settings(held_out=True)
    album = None
    if pictures is not None:
        album = _head_pictures.Album(lambda place: heads.scene(seed, place, settings=settings).image)
    result: dict[str, Any] = {"seed": seed, "heads_that_the_opponent_learned_from": learned, **networks.facts}
    for place, domain in enumerate(("usual", "shifted")):
        stage = report.stage(0.3 + 0.2 * place, 0.5 + 0.2 * place)
        drawn = heads.crops(seed, 0, count, settings=heads.Settings(domain=domain, held_out=True))
        name = "crops" if domain == "usual" else "crops of another domain"
        result[name] = of_crops(drawn, methods, stage, album, domain)
    scenes = (heads.scene(seed, place, settings=settings) for place in range(count // 2))
    result["pictures"] = of_pictures(scenes, count // 2, methods, networks, report.stage(0.7, 1), album)
    result["goals"] = goals(result)
    if album is not None and pictures is not None:
        result["drawn"] = _head_pictures.of_renders(album, seed, networks, Path(pictures))
    return result


def opponents(pictures: int, seed: int, report: Report) -> tuple[dict[str, Estimate], int]:
    """Who always says frontal or the mean, and landmarks with PnP, and of how many heads these have learned."""
    from hyoid.synthetic import heads

    settings = heads.Settings(**_FITTING)
    scenes = []
    for place in range(pictures):
        report.progress(place / pictures, "renders for the opponent")
        scenes.append(heads.scene(seed + 1, place, settings=settings))
    names = spread(scenes[0].landmark_names)
    given = _head_landmarks.examples(scenes, names)
    opponent = _head_landmarks.fit(given)

    def landmarks(image: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return _head_landmarks.rotations(opponent, image, boxes), np.full(len(boxes), np.nan)

    mean = head_angles.mean(np.concatenate([scene.apparent for scene in scenes]))
    return {FRONTAL: always(np.eye(3)), MEAN: always(mean), LANDMARKS: landmarks}, len(given.features)


def spread(names: tuple[str, ...]) -> tuple[str, ...]:
    """About a dozen landmarks of the head, evenly along the list of all."""
    names = tuple(name for name in names if name not in _OF_THE_NECK)
    chosen = np.unique(np.linspace(0, len(names) - 1, min(_LANDMARKS, len(names))).round().astype(int))
    return tuple(names[place] for place in chosen)


def of_crops(
    drawn: Any, methods: dict[str, Estimate], report: Report, album: _head_pictures.Album | None = None,
    domain: str = "usual",
) -> dict[str, Any]:  # fmt: skip
    """Errors by method and region, and what a turned crop changes beyond the turn; of heads that are not hidden."""
    seen = drawn.visible >= _VISIBLE
    images, boxes, rotations = drawn.images[seen], drawn.boxes[seen], drawn.rotations[seen]
    rows, count = {}, len(images)
    back = turned(images, boxes, _TURN)
    for place, (name, estimate) in enumerate(methods.items()):
        answers, after = Answers.none(), []
        for head in range(count):
            report.progress((place + head / count) / len(methods), f"crops, {name}")
            box = boxes[head : head + 1]
            told, entropy = estimate(images[head], box)
            answers.add(told, rotations[head : head + 1], entropy)
            after.append(estimate(back[head], box)[0])
        change = head_scores.turn_errors(np.concatenate(answers.found), np.concatenate(after), _TURN)
        rows[name] = {**answers.figures(), "turned": number(float(np.median(change)))}
        if album is not None and name == CROP:
            found, truth, entropy = answers.joined()
            album.add_crops(domain, images, boxes, found, truth, entropy)
    return {"heads": count, "rows": rows}


def of_pictures(
    pictures: Any, count: int, methods: dict[str, Estimate], networks: Networks, report: Report,
    album: _head_pictures.Album | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Errors of heads in pictures of several people, on true boxes and on those of the detector, and its boxes."""
    answers = {name: Answers.none() for name in (*methods, DETECTOR, BOTH)}
    found, heads = [], 0
    for place, scene in enumerate(pictures):
        report.progress(place / count, "pictures")
        boxes = inside(scene.boxes, scene.image.shape)
        must = (scene.visible >= _VISIBLE) & ((boxes[:, 2:] - boxes[:, :2]).min(-1) > 1)
        heads += int(must.sum())
        for name, estimate in methods.items():
            answers[name].add(*_with(estimate(scene.image, scene.boxes[must]), scene.apparent[must]))
        own = networks.detect(scene.image)
        found.append(Found(own.boxes, own.confidence, boxes, must))
        own = own.sure()
        rows = head_scores.match(own.boxes, own.confidence, boxes[must], THRESHOLD)
        matched, truth = rows[rows >= 0], scene.apparent[must][rows >= 0]
        rotations, entropy = networks.estimate(scene.image, own.boxes)
        answers[DETECTOR].add(own.rotations[matched], truth, np.full(len(matched), np.nan))
        answers[BOTH].add(rotations[matched], truth, entropy[matched])
        if album is not None:
            album.views.append(_head_pictures.View(
                f"picture {place}", partial(album.again, place), float(scene.image.mean()), own.boxes, own.confidence,
                rotations, entropy, boxes, scene.apparent, must,
            ))  # fmt: skip
    return {
        "pictures": len(found), "heads": heads, "detection": plain(head_scores.detection(found, THRESHOLD)),
        "rows": {name: answer.figures() for name, answer in answers.items()},
    }  # fmt: skip


def inside(boxes: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Boxes (n, 4) cut at the border of a picture of this shape."""
    return np.clip(np.asarray(boxes, np.float64), 0, [shape[1], shape[0]] * 2)


def _with(told: tuple[np.ndarray, np.ndarray], truth: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return told[0], truth, told[1]


def goals(result: dict[str, Any]) -> list[dict[str, Any]]:
    """What our networks must reach, as far as there is something to judge."""
    row, found = result["crops"]["rows"][CROP], []
    for region, most in GOALS.items():
        value = row[region]["median"]
        if value is not None:
            goal = f"{CROP}, crops, {region}: median at most {most:g} degrees"
            found.append({"goal": goal, "value": value, "limit": most, "reached": value <= most})
    value = result["pictures"]["detection"]["average_precision"]
    if value is not None:
        goal = f"{DETECTOR}: average precision at IoU 0.5 at least {PRECISION_GOAL:g}"
        found.append({"goal": goal, "value": value, "limit": PRECISION_GOAL, "reached": value >= PRECISION_GOAL})
    return found


def show(result: dict[str, Any]) -> str:
    """The tables in Markdown, and the goals."""
    if "photographs" in result:
        import _head_photographs

        return _head_photographs.show(result)
    lines = [f"{LANDMARKS} was fitted on {result['heads_that_the_opponent_learned_from']} training heads.", ""]
    for name in ("crops", "crops of another domain", "pictures"):
        lines += [*part_lines(name, result[name]), ""]
    lines += [boxes_line(result["pictures"]["detection"], result["pictures"]["pictures"]), "", *verdicts(result)]
    if "drawn" in result:
        lines += ["", f"Drawn: {', '.join(result['drawn']['files'])}."]
    return "\n".join(lines)


def part_lines(name: str, part: dict[str, Any]) -> list[str]:
    """A table, and what the entropy and turned crops tell."""
    lines = [f"{part['heads']} heads in {name}; degrees.", "", *table(part["rows"]), ""]
    for row, figures in part["rows"].items():
        if "calibration" in figures:
            lines.append(certainty(row, figures["calibration"]))
    told = {row: figures["turned"] for row, figures in part["rows"].items() if "turned" in figures}
    if told:
        parts = ", ".join(f"{row} {text(value)}" for row, value in told.items())
        lines.append(f"Beyond a turn of the crop by {_TURN:g} degrees the answers change by (median): {parts}.")
    return lines


def main() -> None:
    """Print the tables, or with ``--json`` the figures."""
    parser = argparse.ArgumentParser(description=SUMMARY)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--seed", type=int, default=2024)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--truth", type=Path)
    parser.add_argument("--pictures", type=Path, help="folder for drawings")
    parser.add_argument("--cards", type=Path, help="folder of the weights, whose cards get the figures")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    result = run(given.count, given.seed, given.images, given.truth, given.pictures)
    if given.cards is not None:
        from _head_cards import write

        write(result, given.cards)
    print(json.dumps(result, indent=1) if given.json else show(result))


if __name__ == "__main__":
    main()
