# SPDX-License-Identifier: Apache-2.0
"""How an identity tints the materials of the bundled human: skin tone and iris by the phenotype axes.

The skin map holds the lightest tone; a linear factor darkens it. The tones of the three race axes are mixed in the
logarithm, which is how melanin (an absorber) mixes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from hyoid.characters.character import Material

_TONES = {
    "african": (0.235, 0.150, 0.108),
    "asian": (0.900, 0.860, 0.790),
    "caucasian": (1.000, 0.970, 0.955),
}
_OLD = (0.975, 0.955, 0.925)
_BROWN_EYES = 0.8  # share of african and asian above which the iris is brown


def _shares(settings: Mapping[str, float]) -> np.ndarray:
    """The mixture of the three race axes, sum 1; all 0.5 or all 0 is an even mixture."""
    values = np.array([max(float(settings.get(name, 0.5)), 0.0) for name in _TONES])
    return values / values.sum() if values.sum() > 0 else np.full(len(_TONES), 1 / len(_TONES))


def skin_colour(settings: Mapping[str, float]) -> tuple[float, float, float, float]:
    """The linear RGBA factor of the skin map for an identity.

    settings: phenotype axes by name (``african``, ``asian``, ``caucasian`` 0..1, default 0.5; ``age``, 1 is old).
    """
    tone = np.exp(_shares(settings) @ np.log(np.array(list(_TONES.values()))))
    old = float(np.clip((settings.get("age", 2 / 3) - 2 / 3) * 3, 0, 1))
    red, green, blue = tone * (1 - old + old * np.array(_OLD))
    return float(red), float(green), float(blue), 1.0


def tinted(materials: Mapping[str, Material], settings: Mapping[str, float]) -> dict[str, Material]:
    """The materials of the bundled human at an identity: ``skin`` gets its tone, ``eye`` its iris.

    materials: by name, as ``rig.toml`` gives them. The brown iris is the map ``eye_brown.jpg`` beside the default one.
    """
    result = dict(materials)
    if "skin" in result:
        result["skin"] = replace(result["skin"], colour=skin_colour(settings))
    eye = result.get("eye")
    african, asian, _ = _shares(settings)
    if eye is not None and eye.colour_map is not None and african + asian >= _BROWN_EYES:
        result["eye"] = replace(eye, colour_map=eye.colour_map.with_name("eye_brown.jpg"))
    return result
