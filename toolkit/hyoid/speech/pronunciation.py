# SPDX-License-Identifier: Apache-2.0
"""How a word is spoken: the dictionary, then word families, compounds, initials, and spelling rules for the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from hyoid.speech import phones

LETTERS: dict[str, str] = {
    "a": "EY", "b": "B IY", "c": "S IY", "d": "D IY", "e": "IY", "f": "EH F", "g": "JH IY", "h": "EY CH", "i": "AY",
    "j": "JH EY", "k": "K EY", "l": "EH L", "m": "EH M", "n": "EH N", "o": "OW", "p": "P IY", "q": "K Y UW",
    "r": "AA R", "s": "EH S", "t": "T IY", "u": "Y UW", "v": "V IY", "w": "D AH B AH L Y UW", "x": "EH K S",
    "y": "W AY", "z": "Z IY",
}  # fmt: skip

# (spelling, phones, what must follow, what must come before); the longest spelling that fits is taken. In conditions
# V is a vowel letter, C a consonant letter, # the edge of the word, E one of e i y; "" fits everything.
_RULES: tuple[tuple[str, str, str, str], ...] = (
    ("tion", "SH AH N", "", ""), ("sion", "ZH AH N", "", "V"), ("sion", "SH AH N", "", ""), ("cian", "SH AH N", "", ""),
    ("cious", "SH AH S", "", ""), ("tious", "SH AH S", "", ""), ("ture", "CH ER", "#", ""), ("sure", "ZH ER", "#", "V"),
    ("ough", "AO", "t", ""), ("ough", "OW", "", ""), ("augh", "AO", "", ""), ("eigh", "EY", "", ""),
    ("igh", "AY", "", ""),
    ("sch", "SH", "", ""), ("tch", "CH", "", ""), ("dge", "JH", "", ""), ("chr", "K R", "", ""), ("eau", "OW", "", ""),
    ("ous", "AH S", "#", ""), ("ious", "IY AH S", "#", ""), ("able", "AH B AH L", "#", ""),
    ("ible", "AH B AH L", "#", ""),
    ("que", "K", "#", ""), ("gue", "G", "#", ""), ("qu", "K W", "", ""), ("ck", "K", "", ""), ("ch", "CH", "", ""),
    ("sh", "SH", "", ""), ("th", "TH", "", ""), ("ph", "F", "", ""), ("wh", "W", "", ""), ("gh", "G", "", "#"),
    ("gh", "", "", ""), ("kn", "N", "", "#"), ("gn", "N", "", "#"), ("wr", "R", "", "#"), ("ps", "S", "", "#"),
    ("pn", "N", "", "#"), ("mn", "M", "#", ""), ("mb", "M", "#", ""), ("ng", "NG", "#", ""), ("ng", "NG G", "", ""),
    ("nk", "NG K", "", ""), ("sc", "S", "E", ""), ("cc", "K S", "E", ""), ("x", "Z", "", "#"), ("x", "K S", "", ""),
    ("air", "EH R", "", ""), ("are", "EH R", "#", ""), ("ear", "IH R", "", ""), ("eer", "IH R", "", ""),
    ("ere", "IH R", "#", ""), ("ire", "AY ER", "#", ""), ("ore", "AO R", "#", ""), ("oor", "AO R", "", ""),
    ("our", "AW ER", "", ""), ("ure", "Y UH R", "#", ""), ("ar", "AA R", "", ""), ("er", "ER", "", ""),
    ("ir", "ER", "", ""), ("or", "AO R", "", ""), ("ur", "ER", "", ""), ("yr", "ER", "C", ""),
    ("ai", "EY", "", ""), ("ay", "EY", "", ""), ("au", "AO", "", ""), ("aw", "AO", "", ""), ("ee", "IY", "", ""),
    ("ea", "IY", "", ""), ("ei", "IY", "", "c"), ("ei", "AY", "", ""), ("ey", "IY", "#", ""), ("ey", "EY", "", ""),
    ("eu", "Y UW", "", ""), ("ew", "UW", "", ""), ("ie", "AY", "#", "C"), ("ie", "IY", "", ""), ("oa", "OW", "", ""),
    ("oe", "OW", "", ""), ("oi", "OY", "", ""), ("oy", "OY", "", ""), ("oo", "UH", "k", ""), ("oo", "UW", "", ""),
    ("ou", "AW", "", ""), ("ow", "OW", "#", ""), ("ow", "AW", "", ""), ("ue", "UW", "", ""), ("ui", "UW", "", ""),
    ("uy", "AY", "", ""), ("aa", "AA", "", ""), ("ae", "IY", "", ""), ("ia", "IY AH", "", ""), ("io", "IY OW", "", ""),
    ("all", "AO L", "", ""), ("alk", "AO K", "", ""), ("old", "OW L D", "", ""), ("ind", "AY N D", "#", ""),
    ("ild", "AY L D", "#", ""), ("ign", "AY N", "#", ""), ("le", "AH L", "#", "C"), ("es", "IH Z", "#", "s"),
    ("e", "", "#", "C"), ("e", "IY", "#", "#C"), ("e", "IY", "#", ""), ("e", "EH", "", ""),
    ("a", "AH", "#", ""), ("i", "IY", "#", ""), ("i", "IY", "V", ""), ("i", "IH", "", ""), ("o", "OW", "#", ""),
    ("a", "AE", "", ""), ("o", "AA", "", ""), ("u", "UW", "#", ""), ("u", "AH", "", ""),
    ("y", "Y", "V", "#"), ("y", "IY", "#", ""), ("y", "IH", "", ""),
    ("c", "S", "E", ""), ("c", "K", "", ""), ("g", "JH", "E", ""), ("g", "G", "", ""), ("s", "Z", "#", "V"),
    ("s", "Z", "V", "V"), ("s", "S", "", ""), ("b", "B", "", ""), ("d", "D", "", ""), ("f", "F", "", ""),
    ("h", "HH", "V", ""), ("h", "", "", ""), ("j", "JH", "", ""), ("k", "K", "", ""), ("l", "L", "", ""),
    ("m", "M", "", ""), ("n", "N", "", ""), ("p", "P", "", ""), ("q", "K", "", ""), ("r", "R", "", ""),
    ("t", "T", "", ""), ("v", "V", "", ""), ("w", "W", "V", ""), ("w", "", "", ""), ("z", "Z", "", ""),
    ("'", "", "", ""),
)  # fmt: skip
_BY_FIRST: dict[str, list[tuple[str, str, str, str]]] = {}
for _rule in sorted(_RULES, key=lambda rule: -len(rule[0])):
    _BY_FIRST.setdefault(_rule[0][0], []).append(_rule)

_LONG = {"a": "EY", "e": "IY", "i": "AY", "o": "OW", "u": "UW", "y": "AY"}
_VOWEL_LETTERS = frozenset("aeiouy")
_ENDINGS: tuple[tuple[str, str], ...] = (
    ("ness", "N AH S"), ("less", "L AH S"), ("ment", "M AH N T"), ("ship", "SH IH P"), ("hood", "HH UH D"),
    ("ful", "F AH L"), ("ing", "IH NG"), ("ish", "IH SH"), ("able", "AH B AH L"), ("ism", "IH Z AH M"),
    ("ist", "IH S T"),
    ("like", "L AY K"), ("est", "AH S T"), ("ly", "L IY"), ("er", "ER"), ("or", "ER"), ("y", "IY"),
)  # fmt: skip
_BEGINNINGS = {
    "un": "AH N", "re": "R IY", "non": "N AA N", "anti": "AE N T IY", "over": "OW V ER", "pre": "P R IY",
    "mis": "M IH S",
    "dis": "D IH S", "super": "S UW P ER", "inter": "IH N T ER", "micro": "M AY K R OW", "multi": "M AH L T IY",
    "semi": "S EH M IY", "sub": "S AH B", "out": "AW T", "under": "AH N D ER", "de": "D IY", "co": "K OW",
}  # fmt: skip


@lru_cache(maxsize=50_000)
def pronounce(word: str) -> tuple[tuple[str, ...], ...]:
    """The pronunciations of a word of letters and apostrophes, the most likely first; never empty.

    >>> pronounce("ask")[0]
    ('AE', 'S', 'K')
    """
    found = _known(word)
    if found:
        return found
    family = _family(word)
    if family:
        return family
    joined = _compound(word)
    if joined:
        return joined
    plain = word.replace("'", "")
    if not plain:
        return (("AH",),)
    if len(plain) == 1 or not _VOWEL_LETTERS & set(plain):
        return (tuple(phone for letter in plain for phone in LETTERS[letter].split()),)
    return (spell(plain),)


def extended(
    words: Sequence[str], extra: Mapping[str, Sequence[Sequence[str]]] | None = None
) -> list[tuple[tuple[str, ...], ...]]:
    """The pronunciations of all words; ``extra`` (word -> pronunciations) goes first."""
    extra = extra or {}
    return [tuple(tuple(p) for p in extra[word]) if word in extra else pronounce(word) for word in words]


def is_known(word: str) -> bool:
    """Whether the dictionary has the word itself."""
    return word in phones.dictionary()


def _known(word: str) -> tuple[tuple[str, ...], ...]:
    return tuple(phones.dictionary().get(word, ()))


def _plural(last: str) -> str:
    if last in ("S", "Z", "SH", "ZH", "CH", "JH"):
        return "IH Z"
    return "S" if last in ("P", "T", "K", "F", "TH") else "Z"


def _past(last: str) -> str:
    if last in ("T", "D"):
        return "IH D"
    return "T" if last in ("P", "K", "F", "TH", "S", "SH", "CH") else "D"


def _stems(word: str, ending: str) -> list[str]:
    """What the word may have been before the ending: cut, with a dropped e, undoubled, y for i."""
    stem = word[: -len(ending)]
    stems = [stem, stem + "e"]
    if len(stem) > 2 and stem[-1] == stem[-2]:
        stems.append(stem[:-1])
    if stem.endswith("i"):
        stems.append(stem[:-1] + "y")
    return [stem for stem in stems if len(stem) >= 2]


def _family(word: str) -> tuple[tuple[str, ...], ...]:
    """A known word with a usual ending or beginning: possessives, plurals, past, -ing, -ness, un-, re- ..."""
    for ending in ("'s", "s'", "es", "s"):
        if word.endswith(ending):
            stems = [word[: -len(ending)]] if "'" in ending else _stems(word, ending)
            for stem in stems:
                known = _known(stem) or ((pronounce(stem)[0],) if ending in ("'s", "s'") and len(stem) > 1 else ())
                if known:
                    return tuple((*p, *_plural(p[-1]).split()) for p in known)
    if word.endswith("n't") and _known(word[:-3]):
        return tuple((*p, "AH", "N", "T") for p in _known(word[:-3]))
    for ending, sound in (("'ll", "AH L"), ("'re", "ER"), ("'ve", "AH V"), ("'d", "D"), ("'m", "M")):
        if word.endswith(ending) and _known(word[: -len(ending)]):
            return tuple((*p, *sound.split()) for p in _known(word[: -len(ending)]))
    if word.endswith("in'") and _known(word[:-1] + "g"):
        return tuple((*p[:-1], "N") for p in _known(word[:-1] + "g"))
    if word.endswith("ed"):
        for stem in _stems(word, "ed"):
            if _known(stem):
                return tuple((*p, *_past(p[-1]).split()) for p in _known(stem))
    for ending, sound in _ENDINGS:
        if word.endswith(ending):
            for stem in _stems(word, ending):
                if len(stem) > 2 and _known(stem):
                    return tuple((*p, *sound.split()) for p in _known(stem))
    for beginning, sound in _BEGINNINGS.items():
        rest = word[len(beginning) :]
        if word.startswith(beginning) and len(rest) > 2 and (known := _known(rest) or _family(rest)):
            return tuple((*sound.split(), *p) for p in known)
    return ()


def _compound(word: str) -> tuple[tuple[str, ...], ...]:
    """Two known words in one, the split with the longest shorter half."""
    splits = [at for at in range(3, len(word) - 2) if _known(word[:at]) and _known(word[at:])]
    if not splits:
        return ()
    at = max(splits, key=lambda split: min(split, len(word) - split))
    return ((*_known(word[:at])[0], *_known(word[at:])[0]),)


def spell(word: str) -> tuple[str, ...]:
    """The phones of a word by English spelling rules alone."""
    result: list[str] = []
    place = 0
    while place < len(word):
        letter = word[place]
        if letter in _LONG and _is_long(word, place):
            result.append(_LONG[letter])
            place += 1
            continue
        for spelling, sound, after, before in _BY_FIRST[letter]:
            if (
                word.startswith(spelling, place)
                and _fits(word, place + len(spelling), after)
                and _comes(word, place, before)
            ):
                result += sound.split()
                place += len(spelling)
                if len(spelling) == 1 and word[place : place + 1] == letter and letter not in _VOWEL_LETTERS:
                    place += 1  # doubled consonants are spoken once
                break
    return tuple(result) or ("AH",)


def _is_long(word: str, place: int) -> bool:
    """A vowel letter before one consonant and a final silent e (``make``)."""
    rest = word[place + 1 :]
    single = place == 0 or word[place - 1] not in _VOWEL_LETTERS
    return single and len(rest) == 2 and rest[0] not in _VOWEL_LETTERS | {"x"} and rest[1] == "e" and rest != "re"


def _fits(word: str, place: int, condition: str) -> bool:
    letter = word[place : place + 1]
    if condition in ("", "#"):
        return not condition or not letter
    if condition == "V":
        return letter in _VOWEL_LETTERS and bool(letter)
    if condition == "C":
        return bool(letter) and letter not in _VOWEL_LETTERS
    if condition == "E":
        return bool(letter) and letter in "eiy"
    return letter == condition


def _comes(word: str, place: int, condition: str) -> bool:
    if condition == "#":
        return place == 0
    if condition == "#C":
        return place <= 2 and not _VOWEL_LETTERS & set(word[:place])
    letter = word[place - 1] if place else ""
    if condition == "V":
        return bool(letter) and letter in _VOWEL_LETTERS
    if condition == "C":
        return bool(letter) and letter not in _VOWEL_LETTERS and bool(_VOWEL_LETTERS & set(word[:place]))
    return not condition or letter == condition
