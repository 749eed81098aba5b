# SPDX-License-Identifier: Apache-2.0
"""FaceStab: both networks, the robust baselines, weights as files, and what the answer may not depend on."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hyoid.characters.fit.face_points import FacePoints
from hyoid.errors import InputError, WeightsError
from hyoid.geometry import rotations
from hyoid.geometry.rigid import Rigid, align, identity
from hyoid.systems.facestab import checkpoint, infer, known, network, robust
from hyoid.systems.facestab.known import KnownMotions
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

torch = pytest.importorskip("torch")
SMALL = network.TrustConfig(patches=24, channels=8, hidden=12, blocks=2)


def motion(frames: int, seed: int, degrees: float = 20.0, shift: float = 30.0) -> Rigid:
    random = np.random.default_rng(seed)
    turns = rotations.from_rotation_vector(np.radians(degrees) * random.uniform(-1, 1, (frames, 3)) / np.sqrt(3))
    return Rigid(rotations.to_matrix(turns), random.normal(0, shift, (frames, 3)))


def face(points: int = 200, seed: int = 0) -> checkpoint.Face:
    """A cap of a ball as large as a face."""
    random = np.random.default_rng(seed)
    sphere = random.normal(size=(4 * points, 3))
    sphere /= np.linalg.norm(sphere, axis=1, keepdims=True)
    template = 80 * sphere[sphere[:, 2] > 0][:points]
    motion = np.maximum(-template[:, 1] / 20, 0).astype(np.float32)  # the lower half moves
    known = (motion[:, None] * random.normal(size=(3, 1, 3))).astype(np.float16).astype(np.float32)
    return checkpoint.Face(
        np.arange(points, dtype=np.int32), template.astype(np.float32), np.arange(points) < 150, motion, known
    )


def model(form: str = "trust", seed: int = 0) -> checkpoint.Model:
    config = SMALL if form == "trust" else network.RegressConfig(hidden=32, features=8)
    own = face()
    parameters = network.initial(checkpoint.shapes_of(form, config, len(own.rows)), seed)
    random = np.random.default_rng(seed + 1)
    # A network that does something: the last layer begins near zero.
    for name in parameters:
        if name in ("output.weight", "regressor.2.weight"):
            parameters[name] = (0.2 * random.standard_normal(parameters[name].shape)).astype(np.float32)
    return checkpoint.make(form, config, parameters, own, {"licence": "CC0-1.0", "error_scale": 1.0})


@pytest.fixture(scope="module")
def shipped() -> checkpoint.Model:
    return checkpoint.load(checkpoint.find("facestab"))


# --- the baselines ----------------------------------------------------------------------------------------------------


def test_procrustes_is_scipys_answer():
    random = np.random.default_rng(1)
    target = random.normal(0, 50, (60, 3))
    source = motion(5, 2).apply(target) + random.normal(0, 1, (5, 60, 3))
    weights = random.uniform(0.1, 1, 60)
    found = align(source, target, weights)
    for frame in range(5):
        own, other = weights @ source[frame] / weights.sum(), weights @ target / weights.sum()
        peer, _ = Rotation.align_vectors(target - other, source[frame] - own, weights=weights)
        assert np.abs(found.rotations[frame] - peer.as_matrix()).max() < 1e-12


def test_a_mirrored_set_of_points_is_turned_and_never_mirrored():
    points = np.random.default_rng(1).normal(0, 50, (40, 3))
    found = align((points * [-1, 1, 1])[None], points)
    assert np.linalg.det(found.rotations[0]) == pytest.approx(1.0)


def scipy_loop(source: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same reweighting, one point set at a time, as it is usually written."""
    weights, scale = np.ones(len(source)), None
    turn, own, other = Rotation.identity(), source.mean(0), target.mean(0)
    for _ in range(robust.ROUNDS + 1):
        own, other = weights @ source / weights.sum(), weights @ target / weights.sum()
        turn, _ = Rotation.align_vectors(target - other, source - own, weights=weights)
        residual = np.linalg.norm(turn.apply(source - own) + other - target, axis=1)
        scale = 3 * np.median(residual) if scale is None else scale
        scale = max(robust.DECAY * scale, robust.FINEST)
        weights = (scale**2 / (scale**2 + residual**2)) ** 2
    return turn.as_matrix(), other - turn.as_matrix() @ own


