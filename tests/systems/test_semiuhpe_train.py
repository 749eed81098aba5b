# SPDX-License-Identifier: Apache-2.0
"""Training of SemiUHPE: losses, views that mean what they show, both stages learn, can be stopped, follow the seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hyoid.errors import InputError, UsageError
from hyoid.geometry import head_angles
from hyoid.systems.semiuhpe import distribution
from hyoid.systems.semiuhpe.config import Config

from tests.systems.semiuhpe_files import SMALL, drawn, heads, spots

torch = pytest.importorskip("torch")

from hyoid.systems.semiuhpe import augment, losses, network, train  # noqa: E402
from hyoid.systems.semiuhpe.layers import Training  # noqa: E402

POSES = heads(96)
CROPS = spots(POSES)
STILL = augment.Settings(
    flip=0, turned=0, area=(1, 1), jitter=0, colour=0, grey=0, blur=0, sharpen=0, small=0, jpeg=0, noise=0, texture=0,
    cut=0,
)  # fmt: skip
RECIPE = train.Recipe(steps=6, batch=8, rate=3e-3, margin=1.25, precision="float32")
SEMI = train.SemiRecipe(steps=5, batch=4, ratio=2, rate=1e-3, asked=16, kept_every=2, precision="float32")


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def labelled(step: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    rows = np.random.default_rng([1, step]).integers(0, len(CROPS), count)
    return CROPS[rows], POSES[rows].astype("f4")


def unlabelled(step: int, count: int) -> np.ndarray:
    return labelled(step + 1000, count)[0]


def test_blocks_that_the_start_lacks_change_nothing_at_first():
    start, deep = drawn(), replace(SMALL, depth=4)
    nothing = replace(RECIPE, steps=0)
    grown = train.train(labelled, deep, nothing, start=start)
    assert len(grown.parameters) > len(start.parameters)
    images = torch.randn(3, 3, SMALL.size, SMALL.size, generator=torch.Generator().manual_seed(0))
    answers = [
        network.forward({name: torch.tensor(array) for name, array in model.parameters.items()}, model.config, images)
        for model in (start, grown)
    ]
    assert torch.equal(*answers)
    with pytest.raises(UsageError, match="the start is a"):
        train.train(labelled, SMALL, nothing, start=grown)


def test_sides_are_seen_more_often_where_a_recipe_says_so():
    yaws = np.linspace(-179, 179, 96)
    poses = head_angles.matrices(np.stack([0 * yaws, yaws, 0 * yaws], -1)).astype("f4")
    numbers = np.arange(96, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)

    def told(step: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        rows = np.random.default_rng(step).integers(0, 96, count)
        return numbers[rows], poses[rows]

    recipe = replace(RECIPE, batch=16, shares=(0.27, 0.55, 0.18))
    batches = [train._drawn(told, step, recipe) for step in range(60)]
    assert {len(crops) for crops, _ in batches} == {16}
    assert np.array_equal(train._drawn(told, 7, recipe)[0], batches[7][0])
    for crops, rotations in batches:
        assert np.array_equal(poses[crops[:, 0, 0, 0]], rotations)
    rotations = np.concatenate([rotations for _, rotations in batches])
    front, side, back = (float(rows.mean()) for rows in head_angles.regions(rotations).values())
    assert side > 1.4 / 3
    assert back < 0.7 / 3
    assert front + side + back == pytest.approx(1)


def test_gradients_are_those_of_the_losses():
    generator = torch.Generator().manual_seed(0)
    student, teacher = (3 * torch.randn(4, 3, 3, generator=generator, dtype=torch.float64) for _ in range(2))
    truth = torch.tensor(heads(4))
    kinds = (
        lambda a: losses.negative_log_likelihood(a, truth), lambda a: losses.cross_entropy(teacher, a),
        lambda a: losses.laplace(a, truth),
    )  # fmt: skip
    for loss in kinds:
        # The trapezoid rule's own error is what the tolerance allows.
        given = student.clone().requires_grad_()
        loss(given).sum().backward()
        step = 1e-4 * torch.randn(3, 3, generator=generator, dtype=torch.float64)
        slope = (loss(student + step) - loss(student - step)) / 2
        assert given.grad is not None
        assert torch.allclose((given.grad * step).sum((-1, -2)), slope, atol=2e-7)


def test_equal_singular_values_give_gradients_that_are_finite():
    given = (7 * torch.eye(3)).repeat(2, 1, 1).requires_grad_()
    losses.negative_log_likelihood(given, torch.eye(3)).sum().backward()
    assert given.grad is not None
    assert torch.isfinite(given.grad).all()
    assert torch.allclose(given.grad[0], given.grad[0, 0, 0] * torch.eye(3), atol=1e-6)


def test_the_published_cross_entropy_is_near_the_exact_one():
    teacher = torch.tensor(3 * np.random.default_rng(0).standard_normal((8, 3, 3)))
    own = losses.cross_entropy_published(teacher, teacher)
    assert torch.allclose(own, losses.cross_entropy(teacher, teacher), atol=1e-4)
    other = teacher + 0.3 * torch.randn(8, 3, 3, generator=torch.Generator().manual_seed(1))
    between = (losses.cross_entropy_published(teacher, other) - losses.cross_entropy(teacher, other)).abs()
    assert 1e-5 < between.max() < 0.1


# --- views ------------------------------------------------------------------------------------------------------------


def _place(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray | None:
    """Middle of what has a colour, from the picture's middle, in its sides."""
    near = np.abs(picture * 255 - np.array(colour)).max(-1) < 40
    return None if near.sum() < 12 else np.argwhere(near).mean(0)[::-1] / len(picture) - 0.5 + 0.5 / len(picture)


