# SPDX-License-Identifier: Apache-2.0
"""The script that runs inside Blender: reads a job folder, builds the scene, writes the file, says what it does.

It runs as ``python child.py -- FOLDER`` with bpy, or as ``blender -b --python child.py -- FOLDER``. The rest of Hyoid
is not imported: a Blender program has its own Python without our dependencies.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
import threading
import traceback
import types
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
PREFIX = "hyoid-event "


def emit(**event: object) -> None:
    """Send one event to the parent."""
    sys.stdout.write(f"\n{PREFIX}{json.dumps(event)}\n")
    sys.stdout.flush()


def main() -> int:
    """Do the job in the folder named after ``--``; the exit code is 0 or 3."""
    folder = Path(sys.argv[sys.argv.index("--") + 1])
    threading.Thread(target=_die_with_parent, args=(folder,), daemon=True).start()
    try:
        import bpy  # noqa: F401
    except ImportError as error:
        emit(event="failure", kind="missing", found=f"Blender as a Python module (bpy) cannot be loaded: {error}")
        return 3
    _as_package("hyoid_blender")
    from hyoid_blender import export  # pyright: ignore[reportMissingImports]

    try:
        export.run(folder, emit)
    except export.ExportError as error:
        emit(event="failure", kind=error.kind, found=str(error), path=error.path, hint=error.hint)
        return 3
    except MemoryError:
        hint = "Use fewer frames, part=head, or smaller pictures"
        emit(event="failure", kind="memory", found="Blender ran out of memory", hint=hint)
        return 3
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        found = "cannot be written: the disk is full" if full else f"cannot be written: {error.strerror or error}"
        emit(event="failure", kind="output", found=found, hint="Free some space or choose another folder")
        return 3
    except Exception:  # noqa: BLE001  the parent must hear of our own bugs too
        traceback.print_exc()
        emit(event="failure", kind="bug", found=traceback.format_exc().strip().splitlines()[-1])
        return 3
    emit(event="done")
    return 0


def _as_package(name: str) -> None:
    """Make the modules of this folder importable as a package without running its ``__init__``."""
    package = types.ModuleType(name)
    package.__path__ = [str(FOLDER)]
    sys.modules[name] = package


def _die_with_parent(folder: Path) -> None:
    """Leave at once, with the job folder, when the parent is gone: its end of our standard input closes."""
    while os.read(0, 1):
        pass
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(4)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Blender's own tear-down may crash after everything is written; the file is complete, so leave without it.
    os._exit(code)