def test_robust_alignment_is_a_plain_loops_answer():
    random = np.random.default_rng(3)
    target = random.normal(0, 50, (150, 3))
    source = motion(4, 4).apply(target) + random.normal(0, 0.3, (4, 150, 3))
    source[:, :50] += random.normal(0, 15, (4, 50, 3))
    found = robust.geman_mcclure(source, target)
    for frame in range(4):
        rotation, shift = scipy_loop(source[frame], target)
        gap = np.abs(found.apply(source)[frame] - (source[frame] @ rotation.T + shift)).max()
        assert gap < 1e-6  # millimetres


@pytest.mark.parametrize("method", [robust.geman_mcclure, robust.least_absolute])
def test_robust_alignment_finds_the_motion_that_a_third_of_the_points_hides(method):
    random = np.random.default_rng(5)
    target = random.normal(0, 50, (300, 3))
    moved = motion(3, 6)
    source = moved.inverse().apply(target)
    source[:, :100] += 12 * random.random((3, 100, 3))
    error = np.linalg.norm(method(source, target).apply(target) - moved.apply(target), axis=-1).max()
    plain = np.linalg.norm(robust.procrustes(source, target).apply(target) - moved.apply(target), axis=-1).max()
    assert error < 0.05 < 1 < plain


def test_points_that_are_masked_do_not_count():
    random = np.random.default_rng(7)
    target = random.normal(0, 50, (100, 3))
    source = motion(2, 8).apply(target) + random.normal(0, 1, (2, 100, 3))
    mask = (np.arange(100) < 60).astype(float)
    spoiled = source.copy()
    spoiled[:, 60:] = 1e4
    for method in (robust.procrustes, robust.geman_mcclure, robust.least_absolute):
        a, b = method(source, target, mask), method(spoiled, target, mask)
        assert np.abs(a.rotations - b.rotations).max() < 1e-9


def test_frames_do_not_hang_on_each_other():
    random = np.random.default_rng(9)
    target = random.normal(0, 50, (1000, 3))
    source = motion(20, 10).apply(target) + random.normal(0, 2, (20, 1000, 3))
    whole = robust.geman_mcclure(source, target)
    for cut in (1, 7):
        parts = [robust.geman_mcclure(source[i : i + cut], target) for i in range(0, 20, cut)]
        joined = np.concatenate([part.translations for part in parts])
        assert np.abs(joined - whole.translations).max() < 1e-9


# --- the networks -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["trust", "regress"])
def test_numpy_and_torch_say_the_same(form):
    """What is trained with one is run with the other."""
    own = model(form)
    random = np.random.default_rng(11)
    template = own.face.template
    target = template + random.normal(0, 1, (3, *template.shape)).astype(np.float32)
    source = target + random.normal(0, 2, target.shape).astype(np.float32)
    mask = (random.random((3, len(template))) > 0.2).astype(np.float32)
    tensors = {name: torch.from_numpy(array) for name, array in own.parameters.items()}
    if form == "regress":
        ours = network.regress(own.parameters, template, source, target, mask)
        theirs = network.regress(tensors, *map(torch.from_numpy, (template, source, target, mask)))
    else:
        (rotation, shift), start = network.pre_align(source, target, mask, 5)
        _, other = network.pre_align(*map(torch.from_numpy, (source, target, mask)), 5)
        assert np.abs(source @ rotation.transpose(0, 2, 1) + shift[:, None] - start).max() < 1e-4
        assert np.abs(start - other.numpy()).max() < 1e-3
        steps, *_ = network.trusting_fit(own.parameters, SMALL, own.gather, own.spread, start, target, mask)
        peers, *_ = network.trusting_fit(
            tensors, SMALL, *map(torch.from_numpy, (own.gather, own.spread, start, target, mask))
        )
        ours, theirs = steps[-1], peers[-1]
    for a, b in zip(ours, theirs, strict=True):
        assert np.abs(a - b.detach().numpy()).max() < 1e-4


