# SPDX-License-Identifier: Apache-2.0
"""The sounds of English: the 39 ARPAbet phones, their viseme classes, and the pronouncing dictionary."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

VISEMES: dict[str, tuple[str, ...]] = {
    "SIL": ("SIL",),
    "PBM": ("P", "B", "M"),
    "FV": ("F", "V"),
    "TH": ("TH", "DH"),
    "TDNL": ("T", "D", "N", "L"),
    "SZ": ("S", "Z"),
    "SH": ("SH", "ZH", "CH", "JH"),
    "KG": ("K", "G", "NG", "HH"),
    "R": ("R", "ER"),
    "W": ("W", "UW", "UH"),
    "IY": ("IY", "IH", "Y"),
    "EH": ("EH", "AE"),
    "AA": ("AA", "AH"),
    "AO": ("AO",),
}
"""The phones of each viseme class; the diphthongs are in :data:`DIPHTHONGS`."""

DIPHTHONGS: dict[str, tuple[str, str]] = {
    "EY": ("EH", "IY"),
    "AY": ("AA", "IY"),
    "OW": ("AO", "W"),
    "AW": ("AA", "W"),
    "OY": ("AO", "IY"),
}
"""Phones with two targets: the first viseme gives way to the second at 60 % of the phone."""

CLASS: dict[str, str] = {phone: name for name, phones in VISEMES.items() for phone in phones}
VOWELS = frozenset(["AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"])
NAMES = frozenset(CLASS) | frozenset(DIPHTHONGS)
ROUNDED = frozenset(["W", "UW", "UH", "OW", "AO", "OY", "R", "ER", "SH", "ZH", "CH", "JH", "AW"])


@lru_cache(maxsize=1)
def dictionary() -> dict[str, list[tuple[str, ...]]]:
    """The CMU pronouncing dictionary that comes with PocketSphinx: word -> pronunciations, the usual one first."""
    from pocketsphinx import get_model_path

    words: dict[str, list[tuple[str, ...]]] = {}
    text = Path(get_model_path("en-us/cmudict-en-us.dict")).read_text(encoding="utf-8")
    for line in text.splitlines():
        word, _, phones = line.partition(" ")
        if word.endswith(")"):
            word = word[: word.rindex("(")]
        words.setdefault(word, []).append(tuple(phones.split()))
    return words
