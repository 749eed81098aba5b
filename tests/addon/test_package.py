# SPDX-License-Identifier: Apache-2.0
"""What is in the zip, and that Blender's own tool and a repository of one's own accept it."""

import ast
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.addon import tools

BLENDER = {"aud", "addon_utils", "bl_math", "blf", "bmesh", "bpy", "bpy_extras", "gpu", "gpu_extras", "mathutils"}
TOO_NEW = {"tomllib"}  # Blender 3.4 may run Python 3.10


def make(folder: Path, *, cwd: Path, umask: int) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, str(tools.ROOT / "addon" / "build.py"), str(folder)], cwd=cwd, umask=umask,
        capture_output=True, text=True, check=True,
    )  # fmt: skip


def files() -> dict[str, bytes]:
    with zipfile.ZipFile(tools.built_zip()) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def require_judges() -> list[Path]:
    found = tools.build().judges()
    if not found:
        tools.absent("no Blender 4.2 or newer is at hand: make tools")
    return found


def test_equal_sources_give_equal_bytes_wherever_it_is_built(tmp_path):
    elsewhere = tmp_path / "somewhere else"
    elsewhere.mkdir()
    made = make(tmp_path / "a", cwd=tools.ROOT, umask=0o022)
    make(tmp_path / "b", cwd=elsewhere, umask=0o077)
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert [name for name in names if name.endswith(".zip")] == [f"hyoid-{tools.build().version()}.zip"]
    assert tools.built_zip().name in made.stdout
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_the_zip_holds_the_add_on_and_nothing_else():
    held = files()
    assert {name.split("/")[0] for name in held} == {"hyoid"}  # Blender 3.4 wants one folder
    needed = ("__init__.py", "blender_manifest.toml", "LICENSE", "toolkit/LICENSE")
    assert {f"hyoid/{name}" for name in needed} <= set(held)
    for name, data in held.items():
        assert not re.search(r"__pycache__|\.pyc|/tests?[/_]|(^|/)\.", name), name
        assert ".." not in Path(name).parts, name
        assert str(tools.ROOT).encode() not in data, name
        assert name.endswith((".py", ".toml", ".json", ".npz", ".png", ".jpg", "LICENSE")), name
    assert sum(map(len, held.values())) < 20e6  # megabytes that an artist downloads


def imports_of(tree: ast.AST, *, everywhere: bool) -> set[str]:
    """First words of absolute imports; those inside functions and ``if TYPE_CHECKING`` only if asked for."""
    found = set()
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module.split(".")[0])
        inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        checking = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if everywhere or not (inside or checking):
            found |= imports_of(node, everywhere=everywhere)
    return found


def test_nothing_is_imported_that_blender_does_not_bring():
    known = (set(sys.stdlib_module_names) | BLENDER | {"numpy"}) - TOO_NEW
    for name, data in files().items():
        if name.endswith(".py"):
            own = not name.startswith("hyoid/toolkit/")  # the toolkit may import more where the add-on never goes
            assert imports_of(ast.parse(data), everywhere=own) <= known, name


def test_every_python_file_runs_in_python_3_10_as_far_as_syntax_goes():
    for name, data in files().items():
        if name.endswith(".py"):
            ast.parse(data, name, feature_version=(3, 10))


def test_python_files_name_their_licence():
    for name, data in files().items():
        if name.endswith(".py"):
            wanted = "Apache-2.0" if name.startswith("hyoid/toolkit/") else "GPL-3.0-or-later"
            assert data.decode().startswith(f"# SPDX-License-Identifier: {wanted}\n"), name


def test_versions_that_differ_stop_the_build(monkeypatch, tmp_path):
    build = tools.build()
    monkeypatch.setattr(build, "_toolkit_version", lambda: "9.9.9")
    with pytest.raises(ValueError, match=r"blender_manifest.toml says .*the toolkit says 9\.9\.9"):
        build.build(tmp_path)


def test_a_leftover_stops_the_build(monkeypatch, tmp_path):
    build = tools.build()
    source = tmp_path / "addon" / "hyoid"
    source.mkdir(parents=True)
    (source / "notes.orig").write_text("x", encoding="utf-8")
    monkeypatch.setattr(build, "ROOT", tmp_path)
    monkeypatch.setattr(build, "SOURCE", source)
    with pytest.raises(ValueError, match=r"notes\.orig does not belong"):
        build.contents()


def test_without_a_blender_it_says_that_nothing_was_validated(monkeypatch, capsys, tmp_path):
    build = tools.build()
    monkeypatch.setattr(build, "judges", list)
    build.main(tmp_path)
    assert "NOT VALIDATED" in capsys.readouterr().err
    assert [path.suffix for path in tmp_path.iterdir()] == [".zip"]


@pytest.mark.blender
def test_the_validator_of_every_blender_accepts_it_and_they_list_the_same(tmp_path):
    build, indexes = tools.build(), set()
    made = build.build(tmp_path)
    for judge in require_judges():
        assert "Success" in build.publish(made, judge)
        indexes.add(made.with_name("index.json").read_bytes())
    assert len(indexes) == 1
    (entry,) = json.loads(indexes.pop())["data"]
    assert entry["id"] == "hyoid"
    assert entry["archive_url"] == f"./{made.name}"
    assert entry["archive_size"] == made.stat().st_size
    page = made.with_name("index.html").read_text(encoding="utf-8")
    assert f"{made.name}?repository=" in page  # what is dragged into Blender


@pytest.mark.blender
@pytest.mark.parametrize(
    ("line", "word"),
    [
        ('tagline = "A tagline may not end with a full stop."', "tagline"),
        ('tags = ["Hats"]', "Hats"),
        ('files = "A reason for a permission may not have more than sixty-four characters"', "permissions"),
    ],
)
def test_the_validator_would_refuse_a_bad_manifest(line, word, monkeypatch, tmp_path):
    build, held = tools.build(), tools.build().contents()
    manifest = held["blender_manifest.toml"].decode()
    broken, count = re.subn(f"^{line.split()[0]} = .*$", line, manifest, flags=re.MULTILINE)
    assert count == 1
    held["blender_manifest.toml"] = broken.encode()
    monkeypatch.setattr(build, "contents", lambda: held)
    made = build.build(tmp_path)
    with pytest.raises(ValueError, match=word):
        build.publish(made, require_judges()[0])
    assert not made.with_name("index.json").exists()


@pytest.mark.blender
@pytest.mark.parametrize("version", [v for v in tools.VERSIONS if v != "3.4"])
def test_blender_installs_it_from_a_repository(version, tmp_path):
    build = tools.build()
    made = build.build(tmp_path / "site")
    build.publish(made, require_judges()[0])
    answer = tools.run(version, "repository", tmp_path, install=False, index=str(made.with_name("index.json")))
    assert answer["enabled"] == [answer["module"]]
    assert answer["panel"]
    assert answer["version"] == build.version()


def test_the_readme_names_the_system_packages_that_the_script_installs():
    script = (tools.ROOT / "scripts" / "system_packages.sh").read_text(encoding="utf-8")
    packages = {name: re.search(f'^{name}="([^"]+)"', script, re.MULTILINE)[1] for name in ("run", "test")}
    readme = (tools.ROOT / "README.md").read_text(encoding="utf-8")
    for names in packages.values():
        assert f"apt-get install -y --no-install-recommends {names}" in readme


def test_make_addon_writes_where_the_readme_says():
    done = subprocess.run(
        ["make", "-n", "addon"], cwd=tools.ROOT, capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert "addon/build.py dist/addon" in done.stdout
