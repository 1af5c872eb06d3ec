"""Questions that need no stream: what is asked of which actor, and how it is said."""

from __future__ import annotations

from decimal import Decimal

import pytest
from trio.testing import MockClock

from protocol.errors import ProviderError
from tests.actors.fakes import MODEL, open_world, reply


async def test_a_session_is_created_listed_read_and_deleted(autojump_clock: MockClock) -> None:
    """Each by the name that the first answer gave it."""
    async with open_world() as world:
        client = world.connect()
        client.say("session.create", id="c", agentId="tea", title="Tea", system="Pour.")
        created = await client.expect("session.created", requestId="c")
        session = created["sessionId"]
        assert created["sessionKey"] == f"agent:tea:{session}"
        client.say("session.list", id="l")
        listing = await client.expect("session.list", requestId="l")
        assert listing["sessions"] == [
            {
                "sessionId": session,
                "sessionKey": f"agent:tea:{session}",
                "model": MODEL,
                "createdAt": "1970-01-01T00:00:01.000Z",
                "lastActiveAt": "1970-01-01T00:00:01.000Z",
                "messageCount": 0,
                "title": "Tea",
            }
        ]
        client.say("session.history", id="h", sessionId=session)
        await client.expect("session.history", requestId="h", messages=[])
        client.say("session.delete", id="d", sessionId=session)
        await client.expect("session.deleted", requestId="d", sessionId=session)
        client.say("session.delete", sessionId=session)
        await client.expect("error", code="SESSION_NOT_FOUND")


async def test_a_session_without_a_title_has_none(autojump_clock: MockClock) -> None:
    """The field is left out."""
    async with open_world() as world:
        client = world.connect()
        client.say("session.create")
        await client.expect("session.created")
        client.say("session.list")
        assert "title" not in (await client.expect("session.list"))["sessions"][0]


async def test_lists_come_in_pages(autojump_clock: MockClock) -> None:
    """Newest first; the last page has no `next`."""
    async with open_world() as world:
        client = world.connect()
        names = []
        for _ in range(3):
            client.say("session.create")
            names.append((await client.expect("session.created"))["sessionId"])
        client.say("session.list")
        first = await client.expect("session.list")
        client.say("session.list", before=first["next"])
        second = await client.expect("session.list")
        listed = [one["sessionId"] for one in first["sessions"] + second["sessions"]]
        assert (listed, "next" in second) == (names[::-1], False)
        client.say("session.list", limit=3)
        assert "next" not in await client.expect("session.list")


async def test_the_history_says_which_messages_are_not_whole(autojump_clock: MockClock) -> None:
    """A question without an answer is `unanswered`, an answer that broke off `partial`."""
    async with open_world() as world:
        client = world.connect()
        unknown = ProviderError("MODEL_NOT_FOUND", "The provider does not know this model.")
        world.model.will(reply("Whole."), [unknown], [*reply("Bro")[:3]])
        session = (await client.converse("1"))[0]["sessionId"]
        for number in (2, 3):
            await client.converse(str(number), sessionId=session)
        client.say("session.history", sessionId=session, limit=10)
        page = await client.expect("session.history")
        assert [(m["role"], m["content"], m.get("status")) for m in page["messages"]] == [
            ("user", "1", None),
            ("assistant", [{"type": "text", "text": "Whole."}], None),
            ("user", "2", "unanswered"),
            ("user", "3", None),
            ("assistant", [{"type": "text", "text": "Bro"}], "partial"),
        ]
        assert page["messages"][1]["tokens"] == len("Whole.")
        assert page["messages"][0]["turnId"] == page["messages"][1]["turnId"]


async def test_the_history_is_read_backwards_in_pages(autojump_clock: MockClock) -> None:
    """The newest page first, oldest first within it."""
    async with open_world() as world:
        client = world.connect()
        session = (await client.converse("1"))[0]["sessionId"]
        await client.converse("2", sessionId=session)
        client.say("session.history", sessionId=session)
        newest = await client.expect("session.history")
        client.say("session.history", sessionId=session, before=newest["next"])
        oldest = await client.expect("session.history")
        assert [page["messages"][0]["content"] for page in (newest, oldest)] == ["2", "1"]
        assert "next" not in oldest


@pytest.mark.parametrize("before", ["turn_1", "9" * 19])
async def test_a_page_that_nobody_gave_out_is_refused(
    before: str, autojump_clock: MockClock
) -> None:
    """Also a number that no database takes."""
    async with open_world() as world:
        client = world.connect()
        client.say("session.create")
        session = (await client.expect("session.created"))["sessionId"]
        client.say("session.history", sessionId=session, before=before)
        await client.expect("error", code="INVALID_MESSAGE")


