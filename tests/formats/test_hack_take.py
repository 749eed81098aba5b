# SPDX-License-Identifier: Apache-2.0
"""HACK's recordings: joints out of their bone axes, larynx in millimetres, 55 weights under their names."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hyoid.characters import curve_names, neck
from hyoid.errors import InputError
from hyoid.formats import hack_take
from hyoid.geometry import rotations

FRAMES = 6


def recording(tmp_path, **changes):
    """A folder in the published layout: bones that lean, and a last one that points forward."""
    data, model = tmp_path / "data", tmp_path / "model"
    data.mkdir()
    model.mkdir()
    lean = rotations.to_matrix(rotations.about((1.0, 0, 0), np.array(0.2)))
    forward = rotations.to_matrix(rotations.about((1.0, 0, 0), np.array(np.pi / 2 - 0.2)))
    bones = {name: {"matrix": np.eye(3).tolist()} for name in neck.JOINTS}
    bones["c7t1"]["matrix"] = lean.tolist()
    bones["oc1"]["matrix"] = forward.tolist()  # its y is the model's z, its z the model's -y
    arrays = {
        "theta": np.zeros((FRAMES, 8, 3), np.float32), "tau": np.full((FRAMES, 1), 0.01, np.float32),
        "alpha": np.full((FRAMES, 1), 1.5, np.float32), "bsw": np.zeros((FRAMES + 3, 55)),
    }  # fmt: skip
    arrays["theta"][1, 3, 0] = 0.3
    arrays["theta"][2, 7, 2] = -0.2  # a turn to the character's left in the axes of oc1
    arrays["theta"][3, 7, 1] = 0.1  # a tilt to its right
    arrays["theta"][4, 2, 1] = 0.4
    arrays["bsw"][:, 36] = 0.5
    for name, values in {**arrays, **changes}.items():
        if values is not None:
            np.save(data / f"{name}_list.npy", values, allow_pickle=True)
    (model / "bones_neutral.json").write_text(json.dumps(bones))
    return data


def test_joints_larynx_and_expressions(tmp_path):
    data = recording(tmp_path)
    take = hack_take.read(data)
    assert (take.frames, take.fps, take.joint_names) == (FRAMES, 30.0, neck.JOINTS)
    vectors = rotations.to_rotation_vector(take.rotations.astype(float))
    assert np.allclose(vectors[1, 3], [0.3, 0, 0], atol=1e-6)
    assert np.allclose(vectors[2, 7], [0, 0.2, 0], atol=1e-6)
    assert np.allclose(vectors[3, 7], [0, 0, 0.1], atol=1e-6)
    assert np.allclose(vectors[4, 2], 0.4 * np.array([0, np.cos(0.2), np.sin(0.2)]), atol=1e-6)
    assert np.allclose(take.curve("larynxHeight"), 3.26)
    assert np.allclose(take.curve("larynxSize"), 1.5)
    assert curve_names.HACK[36] == "mouthLeft"
    assert np.allclose(take.curve("mouthLeft"), 0.5)
    assert take.curves[:, [i for i, n in enumerate(curve_names.HACK) if i != 36]].max() == 0
    assert {entry.licence for entry in take.provenance.sources} == {"LicenseRef-HACK"}
    assert hack_take.read(data / "theta_list.npy", fps=25).fps == 25


def test_the_neck_alone_is_enough(tmp_path):
    take = hack_take.read(recording(tmp_path, tau=None, alpha=None, bsw=None))
    assert np.allclose(take.curve("larynxSize"), 1)
    assert not take.curve("larynxHeight").any()


def test_what_is_one(tmp_path):
    data = recording(tmp_path)
    assert hack_take.is_one(data)
    assert hack_take.is_one(data / "tau_list.npy")
    assert not hack_take.is_one(tmp_path)
    assert not hack_take.is_one(tmp_path / "a.csv")


class Stranger:
    """What a recording must not hold."""


@pytest.mark.parametrize(
    ("name", "values", "says"),
    [
        ("theta", np.zeros((4, 7, 3)), r"shape \(4, 7, 3\); expected \(any, 8, 3\)"),
        ("theta", np.full((4, 8, 3), np.nan), "not finite, the first at index"),
        ("theta", np.zeros((0, 8, 3)), "no frames"),
        ("theta", np.array(["a"]), "expected an array of numbers"),
        ("bsw", np.zeros((2, 55)), "2 frames; expected the 6"),
        ("bsw", np.zeros((FRAMES, 53)), r"\(6, 53\)"),
        ("tau", np.array({"a": Stranger()}, object), "Stranger"),
        ("theta", None, "does not exist"),
    ],
)
def test_bad_arrays_are_refused(tmp_path, name, values, says):
    data = recording(tmp_path, **{name: values})
    with pytest.raises(InputError, match=says) as caught:
        hack_take.read(data)
    assert f"{name}_list.npy" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{}", "no table of bones"), ("[1", "no table of bones"), (None, "not there"),
        (json.dumps({name: {"matrix": np.zeros((3, 3)).tolist()} for name in neck.JOINTS}), "no rotations"),
        (json.dumps({name: {"matrix": [1, 2]} for name in neck.JOINTS}), "shape"),
    ],
)  # fmt: skip
def test_bad_bones_are_refused(tmp_path, text, says):
    data = recording(tmp_path)
    bones = tmp_path / "model" / "bones_neutral.json"
    bones.unlink()
    if text is not None:
        bones.write_text(text)
    with pytest.raises(InputError, match=says):
        hack_take.read(data)
