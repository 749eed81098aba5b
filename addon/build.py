# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the add-on: one zip for Blender 3.4 to 5.0, judged by Blender, with the index of a repository beside it.

    python addon/build.py [FOLDER]      dist/addon by default

The folder then holds ``hyoid-VERSION.zip``, ``index.json`` and ``index.html``: put it on any web server, and Blender
4.2 and later install and update from it. Equal sources give equal bytes.

The add-on works without the toolkit, so the zip carries those modules of the toolkit that need nothing but NumPy and
bpy (``SHARED``), as its subpackage ``toolkit``, with their absolute imports turned into relative ones: in Blender the
add-on's package is called ``hyoid`` or ``bl_ext.user_default.hyoid``, and nothing may come from outside it.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "addon" / "hyoid"
PAGE = ROOT / "addon" / "repository.html"
TOOLKIT = ROOT / "toolkit" / "hyoid"
RIG = ROOT / "rigs" / "human"
FOLDER = "hyoid"
"""Top folder of the zip, and the name of the add-on's package before Blender 4.2; from then on the manifest's id names
it. A Blender on the system's Python may find the toolkit under that name: ``toolkit/hyoid/_namesake.py``."""
SHARED = (
    "errors.py", "files.py", "report.py", "scratch.py", "take.py", "take_edit.py", "take_keys.py",
    "characters/__init__.py", "characters/arkit.py", "characters/bundled.py", "characters/character.py",
    "characters/curve_names.py", "characters/facs.py", "characters/gestures.py", "characters/larynx.py",
    "characters/lighter.py", "characters/looks.py", "characters/neck.py", "characters/stored.py",
    "geometry/__init__.py", "geometry/head_angles.py", "geometry/rotations.py", "geometry/stencils.py",
    "formats/__init__.py", "formats/bvh.py", "formats/character_checks.py", "formats/character_npz.py",
    "formats/checks.py", "formats/curves_csv.py", "formats/npz.py", "formats/glb_accessors.py",
    "formats/glb_read.py", "formats/glb_skeleton.py", "formats/glb_take.py", "formats/heads_json.py",
    "formats/openface_csv.py", "formats/rows.py", "formats/sounds.py", "formats/take_npz.py",
    "motion/__init__.py", "motion/head_smoothing.py", "motion/heads.py",
    "speech/__init__.py", "speech/edit.py", "speech/phones.py", "speech/visemes.py",
    "blender/__init__.py", "blender/action_units.py", "blender/animation.py", "blender/assemble.py",
    "blender/compat.py", "blender/controls.py", "blender/correctives.py", "blender/materials.py", "blender/meshes.py",
    "blender/neck_control.py", "blender/pack.py", "blender/rig.py", "blender/stage.py",
)  # fmt: skip
SUFFIXES = (".json", ".png", ".py", ".toml")
"""What may lie in the folder of the add-on. Anything else is a leftover, and stops the build."""
_IMPORT = re.compile(r"^(\s*)from hyoid(\.[\w.]+)? import ", re.MULTILINE)
_FIXED = (1980, 1, 1, 0, 0, 0)
_JUDGE = "scripts/addons_core/bl_pkg/cli/blender_ext.py"


def build(folder: Path) -> Path:
    """Write ``hyoid-VERSION.zip`` into a folder and give its path. It has one top folder, as Blender 3.4 wants it.

    Raises:
        ValueError: something in the sources cannot go into the zip.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"hyoid-{version()}.zip"
    part = target.with_suffix(".part")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, data in sorted(contents().items()):
            entry = zipfile.ZipInfo(f"{FOLDER}/{name}", _FIXED)
            entry.create_system = 3  # Unix, wherever it is built
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    part.replace(target)
    return target


def publish(zip_path: Path, judge: Path) -> str:
    """Write ``index.json`` and ``index.html`` beside a zip, after Blender's validator has passed it; what it said.

    Args:
        judge: one of ``judges()``, Blender's own tool for extensions.

    Raises:
        ValueError: Blender does not accept the zip, or cannot list it.
    """
    said = [_run(judge, "validate", *_tags(judge), str(zip_path))]
    with tempfile.TemporaryDirectory() as work:  # older zips beside ours stay out of the index
        shutil.copy(zip_path, work)
        said.append(_run(judge, "server-generate", "--repo-dir", work, "--html", "--html-template", str(PAGE)))
        for name in ("index.json", "index.html"):
            (zip_path.parent / name).write_bytes((Path(work) / name).read_bytes())
    return "".join(said)


def judges() -> list[Path]:
    """Blender's tool for extensions, in each Blender module (4.2 or newer) at hand; the newest first."""
    here = importlib.util.find_spec("bpy")
    folders = [Path(place) for place in here.submodule_search_locations or ()] if here else []
    folders += [*ROOT.glob(".venv/lib/python3*/site-packages/bpy"), *ROOT.glob(".tools/bpy-*/bpy")]
    found = {path.parents[4].name: path for folder in folders for path in folder.glob(f"*/{_JUDGE}")}
    return [found[name] for name in sorted(found, key=lambda name: [int(n) for n in name.split(".")], reverse=True)]


