"""When the provider wants to be asked again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.provider.hints import LONGEST_WAIT_MS, retry_after_ms, should_retry

NOW = 1_796_000_000.0  # Mon, 30 Nov 2026 00:53:20 GMT
THEN = "Mon, 30 Nov 2026 00:53:50 GMT"
"""Half a minute later."""


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry-after": "30"}, 30_000),
        ({"retry-after": "0"}, 0),
        ({"retry-after": " 1.5 "}, 1_500),
        ({"retry-after-ms": "1200"}, 1_200),
        ({"retry-after-ms": "12.6"}, 13),
        ({"retry-after-ms": "1200", "retry-after": "30"}, 1_200),
        ({"retry-after-ms": "soon", "retry-after": "30"}, 30_000),
        ({"retry-after": THEN}, 30_000),
        ({"retry-after": "Monday, 30-Nov-26 00:53:50 GMT"}, 30_000),
        ({"retry-after": "Mon Nov 30 00:53:50 2026"}, 30_000),
        ({"retry-after": "Mon, 30 Nov 2026 00:53:50 -0000"}, 30_000),
        ({"retry-after": "Mon, 30 Nov 2026 00:52:00 GMT"}, 0),
        ({"retry-after-ms": "302539000"}, 302_539_000),
        ({"retry-after": "2592000"}, LONGEST_WAIT_MS),
        ({"retry-after": "1e300"}, LONGEST_WAIT_MS),
        ({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, LONGEST_WAIT_MS),
    ],
)
def test_a_hint_is_a_wait(headers: dict[str, str], wait: int) -> None:
    """In seconds, in milliseconds, or as a date in any of HTTP's three forms."""
    assert retry_after_ms(headers, NOW) == wait


@pytest.mark.parametrize(
    "value",
    [
        *("", "soon", "-5", "nan", "inf", "-inf", "9" * 400, "1_0", "\uff19", "1e999"),
        *("Mon, 99 Nov 2026 00:00:00 GMT", "Mon, 01 Jan 0001 00:00:00 +9999"),
    ],
)
def test_what_is_no_time_is_no_hint(value: str) -> None:
    """The pause is then the gateway's own."""
    assert retry_after_ms({"retry-after": value}, NOW) is None
    assert retry_after_ms({"retry-after-ms": value}, NOW) is None


def test_without_a_header_there_is_no_hint() -> None:
    """Most refusals have none."""
    assert retry_after_ms({}, NOW) is None


@pytest.mark.parametrize("off", [-86_400.0, 0.0, 86_400.0])
def test_a_date_is_taken_by_the_clock_that_told_it(off: float) -> None:
    """Our own may be a day off."""
    headers = {"retry-after": THEN, "date": "Mon, 30 Nov 2026 00:53:20 GMT"}
    assert retry_after_ms(headers, NOW + off) == 30_000


@given(st.text(max_size=70), st.text(max_size=70), st.text(max_size=70))
def test_whatever_stands_there_it_is_a_bounded_wait_or_none(
    wait: str, milliseconds: str, date: str
) -> None:
    """Never a crash, never a negative pause."""
    headers = {"retry-after": wait, "retry-after-ms": milliseconds, "date": date}
    found = retry_after_ms(headers, NOW)
    assert found is None or 0 <= found <= LONGEST_WAIT_MS


@pytest.mark.parametrize(
    ("value", "said"),
    [("true", True), ("false", False), ("False ", False), ("", None), ("maybe", None)],
)
def test_the_provider_may_say_whether_to_try_again(value: str, said: bool | None) -> None:
    """What it does not say is for us to judge."""
    assert should_retry({"x-should-retry": value}) is said
    assert should_retry({}) is None
