"""What crosses mailboxes: what is new, once on its way to each actor, and never a history."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from trio.testing import MockClock

from actors.mailbox import Address, PendingReply
from protocol.records import Entry, SessionRecord
from tests.actors.fakes import MODEL, begin, finish, open_block, open_world, reply

PICTURE = "iVBORw0KGgo" + "A" * 5_000_000
LARGEST_STEP = 100_000
"""Bytes of the largest mail of a tool step."""


@pytest.fixture
def mail(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Every message that is put into another actor's mailbox from now on, as it crosses."""
    seen: list[bytes] = []
    add = Address._add

    def watched(self: Address, sealed: object, size: int, reply: PendingReply) -> None:
        if isinstance(sealed, bytes):  # what an owner keeps for itself crosses nothing
            seen.append(sealed)
        add(self, sealed, size, reply)

    monkeypatch.setattr(Address, "_add", watched)
    return seen


async def test_a_picture_crosses_two_mailboxes_and_never_again(
    autojump_clock: MockClock, mail: list[bytes]
) -> None:
    """To the llm actor, and on to the context actor; later turns have it in their body alone."""
    source = {"type": "base64", "media_type": "image/png", "data": PICTURE}
    picture = [{"type": "text", "text": "Look."}, {"type": "image", "source": source}]
    async with open_world(history_cache_bytes=1 << 30) as world:
        client = world.connect()
        session_id = (await client.converse(picture))[0]["sessionId"]
        assert sum(PICTURE.encode() in one for one in mail) == 2
        mail.clear()
        await client.converse("And now?", sessionId=session_id)
        assert PICTURE.encode() in world.model.bodies[-1]
        assert not any(PICTURE.encode() in one for one in mail)


async def test_a_tool_step_of_a_long_session_is_small_mail(
    autojump_clock: MockClock, mail: list[bytes]
) -> None:
    """What a step asks for carries its answer and its results, however long the session is."""
    async with open_world(history_cache_bytes=1 << 30) as world:
        world.store.sessions["s1"] = SessionRecord(
            session_id="s1",
            agent_id="default",
            model=MODEL,
            system=None,
            tools=None,
            title=None,
            created_at=0,
            last_active_at=0,
        )
        world.store.entries["s1"] = [_entry(place) for place in range(4_000)]
        world.tools.offers("weather", approval="auto")
        call: dict[str, Any] = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}}
        world.model.will(
            [begin(), open_block(**call), *finish(stop="tool_use")], reply("It rains.")
        )
        end = (await world.connect().converse("Go on.", sessionId="s1"))[-1]
        assert end["stopReason"] == "end_turn"
        assert len(world.model.bodies[-1]) > 2_000_000
        assert max(map(len, mail)) < LARGEST_STEP


def _entry(place: int) -> Entry:
    """One half of a turn: a question or an answer."""
    content = msgspec.json.encode([{"type": "text", "text": f"{place}: " + "word " * 120}])
    return Entry(
        place=place,
        turn_id=f"turn_{place // 2}_old",
        role="user" if place % 2 == 0 else "assistant",
        content=content,
        status="complete",
        created_at=0,
        byte_count=len(content),
        token_count=120,
    )
