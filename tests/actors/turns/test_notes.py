"""What a running turn was billed is written down once it has run for a while, and only then."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from protocol.records import TurnRecord
from tests.actors.fakes import begin, finish, open_block, open_world, piece, reply


def the_row(rows: dict[str, TurnRecord]) -> TurnRecord:
    """The only turn's row."""
    (row,) = rows.values()
    return row


async def test_a_turn_that_is_soon_over_is_written_twice(autojump_clock: MockClock) -> None:
    """When it begins, and when it ends."""
    async with open_world() as world:
        world.model.scripts.append(reply("Hello."))
        world.store.calls.clear()
        await world.connect().converse()
        await trio.sleep(5)
        assert world.store.calls == ["begin_turn", "settle_turn"]


async def test_what_a_longer_turn_was_billed_is_noted_while_it_runs(
    autojump_clock: MockClock,
) -> None:
    """A second after the provider has told it: should the process die now, it is known."""
    async with open_world() as world:
        slow = [begin(77), open_block(), piece("Hel"), 30.0, piece("lo."), *finish()]
        world.model.scripts.append(slow)
        client = world.connect()
        client.say("chat.send", id="r1", content="Hi.")
        await trio.sleep(0.9)
        assert the_row(world.store.rows).counts.input == 0
        await trio.sleep(0.2)
        assert the_row(world.store.rows).counts.input == 77
        await trio.sleep(10)
        assert world.store.calls.count("note_turn") == 1


async def test_each_turn_is_noted_in_its_time(autojump_clock: MockClock) -> None:
    """One that was settled meanwhile is passed over."""
    async with open_world() as world:
        for pause in (0.5, 30.0, 30.0):
            script = [begin(77), open_block(), piece("Hel"), pause, piece("lo."), *finish()]
            world.model.scripts.append(script)
        for _ in range(3):
            world.connect().say("chat.send", id="r1", content="Hi.")
            await trio.sleep(0.1)
        await trio.sleep(10)
        assert world.store.calls.count("note_turn") == 2
        statuses = [row.status for row in world.store.rows.values()]
        assert statuses == ["completed", "open", "open"]


async def test_a_note_that_finds_no_usage_actor_harms_nobody(autojump_clock: MockClock) -> None:
    """The gateway is about to stop; the turn's end is written all the same."""
    async with open_world() as world:
        slow = [begin(77), open_block(), piece("Hel"), 5.0, piece("lo."), *finish()]
        world.model.scripts.append(slow)
        client = world.connect()
        client.say("chat.send", id="r1", content="Hi.")
        await trio.sleep(0.5)
        world.usage_box.close()
        await trio.sleep(10)
        assert the_row(world.store.rows).status == "completed"
