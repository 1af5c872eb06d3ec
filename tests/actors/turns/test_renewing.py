"""When a refused request is made anew: a plain rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from actors.turns.renewing import IN_NEW_EPOCH, MOST_RENEWALS, WITHOUT_CONTAINER, Renewal
from actors.turns.renewing import renewal as renewal_of
from protocol.errors import ProviderError, TooLong
from protocol.prompt import Prompt
from tests.prompts import prompt_of

PROMPT = prompt_of(counted_tokens=150_000, own_from=4, token_estimate=180_000)
THOUGHT = "messages.1.content.0: Invalid `signature` in `thinking` block."
PICTURE = "Unable to download the file. Please verify the URL and try again."
PAST = "messages.0.content.0.image.source.url: Unable to download the file."
OWN = "messages.4.content.1.image.source: Could not process image"


def renewal(
    error: ProviderError,
    prompt: Prompt,
    room: int,
    earlier: Sequence[Renewal],
    *,
    has_attachments: bool = False,
) -> Renewal | None:
    """How the request is made anew; mostly of a turn without pictures and documents."""
    return renewal_of(error, prompt, room, earlier, has_attachments=has_attachments)


def too_long(counted: int, most: int) -> ProviderError:
    """The provider takes `most` tokens."""
    error = ProviderError("CONTEXT_TOO_LARGE", "Too long.")
    error.too_long = TooLong(counted, most)
    return error


def refusal(explanation: str | None) -> ProviderError:
    """The provider finds fault with the request."""
    error = ProviderError("LLM_ERROR", "No.")
    error.refusal = explanation
    return error


def test_the_room_is_smaller_by_as_much_as_the_estimate_was_too_low() -> None:
    """190,000 times 180,000 over 200,000; the smaller of the two limits counts."""
    assert renewal(too_long(200_000, 195_000), PROMPT, 190_000, []) == Renewal(171_000)
    assert renewal(too_long(200_000, 100_000), PROMPT, 190_000, []) == Renewal(90_000)


def test_each_time_the_room_is_smaller_than_before() -> None:
    """Else nothing would go; an epoch that was begun in between has no room."""
    error = too_long(200_000, 195_000)
    assert renewal(error, PROMPT, 190_000, [Renewal(171_001), IN_NEW_EPOCH]) == Renewal(171_000)
    assert renewal(error, PROMPT, 190_000, [Renewal(171_000)]) is None


def test_a_prompt_is_shortened_only_so_often() -> None:
    """The provider has counted it each time."""
    rooms = [Renewal(900_000 - number) for number in range(MOST_RENEWALS)]
    error = too_long(200_000, 195_000)
    assert renewal(error, PROMPT, 190_000, rooms[1:]) is not None
    assert renewal(error, PROMPT, 190_000, rooms) is None


def test_figures_that_do_not_say_by_how_much_are_of_no_use() -> None:
    """It takes as much as it counted."""
    assert renewal(too_long(1_000, 1_000), PROMPT, 190_000, []) is None


@pytest.mark.parametrize("earlier", [[], [Renewal(171_000)]])
def test_a_refusal_of_thinking_begins_a_new_epoch(earlier: list[Renewal]) -> None:
    """Once a turn: should it be refused again, the turn that it names is left out."""
    assert renewal(refusal(THOUGHT), PROMPT, 190_000, earlier) == IN_NEW_EPOCH
    again = renewal(refusal(THOUGHT), PROMPT, 190_000, [*earlier, IN_NEW_EPOCH])
    assert again == Renewal(without=1)


def test_a_refusal_of_an_earlier_message_leaves_its_turn_out() -> None:
    """There may be several of the kind; but if the next is refused just so, it was not that."""
    assert renewal(refusal(PAST), PROMPT, 190_000, []) == Renewal(without=0)
    assert renewal(refusal(PAST), PROMPT, 190_000, [Renewal(without=2)]) == Renewal(without=0)
    assert renewal(refusal(PAST), PROMPT, 190_000, [Renewal(without=0)]) is None
    tried = [Renewal(without=number) for number in range(1, MOST_RENEWALS + 1)]
    assert renewal(refusal(PAST), PROMPT, 190_000, tried) is None


def test_a_refusal_of_some_picture_leaves_out_the_latest_turn_with_one() -> None:
    """Unless the turn itself has one, or the refusal says of which message it is."""
    assert renewal(refusal(PICTURE), PROMPT, 190_000, []) == Renewal(attachment=True)
    assert renewal(refusal(PICTURE), PROMPT, 190_000, [], has_attachments=True) is None
    assert renewal(refusal(OWN), PROMPT, 190_000, []) is None


def test_without_figures_a_quarter_less_is_sent() -> None:
    """A proxy may refuse a body for its size and say no more."""
    error = ProviderError("CONTEXT_TOO_LARGE", "Too large.")
    assert renewal(error, PROMPT, 190_000, []) == Renewal(135_000)
    assert renewal(error, PROMPT, 190_000, [Renewal(135_000)]) == Renewal(101_250)


@pytest.mark.parametrize("explanation", [OWN, None])
def test_another_failure_is_no_reason(explanation: str | None) -> None:
    """Of the turn's own messages, or no refusal at all."""
    assert renewal(refusal(explanation), PROMPT, 190_000, []) is None


def untold() -> ProviderError:
    """The provider fails, and says nothing of what."""
    error = ProviderError("LLM_ERROR", "The provider failed (500).", retryable=True)
    error.is_untold = True
    return error


@pytest.mark.parametrize("use", ["fresh", "idle"])
@pytest.mark.parametrize(
    "explanation",
    ["Container not found: container_1", "container: The container container_1 has expired."],
)
def test_a_request_goes_once_without_the_container_that_is_refused(
    use: Any, explanation: str
) -> None:
    """A request that named none is refused for something else."""
    prompt = msgspec.structs.replace(PROMPT, container=use)
    gone = refusal(explanation)
    assert renewal(gone, prompt, 190_000, []) == WITHOUT_CONTAINER
    assert renewal(gone, prompt, 190_000, [WITHOUT_CONTAINER]) is None
    assert renewal(gone, PROMPT, 190_000, []) is None


def test_a_failure_is_taken_for_the_containers_where_that_was_put_away() -> None:
    """The provider has been seen to fail so; of one in use it is no sign."""
    idle, fresh = (msgspec.structs.replace(PROMPT, container=use) for use in ("idle", "fresh"))
    assert renewal(untold(), idle, 190_000, []) == WITHOUT_CONTAINER
    assert renewal(untold(), idle, 190_000, [WITHOUT_CONTAINER]) is None
    assert renewal(untold(), fresh, 190_000, []) is None
    assert renewal(untold(), PROMPT, 190_000, []) is None