def test_a_view_shows_the_head_that_its_rotation_tells():
    settings = replace(STILL, flip=0.5, turned=1.0, turn=60)
    seen = augment.view(CROPS, 60, settings, 3, 0)
    assert 20 < int(seen.mirrored.sum()) < 76
    poses = torch.tensor(POSES).float()
    told = augment.carried(poses, seen).numpy()
    pictures = seen.images.permute(0, 2, 3, 1).numpy() * augment.SPREAD + augment.MEAN
    checked = 0
    for picture, rotation in zip(pictures, told, strict=True):
        # The nose and the chin have their colours in a mirror too; ears change sides, so they are not looked at.
        for end, colour in ((-rotation[:, 2], (250, 250, 60)), (rotation[:, 1], (60, 60, 220))):
            found = _place(picture, colour)
            if found is not None and end[2] < -0.2:  # in front of the others
                assert np.abs(found - 0.22 * end[:2]).max() < 0.02
                checked += 1
    assert checked > 60
    assert torch.allclose(augment.brought_back(torch.tensor(told), seen), poses, atol=1e-5)


def test_a_margin_is_cut_off_and_what_is_outside_is_black():
    still = augment.view(CROPS[:2], 48, STILL, 0, 0, margin=1.25)
    inner = augment.view(CROPS[:2, 6:54, 6:54], 48, STILL, 0, 0)
    assert torch.allclose(still.images, inner.images, atol=1e-4)
    wide = augment.view(CROPS[:2], 48, replace(STILL, area=(4.0, 4.0)), 0, 0)
    corners = wide.images[:, :, :8, :8] * torch.tensor(augment.SPREAD)[:, None, None]
    assert torch.allclose(corners + torch.tensor(augment.MEAN)[:, None, None], torch.zeros(1), atol=1e-5)
    np.testing.assert_allclose(
        network.normalised(torch.tensor(CROPS[:2])).numpy(), augment.view(CROPS[:2], 60, STILL, 0, 0).images, atol=1e-4
    )


