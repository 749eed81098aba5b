# SPDX-License-Identifier: Apache-2.0
"""Runs inside bpy: does many jobs of renders in one process, and says what came of each.

    python render_probe.py FOLDER

FOLDER/jobs.json is a list of ``{"job": ..., "plan": ..., "after": EXPRESSION}``; FOLDER/told.json gets for each the
``events``, the ``error`` (kind, text, hint) if there was one, and the value of the expression over ``scene``.
"""

import json
import os
import sys
from pathlib import Path

import bpy
from hyoid.blender import child

folder = Path(sys.argv[1])
child._as_package("hyoid_blender")
from hyoid_blender import export  # noqa: E402

told = []
for number, entry in enumerate(json.loads((folder / "jobs.json").read_text())):
    place = folder / str(number)
    place.mkdir(exist_ok=True)
    (place / "job.json").write_text(json.dumps(entry["job"]))
    (place / "plan.json").write_text(json.dumps(entry.get("plan")))
    events, error = [], None
    try:
        export.run(place, lambda events=events, **event: events.append(event))
    except export.ExportError as raised:
        error = [raised.kind, str(raised), raised.hint]
    after = eval(entry["after"], {"scene": bpy.context.scene, "bpy": bpy}) if "after" in entry else None
    told.append({"events": events, "error": error, "after": after})
(folder / "told.json").write_text(json.dumps(told))
sys.stdout.flush()
os._exit(0)
