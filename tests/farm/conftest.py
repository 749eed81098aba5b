# SPDX-License-Identifier: Apache-2.0
"""A verb of the tests that falls into chunks, here and in the processes that a test starts."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import hyoid.verbs
import pytest

VERBS = Path(__file__).parent / "verbs"


@pytest.fixture
def wave(tmp_path, monkeypatch):
    """The folder of a job, as the working directory; the verb ``wave`` is known."""
    import hyoid.verbs.run as run

    toolkit = Path(hyoid.verbs.__file__).parents[2]
    paths = [str(VERBS), str(toolkit), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    monkeypatch.setenv("HYOID_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "path", [str(VERBS), *sys.path])
    monkeypatch.setitem(hyoid.verbs.SUMMARIES, "wave", "smooth numbers (tests)")
    monkeypatch.setattr(hyoid.verbs, "__path__", [*hyoid.verbs.__path__, str(VERBS)])
    monkeypatch.setattr(run, "RUNNABLE", (*run.RUNNABLE, "wave"))
    home = tmp_path / "job"
    home.mkdir()
    monkeypatch.chdir(home)
    return home
