# SPDX-License-Identifier: Apache-2.0
"""A job for OpenCue, Flamenco 3 and Slurm: scripts over the same stages as those of Open Job Description."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from hyoid.farm import plan as plans
from hyoid.farm.local import PLAN
from hyoid.farm.openjd import ANY, Machine
from hyoid.farm.plan import Plan
from hyoid.farm.stages import Stage
from hyoid.files import write_bytes

_NUMBER = "$SLURM_ARRAY_TASK_ID"


def write(kind: str, folder: Path, plan: Plan, parts: Sequence[Stage], *, command: str = "hyoid",
          machine: Machine = ANY) -> list[Path]:  # fmt: skip
    """Write the files that a farm of a kind (opencue, flamenco or slurm) takes, and the plan; the files.

    Raises:
        OutputError: a file cannot be written.
    """
    parts = [_whole(stage) for stage in parts]
    place = [str(folder.absolute() / PLAN), f"--home={plan.home}", f"--folder={plan.folder}"]
    texts = WRITERS[kind](plan, parts, command, place, machine)
    plans.write(folder / PLAN, plan)
    for name, text in texts.items():
        write_bytes(folder / name, text.encode())
    return [folder / name for name in (*texts, PLAN)]


def _whole(stage: Stage) -> Stage:
    """A stage in which one number stands for all that one command does."""
    return Stage(stage.name, stage.step, stage.finish, stage.tasks, stage.group * stage.at_once, 1, stage.after)


# --- Slurm ------------------------------------------------------------------------------------------------------------


def slurm(plan: Plan, parts: Sequence[Stage], command: str, place: Sequence[str], machine: Machine) -> dict[str, str]:
    """A batch script for each stage, an array over its numbers, one for the report, and what submits them all."""
    names = {stage.name: f"{number:02d}.sbatch" for number, stage in enumerate(parts, 1)}
    texts = {}
    for number, stage in enumerate(parts, 1):
        # A number is a word of its own, so that the shell puts in nothing but it.
        words = [command, "farm", "task", *place, *stage.words]
        line = f'exec {shlex.join(words)} --tasks="{_NUMBER}"'
        head = _head(plan, f"{number:02d}", machine, array=f"0-{stage.count - 1}", gpu=machine.gpu and not stage.finish)
        texts[names[stage.name]] = f"{head}\n# {_comment(stage)}\n{line}\n"
    report = [command, "farm", "status", *place, "--report"]
    texts["report.sbatch"] = f"{_head(plan, 'report', ANY)}\nexec {shlex.join(report)}\n"
    texts["submit.sh"] = _submit(parts, names)
    return texts


def _head(plan: Plan, part: str, machine: Machine, *, array: str = "", gpu: bool = False) -> str:
    name = _word(plan.name)[:40]
    lines = [
        "#!/bin/bash", f"#SBATCH --job-name={name}-{part}", f"#SBATCH --cpus-per-task={machine.processors}",
        f"#SBATCH --mem={machine.memory}M", "#SBATCH --signal=B:TERM@60", "#SBATCH --requeue",
    ]  # fmt: skip
    lines += [f"#SBATCH --array={array}"] if array else []
    lines += ["#SBATCH --gres=gpu:1"] if gpu else []
    return "\n".join([*lines, "export OMP_NUM_THREADS=${SLURM_CPUS_PER_TASK:-1}"])


def _submit(parts: Sequence[Stage], names: Mapping[str, str]) -> str:
    lines = ["#!/bin/bash", "# Submits all stages, each after those that it needs.", "set -eu", 'cd "$(dirname "$0")"']
    for stage in parts:
        after = "".join(f":$job_{names[name][:2]}" for name in stage.after)
        wait = f" --dependency=afterok{after} --kill-on-invalid-dep=yes" if after else ""
        lines.append(f"job_{names[stage.name][:2]}=$(sbatch --parsable{wait} {names[stage.name]})")
    every = "".join(f":$job_{name[:2]}" for name in names.values())
    return "\n".join([*lines, f"sbatch --dependency=afterany{every} report.sbatch"]) + "\n"


# --- OpenCue ----------------------------------------------------------------------------------------------------------


def opencue(plan: Plan, parts: Sequence[Stage], command: str, place: Sequence[str], machine: Machine) -> dict[str, str]:
    """A script that builds an outline of a layer for each stage, and launches it."""
    names = {stage.name: f"{number:02d}_{_word(stage.name)}" for number, stage in enumerate(parts, 1)}
    layers = [
        {
            "name": names[stage.name], "frames": f"0-{stage.count - 1}", "after": [names[name] for name in stage.after],
            "words": [command, "farm", "task", *place, *stage.words, "--tasks=#IFRAME#"],
            "gpus": int(machine.gpu and not stage.finish),
        }
        for stage in parts
    ]  # fmt: skip
    layers.append({
        "name": "report", "frames": "0-0", "after": list(names.values()),
        "words": [command, "farm", "status", *place, "--report"], "gpus": 0,
    })  # fmt: skip
    text = _OUTLINE.format(
        name=_word(plan.name), layers=json.dumps(layers, indent=4), cores=machine.processors,
        memory=f"{machine.memory}m",
    )  # fmt: skip
    return {"outline_job.py": text}


def _word(name: str) -> str:
    """A name of letters, digits and ``_`` alone."""
    return "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name)[:60]


_OUTLINE = '''"""Launches the job on OpenCue: python outline_job.py SHOW SHOT. Needs PyOutline."""

import getpass
import json
import shlex
import sys

import outline
import outline.cuerun
from outline.modules.shell import Shell

LAYERS = json.loads(r"""
{layers}
""")

show, shot = sys.argv[1:3]
job = outline.Outline("{name}", show=show, shot=shot, user=getpass.getuser())
made = {{}}
for one in LAYERS:
    # OpenCue joins the words with spaces for a shell, so each is quoted; it puts the number in for #IFRAME#.
    layer = Shell(one["name"], command=[shlex.quote(word) for word in one["words"]], range=one["frames"], chunk=1,
                  cores={cores}, memory="{memory}", **({{"gpus": one["gpus"]}} if one["gpus"] else {{}}))
    for name in one["after"]:
        layer.depend_all(made[name])
    job.add_layer(layer)
    made[one["name"]] = layer
outline.cuerun.launch(job, use_pycuerun=False)
'''


# --- Flamenco ---------------------------------------------------------------------------------------------------------


def flamenco(plan: Plan, parts: Sequence[Stage], command: str, place: Sequence[str], _: Machine) -> dict[str, str]:
    """A job type whose tasks are the numbers of all stages, for the folder ``scripts`` of Flamenco Manager."""
    rows = [
        {"name": stage.name, "count": stage.count, "after": list(stage.after),
         "args": ["farm", "task", *place, *stage.words]}
        for stage in parts
    ]  # fmt: skip
    report = ["farm", "status", *place, "--report"]
    text = _FLAMENCO
    for mark, value in (("LABEL", f"Hyoid: {plan.name}"), ("COMMAND", command), ("STAGES", rows), ("REPORT", report)):
        text = text.replace(f"@{mark}@", json.dumps(value, indent=4 if mark == "STAGES" else None))
    return {f"hyoid_{_word(plan.name).lower()}.js": text}


_FLAMENCO = """// A job type of Flamenco 3. Put it into the folder "scripts" beside Flamenco Manager, and choose it in
// Blender or with its API. Commands are lists of words: no shell reads them.
const JOB_TYPE = {
    label: @LABEL@,
    settings: [
        { key: "hyoid", type: "string", required: true, default: @COMMAND@,
          description: "Command that starts Hyoid on the workers" },
        { key: "strict", type: "bool", required: false, default: false,
          description: "Fail a task when a shot failed" },
    ],
};

