# SPDX-License-Identifier: Apache-2.0
"""Weights from frames: on frames whose weights are known, against SciPy's solver, and on a face model of other people.

The random performances are dense on purpose: some ten shapes at once, more than a face shows.
"""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hyoid import characters
from hyoid.characters import arkit, curve_names, shape_solver
from hyoid.errors import InputError, UsageError
from hyoid.geometry import rotations
from scipy.optimize import lsq_linear

from tests.characters.heads import decimated, mesh_of

ICT = Path(__file__).parents[3] / "shared" / "data" / "ict_facekit"
NAMES = arkit.NAMES
OPPOSED = (
    *((f"eyeBlink{side}", f"eyeWide{side}") for side in ("Left", "Right")),
    *((f"mouthSmile{side}", f"mouthFrown{side}") for side in ("Left", "Right")),
    *((f"browDown{side}", f"browOuterUp{side}") for side in ("Left", "Right")),
    ("jawLeft", "jawRight"), ("mouthLeft", "mouthRight"), ("browDownLeft", "browInnerUp"),
)  # fmt: skip


def performance(frames: int, seed: int, fps: float = 30.0) -> np.ndarray:
    """Smooth weights (frames, 52): pulses of every shape, one side weaker in a third of them, no opposites at once."""
    random, times = np.random.default_rng(seed), np.arange(frames) / fps
    curves = {name: np.zeros(frames) for name in NAMES}
    whole = ("jawLeft", "jawRight", "mouthLeft", "mouthRight")
    bases = {name if name in whole else name.removesuffix("Left").removesuffix("Right") for name in NAMES}
    for base in sorted(bases):
        sides = [name for name in NAMES if name == base or (base not in whole and name[: len(base)] == base
                 and name[len(base) :] in ("Left", "Right"))]  # fmt: skip
        shares = np.ones(2) if random.random() < 0.7 else random.permutation([1.0, random.uniform(0.2, 0.6)])
        for _ in range(max(1, int(times[-1] / 6))):
            middle, width, height = random.uniform(0, times[-1]), random.uniform(0.2, 0.7), random.uniform(0.3, 1)
            pulse = height * np.exp(-0.5 * ((times - middle) / width) ** 4)
            for name, share in zip(sides, shares, strict=False):
                curves[name] = np.maximum(curves[name], share * pulse)
    for stays, yields in OPPOSED:
        curves[yields] *= np.clip(1 - 3 * curves[stays], 0, 1)
    curves["mouthClose"] = curves["jawOpen"] * np.clip(np.sin(2 * times + seed), 0, 1) ** 2
    look = 0.6 * np.sin(1.1 * times) * np.sin(0.31 * times)
    for name in NAMES:
        if name.startswith("eyeLook"):
            curves[name] = np.clip({"Up": look, "Do": -look}.get(name[7:9], 0 * look), 0, 1)
    curves["tongueOut"] = 0 * times
    return np.stack(list(curves.values()), -1)


def frames_of(neutral: np.ndarray, basis: np.ndarray, weights: np.ndarray, noise: float = 0.0, seed: int = 0):
    """Frames (N, 3) one by one, metres."""
    random = np.random.default_rng(seed)
    flat = basis.reshape(len(basis), -1).astype(np.float64)
    for row in weights:
        yield neutral + (row @ flat).reshape(-1, 3) + noise * random.normal(size=neutral.shape)


def error_of(found: np.ndarray, truth: np.ndarray) -> float:
    """The median error of the weights that are active."""
    return float(np.median(np.abs(found - truth)[truth > 0.05]))


def alike(found: np.ndarray, truth: np.ndarray, name: str) -> float:
    """The correlation of one curve."""
    column = NAMES.index(name)
    return float(np.corrcoef(found[:, column], truth[:, column])[0, 1])


@pytest.fixture(scope="module")
def human():
    return characters.load("human", part="head")


@pytest.fixture(scope="module")
def own(human):
    """The human's own shapes and the weights of its vertices."""
    basis = np.stack([human.offsets(name) for name in NAMES]).astype(np.float32)
    return basis, shape_solver.skin_weights(mesh_of(human.vertices, human.faces))


@pytest.fixture(scope="module")
def carried(human):
    """The human with other vertices and triangles, and its shapes carried over to them."""
    mesh, rows = decimated(human)
    return mesh, rows, shape_solver.basis_of("human", mesh)


