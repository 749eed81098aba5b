# SPDX-License-Identifier: Apache-2.0
"""A job as a bundle of Open Job Description, as ``openjd`` runs it and AWS Deadline Cloud takes it.

Each stage of the job is a step over the numbers of its tasks; a worker in the background keeps networks loaded as long
as a machine works on a step. The last step writes the report and fails when something is not done.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hyoid.errors import UsageError
from hyoid.farm import plan as plans
from hyoid.farm import stages
from hyoid.farm.local import PLAN
from hyoid.farm.plan import Plan
from hyoid.farm.stages import Stage
from hyoid.files import write_bytes

TEMPLATE, PARAMETERS = "template.json", "parameters.json"
VALUES, ASSETS = "parameter_values.json", "asset_references.json"
TASKS = "Tasks"  # the name of the task parameter
_VERSION = "jobtemplate-2023-09"
_NOTICE_SECONDS = 15  # a command leaves within five
_MOST_PARAMETERS, _MOST_STEPS = 50, 100
_LONGEST_JOB = 128
_DEADLINE: Mapping[str, int] = {"maxRetriesPerTask": 3, "maxFailedTasksCount": 100}
_FOLDERS, _RUNNING, _CHUNKS = "Folders", "Running", "Tasks done by one command"


@dataclass(frozen=True)
class Machine:
    """What a machine must have.

    Attributes:
        processors: cores. memory: MiB. gpu: whether networks need one.
    """

    processors: int = 1
    memory: int = 2048
    gpu: bool = False


ANY = Machine()


def write(folder: Path, plan: Plan, parts: Sequence[Stage], *, command: Sequence[str] = ("hyoid",),
          machine: Machine = ANY, needed: Mapping[str, Any] | None = None) -> list[Path]:  # fmt: skip
    """Write a bundle; the files of it.

    Args:
        parts: see ``stages.of_plan``. command: what starts Hyoid on the farm; its first word can be changed when the
            job is submitted. needed: see :func:`assets`; with it, the files of Deadline Cloud are written too.

    Raises:
        UsageError: more than 100 steps, or a name that cannot be written. OutputError: a file cannot be written.
    """
    found = template(plan, parts, command, machine)
    values = {"HomeFolder": str(plan.home), "RecordsFolder": str(plan.folder)}
    plans.write(folder / PLAN, plan)
    files = {TEMPLATE: found, PARAMETERS: {"PlanFile": str(folder.absolute() / PLAN), **values}}
    if needed is not None:
        given = values | {f"deadline:{name}": value for name, value in _DEADLINE.items()}
        files[VALUES] = {"parameterValues": [{"name": name, "value": value} for name, value in given.items()]}
        files[ASSETS] = {"assetReferences": needed}
    for name, content in files.items():
        write_bytes(folder / name, json.dumps(content, indent=2, ensure_ascii=False).encode() + b"\n")
    return [folder / name for name in (*files, PLAN)]


def template(plan: Plan, parts: Sequence[Stage], command: Sequence[str], machine: Machine) -> dict[str, Any]:
    """The job template of a plan.

    Raises:
        UsageError: too many steps, or a name that a template cannot hold.
    """
    if len(parts) >= _MOST_STEPS:
        raise UsageError(f"the job has {len(parts) + 1} steps for the farm", expected=f"at most {_MOST_STEPS}",
                         hint="Cut the job file in two")  # fmt: skip
    for name in (plan.name, *plan.steps):
        if "{{" in name or not name.isprintable():
            raise UsageError(f"'{name}' cannot be the name of a job or step for a farm",
                             expected="letters, digits and signs, but not {{")  # fmt: skip
    own = len(parts) <= _MOST_PARAMETERS - 6
    common = [*command[1:], "farm"]
    steps = [_step(stage, number, own, common, machine) for number, stage in enumerate(parts, 1)]
    lasting = {name for stage in parts for name in stage.after}
    last = [stage.name for stage in parts if stage.name not in lasting]
    return {
        "specificationVersion": _VERSION, "extensions": ["TASK_CHUNKING"], "name": plan.name[:_LONGEST_JOB],
        "description": f"Hyoid: {len(plan.units)} pieces of work in {len(plan.steps)} steps",
        "parameterDefinitions": [*_parameters(command[0], machine), *(_at_once(parts) if own else [])],
        "jobEnvironments": [{"name": "Settings", "variables": {
            "HYOID_FARM_TASK_STRICT": "{{Param.Strict}}", "HYOID_FARM_TASK_DEVICE": "{{Param.Device}}",
            "HYOID_FARM_WORKER_DEVICE": "{{Param.Device}}",
        }}],
        "steps": [*steps, _report(last, common)],
    }  # fmt: skip


def assets(plan: Plan) -> dict[str, Any]:
    """What a farm without shared folders has to copy: the files that are read, and the folders that are written."""
    from hyoid.verbs import run

    reads: set[Path] = set()
    writes: set[Path] = set()
    for unit in plan.units:
        own_reads, own_writes = run.paths_of(run.job_of(unit.verb, dict(unit.values), plan.home, plan.home))
        reads.update(own_reads)
        writes.update(own_writes)
    inputs = sorted(path for path in reads - writes if path.exists())
    return {
        "inputs": {
            "filenames": [str(path) for path in inputs if path.is_file()],
            "directories": [str(path) for path in [*inputs, plan.folder] if path.is_dir()],
        },
        "outputs": {"directories": sorted({str(plan.folder), *(str(path.parent) for path in writes)})},
        "referencedPaths": [str(plan.home)],
    }


def _parameters(command: str, machine: Machine) -> list[dict[str, Any]]:
    def control(kind: str, label: str, group: str) -> dict[str, Any]:
        return {"userInterface": {"control": kind, "label": label, "groupLabel": group}}

    devices = ["job", "auto", "cpu", "cuda"]
    return [
        {
            "name": "PlanFile", "type": "PATH", "objectType": "FILE", "dataFlow": "IN", "default": PLAN,
            "description": "What is to be done: shots, steps, chunks.",
            **control("CHOOSE_INPUT_FILE", "Plan", _FOLDERS),
        },
        {
            # Not IN: a farm without shared folders copies the files of asset_references, not all that lies there.
            "name": "HomeFolder", "type": "PATH", "objectType": "DIRECTORY", "dataFlow": "NONE",
            "description": "The folder of the job file, from which inputs and outputs are named.",
            **control("CHOOSE_DIRECTORY", "Job folder", _FOLDERS),
        },
        {
            "name": "RecordsFolder", "type": "PATH", "objectType": "DIRECTORY", "dataFlow": "OUT",
            "description": "Where parts, records of what is done, and logs lie.",
            **control("CHOOSE_DIRECTORY", "Parts and records", _FOLDERS),
        },
        {
            "name": "HyoidCommand", "type": "STRING", "default": command, "minLength": 1,
            "description": "The command that starts Hyoid on the machines of the farm.",
            **control("LINE_EDIT", "Hyoid", _RUNNING),
        },
        {
            "name": "Device", "type": "STRING", "default": "cuda" if machine.gpu else "job", "allowedValues": devices,
            "description": "Where networks run; job: as the job file says.",
            **control("DROPDOWN_LIST", "Networks run on", _RUNNING),
        },
        {
            "name": "Strict", "type": "STRING", "default": "false", "allowedValues": ["true", "false"],
            "description": "Fail a task when a shot failed. Without it the last step tells what failed.",
            **control("CHECK_BOX", "Stop at shots that fail", _RUNNING),
        },
    ]  # fmt: skip


def _at_once(parts: Sequence[Stage]) -> list[dict[str, Any]]:
    return [
        {
            "name": f"AtOnce{number}", "type": "INT", "default": stage.at_once, "minValue": 1,
            "userInterface": {"control": "SPIN_BOX", "label": stage.name, "groupLabel": _CHUNKS},
        }
        for number, stage in enumerate(parts, 1)
    ]  # fmt: skip


def _step(stage: Stage, number: int, own: bool, common: Sequence[str], machine: Machine) -> dict[str, Any]:
    chunks = {"defaultTaskCount": f"{{{{Param.AtOnce{number}}}}}" if own else stage.at_once,
              "rangeConstraint": "NONCONTIGUOUS"}  # fmt: skip
    space = {"name": TASKS, "type": "CHUNK[INT]", "range": f"0-{stage.count - 1}", "chunks": chunks}
    note = "--listen={{Session.WorkingDirectory}}/worker.json"
    place = ["{{Param.PlanFile}}", "--home={{Param.HomeFolder}}", "--folder={{Param.RecordsFolder}}"]
    worker = {"onEnter": _action([*common, "worker", *place, note]),
              "onExit": _action([*common, "worker", *place, note, "--stop"])}  # fmt: skip
    work = _action([*common, "task", *place, *stage.words, f"--tasks={{{{Task.Param.{TASKS}}}}}", "--openjd"])
    amounts = [{"name": "amount.worker.vcpu", "min": machine.processors},
               {"name": "amount.worker.memory", "min": machine.memory}]  # fmt: skip
    if machine.gpu and not stage.finish:
        amounts.append({"name": "amount.worker.gpu", "min": 1})
    found: dict[str, Any] = {"name": stage.name}
    if stage.after:
        found["dependencies"] = [{"dependsOn": name} for name in stage.after]
    return {
        **found, "parameterSpace": {"taskParameterDefinitions": [space]}, "hostRequirements": {"amounts": amounts},
        "stepEnvironments": [{"name": "Worker", "script": {"actions": worker}}], "script": {"actions": {"onRun": work}},
    }  # fmt: skip


def _report(after: Sequence[str], common: Sequence[str]) -> dict[str, Any]:
    place = ["{{Param.PlanFile}}", "--home={{Param.HomeFolder}}", "--folder={{Param.RecordsFolder}}"]
    work = _action([*common, "status", *place, "--report", "--openjd"])
    return {
        "name": stages.REPORT, "dependencies": [{"dependsOn": name} for name in after],
        "script": {"actions": {"onRun": work}},
    }  # fmt: skip


def _action(words: Sequence[str]) -> Mapping[str, Any]:
    leave = {"mode": "NOTIFY_THEN_TERMINATE", "notifyPeriodInSeconds": _NOTICE_SECONDS}
    return {"command": "{{Param.HyoidCommand}}", "args": list(words), "cancelation": leave}
