"""Markdown as the terminal shows it: left-aligned, code on the terminal's own background."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.markdown import CodeBlock, Heading, Markdown, MarkdownElement
from rich.padding import Padding
from rich.segment import Segment
from rich.syntax import Syntax
from rich.text import Text

from gateway.cli.views.harmless import harmless

CODE_THEME: Final = "ansi_dark"
AUTOLINK: Final = "auto"
"""What the parser writes on an address that is a link of its own accord."""


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
    """Markdown unpacks character references (`&#x202e;`), after the text was cleaned: so what it
    has read is cleaned once more. A link shows where it leads instead of hiding it in an escape
    sequence of the model's making (OSC 8).
    """

    elements: ClassVar[dict[str, type[MarkdownElement]]] = {
        **Markdown.elements,
        "fence": _Code,
        "code_block": _Code,
        "heading_open": _Heading,
    }

    def __init__(self, source: str) -> None:
        super().__init__(source, hyperlinks=False)
        for token in self.parsed:
            _clean(token)


def _clean(token: Any) -> None:
    """Clean a token of the parser, and what stands in it."""
    token.content = harmless(token.content)
    token.info = harmless(token.info)
    token.attrs = harmless(token.attrs)
    if token.children is not None:
        # The text of an address in angle brackets is where it leads.
        token.children = [child for child in token.children if child.info != AUTOLINK]
        for child in token.children:
            _clean(child)


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