def small(count: int = 6, vertices: int = 40, seed: int = 3):
    """A neutral, a basis of names that mean nothing, and random weights."""
    random = np.random.default_rng(seed)
    neutral = random.normal(size=(vertices, 3))
    basis = (0.01 * random.normal(size=(count, vertices, 3))).astype(np.float32)
    return neutral, basis, tuple(f"shape{number}" for number in range(count)), random.random((9, count))


# --- The mathematics --------------------------------------------------------------------------------------------------


def test_scipy_finds_the_same_weights():
    """An independent solver of the same problem: every frame by itself, with ridge and sparsity, within 0..1."""
    neutral, basis, names, weights = small()
    frames = list(frames_of(neutral, basis, 1.5 * weights - 0.3, 0.02))  # some weights want to leave 0..1
    found = shape_solver.solve(basis, frames, neutral, names=names, ordered=False, ridge=0.02, sparse=0.05, rigid=False)
    flat = basis.reshape(len(basis), -1).T.astype(np.float64) / np.sqrt(len(neutral))
    gram = flat.T @ flat
    scale = np.median(np.diagonal(gram))
    root = np.linalg.cholesky(gram / scale + 0.02 * np.eye(len(basis)))
    for row, frame in enumerate(frames):
        right = flat.T @ (frame - neutral).ravel() / np.sqrt(len(neutral)) / scale - 0.05 / 2
        best = lsq_linear(root.T, np.linalg.solve(root, right), (0, 1), tol=1e-12).x
        np.testing.assert_allclose(found.weights[row], best, atol=2e-4)
    assert found.weights.min() == 0
    assert found.weights.max() == 1
    assert found.optimality <= shape_solver.TOLERANCE


def test_exact_frames_are_explained_whole():
    neutral, basis, names, weights = small()
    found = shape_solver.solve(
        basis, frames_of(neutral, basis, weights), neutral, names=names, ordered=True, ridge=0, sparse=0, smooth=0
    )
    np.testing.assert_allclose(found.weights, weights, atol=1e-4)
    assert found.residual_mm.max() < 1e-2
    assert found.explained.min() > 0.9999
    truth = [np.sqrt(((frame - neutral) ** 2).sum(1).mean()) for frame in frames_of(neutral, basis, weights)]
    np.testing.assert_allclose(found.motion_mm, 1e3 * np.array(truth))


def test_a_frame_that_does_not_move_is_explained():
    neutral, basis, names, _ = small()
    found = shape_solver.solve(basis, [neutral], neutral, names=names, ordered=False)
    assert found.explained.tolist() == [1.0]
    assert not found.weights.any()


def test_unordered_frames_may_come_in_any_order():
    neutral, basis, names, weights = small()
    frames = list(frames_of(neutral, basis, weights, 0.002))
    turned = shape_solver.solve(basis, frames[::-1], neutral, names=names, ordered=False)
    straight = shape_solver.solve(basis, frames, neutral, names=names, ordered=False)
    np.testing.assert_allclose(turned.weights[::-1], straight.weights, atol=1e-4)


def test_equal_inputs_give_equal_weights():
    """A generator and a list, more frames than are read at once."""
    neutral, basis, names, _ = small()
    weights = np.random.default_rng(0).random((77, len(names)))
    first, second = (
        shape_solver.solve(basis, frames, neutral, names=names, ordered=True)
        for frames in (frames_of(neutral, basis, weights), list(frames_of(neutral, basis, weights)))
    )
    assert first.weights.tobytes() == second.weights.tobytes()
    assert len(first.weights) == 77


def test_vertices_without_weight_may_hold_anything():
    """A part of the mesh that is missing from the scans changes nothing about the rest."""
    neutral, basis, names, weights = small()
    share = np.ones(len(neutral))
    share[5:17] = 0
    frames = [frame.copy() for frame in frames_of(neutral, basis, weights)]
    for frame in frames:
        frame[5:17] = np.nan
    whole = shape_solver.solve(basis, frames, neutral, names=names, ordered=False, vertex_weights=share)
    kept = share > 0
    cut = shape_solver.solve(
        basis[:, kept], [frame[kept] for frame in frames], neutral[kept], names=names, ordered=False
    )
    np.testing.assert_allclose(whole.weights, cut.weights, atol=1e-5)