@pytest.mark.parametrize("form", ["trust", "regress"])
def test_an_untrained_network_leaves_the_pre_alignment_as_it_is(form):
    config = SMALL if form == "trust" else network.RegressConfig(hidden=32, features=8)
    own = replace(face(), known=np.zeros((0, 200, 3), np.float32))
    parameters = network.initial(checkpoint.shapes_of(form, config, 200), 0)
    fresh = checkpoint.make(form, config, parameters, own, {})
    target = own.template.astype(np.float64)
    source = target[None] + np.random.default_rng(1).normal(0, 0.5, (4, 200, 3))
    method = "facestab" if form == "trust" else "regressor"
    found = infer.stabilise(source, target, method=method, model=fresh).motion
    plain = robust.geman_mcclure(source, target) if form == "trust" else robust.procrustes(source, target)
    assert np.abs(found.apply(source) - plain.apply(source)).max() < 0.15  # millimetres


def test_small_steps_end_where_procrustes_does():
    random = np.random.default_rng(13)
    target = random.normal(0, 50, (2, 80, 3))
    source = motion(2, 14, degrees=3, shift=2).apply(target) + random.normal(0, 1, (2, 80, 3))
    weights = random.uniform(0.1, 1, (2, 80))
    moved = source
    for _ in range(4):
        rotation, shift = network.small_step(moved, target, weights)
        moved = moved @ rotation.transpose(0, 2, 1) + shift[:, None]
    assert np.abs(moved - align(source, target, weights).apply(source)).max() < 1e-3


def test_habit_is_a_share_of_the_answer():
    """None of it is the network's answer, all of it the fit of the skin that seldom moves, half of it lies between."""
    own = model()
    target = own.face.template.astype(np.float64)
    source = target[None] + np.random.default_rng(1).normal(0, 1.5, (3, 200, 3))
    answers = [
        infer.stabilise(source, target, model=replace(own, config=replace(SMALL, habit=share))).motion.apply(source)
        for share in (0.0, 0.5, 1.0)
    ]
    still = own.face.motion < 0.1
    gap = np.linalg.norm(answers[2][:, still] - target[still], axis=-1).mean()
    assert gap < np.linalg.norm(answers[0][:, still] - target[still], axis=-1).mean()
    assert np.abs(answers[1] - (answers[0] + answers[2]) / 2).max() < 0.05  # millimetres; rotations are not linear


def test_known_motions_hide_no_motion_of_the_head():
    """Skin that moves as is known, which carries plain alignment off, changes the answer by nothing."""
    own = face()
    random = np.random.default_rng(3)
    target = own.template.astype(np.float64)
    source = target + np.einsum("fm,mkc->fkc", random.normal(0, 1, (4, 3)), own.known)
    moved = motion(4, 5, degrees=2, shift=1).apply(source)
    steps, unexplained = KnownMotions(own.template, own.known, np.ones(200)).fit(moved, target)
    for rotation, translation in steps:
        moved = moved @ rotation.transpose(0, 2, 1) + translation[:, None]
    plain = robust.procrustes(source, target).apply(source)
    assert np.linalg.norm(plain - source, axis=-1).mean() > 0.5
    assert np.linalg.norm(moved - source, axis=-1).mean() < 0.1
    assert (unexplained < 0.1).all()
    assert (known.share(unexplained, 0.0) > 0.99).all()


def test_what_is_not_known_is_left_to_the_network():
    own = replace(model(), config=replace(SMALL, known=0.0, linear=0.0))
    random = np.random.default_rng(4)
    target = own.face.template.astype(np.float64)
    torn = target[None] + 4 * np.sin(target[None] / 9 + random.normal(0, 2, (3, 1, 3)))
    _, unexplained = KnownMotions(own.face.template, own.face.known, np.ones(200)).fit(
        align(torn, target).apply(torn), target
    )
    assert (known.share(unexplained, 0.0) < 0.01).all()
    with_known = infer.stabilise(torn, target, model=own).motion.apply(torn)
    without = replace(own, face=replace(own.face, known=own.face.known[:0]))
    assert np.abs(with_known - infer.stabilise(torn, target, model=without).motion.apply(torn)).max() < 0.05


