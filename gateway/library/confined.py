"""A folder out of which nothing is read, whatever the links in it say.

Problem: between the check of a path and its opening, anybody who may write to the folder can put
a link in its place. Trick: open first, then ask the kernel where the opened file really is, and
read through that descriptor alone. Special files (a FIFO, a device) are told before they are
opened, opened without blocking all the same, and never read.

A hard link to a file elsewhere cannot be told from a file of the folder's own, so a file of
several names is not read at all.

Limits: where there is no /proc, the real path is looked up a second time and must lead to the very
file that was opened; who exchanges whole folders in just those moments could still win.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

DESCRIPTORS = "/proc/self/fd"
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
_PIECE = 1024 * 1024


class Refused(Exception):
    """Something is not read; the text says why, in words for a person."""


class Unreadable(Refused):
    """It is there and may be read, only not now: what it says is not known."""


class Stamp(msgspec.Struct, frozen=True):
    """What tells one state of a file or folder from another; times in ns."""

    mode: int
    device: int
    inode: int
    links: int
    size: int
    modified: int
    changed: int


class ConfinedFolder:
    """Reads below `real`, a path without links; names are relative, with `/` between."""

    def __init__(self, real: str) -> None:
        self.real = real

    def subfolder(self, name: str) -> ConfinedFolder:
        """The folder `name`, links followed, as one of its own. Raises Refused."""
        with self._opened(name) as descriptor:
            return ConfinedFolder(_real_path(descriptor, self._path(name)))

    def stamp(self, name: str) -> Stamp | None:
        """The state of what `name` leads to; `None` when there is nothing, or nothing that ends.

        Raises Unreadable.
        """
        try:
            found = os.stat(self._path(name))  # noqa: PTH116 - names need not be UTF-8
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return None
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENAMETOOLONG):
                return None
            raise Unreadable(f"{shown(name)} cannot be looked at: {error.strerror}") from error
        return Stamp(
            mode=found.st_mode,
            device=found.st_dev,
            inode=found.st_ino,
            links=found.st_nlink,
            size=found.st_size,
            modified=found.st_mtime_ns,
            changed=found.st_ctime_ns,
        )

    def is_file(self, name: str) -> bool:
        """Whether `name` can be offered as a file: `read` looks again."""
        found = self.stamp(name)
        return found is not None and stat.S_ISREG(found.mode) and self._is_inside(name)

    def is_folder(self, name: str) -> bool:
        """Whether `name` is a folder, and no link to one: those may go in circles."""
        try:
            found = os.lstat(self._path(name))
        except (OSError, ValueError):
            return False
        return stat.S_ISDIR(found.st_mode)

    def names(self, name: str) -> list[str]:
        """What the folder `name` holds, hidden things apart, in order; nothing for no folder.

        Raises Refused.
        """
        found = self.stamp(name)
        if found is None or not stat.S_ISDIR(found.mode):
            return []
        with self._opened(name) as descriptor:
            entries = os.listdir(descriptor)  # noqa: PTH208 - pathlib takes no descriptor
        return sorted(entry for entry in entries if not entry.startswith("."))

    def read(self, name: str, limit: int) -> bytes:
        """The first `limit` bytes of the file `name`. Raises Refused."""
        found = self.stamp(name)
        if found is not None and not stat.S_ISREG(found.mode):
            raise Refused(f"{shown(name)} is no file")
        with self._opened(name) as descriptor:
            opened = os.fstat(descriptor)
            if not stat.S_ISREG(opened.st_mode):
                raise Refused(f"{shown(name)} is no file")
            if opened.st_nlink > 1:
                raise Refused(f"{shown(name)} is a hard link: it may be a file of another folder")
            return _read(descriptor, limit)

    @contextmanager
    def _opened(self, name: str) -> Iterator[int]:
        path = self._path(name)
        try:
            descriptor = os.open(path, _FLAGS)
            try:
                if not Path(_real_path(descriptor, path)).is_relative_to(self.real):
                    raise Refused(f"{shown(name)} leads out of its folder")
                yield descriptor
            finally:
                os.close(descriptor)
        except OSError as error:
            gone = isinstance(error, FileNotFoundError | NotADirectoryError)
            kind = Refused if gone else Unreadable
            raise kind(f"{shown(name)} cannot be read: {error.strerror}") from error
        except ValueError as error:  # a NUL, or what no file name can hold
            raise Refused(f"{shown(name)} is no name of a file") from error

    def _is_inside(self, name: str) -> bool:
        return Path(os.path.realpath(self._path(name))).is_relative_to(self.real)

    def _path(self, name: str) -> str:
        return os.path.join(self.real, *name.split("/"))  # noqa: PTH118 - see `stamp`


def shown(name: str) -> str:
    """A file's name as one printable piece of text: a name may hold any byte but `/` and NUL."""
    return "".join(letter if letter.isprintable() else "�" for letter in name)


def _real_path(descriptor: int, path: str) -> str:
    """Where the opened file is; raises OSError when it cannot be told."""
    try:
        return os.readlink(f"{DESCRIPTORS}/{descriptor}")  # noqa: PTH115
    except FileNotFoundError:
        real = os.path.realpath(path, strict=True)
        if os.path.samestat(os.lstat(real), os.fstat(descriptor)):
            return real
        raise


def _read(descriptor: int, limit: int) -> bytes:
    pieces: list[bytes] = []
    while limit > 0 and (piece := os.read(descriptor, min(limit, _PIECE))):
        pieces.append(piece)
        limit -= len(piece)
    return b"".join(pieces)
