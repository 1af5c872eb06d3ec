"""The pages on the borders are found, and complete."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_readme_mentions_the_pages() -> None:
    """They are found from the first page."""
    readme = (ROOT / "README.md").read_text()
    assert "(docs/borders.md)" in readme
    assert "(docs/simulator.md)" in readme
