# SPDX-License-Identifier: Apache-2.0
"""May a result be used commercially? The answer follows from the licence of everything that touched it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hyoid.take import Source

YES, NO, ASK = "yes", "no", "ask"


@dataclass(frozen=True)
class Terms:
    """What a licence says about results: ``commercial`` is ``yes``, ``no`` or ``ask``; ``duty`` is what it asks for."""

    commercial: str
    duty: str = ""


_CREDIT = "name the authors"
TABLE: dict[str, Terms] = {
    "CC0-1.0": Terms(YES),
    "Unlicense": Terms(YES),
    "MIT": Terms(YES),
    "BSD-2-Clause": Terms(YES),
    "BSD-3-Clause": Terms(YES),
    "ISC": Terms(YES),
    "Apache-2.0": Terms(YES),
    "GPL-2.0-or-later": Terms(YES),
    "GPL-3.0-or-later": Terms(YES),
    "CC-BY-3.0": Terms(YES, _CREDIT),
    "CC-BY-4.0": Terms(YES, _CREDIT),
    "CC-BY-SA-4.0": Terms(YES, f"{_CREDIT}, publish changed versions under the same licence"),
    "CC-BY-NC-4.0": Terms(NO),
    "CC-BY-NC-SA-4.0": Terms(NO),
    "CC-BY-NC-ND-4.0": Terms(NO),
    "LicenseRef-SMPL-X": Terms(NO),
    "LicenseRef-FLAME-2020": Terms(NO),
    "LicenseRef-FLAME-2023": Terms(ASK, "read the licence that came with the file (its publisher names CC-BY-4.0)"),
    "LicenseRef-HACK": Terms(ASK, "its authors publish no licence: ask them"),
    "LicenseRef-DirectMHP": Terms(ASK, "its authors say MIT, but it learned from data for research only: ask them"),
    "LicenseRef-SemiUHPE": Terms(ASK, "its authors say Apache-2.0, but it learned from non-commercial data: ask them"),
    "LicenseRef-own": Terms(ASK, "it is yours or your client's: make sure that you may use it"),
}
"""Licences by SPDX identifier; a ``LicenseRef-`` is our name for a text that SPDX does not list."""

_NOTICES = ("MIT", "BSD-2-Clause", "BSD-3-Clause", "ISC", "Apache-2.0")
"""Licences whose notice goes along with copies, such as an export that holds the character itself."""

_OWN = {
    "",
    "own",
    "user",
    "unknown",
    "unstated",
    "noassertion",
    "licenseref-own",
    "licenseref-user",
    "licenseref-unknown",
}


def terms(licence: str, role: str = "") -> Terms:
    """The terms of a licence by its identifier, in any case of letters; non-commercial ones are known by their NC part.

    An input without a licence is the user's own recording; anything else without one has to be asked for.
    """
    for name, known in TABLE.items():
        if name.lower() == licence.strip().lower():
            return known
    words = licence.lower().replace("_", "-").replace(" ", "-")
    if "-nc" in words or "noncommercial" in words or "non-commercial" in words or "research" in words:
        return Terms(NO)
    if role == "input" and words in _OWN:
        return TABLE["LicenseRef-own"]
    return Terms(ASK, "its licence is not known to Hyoid: read it")


def verdict(sources: Iterable[Source]) -> dict[str, Any]:
    """Whether a result may be used commercially, and why.

    Returns:
        ``commercial``: ``yes`` (also when the only open question is the user's own input), ``no`` or ``ask``;
        ``because``: sentences about each source that forbids it or leaves it open; ``duties``: what must be done;
        ``sources``: the number of sources looked at.
    """
    answer, because, duties, count = YES, [], [], 0
    for source in sources:
        count += 1
        found = terms(source.licence, source.role)
        label = f"{source.role} '{source.name}'"
        if found.commercial == NO:
            answer = NO
            because.append(f"{label} is under {source.licence}, which forbids commercial use")
        elif found is TABLE["LicenseRef-own"]:
            duties.append(f"{label}: {found.duty}")
        elif found.commercial == ASK:
            answer = NO if answer == NO else ASK
            because.append(f"{label} is under '{source.licence or 'no stated licence'}': {found.duty}")
        elif found.duty:
            duties.append(f"{label} ({source.licence}): {found.duty}")
        elif source.role == "character" and source.licence in _NOTICES:
            duties.append(f"{label} ({source.licence}): keep its copyright notice")
    if not count:
        answer, because = ASK, ["the file does not say what it was made from"]
    return {"commercial": answer, "because": because, "duties": duties, "sources": count}


def sentence(result: dict[str, Any]) -> str:
    """The verdict as one line for people."""
    word = {YES: "yes", NO: "NO", ASK: "not certain"}[result["commercial"]]
    reasons = "; ".join([*result["because"], *result["duties"]])
    if result["commercial"] == YES and not reasons:
        count = result["sources"]
        reasons = f"{count} sources, all free for any use" if count > 1 else "its source is free for any use"
    return f"commercial use: {word} ({reasons})" if reasons else f"commercial use: {word}"
