"""A length of time on the command line."""

from __future__ import annotations

import click
import pytest

from gateway.cli.timespan import timespan


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30", 30), ("1.5s", 1.5), ("200ms", 0.2), ("5m", 300), ("24h", 86_400), ("0", 0)],
)
def test_a_time_has_a_unit_or_is_in_seconds(text: str, seconds: float) -> None:
    """Up to a day."""
    assert timespan(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "soon", "-1", "1d", "25h", "1e3", "nan", "5 m"])
def test_what_is_no_time_is_refused(text: str) -> None:
    """With what it could be."""
    with pytest.raises(click.BadParameter, match="write 30s"):
        timespan(text)
