# SPDX-License-Identifier: Apache-2.0
"""Files that an output refers to and that must travel with it: copied into the folder ``NAME_files`` beside it."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from hyoid.errors import InputError


def copy(path: Path, source: Path) -> str:
    """Copy ``source`` into the companion folder of ``path`` and give its relative path, ``./NAME_files/...``.

    Raises:
        InputError: the source cannot be read.
        OSError: the copy cannot be written.
    """
    folder = path.with_name(f"{path.stem}_files")
    folder.mkdir(exist_ok=True)
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", source.name)
    if not os.access(source, os.R_OK):
        raise InputError("cannot be read", path=source, expected="a readable file")
    shutil.copyfile(source, folder / name)
    return f"./{folder.name}/{name}"
