# SPDX-License-Identifier: Apache-2.0
"""Draw ``people.jpg`` beside this file: people whom no network of Hyoid has learned from, seen from many sides."""

from __future__ import annotations

from pathlib import Path

from hyoid.synthetic import heads
from PIL import Image

SETTINGS = heads.Settings(width=800, height=533, people=(4, 6), heads=(70.0, 150.0), held_out=True)

if __name__ == "__main__":
    scene = heads.scene(11, 15, settings=SETTINGS)
    Image.fromarray(scene.image).save(Path(__file__).with_name("people.jpg"), quality=88)
