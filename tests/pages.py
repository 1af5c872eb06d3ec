"""The pages for people, taken apart: their fenced blocks, links and headings."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import msgspec

ROOT = Path(__file__).parent.parent
PAGES = [
    *(ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
_FENCE = re.compile(r"^```(?P<info>[^`\n]*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


class Block(msgspec.Struct, frozen=True):
    """A fenced block. After its language stand a file's name, or `not-run`, or nothing."""

    language: str
    mark: str
    text: str
    line: int

    @property
    def is_run(self) -> bool:
        """Whether it can be tried here: no engine, no root and no person is needed for it."""
        return self.mark != "not-run"

    @property
    def file(self) -> str | None:
        """The name of the file that it shows."""
        return self.mark if "." in self.mark else None


class Command(msgspec.Struct, frozen=True):
    """A line that a person types, and what comes of it."""

    text: str
    output: str


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in their order."""
    text = page.read_text("utf-8")
    return [
        Block(*_info(found["info"]), found["text"], text.count("\n", 0, found.start()) + 1)
        for found in _FENCE.finditer(text)
    ]


def _info(info: str) -> tuple[str, str]:
    language, _, mark = info.partition(" ")
    return language, mark


def commands(block: Block) -> list[Command]:
    """What a `console` block has typed at its prompts, `$` or, for root, `#`."""
    parts = re.split(r"^[$#] ", block.text.replace("\\\n", " "), flags=re.MULTILINE)
    assert not parts[0], f"line {block.line}: output before the first command"
    return [
        Command(text, output) for text, _, output in (part.partition("\n") for part in parts[1:])
    ]


def links(page: Path) -> list[str]:
    """The targets of a page's links, those in code left out."""
    return _LINK.findall(_CODE.sub("", _prose(page)))


def anchors(page: Path) -> set[str]:
    """The headings of a page, as GitHub makes anchors of them: the second of a name gets `-1`."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in _HEADING.findall(_prose(page)):
        words = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.add(f"{words}-{seen[words]}" if seen[words] else words)
        seen[words] += 1
    return found


def _prose(page: Path) -> str:
    return _FENCE.sub("", page.read_text("utf-8"))


def pattern(written: str) -> re.Pattern[str]:
    """What matches `written`, in which `…` stands for anything."""
    return re.compile(".*?".join(map(re.escape, written.strip().split("…"))), re.DOTALL)


def is_shown(expected: str, output: str) -> bool:
    """Whether a page shows this output: `…` is anything, a figure any other, space is space."""
    return pattern(_without_figures(expected)).fullmatch(_without_figures(output)) is not None


def _without_figures(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"\d+([.,]\d+)*", "0", text)).strip()
