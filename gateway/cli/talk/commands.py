"""What a line of the person means: a message for the model, or a command of ours."""

from __future__ import annotations

import difflib
import re
from typing import Final

import msgspec

COMMANDS: Final = {
    "/context": "what the next request weighs; with text, as if you sent that",
    "/usage": "what was billed: this session, and all of them",
    "/sessions": "list the sessions; with a number or an id, go on in that one",
    "/model": "list the models; with an id or a part of it, use that one",
    "/new": "begin a new session",
    "/help": "this list",
    "/quit": "leave (so does Ctrl-D)",
}

KEYS: Final = {
    "Enter": "send",
    "Alt-Enter": "a new line (pasted text keeps its lines)",
    "Ctrl-Z": "back to the shell; fg goes on here",
    "Ctrl-C": "cancel the answer; at an empty line, twice, leave",
    "↑ ↓ Ctrl-R": "earlier messages",
}

_SYNONYMS: Final = {"/exit": "/quit", "/q": "/quit", "/?": "/help", "/models": "/model"}


class Say(msgspec.Struct, frozen=True):
    """A message for the model."""

    text: str


class Command(msgspec.Struct, frozen=True):
    """A command of ours, with its slash, and what stands behind it."""

    name: str
    argument: str


class Unknown(msgspec.Struct, frozen=True):
    """No command of ours; `hint` is a line for the person."""

    hint: str


Meant = Say | Command | Unknown


def meaning_of(line: str) -> Meant | None:
    """What `line` means; `None` for a blank one. Two slashes begin a message with one."""
    text = line.strip()
    if not text:
        return None
    if text.startswith("//"):
        return Say(text[1:])
    word, _, rest = text.partition(" ")
    # A path or a fraction is no command: those are plain words.
    if not re.fullmatch(r"/[A-Za-z?]+", word):
        return Say(text)
    name = _SYNONYMS.get(word.lower(), word.lower())
    if name in COMMANDS:
        return Command(name, rest.strip())
    near = difflib.get_close_matches(name, COMMANDS, n=1, cutoff=0.5)
    hint = f"Did you mean {near[0]}?" if near else "/help lists them."
    return Unknown(f"There is no command {word}. {hint} (Begin with // to send it as text.)")
