# SPDX-License-Identifier: Apache-2.0
"""What Open Job Description reads on the standard output of a command: progress, status, failure, variables."""

from __future__ import annotations

import sys
import time
from typing import Any

from hyoid.report import Report

_SECONDS = 1.0  # between lines of progress


def telling(report: Report) -> Report:
    """A report that also writes lines of progress and status."""
    told = [0.0]

    def emit(event: dict[str, Any]) -> None:
        report.emit(event)
        if event["event"] == "message":
            say("status", event["text"])
        elif event["event"] == "progress" and (event["fraction"] >= 1 or time.monotonic() - told[0] >= _SECONDS):
            told[0] = time.monotonic()
            say("progress", f"{100 * event['fraction']:.1f}")

    return Report(emit)


def say(what: str, text: str) -> None:
    """Write ``openjd_WHAT: text``; ``what`` is progress, status, fail or env."""
    sys.stdout.write(f"openjd_{what}: {' '.join(text.split())}\n")
    sys.stdout.flush()
