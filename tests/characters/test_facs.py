# SPDX-License-Identifier: Apache-2.0
"""Action units: every one from 1 to 46 is known or its absence explained, and plays wherever curves play."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hyoid.characters import arkit, facs, performance
from hyoid.errors import UsageError
from hyoid.take import Keys

from tests import toy


def with_curves(frames=1, **curves):
    values = np.stack([np.full(frames, value, np.float32) for value in curves.values()], -1)
    return replace(toy.take(frames), curve_names=tuple(curves), curves=values)


def shown(take):
    """Weights above zero by shape, as every export evaluates them."""
    character = toy.character()
    weights = performance.perform(character, take).shape_weights[0]
    return {n: float(w) for n, w in zip(character.shapes.names, weights, strict=True) if abs(w) > 1e-6}


def test_every_number_from_1_to_46_is_a_recipe_or_an_explanation():
    for number in range(1, 47):
        name = f"AU{number}"
        assert (name in facs.NOT_SHOWN) != (name in facs.RECIPES or f"{name}L" in facs.RECIPES), name
        assert name in facs.NAMES or name == "AU3"
    for name, weights in facs.RECIPES.items():
        assert set(weights) <= {*arkit.NAMES, "neckTense"}, name
        assert all(0 < weight <= 1 for weight in weights.values()), name


def test_two_sides_make_the_whole():
    for name in facs.RECIPES:
        if name[-1] in "LR" or f"{name}L" not in facs.RECIPES:
            continue
        left, right = facs.RECIPES[f"{name}L"], facs.RECIPES[f"{name}R"]
        total = {shape: left.get(shape, 0) + right.get(shape, 0) for shape in {*left, *right}}
        assert total == pytest.approx(facs.RECIPES[name]), name


def test_sides_are_the_characters_own():
    for name, weights in facs.RECIPES.items():
        other = "Right" if name.endswith("L") else "Left" if name.endswith("R") else "neither"
        assert not any(shape.endswith(other) for shape in weights if not shape.startswith(("jaw", "mouthLeft"))), name


def test_a_unit_plays_like_its_recipe_and_adds_to_what_is_there():
    assert shown(with_curves(AU12=0.5)) == pytest.approx({"mouthSmileLeft": 0.5, "mouthSmileRight": 0.5})
    assert shown(with_curves(AU12L=1.0, mouthSmileLeft=0.4, mouthSmileRight=0.3)) == pytest.approx(
        {"mouthSmileLeft": 1.0, "mouthSmileRight": 0.3}
    )
    assert shown(with_curves(AU26=1.0, jawOpen=1.3))["jawOpen"] == pytest.approx(1.3)  # what is beyond 1 stays


def test_a_piece_of_a_take_gives_a_piece_of_the_result():
    random = np.random.default_rng(0)
    names = ("AU6", "AU8", "AU26", "AU43", "AU7R", "jawOpen", "larynxHeight")
    take = replace(toy.take(30), curve_names=names, curves=random.uniform(0, 1, (30, 7)).astype(np.float32))
    character = toy.character()
    whole = performance.perform(character, take)
    piece = performance.perform(character, take, 10, 20)
    assert np.array_equal(whole.shape_weights[10:20], piece.shape_weights)


def test_lips_meet_only_over_an_open_jaw_and_closed_lids_do_not_squint_fully():
    assert shown(with_curves(AU8=1.0)) == {}
    assert shown(with_curves(AU8=1.0, AU26=1.0))["mouthClose"] == pytest.approx(0.4)
    assert shown(with_curves(AU7=1.0, AU43=1.0))["eyeSquintLeft"] == pytest.approx(0.5)
    assert shown(with_curves(AU7=1.0))["eyeSquintLeft"] == pytest.approx(1.0)


def test_a_character_with_a_cheek_raiser_uses_it():
    names, _ = facs.expanded(("AU6L",), np.ones((1, 1), np.float32), ("cheekRaiser_L", "cheekRaiser_R"))
    assert names == ("eyeSquintLeft", "cheekRaiser_L")
    assert "cheekSquintLeft" in facs.recipe("AU6")


def test_a_character_with_two_inner_brows_raises_one():
    assert facs.recipe("AU1L", ("browInnerUp", "browInnerUp_L", "browInnerUp_R")) == {"browInnerUp_L": 1.0}
    assert facs.recipe("AU1", ("browInnerUp", "browInnerUp_L", "browInnerUp_R")) == {"browInnerUp": 1.0}


def test_baking_gives_the_same_performance_without_units():
    take = toy.take()
    extra = np.linspace(0, 1, take.frames, dtype=np.float32)[:, None]
    keys = {name: Keys(np.array([0.0]), np.array([0.5], np.float32)) for name in ("AU12", "mouthSmileLeft", "jawOpen")}
    take = replace(
        take, curve_names=(*take.curve_names, "AU12", "AU31"), keys=keys,
        curves=np.concatenate([take.curves, extra, extra], 1),
    )  # fmt: skip
    baked = facs.expand(take)
    assert [name for name in baked.curve_names if facs.unit(name)] == ["AU31"]  # one that cannot be shown stays
    assert set(baked.keys) == {"jawOpen"}  # the others no longer tell the curve
    character = toy.character()
    before, after = (performance.perform(character, each).shape_weights for each in (take, baked))
    assert np.allclose(before, after, atol=1e-6)
    assert facs.expand(baked) is baked


def test_estimate_is_the_way_back():
    given = {"AU1": 0.6, "AU4L": 0.5, "AU12L": 0.8, "AU12R": 0.3, "AU18": 0.4, "AU27": 0.7, "AU43R": 0.9}
    names, curves = facs.expanded(tuple(given), np.array([list(given.values())], np.float32))
    found = facs.estimate(names, curves)
    for name, value in given.items():
        assert found[name][0] == pytest.approx(value, abs=0.02), name
    assert max((v[0] for n, v in found.items() if n not in given), default=0) < 0.03


@pytest.mark.parametrize(
    ("text", "value"), [("A", 0.2), ("b", 0.4), ("C", 0.6), ("D", 0.8), ("E", 1.0), ("0.35", 0.35), (1, 1.0)]
)
def test_intensities(text, value):
    assert facs.intensity(text) == pytest.approx(value)
    assert facs.letter(facs.intensity("D")) == "D"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("AU31", "masseter"), ("AU3", "no unit 3"), ("AU46", "AU46L or AU46R"), ("AU18L", "no sides"),
        ("AU99", "no action unit"), ("smile", "no action unit"),
    ],
)  # fmt: skip
def test_units_that_are_not_there_are_explained(name, says):
    with pytest.raises(UsageError, match=says):
        facs.recipe(name)


def test_other_bad_input():
    for text in ("F", "", "nan", "very"):
        with pytest.raises(UsageError, match="no intensity"):
            facs.intensity(text)
    with pytest.raises(UsageError, match="no emotion"):
        facs.emotion("boredom")
    assert facs.emotion("happiness", 0.5)["AU12"] == pytest.approx(0.5 * facs.EMOTIONS["happiness"]["AU12"])
    assert [facs.unit(n) for n in ("AU01", "au12l", "AD29", "AU12 R", "AU012", "AUTO", "AU50")] == [
        "AU1", "AU12L", "AU29", None, "AU12", None, None,
    ]  # fmt: skip


def test_emotions_are_made_of_units_that_exist():
    for units in facs.EMOTIONS.values():
        assert set(units) <= set(facs.RECIPES)


def test_an_emotion_is_an_expression_that_a_character_can_hold():
    from hyoid.verbs import rig

    take = rig.held(rig.Job(character="human", shape={"happiness": 0.5}), toy.character())
    assert shown(take)["mouthSmileLeft"] == pytest.approx(0.5 * facs.EMOTIONS["happiness"]["AU12"])
