# SPDX-License-Identifier: Apache-2.0
"""HopFIR: what the network must do by its own definition (there is no official one to compare with), and its file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hyoid.errors import WeightsError
from hyoid.geometry import human36m
from hyoid.synthetic import motion_clips
from hyoid.synthetic.lift_pairs import Settings, Windows
from hyoid.systems.hopfir import checkpoint, network
from hyoid.systems.hopfir.network import HUMAN36M, Config

torch = pytest.importorskip("torch")
MOCAP = Path(__file__).resolve().parents[3] / "shared" / "data" / "mocap"
SMALL = Config(channels=16, blocks=2, hops=3, heads=4)
PAIRS = (17, 32, 38, 44, 50, 44, 36, 20, 8)  # ordered pairs of joints so many bones apart
RINGS = {  # neighbours at 1, 2 and 3 bones, counted by hand
    0: ([1, 4, 7], [2, 5, 8], [3, 6, 9, 11, 14]), 1: ([0, 2], [3, 4, 7], [5, 8]), 2: ([1, 3], [0], [4, 7]),
    3: ([2], [1], [0]), 4: ([0, 5], [1, 6, 7], [2, 8]), 5: ([4, 6], [0], [1, 7]), 6: ([5], [4], [0]),
    7: ([0, 8], [1, 4, 9, 11, 14], [2, 5, 10, 12, 15]), 8: ([7, 9, 11, 14], [0, 10, 12, 15], [1, 4, 13, 16]),
    9: ([8, 10], [7, 11, 14], [0, 12, 15]), 10: ([9], [8], [7, 11, 14]), 11: ([8, 12], [7, 9, 13, 14], [0, 10, 15]),
    12: ([11, 13], [8], [7, 9, 14]), 13: ([12], [11], [8]), 14: ([8, 15], [7, 9, 11, 16], [0, 10, 12]),
    15: ([14, 16], [8], [7, 9, 11]), 16: ([15], [14], [8]),
}  # fmt: skip


def arrays_of(config: Config = SMALL, seed: int = 0) -> dict[str, np.ndarray]:
    """Parameters of which none is at a value that hides a mistake."""
    random = np.random.default_rng(seed + 100)
    return {
        name: (array + 0.1 * random.standard_normal(array.shape)).astype(np.float32)
        for name, array in network.initial(config, seed).items()
    }


def tensors_of(config: Config = SMALL, seed: int = 0, dtype=torch.float64) -> dict:
    return {name: torch.from_numpy(array).to(dtype) for name, array in arrays_of(config, seed).items()}


def features(batch: int = 3, channels: int = 16, seed: int = 1):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((batch, 17, channels)))


def masks_of(hops: int = 3):
    return torch.from_numpy(network.hop_masks(HUMAN36M.parents, hops)).double()


NEAR = torch.from_numpy(network.distances(HUMAN36M.parents) <= 1)


# --- the graph --------------------------------------------------------------------------------------------------------


def test_every_pair_of_joints_is_in_one_ring():
    rings = network.hop_masks(HUMAN36M.parents, 8) > 0
    assert rings.sum(0).min() == rings.sum(0).max() == 1
    assert tuple(ring.sum() for ring in rings) == PAIRS


def test_rings_are_those_of_the_body():
    masks = network.hop_masks(HUMAN36M.parents, 3)
    for joint, rings in RINGS.items():
        for hop, members in enumerate(rings, 1):
            assert np.flatnonzero(masks[hop, joint]).tolist() == members, (joint, hop)


def test_rings_are_means_and_none_is_empty_up_to_three_bones():
    sums = network.hop_masks(HUMAN36M.parents, 8).sum(-1)
    assert np.allclose(sums[:4], 1)
    assert np.all(np.isclose(sums, 1) | (sums == 0))
    assert (sums[8] == 0).any()  # the spine reaches nothing eight bones away


def test_the_mirror_exchanges_left_and_right():
    other = [name.replace("left", "?").replace("right", "left").replace("?", "right") for name in HUMAN36M.names]
    assert [HUMAN36M.names[row] for row in HUMAN36M.mirror] == other


def test_the_table_of_mirrored_joints_is_that_of_the_limbs():
    assert HUMAN36M.mirror == human36m.MIRRORED


# --- sizes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("channels", "blocks", "count"), [(96, 4, 1_675_308), (64, 3, 562_346)])
def test_sizes_are_the_designed_ones(channels, blocks, count):
    c, n = channels, blocks
    assert n * (45 * c * c + 29 * c + 578) + 28 * c + 292 == count
    shapes = network.shapes(Config(channels, blocks))
    assert sum(int(np.prod(shape)) for shape in shapes.values()) == count
    assert {name: array.shape for name, array in network.initial(Config(channels, blocks), 0).items()} == shapes


def test_first_parameters_follow_the_seed():
    one, same, other = (network.initial(SMALL, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(one[name], same[name]) for name in one)
    assert not np.array_equal(one["head.W0"], other["head.W0"])
    assert (one["head.e"] == 1).all()
    assert (one["head.bias"] == 0).all()


# --- the parts --------------------------------------------------------------------------------------------------------


def test_a_token_depends_on_its_ring_alone():
    masks, apart = masks_of(), network.distances(HUMAN36M.parents)
    jacobian = torch.autograd.functional.jacobian(lambda y: network.hop_tokens(masks, y)[:, 0, :, 0], features(1))
    touched = jacobian[:, :, 0].abs().sum(-1).numpy() > 0  # (hops, token, joint)
    assert np.array_equal(touched, apart == np.arange(4)[:, None, None])


def test_where_all_joints_are_alike_all_hops_see_the_same():
    y = features(2)[:, :1].expand(2, 17, 16)
    assert torch.allclose(network.hop_tokens(masks_of(), y), y.expand(4, 2, 17, 16), atol=1e-7)  # thirds in float32


def test_without_hops_it_is_plain_attention():
    config = replace(SMALL, hops=0)
    own, name, y = tensors_of(config), "blocks.0.hgf", features()
    peer = torch.nn.MultiheadAttention(16, 4, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        for kind, parts in (("weight", peer.in_proj_weight), ("bias", peer.in_proj_bias)):
            parts.copy_(torch.cat([own[f"{name}.query.{kind}"], own[f"{name}.hop.0.{kind}"]]))
        peer.out_proj.weight.copy_(own[f"{name}.mix.weight"])
        peer.out_proj.bias.copy_(own[f"{name}.mix.bias"])
        wanted, _ = peer(y, y, y)
    assert torch.allclose(network.hop_attention(own, name, 4, masks_of(0), y), wanted, atol=1e-12)


def test_hop_attention_is_its_formula():
    """Written out joint by joint for one head of one hop, the third."""
    own, name, y, hop, head = tensors_of(), "blocks.1.hgf", features(1), 3, 2
    y0 = y[0]
    query = y0 @ own[f"{name}.query.weight"].T + own[f"{name}.query.bias"]
    tokens = torch.stack([y0[RINGS[joint][hop - 1]].mean(0) for joint in range(17)])
    both = tokens @ own[f"{name}.hop.{hop}.weight"].T + own[f"{name}.hop.{hop}.bias"]
    part = slice(4 * head, 4 * head + 4)
    shares = (query[:, part] @ both[:, :16][:, part].T / 2).softmax(-1)  # the root of four channels is 2
    wanted = shares @ both[:, 16:][:, part]
    mix = torch.zeros(16, 64, dtype=torch.float64)
    mix[:4, 16 * hop + 4 * head : 16 * hop + 4 * head + 4] = torch.eye(4)
    own |= {f"{name}.mix.weight": mix, f"{name}.mix.bias": torch.zeros(16, dtype=torch.float64)}
    found = network.hop_attention(own, name, 4, masks_of(), y)[0, :, :4]
    assert torch.allclose(found, wanted, atol=1e-6)  # masks are float32


def test_neighbours_count_alike_where_no_edge_is_learned():
    shape = (17, 17)
    own = {"g.W0": torch.eye(17), "g.W1": torch.eye(17), "g.e": torch.full(shape, 0.3), "g.bias": torch.zeros(17)}
    found = network.semantic_convolution(own, "g", NEAR, torch.eye(17)[None])[0]
    degree = (network.distances(HUMAN36M.parents) == 1).sum(1)
    for joint in range(17):
        assert torch.allclose(found[joint][NEAR[joint]], torch.tensor(1 / (degree[joint] + 1), dtype=torch.float32))
        assert (found[joint][~NEAR[joint]] == 0).all()


def test_own_and_neighbours_features_go_through_matrices_of_their_own():
    for inputs, outputs in ((3, 5), (5, 3)):  # summed before and after the matrix
        random = np.random.default_rng(2)
        shapes = {"g.W0": (inputs, outputs), "g.W1": (inputs, outputs), "g.e": (17, 17), "g.bias": (outputs,)}
        own = {name: torch.from_numpy(random.standard_normal(shape)) for name, shape in shapes.items()}
        x = features(2, inputs)
        found = network.semantic_convolution(own, "g", NEAR, x)
        joint, ring = 8, [7, 9, 11, 14]
        shares = own["g.e"][joint, [8, *ring]].softmax(-1)
        wanted = shares[0] * x[:, 8] @ own["g.W0"] + own["g.bias"]
        for share, other in zip(shares[1:], ring, strict=True):
            wanted = wanted + share * x[:, other] @ own["g.W1"]
        assert torch.allclose(found[:, joint], wanted, atol=1e-12)


def test_refinement_leaves_the_torso_and_keeps_limbs_apart():
    own, name, x = tensors_of(), "blocks.0.ijr", features()
    found = network.refine_limbs(own, name, HUMAN36M, x)
    torso = [0, 7, 8, 9, 10]
    assert torch.equal(found[:, torso], x[:, torso])
    assert not torch.isclose(found, x).all(-1)[:, [1, 6, 13, 16]].any()
    for limb in (*HUMAN36M.legs, *HUMAN36M.arms):
        changed = x.clone()
        changed[:, limb[1], 3] += 1
        away = (network.refine_limbs(own, name, HUMAN36M, changed) - found).abs().sum((0, 2))
        assert torch.nonzero(away > 1e-9).flatten().tolist() == sorted(limb)


def test_refinement_treats_left_and_right_alike():
    own, name, x = tensors_of(), "blocks.0.ijr", features()
    other = list(HUMAN36M.mirror)
    found = network.refine_limbs(own, name, HUMAN36M, x[:, other])
    assert torch.equal(found, network.refine_limbs(own, name, HUMAN36M, x)[:, other])


# --- the whole --------------------------------------------------------------------------------------------------------


def images(batch: int = 5, seed: int = 3, dtype=torch.float64):
    return torch.from_numpy(np.random.default_rng(seed).uniform(-0.5, 0.5, (batch, 17, 2))).to(dtype)


def test_any_leading_dimensions_and_the_pelvis_at_the_origin():
    own = tensors_of()
    found = network.forward(own, SMALL, images(6).reshape(2, 3, 17, 2))
    assert found.shape == (2, 3, 17, 3)
    assert (found[..., 0, :] == 0).all()
    assert torch.allclose(found[1, 2], network.forward(own, SMALL, images(6)[5]), atol=1e-12)


def test_the_order_of_the_joints_has_no_meaning():
    order = np.random.default_rng(4).permutation(17)  # new row r is old joint order[r]
    rank = np.argsort(order)
    parents = tuple(-1 if HUMAN36M.parents[old] < 0 else int(rank[HUMAN36M.parents[old]]) for old in order)
    legs, arms = (
        tuple(tuple(int(rank[joint]) for joint in limb) for limb in pair) for pair in (HUMAN36M.legs, HUMAN36M.arms)
    )
    names = tuple(HUMAN36M.names[old] for old in order)
    other = network.Skeleton(names, parents, legs, arms, tuple(HUMAN36M.loss_weights[old] for old in order))
    own = tensors_of()
    turned = {
        name: value[order] if name == "joint_table" else value[order][:, order] if name.endswith(".e") else value
        for name, value in own.items()
    }
    image = images()
    found = network.forward(turned, SMALL, image[:, order], skeleton=other)
    assert torch.allclose(found, network.forward(own, SMALL, image)[:, order], atol=1e-6)
    truth = torch.zeros(5, 17, 3, dtype=torch.float64)
    plain = network.forward(own, SMALL, image)
    assert network.loss(found, truth, other).item() == pytest.approx(network.loss(plain, truth).item())


def test_a_mirrored_picture_gives_the_mirrored_pose():
    own, image, other = tensors_of(), images(), list(HUMAN36M.mirror)
    flip = torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64)
    turned = network.lift(own, SMALL, (image * flip[:2])[:, other])
    plain = network.lift(own, SMALL, image)
    assert torch.allclose(turned, (plain * flip)[:, other], atol=1e-6)
    assert not torch.allclose(network.forward(own, SMALL, image), plain, atol=1e-3)  # which it would not by itself


def test_pictures_are_measured_in_their_width():
    pixels = np.array([[0.0, 0.0], [1280.0, 720.0], [640.0, 360.0]])
    wanted = [[-1, -0.5625], [1, 0.5625], [0, 0]]
    assert np.allclose(network.normalised(pixels, 1280, 720), wanted)
    assert np.allclose(network.normalised(torch.from_numpy(pixels), 1280, 720).numpy(), wanted)


def test_the_loss_counts_outer_joints_more_and_bones():
    truth = torch.zeros(1, 17, 3)
    moved = truth.clone()
    moved[0, :, 2] = 0.1  # a shift of all joints changes no bone
    assert network.loss(moved, truth).item() == pytest.approx(0.1, rel=1e-6)
    wrist = truth.clone()
    wrist[0, 13, 0] = 0.1  # one joint of weight 4 among 36.5, one bone of sixteen
    assert network.loss(wrist, truth).item() == pytest.approx(0.1 * 4 / 36.5 + 0.1 * 0.1 / 16, rel=1e-6)


def learned(config: Config, image: np.ndarray, truth: np.ndarray, steps: int) -> float:
    """The mean error in metres of poses (n, 17, 3) after learning them by heart from pictures (n, 17, 2)."""
    picture, pose = (torch.from_numpy(array).float() for array in (image, truth))
    own = {name: torch.tensor(array, requires_grad=True) for name, array in network.initial(config, 0).items()}
    optimiser = torch.optim.AdamW(own.values(), lr=8e-3, betas=(0.9, 0.98), weight_decay=0.0)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = 8e-3 * min(1.0, (step + 1) / 50) * 0.5 * (1 + np.cos(np.pi * step / steps))
        loss = network.loss(network.forward(own, config, picture), pose)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(own.values(), 1.0)
        optimiser.step()
    return (network.forward(own, config, picture) - pose).norm(dim=-1).mean().item()


def test_it_learns_a_few_poses_by_heart():
    random = np.random.default_rng(5)
    truth = 0.3 * random.standard_normal((8, 17, 3))
    truth -= truth[:, :1]
    assert learned(Config(channels=32, blocks=1), truth[..., :2] / (3 + truth[..., 2:]), truth, 200) < 0.1  # of 0.7


@pytest.mark.slow
def test_it_learns_real_poses_by_heart():
    if not (MOCAP / "motion.npz").is_file():
        pytest.skip(f"the motion of {MOCAP} is not there")
    motion = motion_clips.load(MOCAP)
    stream = Windows(motion, motion_clips.split(motion).train, 1, 0, Settings(noise=0.0))
    image, truth = (array[:, 0] for array in stream.batch(64))
    # Metres; 3 mm where it was tried, and a machine's last digits change the way there.
    assert learned(Config(channels=64, blocks=2), image, truth, 500) < 0.008


# --- the file ---------------------------------------------------------------------------------------------------------


def saved(path, config: Config = SMALL, *, half: bool = True) -> checkpoint.Model:
    checkpoint.save(path, checkpoint.Model(config, arrays_of(config), {"licence": "CC0-1.0"}), half=half)
    return checkpoint.load(path)


@pytest.mark.parametrize("config", [SMALL, replace(SMALL, hops=0, refine=False)])
def test_a_saved_model_answers_as_before(tmp_path, config):
    exact = saved(tmp_path / "a.safetensors", config, half=False)
    assert exact.config == config
    assert exact.licence == "CC0-1.0"
    assert all(np.array_equal(array, exact.parameters[name]) for name, array in arrays_of(config).items())
    half = saved(tmp_path / "b.safetensors", config)
    image = images(dtype=torch.float32)
    found = [network.lift(model.tensors(), config, image) for model in (exact, half)]
    assert (found[0] - found[1]).abs().max() < 0.02  # weights are rounded to three digits
    checkpoint.save(tmp_path / "c.safetensors", half)
    assert (tmp_path / "b.safetensors").read_bytes() == (tmp_path / "c.safetensors").read_bytes()


def rewritten(path, target, change) -> None:
    """A copy of the file with the note and the arrays as ``change`` leaves them."""
    from safetensors import safe_open
    from safetensors.numpy import save

    with safe_open(path, framework="np") as archive:
        note = json.loads(archive.metadata()["hyoid"])
        arrays = {name: archive.get_tensor(name) for name in archive.keys()}  # noqa: SIM118
    change(note, arrays)
    target.write_bytes(save(arrays, metadata={"hyoid": json.dumps(note)}))


BROKEN = {
    "another network": (lambda note, _: note.update(format="hyoid.facestab"), "another network"),
    "version": (lambda note, _: note.update(version=2), "version 2"),
    "joints": (lambda note, _: note["joints"].reverse(), "'joints' are others"),
    "parents": (lambda note, _: note.update(parents=[-1] * 17), "'parents' are others"),
    "groups": (lambda note, _: note["groups"].pop("legs"), "'groups' are others"),
    "normalisation": (lambda note, _: note.update(input_normalisation="none"), "'input_normalisation' are others"),
    "heads": (lambda note, _: note.update(heads=3), "sizes"),
    "size as text": (lambda note, _: note.update(C="16"), "sizes"),
    "huge": (lambda note, _: note.update(C=1 << 40), "sizes"),
    "missing": (lambda _, arrays: arrays.pop("head.e"), "lacks 'head.e'"),
    "foreign": (lambda _, arrays: arrays.update(more=np.zeros(1, np.float32)), "holds 'more'"),
    "shape": (lambda _, arrays: arrays.update({"norm.bias": np.zeros(3, np.float32)}), "'norm.bias' is (3,)"),
    "whole numbers": (lambda _, arrays: arrays.update({"norm.bias": np.zeros(16, np.int32)}), "int32"),
    "not finite": (lambda _, arrays: arrays["head.e"].__setitem__((0, 0), np.nan), "not finite"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_wrong_weights_are_refused(tmp_path, case):
    change, words = BROKEN[case]
    saved(tmp_path / "good.safetensors")
    rewritten(tmp_path / "good.safetensors", tmp_path / "bad.safetensors", change)
    with pytest.raises(WeightsError) as caught:
        checkpoint.load(tmp_path / "bad.safetensors")
    assert words in caught.value.found
    assert caught.value.expected


def test_a_file_that_is_no_weights_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="does not exist"):
        checkpoint.load(tmp_path / "none.safetensors")
    (tmp_path / "text.safetensors").write_bytes(b"not weights")
    with pytest.raises(WeightsError, match="not a sound safetensors file"):
        checkpoint.load(tmp_path / "text.safetensors")
