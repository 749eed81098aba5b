# SPDX-License-Identifier: Apache-2.0
"""What people wear on their heads and necks, as pieces: hair, beards, hats, glasses, masks, headphones, collars."""

from __future__ import annotations

from functools import cache

import numpy as np

from hyoid.synthetic.heads import bank, shells
from hyoid.synthetic.heads.shells import CLOTH, HAIR, HARD, LENS, Piece, Shell, ball, grid, sheet, tube, waves
from hyoid.synthetic.heads.styles import Look

# Degrees from the crown to the rim of the hair: face, 30, 50, 68, 80, 92, 112, 140, back.
_HAIRLINE = np.array([52.0, 53, 60, 74, 88, 84, 112, 126, 128])


def pieces(look: Look, person: bank.Identity) -> list[Piece]:
    """Everything that a person wears, lenses last."""
    random = np.random.default_rng([0x4A, look.hair_seed, look.hat_seed, look.glasses_seed])
    found = _hair(look, person)
    if look.hat is not None:
        found += _hat(look, person)
    if look.scarf:
        found.append(_scarf(look, person, random))
    elif look.garment in (3, 5):
        found.append(_collar(look, person, random))
    if look.headphones:
        found += _headphones(look, person)
    if look.glasses:
        found += _glasses(look, person)
    return found


def _hair(look: Look, person: bank.Identity) -> list[Piece]:
    """Hair of a style; a hat presses it flat and takes what stands on top."""
    random = np.random.default_rng([0xA1, look.hair_seed])
    kind, colour = look.hair, look.hair_colour
    scale = person.size / 0.235
    covered = look.hat is not None
    if kind == "bald" or look.hat in ("headscarf", "turban"):
        return []
    line = _HAIRLINE + random.normal(0, 2.5) + random.normal(0, 1.5, 9)
    curls = float(random.random() ** 3)
    shell, extra = _shell(kind, line, random)
    if kind in ("curly", "afro", "braids"):
        curls = float(random.uniform(0.7, 1))
    thick = np.array(shell.thick) * scale * random.uniform(0.8, 1.25)
    if covered:
        thick = np.minimum(thick, 0.008)
    shell = Shell(
        shell.line,
        tuple(thick.tolist()),
        shell.taper,
        shell.fall * scale,
        shell.flare * scale,
        shell.over_ears,
        shell.bumps,
        shell.bump_size,
    )
    points, edge, trunk, uv = grid(person, shell, random)
    tints = np.clip(colour * np.exp(random.normal(0, 0.06)), 0.004, 0.9)
    found = [sheet(points, tints, HAIR, style=curls, trunk=trunk, edge=edge, uv=uv)]
    if not covered:
        found += _tied(extra, person, tints, curls, random)
    return found


def _shell(kind: str, line: np.ndarray, random: np.random.Generator) -> tuple[Shell, str]:
    """The shell of a kind of hair, and what is tied at the back."""
    long = random.uniform(0.10, 0.34)
    over = bool(random.random() < 0.6)
    slick = Shell(line, (0.010, 0.007, 0.007, 0.009), 10, bumps=0.12)
    if kind == "crew":
        return Shell(line, (0.009, 0.008, 0.007, 0.007), 10, bumps=0.1), ""
    if kind == "receding":
        bare = line - np.array([22, 16, 6, 0, 0, 0, 0, 0, 0.0])
        return Shell(bare, (0.008, 0.007, 0.011, 0.010), 12, bumps=0.2), ""
    if kind == "quiff":
        return Shell(line, (0.026, 0.045, 0.008, 0.010), 9, bumps=0.22, bump_size=3), ""
    if kind == "fringe":
        low = line + np.array([20, 20, 16, 4, 0, 0, 0, 0, 0]) * random.uniform(0.6, 1.1)
        return Shell(low, (0.022, 0.020, 0.018, 0.020), 8, over_ears=over, bumps=0.2), ""
    if kind == "medium":
        wide = np.maximum(line, [0, 0, 0, 80, 100, 104, 120, 132, 134])
        return Shell(wide, (0.028, 0.024, 0.026, 0.028), 12, over_ears=over, bumps=0.25), ""
    if kind in ("bob", "long"):
        fringe = np.array([22, 22, 18, 0, 0, 0, 0, 0, 0]) * (random.random() < 0.4)
        wide = np.maximum(line + fringe, [0, 0, 66, 92, 100, 104, 120, 130, 130])
        fall = random.uniform(0.05, 0.13) if kind == "bob" else long
        return Shell(
            wide,
            (0.020, 0.014, 0.024, 0.024),
            10,
            fall=fall,
            flare=random.uniform(-0.02, 0.02),
            over_ears=True,
            bumps=0.15,
        ), ""
    if kind == "curly":
        wide = np.maximum(line, [0, 0, 0, 80, 96, 98, 118, 130, 132])
        return Shell(
            wide,
            (0.045, 0.035, 0.040, 0.040),
            10,
            fall=long * (random.random() < 0.5),
            flare=0.05,
            over_ears=over,
            bumps=0.3,
            bump_size=9,
        ), ""
    if kind == "afro":
        size = random.uniform(0.03, 0.09)
        return Shell(line, (size, 0.8 * size, 0.9 * size, 0.9 * size), 16, over_ears=True, bumps=0.1, bump_size=9), ""
    if kind in ("bun", "ponytail", "braids"):
        return slick, kind
    return Shell(line, (0.018, 0.015, 0.010, 0.012), 12, bumps=0.3, bump_size=5), ""