async def test_a_turn_that_was_sent_is_shown_beside_its_bill(autojump_clock: MockClock) -> None:
    """What each section was estimated at when it was sent, and how far that was off."""
    async with open_world() as world:
        client = world.connect()
        world.model.will(reply("Hello.", prompt=15))
        frames = await client.converse("Hi.")
        session, turn = frames[0]["sessionId"], frames[-1]["turnId"]
        await client.converse("And?", sessionId=session)
        client.say("context.inspect", sessionId=session, turnId=turn)
        shown = (await client.expect("context.inspection"))["turn"]
        weights = {one["name"]: one["tokenEstimate"] for one in shown.pop("sections")}
        assert {name: tokens for name, tokens in weights.items() if tokens} == {
            "system_prompt": len("Be brief."),
            "user_message": len("Hi."),
        }
        assert shown == {
            "turnId": turn,
            "tokenEstimate": 12,
            "billedTokens": 15,
            "costEstimate": 12 * Decimal("0.000003"),
            "billedCost": 15 * Decimal("0.000003"),
            "error": Decimal("0.2"),
        }


async def test_a_turn_that_was_billed_nothing_has_no_error(autojump_clock: MockClock) -> None:
    """And a turn that there never was is not found."""
    async with open_world() as world:
        client = world.connect()
        session = (await client.converse("Hi."))[0]["sessionId"]
        world.model.will([ProviderError("LLM_ERROR", "No.")])
        turn = (await client.converse("And?", sessionId=session))[-1]["turnId"]
        client.say("context.inspect", sessionId=session, turnId=turn)
        shown = (await client.expect("context.inspection"))["turn"]
        assert (shown["billedTokens"], shown["billedCost"], shown["error"]) == (0, 0, 0)
        client.say("context.inspect", sessionId=session, turnId="turn_none")
        await client.expect("error", code="TURN_NOT_FOUND")


async def test_usage_is_told_by_model_and_in_sum(autojump_clock: MockClock) -> None:
    """A model without a price has no cost, and its requests are counted as unpriced."""
    async with open_world() as world:
        client = world.connect()
        await client.converse()
        await client.converse(model="claude-of-no-price")
        client.say("usage.query")
        report = await client.expect("usage.report")
        assert report["perModel"][MODEL] == {
            "inputTokens": 100,
            "outputTokens": 5,
            "totalTokens": 105,
            "inputDetails": {"uncached": 100, "cacheRead": 0, "cacheWrite5m": 0, "cacheWrite1h": 0},
            "outputDetails": {"thinking": 0},
            "webSearches": 0,
            "totalCost": Decimal("0.000375"),
            "requestCount": 1,
            "unpricedRequests": 0,
        }
        assert report["perModel"]["claude-of-no-price"]["totalCost"] is None
        assert report["grandTotal"] == {
            "totalCost": Decimal("0.000375"),
            "totalTokens": 210,
            "requestCount": 2,
            "unpricedRequests": 1,
        }


@pytest.mark.parametrize(
    ("since", "until", "requests"),
    [
        ("1970-01-01", "1970-01-01T00:00:02", 1),
        ("1970-01-01T01:00:00+01:00", None, 1),
        ("1970-01-01T00:00:02Z", None, 0),
        (None, "1970-01-01T00:00:01Z", 0),
    ],
)
async def test_usage_is_asked_for_by_time(
    since: str | None, until: str | None, requests: int, autojump_clock: MockClock
) -> None:
    """ISO 8601; without an offset it is UTC."""
    async with open_world() as world:
        client = world.connect()
        await client.converse()
        times = {"since": since, "until": until}
        client.say("usage.query", **{name: time for name, time in times.items() if time})
        assert (await client.expect("usage.report"))["grandTotal"]["requestCount"] == requests


async def test_a_time_that_is_none_is_refused_by_name(autojump_clock: MockClock) -> None:
    """The client is told which field, and how it is written."""
    async with open_world() as world:
        client = world.connect()
        client.say("usage.query", since="yesterday")
        error = await client.expect("error", code="INVALID_MESSAGE")
        assert error["message"].startswith("`since`")


async def test_the_models_are_listed_with_the_default_one(autojump_clock: MockClock) -> None:
    """And what each can do and costs."""
    async with open_world() as world:
        client = world.connect()
        client.say("model.list")
        listing = await client.expect("model.list", defaultModel=MODEL)
        assert [model["inputPrice"] for model in listing["models"]] == [3, None]