def coarse(count: int) -> tuple[FacePoints, np.ndarray, np.ndarray]:
    """Points read off a mesh: each between its three nearest of some vertices; the points and the vertices."""
    places = np.random.default_rng(2).normal(size=(200, 3)) * [50, 60, 20]
    vertices = np.random.default_rng(3).normal(size=(count, 3)) * [50, 60, 20]
    distances, nearest = cKDTree(vertices).query(places, 3)
    weights = 1 / (distances + 1) ** 2
    shares = weights / weights.sum(1, keepdims=True)
    return FacePoints(nearest.astype(np.int32), shares, np.ones(200), distances[:, 0]), places, vertices


def waves(points: np.ndarray) -> np.ndarray:
    """(4, n, 3) smooth motions."""
    phases = points @ np.random.default_rng(4).normal(0, 0.03, (3, 12))
    return np.sin(phases).T.reshape(4, 3, -1).transpose(0, 2, 1)


def test_known_motions_are_blurred_as_a_coarse_mesh_blurs_them():
    points, places, vertices = coarse(150)
    truth = points.of(waves(vertices))
    shown = known.shown(waves(places), places, vertices, points.vertices, points.shares, points.mask)
    assert np.abs(shown - truth).mean() < 0.5 * np.abs(waves(places) - truth).mean()
    scaled = known.shown(waves(places), places / 10, vertices / 10, points.vertices, points.shares, points.mask)
    np.testing.assert_allclose(scaled, shown, atol=1e-9)  # in any unit


def test_known_motions_stay_on_a_fine_mesh():
    _, places, _ = coarse(150)
    corners = np.arange(600).reshape(200, 3)
    vertices = np.repeat(places, 3, axis=0) + 0.3 * np.random.default_rng(5).normal(size=(600, 3))
    shown = known.shown(waves(places), places, vertices, corners, np.full((200, 3), 1 / 3), np.ones(200))
    assert np.abs(shown - waves(places)).max() < 1e-3


def test_known_motions_of_points_that_are_missing_or_in_one_place():
    points, places, vertices = coarse(150)
    mask = (np.arange(200) % 3 > 0).astype(float)
    places[2] = places[1]
    motions = waves(places).astype(np.float16)
    shown = known.shown(motions, places, vertices, points.vertices, points.shares, mask)
    assert shown.dtype == np.float16
    assert np.isfinite(shown).all()
    assert np.array_equal(shown[:, mask == 0], motions[:, mask == 0])
    assert not np.array_equal(shown[:, mask > 0], motions[:, mask > 0])


def test_a_model_is_shown_on_a_mesh():
    points, places, vertices = coarse(150)
    own = model()
    seen = infer.shown_on(own, points, places, vertices)
    assert seen.parameters is own.parameters
    wanted = known.shown(own.face.known, places, vertices, points.vertices, points.shares, points.mask)
    assert np.array_equal(seen.face.known, wanted)
    without = replace(own, face=replace(own.face, known=own.face.known[:0]))
    assert infer.shown_on(without, points, places, vertices) is without


def test_points_that_are_missing_do_not_matter_to_known_motions():
    own = face()
    random = np.random.default_rng(6)
    mask = (np.arange(200) % 4 > 0).astype(float)
    source = own.template + random.normal(0, 0.5, (2, 200, 3))
    spoiled = np.where(mask[:, None] > 0, source, 1e3)
    one, other = (
        KnownMotions(own.template, own.known, mask).fit(points, own.template)[1] for points in (source, spoiled)
    )
    assert np.array_equal(one, other)


def test_a_patch_without_points_says_nothing():
    own = model()
    target = own.face.template[None]
    source = target + np.random.default_rng(1).normal(0, 2, target.shape).astype(np.float32)
    mask = np.zeros((1, 200), np.float32)
    features = network._patch_features(own.gather, source, target, mask)
    assert np.isfinite(features).all()
    assert (features == 0).all()


