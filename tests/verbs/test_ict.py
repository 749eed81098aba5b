# SPDX-License-Identifier: Apache-2.0
"""An ICT-FaceKit folder in its published layout through the command line: rig, take, interchange files, bad input."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import numpy as np
import pytest
from hyoid import cli
from hyoid.characters import ict_data
from hyoid.files import part_file
from hyoid.formats import glb_read, take_npz
from PIL import Image

from tests import judges, toy

PACKED = Path(__file__).resolve().parents[3] / "shared" / "data" / "ict_facekit"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PACKED.is_dir(), reason=f"no ICT-FaceKit data in {PACKED}"),
]


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """The published layout with one identity, and a cache of its own."""
    root = tmp_path_factory.mktemp("ict")
    folder = root / "ICT-FaceKit" / "FaceXModel"
    folder.mkdir(parents=True)
    packed = np.load(PACKED / "ict_facekit.npz", allow_pickle=False)
    topology = gzip.decompress((PACKED / "topology.txt.gz").read_bytes())
    _write(folder / f"{ict_data.NEUTRAL}.obj", packed["neutral"], topology)
    _write(folder / "identity000.obj", packed["identity"][0])
    names = packed["expression_names"].tolist()
    positions = packed["expression"]
    for name in ict_data.EXPRESSIONS:
        _write(folder / f"{name}.obj", positions[names.index(name)])
    before = os.environ.get("HYOID_CACHE")
    os.environ["HYOID_CACHE"] = str(root / "cache")
    yield folder.parent
    if before is None:
        del os.environ["HYOID_CACHE"]
    else:
        os.environ["HYOID_CACHE"] = before


def _write(path: Path, points: np.ndarray, rest: bytes = b"") -> None:
    lines = "".join(f"v {x:.7g} {y:.7g} {z:.7g}\n" for x, y, z in points.tolist())
    path.write_bytes(lines.encode() + rest)


def test_a_folder_becomes_a_rig_with_its_licence(repository, tmp_path, capfd):
    out = tmp_path / "woman.glb"
    code = cli.run_command(["rig", f"ict:{repository}", "--set", "identity000=1.5", "-o", str(out), "--json"])
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert code == 0, lines
    result = lines[-1]["result"]
    assert (result["character"], result["licence"], result["joints"], result["shapes"]) == ("ict", "MIT", 12, 55)
    assert judges.gltf_verdict(out)["numErrors"] == 0
    summary = glb_read.summary(glb_read.read(out))
    assert "eyeBlinkLeft" in summary["shapes"]


def test_a_take_plays_on_it_in_glb_usd_and_pictures(repository, tmp_path):
    from tests.formats.test_usd import problems

    take = tmp_path / "shot.take.npz"
    with part_file(take) as part:
        take_npz.write(part, toy.take())
    outputs = [tmp_path / name for name in ("shot.glb", "shot.usdc", "shot.png")]
    code = cli.run_command(
        ["convert", str(take), *map(str, outputs), "--character", f"ict:{repository}", "--time", "0.5"]
    )
    assert code == 0
    assert judges.gltf_verdict(outputs[0])["numErrors"] == 0
    assert not problems(outputs[1])
    picture = np.asarray(Image.open(outputs[2])).astype(float)
    assert picture.std() > 20
    skin = picture[(picture[..., 0] > 1.15 * picture[..., 2]) & (picture[..., 0] > 90)]
    assert len(skin) > 0.1 * picture[..., 0].size  # a face fills the picture, painted


def test_a_wrong_folder_ends_with_the_code_of_bad_input(tmp_path, capfd):
    assert cli.run_command(["rig", f"ict:{tmp_path}", "-o", str(tmp_path / "x.glb")]) == 3
    message = capfd.readouterr().err
    assert message.count("\n") == 1
    assert "FaceXModel folder" in message
    assert not (tmp_path / "x.glb").exists()
