# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the add-on: one zip for Blender 3.4 to 5.0, the same bytes every time, and an index for a repository.

    python addon/build.py [FOLDER]      dist/addon by default

The add-on works without the toolkit, so the zip carries those modules of the toolkit that need nothing but NumPy and
bpy (``SHARED``), as its subpackage ``toolkit``, with their absolute imports turned into relative ones: in Blender the
add-on's package is called ``hyoid`` or ``bl_ext.user_default.hyoid``, and nothing may come from outside it.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "addon" / "hyoid"
TOOLKIT = ROOT / "toolkit" / "hyoid"
RIG = ROOT / "rigs" / "human"
SHARED = (
    "errors.py", "files.py", "report.py", "take.py", "take_edit.py", "take_keys.py",
    "characters/__init__.py", "characters/arkit.py", "characters/bundled.py", "characters/character.py",
    "characters/larynx.py", "characters/looks.py", "characters/neck.py",
    "geometry/__init__.py", "geometry/rotations.py", "geometry/stencils.py",
    "formats/__init__.py", "formats/bvh.py", "formats/checks.py", "formats/curves_csv.py", "formats/npz.py",
    "formats/glb_read.py", "formats/rows.py", "formats/sounds.py", "formats/take_npz.py",
    "blender/__init__.py", "blender/animation.py", "blender/compat.py", "blender/materials.py", "blender/meshes.py",
    "blender/pack.py", "blender/rig.py", "blender/stage.py",
)  # fmt: skip
_IMPORT = re.compile(r"^(\s*)from hyoid(\.[\w.]+)? import ", re.MULTILINE)
_FIXED = (1980, 1, 1, 0, 0, 0)


def build(folder: Path) -> Path:
    """Write ``hyoid-VERSION.zip`` into a folder and give its path."""
    version = tomllib.loads((SOURCE / "blender_manifest.toml").read_text(encoding="utf-8"))["version"]
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"hyoid-{version}.zip"
    part = target.with_suffix(".part")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, data in sorted(contents().items()):
            entry = zipfile.ZipInfo(f"hyoid/{name}", _FIXED)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    part.replace(target)
    return target


def contents() -> dict[str, bytes]:
    """Every file of the add-on, by its path inside the folder ``hyoid``."""
    files = {}
    for path in SOURCE.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            files[path.relative_to(SOURCE).as_posix()] = path.read_bytes()
    files["LICENSE"] = (ROOT / "addon" / "LICENSE").read_bytes()
    files["toolkit/LICENSE"] = (ROOT / "LICENSE").read_bytes()
    files["toolkit/__init__.py"] = _package_file()
    for name in SHARED:
        files[f"toolkit/{name}"] = relative((TOOLKIT / name).read_text(encoding="utf-8"), name).encode()
    for path in (RIG / "human.npz", RIG / "LICENSE", *sorted((RIG / "textures").iterdir())):
        files[f"toolkit/rigs/human/{path.relative_to(RIG).as_posix()}"] = path.read_bytes()
    rig = tomllib.loads((RIG / "rig.toml").read_text(encoding="utf-8"))
    files["toolkit/rigs/human/rig.json"] = json.dumps(rig, indent=1, sort_keys=False).encode()
    return files


def relative(source: str, name: str) -> str:
    """The text of a toolkit module with ``from hyoid.x import`` written as seen from the module at ``name``.

    Raises:
        ValueError: an import that cannot be turned (``import hyoid.x``).
    """
    dots = "." * (name.count("/") + 1)
    turned = _IMPORT.sub(lambda match: f"{match[1]}from {dots}{(match[2] or '.')[1:]} import ", source)
    left = re.search(r"^\s*import hyoid.*$", turned, re.MULTILINE)
    if left:
        raise ValueError(f"{name}: '{left[0].strip()}' cannot be made relative: write 'from hyoid... import'")
    return turned


def _package_file() -> bytes:
    version = re.search(r'__version__ = "[^"]+"', (TOOLKIT / "__init__.py").read_text(encoding="utf-8"))
    assert version  # hatch reads the version from there too
    about = '"""The modules of the Hyoid toolkit that the add-on uses inside Blender: built, not to be edited."""'
    return f"# SPDX-License-Identifier: Apache-2.0\n{about}\n\n{version[0]}\n".encode()


if __name__ == "__main__":
    made = build(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "dist" / "addon")
    sys.stdout.write(f"{made}\n")