# --- one call for every method ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", infer.METHODS)
def test_the_answer_follows_rigid_motions_of_either_side(method):
    own = model("regress" if method == "regressor" else "trust")
    random = np.random.default_rng(15)
    target = own.face.template + random.normal(0, 1, (200, 3))
    source = motion(3, 16).apply(target) + random.normal(0, 1.5, (3, 200, 3))
    trained = own if method in ("facestab", "regressor") else None
    before = infer.stabilise(source, target, method=method, model=trained).motion
    there, here = motion(3, 17, 180, 400), motion(1, 18, 180, 400)
    after = infer.stabilise(
        there.apply(source), here.apply(target[None])[0], method=method, model=trained
    ).motion.apply(there.apply(source))  # fmt: skip
    assert np.abs(after - here.after(before).apply(source)).max() < 1e-3  # millimetres


@pytest.mark.parametrize("method", infer.METHODS)
def test_chunks_are_the_whole(method):
    own = model("regress" if method == "regressor" else "trust")
    random = np.random.default_rng(19)
    target = own.face.template.astype(np.float64)
    source = motion(infer.BATCH + 9, 20).apply(target) + random.normal(0, 1, (infer.BATCH + 9, 200, 3))
    trained = own if method in ("facestab", "regressor") else None
    whole = infer.stabilise(source, target, method=method, model=trained)
    for cut in (1, 17):
        parts = [
            infer.stabilise(source[i : i + cut], target, method=method, model=trained).motion.apply(source[i : i + cut])
            for i in range(0, len(source), cut)
        ]
        assert np.abs(np.concatenate(parts) - whole.motion.apply(source)).max() < 1e-4  # millimetres


def test_the_number_of_threads_changes_nothing():
    own = model()
    target = own.face.template.astype(np.float64)
    source = motion(200, 21).apply(target) + np.random.default_rng(2).normal(0, 1, (200, 200, 3))
    one, many = (infer.stabilise(source, target, model=own, threads=threads) for threads in (1, 4))
    assert np.array_equal(one.motion.rotations, many.motion.rotations)
    assert np.array_equal(one.expected_error, many.expected_error)


def test_missing_points_may_hold_anything():
    own = model()
    target = own.face.template.astype(np.float64)
    mask = (np.arange(200) % 3 > 0).astype(float)
    source = motion(2, 22).apply(target) + np.random.default_rng(2).normal(0, 1, (2, 200, 3))
    spoiled = source.copy()
    spoiled[:, mask == 0] = np.nan
    clean, dirty = (infer.stabilise(points, target, mask=mask, model=own) for points in (source, spoiled))
    assert np.array_equal(clean.motion.translations, dirty.motion.translations)
    assert np.isnan(clean.residuals[:, mask == 0]).all()
    assert np.isfinite(clean.residuals[:, mask > 0]).all()


def test_a_face_that_only_moves_is_certain_and_a_torn_one_is_not():
    own = model()
    target = own.face.template.astype(np.float64)
    random = np.random.default_rng(23)
    still = motion(1, 24).apply(target) + random.normal(0, 0.05, (1, 200, 3))
    torn = motion(1, 25).apply(target) + random.normal(0, 4, (1, 200, 3))
    found = infer.stabilise(np.concatenate([still, torn]), target, model=own)
    assert found.expected_error[0] < 0.3 < found.expected_error[1]
    assert found.confidence[0] > 0.9 > found.confidence[1]


# --- what is refused --------------------------------------------------------------------------------------------------


def another_person(target: np.ndarray) -> np.ndarray:
    return target * [1.4, 0.75, 1.0] + 14 * np.sin(target / 17)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda p: 10 * p, "10 times as large"), (lambda p: 0.1 * p, "0.1 times as large"),
        (lambda p: 1.2 * p, "1.2 times as large"), (lambda p: p * [-1, 1, 1] + 0, "mirror image"),
        (another_person, "another face"),
    ],
)  # fmt: skip
def test_another_person_or_scale_is_refused_with_the_reason(change, said):
    random = np.random.default_rng(26)
    target = face().template.astype(np.float64) + 6 * random.normal(size=(200, 3))
    good = motion(1, 27).apply(target)
    found = infer.stabilise(np.concatenate([good, motion(1, 28).apply(change(target))]), target, method="irls")
    assert list(found.refused) == [1]
    assert said in found.refused[1]
    assert found.confidence[1] == 0 < found.confidence[0]


