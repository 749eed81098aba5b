# SPDX-License-Identifier: Apache-2.0
"""Transcripts become the words that a speaker would say."""

from __future__ import annotations

import pytest
from hyoid.errors import InputError
from hyoid.speech import text


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("And so, my fellow Americans:", "and so my fellow americans"),
        ("don’t ‘stop’ café naïve", "don't stop cafe naive"),
        ("0 7 13 20 21 101", "zero seven thirteen twenty twenty one one hundred one"),
        ("999", "nine hundred ninety nine"),
        ("1,234,567", "one million two hundred thirty four thousand five hundred sixty seven"),
        ("in 1994 and 2007", "in nineteen ninety four and two thousand seven"),
        ("1905, 1800", "nineteen oh five eighteen hundred"),
        ("the 1980s", "the nineteen eighties"),
        ("1st 2nd 3rd 12th 21st 100th", "first second third twelfth twenty first one hundredth"),
        ("3.14", "three point one four"),
        ("$3.50, €1, £0.99", "three dollars and fifty cents one euro ninety nine pence"),
        ("$5 million", "five million dollars"),
        ("50% & 5°", "fifty percent and five degrees"),
        ("10:05", "ten oh five"),
        ("5kg at 20 km", "five kilograms at twenty kilometers"),
        ("Dr. Lee vs. Mr. Smith", "doctor lee versus mister smith"),
        ("the U.S.A., e.g. here", "the u s a for example here"),
        ("007", "zero zero seven"),
        ("[laughs] hello <i>you</i>", "hello you"),
        ("well-known", "well known"),
        ("-5", "minus five"),
        ("20-30", "twenty to thirty"),
    ],
)  # fmt: skip
def test_what_is_written_is_spoken_out(written, spoken):
    assert text.words(written) == spoken.split()


def test_no_digit_and_no_symbol_is_left():
    """Whatever is written, words are letters and apostrophes: others would fail in the dictionary."""
    every = "".join(map(chr, range(32, 0x2FFF)))
    for word in text.words(every + " 12 1234 99999999999999999999 3,5 1.2.3 1/2/2003 12:61"):
        assert set(word) <= set("abcdefghijklmnopqrstuvwxyz'")
        assert word.strip("'")


def test_a_transcript_is_a_file_or_the_words(tmp_path):
    (tmp_path / "a.txt").write_text("hello world", encoding="utf-8-sig")
    assert text.read(str(tmp_path / "a.txt"))[0] == "hello world"
    assert text.read("hello world") == ("hello world", None)


def test_subtitles_lose_their_times(tmp_path):
    (tmp_path / "a.srt").write_text(
        "1\n00:00:01,000 --> 00:00:02,000\nhello\n\n2\n00:00:03,000 --> 00:00:04,000\nworld\n"
    )
    assert text.words(text.read(str(tmp_path / "a.srt"))[0]) == ["hello", "world"]


def test_what_cannot_be_a_transcript_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        text.read(str(tmp_path / "missing.txt"))
    (tmp_path / "binary.txt").write_bytes(bytes(range(256)))
    with pytest.raises(InputError, match="UTF-8"):
        text.read(str(tmp_path / "binary.txt"))
    (tmp_path / "empty.txt").write_text(" ... \n")
    with pytest.raises(InputError, match="no words"):
        text.read(str(tmp_path / "empty.txt"))
    with pytest.raises(InputError, match="no words"):
        text.read("日本語")