def test_smoothing_calms_without_lag():
    """Noise that jumps from frame to frame dies out; the curve stays where it is in time, forwards and backwards."""
    neutral, basis, names, _ = small(vertices=60)
    times = np.arange(240) / 30
    weights = 0.5 + 0.4 * np.sin(2 * np.pi * (0.5 + 0.2 * np.arange(len(names))) * times[:, None])
    frames = list(frames_of(neutral, basis, weights, 0.01))

    def solved(order, smooth):
        return shape_solver.solve(basis, order, neutral, names=names, ordered=True, smooth=smooth).weights

    def jitter(curves):
        return np.sqrt((np.diff(curves, 2, axis=0) ** 2).mean())

    rough, calm = solved(frames, 0.0), solved(frames, 1.0)
    assert jitter(calm) < 0.3 * jitter(rough)
    assert np.abs(calm - weights).mean() < 0.6 * np.abs(rough - weights).mean()
    np.testing.assert_allclose(solved(frames[::-1], 1.0)[::-1], calm, atol=1e-4)
    fit = []
    for shift in (-1, 0, 1):
        fit.append(np.corrcoef(np.roll(calm, -shift, 0)[8:-8].ravel(), weights[8:-8].ravel())[0, 1])
    lag = (fit[2] - fit[0]) / (2 * (2 * fit[1] - fit[0] - fit[2]))  # the top of the parabola, frames
    assert abs(lag) < 0.05


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ({"ridge": -1.0}, UsageError, "ridge is -1"),
        ({"smooth": np.nan}, UsageError, "smooth is nan"),
        ({"names": ("one",)}, InputError, "shapes (6, 40, 3)"),
        ({"names": ("one",) * 6}, InputError, "two shapes are named 'one'"),
        ({"frames": []}, InputError, "no frame"),
        ({"frames": [np.zeros((39, 3))]}, InputError, "frame 0 has the shape (39, 3)"),
        ({"vertex_weights": np.zeros(40)}, InputError, "weights of the vertices"),
        ({"vertex_weights": np.ones(39)}, InputError, "(39,)"),
        ({"basis": np.zeros((6, 40, 3))}, InputError, "no shape moves the skin"),
    ],
)
def test_what_cannot_be_solved_is_named(change, kind, words):
    neutral, basis, names, _ = small()
    call = {"basis": basis, "frames": [neutral], "neutral": neutral, "names": names, "ordered": True} | change
    with pytest.raises(kind) as caught:
        shape_solver.solve(**call)
    assert words in str(caught.value)


def test_a_number_that_is_not_finite_is_named():
    neutral, basis, names, _ = small()
    bad = neutral.copy()
    bad[7, 1] = np.inf
    with pytest.raises(InputError, match="vertex 7 of frame 1 is not a finite number"):
        shape_solver.solve(basis, [neutral, bad], neutral, names=names, ordered=True)
    with pytest.raises(InputError, match="vertex 7 of the neutral"):
        shape_solver.solve(basis, [neutral], bad, names=names, ordered=True)


def test_what_stabilisation_left_is_no_expression(own, human):
    """A third of a millimetre and a quarter of a degree, another in every frame: the curves stay calm."""
    basis, share = own
    truth = performance(200, 1)
    neutral = human.vertices.astype(np.float64)
    centre, random, frames = share @ neutral / share.sum(), np.random.default_rng(4), []
    for frame in frames_of(neutral, basis, truth, 3e-4):
        turn = rotations.to_matrix(rotations.from_rotation_vector(np.radians(0.25) * random.normal(size=3)))
        frames.append((frame - centre) @ turn.T + centre + 2e-4 * random.normal(size=3))
    errors = {}
    for rigid in (False, True):
        found = shape_solver.solve(
            basis, frames, neutral, names=NAMES, ordered=True, vertex_weights=share, rigid=rigid
        )  # fmt: skip
        errors[rigid] = error_of(found.weights, truth)
        if rigid:
            assert 0.3 < np.median(found.drift_mm) < 0.6  # 0.35 mm of shift and about as much of turn
            assert alike(found.weights, truth, "eyeBlinkRight") > 0.98
    assert errors[True] < 0.015
    assert errors[True] < 0.5 * errors[False]


def test_a_quick_blink_keeps_its_height(own, human):
    """Shut for two frames, open again five later: the default smoothing must not half open it."""
    basis, share = own
    truth = np.zeros((40, len(NAMES)))
    lids = [NAMES.index(f"eyeBlink{side}") for side in ("Left", "Right")]
    truth[:, lids] = np.interp(np.arange(40), (12, 15, 17, 22), (0, 1, 1, 0))[:, None]
    neutral = human.vertices.astype(np.float64)
    found = shape_solver.solve(
        basis, frames_of(neutral, basis, truth), neutral, names=NAMES, ordered=True, vertex_weights=share
    ).weights
    assert found[:, lids].max(0).min() > 0.93
    assert set(found[:, lids[0]].argsort()[-3:]) == {15, 16, 17}
    others = np.delete(found, lids, axis=1)
    assert others.max() < 0.15  # a part of it is taken for a look down


