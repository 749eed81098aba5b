# SPDX-License-Identifier: Apache-2.0
"""Jobs for Slurm, OpenCue and Flamenco, run as far as that goes without their servers."""

from __future__ import annotations

import json
import os
import runpy
import shlex
import shutil
import subprocess
import sys
import types

import pytest
from hyoid.cli import run_command

from tests.farm import small_jobs

SHOTS = ("a", "it's; $(b)")


@pytest.fixture
def job(tmp_path):
    return small_jobs.write(tmp_path / 'job\'s "folder" $HOME', SHOTS)


def bundle(job, folder, farm, *words):
    assert run_command(["farm", "bundle", str(job), "-o", str(folder), "--for", farm, *words]) == 0


@pytest.mark.slow
def test_slurm_arrays_do_the_job(job, tmp_path):
    """The scripts as Slurm starts them: with a number in the environment, in any order within a stage."""
    bundle(job, tmp_path / "slurm", "slurm", "--command", str(small_jobs.command(tmp_path)), "--processors", "2")
    for script, numbers in (("01.sbatch", "10"), ("02.sbatch", "01")):
        text = (tmp_path / "slurm" / script).read_text(encoding="utf-8")
        assert "#SBATCH --array=0-1\n" in text
        assert "#SBATCH --cpus-per-task=2\n" in text
        for number in numbers:
            done = subprocess.run(
                ["bash", tmp_path / "slurm" / script], env=small_jobs.environment(SLURM_ARRAY_TASK_ID=number),
                capture_output=True, text=True,
            )  # fmt: skip
            assert (done.returncode, done.stdout) == (0, "1 tasks: 1 done\n"), done.stderr
    report = ["bash", tmp_path / "slurm" / "report.sbatch"]
    assert subprocess.run(report, env=small_jobs.environment(), capture_output=True).returncode == 0
    assert {path.name for path in (job.parent / "out").glob("*.npz")} == {f"{shot}.take.npz" for shot in SHOTS}


def test_slurm_stages_wait_for_each_other(job, tmp_path):
    bundle(job, tmp_path / "slurm", "slurm", "--gpu")
    fake = tmp_path / "bin" / "sbatch"
    fake.parent.mkdir()
    fake.write_text(f'#!/bin/sh\necho "$@" >> "{tmp_path}/asked"\nwc -l < "{tmp_path}/asked"\n')
    fake.chmod(0o755)
    path = f"{fake.parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(["bash", tmp_path / "slurm" / "submit.sh"], env={**os.environ, "PATH": path}, check=True)
    assert (tmp_path / "asked").read_text().splitlines() == [
        "--parsable 01.sbatch",
        "--parsable --dependency=afterok:1 --kill-on-invalid-dep=yes 02.sbatch",
        "--dependency=afterany:1:2 report.sbatch",
    ]
    assert "--gres=gpu:1" in (tmp_path / "slurm" / "01.sbatch").read_text()
    assert "--gres" not in (tmp_path / "slurm" / "report.sbatch").read_text()


def test_an_array_has_as_many_jobs_as_slurm_takes(tmp_path):
    text = '[[steps]]\nverb = "convert"\nsource = "a.glb"\noutputs = ["{shot}.csv"]\n[shots]\n'
    rows = "\n".join(["shot", *(f"s{number}" for number in range(1100))])
    (tmp_path / "shots.csv").write_text(rows)
    (tmp_path / "job.toml").write_text(f'shots = "shots.csv"\n{text.replace("[shots]", "")}')
    bundle(tmp_path / "job.toml", tmp_path / "slurm", "slurm")
    script = (tmp_path / "slurm" / "01.sbatch").read_text()
    assert "#SBATCH --array=0-549\n" in script  # 1001 is what Slurm takes as it comes
    assert "--group=2 " in script


def test_the_outline_of_opencue_builds_layers_that_wait(job, tmp_path, monkeypatch):
    """With a stub of PyOutline; the commands are quoted, for OpenCue gives them to a shell."""
    bundle(job, tmp_path / "cue", "opencue", "--memory", "4096")
    launched = []

    class Layer:
        def __init__(self, name, **settings):
            self.name, self.settings, self.after = name, settings, []

        def depend_all(self, other):
            self.after.append(other.name)

    class Outline:
        def __init__(self, name, **settings):
            self.name, self.settings, self.layers = name, settings, []

        def add_layer(self, layer):
            self.layers.append(layer)

    package = types.ModuleType("outline")
    modules = {"outline": package, "outline.modules": types.ModuleType("outline.modules")}
    modules["outline.cuerun"] = package.cuerun = types.SimpleNamespace(launch=lambda *a, **b: launched.append((a, b)))
    modules["outline.modules.shell"] = types.SimpleNamespace(Shell=Layer)
    package.Outline = Outline
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(sys, "argv", ["outline_job.py", "show", "shot"])
    runpy.run_path(str(tmp_path / "cue" / "outline_job.py"))
    (made,), how = launched[0]
    assert how == {"use_pycuerun": False}
    assert made.settings["show"] == "show"
    assert [layer.name for layer in made.layers] == ["01_table", "02_back___it_", "report"]
    assert [layer.after for layer in made.layers] == [[], ["01_table"], ["01_table", "02_back___it_"]]
    assert [layer.settings["range"] for layer in made.layers] == ["0-1", "0-1", "0-0"]
    assert made.layers[0].settings["memory"] == "4096m"
    words = shlex.split(" ".join(made.layers[1].settings["command"]))
    assert words[:3] == ["hyoid", "farm", "task"]
    assert f"--step={small_jobs.STEP}" in words
    assert f"--home={job.parent}" in words
    assert words[-1] == "--tasks=#IFRAME#"


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_the_job_type_of_flamenco_compiles_tasks_that_wait(job, tmp_path):
    bundle(job, tmp_path / "flamenco", "flamenco")
    (script,) = (tmp_path / "flamenco").glob("*.js")
    assert script.name == "hyoid_two__steps___.js"
    assert subprocess.run(["node", "--check", script]).returncode == 0
    stub = """
        const author = {
            Task: (name, type) => ({
                name, type, commands: [], after: [],
                addCommand(command) { this.commands.push(command); },
                addDependency(task) { this.after.push(task.name); },
            }),
            Command: (name, settings) => ({ name, settings }),
        };
        const tasks = [];
        compileJob({ settings: { hyoid: "hyoid", strict: true }, addTask: (task) => tasks.push(task) });
        console.log(JSON.stringify({ label: JOB_TYPE.label, tasks }));
    """
    text = script.read_text(encoding="utf-8")
    done = subprocess.run(["node", "-e", text + stub], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["label"] == 'Hyoid: two "steps" ö'
    tasks = {task["name"]: task for task in found["tasks"]}
    assert list(tasks) == ["table 0", "table 1", f"{small_jobs.STEP} 0", f"{small_jobs.STEP} 1", "report"]
    assert tasks[f"{small_jobs.STEP} 1"]["after"] == ["table 0", "table 1"]
    assert len(tasks["report"]["after"]) == 4
    command = tasks["table 1"]["commands"][0]
    assert command["name"] == "exec"
    assert command["settings"]["args"][-2:] == ["--tasks=1", "--strict"]
    assert f"--home={job.parent}" in command["settings"]["args"]