def _tied(
    kind: str, person: bank.Identity, colour: np.ndarray, curls: float, random: np.random.Generator
) -> list[Piece]:
    """A bun, a ponytail or two braids."""
    if not kind:
        return []
    up = np.radians(random.uniform(35, 110))
    scale = person.size / 0.235
    reach = float(person.skull[:, bank.COLUMNS // 2].max())
    root = person.centre + reach * np.array([0, np.cos(up), -np.sin(up)])
    out = np.array([0, np.cos(up), -np.sin(up)])
    if kind == "bun":
        size = random.uniform(0.028, 0.05) * scale
        points = ball(root + 0.7 * size * out, size * np.array([1, 0.9, 0.9]))
        points = points + 0.003 * waves(random, points, 60.0)[..., None]
        return [sheet(points, colour, HAIR, style=max(curls, 0.3))]
    steps = np.linspace(0, 1, 14)[:, None]
    sides = (0.0,) if kind == "ponytail" else (-1.0, 1.0)
    found = []
    for side in sides:
        start = root if kind == "ponytail" else person.centre + reach * np.array([0.72 * side, -0.45, -0.55])
        length = random.uniform(0.14, 0.32) * scale
        away = out if kind == "ponytail" else np.array([0.35 * side, 0, -0.5])
        path = start + away * 0.07 * np.sin(np.minimum(steps * 2.5, np.pi / 2)) - length * steps**1.4 * [0, 1, 0.08]
        width = 0.024 * scale * np.sin(np.pi * np.clip(0.18 + 0.80 * steps[:, 0], 0, 1)) ** 0.7
        if kind == "braids":
            width = 0.7 * width * (1 + 0.25 * np.sin(steps[:, 0] * 40))
        down = np.clip((person.centre[1] - 0.4 * person.size - path[:, 1]) / 0.15, 0, 1)[:, None]
        grown = tube(path, width)
        found.append(sheet(grown, colour, HAIR, style=curls, trunk=down * 0.8, close=False))
    return found


def _hat(look: Look, person: bank.Identity) -> list[Piece]:
    random = np.random.default_rng([0xA2, look.hat_seed])
    colour, kind = look.hat_colour, look.hat
    low = random.normal(0, 4)
    rim = np.array([62.0, 64, 70, 80, 86, 90, 98, 104, 106]) + low
    scale = person.size / 0.235
    pattern = float(random.choice([0.0, 0.0, 2.0]))
    if kind == "beanie":
        rim += np.array([0, 0, 3, 8, 10, 10, 8, 4, 4])
        tall = random.uniform(0.014, 0.06)
        shell = Shell(
            rim, (tall, 0.016, 0.017, 0.018), 1, over_ears=bool(random.random() < 0.6), bumps=0.08, bump_size=3
        )
        found = [_shell_piece(shell, person, colour, CLOTH, max(pattern, 1.0), random)]
        if random.random() < 0.25:
            top = person.centre + np.array([0, person.skull[0, 0] + tall + 0.01, 0])
            found.append(sheet(ball(top, 0.028), cloth_like(random, colour), HAIR, style=1.0))
        return found
    if kind == "helmet":
        rim += np.array([0, 0, 2, 6, 10, 12, 10, 4, 4])
        shell = Shell(rim, (0.04, 0.035, 0.03, 0.04), 1, over_ears=bool(random.random() < 0.5), bumps=0.0)
        found = [_shell_piece(shell, person, colour, HARD, 0, random)]
        if random.random() < 0.5:
            found.append(_brim(person, rim, 0.012, 0.045 * scale, 50, colour, HARD))
        return found
    if kind == "headscarf":
        return _headscarf(person, colour, pattern, random)
    if kind == "hood":
        line = np.array([150.0] * 9)
        shell = Shell(
            line,
            (0.035, 0.03, 0.035, 0.045),
            1,
            fall=0.08,
            flare=0.05,
            over_ears=True,
            bumps=0.12,
            opening=(random.uniform(50, 62), random.uniform(62, 72)),
        )
        return [_shell_piece(shell, person, look.cloth[0], CLOTH, 0.0, random)]
    if kind == "turban":
        shell = Shell(rim, (0.06, 0.05, 0.045, 0.05), 6, over_ears=bool(random.random() < 0.5), bumps=0.16, bump_size=5)
        return [_shell_piece(shell, person, colour, CLOTH, 0.0, random)]
    tall = 0.022 if kind == "cap" else random.uniform(0.03, 0.07)
    shell = Shell(rim, (tall, 0.018, 0.016, 0.016), 1, bumps=0.04)
    found = [_shell_piece(shell, person, colour, CLOTH, pattern, random)]
    if kind == "cap":
        backwards = bool(random.random() < 0.12)
        second = colour if random.random() < 0.6 else cloth_like(random, colour)
        found.append(_brim(person, rim, 0.016, random.uniform(0.06, 0.08) * scale, 48, second, CLOTH, backwards))
    else:
        found.append(_brim(person, rim, 0.016, random.uniform(0.045, 0.10) * scale, 180, colour, CLOTH))
    return found


def cloth_like(random: np.random.Generator, colour: np.ndarray) -> np.ndarray:
    """Another colour that goes with one."""
    return np.clip(colour[random.permutation(3)] * np.exp(random.normal(0, 0.5)), 0.01, 0.85)


def _shell_piece(
    shell: Shell, person: bank.Identity, colour: np.ndarray, material: int, style: float, random: np.random.Generator
) -> Piece:
    points, edge, trunk, uv = grid(person, shell, random)
    if shell.opening is None:
        edge = np.ones_like(edge)
    return sheet(points, colour, material, style=style, trunk=trunk, edge=edge, uv=uv)


def _headscarf(person: bank.Identity, colour: np.ndarray, pattern: float, random: np.random.Generator) -> list[Piece]:
    line = np.array([150.0] * 9)
    shell = Shell(
        line,
        (0.016, 0.012, 0.016, 0.02),
        1,
        fall=random.uniform(0.08, 0.16),
        flare=random.uniform(0.04, 0.10),
        over_ears=True,
        bumps=0.25,
        bump_size=5,
        opening=(random.uniform(42, 50), random.uniform(54, 60)),
    )
    return [_shell_piece(shell, person, colour, CLOTH, pattern, random)]


def _brim(
    person: bank.Identity,
    rim: np.ndarray,
    lift: float,
    reach: float,
    half: float,
    colour: np.ndarray,
    material: int,
    backwards: bool = False,
) -> Piece:
    """A brim that starts at the rim of a shell and goes out, over ``half`` degrees to either side."""
    full = half >= 180
    about = np.radians(np.linspace(-half, half, 33))
    if backwards:
        about = about + np.pi
    polar = np.radians(shells.around(rim)(about) - 2)
    radius = shells._at(person.skull, polar, about % (2 * np.pi)) + lift
    start = (
        np.stack([np.sin(polar) * np.sin(about), np.cos(polar), np.sin(polar) * np.cos(about)], -1) * radius[:, None]
    )
    start += person.centre
    out = np.stack([np.sin(about), 0 * about, np.cos(about)], -1)
    if not full:
        middle = np.pi if backwards else 0.0
        out = 0.55 * out + 0.45 * np.array([np.sin(middle), 0, np.cos(middle)])
        fade = np.cos((about - middle) / np.radians(half) * np.pi / 2).clip(0) ** 0.45
    else:
        fade = np.ones_like(about)
    steps = np.linspace(0, 1, 5)[:, None, None]
    droop = 0.30 if not full else 0.18
    points = start + steps * reach * fade[None, :, None] * (out - [0, droop, 0])
    points[..., 1] -= (0.02 * steps[..., 0] * np.sin(about - about.mean()) ** 2) if not full else 0
    return sheet(points, colour, material, close=False)


def _eyes(person: bank.Identity) -> tuple[np.ndarray, np.ndarray]:
    names = bank.joint_names()
    return person.joints[names.index("eye.L")], person.joints[names.index("eye.R")]


def _glasses(look: Look, person: bank.Identity) -> list[Piece]:
    """Frames, arms and lenses."""
    random = np.random.default_rng([0xA3, look.glasses_seed])
    left, right = _eyes(person)
    dark = look.glasses == 2
    gap = left[0] - right[0]
    wide = gap * random.uniform(0.36, 0.46) * (1.08 if dark else 1.0)
    high = wide * random.uniform(0.62, 0.95)
    square = random.uniform(2, 5)
    thick = random.uniform(0.0009, 0.0022) * (1.4 if dark else 1)
    colour = np.array([0.012, 0.012, 0.013]) if random.random() < 0.6 else random.uniform(0.02, 0.5, 3)
    tint = np.array([0.01, 0.01, 0.012]) * random.uniform(0.5, 4) if dark else np.array([0.5, 0.55, 0.6])
    opacity = float(random.uniform(0.75, 0.98)) if dark else float(random.uniform(0.03, 0.14))
    angle = np.linspace(0, 2 * np.pi, 21)
    c, s = np.cos(angle), np.sin(angle)
    round_x = np.sign(c) * np.abs(c) ** (2 / square)
    round_y = np.sign(s) * np.abs(s) ** (2 / square)
    front = max(left[2], right[2]) + 0.026
    frames, lenses = [], []
    for eye in (left, right):
        middle = np.array([eye[0] * 1.04, eye[1] - 0.002, front])
        ring = middle + np.stack([wide * round_x, high * round_y, -0.10 * np.abs(wide * round_x + eye[0] * 0.3)], -1)
        frames.append(sheet(tube(ring, np.full(21, thick), sides=5), colour, HARD, close=False))
        inner = middle + (ring - middle) * np.linspace(0.02, 1, 3)[:, None, None]
        lenses.append(sheet(inner, tint, LENS, style=opacity, close=False))
        side = np.sign(eye[0])
        ear = np.array([side * float(person.outer[20:26].max() * 0.86), eye[1] - 0.006, person.centre[2] - 0.01])
        hinge = middle + np.array([side * wide, 0.3 * high, -0.012])
        path = (
            hinge
            + (ear - hinge) * np.linspace(0, 1, 6)[:, None]
            + np.array([side * 0.006, 0, 0]) * np.sin(np.linspace(0, np.pi, 6))[:, None]
        )
        frames.append(sheet(tube(path, np.full(6, 1.2 * thick), sides=5), colour, HARD, close=False))
    bridge = np.linspace(left * [1.04, 1, 1] - [wide, 0, 0], right * [1.04, 1, 1] + [wide, 0, 0], 5)
    bridge[:, 2] = front
    frames.append(sheet(tube(bridge, np.full(5, thick), sides=5), colour, HARD, close=False))
    return frames + lenses


def _headphones(look: Look, person: bank.Identity) -> list[Piece]:
    angle = np.radians(np.linspace(-88, 88, 21))
    wide = float(person.outer[18:26, [bank.COLUMNS // 4, 3 * bank.COLUMNS // 4]].max()) + 0.004
    tall = float(person.skull[0, 0]) + 0.022
    path = person.centre + np.stack([wide * np.sin(angle), tall * np.cos(angle) - 0.02, 0 * angle - 0.005], -1)
    found = [sheet(tube(path, np.full(21, 0.009), 0.7), look.hat_colour, HARD)]
    for side in (-1.0, 1.0):
        cup = person.centre + np.array([side * wide, -0.025, -0.005])
        found.append(sheet(ball(cup, np.array([0.02, 0.038, 0.034])), look.hat_colour * 0.6, HARD))
    return found


def _neck(person: bank.Identity) -> np.ndarray:
    return person.joints[bank.joint_names().index("c7t1")]


def _scarf(look: Look, person: bank.Identity, random: np.random.Generator) -> Piece:
    angle = np.linspace(0, 2 * np.pi, 33)
    scale = person.size / 0.235
    middle = _neck(person) + np.array([0, 0.015, 0.035]) * scale
    path = middle + scale * np.stack([0.075 * np.sin(angle), -0.02 * np.cos(angle), 0.075 * np.cos(angle)], -1)
    grown = tube(path, scale * np.full(33, random.uniform(0.028, 0.045)), 1.0, 11)
    bumps = 0.004 * waves(random, grown, 30.0)
    bumps[-1], bumps[:, -1] = bumps[0], bumps[:, 0]
    return sheet(grown + bumps[..., None], look.hat_colour, CLOTH, style=2.0, trunk=1.0, close=False)


def _collar(look: Look, person: bank.Identity, random: np.random.Generator) -> Piece:
    """A shirt collar: a band around the neck, higher at the back, open in front."""
    open_front = random.uniform(0.05, 0.5)
    angle = np.linspace(open_front, 2 * np.pi - open_front, 29)
    scale = person.size / 0.235
    middle = _neck(person) + np.array([0, -0.012, 0.036]) * scale
    out = np.stack([np.sin(angle), 0 * angle, np.cos(angle)], -1)
    rise = 0.022 * (1 - np.cos(angle)) / 2
    rows = []
    for height, wide in ((0.0, 0.072), (0.03, 0.066), (0.034, 0.068), (0.004, 0.079)):
        ring = middle + scale * (wide * out * [0.95, 1, 1.05]) + np.array([0, scale, 0]) * (height + rise)[:, None]
        rows.append(ring)
    colour = look.cloth[2] if look.garment == 3 else look.cloth[0]
    return sheet(np.stack(rows), colour, CLOTH, trunk=0.85, close=False)


@cache
def regions(full: bool) -> dict[str, np.ndarray]:
    """Shares (V,) of the rows of a layout: ``beard``, ``moustache``, ``goatee`` and ``mask``."""
    shared = bank.layout(full)
    x, y, z = shared.template.T
    x = np.abs(x)
    skin = np.arange(len(x)) < shared.skin
    lips = np.hypot(x / 0.028, (y - 1.683) / 0.0105) < 1
    cheek = 1.702 + np.clip((0.145 - z) / 0.07, 0, 1) * 0.035 + 0.03 * np.clip((x - 0.062) / 0.012, 0, 1)
    rows = (1.612 + 0.03 * np.clip((0.09 - z) / 0.05, 0, 1), cheek)
    beard = (
        np.clip((rows[1] - y) / 0.012, 0, 1) * np.clip((y - rows[0]) / 0.014, 0, 1) * np.clip((z - 0.045) / 0.02, 0, 1)
    )
    beard *= skin & ~lips & (shared.head > 0.3) & (x < 0.082)
    above = np.clip((0.036 - x) / 0.008, 0, 1) * (y > 1.682) * np.clip((1.704 - y) / 0.004, 0, 1) * (z > 0.14)
    low = np.clip((0.03 - x) / 0.01, 0, 1) * (y < 1.672)
    mask = skin & (y < 1.722) & (y > 1.622) & (z > 0.075) & (x < 0.072)
    return {
        "beard": beard,
        "moustache": beard * above,
        "goatee": beard * np.maximum(low, above),
        "mask": mask.astype(float),
    }
