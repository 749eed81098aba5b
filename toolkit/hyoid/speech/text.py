# SPDX-License-Identifier: Apache-2.0
"""Transcripts to words that can be spoken: numbers, dates, money, abbreviations and symbols written out."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from hyoid.errors import InputError

_ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = [".", ".", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SCALES = (
    (10**15, "quadrillion"), (10**12, "trillion"), (10**9, "billion"), (10**6, "million"), (1000, "thousand"),
)  # fmt: skip
_ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
    "twelve": "twelfth",
}  # fmt: skip
_CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "€": ("euro", "euros", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "¥": ("yen", "yen", "sen", "sen"),
}
_ABBREVIATIONS = {
    "mr": "mister", "mrs": "missus", "ms": "miss", "dr": "doctor", "prof": "professor", "st": "saint",
    "jr": "junior", "sr": "senior", "vs": "versus", "etc": "et cetera", "approx": "approximately", "dept": "department",
    "gov": "governor", "gen": "general", "sen": "senator", "rep": "representative", "capt": "captain", "col": "colonel",
    "sgt": "sergeant", "lt": "lieutenant", "inc": "incorporated", "ltd": "limited", "corp": "corporation",
    "ave": "avenue", "blvd": "boulevard", "jan": "january", "feb": "february", "aug": "august", "sept": "september",
    "oct": "october", "nov": "november", "dec": "december", "e.g": "for example", "i.e": "that is", "no": "number",
}  # fmt: skip
_UNITS = {
    "km": "kilometers", "m": "meters", "cm": "centimeters", "mm": "millimeters", "kg": "kilograms", "g": "grams",
    "mph": "miles per hour", "kmh": "kilometers per hour", "ft": "feet", "lb": "pounds", "lbs": "pounds",
    "oz": "ounces",
    "hz": "hertz", "khz": "kilohertz", "mhz": "megahertz", "ghz": "gigahertz", "kb": "kilobytes", "mb": "megabytes",
    "gb": "gigabytes", "tb": "terabytes", "ms": "milliseconds", "s": "seconds", "min": "minutes", "h": "hours",
    "fps": "frames per second", "am": "a m", "pm": "p m", "bn": "billion", "k": "thousand",
}  # fmt: skip
_SYMBOLS = {
    "&": " and ", "@": " at ", "+": " plus ", "=": " equals ", "%": " percent ", "°": " degrees ", "#": " number ",
    "½": " one half ", "¼": " one quarter ", "¾": " three quarters ", "×": " times ", "÷": " divided by ",
    "§": " section ",
}  # fmt: skip
_LETTERS = {
    "ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "th", "þ": "th", "ł": "l", "ı": "i",
}  # fmt: skip
LONGEST_TEXT = 20_000_000


def read(text: str) -> tuple[str, Path | None]:
    """The transcript behind ``--text``: the content of a file if there is one of that name, else the words themselves.

    Returns:
        The text, and the file that it came from or None.

    Raises:
        InputError: the file is not there (it looks like a name), is not UTF-8 text, or holds no words.
    """
    path = Path(text)
    looks_like_file = (
        len(text) < 1024 and "\n" not in text and path.suffix.lower() in (".txt", ".md", ".text", ".srt", ".vtt")
    )
    if len(text) < 1024 and "\n" not in text and path.is_file():
        if path.stat().st_size > LONGEST_TEXT:
            raise InputError(f"is {path.stat().st_size} bytes long", path=path, expected="a transcript in plain text")
        try:
            content = path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise InputError("is not UTF-8 text", path=path, expected="a transcript in plain text") from error
        if "\0" in content:
            raise InputError("is not text", path=path, expected="a transcript in plain text")
        if path.suffix.lower() in (".srt", ".vtt"):
            content = _subtitle_words(content)
        if not words(content):
            raise InputError("holds no words that can be spoken", path=path, expected="a transcript in plain text")
        return content, path
    if looks_like_file and " " not in text:
        raise InputError("no such file", path=path, expected="a transcript file, or the words themselves")
    if not words(text):
        raise InputError(
            f"the transcript '{text[:40]}' holds no words that can be spoken",
            expected="words or a text file",
            hint="Leave --text away to recognise the words",
        )
    return text, None


def words(text: str) -> list[str]:
    """Lower-case words of letters and apostrophes, in order, with everything else spoken out or dropped.

    >>> words("Dr. Lee paid $3.50 on May 21st, 1994 - 50% off!")[:8]
    ['doctor', 'lee', 'paid', 'three', 'dollars', 'and', 'fifty', 'cents']
    """
    text = re.sub(r"\[[^\]]*\]|<[^>]*>|\{[^}]*\}|\((?:laugh|applause|music|sigh|cough)[^)]*\)", " ", text, flags=re.I)
    text = unicodedata.normalize(
        "NFKC",
        text.translate(
            {
                ord(c): s
                for c, s in {
                    "’": "'",
                    "‘": "'",
                    "ʼ": "'",
                    "`": "'",
                    "½": " one half ",
                    "¼": " one quarter ",
                    "¾": " three quarters ",
                }.items()
            }
        ),
    )
    text = re.sub(r"https?://(\S+)", lambda m: m[1].replace(".", " dot ").replace("/", " slash "), text)
    text = re.sub(r"(?<=\w)@(?=\w)", " at ", text)
    text = _numbers(text)
    text = _initials(text)
    text = "".join(_SYMBOLS.get(character, character) for character in text)
    result = []
    for match in re.finditer(r"[^\W\d_]+(?:['.][^\W\d_]+)*\.?'?", text):
        result += _word(match[0])
    return result


def _word(token: str) -> list[str]:
    plain = token.lower().rstrip(".")
    if token.endswith(".") and plain in _ABBREVIATIONS and plain != "no":
        return _ABBREVIATIONS[plain].split()
    if plain in ("mr", "mrs", "dr"):
        return _ABBREVIATIONS[plain].split()
    if plain.endswith("'") and not plain.endswith(("s'", "in'")):
        plain = plain[:-1]  # a closing quotation mark
    return [word for part in plain.split(".") if (word := _letters(part))]


def _letters(word: str) -> str:
    """Plain a-z and apostrophes: accents dropped, a few letters replaced; other scripts vanish."""
    word = "".join(_LETTERS.get(character, character) for character in word.lower())
    word = unicodedata.normalize("NFD", word)
    word = "".join(character for character in word if "a" <= character <= "z" or character == "'")
    return word if word.strip("'") else ""


def _initials(text: str) -> str:
    """U.S.A., NASA-like capitals with dots, single capitals in a row: letters one by one."""
    return re.sub(
        r"\b((?:[A-Za-z]\.){2,})",
        lambda m: (
            " ".join(m[1].replace(".", " ").split()) + " "
            if m[1].lower() not in ("e.g.", "i.e.")
            else ("for example " if m[1].lower() == "e.g." else "that is ")
        ),
        text,
    )


def _subtitle_words(text: str) -> str:
    """The spoken lines of an SRT or VTT file."""
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line and "-->" not in line and not line.isdigit() and line != "WEBVTT")


def cardinal(number: int) -> str:
    """A whole number in words."""
    if number < 0:
        return "minus " + cardinal(-number)
    if number < 20:
        return _ONES[number]
    if number < 100:
        return _TENS[number // 10] + (" " + _ONES[number % 10] if number % 10 else "")
    if number < 1000:
        return _ONES[number // 100] + " hundred" + (" " + cardinal(number % 100) if number % 100 else "")
    for scale, name in _SCALES:
        if number >= scale:
            if number // scale >= 1000:
                break
            rest = " " + cardinal(number % scale) if number % scale else ""
            return cardinal(number // scale) + " " + name + rest
    return digits(str(number))


def digits(text: str) -> str:
    """Each digit by its name."""
    return " ".join(_ONES[int(character)] for character in text if character.isdigit())


def ordinal(number: int) -> str:
    """``21`` -> ``twenty first``."""
    head, _, last = cardinal(number).rpartition(" ")
    usual = last[:-1] + "ieth" if last.endswith("y") else last + "th"
    last = _ORDINALS.get(last, usual)
    return f"{head} {last}".strip()


def year(number: int) -> str:
    """``1994`` -> ``nineteen ninety four``, ``2007`` -> ``two thousand seven``."""
    if number % 1000 < 10 or not 1100 <= number <= 2099 or 2000 <= number < 2010:
        return cardinal(number)
    high, low = divmod(number, 100)
    if low == 0:
        return cardinal(high) + " hundred"
    return cardinal(high) + " " + ("oh " + _ONES[low] if low < 10 else cardinal(low))


def _decimal(text: str) -> str:
    whole, _, fraction = text.partition(".")
    return cardinal(int(whole or 0)) + (" point " + digits(fraction) if fraction else "")


def _money(match: re.Match[str]) -> str:
    one, many, cent, cents = _CURRENCIES[match["sign"]]
    amount, scale = match["amount"].replace(",", ""), match["scale"]
    if scale:
        name = {"k": "thousand", "m": "million", "bn": "billion", "b": "billion"}.get(
            scale.strip().lower(), scale.strip()
        )
        return f" {_decimal(amount)} {name} {many} "
    whole, _, fraction = amount.partition(".")
    result = f"{cardinal(int(whole))} {one if int(whole) == 1 else many}"
    if fraction and int(fraction):
        part = int(fraction[:2].ljust(2, "0"))
        small = f"{cardinal(part)} {cent if part == 1 else cents}"
        result = small if int(whole) == 0 else f"{result} and {small}"
    return f" {result} "


def _clock(match: re.Match[str]) -> str:
    hour, minute = int(match[1]), int(match[2])
    if hour > 24 or minute > 59:
        return f" {cardinal(hour)} {cardinal(minute)} "
    if minute == 0:
        return f" {cardinal(hour)} " + ("" if match[3] else "o'clock ")
    return f" {cardinal(hour)} " + (f"oh {_ONES[minute]}" if minute < 10 else cardinal(minute)) + " "


def _integer(match: re.Match[str]) -> str:
    text = match[0].replace(",", "")
    if "," not in match[0] and len(text) == 4 and 1100 <= int(text) <= 2099:
        return f" {year(int(text))} "
    if (len(text) > 1 and text[0] == "0") or len(text) > 15:
        return f" {digits(text)} "
    return f" {cardinal(int(text))} "


def _numbers(text: str) -> str:
    """Every run of digits written out, the special forms first."""
    scale = r"(?P<scale>\s?(?:thousand|million|billion|trillion|bn|[kKmMbB])\b)?"
    text = re.sub(rf"(?P<sign>[$€£¥])\s?(?P<amount>\d[\d,]*(?:\.\d+)?){scale}", _money, text)
    text = re.sub(r"\b(\d{1,2}):(\d{2})\b(?=(\s?[ap]\.?m\b)?)", _clock, text, flags=re.I)
    text = re.sub(r"\b(\d{1,4})/(\d{1,2})/(\d{2,4})\b", r"\1 \2 \3", text)
    text = re.sub(r"\b1/2\b", " one half ", text)
    text = re.sub(r"\b1/4\b", " one quarter ", text)
    text = re.sub(r"\b(\d{1,9})(?:st|nd|rd|th)\b", lambda m: f" {ordinal(int(m[1]))} ", text, flags=re.I)
    text = re.sub(r"\b(\d{2,4})'?s\b", lambda m: f" {_plural(year(int(m[1])))} ", text)
    text = re.sub(r"(?<=\d)\s?[-–](?=\d)", " to ", text)
    text = re.sub(r"(?<![\w.])[-−](?=\d)", " minus ", text)
    units = "|".join(sorted(_UNITS, key=len, reverse=True))
    text = re.sub(rf"(\d)\s?({units})\b(?!')", lambda m: f"{m[1]} {_UNITS[m[2].lower()]} ", text, flags=re.I)
    text = re.sub(r"\d[\d,]*\.\d+", lambda m: f" {_decimal(m[0].replace(',', ''))} ", text)
    return re.sub(r"\d{1,3}(?:,\d{3})+|\d+", _integer, text)


def _plural(text: str) -> str:
    return text[:-1] + "ies" if text.endswith("y") else text + "s"
