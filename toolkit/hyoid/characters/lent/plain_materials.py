# SPDX-License-Identifier: Apache-2.0
"""Materials for heads that come without pictures: one plain colour a part that looks alive in every renderer."""

from __future__ import annotations

from hyoid.characters.character import Material

_SKIN = (0.62, 0.36, 0.27, 1.0)  # linear, the mean of the bundled human's skin map
PLAIN: dict[str, Material] = {
    "skin": Material("skin", _SKIN, 0.60, subsurface=0.12),
    "mouth": Material("mouth", (0.30, 0.07, 0.06, 1.0), 0.35, subsurface=0.10),
    "gums": Material("gums", (0.48, 0.15, 0.13, 1.0), 0.30, subsurface=0.10),
    "tongue": Material("tongue", (0.50, 0.16, 0.14, 1.0), 0.38, subsurface=0.10),
    "teeth": Material("teeth", (0.88, 0.80, 0.67, 1.0), 0.25, double_sided=True, subsurface=0.25),
    "lashes": Material("lashes", (0.020, 0.014, 0.010, 0.45), 0.7, alpha="blend", double_sided=True),
}
"""By name: ``skin``, ``mouth`` (its inside), ``gums``, ``tongue``, ``teeth``, ``lashes`` (thin hair cards)."""


def materials(*names: str) -> dict[str, Material]:
    """The plain materials of these names; see :data:`PLAIN`."""
    return {name: PLAIN[name] for name in names}
