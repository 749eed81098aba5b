# SPDX-License-Identifier: GPL-3.0-or-later
"""The queue: jobs wait, run in child processes, and hand their results to the scene that asked for them.

A timer looks at the children five times a second. It is a timer and not a modal operator because Blender saves no
automatic copies while a modal operator runs (tried in 3.4), and because a timer lives on when another file is loaded.
No Blender object is kept between two looks: scenes are found again by an id stored in them, then by name.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bpy

from . import places
from .process import Child, JobError

INTERVAL = 0.2
SCENE_ID = "hyoid_scene"
WAITING, RUNNING, READY, DONE, FAILED, CANCELLED = "waiting", "running", "ready", "done", "failed", "cancelled"
OVER = (DONE, FAILED, CANCELLED)
SECONDS_SHOWN = 30.0
"""How long a job that ended well stays in the panel."""
WARNINGS_SHOWN = 3
Handler = Callable[[Any, dict, dict], str]


@dataclass
class Job:
    """One job; plain values only, nothing of Blender.

    Attributes:
        state: waiting, running, ready (finished, its result not imported yet), done, failed or cancelled.
        result: what the verb gave. message: what was done with it. error: why it failed, for an artist.
        made: files that were written for the job; they go when it gives no result.
        lost: the result is there, but its scene or character is not: it can be imported elsewhere.
    """

    verb: str
    options: dict[str, Any]
    label: str
    handler: str
    payload: dict[str, Any]
    scene_id: str
    scene_name: str
    file: str
    generation: int
    made: tuple[Path, ...] = ()
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    state: str = WAITING
    result: dict[str, Any] | None = None
    message: str = ""
    error: str = ""
    lost: bool = False
    started: float = 0.0
    finished: float = 0.0
    child: Child | None = None
    folder: Path | None = None

    @property
    def fraction(self) -> float | None:
        """0..1, None while nothing is known."""
        return self.child.fraction if self.child else None

    @property
    def what(self) -> str:
        """What is being done."""
        return self.child.what if self.child else ""

    @property
    def elapsed(self) -> float:
        """Seconds since it started."""
        return (self.finished or time.monotonic()) - self.started if self.started else 0.0

    @property
    def log(self) -> str:
        """What the toolkit said, as text."""
        about = [f"{self.label}: {self.state}", self.error or self.message]
        lines = list(self.child.log) if self.child else []
        words = " ".join(self.child.words) if self.child else "not started"
        options = json.dumps(self.options, indent=1, ensure_ascii=False)
        parts = [*filter(None, about), f"Toolkit: {words}", f"hyoid {self.verb} {options}", "", *lines]
        return "\n".join(parts) + "\n"

    def files(self) -> list[Path]:
        """The files that the verb was told to write."""
        found = []
        for name, value in self.options.items():
            if name in ("output", "outputs") or name.endswith("_out"):
                found += [Path(item) for item in (value if isinstance(value, list) else [value]) if item]
        return found


_jobs: list[Job] = []
_handlers: dict[str, Handler] = {}
_dropped: dict[str, Callable[[dict], None]] = {}
_generation = 0


def jobs() -> list[Job]:
    """Every job that is not dismissed, the oldest first."""
    return list(_jobs)


def running() -> list[Job]:
    """The jobs whose process runs."""
    return [job for job in _jobs if job.state == RUNNING]


def find(job_id: str) -> Job | None:
    """The job with an id."""
    return next((job for job in _jobs if job.id == job_id), None)


def register_handler(name: str, function: Handler, dropped: Callable[[dict], None] | None = None) -> None:
    """Name what is done with results: ``function(scene, payload, result) -> message``, on the main thread.

    Args:
        dropped: called with the payload of a job that was cancelled or failed, to take away what was made for it.
    """
    _handlers[name] = function
    if dropped is not None:
        _dropped[name] = dropped


def submit(
    context: Any,
    verb: str,
    options: dict[str, Any],
    *,
    label: str,
    handler: str = "",
    payload: dict[str, Any] | None = None,
    made: Sequence[Path] = (),
    wait: bool = False,
) -> Job:
    """Run a verb of the toolkit for the scene of ``context``.

    Args:
        verb: ``talk``, ``convert``, ...
        options: fields of the verb's job model, JSON values or paths; ``//`` paths are of the .blend file.
        label: what the panel calls it.
        handler: registered name of what is done with the result; "" does nothing.
        payload: plain values that the handler gets.
        made: files that were written for this job (words, phonemes); they are removed when it gives no result.
        wait: come back when it is over; always so in background mode.

    Raises:
        JobError: there is no toolkit; or, when waiting, the job failed.
    """
    places.toolkit(context)  # says now, not in the queue, that there is none
    scene = context.scene
    job = Job(
        verb, _plain(options), label, handler, json.loads(json.dumps(payload or {}, default=str)), _id_of(scene),
        scene.name, bpy.data.filepath, _generation, tuple(made),
    )  # fmt: skip
    _jobs.append(job)
    if wait or bpy.app.background:
        _wait_for(job)
    else:
        _start_timer()  # not here and now: the result of another job must not come in the middle of an operator
    return job


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    def turned(value: Any) -> Any:
        if isinstance(value, str) and value.startswith("//"):
            return bpy.path.abspath(value)
        if isinstance(value, (list, tuple)):
            return [turned(item) for item in value]
        if isinstance(value, dict):
            return {str(name): turned(item) for name, item in value.items()}
        return str(value) if isinstance(value, Path) else value

    return json.loads(json.dumps({name: turned(value) for name, value in options.items()}))


def pump() -> bool:
    """Look at every job once: start what waits, import what is ready. Whether there is still something to do.

    The timer calls it; scripts in background mode may call it themselves.
    """
    settings = places.settings(bpy.context)
    for job in jobs():
        if job.state == RUNNING and job.child is not None and job.child.ended.is_set():
            _collect(job, settings.keep_files)
        if job.state == READY:
            _deliver(job)
    _forget_old()
    room = settings.at_once - sum(job.state == RUNNING for job in _jobs)
    for job in [job for job in _jobs if job.state == WAITING][: max(room, 0)]:
        _start(job)
    return any(job.state not in OVER or job.state == DONE for job in _jobs)


def _start(job: Job) -> None:
    job.started = time.monotonic()
    try:
        words, environment = places.toolkit(bpy.context), places.environment()
        job.folder = Path(tempfile.mkdtemp(prefix="hyoid-job-"))
        path = job.folder / "job.json"
        path.write_text(json.dumps({"verb": job.verb, **job.options}, ensure_ascii=False), encoding="utf-8")
    except (JobError, OSError) as error:
        _end(job, FAILED, str(error))
        return
    arguments = ["run", str(path), "--json", "--end-with-stdin"]
    job.child = Child(words, arguments, environment, before=places.make_sure, outputs=job.files(), folder=job.folder)
    job.state = RUNNING


def _collect(job: Job, keep: bool) -> None:
    """Take over what a finished child has."""
    child = job.child
    assert child is not None
    job.finished = time.monotonic()
    if child.result is not None:
        job.result, job.state = child.result, READY
    elif child.cancelled:
        _end(job, CANCELLED, "")
    else:
        error = child.error
        for path in job.made:  # the artist has not written it, and it goes
            error = error.replace(f"{path}: ", "")
        _end(job, FAILED, error[:1].upper() + error[1:])
    if job.folder is not None:
        if keep:
            _keep_log(job, job.folder / "log.txt")
        else:
            shutil.rmtree(job.folder, ignore_errors=True)
    places.a_toolkit_answered()


def _keep_log(job: Job, path: Path) -> None:
    try:
        path.write_text(job.log, encoding="utf-8")
    except OSError as error:
        job.message = f"The log cannot be kept: {error}"


def _deliver(job: Job) -> None:
    """Give the result to the handler, in the scene that started the job; one step of undo."""
    if not job.handler:
        job.message = ", ".join(Path(path).name for path in (job.result or {}).get("outputs", [])) or "done"
        _end(job, DONE, "")
        return
    if places.is_busy():
        return  # a render runs or a mesh is being edited: at a later look
    scene = scene_of(job)
    if scene is None:
        job.lost = True
        _end(job, FAILED, f"The scene '{job.scene_name}' is not in this file any more. {_where(job)}")
        return
    deliver_to(job, scene)


def deliver_to(job: Job, scene: Any) -> None:
    """Call the job's handler for a scene, whichever it is; one step of undo, even if it fails halfway."""
    handler = _handlers.get(job.handler)
    if handler is None:
        _fail_to_import(job, "Nothing in this add-on can import the result")
        return
    try:
        with places.in_scene(scene):
            job.message = _with_warnings(job, handler(scene, dict(job.payload), dict(job.result or {})) or "")
    except places.told_errors() as error:
        _fail_to_import(job, str(error))
    except Exception as error:  # noqa: BLE001  a fault of a handler must stop neither the timer nor Blender
        import traceback

        if job.child is not None:
            job.child.log.extend(traceback.format_exc().splitlines())
        _fail_to_import(job, f"The result could not be imported ({type(error).__name__}: {error})")
    else:
        job.lost = False
        _end(job, DONE, "")
    places.push_undo(f"Hyoid: {job.label}")