# --- What the skin does not show --------------------------------------------------------------------------------------


def test_lips_are_never_closed_farther_than_the_jaw_is_open(own, human):
    """mouthClose alone would push one lip through the other."""
    basis, share = own
    weights = np.zeros((3, len(NAMES)))
    weights[:, NAMES.index("mouthClose")] = 0.8, 0.8, 0.3
    weights[:, NAMES.index("jawOpen")] = 0.0, 0.5, 0.6
    neutral = human.vertices.astype(np.float64)
    found = shape_solver.solve(
        basis, frames_of(neutral, basis, weights), neutral, names=NAMES, ordered=False, vertex_weights=share
    ).weights
    jaw, close = found[:, NAMES.index("jawOpen")], found[:, NAMES.index("mouthClose")]
    assert (close <= jaw + 1e-6).all()
    np.testing.assert_allclose([jaw[2], close[2]], [0.6, 0.3], atol=0.02)


def test_looks_and_tongue(own, human):
    """Lids tell up and down, for both eyes alike; sideways looks and the tongue are said to be unseen."""
    basis, share = own
    weights = np.zeros((2, len(NAMES)))
    for side in ("Left", "Right"):
        weights[0, NAMES.index(f"eyeLookDown{side}")] = 0.7
    weights[1, NAMES.index("eyeLookInLeft")] = weights[1, NAMES.index("eyeLookOutRight")] = 0.7
    neutral = human.vertices.astype(np.float64)
    found = shape_solver.solve(
        basis, frames_of(neutral, basis, weights), neutral, names=NAMES, ordered=False, vertex_weights=share
    )
    down = found.weights[:, [NAMES.index(f"eyeLookDown{side}") for side in ("Left", "Right")]]
    assert (down[:, 0] == down[:, 1]).all()
    assert abs(down[0, 0] - 0.7) < 0.08
    assert {"tongueOut", "eyeLookInLeft", "eyeLookOutRight"} <= set(found.unseen)
    assert not found.weights[:, [NAMES.index(name) for name in found.unseen]].any()
    assert found.weights[1].max() < 0.2  # a look to a side is taken for nothing else


def test_a_tongue_that_drags_the_jaw_along_is_left_to_the_jaw():
    """Sets of captured shapes have tongueOut with the mouth open: it must not take over what jawOpen shows."""
    neutral, basis, _, _ = small(2)
    basis[1] = basis[0] + 0.1 * basis[1]
    names = ("jawOpen", "tongueOut")
    found = shape_solver.solve(
        basis, frames_of(neutral, basis, np.array([[0.0, 0.6]])), neutral, names=names, ordered=False
    )
    assert found.unseen == ("tongueOut",)
    assert found.weights[0, 1] == 0
    assert abs(found.weights[0, 0] - 0.6) < 0.05


def test_only_open_skin_of_the_face_counts(own, human):
    _, share = own
    for part in human.parts[1:]:
        assert not share[part.vertices].any(), part.name
    from_lip = human.vertices[human.parts[0].vertices] - human.vertices[human.landmarks["lip_upper"]]
    inside = np.flatnonzero((np.abs(from_lip[:, :2]) < 0.02).all(1) & (from_lip[:, 2] < -0.012))
    assert len(inside) > 40  # the walls of the mouth
    assert not share[inside].any()
    assert share[human.landmarks["nose_tip"]] > 0
    assert share[human.landmarks["chin"]] > 0
    assert share[human.landmarks["lip_lower_outer"]] > 0
    assert not share[human.landmarks["larynx"]]
    assert not share[human.landmarks["crown"]]


# --- Heads ------------------------------------------------------------------------------------------------------------


