# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false
"""Stabilisation of faces on a model whose skull is known (ICT-FaceKit), beside alignment without learning.

``hyoid bench facestab --ict FOLDER`` prints, in one run: the table of the protocol for every method; our weights that
have not seen ICT-FaceKit, those that have, and those that have not seen some of its shapes; equivariance; what shuffled
vertices do; a synthetic performance; speed beside a loop of SciPy's ``Rotation.align_vectors``. Other pairs are given
with ``--pairs FOLDER`` (arrays.npz with in.source, in.target, out.true_rotation, out.true_translation and
in.point_indices of ICT-FaceKit), other people and expressions with ``--seed``.

The protocol: people of random identity, two random expressions, registration noise (0.5 mm smooth, 0.1 mm white) on
both, a random rigid motion of the source; the error is how far the predicted motion takes the points of the face from
where the true one takes them. Nobody sees the teeth, which tell how far the skull is off.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from _facestab_data import Pairs, draw, landmarks_of, performance, points_on
from _facestab_speed import speed
from hyoid.characters import ict_data
from hyoid.errors import UsageError
from hyoid.geometry.rigid import Rigid, concatenate
from hyoid.report import SILENT, Report
from hyoid.synthetic import expressions
from hyoid.systems.facestab import checkpoint, infer, robust

SUMMARY = "face stabilisation on ICT-FaceKit (--ict FOLDER): error in mm of every method, equivariance, drift, speed"
WEIGHTS = {
    "ours, never saw ICT": "human", "ours, saw ICT (shipped)": "facestab", "paper's regressor, saw ICT": "regressor",
}  # fmt: skip
MARKS = ("<!-- printed by bench/facestab.py -->", "<!-- end -->")
LEFT_OUT = ("browOuterUp", "eyeLookIn", "jawForward", "mouthDimple", "mouthPress", "mouthShrugLower", "noseSneer")
_METHODS = {"procrustes": robust.procrustes, "l1": robust.least_absolute, "irls": robust.geman_mcclure}


def run(
    ict: Path | None = None, pairs: Path | None = None, seed: int = 2024, count: int = 250,
    pictures: Path | None = None, report: Report = SILENT,
) -> dict[str, Any]:  # fmt: skip
    """Every measurement, millimetres and degrees.

    Args:
        ict: folder of ICT-FaceKit. pairs: folder with pairs of its own. count: pairs of the table.
        pictures: folder for pictures of the ten cases in which our weights without ICT are worst.

    Raises:
        UsageError: no folder of ICT-FaceKit.
    """
    if ict is None:
        raise UsageError("the bench needs a face model whose skull is known", expected="--ict FOLDER of ICT-FaceKit")
    model = ict_data.model(Path(ict))
    rows = checkpoint.load(checkpoint.find(WEIGHTS["ours, never saw ICT"])).face.rows
    points = points_on(model, rows)
    shipped = {label: points.weights(name) for label, name in WEIGHTS.items()}
    groups = expressions.groups(ict_data.EXPRESSIONS)
    result: dict[str, Any] = {"pairs": count, "seed": seed, "points": int(points.mask.sum())}
    sets = {
        "neutral, clean": draw(model, groups, count, seed, neutral=True, noise=False),
        "pair, clean": draw(model, groups, count, seed, neutral=False, noise=False),
        "pair, noise": draw(model, groups, count, seed, neutral=False, noise=True),
    }
    result["not stabilised"] = sets["pair, noise"].before()
    result["table"] = table(model, sets, points, shipped, report.stage(0.0, 0.6))
    held = {name: rows for name, rows in groups.items() if name in LEFT_OUT}
    report.progress(0.6, "shapes that were left out")
    result["left-out shapes of ICT, narrow face"] = {"groups": ", ".join(LEFT_OUT)} | {
        name: left_out(draw(model, held, count, seed + 1, neutral=False, noise=noise), points)
        for name, noise in (("clean", False), ("noise", True))
    }
    report.progress(0.7, "equivariance and order")
    own, saw = list(shipped.values())[:2]
    result["equivariance_mm"] = max(equivariance(each, sets["pair, noise"], points) for each in shipped.values())
    result["shuffled vertices"] = shuffled(saw, sets["pair, noise"], points)
    result["certainty, narrow face, noise"] = certainty(own, sets["pair, noise"], points)
    folder = pairs or Path(__file__).resolve().parents[2] / "shared" / "parity" / "facestab" / "ict_pairs"
    if (folder / "arrays.npz").is_file():
        result["reference pairs"] = reference(folder, model, rows)
    report.progress(0.8, "a performance")
    result["performance of 200 frames, narrow face, noise"] = drift(model, points, shipped, seed)
    report.progress(0.88, "speed")
    result["speed"] = speed(saw, model, points)
    if pictures is not None:
        from _facestab_pictures import worst

        result["worst"] = worst(own, sets["pair, noise"], points, model, Path(pictures))
    return result


def table(
    model: ict_data.Model, sets: dict[str, Pairs], points: Any, shipped: dict[str, Any], report: Report
) -> dict[str, Any]:
    """Rows of vertices and method, columns of the three sets."""
    regions = landmarks_of(model)
    rows: dict[str, Any] = {}
    jobs = [(region, method) for region in ("all skin", "face", "narrow face", "upper face") for method in _METHODS]
    jobs += [(name, "procrustes") for name in ("forehead", "least moving fifth (oracle)", "rigid list (oracle)")]
    for number, (region, method) in enumerate(jobs):
        report.progress(number / (len(jobs) + 6), f"{region}, {method}")
        chosen = regions[region]
        rows[f"{region}: {method}"] = {
            name: pairs.errors(plain(method, pairs.source[:, chosen], pairs.target[:, chosen]))
            for name, pairs in sets.items()
        }
    for label, weights in shipped.items():
        for region, mask in (("narrow face", points.narrow), ("face", points.face), ("all skin", points.mask)):
            rows[f"{region}: {label}"] = {
                name: pairs.errors(learned(weights, pairs, points, mask).motion) for name, pairs in sets.items()
            }
    return rows


def plain(method: str, source: np.ndarray, target: np.ndarray) -> Rigid:
    """Alignment without learning, some pairs at a time: thousands of vertices do not fit in the cache otherwise."""
    return concatenate(
        [_METHODS[method](source[i : i + 2].astype(np.float64), target[i : i + 2].astype(np.float64))
         for i in range(0, len(source), 2)]
    )  # fmt: skip


def learned(weights: checkpoint.Model, pairs: Pairs, points: Any, mask: np.ndarray) -> infer.Stabilised:
    """Our answer to pairs, each with a target of its own."""
    source, target = points.of(pairs.source.astype(np.float64)), points.of(pairs.target.astype(np.float64))
    method = "facestab" if weights.form == "trust" else "regressor"
    found = [
        infer.stabilise(source[i : i + 1], target[i], mask=mask, method=method, model=weights, threads=1)
        for i in range(len(source))
    ]
    return infer.Stabilised(
        concatenate([each.motion for each in found]), np.concatenate([each.residuals for each in found]),
        np.concatenate([each.trust for each in found]), np.concatenate([each.expected_error for each in found]),
        np.concatenate([each.confidence for each in found]),
        {i: each.refused[0] for i, each in enumerate(found) if each.refused},
    )  # fmt: skip


def left_out(pairs: Pairs, points: Any) -> dict[str, Any]:
    """Pairs made of shapes that the weights were not trained on (neither ICT's nor the human's)."""
    weights = points.weights("leave_groups_out")
    source, target = points.of(pairs.source.astype(np.float64)), points.of(pairs.target.astype(np.float64))
    return {
        "irls": pairs.errors(robust.geman_mcclure(source, target, points.narrow)),
        "ours, without these groups": pairs.errors(learned(weights, pairs, points, points.narrow).motion),
    }


def equivariance(weights: checkpoint.Model, pairs: Pairs, points: Any) -> float:
    """The largest change of the answer, on the points of the face, when source and target are moved rigidly."""
    from hyoid.geometry import rotations

    random = np.random.default_rng(5)
    method = "facestab" if weights.form == "trust" else "regressor"
    worst = 0.0
    for i in range(min(12, len(pairs.source))):
        source, target = (points.of(array[i].astype(np.float64)) for array in (pairs.source, pairs.target))
        before = infer.stabilise(source[None], target, mask=points.narrow, method=method, model=weights).motion
        moves = []
        for _ in range(2):
            turn = rotations.from_rotation_vector(random.normal(0, 1.5, 3))
            moves.append(Rigid(rotations.to_matrix(turn)[None], random.normal(0, 300, (1, 3))))
        after = infer.stabilise(
            moves[0].apply(source[None]), moves[1].apply(target[None])[0], mask=points.narrow, method=method,
            model=weights,
        ).motion  # fmt: skip
        expected = moves[1].after(before).after(moves[0].inverse())
        there = moves[0].apply(source[None])
        used = points.narrow > 0
        gap = np.linalg.norm(after.apply(there) - expected.apply(there), axis=-1)[:, used]
        worst = max(worst, float(gap.max()))
    return worst


def shuffled(weights: checkpoint.Model, pairs: Pairs, points: Any) -> dict[str, Any]:
    """The order of vertices is all that tells which skin is which: without it nothing may work."""
    order = np.random.default_rng(3).permutation(len(points.narrow))
    some = pairs.first(40)
    source, target = points.of(some.source.astype(np.float64)), points.of(some.target.astype(np.float64))
    found = [
        infer.stabilise(source[i : i + 1, order], target[i], mask=points.narrow, model=weights)
        for i in range(len(source))
    ]
    refused = sum(bool(each.refused) for each in found)
    return {**some.errors(concatenate([each.motion for each in found])), "refused": f"{refused} of {len(found)}"}


def certainty(weights: checkpoint.Model, pairs: Pairs, points: Any) -> dict[str, Any]:
    """Whether the expected error, told without knowing the truth, tells good frames from bad ones."""
    found = learned(weights, pairs, points, points.narrow)
    actual = pairs.face_errors(found.motion)
    order = np.argsort(found.expected_error)
    fifth = len(order) // 5
    ranks = np.stack([np.argsort(np.argsort(values)) for values in (actual, found.expected_error)]).astype(float)
    return {
        "expected mm": float(found.expected_error.mean()), "actual mm": float(actual.mean()),
        "most certain fifth, mm": float(actual[order[:fifth]].mean()),
        "least certain fifth, mm": float(actual[order[-fifth:]].mean()),
        "rank correlation": float(np.corrcoef(ranks)[0, 1]),
    }  # fmt: skip


def reference(folder: Path, model: ict_data.Model, rows: np.ndarray) -> dict[str, Any]:
    """Pairs of a folder: the baselines against those that it states, and our weights."""
    arrays = np.load(folder / "arrays.npz", allow_pickle=False)
    source, target = arrays["in.source"].astype(np.float64), arrays["in.target"].astype(np.float64)
    truth = Rigid(arrays["out.true_rotation"], arrays["out.true_translation"])
    noisy = np.arange(len(source)) >= len(source) // 2
    where = truth.apply(source)
    points = points_on(model, rows, arrays["in.point_indices"])
    result: dict[str, Any] = {"folder": folder.name, "pairs": len(source), "points found": int(points.mask.sum())}
    answers = {"procrustes": robust.procrustes(source, target), "irls": robust.geman_mcclure(source, target)}
    for name, found in answers.items():
        if f"out.{name}_rotation" in arrays:
            stated = Rigid(arrays[f"out.{name}_rotation"], arrays[f"out.{name}_translation"])
            gap = np.linalg.norm(found.apply(source) - stated.apply(source), axis=-1).max()
            result[f"{name}: largest difference from the stated answer, mm"] = float(gap)
    for label, name in WEIGHTS.items():
        weights = points.weights(name)
        method = "facestab" if weights.form == "trust" else "regressor"
        motions = [
            infer.stabilise(
                points.of(source[i : i + 1]), points.of(target[i]), mask=points.mask, method=method, model=weights
            ).motion
            for i in range(len(source))
        ]
        answers[label] = concatenate(motions)
    for name, found in answers.items():
        error = np.linalg.norm(found.apply(source) - where, axis=-1).mean(1)
        result[name] = {"clean mm": float(error[~noisy].mean()), "noisy mm": float(error[noisy].mean())}
    return result


def drift(model: ict_data.Model, points: Any, shipped: dict[str, Any], seed: int) -> dict[str, Any]:
    """A performance with a moving head: how far the upper teeth stray after stabilising, and how they tremble."""
    made = performance(model, 200, seed)
    source, target = points.of(made.source.astype(np.float64)), points.of(made.target[0].astype(np.float64))
    answers: dict[str, Rigid] = {name: method(source, target, points.narrow) for name, method in _METHODS.items()}
    for label, weights in shipped.items():
        method = "facestab" if weights.form == "trust" else "regressor"
        answers[label] = infer.stabilise(source, target, mask=points.narrow, method=method, model=weights).motion
    result = {}
    for name, found in answers.items():
        away = found.apply(made.teeth) - made.truth.apply(made.teeth)
        jump = np.linalg.norm(np.diff(away, axis=0), axis=-1)
        result[name] = {
            "teeth drift, rms mm": float(np.sqrt((away**2).sum(-1).mean())),
            "worst frame, mm": float(np.linalg.norm(away, axis=-1).mean(1).max()),
            "jitter, rms mm a frame": float(np.sqrt((jump**2).mean())),
        }
    return result


def show(result: dict[str, Any]) -> str:
    """The measurements as Markdown: the table of the protocol, then the rest."""
    lines = [
        f"{result['pairs']} pairs, seed {result['seed']}; mean / median / 95th percentile in mm on the face; angle and "
        "skull (upper teeth) of the noisy pairs.", "",
        "| vertices: method | neutral, clean | pair, clean | pair, noise | degrees | skull mm |",
        "|---|---|---|---|---|---|",
    ]  # fmt: skip
    before = result["not stabilised"]
    lines.append(f"| not stabilised | | | {_three(before)} | {before['degrees']:.2f} | {before['skull']:.2f} |")
    for name, row in result["table"].items():
        noisy = row["pair, noise"]
        told = " | ".join(_three(row[key]) for key in ("neutral, clean", "pair, clean", "pair, noise"))
        lines.append(f"| {name} | {told} | {noisy['degrees']:.2f} | {noisy['skull']:.2f} |")
    left = result["left-out shapes of ICT, narrow face"]
    lines += ["", f"Shapes that the weights were not trained on ({left['groups']}), narrow face:", ""]
    lines += [
        f"- {name}: {_three(left['clean'][name])} mm clean, {_three(left['noise'][name])} mm with noise"
        for name in left["clean"]
    ]
    lines += [
        "",
        f"Change of the answer under rigid motions of both sides: {result['equivariance_mm']:.1e} mm at most.",
    ]
    mixed = result["shuffled vertices"]
    lines.append(f"Shuffled vertices: mean {mixed['mean']:.1f} mm, {mixed['refused']} refused.")
    sure = result["certainty, narrow face, noise"]
    lines.append("Expected error: " + ", ".join(f"{name} {value:.2f}" for name, value in sure.items()) + ".")
    for title in ("reference pairs", "performance of 200 frames, narrow face, noise"):
        if title in result:
            lines += ["", f"{title[0].upper()}{title[1:]}:", "", *_list(result[title])]
    lines += ["", "Speed:", "", *_list(result["speed"])]
    if "worst" in result:
        lines += ["", f"Worst cases ({result['worst']['picture']}):", ""]
        lines += [f"- pair {case['pair']}: {case['mm']:.2f} mm ({case['expected mm']:.2f} expected), {case['shown']}"
                  for case in result["worst"]["cases"]]  # fmt: skip
    return "\n".join(lines)


def _three(row: dict[str, float]) -> str:
    return f"{row['mean']:.2f} / {row['median']:.2f} / {row['p95']:.2f}"


def _list(values: dict[str, Any]) -> list[str]:
    lines = []
    for name, value in values.items():
        if isinstance(value, dict):
            told = ", ".join(f"{key} {_short(item)}" for key, item in value.items())
            lines.append(f"- {name}: {told}")
        else:
            lines.append(f"- {name}: {_short(value)}")
    return lines


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return "(" + ", ".join(f"{key} {_short(item)}" for key, item in value.items()) + ")"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def main() -> int:
    """Print the measurements as JSON, or put them into a card between its two marks."""
    import argparse

    parser = argparse.ArgumentParser()
    kinds = {"ict": Path, "pairs": Path, "seed": int, "count": int, "pictures": Path, "card": Path}
    for name, kind in kinds.items():
        parser.add_argument(f"--{name}", type=kind, default=None)
    given = {name: value for name, value in vars(parser.parse_args()).items() if value is not None}
    card = given.pop("card", None)
    result = run(**given)
    if card is None:
        print(json.dumps(result, indent=1))
        return 0
    head, _, rest = card.read_text().partition(MARKS[0])
    tail = rest.partition(MARKS[1])[2]
    card.write_text(f"{head}{MARKS[0]}\n\n{show(result)}\n\n{MARKS[1]}{tail}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
