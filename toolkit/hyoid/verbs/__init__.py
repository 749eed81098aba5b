# SPDX-License-Identifier: Apache-2.0
"""The verbs: what a user asks for. One module each, with its job model and ``run(job, report)``."""

from __future__ import annotations

# Name and summary stand here so that `hyoid --help` imports no verb.
SUMMARIES: dict[str, str] = {
    "talk": "speech to a performing head",
    "rig": "build a character",
    "rig fit": "your own head mesh or scan, rigged: its topology with face shapes, neck and larynx",
    "convert": "a take or a performance from one format to another",
    "render": "pictures and films of a Blender scene, with a take put onto its character",
    "info": "what is inside a file, where it comes from, and whether it may be used commercially",
    "check": "validate a file or a job before work starts",
    "stabilize": "the head's motion taken out of face meshes, and given back as a curve",
    "lift": "2D joints of a detector to an animated armature on the ground",
    "headpose": "where heads look in pictures and films, and that look on a character",
    "run": "run a job file (TOML or JSON)",
    "farm run": "run a job of steps and shots through Open Job Description, on this machine",
    "farm bundle": "a job of steps and shots for a farm: Open Job Description, OpenCue, Flamenco, Slurm",
    "farm status": "how far a job of steps and shots is, and what failed",
    "farm task": "does tasks of a plan by number: what a farm calls",
    "farm worker": "does the tasks of a plan that it is asked for, and keeps networks loaded",
    "schema": "every verb and option as JSON schema, for programs that draw forms",
    "train facestab": "weights for stabilize, learned from made-up people",
    "train ktpformer": "weights for lift over time, learned from motion capture",
    "train hopfir": "weights for lift of single pictures, learned from motion capture",
    "train semiuhpe": "weights for the direction of a head, learned from our own renders",
    "train directmhp": "weights that find heads and their directions, learned from our own renders",
    "weights list": "what each system can run with, and where official weights are to be had",
    "weights add": "keep a checkpoint of yours, so that --weights finds it by name",
    "weights verify": "read every file of weights again",
    "bench": "measure this installation against named peers",
    "doctor": "what this machine has, what is missing, and the next command to type",
}
