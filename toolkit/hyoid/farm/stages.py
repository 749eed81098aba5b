# SPDX-License-Identifier: Apache-2.0
"""What a farm is given: stages of numbered tasks, each after others. A step is one, and its finishing another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hyoid.errors import UsageError
from hyoid.farm.plan import Plan

MOST = 10_000  # tasks a job, as AWS Deadline Cloud takes them
REPORT = "report"
_MOST_OF_STAGE = 1000  # jobs in an array of Slurm, as it comes
_LEAST_OF_STAGE = 16  # short tasks are not put together so far that machines stand idle
_USUAL_FRAMES = 500
_LONGEST_NAME = 60  # letters of the name of a step; Open Job Description takes 64


@dataclass(frozen=True)
class Stage:
    """Tasks of a step that may be done side by side.

    Attributes:
        name: one of its own, for the farm. step: of the job. finish: whether its tasks join chunks.
        tasks: how many. group: tasks that one number stands for. at_once: numbers that one command does.
        after: names of stages that have to be done before.
    """

    name: str
    step: str
    finish: bool
    tasks: int
    group: int
    at_once: int
    after: tuple[str, ...]

    @property
    def count(self) -> int:
        """How many numbers there are."""
        return -(-self.tasks // self.group)

    @property
    def words(self) -> list[str]:
        """The words of ``hyoid farm task`` that name the stage."""
        words = [f"--step={self.step}", *(["--finish"] if self.finish else [])]
        return [*words, *([f"--group={self.group}"] if self.group > 1 else [])]


def of_plan(plan: Plan, at_once: int | None = None, *, limited: bool = True) -> list[Stage]:
    """The stages of a plan, in an order in which they can be done.

    Args:
        at_once: tasks that one command does, in every stage; without it short ones are put together.
        limited: whether it is for a farm that takes so many tasks; else each task has its own number.

    Raises:
        UsageError: there would be more than 10 000 tasks for the farm.
    """
    kinds = [(step, kind, len(plan.tasks(step, kind))) for step in plan.steps for kind in ("work", "finish")]
    kinds = [one for one in kinds if one[2]]
    total = sum(tasks for _, _, tasks in kinds)
    most = min(_MOST_OF_STAGE, (MOST - 1) // len(kinds))
    found: list[Stage] = []
    last: dict[str, str] = {}
    for step, kind, tasks in kinds:
        size = (at_once or _size(plan, step, kind == "finish", tasks, most)) if limited else 1
        needs = dict.fromkeys(other for unit in plan.units if unit.step == step for other in unit.needs)
        after = [last[other] for other in needs if other in last]
        if kind == "finish":
            after = [last[step]]
        name = _name(f"{step}, finish" if kind == "finish" else step, [*(stage.name for stage in found), REPORT])
        last[step] = name
        # Where a farm counts numbers and not commands, a number must stand for several tasks.
        group = size if limited and total >= MOST else 1
        found.append(Stage(name, step, kind == "finish", tasks, group, size // group, tuple(after)))
    commands = sum(-(-stage.count // stage.at_once) for stage in found) + 1
    if limited and commands > MOST:
        raise UsageError(
            f"the job has {commands} tasks for the farm", expected=f"at most {MOST}",
            hint=f"Let one task do more: --at-once {-(-total // (MOST - 1 - len(kinds)))}, or give steps larger chunks",
        )  # fmt: skip
    return found


def _size(plan: Plan, step: str, finish: bool, tasks: int, most: int) -> int:
    """Tasks that one command does: about 500 frames where they are short, and few enough commands for the farm."""
    frames = sum(unit.frames or 0 for unit in plan.units if unit.step == step) // tasks
    wanted = 1 if finish or not frames else max(1, _USUAL_FRAMES // frames)
    return max(min(wanted, -(-tasks // _LEAST_OF_STAGE)), -(-tasks // most))


def _name(name: str, others: Sequence[str]) -> str:
    """A name that is not too long, and none of the others."""
    short = name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
    number = 2
    found = short
    while found in others:
        end = f" {number}"
        found = f"{short[: _LONGEST_NAME - len(end)]}{end}"
        number += 1
    return found
