# SPDX-License-Identifier: Apache-2.0
"""A job on one machine: chunks equal the whole, what is done is not done again, what fails does not stop the rest."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hyoid.cli import run_command
from hyoid.farm import local, plan, summary
from hyoid.report import SILENT

from tests.farm.chunked import written

JOB = """
name = "waves"
chunk = {chunk}
[[steps]]
name = "smooth"
verb = "wave"
source = "in/*.txt"
seconds = {seconds}
output = ["out/{{shot}}.txt"]
"""


def job(folder: Path, shots: dict[str, list], chunk: int = 4, seconds: float = 0.0) -> Path:
    (folder / "in").mkdir(exist_ok=True)
    for name, lines in shots.items():
        (folder / "in" / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines))
    path = folder / "job.toml"
    path.write_text(JOB.format(chunk=chunk, seconds=seconds))
    return path


def ended(capsys, *words: object) -> tuple[int, dict]:
    code = run_command(["run", *map(str, words), "--json"])
    event = json.loads(capsys.readouterr().out.splitlines()[-1])
    return code, event.get("result", event)


def values(count: int, seed: int = 0) -> list[float]:
    chance = random.Random(seed)
    return [chance.uniform(-1, 1) for _ in range(count)]


def left_over(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.name.endswith(".part") and path.name.startswith(".")]


@pytest.mark.parametrize("chunk", [2, 5, 100])
def test_chunks_by_two_workers_equal_the_whole(wave, capsys, chunk):
    path = job(wave, {"a": values(23), "b": values(9, 1)}, chunk)
    for name in "ab":
        assert run_command(["wave", f"in/{name}.txt", "-o", f"whole/{name}.txt"]) == 0
    capsys.readouterr()
    code, told = ended(capsys, path, "--workers", 2)
    assert code == 0
    assert written(wave / "out") == written(wave / "whole")
    assert told["steps"]["smooth"]["done"] == 2
    sizes = {2: 12 + 5, 5: 4 + 2, 100: 2}  # chunks of 5 begin at multiples of 6, the grid being 2
    finishes = {2: 2, 5: 2, 100: 0}
    assert told["done_now"] == sizes[chunk] + finishes[chunk]


def test_what_is_done_is_not_done_again(wave, capsys):
    path = job(wave, {"a": values(20), "b": values(7, 1)})
    assert ended(capsys, path)[1]["done_now"] == 5 + 1 + 2 + 1
    before = {name: os.stat(wave / "waves.farm" / name).st_mtime_ns for name in written(wave / "waves.farm")
              if name.startswith(("parts", "done"))}  # fmt: skip
    code, told = ended(capsys, path)
    assert (code, told["done_now"], told["skipped"]) == (0, 0, 9)
    assert all(os.stat(wave / "waves.farm" / name).st_mtime_ns == then for name, then in before.items())
    # A file that somebody removed or changed is made again, from the parts that are there.
    whole = (wave / "out" / "a.txt").read_bytes()
    (wave / "out" / "a.txt").write_bytes(b"half")
    code, told = ended(capsys, path)
    assert (code, told["done_now"]) == (0, 1)
    assert (wave / "out" / "a.txt").read_bytes() == whole


def test_what_is_finished_stays_so_however_it_is_cut_and_without_its_parts(wave, capsys):
    path = job(wave, {"a": values(20)}, chunk=4)
    assert ended(capsys, path)[0] == 0
    assert ended(capsys, job(wave, {}, chunk=6))[1]["done_now"] == 0
    assert ended(capsys, job(wave, {}, chunk=100))[1]["done_now"] == 0
    shutil.rmtree(wave / "waves.farm" / "parts")
    code, told = ended(capsys, job(wave, {}, chunk=4))
    assert (code, told["done_now"]) == (0, 0)
    # Without the result, the parts are made anew.
    (wave / "out" / "a.txt").unlink()
    assert ended(capsys, path)[0] == 0
    assert (wave / "out" / "a.txt").is_file()


def test_records_say_nothing_of_time_and_place(wave, capsys, tmp_path):
    path = job(wave, {"a": values(20)})
    ended(capsys, path)
    other = tmp_path / "elsewhere"
    other.mkdir()
    assert ended(capsys, job(other, {"a": values(20)}), "--workers", 2)[0] == 0
    one, two = (
        {name: data for name, data in written(folder / "waves.farm").items() if name.startswith(("parts", "done"))}
        for folder in (wave, other)
    )
    assert one == two


def test_another_input_is_an_error_unless_it_is_to_be_written_over(wave, capsys):
    path = job(wave, {"a": values(8), "b": values(8, 1)})
    assert ended(capsys, path)[0] == 0
    before = (wave / "out" / "a.txt").read_bytes()
    job(wave, {"a": values(8, 5)})
    code, told = ended(capsys, path)
    assert code == 7
    assert [(one["shot"], one["exit_code"]) for one in told["failed"]] == [("a", 3)]
    assert "--overwrite" in told["failed"][0]["error"]
    assert (wave / "out" / "a.txt").read_bytes() == before
    code, told = ended(capsys, path, "--overwrite")
    assert code == 0
    assert (wave / "out" / "a.txt").read_bytes() != before
    assert ended(capsys, path)[1]["done_now"] == 0


def test_one_poisoned_shot_among_fifty_does_not_stop_the_others(wave, capsys):
    shots = {f"s{number:02d}": values(3, number) for number in range(50)}
    path = job(wave, {**shots, "s17": ["poison"]})
    with path.open("a") as stream:
        stream.write('[[steps]]\nname = "again"\nverb = "wave"\nsource = "out/{shot}.txt"\noutput = ["two/{shot}"]\n')
    code, told = ended(capsys, path, "--workers", 2)
    assert code == 7
    assert told["steps"]["smooth"] | {"chunks": 0, "frames": 0} == {
        "verb": "wave", "shots": 50, "done": 49, "partly": 0, "failed": 1, "waiting": 0, "frames": 0, "chunks": 0,
    }  # fmt: skip
    assert told["steps"]["again"]["done"] == 49
    assert told["steps"]["again"]["waiting"] == 1
    assert [(one["shot"], one["step"]) for one in told["failed"]] == [("s17", "smooth")]
    assert "holds no numbers" in told["failed"][0]["error"]
    assert len(list((wave / "two").iterdir())) == 49
    report = json.loads(Path(told["report"]).read_text())
    assert sum(unit["state"] == "failed" for unit in report["units"]) == 1
    # The shot is mended: only what is left is done.
    job(wave, {"s17": values(3)})
    with path.open("a") as stream:
        stream.write('[[steps]]\nname = "again"\nverb = "wave"\nsource = "out/{shot}.txt"\noutput = ["two/{shot}"]\n')
    code, told = ended(capsys, path)
    assert told["failed"] == []
    assert (code, told["done_now"]) == (0, 2)


def test_frames_that_failed_are_listed_and_done_again_alone(wave, capsys):
    lines = [*values(10), "nothing", *values(9)]
    path = job(wave, {"a": lines})
    code, told = ended(capsys, path)
    assert code == 7
    assert [frame["frame"] for frame in told["failed"][0]["frames"]] == [9, 10, 11]
    assert told["failed"][0]["state"] == "some frames failed"
    assert (wave / "out" / "a.txt").is_file()
    code, told = ended(capsys, path, "--retry-failed")
    assert code == 7
    assert (told["done_now"], told["skipped"]) == (1 + 1, 4)  # frames 8 to 12 are one chunk, then all are joined


def test_a_worker_that_dies_again_and_again_costs_its_task(wave, capsys):
    path = job(wave, {"a": [*values(5), "die", *values(6)], "b": values(6)})
    code, told = ended(capsys, path, "--workers", 2)
    assert code == 7
    assert "was killed, perhaps for memory, 3 times" in told["failed"][0]["error"]
    assert (wave / "out" / "b.txt").is_file()
    assert not (wave / "out" / "a.txt").exists()


def test_outputs_that_cannot_be_written_and_inputs_that_vanish(wave, capsys):
    path = job(wave, {"a": values(6), "b": values(6)})
    (wave / "out").write_text("a file where a folder should be")
    code, told = ended(capsys, path)
    assert code == 6
    assert {one["exit_code"] for one in told["failed"]} == {6}
    (wave / "out").unlink()
    made = plan.read(path)
    (wave / "in" / "a.txt").unlink()
    local.run(made, SILENT)
    found = summary.statuses(made)
    assert [(one.unit.shot, one.state, one.exit_code) for one in found] == [("a", "failed", 3), ("b", "done", 0)]
    assert not left_over(wave)
    (wave / "waves.farm" / "done").rename(wave / "gone")
    (wave / "waves.farm" / "done").write_text("")
    code, told = ended(capsys, path, "--overwrite")
    assert code == 6
    assert all("waves.farm/done" in one["error"] for one in told["failed"])


def test_two_workers_on_one_chunk_are_harmless(wave, capsys):
    """A farm may start a task twice: whoever comes second finds it done, or writes the same."""
    path = job(wave, {"a": values(8)}, chunk=4, seconds=0.1)
    made = plan.read(path)
    plan.write(wave / "plan.json", made)
    program = (
        "import sys\nfrom pathlib import Path\nfrom hyoid.farm import plan, tasks\n"
        "made = plan.read(Path('plan.json'))\nprint(tasks.perform(made, made.tasks('smooth')[0]).ended)"
    )
    both = [subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert {one.communicate(timeout=120)[0].strip() for one in both} <= {"done", "skipped"}
    assert [one.returncode for one in both] == [0, 0]
    assert not left_over(wave)
    assert ended(capsys, path)[0] == 0
    assert run_command(["wave", "in/a.txt", "-o", "whole.txt"]) == 0
    assert (wave / "whole.txt").read_bytes() == (wave / "out" / "a.txt").read_bytes()


def test_workers_share_cores_and_take_a_gpu_each(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(6), raising=False)
    settings = [local.settings(number, 3) for number in range(3)]
    assert [one["CUDA_VISIBLE_DEVICES"] for one in settings] == ["2", "5", "2"]
    assert {one["OMP_NUM_THREADS"] for one in settings} == {"2"}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert "CUDA_VISIBLE_DEVICES" not in local.settings(0, 3)


def test_a_dry_run_does_nothing_and_tells_what_was_measured(wave, capsys):
    path = job(wave, {"a": values(20), "b": values(10)}, seconds=0.01)
    code, told = ended(capsys, path, "--dry-run", "--workers", 2)
    assert code == 0
    assert told["steps"]["smooth"] == {
        "verb": "wave", "shots": 2, "tasks": 5 + 1 + 3 + 1, "frames": 30, "seconds": None, "frames_per_second": None,
    }  # fmt: skip
    assert not (wave / "waves.farm").exists()
    assert ended(capsys, path)[0] == 0
    code, told = ended(capsys, path, "--dry-run", "--workers", 2)
    assert 0.3 <= told["work_seconds"] < 30  # a hundredth of a second a frame
    assert told["seconds"] == pytest.approx(told["work_seconds"] / 2, abs=0.1)
    assert run_command(["run", str(path), "--dry-run"]) == 0
    assert "30 frames: about" in capsys.readouterr().out


def test_status_counts_what_is_there(wave, capsys):
    path = job(wave, {"a": values(20), "b": ["poison"]})
    assert run_command(["farm", "status", str(path), "--shots"]) == 0
    assert "a smooth: waiting, 0 of 5 chunks" in capsys.readouterr().out
    ended(capsys, path)
    assert run_command(["farm", "status", str(path), "--shots"]) == 7
    shown = capsys.readouterr().out
    assert "a smooth: done, 5 of 5 chunks" in shown
    assert "failed: b smooth:" in shown
    assert run_command(["farm", "status", str(wave / "waves.farm" / "plan.json"), "--json"]) == 7
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["result"]["steps"]["smooth"]["done"] == 1


# --- machines that die ------------------------------------------------------------------------------------------------


def started(folder: Path, path: Path, *more: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "hyoid", "run", str(path), *more]
    with (folder / "said.txt").open("ab") as said:
        return subprocess.Popen(command, start_new_session=True, stdout=said, stderr=said)


def done(folder: Path) -> int:
    return len(list((folder / "waves.farm" / "parts").glob("*/*/*.json")))


def wait_for(condition, seconds: float = 60.0) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "nothing happened"
        time.sleep(0.01)


def test_sigterm_leaves_within_five_seconds_and_the_next_run_goes_on(wave, capsys):
    path = job(wave, {"a": values(80)}, chunk=2, seconds=0.05)
    running = started(wave, path, "--workers", "2")
    wait_for(lambda: done(wave) >= 3)
    begun = time.monotonic()
    running.terminate()
    assert running.wait(30) == 130
    assert time.monotonic() - begun < 5
    with pytest.raises(ProcessLookupError):
        os.killpg(running.pid, 0)
    assert not left_over(wave)
    before = done(wave)
    code, told = ended(capsys, job(wave, {}, chunk=2, seconds=0.05))
    assert code == 0
    assert told["skipped"] == before


def test_twenty_kills_lose_nothing_and_do_nothing_twice(wave, tmp_path, capsys):
    """SIGKILL to the whole job, and to single workers, at random moments; then to the end, and byte for byte."""
    lines = values(80)
    undisturbed = tmp_path / "undisturbed"
    undisturbed.mkdir()
    assert ended(capsys, job(undisturbed, {"a": lines}, chunk=2, seconds=0.02))[0] == 0
    path, chance = job(wave, {"a": lines}, chunk=2, seconds=0.02), random.Random(1)
    times: dict[str, int] = {}

    def unchanged() -> None:
        for part in (wave / "waves.farm" / "parts").glob("*/*/*.json"):
            assert times.setdefault(part.name, part.stat().st_mtime_ns) == part.stat().st_mtime_ns

    for kill in range(20):
        before = done(wave) if kill else 0
        running = started(wave, path, "--workers", "2")
        wait_for(lambda before=before, running=running: done(wave) > before or running.poll() is not None)
        time.sleep(chance.uniform(0, 0.1))
        if running.poll() is not None:
            break
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        unchanged()
    code, told = ended(capsys, path, "--workers", 2)
    assert code == 0
    assert told["skipped"] >= min(kill + 1, 20)
    unchanged()
    for name in ("out", "waves.farm/parts", "waves.farm/done"):
        assert written(wave / name) == written(undisturbed / name)
    assert not left_over(wave)