def test_views_follow_from_seed_and_step_and_stay_pictures():
    for settings in (augment.WEAK, augment.LABELLED, augment.STRONG):
        first, same, other = (augment.view(CROPS[:16], 50, settings, 5, step) for step in (1, 1, 2))
        assert torch.equal(first.images, same.images)
        assert torch.equal(first.turns, same.turns)
        assert not torch.equal(first.images, other.images)
        assert torch.isfinite(first.images).all()
        colours = first.images * torch.tensor(augment.SPREAD)[:, None, None]
        colours = colours + torch.tensor(augment.MEAN)[:, None, None]
        assert colours.min() > -1e-5
        assert colours.max() < 1 + 1e-5


@pytest.mark.parametrize("name", ["grey", "blur", "sharpen", "small", "jpeg", "noise", "texture", "cut", "colour"])
def test_each_change_changes_pictures(name):
    seen = augment.view(
        CROPS[:12], 48, replace(STILL, **{name: 1.0, "colour": float(name in ("grey", "colour"))}), 0, 0
    )
    still = augment.view(CROPS[:12], 48, STILL, 0, 0)
    changed = (seen.images - still.images).abs().mean((1, 2, 3))
    assert (changed > 1e-3).float().mean() > 0.9
    if name == "grey":
        colours = seen.images * torch.tensor(augment.SPREAD)[:, None, None]
        assert (colours.std((2, 3)).std(1) < 0.2).all()


# --- training ---------------------------------------------------------------------------------------------------------


def _equal(one, other) -> bool:
    return all(np.array_equal(one.parameters[name], array) for name, array in other.parameters.items())


class _StopError(Exception):
    pass


def _stop_at(source, step: int):
    def stopping(number: int, count: int):
        if number == step:
            raise _StopError
        return source(number, count)

    return stopping


def test_stage_one_follows_from_the_seed_and_goes_on_where_it_stopped(tmp_path, monkeypatch):
    schedule = train.training.Schedule
    monkeypatch.setattr(train.training, "Schedule", lambda *args, **more: schedule(*args, **more, kept_every=2))
    whole = train.train(labelled, SMALL, RECIPE)
    assert not _equal(whole, train.train(labelled, SMALL, replace(RECIPE, seed=1)))
    state = tmp_path / "state"
    with pytest.raises(_StopError):
        train.train(_stop_at(labelled, 5), SMALL, RECIPE, state=state)
    assert state.is_file()
    with pytest.raises(InputError, match="another training"):
        train.train(labelled, SMALL, replace(RECIPE, batch=4), state=state)
    assert _equal(whole, train.train(labelled, SMALL, RECIPE, state=state))
    assert whole.note["crops_seen"] == 48


@pytest.mark.parametrize("threshold", [0.0, None])
def test_stage_two_follows_from_the_seed_and_goes_on_where_it_stopped(tmp_path, threshold):
    recipe = replace(SEMI, threshold=threshold, renewed=3)
    whole = train.train_semi(drawn(), labelled, unlabelled, recipe)
    state = tmp_path / "state"
    with pytest.raises(_StopError):
        train.train_semi(drawn(), _stop_at(labelled, 4), unlabelled, recipe, state=state)
    assert _equal(whole, train.train_semi(drawn(), labelled, unlabelled, recipe, state=state))
    assert not _equal(whole, drawn())
    assert not _equal(whole, train.train_semi(drawn(), labelled, unlabelled, replace(recipe, result="teacher")))
    with pytest.raises(UsageError, match="result 'both'"):
        train.train_semi(drawn(), labelled, unlabelled, replace(recipe, result="both"))


def test_only_what_the_teacher_is_sure_of_teaches():
    none = train.train_semi(drawn(), labelled, unlabelled, replace(SEMI, threshold=-100.0))
    alone = train.train_semi(drawn(), labelled, unlabelled, replace(SEMI, share=0.0))
    every = train.train_semi(drawn(), labelled, unlabelled, replace(SEMI, threshold=1.0))
    names = [name for name in none.parameters if "running" not in name]
    assert all(np.allclose(none.parameters[name], alone.parameters[name], atol=1e-6) for name in names)
    assert not all(np.allclose(none.parameters[name], every.parameters[name], atol=1e-4) for name in names)