def version() -> str:
    """The version of the add-on, one with the toolkit's.

    Raises:
        ValueError: the manifest, ``bl_info`` and the toolkit do not name the same one.
    """
    manifest = tomllib.loads((SOURCE / "blender_manifest.toml").read_text(encoding="utf-8"))["version"]
    numbers = re.search(r'"version": \(([^)]*)\)', (SOURCE / "__init__.py").read_text(encoding="utf-8"))
    named = {
        "blender_manifest.toml": manifest,
        "bl_info": ".".join(re.findall(r"\d+", numbers[1])) if numbers else "none",
        "the toolkit": _toolkit_version(),
    }
    if len(set(named.values())) > 1:
        raise ValueError("versions differ: " + ", ".join(f"{who} says {what}" for who, what in named.items()))
    return manifest


def contents() -> dict[str, bytes]:
    """Every file of the add-on, by its path inside its folder.

    Raises:
        ValueError: a file that does not belong there.
    """
    files = {}
    for path in SOURCE.rglob("*"):
        if path.is_dir() or "__pycache__" in path.parts:
            continue
        if path.suffix not in SUFFIXES or path.name.startswith("."):
            raise ValueError(f"{path.relative_to(ROOT)} does not belong into the add-on: remove it")
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


def main(folder: Path) -> None:
    """Build, have it judged, write the index; say what was done, or what is missing for that."""
    made = build(folder)
    sys.stdout.write(f"{made}\n")
    found = judges()
    if found:
        publish(made, found[0])
        sys.stdout.write(f"{made.with_name('index.json')}\n")
        sys.stderr.write(f"hyoid: the extension validator of Blender {found[0].parents[4].name} accepts the zip\n")
        return
    sys.stderr.write(
        "hyoid: warning: the zip is NOT VALIDATED and has no index for a repository: both need the tool for extensions "
        "of Blender 4.2 or newer, and there is none in .venv or .tools. Type: make install addon\n"
    )


def _run(judge: Path, *words: str) -> str:
    """What Blender's tool says; its complaints as ValueError."""
    done = subprocess.run([sys.executable, "-B", str(judge), *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(f"Blender's '{words[0]}' refuses the add-on:\n{done.stdout}{done.stderr}".rstrip())
    return done.stdout


def _tags(judge: Path) -> list[str]:
    """Words that make the validator look at the tags too: it has no list of its own."""
    tags = judge.parents[3] / "modules/_bpy_internal/extensions/tags.py"
    return ["--valid-tags", str(tags)] if tags.is_file() else []


def _toolkit_version() -> str:
    found = re.search(r'__version__ = "([^"]+)"', (TOOLKIT / "__init__.py").read_text(encoding="utf-8"))
    assert found  # hatch reads the version from there too
    return found[1]


def _package_file() -> bytes:
    about = '"""The modules of the Hyoid toolkit that the add-on uses inside Blender: built, not to be edited."""'
    return f'# SPDX-License-Identifier: Apache-2.0\n{about}\n\n__version__ = "{_toolkit_version()}"\n'.encode()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "dist" / "addon", help="where the zip goes")
    try:
        main(parser.parse_args().folder)
    except ValueError as error:
        sys.exit(f"hyoid: error: {error}")
