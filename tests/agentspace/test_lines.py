"""Lines of another process, put together from pieces."""

from __future__ import annotations

import pytest

from agentspace.lines import Lines


@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_lines_do_not_depend_on_how_they_arrive(size: int) -> None:
    """Cut anywhere, in the middle of a character too."""
    text = "größe\n\nzweite\nletzte".encode()
    lines = Lines()
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    heard = [line for piece in pieces for line in lines.feed(piece)]
    assert [*heard, *lines.end(), *lines.end()] == ["größe", "", "zweite", "letzte"]
