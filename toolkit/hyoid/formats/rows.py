# SPDX-License-Identifier: Apache-2.0
"""Tables of numbers as text, for BVH and CSV: fast in both directions, locale-free, every bad row named by its line."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TextIO

import numpy as np

from hyoid import scratch
from hyoid.errors import InputError

_BLOCK = 4096
_NTSC = (24000 / 1001, 30000 / 1001, 60000 / 1001, 120000 / 1001)


def write_rows(stream: TextIO, columns: np.ndarray, number: str, separator: str, heads: Iterable[str] = ()) -> None:
    """Write one line a row of ``columns`` (rows, n).

    A column that never changes is formatted once: most joints of a talking take do not move.

    Args:
        number: a %-format, which knows no locale (``%.6f``).
        heads: text before the first number of each row, one a row; none when empty.
    """
    still = np.ones(columns.shape[1], bool)
    for start in range(0, len(columns), _BLOCK):
        still &= (columns[start : start + _BLOCK] == columns[0]).all(0)
        scratch.give_back(columns)
    template = separator.join(
        (number % value).replace("%", "%%") if fixed else number
        for value, fixed in zip(columns[0].tolist(), still.tolist(), strict=True)
    )
    first = iter(heads)
    for start in range(0, len(columns), _BLOCK):
        block = columns[start : start + _BLOCK, ~still].tolist()
        stream.writelines(f"{next(first, '')}{template % tuple(row)}\n" for row in block)
        scratch.give_back(columns)


def read_rows(lines: Iterator[tuple[int, str]], width: int, separator: str | None, path: Path) -> np.ndarray:
    """The numbers of all lines that remain, (rows, width) float64; empty lines are skipped.

    Args:
        lines: (line number, text) pairs. separator: None for any white space.

    Raises:
        InputError: a line has too few or too many numbers, or one that is no finite number; the line is named.
    """
    blocks: list[np.ndarray] = []
    numbers: list[int] = []
    tokens: list[str] = []

    def flush() -> None:
        if tokens:
            blocks.append(_numbers(tokens, numbers, width, path).reshape(-1, width))
            tokens.clear()
            numbers.clear()

    for number, text in lines:
        row = text.split(separator)
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != width:
            raise InputError(f"line {number} has {len(row)} values", path=path, expected=f"{width}")
        tokens += row
        numbers.append(number)
        if len(numbers) == _BLOCK:
            flush()
    flush()
    return np.concatenate(blocks) if blocks else np.empty((0, width))


def _numbers(tokens: Sequence[str], lines: Sequence[int], width: int, path: Path) -> np.ndarray:
    try:
        values = np.array([float(token) for token in tokens])
    except ValueError:
        values = np.array([math.nan])
    if np.isfinite(values).all():
        return values
    for place, token in enumerate(tokens):
        try:
            sound = math.isfinite(float(token))
        except ValueError:
            sound = False
        if not sound:
            raise InputError(
                f"line {lines[place // width]}, value {place % width + 1} is '{token.strip()[:40]}'",
                path=path, expected="a finite number with a decimal point",
            )  # fmt: skip
    raise AssertionError("a value is bad, yet each is sound")


def nearest_rate(rate: float, tolerance: float) -> float:
    """The whole or NTSC frame rate within ``tolerance`` (relative) of a measured one, else the measured one."""
    for known in (float(round(rate)), *_NTSC):
        if known and abs(rate - known) <= tolerance * known:
            return known
    return rate


def text_lines(path: Path) -> list[str]:
    """All lines of a text file, without their ends; a byte order mark is dropped.

    Raises:
        InputError: the file is missing, unreadable or not text.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError("the file does not exist", path=path) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", path=path) from error
    if not data:
        raise InputError("is empty", path=path)
    if b"\0" in data[:4096]:
        raise InputError("is not a text file", path=path)
    # Names in old files are Latin-1; numbers are ASCII in every encoding.
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return text.splitlines()


def row_problems(path: Path, most: int = 20) -> list[str]:
    """Every bad row of a .csv or .bvh file, for a report: the readers stop at the first.

    Raises:
        InputError: the file is missing, unreadable or not text.
    """
    lines = list(enumerate(text_lines(path), 1))
    if Path(path).suffix.lower() == ".csv":
        separator, width = ",", lines[0][1].count(",") + 1
        # The first cell of a Live Link row is its timecode.
        plain_first = 1 if lines[0][1].lower().startswith("timecode") else 0
        rows = lines[1:]
    else:
        counts = [text.split()[1:2] for _, text in lines if text.split()[:1] == ["CHANNELS"]]
        width = sum(int(count[0]) for count in counts if count and len(count[0]) < 6 and count[0].isdecimal())
        first = next((i for i, (_, text) in enumerate(lines) if text.lower().startswith("frame time")), len(lines))
        separator, plain_first, rows = None, 0, lines[first + 1 :]
    found: list[str] = []
    for number, text in rows:
        cells = text.split(separator)
        bad = next((place for place, cell in enumerate(cells) if place >= plain_first and not _is_number(cell)), None)
        if not text.strip() or (plain_first and cells[1:] == ["0"]):
            continue
        if len(cells) != width:
            found.append(f"line {number} has {len(cells)} values; expected {width}")
        elif bad is not None:
            found.append(f"line {number}, value {bad + 1} is '{cells[bad].strip()[:40]}'; expected a finite number")
        if len(found) == most:
            return [*found, "further rows were not looked at"]
    return found


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
