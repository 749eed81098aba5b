# SPDX-License-Identifier: Apache-2.0
"""Heat maps: the right colour at the right place, what is near hides what is far, and the same bytes every time."""

from __future__ import annotations

import numpy as np
import pytest
from hyoid.errors import UsageError
from hyoid.media import heat_map

from tests import toy


def square(half: float = 0.1, z: float = 0.0) -> np.ndarray:
    return np.array([[-half, -half, z], [half, -half, z], [half, half, z], [-half, half, z]])


QUAD = np.array([[0, 1, 2, 3]])
FRAMING = heat_map.Framing(np.zeros(3), 0.2)
LIMITS = (0.0, 1.0)


def shot(vertices, faces, values, **options) -> np.ndarray:
    options = {"limits": LIMITS, "size": (100, 100), "framing": FRAMING, **options}
    return heat_map.picture(np.asarray(vertices, float), np.asarray(faces), np.asarray(values, float), **options)


def warmth(picture: np.ndarray) -> np.ndarray:
    """Red minus blue: rises along the colour map, whatever the light."""
    return picture[..., 0].astype(int) - picture[..., 2]


@pytest.mark.parametrize("view", heat_map.VIEWS)
def test_the_whole_mesh_is_inside_the_picture(view):
    character = toy.character()
    values = character.vertices[:, 1] * 10
    alpha = heat_map.picture(character.vertices, character.faces, values, limits=(13, 18), size=(90, 120), view=view)
    alpha = alpha[..., 3]
    assert alpha.shape == (120, 90)
    assert alpha.any()
    assert not any(edge.any() for edge in (alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]))


def test_a_square_covers_what_it_should_and_its_edges_are_soft():
    """A square of half the reach covers a quarter of the picture; two degrees of pitch take less than a percent."""
    alpha = shot(square(0.1012), QUAD, np.zeros(4))[..., 3] / 255
    assert alpha.mean() == pytest.approx(0.25, rel=0.04)
    assert ((alpha > 0) & (alpha < 1)).any()


def test_the_nearer_surface_hides_the_farther_whatever_their_order():
    both = np.concatenate([square(z=0.02), square(z=-0.02)])
    faces = np.array([[0, 1, 2, 3], [4, 5, 6, 7]])
    values = [1, 1, 1, 1, 0, 0, 0, 0]
    first, second = shot(both, faces, values), shot(both, faces[::-1], values)
    assert np.array_equal(first, second)
    assert warmth(first)[50, 50] > 0  # the near one is at the warm end
    assert warmth(shot(both * [1, 1, -1], faces, values))[50, 50] < 0


def test_the_left_of_the_head_is_at_the_right_of_the_picture_and_up_is_up():
    left = warmth(shot(square(), QUAD, [0, 1, 1, 0]))
    assert left[50, 70] > left[50, 30] + 60
    top = warmth(shot(square(), QUAD, [0, 0, 1, 1]))
    assert top[30, 50] > top[70, 50] + 60


def test_three_quarter_looks_from_the_left_of_the_head():
    """A square that faces the head's left is a line from the front and an area from three quarters."""
    side = square()[:, [2, 1, 0]]
    front = shot(side, QUAD, np.zeros(4))[..., 3].sum()
    assert shot(side, QUAD, np.zeros(4), view="three-quarter")[..., 3].sum() > 10 * max(front, 255)


def test_points_without_a_value_are_grey_and_the_others_coloured():
    vertices = np.concatenate([square(0.05) + np.array([0.06, 0, 0]), square(0.05) - np.array([0.06, 0, 0])])
    seen = shot(vertices, [[0, 1, 2, 3], [4, 5, 6, 7]], [0.5] * 4 + [np.nan] * 4)
    grey, coloured = seen[50, 32, :3].astype(int), seen[50, 68, :3].astype(int)
    assert np.ptp(grey) <= 1
    assert np.ptp(coloured) > 60


def test_a_mesh_that_faces_away_is_lit_all_the_same():
    """Some files hold their faces inside out; they must not come out black."""
    outward, inward = shot(square(), QUAD, np.ones(4)), shot(square(), QUAD[:, ::-1], np.ones(4))
    assert np.abs(outward.astype(int) - inward).max() <= 1


