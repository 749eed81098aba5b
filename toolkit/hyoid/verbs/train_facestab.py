# SPDX-License-Identifier: Apache-2.0
"""``hyoid train facestab -o my.safetensors``: weights for ``stabilize``, from people that are made up."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from hyoid.errors import UsageError
from hyoid.report import Report
from hyoid.verbs.job import CLI, JobModel, short

if TYPE_CHECKING:
    import numpy as np

    from hyoid.synthetic.face_pairs import Faces, Pairs, Strength
    from hyoid.systems.facestab.checkpoint import Face, Model

RESULT = "files"
SUFFIX = ".safetensors"
SUFFIXES = (SUFFIX,)
_PEOPLE, _OTHERS = 320, 60  # the bundled human at random identities: to learn from, and to be judged by
# A model of real faces teaches what faces do; with the human alone everything is made strange, so that it carries over.
_QUIET, _QUIET_BESIDE = 0.8, 0.3
_KNOWN, _HABIT, _LINEAR = 1.0, 0.4, 0.0  # shares of the answer after learning from the human alone
_NOTICE = "Copyright (c) 2020 USC Institute for Creative Technologies"


class Job(JobModel):
    """A training of FaceStab."""

    output: Path = Field(description="weights to write; a card with data and quality lies beside them",
                         json_schema_extra=short("-o"))  # fmt: skip
    ict: Path | None = Field(
        None,
        description="folder of ICT-FaceKit (MIT), to learn from it too",
        json_schema_extra={CLI: {"file": "folder"}},
    )
    human: bool = Field(True, description="learn from the bundled human (CC0)")
    leave_out: list[str] = Field(
        [],
        description="group of shapes that it must not learn (noseSneer), to be tested on; may be given several times",
    )
    form: Literal["trust", "regress"] = Field(
        "trust", description="trust: which skin to rely on, carries over to unknown faces; regress: the paper's form"
    )
    steps: int = Field(10_000, ge=1, le=10_000_000, description="training steps")
    batch: int = Field(64, ge=2, le=4096, description="pairs of faces a step")
    seed: int = Field(0, ge=0, description="of all random numbers")
    threads: int = Field(2, ge=1, le=256, description="processor threads")
    state: Path | None = Field(
        None, description="keep the unfinished training here, and go on from it when it is there",
        json_schema_extra={CLI: {"file": "write"}},
    )  # fmt: skip


def run(job: Job, report: Report) -> dict[str, Any]:
    """Make people, train, judge, write weights and card.

    Returns:
        ``outputs``; ``validation_mm``, the mean error on people and variants that were not learned from, and the same
        of ``baselines``; ``seconds``.

    Raises:
        UsageError: nothing to learn from, or a group that no face has. InputError: no ICT-FaceKit in the folder, or a
        state of another training. MissingToolError: torch is not installed. OutputError: the files cannot be written.
    """
    from hyoid import files
    from hyoid.characters.fit import face_points
    from hyoid.synthetic import face_pairs
    from hyoid.systems.facestab import checkpoint, train

    begun = time.monotonic()
    if not (job.human or job.ict):
        raise UsageError("there is nothing to learn from", expected="--human or --ict FOLDER")
    check_outputs(job)
    card = job.output.with_suffix(".card.md")
    template = face_points.human_template()
    rows, core = face_pairs.canonical_rows(template, report.stage(0.0, 0.01))
    points = (1000 * template.rest[rows]).astype("float32")
    models = _models(job, rows, report.stage(0.01, 0.03))
    known = face_pairs.known_motions([learned for learned, _, _ in models], job.seed)
    motion = face_pairs.usual_motion(models[0][0])
    face = checkpoint.Face(rows, points, core, motion, known[: 0 if job.form == "regress" else None])
    streams = [_pairs(faces, face, job.seed, 10 * n, strength) for n, (faces, _, strength) in enumerate(models)]
    recipe = train.Recipe(job.form, job.steps, job.batch, seed=job.seed)
    model = train.train(
        streams, _others(models, face, job.seed), face, recipe, config=_config(job), note=_note(job, streams),
        state=job.state, threads=job.threads, report=report.stage(0.03, 0.98),
    )  # fmt: skip
    baselines = _baselines(_others(models, face, job.seed))
    checkpoint.save(job.output, model)
    files.write_bytes(card, _card(job, model, baselines).encode())
    if job.state is not None:
        job.state.unlink(missing_ok=True)
    return {
        "outputs": [str(job.output), str(card)], "validation_mm": model.note["validation_mm"], "baselines": baselines,
        "seconds": round(time.monotonic() - begun, 1),
    }  # fmt: skip


def check_outputs(job: Job) -> None:
    """Refuse outputs that could not be written, before the work and for ``hyoid check``.

    Raises:
        UsageError: weights of another type. OutputError: a folder cannot be written.
    """
    from hyoid.files import check_writable

    if job.output.suffix != SUFFIX:
        raise UsageError(f"unknown type of weights '{job.output.suffix}'", path=job.output, expected=SUFFIX)
    for path in (job.output, job.output.with_suffix(".card.md"), *([job.state] if job.state else [])):
        check_writable(path)


def _models(job: Job, rows: np.ndarray, report: Report) -> list[tuple[Faces, Faces, Strength]]:
    """Faces to learn from, others to be judged by, and how far they are made strange; without what is left out.

    Raises:
        UsageError: a group to be left out that no face has.
    """
    from dataclasses import replace

    from hyoid.characters.fit import face_points
    from hyoid.synthetic.face_pairs import Strength, human_faces, ict_faces

    template = face_points.human_template()
    models = []
    # Moving regions stand for shapes that are missing; both models together, with all of theirs, learn more without.
    regions = 0.0 if job.human and job.ict and not job.leave_out else Strength.regions
    if job.human:
        known = human_faces(template, rows, _PEOPLE, job.seed + 1, report.stage(0.0, 0.5))
        others = human_faces(template, rows, _OTHERS, job.seed + 2, report.stage(0.5, 0.6))
        models.append((known, others, Strength(quiet=_QUIET_BESIDE if job.ict else 0.0, regions=regions)))
    if job.ict:
        faces = ict_faces(job.ict, rows, report.stage(0.6, 1.0))
        models.append((faces, faces, Strength(quiet=_QUIET, regions=regions)))
    if job.form == "regress":  # as in the paper: the models as they are
        models = [(known, others, Strength(quiet=1.0)) for known, others, _ in models]
    groups = {name for known, _, _ in models for name in known.groups}
    for name in job.leave_out:
        if name not in groups:
            raise UsageError(f"--leave-out names '{name}'", expected=f"one of {', '.join(sorted(groups))}")

    def kept(faces: Faces) -> Faces:
        return replace(faces, groups={name: some for name, some in faces.groups.items() if name not in job.leave_out})

    return [(kept(known), kept(others), strength) for known, others, strength in models]


def _pairs(faces: Faces, face: Face, seed: int, number: int, strength: Strength) -> Pairs:
    from hyoid.synthetic.face_pairs import Pairs

    return Pairs(faces, face.template, 1000 * (seed + 1) + number, strength)


def _others(models: list[tuple[Faces, Faces, Strength]], face: Face, seed: int) -> list[Pairs]:
    """Pairs of other people and variants to be judged by, from the first one on."""
    return [_pairs(others, face, seed, 100 + 10 * n, strength) for n, (_, others, strength) in enumerate(models)]


def _config(job: Job) -> Any:
    """Sizes of the network; what has seen one artist's shapes alone leaves the larger part of the answer to habit."""
    from hyoid.systems.facestab.network import RegressConfig, TrustConfig

    if job.form == "regress":
        return RegressConfig()
    return TrustConfig() if job.ict else TrustConfig(known=_KNOWN, habit=_HABIT, linear=_LINEAR)


