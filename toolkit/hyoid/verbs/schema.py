# SPDX-License-Identifier: Apache-2.0
"""``hyoid schema``: every verb and every option as JSON schema, for programs that draw forms (the Blender add-on).

A new verb announces itself by being in ``SUMMARIES``: nothing else has to know it. Its module may say more with two
constants: ``SUFFIXES``, the file types that it writes (all of them without it), and ``RESULT``: ``"take"`` when what
it makes is a performance that an application imports, ``"files"`` when the files themselves are wanted, ``"none"``
for verbs that answer people at a terminal. Without it a verb that has an ``output`` field and writes takes gives a
take, one with an ``output`` field gives files, any other none.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from hyoid.errors import UsageError
from hyoid.report import Report
from hyoid.verbs import SUMMARIES
from hyoid.verbs.job import CLI, JobModel, positional

PROTOCOL = 1
"""Raised when the events, the way of running a job file or this answer change in a way that breaks readers."""
OUTPUT_FIELDS = ("output", "outputs")
TAKE = ".take.npz"
Result = Literal["take", "files", "none"]


class Job(JobModel):
    """Which verb to describe."""

    name: str | None = Field(None, description="one verb; without it all of them", json_schema_extra=positional())


def run(job: Job, report: Report) -> dict[str, Any]:
    """Describe one verb or all.

    Returns:
        ``protocol``, ``version`` (of the toolkit), ``verbs``: name to the answer of :func:`describe`.

    Raises:
        UsageError: there is no such verb.
    """
    from hyoid import __version__

    if job.name is not None and job.name not in SUMMARIES:
        raise UsageError(f"'{job.name}' is not a verb", expected=f"one of {', '.join(SUMMARIES)}")
    names = [job.name] if job.name else list(SUMMARIES)
    return {"protocol": PROTOCOL, "version": __version__, "verbs": {name: describe(name) for name in names}}


def describe(verb: str) -> dict[str, Any]:
    """What a program has to know about a verb to draw a form for it and to run it.

    Returns:
        ``summary``; ``result`` (``take``, ``files``, or ``none``: for people at a terminal); ``outputs``: None, or
        the ``field`` that takes the files to write, whether it takes ``several``, and the ``suffixes`` it can write;
        ``job``: the JSON schema of its options. In that, each property may have ``cli`` (how the command line takes
        it), ``advanced`` (shared by many verbs, seldom changed) and, for paths, ``file`` (``read``, ``write`` or
        ``folder``); the verb's own options come first.
    """
    from hyoid.cli import load_verb
    from hyoid.formats import FORMATS

    module = load_verb(verb)
    schema = _job_schema(module.Job)
    field = next((name for name in OUTPUT_FIELDS if name in schema["properties"]), None)
    outputs = None
    if field:
        written = [suffix for suffix, entry in FORMATS.items() if entry.writes]
        suffixes = list(getattr(module, "SUFFIXES", written))
        several = schema["properties"][field].get("type") == "array"
        outputs = {"field": field, "several": several, "suffixes": suffixes}
    guess: Result = "none" if outputs is None else "take" if TAKE in outputs["suffixes"] else "files"
    return {
        "summary": SUMMARIES[verb],
        "result": getattr(module, "RESULT", guess),
        "outputs": outputs,
        "job": schema,
    }


def _job_schema(model: type[JobModel]) -> dict[str, Any]:
    """The JSON schema of a job model, the model's own options before those that it shares."""
    schema = model.model_json_schema()
    own = model.__annotations__
    properties = schema.get("properties", {})
    for name, entry in properties.items():
        settings = entry.get(CLI, {})
        entry["advanced"] = bool(settings.get("advanced", name not in own))
        if _is_path(entry):
            entry["file"] = settings.get("file") or _file_use(name, entry)
    schema["properties"] = dict(sorted(properties.items(), key=lambda item: item[0] not in own))
    return schema


def _is_path(entry: dict[str, Any]) -> bool:
    """Whether a property holds a path, a list of them, or nothing."""
    if str(entry.get("format", "")).endswith("path"):
        return True
    arms = [*entry.get("anyOf", ()), *([entry["items"]] if isinstance(entry.get("items"), dict) else [])]
    return any(_is_path(arm) for arm in arms)


def _file_use(name: str, entry: dict[str, Any]) -> str:
    if name.endswith("folder") or "directory-path" in str(entry):
        return "folder"
    return "write" if name in OUTPUT_FIELDS or name.endswith("_out") else "read"


def show(result: dict[str, Any]) -> str:
    """The schema as JSON text with line breaks: there is nothing that reads better."""
    import json

    return json.dumps(result, indent=1)
