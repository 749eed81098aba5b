# SPDX-License-Identifier: Apache-2.0
"""Who wears what: random looks. Styles with odd numbers are held out, so no test shows a style that training saw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hyoid.synthetic.heads import bank
from hyoid.synthetic.heads.settings import Settings

STYLES = 4096
"""Numbers of hair styles and garments; the number is the seed of the style's own parameters."""
HAIR_KINDS = (
    "bald",
    "crew",
    "short",
    "fringe",
    "quiff",
    "medium",
    "bob",
    "long",
    "curly",
    "afro",
    "bun",
    "ponytail",
    "braids",
    "receding",
)
HATS = ("cap", "beanie", "helmet", "brimmed", "headscarf", "hood", "turban")
_MALE = np.array([7, 16, 20, 10, 10, 7, 1, 5, 6, 4, 1, 1.5, 1, 9], float)
_FEMALE = np.array([1, 2, 5, 7, 3, 12, 13, 22, 8, 4, 9, 12, 5, 0.3], float)
_HAIR_COLOURS = np.array(
    [
        [0.012, 0.010, 0.009],
        [0.022, 0.016, 0.012],
        [0.045, 0.026, 0.016],
        [0.085, 0.048, 0.026],
        [0.16, 0.095, 0.05],
        [0.30, 0.20, 0.10],
        [0.48, 0.36, 0.21],
        [0.19, 0.055, 0.022],
        [0.26, 0.10, 0.04],
    ]
)
_GREYS = np.array([[0.16, 0.155, 0.15], [0.36, 0.35, 0.34], [0.66, 0.65, 0.63]])
_TONES = np.array([[0.16, 0.085, 0.055], [0.85, 0.80, 0.70], [1.0, 0.96, 0.94]])
_CLOTH = np.array(
    [
        [0.02, 0.02, 0.022],
        [0.75, 0.75, 0.74],
        [0.18, 0.18, 0.19],
        [0.02, 0.03, 0.10],
        [0.35, 0.02, 0.03],
        [0.03, 0.12, 0.05],
        [0.30, 0.22, 0.12],
        [0.10, 0.20, 0.42],
        [0.55, 0.40, 0.35],
        [0.6, 0.5, 0.08],
        [0.25, 0.06, 0.25],
        [0.6, 0.2, 0.05],
        [0.45, 0.47, 0.5],
        [0.5, 0.33, 0.2],
    ]
)


@dataclass(frozen=True)
class Look:
    """What a person looks like.

    Attributes:
        identity: its number in the bank. hair: one of :data:`HAIR_KINDS`. hair_seed: of its parameters.
        hair_colour, skin, lips, iris: (3,) linear colours. cover: 0 to 1 share of painted stubble on the scalp.
        beard: length 0 to 1; stubble: darkness 0 to 1; moustache alone: ``beard_kind`` 1, goatee 2, full 0.
        hat: one of :data:`HATS` or None. glasses: 0 none, 1 clear, 2 dark. mask, headphones: whether worn.
        garment: neckline kind 0 crew, 1 V, 2 turtleneck, 3 suit, 4 wide, 5 collar. cloth: (3, 3) colours of the
            garment, its pattern and the shirt below. pattern: 0 plain, 1 stripes, 2 checks, 3 dots, 4 blotches.
            sleeves: whether they are long.
    """

    identity: int
    held_out: bool
    hair: str
    hair_seed: int
    hair_colour: np.ndarray
    cover: float
    skin: np.ndarray
    blotches: float
    lips: np.ndarray
    iris: np.ndarray
    beard: float
    beard_kind: int
    stubble: float
    hat: str | None
    hat_seed: int
    hat_colour: np.ndarray
    glasses: int
    glasses_seed: int
    mask: bool
    headphones: bool
    garment: int
    cloth: np.ndarray
    pattern: int
    pattern_size: float
    scarf: bool
    gloss: float
    sleeves: bool


