# SPDX-License-Identifier: Apache-2.0
"""Where results are written and bundled data is found: part file, fsync, rename; no half-done file has a final name."""

from __future__ import annotations

import errno
import functools
import hashlib
import os
import platform
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hyoid.errors import InputError, OutputError

_PACKAGE = Path(__file__).resolve().parent
_PART = re.compile(r"\.(?:([0-9a-z-]+)@)?(\d+)\.part$")  # of a host, if it says so, and a process
_WINDOWS = os.name == "nt"
_DAY = 86400.0
_SWEPT_EVERY = 60.0  # seconds between two sweeps of a folder by this process
_swept: dict[Path, float] = {}


def data_folder(name: str) -> Path:
    """The folder of bundled data (``rigs`` or ``models``): inside an installed wheel, else at the top of a checkout.

    Raises:
        InputError: neither exists (a broken installation).
    """
    for folder in (_PACKAGE / name, _PACKAGE.parents[1] / name):
        if folder.is_dir():
            return folder
    raise InputError(f"the bundled '{name}' folder is not there", path=_PACKAGE, hint="Install hyoid again")


def cache_folder() -> Path:
    """Where converted data may be kept between runs: ``$HYOID_CACHE``, else the user's cache folder; it may not exist.

    Whoever writes there uses :func:`part_file` and goes on without when it cannot: farms mount it read-only.
    """
    own = os.environ.get("HYOID_CACHE")
    if own:
        return Path(own)
    if _WINDOWS:
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "hyoid"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hyoid"


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file as a hexadecimal string, read in blocks of 1 MiB."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def check_writable(target: Path) -> None:
    """Fail before the work starts when ``target`` could not be written after it.

    A missing folder is made, as every exporter does.

    Raises:
        OutputError: the folder cannot be made or written, or the target is a folder.
    """
    target = Path(target)
    with output_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir():
            raise OutputError("is a folder", path=target, expected="a file name")
        probe = target.parent / _part_name("hyoid")
        # Permission bits lie to root and on network mounts: only writing tells.
        probe.write_bytes(b"")
        probe.unlink()


@contextmanager
def part_file(target: Path) -> Iterator[Path]:
    """Give a path to write to; on success it is synced and renamed to ``target``, on any failure it is removed.

    The part lies in a hidden part folder beside the target and keeps the target's name, because exporters (Blender,
    PyAV) choose the format by the suffix. What a writer leaves beside the part (textures of a USD file) are companions:
    they move to the target's folder first, so that a file never appears without what it refers to.

    Raises:
        OutputError: the disk is full, read-only or gone, or the target is a folder. The part is removed.
    """
    target = Path(target)
    with output_errors(target):
        if target.is_dir():
            raise OutputError("is a folder", path=target, expected="a file name")
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target.parent)
        folder = target.parent / _part_name(target.name)
        folder.mkdir(exist_ok=True)
    part = folder / target.name
    try:
        with output_errors(target):
            yield part
            if not part.is_file():
                raise OutputError("nothing was written", path=target)
            _move_companions(folder, part, target.parent)
            _sync(part)
            os.replace(part, target)
            _sync(target.parent)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _part_name(name: str) -> str:
    """The part folder's name; a long one is cut: file systems take 255 bytes, and the target may use them all.

    It names the host too: on a folder that machines share, two of them may have a process of the same number.
    """
    short = os.fsencode(name)[:180].decode(errors="ignore")
    return f".{short}.{_host()}@{os.getpid()}.part"


@functools.cache
def _host() -> str:
    """This machine's name as it stands in names of files."""
    return re.sub(r"[^0-9a-z]+", "-", platform.node().lower())[:32].strip("-") or "host"


def _move_companions(folder: Path, part: Path, home: Path) -> None:
    for companion in sorted(path for path in folder.rglob("*") if path.is_file() and path != part):
        place = home / companion.relative_to(folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        _sync(companion)
        os.replace(companion, place)


def final_path(path: Path) -> Path:
    """Where a part (see :func:`part_file`) will lie in the end, for messages; any other path is given back."""
    if path.parent.name.startswith(".") and _PART.search(path.parent.name):
        return path.parent.parent / path.name
    return path


def numbered(pattern: Path, number: int) -> Path:
    """The file of a frame: hashes become its number, as Blender writes numbers: 0007, 12345, -0007."""
    sign = "-" if number < 0 else ""
    return pattern.with_name(re.sub("#+", lambda hashes: f"{sign}{abs(number):0{len(hashes[0])}d}", pattern.name))


def write_bytes(target: Path, data: bytes | memoryview) -> None:
    """Write ``data`` to ``target`` through a part file.

    Raises:
        OutputError: see :func:`part_file`.
    """
    with part_file(target) as part:
        part.write_bytes(data)


def write_note(target: Path, data: bytes) -> None:
    """Write what can be made again, such as a record or a hash: whole or not there, whatever happens to the machine.

    Quicker than :func:`write_bytes`: of a note just written, a machine that crashes may know nothing.

    Raises:
        OutputError: the disk is full, read-only or gone.
    """
    part = target.parent / _part_name(target.name)
    with output_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(part, target)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def _sync(path: Path) -> None:
    """Let the disk hold what was written; on Windows a folder cannot be synced, and a file only by who may write it."""
    if _WINDOWS and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDWR if _WINDOWS else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sweep(folder: Path) -> None:
    """Remove stale parts, seldom: looking through a folder of thousands of files takes as long as writing one."""
    now = time.monotonic()
    if now - _swept.get(folder, -_SWEPT_EVERY) >= _SWEPT_EVERY:
        remove_stale_parts(folder)
        _swept[folder] = now


def remove_stale_parts(folder: Path) -> None:
    """Remove what runs that were killed left behind; parts of living processes stay."""
    for entry in folder.glob(".*.part"):
        match = _PART.search(entry.name)
        if match and not _is_used(entry, match[1], int(match[2])):
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)


def _is_used(part: Path, host: str | None, process: int) -> bool:
    """Whether a process may still write to a part; where it cannot be asked (another machine, Windows), for a day."""
    if host not in (None, _host()) or _WINDOWS:  # on Windows signal 0 would end the process
        with suppress(OSError):
            return time.time() - part.stat().st_mtime < _DAY
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def output_errors(target: Path) -> Iterator[None]:
    """Within it, what goes wrong with ``target`` is told as an OutputError that says what to do."""
    try:
        yield
    except OSError as error:
        reasons = {
            errno.ENOSPC: ("the disk is full", "Free some space or choose another folder"),
            errno.EDQUOT: ("the quota is used up", "Free some space or choose another folder"),
            errno.EFBIG: ("the limit on file sizes is reached", "Raise the limit or choose shorter work"),
            errno.EACCES: ("permission denied", "Choose a folder that you may write to"),
            errno.EROFS: ("the file system is read-only", "Choose a folder that you may write to"),
        }
        found, hint = reasons.get(error.errno or 0, (error.strerror or str(error), "Choose another place"))
        if _WINDOWS and error.errno == errno.EACCES and target.exists():
            hint = "Close the program that has the file open, or choose another folder"
        raise OutputError(f"cannot be written: {found}", path=target, hint=hint) from error
