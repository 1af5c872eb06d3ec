"""Which texts have a format of structured output."""

from __future__ import annotations

import time

import pytest

from protocol.provider.formats import FORMATS, is_of_format

GOOD = {
    "date": ["2026-11-30"],
    "time": ["23:59:60Z", "08:00:00.25+05:30"],
    "date-time": ["2026-11-30T12:00:00Z", "2026-11-30t12:00:00.5-08:00"],
    "duration": ["P1Y2M3DT4H5M6S", "PT0.5S", "P2W"],
    "email": ["ann@example.com", '"a b"@example.com'],
    "hostname": ["localhost", "a-1.example.com"],
    "uri": ["https://example.com/?q=ä#x", "mailto:ann@example.com", "urn:x:y"],
    "ipv4": ["192.0.2.1"],
    "ipv6": ["::1", "2001:db8::192.0.2.1"],
    "uuid": ["123E4567-e89b-12d3-a456-426614174000"],
}
BAD = {
    "date": ["", "tomorrow", "2026-13-01", "2026-11-32", "2026-11-30 ", "26-11-30", "٢٠٢٦-11-30"],
    "time": ["08:00", "24:00:00Z", "08:00:00"],
    "date-time": ["2026-11-30", "2026-11-30T12:00:00"],
    "duration": ["P", "PT", "5 minutes", "P1YT"],
    "email": ["ann", "@example.com", "ann@", "ann@example.com\n"],
    "hostname": ["", "-a.com", "a..b", "a b", "x" * 64, ".".join(["x" * 60] * 5)],
    "uri": ["example.com", "//example.com", "https://exam ple.com"],
    "ipv4": ["256.0.0.1", "1.2.3", "::1"],
    "ipv6": ["192.0.2.1", ":::"],
    "uuid": ["123e4567e89b12d3a456426614174000", "hi"],
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_text_has_its_format_or_has_not(name: str) -> None:
    """To its end."""
    assert [text for text in GOOD[name] if not is_of_format(text, name)] == []
    assert [text for text in BAD[name] if is_of_format(text, name)] == []


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("piece", ["1", "a", "@", "a@", "1.", "a.", "P1", "1:", "\n", "0-"])
def test_no_text_takes_long(name: str, piece: str) -> None:
    """The whole gateway waits for it."""
    began = time.perf_counter()
    is_of_format(f"PT{piece * 50_000}", name)
    is_of_format(piece * 50_000, name)
    assert time.perf_counter() - began < 0.5
