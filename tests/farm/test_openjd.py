# SPDX-License-Identifier: Apache-2.0
"""Bundles of Open Job Description: valid, of the right size, and run by openjd to the same bytes as ``hyoid run``."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from hyoid.cli import run_command
from hyoid.errors import UsageError
from hyoid.farm import openjd, plan, records, sessions, stages
from hyoid.farm.plan import Plan, Unit
from hyoid.farm.splits import Extent

from tests.farm import small_jobs
from tests.farm.chunked import written

model = pytest.importorskip("openjd.model")
EXTENSIONS = ["TASK_CHUNKING"]


def checked(template: dict):
    """The template as openjd reads it; what is not valid raises."""
    return model.decode_job_template(template=template, supported_extensions=EXTENSIONS)


def counts(template: dict) -> dict[str, int]:
    """Tasks of each step, as openjd counts them for a job with usual parameters."""
    values = {"PlanFile": "/p.json", "HomeFolder": "/h", "RecordsFolder": "/r"}
    ready = model.preprocess_job_parameters(
        job_template=checked(template), job_parameter_values=values, job_template_dir=Path("/"),
        current_working_dir=Path("/"), allow_job_template_dir_walk_up=True,
    )  # fmt: skip
    job = model.create_job(job_template=checked(template), job_parameter_values=ready)
    return {
        step.name: len(list(model.StepParameterSpaceIterator(space=step.parameterSpace))) if step.parameterSpace else 1
        for step in job.steps
    }


def many(shots: int, chunks: int = 0, frames: int | None = None, step: str = "film") -> Plan:
    """A plan of one step."""
    cuts = tuple((100 * number, 100 * number + 100) for number in range(chunks))
    units = tuple(
        Unit(step, f"s{number}", "convert", {"source": "a.glb", "outputs": [f"{number}.csv"]}, (), cuts, frames)
        for number in range(shots)
    )  # fmt: skip
    return Plan("many", Path("/job"), Path("/job/many.farm"), units)


def template_of(made: Plan, at_once: int | None = None, machine: openjd.Machine = openjd.ANY) -> dict:
    return openjd.template(made, stages.of_plan(made, at_once), ["hyoid"], machine)


def test_a_bundle_passes_openjd_check(tmp_path):
    """Also where names have spaces, quotes, braces and other scripts."""
    job = small_jobs.write(tmp_path / "job's folder")
    bundle = tmp_path / 'a "bundle"; of it'
    assert run_command(["farm", "bundle", str(job), "-o", str(bundle)]) == 0
    done = subprocess.run(
        [sys.executable, "-m", "openjd", "check", str(bundle / "template.json")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
    template = json.loads((bundle / "template.json").read_text(encoding="utf-8"))
    assert counts(template) == {"table": 3, small_jobs.STEP: 3, "report": 1}
    assert [step.get("dependencies") for step in template["steps"]] == [
        None, [{"dependsOn": "table"}], [{"dependsOn": small_jobs.STEP}]
    ]  # fmt: skip


def test_what_a_farm_without_shared_folders_copies_is_named(tmp_path):
    job = small_jobs.write(tmp_path)
    run_command(["farm", "bundle", str(job), "-o", str(tmp_path / "bundle")])
    found = json.loads((tmp_path / "bundle" / "asset_references.json").read_text(encoding="utf-8"))["assetReferences"]
    # What the second step reads is made by the first one: not there yet, and not copied.
    assert found["inputs"]["filenames"] == sorted(str(path) for path in (tmp_path / "takes").iterdir())
    folder = plan.read(job).folder
    assert found["outputs"]["directories"] == sorted([str(tmp_path / "out"), str(folder)])
    values = json.loads((tmp_path / "bundle" / "parameter_values.json").read_text(encoding="utf-8"))["parameterValues"]
    given = {one["name"]: one["value"] for one in values}
    assert (given["HomeFolder"], given["RecordsFolder"]) == (str(tmp_path), str(folder))


def test_bundles_are_equal_to_the_last_byte(tmp_path):
    job = small_jobs.write(tmp_path)
    for name in ("one", "two"):
        run_command(["farm", "bundle", str(job), "-o", str(tmp_path / name)])
    one, two = written(tmp_path / "one"), written(tmp_path / "two")
    one.pop("parameters.json")  # it names its own folder
    two.pop("parameters.json")
    assert one == two


def test_chunks_have_a_step_that_finishes_after_them(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "split_of", lambda verb: SimpleNamespace(extent=lambda job: Extent(1000, usual=300)))
    made = plan.read(small_jobs.write(tmp_path))
    template = template_of(made)
    assert counts(template) == {
        "table": 12, "table, finish": 3, small_jobs.STEP: 12, f"{small_jobs.STEP}, finish": 3, "report": 1
    }  # fmt: skip
    after = {step["name"]: [one["dependsOn"] for one in step.get("dependencies", [])] for step in template["steps"]}
    assert after["table, finish"] == ["table"]
    assert after[small_jobs.STEP] == ["table, finish"]  # not the chunks: they read the file that is finished
    assert after["report"] == [f"{small_jobs.STEP}, finish"]
    assert "--finish" in template["steps"][1]["script"]["actions"]["onRun"]["args"]


def test_machines_and_gpus_are_asked_for():
    template = template_of(many(2, chunks=2), machine=openjd.Machine(4, 8192, gpu=True))
    checked(template)
    work, finish, report = template["steps"]
    assert [(one["name"], one["min"]) for one in work["hostRequirements"]["amounts"]] == [
        ("amount.worker.vcpu", 4), ("amount.worker.memory", 8192), ("amount.worker.gpu", 1)
    ]  # fmt: skip
    assert len(finish["hostRequirements"]["amounts"]) == 2  # joining needs no GPU
    assert "hostRequirements" not in report
    device = next(one for one in template["parameterDefinitions"] if one["name"] == "Device")
    assert device["default"] == "cuda"


def test_every_action_can_be_cancelled_with_notice():
    template = template_of(many(1))
    actions = [template["steps"][0]["script"]["actions"]["onRun"], template["steps"][1]["script"]["actions"]["onRun"]]
    actions += template["steps"][0]["stepEnvironments"][0]["script"]["actions"].values()
    for action in actions:
        assert action["cancelation"] == {"mode": "NOTIFY_THEN_TERMINATE", "notifyPeriodInSeconds": 15}


def test_short_shots_are_done_several_at_once_but_machines_have_work():
    assert stages.of_plan(many(400, frames=50))[0].at_once == 10  # 500 frames
    assert stages.of_plan(many(32, frames=50))[0].at_once == 2
    assert stages.of_plan(many(32))[0].at_once == 1  # nobody knows how long they are
    assert stages.of_plan(many(32), at_once=5)[0].at_once == 5


@pytest.mark.parametrize(("shots", "chunks"), [(9_998, 0), (25_000, 0), (300, 400)])
def test_a_job_stays_below_the_limit_of_farms(shots, chunks):
    """Deadline Cloud takes 10 000 tasks a job, and nothing says that it counts commands instead of numbers."""
    made = many(shots, chunks)
    found = counts(template_of(made))
    assert sum(found.values()) <= 10_000
    parts = stages.of_plan(made)
    assert sum(stage.count for stage in parts) < 10_000
    for stage in parts:
        assert stage.count * stage.group >= stage.tasks > (stage.count - 1) * stage.group


def test_a_job_above_the_limit_is_refused_with_what_to_change():
    with pytest.raises(UsageError, match="25001 tasks for the farm; expected at most 10000") as e:
        stages.of_plan(many(25_000), at_once=1)
    hint = int(str(e.value).split("--at-once ")[1].split(",")[0])
    assert sum(counts(template_of(many(25_000), hint)).values()) <= 10_000


def test_steps_that_a_template_cannot_hold_are_refused():
    with pytest.raises(UsageError, match="cannot be the name of a job or step"):
        template_of(many(1, step="{{Param.Strict}}"))
    units = tuple(Unit(f"s{number}", "a", "convert", {}) for number in range(120))
    with pytest.raises(UsageError, match="121 steps"):
        template_of(Plan("steps", Path("/job"), Path("/job/f"), units))


def test_many_and_long_and_equal_names_are_valid():
    """A template has at most 50 parameters and names of 64 letters, each once."""
    long = "x" * 100
    names = ["a", "a, finish", "report", long + "1", long + "2", *(f"s{number}" for number in range(60))]
    units = tuple(Unit(name, "a", "convert", {}, (), ((0, 5), (5, 9)) if name == "a" else ()) for name in names)
    template = template_of(Plan("x" * 200, Path("/job"), Path("/job/f"), units))
    checked(template)
    called = [step["name"] for step in template["steps"]]
    assert len(set(called)) == len(called) == len(names) + 2
    assert f"--step={long}2" in template["steps"][5]["script"]["actions"]["onRun"]["args"]


@pytest.mark.slow
def test_openjd_runs_a_bundle_where_its_folders_were_mapped(tmp_path):
    """As a farm does it: another command, another place, path mapping, the last step fails for what failed."""
    job = small_jobs.write(tmp_path / "here", ("a", "it's; $b"))
    run_command(["farm", "bundle", str(job), "-o", str(tmp_path / "bundle")])
    there = tmp_path / "there; 'mapped'"
    (tmp_path / "here").rename(there)
    (there / "takes" / "a.take.npz").write_bytes(b"no take")
    rules = {"version": "pathmapping-1.0", "path_mapping_rules": [
        {"source_path_format": "POSIX", "source_path": str(tmp_path / "here"), "destination_path": str(there)}
    ]}  # fmt: skip
    words = ["run", tmp_path / "bundle" / "template.json", "--path-mapping-rules", json.dumps(rules)]
    words += ["-p", f"file://{tmp_path / 'bundle' / 'parameters.json'}"]
    words += ["-p", f"HyoidCommand={small_jobs.command(tmp_path)}"]
    done = subprocess.run(
        [sys.executable, "-m", "openjd", *map(str, words)], capture_output=True, text=True,
        env=small_jobs.environment(),
    )  # fmt: skip
    assert done.returncode == 1, done.stdout  # the step "report"
    assert "openjd_fail: failed: a table" in done.stdout
    assert {path.name for path in (there / "out").iterdir()} >= {"it's; $b.csv", "it's; $b.take.npz"}
    assert "without it" not in done.stdout  # the worker in the background did the tasks
    assert done.stdout.count("state: stopped") == 2


@pytest.mark.slow
def test_farm_run_gives_the_files_of_run_and_goes_on_where_it_stopped(tmp_path, capsys):
    shots = ("a", "b", "c 'x' ö", "d")
    whole, parts = (small_jobs.write(tmp_path / name, shots) for name in ("whole", "parts"))
    assert run_command(["run", str(whole), "--workers", "1"]) == 0
    (parts.parent / "takes" / "a.take.npz").rename(parts.parent / "a.npz")  # only three at first
    made = plan.read(whole)
    capsys.readouterr()
    assert run_command(["farm", "run", str(parts), "--workers", "2", "--json"]) == 0
    first = json.loads(capsys.readouterr().out.splitlines()[-1])["result"]
    assert (first["done_now"], first["skipped"], first["workers"]) == (6, 0, 2)
    (parts.parent / "a.npz").rename(parts.parent / "takes" / "a.take.npz")
    assert run_command(["farm", "run", str(parts), "--workers", "2", "--json"]) == 0
    second = json.loads(capsys.readouterr().out.splitlines()[-1])["result"]
    assert (second["done_now"], second["skipped"], second["exit_code"]) == (2, 6, 0)
    assert written(parts.parent / "out") == written(whole.parent / "out")
    done = made.folder.name + "/done"
    assert written(parts.parent / done) == written(whole.parent / done)
    assert run_command(["run", str(parts), "--json", "--workers", "1"]) == 0  # each goes on with the other's
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["result"]["skipped"] == 8


@pytest.mark.slow
def test_chunks_through_openjd_equal_the_whole(wave, capsys):
    """Chunks by two sessions, then what joins them; a second run does nothing, one that overwrites does all."""
    text = (
        'name = "waves"\nchunk = {chunk}\n'
        '[[steps]]\nverb = "wave"\nsource = "in/*.txt"\noutput = ["out/{{shot}}.txt"]\n'
    )
    (wave / "in").mkdir()
    for shot in ("a", "b"):
        (wave / "in" / f"{shot}.txt").write_text("".join(f"{number % 7}\n" for number in range(11)))
    (wave / "job.toml").write_text(text.format(chunk=100))
    assert run_command(["run", "job.toml", "--workers", "1"]) == 0
    whole = written(wave / "out")
    shutil.rmtree(wave / "out")
    shutil.rmtree(wave / "waves.farm")
    (wave / "job.toml").write_text(text.format(chunk=4))
    capsys.readouterr()
    results = []
    for words in ([], [], ["--overwrite"]):
        assert run_command(["farm", "run", "job.toml", "--workers", "2", "--json", *words]) == 0
        results.append(json.loads(capsys.readouterr().out.splitlines()[-1])["result"])
        assert written(wave / "out") == whole
    assert [(one["tasks"], one["done_now"], one["skipped"]) for one in results] == [(8, 8, 0), (8, 0, 8), (8, 8, 0)]


@pytest.mark.slow
def test_farm_run_goes_on_when_the_process_of_a_task_dies(tmp_path, capsys):
    """A take that kills whoever reads it: two tries more, then it has failed; the others are done."""
    job = small_jobs.write(tmp_path, ("a", "z"))
    made = plan.read(job)
    bad = made.tasks("table")[0]
    killer = tmp_path / "site" / "sitecustomize.py"
    killer.parent.mkdir()
    killer.write_text(
        "import sys\n"
        "if sys.argv[-1:] == ['--openjd'] and '--tasks=0' in sys.argv and '--step=table' in sys.argv:\n"
        "    import os, signal\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    path = os.pathsep.join([str(killer.parent), small_jobs.environment()["PYTHONPATH"]])
    done = small_jobs.hyoid("farm", "run", job, PYTHONPATH=path)
    assert done.returncode == 7, done.stderr
    assert "failed: a table: its process died 3 times" in done.stdout
    assert records.failure(made, bad)["exit_code"] == 5
    assert {file.name for file in (tmp_path / "out").glob("z*.npz")} == {"z.take.npz"}


@pytest.mark.slow
def test_farm_run_leaves_when_it_is_asked_to(tmp_path):
    job = small_jobs.write_endless(tmp_path)
    folder = plan.read(job).folder
    process = subprocess.Popen(
        [sys.executable, "-m", "hyoid", "farm", "run", str(job), "--workers", "2"], env=small_jobs.environment(),
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    begun = time.monotonic()
    while not any(folder.glob("logs/table/slow.log")):
        assert time.monotonic() - begun < 90
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    asked = time.monotonic()
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said == "hyoid: error: cancelled\n"
    assert time.monotonic() - asked < 10  # five where the machine has nothing else to do
    assert not list(folder.glob("failed/**/*.json"))
    assert (tmp_path / "out" / "z.csv").exists() or not list((tmp_path / "out").glob("*"))  # whole, or nothing


@pytest.mark.slow
def test_nothing_runs_on_when_farm_run_is_killed_and_the_next_run_gives_the_same(tmp_path):
    job = small_jobs.write_endless(tmp_path)
    folder = plan.read(job).folder
    process = subprocess.Popen([sys.executable, "-m", "hyoid", "farm", "run", str(job)], env=small_jobs.environment())
    begun = time.monotonic()
    while not any(folder.glob("logs/table/slow.log")):
        assert time.monotonic() - begun < 90
        time.sleep(0.1)
    process.kill()
    process.wait()
    killed = time.monotonic()
    while running(str(tmp_path)):
        assert time.monotonic() - killed < 30, running(str(tmp_path))
        time.sleep(0.2)
    assert not list(folder.glob("failed/**/*.json"))
    (tmp_path / "takes" / "slow.take.npz").unlink()
    assert small_jobs.hyoid("farm", "run", job).returncode == 0
    assert (tmp_path / "out" / "z.take.npz").is_file()


def running(word: str) -> list[str]:
    """Command lines of processes that name something."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            text = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            found += [text] if word in text and "pytest " not in text else []
    return found


def test_without_openjd_the_command_that_brings_it_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sessions.importlib.util, "find_spec", lambda name: None)
    assert run_command(["farm", "run", str(small_jobs.write(tmp_path))]) == 6
    assert "pip install 'hyoid[farm]'" in capsys.readouterr().err
