"""What an inspection says beforehand, held against what the provider bills."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway import server, vault
from gateway.ledger import ledger
from gateway.simulator import Reply, ReplyText, SimulatorSettings
from tests.support import Frame, Talk, open_world

SYSTEM = "You know all there is to know about tea. " * 80
ANSWER = "Green tea is not fermented. 緑茶は発酵させません。" * 20
TEXTS = [
    SYSTEM,
    Path(ledger.__file__).read_text()[:3_000],
    "人工智能助手可以帮助你编写代码。今天的天气很好。" * 40,
    str([{"id": number, "name": f"user{number}"} for number in range(90)]),
    Path(server.__file__).read_text()[:1_500],
    Path(vault.__file__).read_text()[:200],
]


def error(estimate: float, billed: float) -> float:
    """How far an estimate is off, of 1."""
    return abs(float(estimate) - float(billed)) / float(billed)


async def inspected_and_sent(talk: Talk, session: str, content: str) -> tuple[Frame, Frame]:
    """What is said of the next request, and the end of its turn."""
    inspection = await talk.ask("context.inspect", sessionId=session, content=content)
    return inspection, (await talk.turn(content, sessionId=session))[-1]


@pytest.mark.parametrize("caching", [True, False])
async def test_the_money_is_foreseen(tmp_path: Path, caching: bool) -> None:
    """As the provider's cache is cold at first, and warm for every further request."""
    async with open_world(tmp_path, prompt_caching=caching) as world, world.talk() as talk:
        session = (await talk.ask("session.create", system=SYSTEM))["sessionId"]
        world.simulator.script(*[Reply(blocks=(ReplyText(ANSWER),)) for _ in range(12)])
        for turn in range(12):
            inspection, end = await inspected_and_sent(talk, session, f"Question {turn}?")
            totals, details = inspection["totals"], end["usage"]["inputDetails"]
            if turn < 3:
                continue
            warm = totals["cachedCostEstimate"] if caching else totals["costEstimate"]
            assert error(warm, end["cost"]["inputCost"]) < 0.05
            if caching:
                assert error(totals["cachedTokens"], details["cacheRead"]) < 0.05
                assert totals["costEstimate"] > 3 * warm
            else:
                assert "cachedTokens" not in totals
                assert details["cacheRead"] == details["cacheWrite5m"] == 0


async def test_a_turn_is_shown_beside_its_bill(tmp_path: Path) -> None:
    """The estimate is what the inspection said, the bill what the end of the turn said."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        session = (await talk.ask("session.create", system=SYSTEM))["sessionId"]
        inspection, end = await inspected_and_sent(talk, session, "Why?")
        found = await talk.ask("context.inspect", sessionId=session, turnId=end["turnId"])
        turn = found["turn"]
        assert turn["tokenEstimate"] == inspection["totals"]["tokenEstimate"]
        assert turn["billedTokens"] == end["usage"]["inputTokens"]
        assert turn["billedCost"] == end["cost"]["inputCost"]
        assert turn["error"] == pytest.approx(
            error(turn["tokenEstimate"], turn["billedTokens"]), abs=0.001
        )


@pytest.mark.parametrize(
    "provider",
    [SimulatorSettings(), SimulatorSettings(token_ratio=1.37, overhead_tokens=500)],
)
async def test_twenty_turns_of_any_text_are_enough_for_an_estimate(
    provider: SimulatorSettings, tmp_path: Path
) -> None:
    """Prose, code, Chinese and JSON: within 5 % of what is billed."""
    async with open_world(tmp_path, provider=provider) as world, world.talk() as talk:
        session = (await talk.ask("session.create"))["sessionId"]
        for turn in range(24):
            world.simulator.script(Reply(blocks=(ReplyText(TEXTS[turn * 5 % 6]),)))
            question = f"{turn}: {TEXTS[turn % 6]}"
            inspection, end = await inspected_and_sent(talk, session, question)
            if turn >= 20:
                estimate = inspection["totals"]["tokenEstimate"]
                assert error(estimate, end["usage"]["inputTokens"]) < 0.05