def _with_warnings(job: Job, message: str) -> str:
    """What was done, and what the toolkit warned of, if that is not in it already."""
    texts = [text.rstrip(".") for text in (job.child.warnings if job.child else [])]
    warned = [text[:1].upper() + text[1:] for text in texts if text not in message]
    more = [f"{len(warned) - WARNINGS_SHOWN} more warnings are in the Log"] if len(warned) > WARNINGS_SHOWN else []
    return ". ".join(filter(None, [message.rstrip(".") if warned else message, *warned[:WARNINGS_SHOWN], *more]))


def _fail_to_import(job: Job, error: str) -> None:
    job.lost = True
    _end(job, FAILED, f"{error.rstrip('.')}. {_where(job)}")


def _where(job: Job) -> str:
    outputs = (job.result or {}).get("outputs", [])
    return f"The result lies in {outputs[0]}" if outputs else "The result holds no file"


def _end(job: Job, state: str, error: str) -> None:
    _release(job)
    if state != DONE and job.result is None:
        for path in job.made:
            with contextlib.suppress(OSError):
                path.unlink()
        if job.handler in _dropped:
            _dropped[job.handler](dict(job.payload))
    job.state, job.error = state, error
    job.finished = job.finished or time.monotonic()
    if state == FAILED:
        places.tell_failure(job.label, error)


