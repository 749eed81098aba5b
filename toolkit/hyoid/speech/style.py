# SPDX-License-Identifier: Apache-2.0
"""How a performance is played: presets, and a strength for each layer."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from hyoid.errors import UsageError


@dataclass(frozen=True)
class Style:
    """Strength of each layer; 1 is as solved, 0 switches it off.

    ``rate`` scales how often blinks, gaze shifts and other idle motion come.
    """

    jaw: float = 1.0
    lips: float = 1.0
    tongue: float = 1.0
    brows: float = 1.0
    blinks: float = 1.0
    gaze: float = 1.0
    head: float = 1.0
    breath: float = 1.0
    larynx: float = 1.0
    rate: float = 1.0


PRESETS: dict[str, Style] = {
    "calm": Style(jaw=0.85, lips=0.9, brows=0.6, gaze=0.6, head=0.55, rate=0.8),
    "neutral": Style(),
    "energetic": Style(jaw=1.15, lips=1.1, brows=1.5, gaze=1.3, head=1.6, breath=1.2, rate=1.25),
}
LAYERS: tuple[str, ...] = tuple(field.name for field in fields(Style) if field.name != "rate")


def style(name: str = "neutral", **strengths: float) -> Style:
    """A preset with its layers scaled: ``style("calm", head=2.0)`` moves the head twice as much as calm does.

    Raises:
        UsageError: no such preset or layer.
    """
    if name not in PRESETS:
        raise UsageError(f"there is no style '{name}'", expected=f"one of {', '.join(PRESETS)}")
    unknown = set(strengths) - set(LAYERS)
    if unknown:
        raise UsageError(f"there is no layer '{sorted(unknown)[0]}'", expected=f"one of {', '.join(LAYERS)}")
    preset = PRESETS[name]
    return replace(preset, **{layer: getattr(preset, layer) * value for layer, value in strengths.items()})
