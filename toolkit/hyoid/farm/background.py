# SPDX-License-Identifier: Apache-2.0
"""A worker in the background of a farm's session, which keeps networks loaded between commands; how they reach it.

The worker writes a note (a file that only its user can read): the address of a local socket, a random key, and the
identity of its plan. Whoever knows the key says ``{"want": "tasks"}`` or ``{"want": "stop"}``, hears ``ready``,
``busy`` or ``stopping``, and then speaks as in :mod:`hyoid.farm.worker`, in messages of JSON bytes. One client is
served at a time. One that goes away cancels its task, and the worker ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import AuthenticationError
from multiprocessing import connection as connections
from multiprocessing.connection import Connection, Listener
from pathlib import Path
from typing import Any

from hyoid import cancel, held
from hyoid.errors import HyoidError
from hyoid.farm import plan as plans
from hyoid.farm import worker
from hyoid.farm.plan import Plan, Task
from hyoid.farm.tasks import Outcome
from hyoid.farm.worker import Event
from hyoid.files import output_errors
from hyoid.report import Report
from hyoid.threads import one_blas_thread

ENVIRONMENT = "HYOID_WORKER"
IDLE_SECONDS = 1800.0
_LOOK_SECONDS = 2.0  # between looks whether anybody still needs the worker
_ANSWER_SECONDS = 10.0
_START_SECONDS = 120.0
_STOP_SECONDS = 8.0
_LONGEST_ADDRESS = 100  # bytes; sockets take 108 on Linux, 104 on macOS
_LONGEST = 64 << 20
_GONE = (OSError, EOFError, ValueError, AuthenticationError)


class WorkerGoneError(Exception):
    """The worker cannot be reached, is busy, does another plan, or has died: whoever asked does the work itself."""


# --- the worker's side ------------------------------------------------------------------------------------------------


def serve(plan: Plan, note: Path, needed: Callable[[], bool], *, idle_seconds: float = IDLE_SECONDS) -> int:
    """Do what clients ask for until one says stop, nobody has asked for long, or the worker is not needed.

    Args:
        note: is written when clients can come, and removed at the end. needed: asked every few seconds.

    Returns:
        How many tasks were done.

    Raises:
        OutputError: the note cannot be written. Cancelled: a client went away in the middle of its task.
    """
    done, last = 0, time.monotonic()
    with _listener() as (listener, key), held.holding(), one_blas_thread():
        door = _Door(listener)
        with _noted(note, plan, listener, key):
            threading.Thread(target=door.watch, name="clients", daemon=True).start()
            while time.monotonic() - last < idle_seconds and needed() and note.exists():
                try:
                    client = door.clients.get(timeout=_LOOK_SECONDS)
                except queue.Empty:
                    continue
                if client is None:
                    break
                with client:
                    done += worker.attend(plan, _messages(client), lambda event, to=client: _send(to, event))
                door.busy.clear()
                last = time.monotonic()
    return done


class _Door:
    """Lets one client in at a time; others hear that the worker is busy."""

    def __init__(self, listener: Listener) -> None:
        self.busy = threading.Event()
        self.clients: queue.SimpleQueue[Connection | None] = queue.SimpleQueue()
        self._listener = listener

    def watch(self) -> None:
        """Until somebody says stop."""
        while True:
            try:
                client = self._listener.accept()
                wish = json.loads(client.recv_bytes(_LONGEST)) if client.poll(_ANSWER_SECONDS) else {}
            except (EOFError, ConnectionError, AuthenticationError, ValueError):
                continue  # no client of ours, or one that went away at once
            except OSError:
                return  # the socket is closed
            if wish.get("want") == "stop":
                self._stop(client)
                return
            if wish.get("want") != "tasks" or self.busy.is_set():
                _send(client, {"event": "busy"})
                client.close()
                continue
            self.busy.set()
            _send(client, {"event": "ready"})
            self.clients.put(client)

    def _stop(self, client: Connection) -> None:
        _send(client, {"event": "stopping"})
        client.close()
        self.clients.put(None)
        if self.busy.is_set():
            cancel.main_thread()


@contextlib.contextmanager
def _listener() -> Iterator[tuple[Listener, bytes]]:
    """A local socket that only this user can reach, and the key that its clients must know."""
    key = secrets.token_bytes(32)
    if os.name == "nt":
        with Listener(None, "AF_PIPE", authkey=key) as listener:
            yield listener, key
        return
    folder = tempfile.mkdtemp(prefix="hyoid-")
    if len(os.fsencode(folder)) > _LONGEST_ADDRESS - len("/worker"):
        os.rmdir(folder)
        folder = tempfile.mkdtemp(prefix="hyoid-", dir="/tmp")
    try:
        with Listener(f"{folder}/worker", "AF_UNIX", backlog=8, authkey=key) as listener:
            yield listener, key
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _noted(note: Path, plan: Plan, listener: Listener, key: bytes) -> Iterator[None]:
    """The note, readable by its user alone, as long as clients may come."""
    facts = {"address": listener.address, "key": key.hex(), "process": os.getpid(), "plan": plans.identity(plan)}
    part = note.with_name(f"{note.name}.{os.getpid()}.part")
    with output_errors(note):
        note.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
            stream.write(json.dumps(facts))
        part.replace(note)
    try:
        yield
    finally:
        if _read_note(note).get("process") == os.getpid():  # else another worker has taken its place
            note.unlink(missing_ok=True)


# --- the other side ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Client:
    """The way to a worker that does tasks for us."""

    connection: Connection

    def perform(self, task: Task, report: Report, *, overwrite: bool = False) -> Outcome:
        """Let the worker do a task of its plan.

        Raises:
            WorkerGoneError: it has died. HyoidError: see ``tasks.perform``.
        """
        try:
            self.connection.send_bytes(json.dumps(worker.request_of(task, overwrite=overwrite)).encode())
            for message in _messages(self.connection):
                event = json.loads(message)
                if event["event"] == "ended":
                    return worker.outcome_of(event)
                if event["event"] == "broken":
                    raise worker.error_of(event)
                report.emit(event)
        except _GONE:
            pass
        raise WorkerGoneError("the worker in the background has died")


@contextlib.contextmanager
def client(note: Path, plan: Plan) -> Iterator[Client]:
    """The way to the worker of a note; leaving cancels what it does for us.

    Raises:
        WorkerGoneError: it does not answer, is busy, or does another plan.
    """
    facts = _read_note(note)
    if not facts:
        raise WorkerGoneError(f"there is no worker at {note}")
    if facts.get("plan") != plans.identity(plan):
        raise WorkerGoneError("the worker in the background has another plan")
    with _reach(facts) as connection:
        answer = _ask(connection, "tasks")
        if answer != "ready":
            raise WorkerGoneError(f"the worker in the background is {answer}")
        yield Client(connection)


def start(words: Sequence[str], note: Path) -> None:
    """Start a worker that goes on when this process has ended, and wait until clients can come.

    Args:
        words: of ``hyoid`` that serve in the foreground. note: beside it lies a log, what the worker says.

    Raises:
        HyoidError: it ended at once, with the last line of its log, or was not ready within two minutes.
    """
    log = note.with_name(f"{note.name}.log")
    note.unlink(missing_ok=True)
    flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.DETACHED_PROCESS if sys.platform == "win32" else 0
    with output_errors(log):
        log.parent.mkdir(parents=True, exist_ok=True)
        stream = log.open("wb")
    with stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "hyoid", *words], stdin=subprocess.DEVNULL, stdout=stream, stderr=stream,
            start_new_session=True, creationflags=flags,
        )  # fmt: skip
    begun = time.monotonic()
    while not note.exists():
        code = process.poll()
        if code is not None or time.monotonic() - begun > _START_SECONDS:
            process.kill()
            process.wait()
            said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            why = f"it ended with {code}" if code is not None else f"it was not ready after {_START_SECONDS:.0f} s"
            raise HyoidError(f"the worker did not start: {said[-1] if said else why}", path=log)
        time.sleep(0.05)


def stop(note: Path) -> bool:
    """End a worker, whatever it does, and wait until it is gone; False where there was none."""
    facts = _read_note(note)
    try:
        with _reach(facts) as connection:
            _ask(connection, "stop")
    except WorkerGoneError:
        note.unlink(missing_ok=True)
        return False
    begun = time.monotonic()
    while note.exists() and time.monotonic() - begun < _STOP_SECONDS:
        time.sleep(0.05)
    return True


@contextlib.contextmanager
def _reach(facts: dict[str, Any]) -> Iterator[Connection]:
    """A connection that has proved to know the key; a worker that hangs is given up after some seconds."""
    got: queue.SimpleQueue[Connection | None] = queue.SimpleQueue()

    def reach() -> None:
        try:
            got.put(connections.Client(str(facts["address"]), authkey=bytes.fromhex(facts["key"])))
        except (*_GONE, KeyError, TypeError):
            got.put(None)

    threading.Thread(target=reach, daemon=True).start()
    try:
        connection = got.get(timeout=_ANSWER_SECONDS)
    except queue.Empty:
        connection = None
    if connection is None:
        raise WorkerGoneError("the worker in the background does not answer")
    with connection:
        yield connection


def _ask(connection: Connection, want: str) -> str:
    try:
        connection.send_bytes(json.dumps({"want": want}).encode())
        if connection.poll(_ANSWER_SECONDS):
            return str(json.loads(connection.recv_bytes(_LONGEST))["event"])
    except (*_GONE, KeyError):
        pass
    raise WorkerGoneError("the worker in the background does not answer")


def _messages(connection: Connection) -> Iterator[bytes]:
    while True:
        yield connection.recv_bytes(_LONGEST)


def _send(connection: Connection, event: Event) -> None:
    with contextlib.suppress(OSError, ValueError):  # who asked is gone: the end of its messages tells
        connection.send_bytes(json.dumps(event).encode())


def _read_note(note: Path) -> dict[str, Any]:
    try:
        found = json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
