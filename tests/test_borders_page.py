"""The pages on the borders are found, and complete."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "borders.md").read_text()


def test_every_file_of_the_borders_is_linked_from_their_page() -> None:
    """Whoever reads what happens finds its test, and no link leads nowhere."""
    linked = re.findall(r"\(\.\./tests/borders/(\w+\.py)\)", PAGE)
    tests = {path.name for path in (ROOT / "tests" / "borders").glob("test_*.py")}
    assert tests == set(linked)
    assert len(linked) == len(set(linked))


def test_the_page_begins_with_its_sections() -> None:
    """Each heading in order, under the address that a reader of Markdown gives it."""
    headings = re.findall(r"^## (.+)$", PAGE, re.MULTILINE)
    listed = re.findall(r"^\| \[(.+?)\]\(#([\w-]+)\) \|", PAGE, re.MULTILINE)
    assert [name for name, _ in listed] == headings
    for name, anchor in listed:
        assert anchor == re.sub(r"[^a-z0-9 -]", "", name.lower()).replace(" ", "-")


def test_the_readme_mentions_the_pages() -> None:
    """They are found from the first page."""
    readme = (ROOT / "README.md").read_text()
    assert "(docs/borders.md)" in readme
    assert "(docs/simulator.md)" in readme