def style_number(random: np.random.Generator, held_out: bool) -> int:
    """A random style number: even ones are for training, odd ones are held out."""
    return 2 * int(random.integers(STYLES // 2)) + int(held_out)


def cloth_colour(random: np.random.Generator) -> np.ndarray:
    """A linear colour of cloth: near one of a few, sometimes any."""
    if random.random() < 0.2:
        return _calmer(random.uniform(0.02, 0.7, 3), random.uniform(0, 0.7))
    return _calmer(_CLOTH[random.integers(len(_CLOTH))] * np.exp(random.normal(0, 0.25, 3)), random.uniform(0, 0.5))


def _calmer(colour: np.ndarray, share: float) -> np.ndarray:
    """A colour moved towards its grey."""
    return np.clip(colour + share * (colour.mean() - colour), 0.008, 0.85)


def look(random: np.random.Generator, settings: Settings) -> Look:
    """A random person."""
    held, shifted = settings.held_out, settings.domain == "shifted"
    number = int(random.integers(bank.IDENTITIES))
    person = bank.identity(number, held, False)
    odds = _FEMALE if person.female > 0.5 else _MALE
    if person.child:
        odds = odds * (np.array(HAIR_KINDS) != "bald") * (np.array(HAIR_KINDS) != "receding")
    if shifted:
        odds = odds**0.5
    hair = str(random.choice(HAIR_KINDS, p=odds / odds.sum()))
    colour = _hair_colour(random, person)
    skin = _skin(random, person)
    male = person.female < 0.5 and not person.child
    beard = float(random.beta(1.2, 2.5)) if male and random.random() < 0.38 else 0.0
    hat = (
        str(random.choice(HATS, p=[0.27, 0.23, 0.13, 0.12, 0.11, 0.08, 0.06]))
        if random.random() < (0.3 if shifted else 0.2)
        else None
    )
    glasses = random.random()
    cover = random.random()
    return Look(
        identity=number,
        held_out=held,
        hair=hair,
        hair_seed=style_number(random, held),
        hair_colour=colour,
        cover={"bald": float(cover > 0.6) * 0.8, "receding": 0.15 * cover, "crew": 0.8 + 0.2 * cover}.get(hair, 1.0),
        skin=skin,
        blotches=float(random.uniform(0, 1)),
        lips=np.array([1.0, 1.0, 1.0])
        if random.random() < 0.7
        else np.array([0.9, 0.35, 0.4]) * random.uniform(0.5, 1.1),
        iris=_iris(random, person),
        beard=beard,
        beard_kind=int(random.choice(3, p=[0.55, 0.2, 0.25])),
        stubble=float(random.uniform(0, 0.75)) if male and random.random() < 0.6 else 0.0,
        hat=hat,
        hat_seed=style_number(random, held),
        hat_colour=cloth_colour(random),
        glasses=0 if glasses < 0.72 else 1 if glasses < 0.9 else 2,
        glasses_seed=style_number(random, held),
        mask=bool(random.random() < 0.045),
        headphones=bool(hat in (None, "beanie") and random.random() < 0.05),
        garment=int(random.choice(6, p=[0.3, 0.14, 0.1, 0.2, 0.1, 0.16])),
        cloth=np.stack([cloth_colour(random) for _ in range(3)]),
        pattern=int(random.choice(5, p=[0.55, 0.13, 0.12, 0.06, 0.14])),
        pattern_size=float(random.uniform(1.3, 2.0) if held else random.uniform(0.6, 1.3)),
        scarf=bool(random.random() < 0.07),
        gloss=float(random.uniform(0.05, 0.6)),
        sleeves=bool(random.random() < 0.6),
    )


def _hair_colour(random: np.random.Generator, person: bank.Identity) -> np.ndarray:
    african, asian, caucasian = (person.settings[name] for name in ("african", "asian", "caucasian"))
    odds = np.array([4, 4, 3, 2, 2, 2, 2, 0.7, 0.7]) * caucasian + np.array([6, 4, 2, 0.5, 0.1, 0.1, 0.2, 0.1, 0.1]) * (
        african + asian
    )
    colour = _HAIR_COLOURS[random.choice(9, p=odds / odds.sum())] * np.exp(random.normal(0, 0.2))
    if person.old > random.uniform(0.1, 0.9):
        colour = colour + (_GREYS[random.integers(3)] - colour) * random.uniform(0.5, 1)
    if random.random() < 0.03 and not person.child:
        colour = random.uniform(0.03, 0.6, 3)
    return colour


def _skin(random: np.random.Generator, person: bank.Identity) -> np.ndarray:
    shares = np.array([person.settings[name] for name in ("african", "asian", "caucasian")])
    tone = np.exp(shares / shares.sum() @ np.log(_TONES))
    darker = float(np.exp(random.normal(-0.1, 0.22)))
    return np.clip(tone * darker * np.exp(random.normal(0, 0.05, 3)), 0.04, 1.05)


def _iris(random: np.random.Generator, person: bank.Identity) -> np.ndarray:
    if person.settings["caucasian"] < 0.5 or random.random() < 0.4:
        return np.array([0.45, 0.25, 0.13]) * random.uniform(0.25, 0.9)
    return np.array([[0.35, 0.5, 0.7], [0.4, 0.5, 0.3], [0.5, 0.55, 0.6]][random.integers(3)]) * random.uniform(
        0.5, 1.1
    )
