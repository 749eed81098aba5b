# SPDX-License-Identifier: Apache-2.0
"""What a full disk, a folder that cannot be written and missing weights do to a job of many shots."""

from __future__ import annotations

import json
from pathlib import Path

from hyoid.cli import run_command

from tests.farm.conftest import wave  # noqa: F401  a verb that falls into chunks
from tests.farm.test_local import ended, job, left_over, values


def test_a_full_disk_ends_with_6_and_leaves_no_partial_file(wave, small_disk, capsys):  # noqa: F811
    path = job(wave, {"a": values(4000), "b": values(4000, 1)}, chunk=500)
    path.write_text(path.read_text().replace('"out/', f'"{small_disk}/'))
    code, told = ended(capsys, path)
    assert code == 6
    assert all("the disk is full" in one["error"] for one in told["failed"])
    assert list(small_disk.iterdir()) == []
    path.write_text(path.read_text().replace(f'"{small_disk}/', '"out/'))
    code, told = ended(capsys, path, "--overwrite")
    assert code == 0


def test_a_full_disk_of_the_job_ends_it(wave, small_disk, capsys):  # noqa: F811
    path = job(wave, {"a": values(8000)}, chunk=500)
    path.write_text(f'folder = "{small_disk}/job"\n' + path.read_text())
    assert run_command(["run", str(path), "--json"]) == 6
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert "the disk is full" in json.dumps(said)
    assert not left_over(small_disk)


def test_a_job_whose_folder_cannot_be_written_ends_before_the_work(wave, capsys):  # noqa: F811
    path = job(wave, {"a": values(8)})
    (wave / "waves.farm").write_text("a file")
    assert run_command(["run", str(path), "--workers", "2"]) == 6
    told = capsys.readouterr().err.strip().splitlines()
    assert len(told) == 1
    assert "waves.farm" in told[0]
    assert not (wave / "out").exists()


def test_missing_weights_end_with_4(tmp_path, capsys):
    from tests.motion import walks
    from tests.verbs import lift_files as files

    files.write(tmp_path / "walk.npz", files.keypoints(walks.walk(seconds=1)))
    (tmp_path / "job.toml").write_text(
        '[[steps]]\nverb = "lift"\nkeypoints = "*.npz"\nweights = "none.safetensors"\noutput = ["{shot}.take.npz"]\n'
    )
    code, told = ended(capsys, Path(tmp_path / "job.toml"))
    assert code == 4
    assert told["failed"][0]["exit_code"] == 4
    assert not (tmp_path / "walk.take.npz").exists()
