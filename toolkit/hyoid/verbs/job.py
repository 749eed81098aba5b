# SPDX-License-Identifier: Apache-2.0
"""What every verb's job has in common. A verb is a module with ``Job`` (a pydantic model) and ``run(job, report)``.

The command line, the TOML job file and the Blender panel are all made from the job model, so a field needs a
description that an artist understands, a default, and its limits (``ge``, ``le``). ``cli`` metadata in
``json_schema_extra`` may say ``{"positional": True}``, ``{"short": "-o"}``, ``{"file_or_text": True}`` or
``{"file_or_name": True}``; for forms (see ``schema``) also ``{"advanced": True}`` and ``{"file": "read"}``,
``"write"``, ``"folder"`` or ``"any"`` (a file or a folder).
"""

from __future__ import annotations

import os
import typing
from pathlib import Path
from typing import Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

CLI = "cli"
DEVICE = r"auto|cpu|cuda(:\d+)?"
"""What ``--device`` takes where networks run."""


def positional() -> dict[str, Any]:
    """Metadata: the field is given by place, not by name."""
    return {CLI: {"positional": True}}


def short(flag: str) -> dict[str, Any]:
    """Metadata: the field also has a short flag."""
    return {CLI: {"short": flag}}


def file_or_text() -> dict[str, Any]:
    """Metadata: the text may be the path of a text file, relative to a job file."""
    return {CLI: {"file_or_text": True}}


def file_or_name() -> dict[str, Any]:
    """Metadata: the text may be the path of a file, relative to a job file, or the name of something else."""
    return {CLI: {"file_or_name": True}}


def cli_settings(field: FieldInfo) -> dict[str, Any]:
    """The metadata of a field for the command line, empty where it has none."""
    extra = field.json_schema_extra
    return cast(dict[str, Any], extra.get(CLI, {})) if isinstance(extra, dict) else {}


def environment_defaults(verb: str, model: type[JobModel]) -> dict[str, str]:
    """Options that the environment gives a verb: ``HYOID_TALK_FPS=24`` for those that take one value.

    The command line and job files come before it.
    """
    found = {}
    for name, field in model.model_fields.items():
        text = os.environ.get(f"HYOID_{verb}_{name}".upper().replace(" ", "_"))
        if text and typing.get_origin(field.annotation) not in (list, dict):
            found[name] = text
    return found


class JobModel(BaseModel):
    """A validated job: unknown fields and endless numbers are errors, nothing changes after."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)


class PictureOptions(JobModel):
    """How pictures and films look."""

    width: int = Field(512, ge=16, le=8192, description="width of pictures and films in pixels")
    height: int = Field(512, ge=16, le=8192, description="height of pictures and films in pixels")
    view: Literal["head", "front", "profile", "body"] = Field("head", description="camera of pictures and films")


class OutputOptions(PictureOptions):
    """How a performance is written."""

    keys: Literal["sparse", "dense"] = Field(
        "sparse", description="animation keys of a .blend: sparse ones that are easy to edit, or one on every frame"
    )
    table: Literal["plain", "live_link"] = Field("plain", description="columns of a .csv: ours, or Live Link Face's")


def output_field(description: str) -> Any:
    """The ``-o`` option: one or more files, the type follows the suffix."""
    return Field(min_length=1, description=description, json_schema_extra=short("-o"))


Outputs = list[Path]