def test_known_curves_of_the_human_come_back(own, human):
    """0.3 mm of noise on every vertex: the weights are found to a hundredth."""
    basis, share = own
    truth = performance(300, 1)
    neutral = human.vertices.astype(np.float64)
    found = shape_solver.solve(
        basis, frames_of(neutral, basis, truth, 3e-4), neutral, names=NAMES, ordered=True, vertex_weights=share
    )
    assert found.optimality <= shape_solver.TOLERANCE
    assert error_of(found.weights, truth) < 0.015
    for name in ("jawOpen", "eyeBlinkLeft", "eyeBlinkRight", "mouthSmileLeft", "mouthSmileRight", "mouthClose"):
        assert alike(found.weights, truth, name) > 0.99, name
    assert np.median(found.explained) > 0.9
    assert found.residual_mm.max() < 0.75  # the noise alone has 0.52


def test_curves_of_another_topology_come_back(carried, human, own):
    """The shapes are the carried ones, the frames move as the human's own do."""
    mesh, rows, basis = carried
    assert basis.names == NAMES
    truth = performance(300, 1)
    found = shape_solver.solve(
        basis.offsets, frames_of(mesh.vertices, own[0][:, rows], truth, 3e-4), mesh.vertices,
        names=NAMES, ordered=True, vertex_weights=basis.vertex_weights,
    )  # fmt: skip
    assert error_of(found.weights, truth) < 0.035
    for name in ("jawOpen", "eyeBlinkLeft", "eyeBlinkRight", "mouthSmileLeft", "mouthSmileRight", "mouthClose"):
        assert alike(found.weights, truth, name) > 0.98, name


def test_a_mask_of_the_face_is_enough(human, own):
    """No neck, no back of the head, and one cheek torn away."""
    mesh, rows = decimated(human)
    chin = human.vertices[human.landmarks["menton"]]
    keep = (mesh.vertices[:, 2] > 0.06) & (mesh.vertices[:, 1] > chin[1] - 0.01)
    keep &= ~((mesh.vertices[:, 0] > 0.045) & (mesh.vertices[:, 1] < chin[1] + 0.07))
    faces = mesh.faces[keep[mesh.faces].all(1)]
    used = np.unique(faces)
    number = np.zeros(len(keep), np.int64)
    number[used] = np.arange(len(used))
    part = replace(mesh, vertices=mesh.vertices[used], faces=number[faces].astype(np.int32),
                   groups=mesh.groups[: len(faces)])  # fmt: skip
    basis = shape_solver.basis_of("human", part)
    truth = performance(150, 5)
    found = shape_solver.solve(
        basis.offsets, frames_of(part.vertices, own[0][:, rows[used]], truth, 3e-4), part.vertices,
        names=NAMES, ordered=True, vertex_weights=basis.vertex_weights,
    )  # fmt: skip
    assert error_of(found.weights, truth) < 0.06
    assert alike(found.weights, truth, "jawOpen") > 0.99


@pytest.mark.slow
@pytest.mark.skipif(not (ICT / "ict_facekit.npz").is_file(), reason=f"no ICT-FaceKit data in {ICT}")
def test_expressions_of_another_face_model():
    """Another sculptor's shapes mean other motions by the same names: the curves are alike, not equal."""
    with np.load(ICT / "ict_facekit.npz", allow_pickle=False) as data:
        neutral = 0.01 * data["neutral"].astype(np.float64)
        shapes = 0.01 * data["expression"].astype(np.float64) - neutral
        stems = [str(name) for name in data["expression_names"]]
    lines = gzip.decompress((ICT / "topology.txt.gz").read_bytes()).decode().splitlines()
    corners = [[int(corner.split("/")[0]) - 1 for corner in line.split()[1:]] for line in lines if line[:2] == "f "]
    faces = np.array([(*face, face[-1])[:4] for face in corners])
    theirs = np.zeros((len(NAMES), *neutral.shape))
    for stem, shape in zip(stems, shapes, strict=True):
        means = curve_names.meaning(stem)
        means = means.removesuffix("_L").removesuffix("_R") if means not in NAMES else means
        if means in NAMES:
            theirs[NAMES.index(means)] += shape
    basis = shape_solver.basis_of("human", mesh_of(neutral, faces))
    truth = performance(400, 2)

    def solved(offsets):
        return shape_solver.solve(
            offsets, frames_of(neutral, theirs, truth), neutral, names=NAMES, ordered=True,
            vertex_weights=basis.vertex_weights,
        )  # fmt: skip

    known, found = solved(theirs), solved(basis.offsets)
    assert error_of(known.weights, truth) < 0.03
    assert alike(known.weights, truth, "mouthSmileLeft") > 0.99
    assert alike(found.weights, truth, "jawOpen") > 0.9
    assert error_of(found.weights, truth) < 0.25
    assert np.median(found.explained) > 0.7
