"""Markdown as the terminal shows it: left-aligned, code on the terminal's own background."""

from __future__ import annotations

from typing import ClassVar

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.markdown import CodeBlock, Heading, Markdown, MarkdownElement
from rich.padding import Padding
from rich.segment import Segment
from rich.syntax import Syntax
from rich.text import Text

CODE_THEME = "ansi_dark"


class _Code(CodeBlock):
    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        syntax = Syntax(
            str(self.text).rstrip(),
            self.lexer_name,
            theme=CODE_THEME,
            background_color="default",
            word_wrap=True,
        )
        yield Padding(syntax, (0, 0, 0, 4))


class _Heading(Heading):
    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        text = self.text
        text.justify = "left"
        text.stylize("bold underline" if self.tag == "h1" else "bold")
        yield text


class _Markdown(Markdown):
    elements: ClassVar[dict[str, type[MarkdownElement]]] = {
        **Markdown.elements,
        "fence": _Code,
        "code_block": _Code,
        "heading_open": _Heading,
    }


class Trimmed:
    """A renderable without the empty lines above and below it, and at most its last `height`."""

    def __init__(self, renderable: RenderableType, height: int | None = None) -> None:
        self._renderable = renderable
        self._height = height

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = console.render_lines(self._renderable, options, pad=False)
        while lines and _is_blank(lines[0]):
            del lines[0]
        while lines and _is_blank(lines[-1]):
            del lines[-1]
        if self._height is not None:
            lines = lines[-self._height :]
        for line in lines:
            yield from line
            yield Segment.line()


def _is_blank(line: list[Segment]) -> bool:
    return not any(segment.text.strip() for segment in line)


def trimmed_markdown(source: str) -> RenderableType:
    """Markdown, with no empty lines around it."""
    return Trimmed(_Markdown(source))


def reasoning(text: str) -> RenderableType:
    """Reasoning: dimmed, and set in a little."""
    return Padding(Text(text.strip("\n"), style="dim italic"), (0, 0, 0, 2))
