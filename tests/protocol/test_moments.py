"""Points in time, as the gateway counts them and as the wire writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import GatewayError
from protocol.moments import parsed, written


def test_times_are_written_to_the_millisecond() -> None:
    """In UTC."""
    assert written(1_763_700_000_007) == "2025-11-21T04:40:00.007Z"


@pytest.mark.parametrize(
    "text", ["1970-01-02", "1970-01-02T00:00:00", "1970-01-02T01:00:00+01:00", "1970-01-02T00Z"]
)
def test_a_time_without_an_offset_is_utc(text: str) -> None:
    """A date is its first moment."""
    assert parsed("since", text) == 86_400_000


def test_what_is_no_time_is_refused_by_its_fields_name() -> None:
    """The client is told how it is written."""
    with pytest.raises(GatewayError, match="`until`: a date and time of ISO 8601"):
        parsed("until", "yesterday")


@given(st.integers(min_value=0, max_value=4_000_000_000_000))
def test_what_was_written_is_read_as_the_same(milliseconds: int) -> None:
    """To the millisecond."""
    assert parsed("since", written(milliseconds)) == milliseconds
