# SPDX-License-Identifier: Apache-2.0
"""The figures of the bench of directions of heads, put into the cards of the weights: no number is typed by hand.

``python bench/headpose.py --cards models`` measures and writes; ``python bench/_head_cards.py RESULT.json ...`` writes
what ``python bench/headpose.py --json`` or ``hyoid bench headpose --json`` told before. Figures of renders and of
photographs have a block each, which the other leaves as it is.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _head_methods import THRESHOLD
from _head_text import boxes_line, text, verdicts
from hyoid.errors import InputError
from hyoid.files import part_file

SYSTEMS = {"semiuhpe": "SemiUHPE", "directmhp": "DirectMHP"}
"""Folders of the weights, and what the bench calls them."""
BEGIN, END = "<!-- measured -->", "<!-- end -->"
BEGIN_PHOTOGRAPHS = "<!-- measured on photographs -->"
_ROOT = Path(__file__).resolve().parents[1] / "models"
_CASES = 12


def write(result: dict[str, Any], models: Path = _ROOT) -> list[Path]:
    """Rewrite the block of both cards in a folder of weights that a result of the bench is about; the cards.

    Raises:
        InputError: a card is not there or has not the marks. OutputError: it cannot be written.
    """
    begin = BEGIN_PHOTOGRAPHS if "photographs" in result else BEGIN
    cards = [models / folder / "card.md" for folder in SYSTEMS]
    told = [replaced(card, begin, measured(result, name)) for card, name in zip(cards, SYSTEMS.values(), strict=True)]
    for card, whole in zip(cards, told, strict=True):
        with part_file(card) as part:
            part.write_text(whole, encoding="utf-8")
    return cards


def replaced(card: Path, begin: str, block: str) -> str:
    """The text of a card with another block after a mark.

    Raises:
        InputError: see :func:`write`.
    """
    try:
        whole = card.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=card, expected="a card of weights") from error
    head, mark, rest = whole.partition(begin)
    _, end, tail = rest.partition(END)
    if not (mark and end):
        raise InputError("has no block for the figures", path=card, expected=f"lines {begin} and {END}")
    return f"{head}{begin}\n\n{block.strip()}\n\n{END}{tail}"


def measured(result: dict[str, Any], name: str) -> str:
    """What a card says of a network (``SemiUHPE`` or ``DirectMHP``), in Markdown."""
    from headpose import part_lines

    facts = result.get(name, {})
    lines = [f"`{facts['weights']}`, SHA-256 `{facts['sha256'][:16]}`."] if "sha256" in facts else []
    if "photographs" in result:
        from _head_photographs import show

        lines += ["", show({key: value for key, value in result.items() if key != "drawn"})]
        return "\n".join(lines)
    fitted = f"`landmarks + PnP` was fitted on {result['heads_that_the_opponent_learned_from']} training heads."
    lines += [f"Seed {result['seed']}; {fitted}", ""]
    parts = ("crops", "crops of another domain") if name == "SemiUHPE" else ("pictures",)
    for part in parts:
        lines += [*part_lines(part, result[part]), ""]
    if name == "DirectMHP":
        lines += [boxes_line(result["pictures"]["detection"], result["pictures"]["pictures"]), ""]
    own = [goal for goal in result["goals"] if goal["goal"].startswith(name)]
    lines += [f"- {line}" for line in verdicts({"goals": own})]
    if "drawn" in result:
        lines += ["", *_cases(result["drawn"], name)]
    return "\n".join(lines)


def _cases(drawn: dict[str, Any], name: str) -> list[str]:
    """The worst cases, one a line."""
    if name == "SemiUHPE":
        order = sorted(drawn["worst"], key=lambda one: -one["error"])[:_CASES]
        lines = [
            f"- {one['region']}, {one['domain']} renders, crop {one['crop']}: {text(one['error'], 0)} degrees off "
            f"(yaw {text(one['yaw'], 0)}, entropy {text(one['entropy'])})"
            for one in order
        ]
        return [f"The {len(order)} worst of the heads in the sheet of failures:", "", *lines]
    lines = [
        f"At a confidence of {THRESHOLD:g}, {drawn['missed_heads']} heads were missed and {drawn['false_boxes']} boxes "
        "have no head of their own."
    ]
    missed = [f"{one['pixels']} pixels (yaw {text(one['yaw'], 0)}, {one['picture']})" for one in drawn["missed"]]
    false = [f"confidence {text(one['confidence'], 2)} ({one['picture']})" for one in drawn["false"]]
    lines += ["", f"- largest missed heads: {', '.join(missed)}"] if missed else []
    lines += ["", f"- surest boxes without a head: {', '.join(false)}"] if false else []
    return lines


def result_in(path: Path) -> dict[str, Any]:
    """The figures in a file: those alone, or the events of ``hyoid bench headpose --json``, one a line.

    Raises:
        InputError: there are none.
    """
    try:
        whole = path.read_text(encoding="utf-8")
        try:
            values = [json.loads(whole)]
        except ValueError:
            values = [json.loads(line) for line in whole.splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read as JSON: {error}", path=path, expected="figures of the bench") from error
    for value in reversed(values):
        found = value.get("result", value) if isinstance(value, dict) else {}
        if isinstance(found, dict) and "goals" in found:
            return found
    raise InputError("holds no figures", path=path, expected="what python bench/headpose.py --json printed")


def main(arguments: Sequence[str] | None = None) -> None:
    """Put the figures of files into the cards."""
    parser = argparse.ArgumentParser(description="put figures of the bench of directions of heads into the cards")
    parser.add_argument("results", type=Path, nargs="+")
    parser.add_argument("--models", type=Path, default=_ROOT)
    given = parser.parse_args(arguments)
    for path in given.results:
        write(result_in(path), given.models)


if __name__ == "__main__":
    main()