const STAGES = @STAGES@;
const REPORT = @REPORT@;

function compileJob(job) {
    const strict = job.settings.strict ? ["--strict"] : [];
    const made = {};
    const all = [];
    for (const stage of STAGES) {
        made[stage.name] = [];
        for (let number = 0; number < stage.count; number++) {
            const task = author.Task(`${stage.name} ${number}`, "misc");
            const args = stage.args.concat([`--tasks=${number}`], strict);
            task.addCommand(author.Command("exec", { exe: job.settings.hyoid, args: args }));
            for (const name of stage.after) {
                for (const earlier of made[name]) {
                    task.addDependency(earlier);
                }
            }
            job.addTask(task);
            made[stage.name].push(task);
            all.push(task);
        }
    }
    const report = author.Task("report", "misc");
    report.addCommand(author.Command("exec", { exe: job.settings.hyoid, args: REPORT }));
    for (const task of all) {
        report.addDependency(task);
    }
    job.addTask(report);
}
"""


def _comment(stage: Stage) -> str:
    return f"{stage.name}: {stage.tasks} tasks, {stage.group} a number"


Writer = Callable[[Plan, Sequence[Stage], str, Sequence[str], Machine], dict[str, str]]
WRITERS: dict[str, Writer] = {"slurm": slurm, "opencue": opencue, "flamenco": flamenco}
