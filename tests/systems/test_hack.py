# SPDX-License-Identifier: Apache-2.0
"""The HACK folder and its forward: fallbacks, spaces, gradients, long animations, and what damaged folders say."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from hyoid.errors import InputError, MissingToolError
from hyoid.systems.hack import EXPRESSIONS, checkpoint, infer
from PIL import Image

from tests.systems import hack_files as files

torch = pytest.importorskip("torch")

from hyoid.systems.hack.network import Hack, rotation_matrices  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return files.write(tmp_path_factory.mktemp("hack"))


@pytest.fixture(scope="module")
def data(folder):
    return checkpoint.read(folder)


@pytest.fixture
def own(tmp_path):
    """A folder that a test may damage."""
    return files.write(tmp_path / "hack", rings=6)


def inputs(batch: int, modes: int = 3, seed: int = 1, dtype=np.float32):
    random = np.random.default_rng(seed)
    rows = (
        random.normal(0, 0.3, (batch, 8, 3)), random.uniform(-0.03, 0.04, (batch, 1)),
        random.uniform(-0.5, 1.5, (batch, 1)), random.uniform(0, 1, (batch, 55)), random.normal(0, 1, (batch, modes)),
    )  # fmt: skip
    return [torch.from_numpy(row.astype(dtype)) for row in rows]


def by_the_page(data, theta, tau, alpha, expression, beta) -> np.ndarray:
    """The forward of one frame as its specification words it, in float64 and with loops."""
    from scipy.spatial.transform import Rotation

    turns = Rotation.from_rotvec(theta).as_matrix()
    rest = data.identity.mean + np.tensordot(beta, data.identity.modes, 1).astype(float)
    rest += np.tensordot(expression, data.expressions.mean.astype(float), 1)
    for joint in range(1, 8):
        rest += np.tensordot(turns[joint] - np.eye(3), data.correctives.mean[joint].astype(float), 2)
    last = data.larynx_map.shape[0] - 1
    for vertex, (gx, gy) in enumerate(data.larynx_position.astype(float)):
        x, y = np.clip([(gx + 1) / 2 * last, (gy + 2 * tau[0] + 1) / 2 * last], 0, last)
        column, row = min(int(x), last - 1), min(int(y), last - 1)
        cell = data.larynx_map[row : row + 2, column : column + 2].astype(float)
        value = np.array([row + 1 - y, y - row]) @ cell @ np.array([column + 1 - x, x - column])
        rest[vertex] += alpha[0] * value * data.larynx_direction
    blended = np.zeros((len(rest), 4, 4))
    posed = neutral = np.eye(4)
    for joint in range(8):
        local = np.eye(4)
        local[:3, :3] = turns[joint]
        posed = posed @ data.bones.to_parent[joint].astype(float) @ local
        neutral = neutral @ data.bones.to_parent[joint].astype(float)
        blended += data.weights[joint].astype(float)[:, None, None] * (posed @ np.linalg.inv(neutral))
    return (blended @ np.concatenate([rest, np.ones((len(rest), 1))], 1)[..., None])[:, :3, 0]


def test_the_forward_is_that_of_its_specification(data):
    given = inputs(5)
    found = Hack(data)(*given).numpy()
    for row in range(5):
        expected = by_the_page(data, *(value[row].numpy().astype(float) for value in given))
        np.testing.assert_allclose(found[row], expected, rtol=0, atol=2e-5)


def test_rows_do_not_know_each_other(data):
    """A batch of 1, 7 and 130 (more than one chunk of blocks) agree, whatever else is in the batch."""
    model = Hack(data)
    given = inputs(130)
    with torch.inference_mode():
        whole = model(*given)
        for rows in (slice(0, 1), slice(40, 47), slice(129, 130)):
            assert (model(*(value[rows] for value in given)) - whole[rows]).abs().max() < 1e-5


def test_one_row_counts_for_the_whole_batch(data):
    model = Hack(data)
    theta, tau, alpha, expression, beta = inputs(4)
    few = model(theta, tau[:1], alpha[:1], expression[:1], beta[:1])
    full = model(theta, *(value[:1].expand(4, -1) for value in (tau, alpha, expression, beta)))
    assert (few - full).abs().max() < 1e-5


def test_the_identity_of_the_last_call_is_not_kept_for_another(data):
    model = Hack(data)
    given = inputs(2)
    given[-1] = given[-1][:1].expand(2, -1)
    other = [*given[:-1], -given[-1]]
    with torch.inference_mode():
        first, second, again = model(*given), model(*other), model(*given)
        assert (first - second).abs().max() > 0.1
        assert torch.equal(first, again)
        assert (Hack(data)(*other) - second).abs().max() < 1e-6
    double = model.double()
    assert double(*(value.double() for value in given)).dtype == torch.float64


def test_gradients_are_those_of_differences(tmp_path):
    """Along one direction of each input; the larynx map is only piecewise smooth, hence the small step."""
    model = Hack(checkpoint.read(files.write(tmp_path / "tiny", rings=4))).double()
    given = inputs(2, dtype=np.float64)
    torch.manual_seed(3)
    pick = torch.randn(model.count, 3, dtype=torch.float64)
    for place, value in enumerate(given):
        direction, step = torch.randn_like(value), 1e-6
        ends = [
            (model(*given[:place], value + sign * step * direction, *given[place + 1 :]) * pick).sum()
            for sign in (1, -1)
        ]
        leaf = value.clone().requires_grad_()
        (model(*given[:place], leaf, *given[place + 1 :]) * pick).sum().backward()
        slope = (leaf.grad * direction).sum()
        assert slope.abs() > 1e-3
        torch.testing.assert_close(slope, (ends[0] - ends[1]) / (2 * step), rtol=1e-5, atol=1e-6)


def test_gradients_at_rest_are_finite(data):
    given = [torch.zeros_like(value, requires_grad=True) for value in inputs(1)]
    Hack(data)(*given).square().sum().backward()
    assert all(torch.isfinite(value.grad).all() for value in given)
    assert given[0].grad.abs().sum() > 0


@pytest.mark.parametrize("size", [0, 1e-12, 1e-5, 1e-3, 0.9e-3, 1.1e-3, 1, 3, np.pi, 6])
def test_rotations_at_any_angle(size):
    from scipy.spatial.transform import Rotation

    vectors = size * np.array([[1, 0, 0], [0.6, 0, -0.8], [0.36, 0.48, 0.8]])
    found = rotation_matrices(torch.from_numpy(vectors)).numpy()
    np.testing.assert_allclose(found, Rotation.from_rotvec(vectors).as_matrix(), rtol=0, atol=1e-9)


def test_chunks_equal_the_whole(data):
    model = Hack(data)
    given = [value.numpy() for value in inputs(23)]
    given[-1] = given[-1][0]
    whole = infer.evaluate(model, *given, chunk=64)
    parts = infer.evaluate(model, *given, chunk=5)
    assert whole.shape == (23, model.count, 3)
    np.testing.assert_allclose(parts, whole, rtol=0, atol=1e-5)


def test_what_is_not_given_is_neutral(data):
    model = infer.load(data.folder)
    found = infer.evaluate(model, np.zeros((1, 8, 3)))[0]
    moved = np.linalg.norm(found - data.template, axis=1)
    assert (moved < 1e-5).mean() > 0.9
    assert 0.5 < moved.max() < 1  # the larynx of size 1


def test_inputs_of_the_wrong_kind(data):
    model = Hack(data)
    with pytest.raises(InputError, match=r"expression is \(1, 52\); expected \(2, 55\)"):
        infer.evaluate(model, np.zeros((2, 8, 3)), expression=np.zeros((1, 52)))
    with pytest.raises(InputError, match=r"theta holds nan at index \(1, 2, 0\)"):
        infer.evaluate(model, np.where(np.arange(48).reshape(2, 8, 3) == 30, np.nan, 0))
    with pytest.raises(InputError, match="at most 3"):
        infer.evaluate(model, np.zeros((2, 8, 3)), beta=np.zeros(4))
    with pytest.raises(InputError, match="tau"):
        model(torch.zeros(3, 8, 3), torch.zeros(2, 1), torch.ones(1, 1), torch.zeros(1, 55))


def test_without_torch_it_says_what_to_install(data, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "hyoid.systems.hack.network")
    with pytest.raises(MissingToolError, match="pip install"):
        infer.load(data.folder)


def test_the_repository_is_as_good_as_the_model_folder(folder, tmp_path):
    (tmp_path / "HACK-Model").mkdir()
    os.symlink(folder, tmp_path / "HACK-Model" / "model")
    assert checkpoint.read(tmp_path / "HACK-Model").digest == checkpoint.read(folder).digest


def test_spaces(data):
    assert data.identity.modes.shape == (3, len(data.template), 3)
    found = data.identity.at(np.array([1.0, -2.0]))
    expected = data.identity.mean + data.identity.modes[0] - 2 * data.identity.modes[1]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_array_equal(data.identity.at(np.array([1.0, -2.0]), clip=1), data.identity.at(np.array([1.0])))
    own = checkpoint.personal(data, expression=np.array([2.0]), corrective=np.zeros(0))
    np.testing.assert_allclose(own.expressions.mean, data.expressions.mean + 2 * data.expressions.modes[0], atol=1e-6)
    with pytest.raises(InputError, match="at most 0"):
        checkpoint.personal(data, corrective=np.ones(1))


def test_missing_big_files(own):
    own_data = checkpoint.read(own)
    (own / checkpoint.EXPRESSION).unlink()
    found = checkpoint.read(own)
    np.testing.assert_array_equal(found.expressions.mean, found.blendshapes)
    for name in (checkpoint.IDENTITY, checkpoint.CORRECTIVE, checkpoint.BLENDSHAPES):
        (own / name).unlink()
    found = checkpoint.read(own)
    assert (found.identity, found.expressions, found.correctives, found.blendshapes) == (None,) * 4
    assert found.digest != own_data.digest
    assert checkpoint.identities(own) == 0
    model = Hack(found)
    theta, tau, alpha, expression, _ = inputs(2)
    assert torch.equal(model(theta, tau, alpha, expression), model(theta, tau, alpha, 0 * expression))
    with pytest.raises(InputError, match="at most 0"):
        model(theta, tau, alpha, expression, torch.ones(1, 1))
    with pytest.raises(InputError, match="no expressions"):
        checkpoint.personal(found, expression=np.ones(1))


def test_the_first_corner_of_the_file_gives_the_uv(own):
    text = (own / checkpoint.MESH).read_text()
    lines = text.splitlines()
    faces = [line for line in lines if line.startswith("f ")]
    first = next(n for n, line in enumerate(faces) if line.split()[1].startswith("1/"))
    swapped = [faces[first], *faces[:first], *faces[first + 1 :]]
    (own / checkpoint.MESH).write_text("\n".join([line for line in lines if line[0] != "f"] + swapped + [""]))
    data = checkpoint.read(own)
    uv = data.mesh.uv[int(faces[first].split()[1].split("/")[1]) - 1]
    np.testing.assert_allclose(data.larynx_position[0], [2 * uv[0] - 1, 1 - 2 * uv[1]], atol=1e-6)


def test_vertices_in_no_face_sample_the_border(own):
    text = (own / checkpoint.MESH).read_text()
    kept = [line for line in text.splitlines() if line[0] != "f" or all(w[:2] != "1/" for w in line.split())]
    (own / checkpoint.MESH).write_text("\n".join(kept))
    lost = checkpoint.read(own).larynx_position[0]
    assert lost.tolist() == [2, 2]


def test_weights_are_divided_by_their_sums(own):
    raw = np.load(own / checkpoint.WEIGHTS)
    assert abs(raw.sum(0) - 1).max() > 0.3
    np.testing.assert_allclose(checkpoint.read(own).weights, raw / raw.sum(0), atol=1e-6)


def test_a_coloured_map_is_read_as_grey(own):
    before = checkpoint.read(own).larynx_map
    Image.open(own / checkpoint.MAP).convert("RGB").save(own / checkpoint.MAP)
    np.testing.assert_allclose(checkpoint.read(own).larynx_map, before, atol=1.01 / 255)


def test_the_order_of_the_expressions():
    """Alphabetical without regard to the side, 55, and cheekRaiser where the recordings are silent."""
    assert len(set(EXPRESSIONS)) == 55
    assert EXPRESSIONS[8:10] == ("cheekRaiser_L", "cheekRaiser_R")
    assert list(EXPRESSIONS) == sorted(EXPRESSIONS)


def replace_array(path: Path, change) -> None:
    np.save(path, change(np.load(path)))


def replace_mean(path: Path, change) -> None:
    content = np.load(path, allow_pickle=True).item()
    np.save(path, np.array(content | {"mean": change(content["mean"])}, dtype=object))


def with_nan(array: np.ndarray) -> np.ndarray:
    array = array.copy()
    array[0, 2] = np.nan
    return array


def change_bones(path: Path, change) -> None:
    table = json.loads(path.read_text())
    change(table)
    path.write_text(json.dumps(table))


class Foreign:
    def __reduce__(self):
        return os.system, ("true",)


BAD = [
    (lambda f: (f / "Lc_mid.png").unlink(), "lacks Lc_mid.png"),
    (lambda f: (f / "bones_neutral.json").unlink(), "lacks bones_neutral.json"),
    (lambda f: replace_array(f / "weight_map_smooth.npy", lambda a: a[:, :-1]), "8x473; expected 8x474"),
    (lambda f: replace_array(f / "weight_map_smooth.npy", lambda a: 0 * a), "vertex 0 are not positive"),
    (lambda f: replace_array(f / "weight_map_smooth.npy", with_nan), r"nan at index \(0, 2\)"),
    (lambda f: replace_array(f / "ts_larynx.npy", lambda a: a[:2]), "expected 3"),
    (lambda f: replace_array(f / "blendshape.npy", lambda a: a[:-1]), "expected 56x474x3"),
    (lambda f: replace_mean(f / "S.npy", lambda a: a[:-1]), "'mean' is 473x3; expected 474x3"),
    (lambda f: replace_mean(f / "S.npy", with_nan), r"nan at index \(0, 2\)"),
    (lambda f: replace_mean(f / "E.npy", lambda a: a[:53]), "expected 55x474x3"),
    (lambda f: replace_mean(f / "P.npy", lambda a: a[0]), "expected 8x3x3x474x3"),
    (lambda f: np.save(f / "P.npy", np.zeros(3)), "'mean'"),
    (lambda f: np.save(f / "S.npy", np.array({"mean": Foreign()}, dtype=object)), "system"),
    (lambda f: (f / "S.npy").write_bytes((f / "S.npy").read_bytes()[:2000]), "S.npy"),
    (lambda f: (f / "Lc_mid.png").write_bytes(b"no picture"), "not a readable picture"),
    (lambda f: (f / "bones_neutral.json").write_text("{"), "not a sound table"),
    (lambda f: (f / "bones_neutral.json").write_text("[1]"), "not a sound table"),
    (lambda f: change_bones(f / "bones_neutral.json", lambda t: t.pop("oc1")), "7 entries"),
    (lambda f: change_bones(f / "bones_neutral.json", lambda t: t["c6c7"].update(parent="oc1")), "parents first"),
    (lambda f: change_bones(f / "bones_neutral.json", lambda t: t["c6c7"].update(parent="x")), "not a sound table"),
    (lambda f: change_bones(f / "bones_neutral.json", lambda t: t["c6c7"].update(matrix=[[0] * 3] * 3)), "finite"),
    (lambda f: (f / checkpoint.MESH).write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"), "expected"),
]  # fmt: skip


@pytest.mark.parametrize(("damage", "message"), BAD)
def test_damaged_folders(own, damage, message):
    damage(own)
    with pytest.raises(InputError, match=message) as caught:
        checkpoint.read(own)
    assert "hack" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_folders(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        checkpoint.read(tmp_path / "nowhere")
    (tmp_path / "FaceXModel").mkdir()
    with pytest.raises(InputError, match="looks like ICT-FaceKit: name it ict:"):
        checkpoint.read(tmp_path)


@pytest.mark.slow
def test_the_bench_finds_both_equal_and_ours_faster():
    """At batch 64 the margin is wide enough for a busy machine; the bench itself refuses unequal vertices."""
    from hyoid.verbs import bench

    found = bench.load(Path(__file__).resolve().parents[2] / "bench" / "hack.py").run()
    large = found["batch_64"]
    assert min(large["ratio"], large["new_identity"]["ratio"], large["rows_of_their_own"]["ratio"]) > 2
    assert found["batch_1"]["ratio"] > 1
    assert found["batch_1"]["largest_difference_cm"] < 2e-5
