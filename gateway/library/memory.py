"""An agent's memory: its files in order, within a budget of bytes.

What does not fit is named in the text itself, in one line, so that the model and whoever inspects
the context know that there is more. The same files make the same text to the byte: the provider's
prompt cache depends on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from gateway.library.confined import ConfinedFolder, Refused, Unreadable, shown

NOTE_BYTES = 512
"""What the line about what was left out may take of the budget."""

_GAP = "\n\n"
_SLACK = 2
"""Bytes read beyond the budget: a line's end, which is stripped, and one that tells of more."""


class MemoryFile(msgspec.Struct, frozen=True):
    """One file: its size in bytes, and its text, which need not be the whole."""

    name: str
    size: int
    text: str
    whole: bool


class LeftOut(msgspec.Struct, frozen=True):
    """How many bytes of a file are left out; `rest` when its beginning is there."""

    name: str
    size: int
    rest: bool


class Memory(NamedTuple):
    """A text, what a person should be told, and whether it is known what every file says."""

    text: str
    warnings: tuple[str, ...]
    is_known: bool


def read_memory(folder: ConfinedFolder, names: Sequence[str], budget: int) -> Memory:
    """The memory in these files, of at most `budget` bytes."""
    pieces: list[MemoryFile] = []
    warnings: list[str] = []
    is_known = True
    room = budget + _SLACK
    for name in names:
        stamp = folder.stamp(name)
        try:
            data = folder.read(name, room)
        except Refused as error:
            is_known = is_known and not isinstance(error, Unreadable)
            warnings.append(f"{error}; it is left out of the memory")
            continue
        size = len(data) if stamp is None else max(stamp.size, len(data))
        pieces.append(MemoryFile(name, size, text_of(data), len(data) < room))
        room -= len(data)
    text, note = compose(pieces, budget)
    return Memory(text, tuple([*warnings, note] if note else warnings), is_known)


def text_of(data: bytes) -> str:
    """Bytes as text: what is no UTF-8, and NUL, which the provider may refuse, is replaced."""
    return data.decode("utf-8-sig", errors="replace").replace("\0", "�").strip()


def compose(pieces: Sequence[MemoryFile], budget: int) -> tuple[str, str]:
    """The pieces' text, note included, and the note; that is empty when everything fits."""
    text, left_out = _fill(pieces, budget)
    if not left_out:
        return text, ""
    text, left_out = _fill(pieces, budget - NOTE_BYTES)
    note = _note(left_out, budget)
    return (f"{text}{_GAP}{note}" if text else note), note


def cut(text: str, room: int) -> str:
    """The lines of `text` that fit into `room` bytes; none when the first does not."""
    data = text.encode()[: max(room, 0) + 1]
    return data[: max(data.rfind(b"\n"), 0)].decode().rstrip()


def _fill(pieces: Sequence[MemoryFile], room: int) -> tuple[str, list[LeftOut]]:
    kept: list[str] = []
    left_out: list[LeftOut] = []
    for piece in pieces:
        if piece.whole and not piece.text:
            continue
        room_here = 0 if left_out else room - len(_GAP) * bool(kept)
        fits = piece.whole and len(piece.text.encode()) <= room_here
        text = piece.text if fits else cut(piece.text, room_here)
        used = len(text.encode())
        if text:
            kept.append(text)
            room = room_here - used
        if not fits:
            left_out.append(LeftOut(piece.name, max(piece.size - used, 1), bool(text)))
    return _GAP.join(kept), left_out


def _note(left_out: Sequence[LeftOut], budget: int) -> str:
    head = f"[Memory is limited to {budget} bytes. Left out: "
    listed: list[str] = []
    for number, one in enumerate(left_out):
        named = f"{'the rest of ' if one.rest else ''}{shown(one.name)} ({one.size} bytes)"
        if len("; ".join([head, *listed, named, _more(left_out[number:])]).encode()) > NOTE_BYTES:
            listed.append(_more(left_out[number:]))
            break
        listed.append(named)
    return f"{head}{'; '.join(listed)}.]"


def _more(left_out: Sequence[LeftOut]) -> str:
    return f"{len(left_out)} more (together {sum(one.size for one in left_out)} bytes)"
