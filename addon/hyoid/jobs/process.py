# SPDX-License-Identifier: GPL-3.0-or-later
"""A child process of the toolkit: started, listened to by threads, understood when it fails, ended with all its own.

Nothing here needs Blender, and nothing here blocks: the main thread looks at a :class:`Child` whenever it likes.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

LONGEST_LINE = 4 << 20
LONGEST_LOG_LINE = 2000
LOG_LINES = 4000
PATIENCE = 3.0
"""Seconds between asking a process to end and ending it."""
_PART = re.compile(r"\.(\d+)\.part$")
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_OPTION = re.compile(r"(, or [^,;:]*)? \(--[^)]*\)")
_WINDOWS = os.name == "nt"
_OWN_GROUP = 0x00000200 | 0x08000000  # a process group of its own, no console window


class JobError(Exception):
    """A job that cannot be done; the text is for an artist."""


class Child:
    """One command of the toolkit, with whatever has to run before it.

    Attributes:
        fraction: 0..1, or None while nothing is known. what: what is being done. log: the last lines.
        result: the ``result`` event's content, when there was one. error: why it failed, else "".
        warnings: what it warned of, without what only its command line knows.
        cancelled: whether it was cancelled, from here or from outside. ended: set when everything is over.
    """

    def __init__(
        self,
        words: Sequence[str],
        arguments: Sequence[str],
        environment: dict[str, str],
        *,
        before: Callable[[Child], None] | None = None,
        outputs: Iterable[Path] = (),
        folder: Path | None = None,
    ) -> None:
        """Start in a thread of its own.

        Args:
            words: the words of the toolkit's command. arguments: what follows them.
            environment: of the process.
            before: called in the thread before the command runs; a JobError of it fails the job.
            outputs: files that the command writes; half-written parts of them are removed if it fails.
            folder: the working folder.
        """
        self.words, self.arguments, self.environment = list(words), list(arguments), dict(environment)
        self.outputs, self.folder = [Path(path) for path in outputs], folder
        self.fraction: float | None = None
        self.what = "starting"
        self.log: deque[str] = deque(maxlen=LOG_LINES)
        self.warnings: list[str] = []
        self.result: dict[str, Any] | None = None
        self.error = ""
        self.cancelled = False
        self.ended = threading.Event()
        self._before = before
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._work, name="hyoid-job", daemon=True)
        self._thread.start()

    def cancel(self) -> None:
        """Ask the process tree to end, and end it when it does not; comes back at once."""
        with self._lock:
            if self.cancelled or self.ended.is_set():
                return
            self.cancelled = True
            process = self._process
        self.what = "cancelling"
        if process is not None:
            threading.Thread(target=end_tree, args=(process,), name="hyoid-end", daemon=True).start()

    def join(self, seconds: float) -> bool:
        """Wait until it is over; whether it is."""
        return self.ended.wait(seconds)

    def run(self, arguments: Sequence[str], limit: float | None = None) -> Answer:
        """Run one command of the toolkit to its end, in the calling thread (for ``before``).

        Args:
            arguments: what follows the words of the toolkit.
            limit: seconds after which the process is ended.

        Raises:
            JobError: it cannot be started.
        """
        answer = Answer()
        process = self._start(arguments)
        readers = [
            threading.Thread(target=self._read_events, args=(process.stdout, answer), daemon=True),
            threading.Thread(target=self._read_log, args=(process.stderr, answer), daemon=True),
        ]
        for reader in readers:
            reader.start()
        try:
            answer.code = process.wait(limit)
        except subprocess.TimeoutExpired:
            answer.late = True
            end_tree(process)
            answer.code = process.wait()
        _kill_group(process)  # what it left behind would hold the pipes, and the processor
        for reader in readers:
            reader.join(1.0)
        with self._lock:
            self._process = None
        for stream in (process.stdin, process.stdout, process.stderr):
            _close(stream)
        return answer

    def _start(self, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
        with self._lock:
            if self.cancelled:
                raise JobError("cancelled")
            try:
                # The pipe to its standard input stays open: when Blender dies, it closes, and the toolkit ends.
                process = subprocess.Popen(
                    [*self.words, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                    env=self.environment, cwd=self.folder, start_new_session=not _WINDOWS,
                    creationflags=_OWN_GROUP if _WINDOWS else 0,
                )  # fmt: skip
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or str(error)
                raise JobError(
                    f"The Hyoid toolkit cannot be started: {self.words[0]}: {reason}. Check its path in the preferences"
                ) from None
            self._process = process
            return process

    def _work(self) -> None:
        try:
            if self._before is not None:
                self._before(self)
            self._conclude(self.run(self.arguments))
        except JobError as error:
            self.error = str(error)
        except Exception as error:  # noqa: BLE001  a thread that dies silently would leave a job that never ends
            self.error = f"A fault of the add-on: {type(error).__name__}: {error}"
        if self.error or self.cancelled:
            remove_parts(self.outputs)
        self.ended.set()

    def _conclude(self, answer: Answer) -> None:
        if self.cancelled:
            return  # also when it finished in the same moment: who cancels does not want the result
        if answer.result is not None:
            self.result, self.fraction = answer.result, 1.0
        elif answer.failure is not None and answer.failure.get("exit_code") == 130:
            self.cancelled = True
        else:
            self.error = answer.explain(self.words)

    def _read_events(self, stream: BinaryIO, answer: Answer) -> None:
        for line in _lines(stream):
            event = parse_event(line)
            if event is None:
                self._note(line)
                if not answer.last and line[:1].isalpha():
                    answer.last = _readable(line)
                continue
            self._take(event, answer)

    def _take(self, event: dict[str, Any], answer: Answer) -> None:
        kind = event["event"]
        answer.events += 1
        if kind == "progress":
            fraction = event.get("fraction")
            if isinstance(fraction, (int, float)) and fraction == fraction:
                self.fraction = min(max(float(fraction), 0.0), 1.0)
            if event.get("what"):
                self.what = str(event["what"])[:200]
        elif kind == "message":
            self.log.append(f"{event.get('level', 'info')}: {event.get('text', '')}"[:LONGEST_LOG_LINE])
            if event.get("level") == "warning":
                self.warnings.append(for_artists(str(event.get("text", "")))[:LONGEST_LOG_LINE])
        elif kind == "result" and isinstance(event.get("result"), dict):
            answer.result = event["result"]
        elif kind == "failure":
            answer.failure = event
            self.log.append(f"error: {event.get('error', '')}"[:LONGEST_LOG_LINE])

    def _read_log(self, stream: BinaryIO, answer: Answer) -> None:
        for line in _lines(stream):
            self._note(line)
            if line.strip():
                answer.last = _readable(line)

    def _note(self, line: bytes) -> None:
        text = _readable(line)
        if text:
            self.log.append(text)


def _readable(line: bytes) -> str:
    """A line as text that can be shown: no colour codes, no control characters, not too long."""
    text = _COLOUR.sub("", line[:LONGEST_LOG_LINE].decode("utf-8", "replace")).strip()
    return "".join(letter if letter.isprintable() or letter == "\t" else "\N{REPLACEMENT CHARACTER}" for letter in text)


class Answer:
    """What one command of the toolkit said and how it ended."""

    def __init__(self) -> None:
        self.code = 0
        self.late = False
        self.events = 0
        self.result: dict[str, Any] | None = None
        self.failure: dict[str, Any] | None = None
        self.last = ""

    def explain(self, words: Sequence[str]) -> str:
        """Why there is no result, in words for an artist."""
        if self.failure is not None:
            return for_artists(str(self.failure.get("error") or "The toolkit failed and did not say why"))
        name = words[0]
        if self.late:
            return f"{name} does not answer. Is it really Hyoid? Check the path in the preferences"
        if self.code < 0:
            return _ended_by_signal(-self.code)
        if not self.events:
            said = f" It said: {self.last}" if self.last else ""
            return f"{name} does not answer like Hyoid. Is the path in the preferences right?{said}"
        said = f": {self.last}" if self.last else ""
        return f"The toolkit ended without a result (code {self.code}){said}"


def for_artists(text: str) -> str:
    """What the toolkit says, without what only options of its command line do: ``, or give landmarks (--landmark)``."""
    return _OPTION.sub("", text)


def _ended_by_signal(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    if name in ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP"):
        return (
            f"The toolkit was ended from outside ({name}). Out of memory? Close other programs or use a shorter piece"
        )
    return f"The toolkit crashed ({name}). Run it again; if it crashes again, the log helps to find out why"


def parse_event(line: bytes) -> dict[str, Any] | None:
    """The event in a line of output, None for anything else."""
    if not line.lstrip().startswith(b"{"):
        return None
    try:
        event = json.loads(line.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) and isinstance(event.get("event"), str) else None


def _lines(stream: BinaryIO) -> Iterable[bytes]:
    """Lines of a pipe; what is longer than the limit is cut, so that a program gone wild fills no memory."""
    cut = False
    while True:
        try:
            line = stream.readline(LONGEST_LINE)
        except (OSError, ValueError):
            return  # closed by the main thread
        if not line:
            return
        if not cut:
            yield line
        cut = not line.endswith(b"\n")


def _close(stream: Any) -> None:
    try:
        if stream is not None:
            stream.close()
    except OSError:
        return  # it had more to say to a process that is gone


def end_tree(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started: asked first, ended after three seconds. Blocks as long as that takes."""
    if _WINDOWS:
        _close(process.stdin)  # which the toolkit understands as the wish to end
        if not _ends_within(process, PATIENCE):
            subprocess.run(
                ["taskkill", "/PID", str(process.pid), "/T", "/F"], capture_output=True, check=False, timeout=10
            )
        return
    family = _descendants(process.pid)
    _signal_group(process.pid, signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE
    _ends_within(process, PATIENCE)
    _signal_group(process.pid, signal.SIGKILL)
    while any(_started(pid) == start for pid, start in family.items()) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid, start in family.items():
        if _started(pid) == start:
            _signal(pid, signal.SIGKILL)


def _ends_within(process: subprocess.Popen[bytes], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while process.poll() is None:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """End what a finished process left in its group."""
    if not _WINDOWS:
        _signal_group(process.pid, signal.SIGKILL)


def _signal_group(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return  # nobody is left in it


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return


def _descendants(pid: int) -> dict[int, str]:
    """Processes below one, with the time at which each started (so that a number used again is not mistaken).

    Only Linux tells; elsewhere the process group alone is ended.
    """
    if not sys.platform.startswith("linux"):
        return {}
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields:
                children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, waiting = {}, [pid]
    while waiting:
        for child in children.get(waiting.pop(), []):
            if child not in found:
                found[child] = _started(child)
                waiting.append(child)
    return {child: start for child, start in found.items() if start}


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name: state, parent, ... ; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def _started(pid: int) -> str:
    """When a living process started, in the system's ticks; "" when it is gone or only waits to be collected."""
    fields = _stat(pid)
    return fields[19] if len(fields) > 19 and fields[0] != "Z" else ""


def remove_parts(outputs: Iterable[Path]) -> None:
    """Remove the half-written parts (``.NAME.PID.part``) of files whose writer is gone."""
    for output in outputs:
        start = f".{output.name}."[:150]
        try:
            entries = list(output.parent.iterdir())
        except OSError:
            continue
        for entry in entries:
            match = _PART.search(entry.name)
            if match and entry.name.startswith(start) and not _lives(int(match[1])):
                shutil.rmtree(entry, ignore_errors=True)
                if entry.is_file():
                    entry.unlink()


def _lives(pid: int) -> bool:
    if _WINDOWS:
        return False  # signal 0 would end it there; only called after the end of the writer
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
