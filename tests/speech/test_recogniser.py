# SPDX-License-Identifier: Apache-2.0
"""Children that recognise speech: kept between shots while things are held, replaced when anything went wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hyoid import held
from hyoid.media import audio
from hyoid.speech import recogniser

from tests.processes import alive, until

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
SHORT = [(0, 8000)]  # half a second: 'and'
PHRASE, OTHER = (0, 22000), (50000, 74000)  # samples: 'and so my fellow', 'ask not'
WORKER = """
import sys, time
from pathlib import Path
from hyoid import held
from hyoid.speech import recogniser
begin = recogniser._start
def start():
    child = begin()
    print(child.pid, flush=True)
    return child
recogniser._start = start
with held.holding():
    recogniser.hear(Path(sys.argv[1]), [(0, 8000)], words=False)
    print("heard", flush=True)
    time.sleep(60)
"""


@pytest.fixture(scope="module")
def cache(voice, tmp_path_factory) -> Path:
    """The example as a raw file."""
    path = tmp_path_factory.mktemp("recogniser") / "mono.f32"
    with audio.recording(voice) as sound:
        np.array(sound.samples).tofile(path)
    return path


@pytest.fixture
def interrupts():
    """Ctrl-C raises, also where the tests were begun with '&', which has programs ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def started(monkeypatch) -> list[subprocess.Popen[str]]:
    """The processes that were started in this test."""
    begin, all_of_them = recogniser._start, []

    def start():
        all_of_them.append(begin())
        return all_of_them[-1]

    monkeypatch.setattr(recogniser, "_start", start)
    return all_of_them


def heard(cache: Path, pieces=SHORT) -> list[recogniser.Heard | None]:
    """Phones alone: the decoder of words takes a second longer to load."""
    return recogniser.hear(cache, pieces, words=False)


def test_a_single_command_leaves_no_child(cache, started):
    heard(cache)
    heard(cache)
    assert len(started) == 2
    assert all(child.returncode is not None for child in started)


def test_children_stay_while_things_are_held(cache, started):
    """One child for three shots, with and without words; a second one where two pieces are heard at once."""
    with held.holding():
        heard(cache)
        recogniser.hear(cache, SHORT)
        heard(cache)
        assert len(started) == 1
        heard(cache, SHORT * 2)
        heard(cache, SHORT * 2)
        assert len(started) == 2
        assert all(child.poll() is None for child in started)
    assert all(child.returncode is not None for child in started)


def test_what_was_heard_before_changes_nothing(cache, started):
    """Nor does a recording in another file, or another kind of search in between."""
    moved = cache.with_name("moved.f32")
    np.fromfile(cache, np.float32)[OTHER[0] :].tofile(moved)
    with held.holding():
        first = recogniser.hear(cache, [PHRASE])
        other = recogniser.hear(moved, [(0, OTHER[1] - OTHER[0])])
        loop = heard(cache, [PHRASE])
        assert recogniser.hear(cache, [PHRASE]) == first
    assert len(started) == 1
    assert recogniser.hear(cache, [OTHER]) == other
    assert heard(cache, [PHRASE]) == loop
    assert len(started) == 3
    assert all(answer is not None and answer.words for answer in (*first, *other))


def test_a_child_that_died_between_shots_costs_nothing(cache, started):
    with held.holding():
        before = heard(cache)
        os.kill(started[0].pid, signal.SIGKILL)
        until(lambda: not alive(started[0].pid))
        assert heard(cache) == before != [None]
    assert len(started) == 2


def test_a_child_that_dies_of_a_piece_is_replaced(cache, started, tmp_path):
    with held.holding():
        assert heard(tmp_path / "gone.f32") == [None]
        assert heard(cache) != [None]
    assert len(started) == 2


def test_a_child_hears_only_so_many_pieces_in_all_shots(cache, started, monkeypatch):
    monkeypatch.setattr(recogniser, "PIECES_A_CHILD", 2)
    with held.holding():
        for _ in range(3):
            heard(cache)
    assert len(started) == 2


@pytest.mark.usefixtures("interrupts")
def test_a_cancel_in_the_middle_leaves_no_child(cache, started):
    """Two children decode a piece that takes them many seconds; they are gone at once, and others begin later."""
    with held.holding():
        heard(cache)
        whole = (0, 170_000)
        timer = threading.Timer(1.0, signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT))
        timer.start()
        begun = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            recogniser.hear(cache, [whole, whole])
        assert time.monotonic() - begun < 3
        assert len(started) == 2
        assert all(child.returncode == -signal.SIGKILL for child in started)
        assert heard(cache) != [None]
        assert len(started) == 3


def test_children_end_with_a_process_that_is_killed(cache):
    """Nobody could tell them; they see their standard input end."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    worker = subprocess.Popen([sys.executable, "-c", WORKER, cache], stdout=subprocess.PIPE, text=True, env=environment)
    with worker:
        assert worker.stdout is not None
        child = int(worker.stdout.readline())
        assert worker.stdout.readline() == "heard\n"
        assert alive(child)
        worker.kill()
    until(lambda: not alive(child), 10)
