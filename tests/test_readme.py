"""The README is short, and the index of the pages. What it says is tried in test_docs.py."""

from __future__ import annotations

from tests.pages import ROOT, links

README = ROOT / "README.md"
LONGEST = 150
"""Lines that are read; what is longer has a page."""


def test_it_is_short() -> None:
    """What it is, how to try it, a first client, and where to read on."""
    assert len(README.read_text("utf-8").splitlines()) <= LONGEST


def test_every_page_can_be_found_from_it() -> None:
    """A page that nobody is led to is not read."""
    told = {(ROOT / link).resolve() for link in links(README)}
    assert set((ROOT / "docs").glob("*.md")) <= told
