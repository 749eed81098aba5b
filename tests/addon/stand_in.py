# SPDX-License-Identifier: Apache-2.0
"""A stand-in for the toolkit that announces a verb ``wiggle`` and can misbehave in every way that a program can.

    python stand_in.py schema --json
    python stand_in.py run JOB.json --json --end-with-stdin

``behaviour`` of the job chooses what happens; ``source`` is the file that a good run copies to its output.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

BEHAVIOURS = (
    "good", "slow", "fail", "crash", "killed", "garbage", "silent", "complain", "forever", "stubborn", "flood",
    "nothing", "warn", "refuse",
)  # fmt: skip


def optional(kind, **more):
    return {"anyOf": [{"type": kind, **more}, {"type": "null"}], "default": None}


FIELDS = {
    "source": {"type": "string", "format": "path", "file": "read", "description": "take to wiggle"},
    "output": {"type": "array", "items": {"type": "string", "format": "path"}, "file": "write", "description": "files"},
    "behaviour": {"type": "string", "enum": list(BEHAVIOURS), "default": "good", "description": "how it goes"},
    "fps": {"type": "integer", "enum": [24, 25, 30], "default": 25, "description": "frames a second"},
    "strong": {"type": "boolean", "default": True, "description": "with strength"},
    "times": {"type": "integer", "minimum": 1, "maximum": 9, "default": 3, "description": "how often"},
    "seed": {"type": "integer", "minimum": 0, "maximum": 4294967295, "default": 0, "description": "of chance"},
    "angle": {"type": "number", "exclusiveMinimum": 0, "maximum": 45, "default": 12.5, "description": "degrees"},
    "name": {"type": "string", "default": 'wig\'gle "ü"', "description": "a word with a difficult name"},
    "folder": {"type": "string", "format": "path", "file": "folder", "default": "", "description": "of pictures"},
    "limit": optional("number", minimum=0, maximum=2) | {"description": "seconds; without it none"},
    "part": optional("string", enum=["head", "full"]) | {"description": "without it the take's own"},
    "mask": optional("string", format="path") | {"file": "read", "description": "picture"},
    "words": {"type": "array", "items": {"type": "string"}, "default": ["one"], "description": "several words"},
    "marks": {"type": "array", "items": {"type": "number"}, "default": [], "description": "several numbers"},
    "set": {"type": "object", "additionalProperties": {"type": "number"}, "default": {}, "description": "settings"},
    "keys": {"type": "string", "enum": ["sparse", "dense"], "default": "sparse", "description": "of it"},
    "width": {"type": "integer", "minimum": 16, "default": 512, "advanced": True, "description": "pixels"},
    "odd": {"oneOf": [{"type": "object"}, {"type": "array"}], "default": None, "description": "nothing to draw"},
}


def schema():
    required = ["source", "output"]
    verbs = {
        "wiggle": {
            "summary": "a head that wiggles",
            "result": "take",
            "outputs": {"field": "output", "several": True, "suffixes": [".take.npz", ".csv"]},
            "job": {"properties": FIELDS, "required": required},
        },
        "talk": {"summary": "speech", "result": "take", "outputs": {"field": "output"}, "job": {"properties": {}}},
        "doctor": {"summary": "health", "result": "none", "outputs": None, "job": {"properties": {}}},
    }
    extra = os.environ.get("STAND_IN_VERB")
    if extra:
        verbs[extra] = verbs["wiggle"]
    return {"protocol": int(os.environ.get("STAND_IN_PROTOCOL", "1")), "version": "9.9", "verbs": verbs}


def emit(**event):
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def ignore_ends():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def stubborn(job):
    """Two processes below, one of them in a session of its own; all refuse to end; a half-written file lies there."""
    ignore_ends()
    program = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    children = [
        subprocess.Popen([sys.executable, "-c", program], start_new_session=own, stdin=subprocess.DEVNULL)
        for own in (False, True)
    ]
    output = Path(job["output"][0])
    part = output.parent / f".{output.name}.{os.getpid()}.part"
    part.mkdir(parents=True)
    (part / output.name).write_bytes(b"half")
    Path(job["source"]).with_name("pids").write_text(" ".join(str(child.pid) for child in children) + f" {os.getpid()}")
    emit(event="progress", fraction=0.5, what="refusing")
    time.sleep(600)


def run(job):
    behaviour = job.get("behaviour", "good")
    job.setdefault("source", os.environ.get("STAND_IN_TAKE"))  # what its talk gives, which has no such option
    emit(event="start", verb="run", version="9.9", job={})
    emit(event="progress", fraction=0.25, what="wiggling")
    if behaviour == "slow":
        time.sleep(float(job.get("limit") or 0.5))
    elif behaviour == "fail":
        emit(event="failure", exit_code=3, error=f"{job['source']}: is no take; expected a .take.npz", path=None)
        return 3
    elif behaviour == "refuse":
        text = f"{job['source']}: is no head. Cut it, or give landmarks (--landmark)"
        emit(event="failure", exit_code=3, error=text, path=job["source"])
        return 3
    elif behaviour == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif behaviour == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    elif behaviour == "garbage":
        lines = (b"\xff\xfe{not json", b'{"event": 3}', b"[1]", b'{"event": "progress", "fraction": NaN}',
                 b'{"event": "progress", "fraction": "much"}', b'{"event": "odd"}')  # fmt: skip
        sys.stdout.buffer.write(b"\n".join(lines) + b"\n")
        sys.stdout.flush()
        return 0
    elif behaviour == "silent":
        return 0
    elif behaviour == "complain":
        sys.stderr.write("Traceback\nValueError: no luck \x1b[31m\n")
        return 1
    elif behaviour == "forever":
        time.sleep(600)
    elif behaviour == "stubborn":
        stubborn(job)
    elif behaviour == "flood":
        sys.stdout.write("x" * (9 << 20) + "\n")
        for index in range(20_000):
            sys.stdout.write(f"noise {index} " + "y" * 200 + "\n")
            sys.stderr.write("z" * 200 + "\n")
    target = Path(job["output"][0])
    if behaviour != "nothing":
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(job["source"], target)
    target.with_name(target.name + ".job").write_text(json.dumps(job, ensure_ascii=False), encoding="utf-8")
    emit(event="message", level="info", text="wiggled")
    for index in range(5 if behaviour == "warn" else 0):
        emit(event="message", level="warning", text=f"no eyes {index} (--eyes puts some in).")
    emit(event="progress", fraction=1.0, what="done")
    emit(event="result", verb="run", result={"verb": job["verb"], "outputs": [str(target)]})
    return 0


def main(words):
    if words[0] == "schema":
        emit(event="result", verb="schema", result=schema())
        return 0
    if words[0] == "doctor":
        checks = [
            {"name": "Python", "state": "ok", "found": "3.11", "next": "", "core": True},
            {"name": "films", "state": "missing", "found": "not there", "next": "pip install 'av'", "core": False},
        ]
        emit(event="result", verb="doctor", result={"checks": checks, "exit_code": 0})
        return 0
    return run(json.loads(Path(words[1]).read_text(encoding="utf-8")))


def alive(pid):
    """Whether a process runs; one that only waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def install(folder, name="hyoid", text=None):
    """Make the stand-in, or a program with another text, an executable of a folder."""
    program = Path(folder) / name
    program.parent.mkdir(parents=True, exist_ok=True)
    body = text if text is not None else Path(__file__).read_text(encoding="utf-8")
    program.write_text(f"#!{sys.executable}\n{body}", encoding="utf-8")
    program.chmod(0o755)
    return program


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