def test_a_dynamic_threshold_lets_its_share_of_crops_pass():
    model = drawn()
    teacher = {name: torch.tensor(array) for name, array in model.parameters.items()}
    recipe = replace(SEMI, asked=64, believed=0.75)
    threshold = train._asked(teacher, SMALL, unlabelled, recipe, "cpu")
    crops = np.concatenate([unlabelled(recipe.steps + number, 8) for number in range(8)])
    seen = augment.view(crops, SMALL.size, STILL, 0, 0, margin=recipe.unlabelled_margin)
    with torch.no_grad():
        said = train.predicted(teacher, SMALL, seen.images, None, "float32").numpy()
    entropies = distribution.entropy(distribution.proper_svd(said)[1])
    # Among 64 crops, some are drawn twice and end in ties.
    assert (entropies < threshold - 1e-6).mean() <= 0.75 <= (entropies < threshold + 1e-6).mean()


def test_the_teacher_begins_as_the_student():
    # Whose first answers are then those of a trained network: the first threshold is taken from them.
    teacher = train.train_semi(drawn(), labelled, unlabelled, replace(SEMI, steps=1, result="teacher"))
    names = [name for name in teacher.parameters if "running" not in name]
    assert all(np.array_equal(teacher.parameters[name], drawn().parameters[name]) for name in names)
    assert not _equal(teacher, drawn())  # it keeps running statistics of its own


def test_training_mode_keeps_statistics_and_drops():
    config = Config("resnet18", 64)
    parameters = {name: torch.tensor(array) for name, array in drawn(config).parameters.items()}
    before = parameters["bn1.running_mean"].clone()
    images = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    found = network.forward(parameters, config, images, Training(0.5, 0.5))
    assert not torch.equal(before, parameters["bn1.running_mean"])
    torch.manual_seed(1)
    assert not torch.equal(found, network.forward(parameters, config, images, Training(0.5, 0.5)))


@pytest.mark.parametrize("backbone", ["plain", "mobilenet", "effinetv2", "effinet", "repvgg", "tinyvit"])
def test_first_parameters_know_nothing_and_pass_the_picture_on(backbone):
    config = Config(backbone, 224 if backbone == "tinyvit" else 64)
    parameters = {name: torch.tensor(array) for name, array in train.initial(config, 0).items()}
    images = torch.randn(4, 3, config.size, config.size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        feature = network.feature(parameters, config, images, Training())
        found = network.head(parameters, config, feature, Training())
    assert 1e-3 < float(feature.std()) < 30
    assert np.abs(distribution.entropy(distribution.proper_svd(found.numpy())[1])).max() < 0.05


@pytest.mark.slow
def test_it_learns_heads_it_has_not_seen():
    recipe = train.Recipe(
        steps=350, batch=32, rate=4e-3, warm_up=30, average=0.97, views=replace(augment.WEAK, flip=0.5), margin=1.0
    )
    poses = heads(600, seed=7)
    crops = spots(poses)

    def drawing(step: int, count: int):
        rows = np.random.default_rng([2, step]).integers(0, 500, count)
        return crops[rows], poses[rows].astype("f4")

    config = Config("plain", 48, 0.5)
    model = train.train(drawing, config, recipe)
    parameters = {name: torch.tensor(array) for name, array in model.parameters.items()}
    seen = augment.view(crops[500:], 48, STILL, 0, 0)
    with torch.no_grad():
        found = train.predicted(parameters, config, seen.images, None, "float32").numpy()
    error = head_angles.geodesic(distribution.mode(found), poses[500:])
    always_frontal = head_angles.geodesic(np.eye(3), poses[500:])
    assert error.mean() < 0.3 * always_frontal.mean()
    assert distribution.entropy(distribution.proper_svd(found)[1]).mean() < -3
