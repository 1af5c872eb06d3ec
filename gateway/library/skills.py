"""Skills: front matter, which the model always sees, and bodies, which it asks for."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from actors.ports import Skill
from gateway.late import Late
from gateway.library.confined import ConfinedFolder, Refused, Unreadable, shown
from gateway.library.memory import cut, text_of

BODY = "SKILL.md"

FRONT_BYTES = 8 * 1024
"""How long a front matter may be: reading YAML takes long, and nested YAML longer."""

MOST_FILES = 100
"""Further files of one skill that are listed, and folders in which they are looked for."""

_FRONT = re.compile(r"\A---[ \t]*\r?\n(.*?)^---[ \t]*\r?$\n?", re.DOTALL | re.MULTILINE)


class SkillFolder(msgspec.Struct, frozen=True):
    """A skill and where it is, below its agent's folder."""

    skill: Skill
    folder: str


class SkillPage(msgspec.Struct, frozen=True):
    """A text of a skill: how many bytes of it are left out, and the skill's further files.

    `files` ends at the first hundred; `more_files` says that there are more.
    """

    text: str
    left_out: int = 0
    files: tuple[str, ...] = ()
    more_files: bool = False


class Skills(NamedTuple):
    """Skills, what a person should be told, and whether it is known what every folder says."""

    found: tuple[SkillFolder, ...]
    warnings: tuple[str, ...]
    is_known: bool


def read_skills(folder: ConfinedFolder, names: Sequence[str]) -> Skills:
    """The skills in these folders."""
    found: dict[str, SkillFolder] = {}
    warnings: list[str] = []
    is_known = True
    for name in names:
        try:
            skill = _skill(folder, name)
        except Refused as error:
            is_known = is_known and not isinstance(error, Unreadable)
            warnings.append(f"{error}; this skill is left out")
            continue
        if skill.name in found:
            first = found[skill.name].folder
            warnings.append(
                f"{shown(name)} has the name of {shown(first)}, {shown(skill.name)}; "
                "this skill is left out"
            )
            continue
        found[skill.name] = SkillFolder(skill, name)
    return Skills(tuple(found.values()), tuple(warnings), is_known)


def read_body(folder: ConfinedFolder, name: str, limit: int) -> SkillPage:
    """The body of the skill in the folder `name`, at most `limit` bytes. Raises Refused."""
    path = f"{name}/{BODY}"
    stamp = folder.stamp(path)
    data = folder.read(path, FRONT_BYTES + limit + 1)
    text = text_of(data)
    body = _FRONT.sub("", text, count=1).strip()
    beyond = 0 if stamp is None else max(stamp.size - len(data), 0)
    shortened = shorten(body, limit)
    files, more = _further_files(folder.subfolder(name))
    return SkillPage(
        text=shortened,
        left_out=len(body.encode()) - len(shortened.encode()) + beyond,
        files=tuple(files),
        more_files=more,
    )


def read_file(folder: ConfinedFolder, name: str, file: str, limit: int) -> SkillPage:
    """A further file of the skill in the folder `name`. Raises Refused."""
    parts = [part for part in file.split("/") if part != "."]
    if not parts or any(not part or part.startswith(".") for part in parts):
        raise Refused(f"{shown(file)} is no file of this skill")
    path = "/".join(parts)
    inside = folder.subfolder(name)
    stamp = inside.stamp(path)
    if stamp is None:
        raise Refused(f"{shown(file)} is no file of this skill")
    data = inside.read(path, limit + 1)
    if len(data) <= limit:
        return SkillPage(text=_strict_text(data, path, whole=True))
    text = shorten(_strict_text(data, path, whole=False), limit)
    return SkillPage(text=text, left_out=max(stamp.size, len(data)) - len(text.encode()))


def shorten(text: str, limit: int) -> str:
    """The beginning of `text` within `limit` bytes: whole lines, unless a long one is cut."""
    data = text.encode()
    if len(data) <= limit:
        return text
    lines = cut(text, limit)
    return lines if len(lines.encode()) > limit // 2 else data[:limit].decode(errors="ignore")


def _skill(folder: ConfinedFolder, name: str) -> Skill:
    text = text_of(folder.read(f"{name}/{BODY}", FRONT_BYTES))
    front = _FRONT.match(text)
    if front is None:
        raise Refused(f"{shown(name)} has no front matter")
    try:
        fields = _parser.get()(front[1])
    except (ValueError, RecursionError) as error:
        raise Refused(f"{shown(name)} has a front matter that is no YAML") from error
    told = fields if isinstance(fields, dict) else {}
    return Skill(
        name=_line(told.get("name"), name, "name"),
        description=_line(told.get("description"), name, "description"),
    )


def _load() -> Callable[[str], object]:
    """A parser of YAML, which raises ValueError and RecursionError."""
    import yaml  # noqa: PLC0415 - most agents have no skills

    def parse(text: str) -> object:
        try:
            return yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ValueError("no YAML") from error

    return parse


_parser = Late(_load)
"""It is asked for in a thread: each reading of an agent's folder is made in one."""


def _line(value: object, folder: str, field: str) -> str:
    # A list or mapping may refer to itself many times over: its text could fill the memory.
    line = " ".join(str(value).split()) if isinstance(value, str | int | float) else ""
    if not line:
        raise Refused(f"{shown(folder)} tells no {field} in its front matter")
    return line


def _further_files(folder: ConfinedFolder) -> tuple[list[str], bool]:
    """What lies beside the body, the upper folders first, and whether there is more of it."""
    found: list[str] = []
    folders = [""]
    for visited, here in enumerate(folders):  # grows on the way
        if visited > MOST_FILES or len(found) > MOST_FILES:
            break
        for name in _names(folder, here):
            path = f"{here}/{name}" if here else name
            if folder.is_folder(path):
                folders.append(path)
            elif path != BODY and folder.is_file(path):
                found.append(path)
    return [shown(file) for file in found[:MOST_FILES]], len(found) > MOST_FILES


def _names(folder: ConfinedFolder, name: str) -> list[str]:
    try:
        return folder.names(name)
    except Refused:  # not to be listed, for one
        return []


def _strict_text(data: bytes, name: str, *, whole: bool) -> str:
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(data, final=whole)
    except UnicodeDecodeError as error:
        raise Refused(f"{shown(name)} is no text") from error
    if "\0" in text:
        raise Refused(f"{shown(name)} is no text")
    return text