def _forget_old() -> None:
    now = time.monotonic()
    _jobs[:] = [
        job for job in _jobs
        if not (job.state == CANCELLED or (job.state == DONE and now - job.finished > SECONDS_SHOWN))
    ]  # fmt: skip


def output_path(context: Any, stem: str, suffix: str = ".take.npz") -> Path:
    """A path for a result that does not exist yet: ``STEM-001.take.npz`` in the output folder.

    It is claimed until the job is over, by a hidden file: other Blenders may write into the same folder.

    Raises:
        JobError: there is no toolkit to write it, or see ``places.output_folder``.
    """
    places.toolkit(context)
    folder = places.output_folder(context)
    clean = "".join("_" if letter in '<>:"/\\|?*' or ord(letter) < 32 else letter for letter in stem).strip(". ")
    short = os.fsencode(clean)[:120].decode("utf-8", "ignore") or "take"
    number = 0
    while True:
        number += 1
        path = folder / f"{short}-{number:03d}{suffix}"
        with contextlib.suppress(FileExistsError):
            _claim(path).touch(exist_ok=False)
            if not path.exists():
                return path
            _claim(path).unlink()


def _claim(path: Path) -> Path:
    return path.with_name(f".{path.name}.claim")


def _release(job: Job) -> None:
    """Give up the claims on the files of a job: they are written, or nobody will."""
    for path in job.files():
        with contextlib.suppress(OSError):
            _claim(path).unlink()


def scene_of(job: Job) -> Any:
    """The scene that started a job: by its id, else by its name if no other file was loaded since."""
    for scene in bpy.data.scenes:
        if scene.get(SCENE_ID) == job.scene_id and scene.library is None:
            # A copy of the scene has the same id: the name tells which of them it was.
            namesake = bpy.data.scenes.get(job.scene_name)
            return namesake if namesake and namesake.get(SCENE_ID) == job.scene_id else scene
    same_file = job.generation == _generation or bool(job.file and job.file == bpy.data.filepath)
    return bpy.data.scenes.get(job.scene_name) if same_file else None


def _id_of(scene: Any) -> str:
    """The id stored in a scene, made when it has none."""
    if not scene.get(SCENE_ID):
        scene[SCENE_ID] = uuid.uuid4().hex
    return scene[SCENE_ID]


def cancel(job: Job) -> None:
    """Cancel a job, running or waiting."""
    if job.state == WAITING:
        _end(job, CANCELLED, "")
    elif job.child is not None:
        job.child.cancel()


def dismiss(job: Job) -> None:
    """Take a job that is over out of the panel."""
    if job.state in OVER:
        _jobs.remove(job)


def _wait_for(job: Job) -> None:
    """Run everything up to this job here and now, telling its progress on standard output."""
    told = None
    try:
        while job.state not in OVER:
            pump()
            step = (round((job.fraction or 0) * 10), job.what)
            if step != told and bpy.app.background and job.state == RUNNING:
                told = step
                sys.stdout.write(f"hyoid: {job.label}: {100 * (job.fraction or 0):3.0f} % {job.what}\n")
                sys.stdout.flush()
            time.sleep(0.05)
    except BaseException:
        cancel(job)
        if job.child is not None:
            job.child.join(5.0)
        raise
    if job.state != DONE:
        raise JobError(job.error or "cancelled")


def end_all() -> None:
    """End every child and forget every job: the add-on is switched off or Blender ends."""
    for job in _jobs:
        cancel(job)
    for job in _jobs:
        if job.child is not None:
            job.child.join(5.0)
        _release(job)
        if job.folder is not None:
            shutil.rmtree(job.folder, ignore_errors=True)
    _jobs.clear()


def _tick() -> float | None:
    active = pump()
    places.redraw()
    if not active:
        return None
    return INTERVAL if any(job.state not in OVER for job in _jobs) else 5 * INTERVAL


def _start_timer() -> None:
    if not bpy.app.timers.is_registered(_tick):
        bpy.app.timers.register(_tick, first_interval=0.01, persistent=True)


def stop_timer() -> None:
    """Look no more."""
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)


@bpy.app.handlers.persistent
def another_file(*_: Any) -> None:
    """Another file was loaded: names of scenes mean nothing for older jobs."""
    global _generation
    _generation += 1