def _note(job: Job, streams: list[Pairs]) -> dict[str, Any]:
    names = [stream.faces.name for stream in streams]
    licences = {stream.faces.licence for stream in streams}
    note = {"data": names, "leave_out": sorted(job.leave_out), "licence": "MIT" if "MIT" in licences else "CC0-1.0"}
    return note | ({"notice": _NOTICE} if "MIT" in licences else {})


def _baselines(validation: list[Pairs]) -> dict[str, float]:
    """Mean error in millimetres, on the points of the face, of the methods that learn nothing, on equal pairs."""
    import numpy as np

    from hyoid.synthetic.face_pairs import FACE_POINTS
    from hyoid.systems.facestab import robust

    found: dict[str, list[np.ndarray]] = {"procrustes": [], "irls": []}
    for stream in validation:
        for _ in range(4):
            target, source, mask = (array.astype(np.float64) for array in stream.batch(32))
            for name, method in (("procrustes", robust.procrustes), ("irls", robust.geman_mcclure)):
                moved = method(source, target, mask).apply(source)
                found[name].append(np.linalg.norm(moved - source, axis=-1)[:, :FACE_POINTS].mean(1))
    return {name: round(float(np.concatenate(values).mean()), 4) for name, values in found.items()}


def _card(job: Job, model: Model, baselines: dict[str, float]) -> str:
    note = model.note
    harder = (
        " These pairs hold unknown motions on purpose: they are harder than faces are." if job.form == "trust" else ""
    )
    form = "trust network" if job.form == "trust" else "regressor (the paper's form)"
    count = sum(array.size for array in model.parameters.values())
    left = ", ".join(job.leave_out) or "none"
    lines = [
        f"# {job.output.stem}: FaceStab, {form}", "",
        f"- Licence of the weights: {note['licence']}" + (f" ({note['notice']})" if "notice" in note else ""),
        f"- Learned from: {', '.join(note['data'])}; groups of shapes left out: {left}",
        f"- {count} parameters, {len(model.face.rows)} canonical points; {job.steps} steps of "
        f"{job.batch} pairs, seed {job.seed}, {job.threads} threads",
        f"- Mean error on the face, on made-up pairs of other people and other variants of the same shapes: "
        f"**{note['validation_mm']:.3f} mm**; robust alignment (Geman-McClure IRLS) {baselines['irls']:.3f} mm, plain "
        f"alignment {baselines['procrustes']:.3f} mm.{harder}",
        "- How far it carries to a face model that it has not seen: `hyoid bench facestab --ict FOLDER`.",
        f"- Made again by: `{_command(job)}`" + (" with `--ict FOLDER`" if job.ict else ""),
    ]  # fmt: skip
    return "\n".join([*lines, ""])


def _command(job: Job) -> str:
    """The command line that trains the same again, without folders of this machine."""
    words = [f"hyoid train facestab -o {job.output.name} --form {job.form} --steps {job.steps} --seed {job.seed}"]
    words.append(f"--threads {job.threads}")
    if not job.human:
        words.append("--no-human")
    return " ".join([*words, *(f"--leave-out {name}" for name in job.leave_out)])


def show(result: dict[str, Any]) -> str:
    """The files and the quality in one line."""
    told = ", ".join(f"{name} {value:.3f} mm" for name, value in result["baselines"].items())
    return "\n".join([*result["outputs"], f"mean error {result['validation_mm']:.3f} mm ({told})"])
