# SPDX-License-Identifier: Apache-2.0
"""What is held between jobs: kept as long as there is room, closed when it is dropped, never while it is used."""

from __future__ import annotations

import pytest
from hyoid import held


class Thing:
    """Something that must be closed."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.closed = False

    def close(self) -> None:
        self.closed = True


def use(number: int) -> Thing:
    with held.lent(Thing, number) as thing:
        assert not thing.closed
    return thing


def test_nothing_is_kept_where_nothing_is_held():
    assert use(1).closed
    assert use(1) is not use(1)


def test_what_was_lent_is_lent_again_and_closed_at_the_end():
    with held.holding():
        first, second = use(1), use(2)
        assert use(1) is first
        assert use(2) is second
        assert not first.closed
    assert first.closed
    assert second.closed
    assert use(1) is not first


def test_what_is_used_is_neither_dropped_nor_lent_to_others():
    with held.holding():
        with held.lent(Thing, 0) as thing:
            assert use(0) is not thing
            others = [use(number) for number in range(1, held._MOST + 2)]
            loaded = [held.load(int, number) for number in range(held._MOST)]
            assert loaded == list(range(held._MOST))
            assert all(other.closed for other in others)
            assert not thing.closed
        assert use(0) is thing


def test_a_second_one_that_was_needed_meanwhile_is_closed():
    with held.holding():
        with held.lent(Thing, 0) as thing:
            other = use(0)
        assert (thing.closed, other.closed) == (True, False)
        assert use(0) is other


def test_what_was_loaded_is_dropped_but_not_closed():
    """Whoever loaded it may still use it."""
    with held.holding():
        loaded = held.load(Thing, 0)
        for number in range(held._MOST):
            held.load(int, number)
        assert held.load(Thing, 0) is not loaded
    assert not loaded.closed


def test_an_error_closes_what_it_came_through():
    with held.holding():
        with pytest.raises(KeyboardInterrupt), held.lent(Thing, 0) as thing:
            raise KeyboardInterrupt
        assert thing.closed
        assert use(0) is not thing


def test_other_work_gets_the_memory_of_what_was_lent():
    """What was loaded stays: reading it again is slow. So does what somebody uses."""
    with held.holding():
        held.begin("talk")
        thing, loaded = use(0), held.load(object)
        held.begin("talk")
        assert not thing.closed
        with held.lent(Thing, 1) as used:
            held.begin("lift")
            assert thing.closed
            assert not used.closed
        assert use(0) is not thing
        assert use(1) is used
        assert held.load(object) is loaded
