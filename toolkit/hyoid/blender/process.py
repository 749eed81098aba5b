# SPDX-License-Identifier: Apache-2.0
"""The Blender child process: found, started in its own group, listened to, and ended when the parent ends."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

from hyoid.errors import HyoidError, InputError, MissingToolError, OutOfMemoryError, OutputError, UsageError
from hyoid.report import Report

CHILD = Path(__file__).resolve().with_name("child.py")
PREFIX = "hyoid-event "
_INSTALL = 'Install it: pip install "bpy>=4.2.23,<4.3"'
_ERRORS = {
    "input": InputError,
    "output": OutputError,
    "memory": OutOfMemoryError,
    "usage": UsageError,
}


def blender_command() -> tuple[list[str], dict[str, str]]:
    """The command line up to the job folder and the environment of the child.

    ``HYOID_BLENDER`` may name a Blender program, a Python that has bpy, or a folder that holds the package ``bpy``;
    without it this Python's own bpy is used.

    Raises:
        MissingToolError: there is no bpy, or HYOID_BLENDER names nothing that exists.
    """
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONSTARTUP"}
    environment["PYTHONHASHSEED"] = "0"  # the FBX exporter derives its object numbers from hash()
    chosen = os.environ.get("HYOID_BLENDER", "")
    if not chosen:
        if importlib.util.find_spec("bpy") is None:
            raise MissingToolError("Blender as a Python module (bpy) is not installed", hint=_INSTALL)
        return [sys.executable, str(CHILD), "--"], environment
    path = Path(chosen)
    if path.is_dir() and (path / "bpy").is_dir():
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(path), environment.get("PYTHONPATH")]))
        return [sys.executable, str(CHILD), "--"], environment
    if not path.is_file() or not os.access(path, os.X_OK):
        raise MissingToolError(
            "HYOID_BLENDER names no program",
            path=path,
            expected="a Blender program or a Python that has bpy",
            hint=f"Correct the variable or unset it. {_INSTALL}",
        )
    if path.stem.lower().startswith("blender"):
        script = ["-b", "--factory-startup", "--python-exit-code", "3", "--python", str(CHILD), "--"]
        return [str(path), *script], environment
    return [str(path), str(CHILD), "--"], environment


def run(command: list[str], environment: dict[str, str], job_folder: Path, target: Path, report: Report) -> None:
    """Run the child on a job folder and pass its events on to ``report``.

    Raises:
        HyoidError: the child failed; the kind and the text are the child's.
    """
    with contextlib.closing(events(command, environment, job_folder, target)) as told:
        for event in told:
            pass_on(event, report)


def events(
    command: list[str], environment: dict[str, str], job_folder: Path, target: Path
) -> Generator[dict[str, Any], None, None]:
    """What the child tells while it works on a job folder, event by event; closing the generator ends the child.

    Raises:
        HyoidError: the child failed; the kind and the text are the child's.
    """
    with open(job_folder / "stderr.txt", "w+b") as errors:
        try:
            # The child watches its standard input: the pipe closes when this process dies, however it dies.
            child = subprocess.Popen(
                [*command, str(job_folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            raise MissingToolError(f"cannot be started: {error.strerror}", path=command[0], hint=_INSTALL) from error
        failure, done = None, False
        try:
            assert child.stdout is not None
            for line in child.stdout:
                event = _event(line)
                if event is None:
                    continue
                if event["event"] == "failure":
                    failure = event
                elif event["event"] == "done":
                    done = True
                else:
                    yield event
            child.wait()
        finally:
            _end(child)
        errors.seek(0)
        tail = errors.read()[-4000:].decode("utf-8", "replace")
    if failure is not None:
        raise _failure(failure, target)
    if child.returncode != 0 or not done:
        raise _died(child.returncode, tail, target)


def _event(line: bytes) -> dict[str, Any] | None:
    """The event on a line of the child's output; None for what Blender itself prints."""
    text = line.decode("utf-8", "replace")
    if not text.startswith(PREFIX):
        return None
    try:
        return json.loads(text[len(PREFIX) :])
    except ValueError:
        return None


def pass_on(event: dict[str, Any], report: Report) -> None:
    """Show progress and messages of the child as ours; other events are for those who asked for them."""
    if event["event"] == "progress":
        report.progress(event["fraction"], event["what"])
    elif event["event"] == "message":
        report.message(event["text"], event["level"])


def _failure(event: dict[str, Any], target: Path) -> HyoidError:
    if event["kind"] == "missing":
        return MissingToolError(event["found"], hint=_INSTALL)
    kind = _ERRORS.get(event["kind"], HyoidError)
    return kind(event["found"], path=event.get("path") or target, hint=event.get("hint"))


def _died(code: int, stderr: str, target: Path) -> HyoidError:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    last = lines[-1] if lines else "it said nothing"
    if code == -signal.SIGKILL:
        return OutOfMemoryError(
            "Blender was killed, most likely because memory ran out",
            path=target,
            hint="Use fewer frames, part=head, or smaller pictures",
        )
    if "iostream error" in last:  # how the Alembic library ends the process when a write fails
        return OutputError(
            "cannot be written: the disk is full", path=target, hint="Free some space or choose another folder"
        )
    if "GLX or EGL context" in last:
        return MissingToolError(
            "Blender finds no OpenGL on this machine", path=target,
            hint="Run: apt-get install -y libegl1 libgl1-mesa-dri; or render with --engine cycles, which needs none",
        )  # fmt: skip
    ended = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
    return HyoidError(f"Blender {ended}: {last}", path=target)


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the child and whatever it started, within five seconds."""
    for number, patience in ((signal.SIGTERM, 2.0), (signal.SIGKILL, 2.0)):
        if child.poll() is not None:
            break
        _signal_group(child, number)
        deadline = time.monotonic() + patience
        while child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
    for stream in (child.stdin, child.stdout):
        if stream is not None:
            stream.close()


def _signal_group(child: subprocess.Popen[bytes], number: int) -> None:
    try:
        os.killpg(child.pid, number)
    except ProcessLookupError:
        child.poll()