def test_values_outside_the_limits_take_the_ends():
    for value, end in ((-3, 0), (9, 1)):
        assert np.array_equal(shot(square(), QUAD, [value] * 4), shot(square(), QUAD, [end] * 4))


def test_the_same_picture_every_time_and_in_any_chunks(monkeypatch):
    character = toy.character()
    arguments = (character.vertices, character.faces, character.vertices[:, 0] * 10)
    whole = heat_map.picture(*arguments, limits=(-1, 1), size=(120, 120))
    assert np.array_equal(whole, heat_map.picture(*arguments, limits=(-1, 1), size=(120, 120)))
    monkeypatch.setattr(heat_map, "_CHUNK", 1000)
    assert np.array_equal(whole, heat_map.picture(*arguments, limits=(-1, 1), size=(120, 120)))


def test_degenerate_faces_and_stray_points_do_no_harm():
    vertices = np.concatenate([square(), [[50.0, 0, 0], [0, 0, 90.0]]])
    faces = np.array([[0, 1, 2, 3], [0, 0, 0, 0], [0, 1, 1, 1]])
    plain = shot(square(), QUAD, np.ones(4))
    assert np.array_equal(shot(vertices, faces, np.ones(6)), plain)


def test_triangles_are_taken_as_well_as_quads():
    assert np.array_equal(shot(square(), [[0, 1, 2], [0, 2, 3]], np.ones(4)), shot(square(), QUAD, np.ones(4)))


def test_render_draws_the_scale_beside_the_mesh():
    picture = heat_map.render(square(), QUAD, np.ones(4), limits=(0, 2.5), size=(200, 160))
    assert picture.shape == (160, 200, 3)
    assert picture.dtype == np.uint8
    ramp = picture[:, 200 - 44 + 2]
    rows = [int(np.abs(ramp.astype(int) - heat_map.colour_bytes(np.array(end)).astype(int)).sum(1).argmin())
            for end in (1.0, 0.5, 0.0)]  # fmt: skip
    assert rows == sorted(rows)  # the large values are at the top
    assert rows[2] - rows[0] > 100
    numbers = picture[:, 200 - 44 + 12 :]
    assert (numbers.max(-1) > 180).any()  # light letters on the dark ground


def test_equal_steps_of_the_colour_map_look_equal_and_always_lighter():
    """Lightness alone orders the colours, so they read the same without red and green, and in grey print."""
    linear = heat_map.colours(np.linspace(0, 1, 21))
    lightness = 116 * np.cbrt(linear @ [0.2126, 0.7152, 0.0722]) - 16
    steps = np.diff(lightness)
    assert steps.min() > 1.5
    assert steps.max() < 1.6 * steps.min()
    assert lightness[-1] - lightness[0] > 50
    assert linear.max() < 1  # nothing was cut to what a screen can show
    assert linear.min() > 0


def test_frame_ignores_points_without_values_unless_none_has_one():
    vertices = np.array([[0, 0, 0], [0.1, 0.1, 0], [5, 5, 5.0]])
    near = heat_map.frame(vertices, "front", np.array([1.0, 2.0, np.nan]))
    assert near.reach < 0.2
    assert heat_map.frame(vertices, "front", np.full(3, np.nan)).reach > 2


def test_carry_speaks_for_its_surroundings_only():
    points = np.array([[0, 0, 0], [1, 0, 0.0]])
    vertices = np.array([[0, 0, 0], [0.5, 0, 0], [1, 0, 0], [0, 2, 0.0]])
    found = heat_map.carry(points, np.array([0.0, 1.0]), vertices, 0.6)
    assert found[:3] == pytest.approx([0, 0.5, 1], abs=0.01)
    assert np.isnan(found[3])


@pytest.mark.parametrize(("largest", "top"), [(0.0, 0.1), (0.31, 0.5), (1.0, 1.0), (1.2, 1.5), (6.1, 7), (71, 100)])
def test_nice_top_is_round_and_holds_the_values(largest, top):
    assert heat_map.nice_top(np.array([largest, np.nan]), 1.0) == pytest.approx(top)


@pytest.mark.parametrize(("options", "word"), [({"view": "back"}, "front"), ({"size": (20, 400)}, "64 to 4096")])
def test_a_wrong_view_or_size_is_told(options, word):
    with pytest.raises(UsageError, match=word):
        heat_map.render(square(), QUAD, np.zeros(4), limits=LIMITS, **options)