def test_a_person_who_opens_the_mouth_wide_is_not_refused(shipped):
    target = shipped.face.template.astype(np.float64)
    source = target.copy()
    low = target[:, 1] < np.quantile(target[:, 1], 0.3)
    source[low] += [0, -35, -8]
    found = infer.stabilise(source[None], target, model=shipped)
    assert found.refused == {}


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (np.zeros((0, 200, 3)), "no frames"), (np.zeros((2, 150, 3)), "shapes"),
        (np.full((1, 200, 3), np.nan), "frame 0 holds numbers that are not finite"),
    ],
)  # fmt: skip
def test_bad_points_are_told(source, said):
    with pytest.raises(InputError, match=said):
        infer.stabilise(source, face().template, method="irls")


def test_too_few_points_are_told():
    mask = (np.arange(200) < 3).astype(float)
    with pytest.raises(InputError, match="3 points to align"):
        infer.stabilise(np.zeros((1, 200, 3)), face().template, mask=mask, method="irls")


# --- weights as files -------------------------------------------------------------------------------------------------


def test_weights_come_back_as_they_were_written(tmp_path):
    own = model()
    for name in ("a", "b"):
        checkpoint.save(tmp_path / f"{name}.safetensors", own)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    found = checkpoint.load(tmp_path / "a.safetensors")
    assert found.config == own.config
    assert found.note["licence"] == "CC0-1.0"
    for name, array in own.parameters.items():
        assert np.array_equal(found.parameters[name], array.astype(np.float16).astype(np.float32))


def test_weights_of_something_else_are_refused(tmp_path):
    from safetensors.numpy import save_file

    path = tmp_path / "other.safetensors"
    save_file({"x": np.zeros(3, np.float32)}, path)
    with pytest.raises(WeightsError, match="another network"):
        checkpoint.load(path)
    own = model()
    fewer = {name: array for name, array in own.parameters.items() if name != "place"}
    checkpoint.save(path, replace(own, parameters=fewer))
    with pytest.raises(WeightsError, match="lacks 'place'"):
        checkpoint.load(path)
    checkpoint.save(path, replace(own, parameters={**own.parameters, "place": np.zeros((2, 2))}))
    with pytest.raises(WeightsError, match="'place' is"):
        checkpoint.load(path)
    checkpoint.save(path, replace(own, face=replace(own.face, known=np.zeros((3, 2, 3)))))
    with pytest.raises(WeightsError, match="known"):
        checkpoint.load(path)
    checkpoint.save(path, replace(own, parameters={**own.parameters, "place": np.full((24, 8), np.inf)}))
    with pytest.raises(WeightsError, match="not finite"):
        checkpoint.load(path)


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"\x80\x04pickle", b"\xff" * 100])
def test_files_that_are_no_weights_are_refused(tmp_path, content):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="safetensors"):
        checkpoint.load(path)


def test_a_truncated_file_is_refused(tmp_path):
    path = tmp_path / "weights.safetensors"
    checkpoint.save(path, model())
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(WeightsError, match="safetensors"):
        checkpoint.load(path)


def test_another_version_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "weights.safetensors"
    checkpoint.save(path, model())
    monkeypatch.setattr(checkpoint, "VERSION", checkpoint.VERSION + 1)
    with pytest.raises(WeightsError, match=f"of version {checkpoint.VERSION - 1}"):
        checkpoint.load(path)


def test_what_is_shipped_says_where_it_comes_from(shipped):
    assert shipped.licence == "MIT"
    assert "USC" in shipped.note["notice"]
    assert checkpoint.load(checkpoint.find("human")).licence == "CC0-1.0"
    assert json.dumps(dict(shipped.note))


def test_no_motion_is_no_motion():
    still = identity(3)
    points = np.random.default_rng(1).normal(size=(3, 5, 3))
    assert np.array_equal(still.apply(points), points)
    assert still.degrees().max() == 0
