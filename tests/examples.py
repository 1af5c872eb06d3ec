"""A conversation in which a client says every example of a request, and all that it heard."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from gateway.simulator import (
    ErrorReply,
    Reply,
    ReplyText,
    ReplyThinking,
    Responder,
    Simulator,
    WebSearch,
    calls,
    cite,
    results_for,
    says,
    turn,
)
from protocol.examples import CALL, REQUESTS, SESSION, TURN, payload
from tests.support import TERMINAL, Frame, Talk, open_world
from tests.tiny_mcp import Tiny, tool, tools_when_up

FOUND = results_for("Bergen")
PLAN: dict[str, Any] = {
    "tools": [tool("mail"), tool("radio")],
    "answers": {
        "mail": {"result": {"content": [{"type": "text", "text": "Sent."}]}},
        "radio": {
            "result": {"isError": True, "content": [{"type": "text", "text": "Nobody answers."}]}
        },
    },
}
FORECAST = '{"city":"Bergen","umbrella":true}'
OVERLOADED = Reply(failure=ErrorReply(529, retry_after=0.3))
CITED = cite("They agree.", FOUND)
TOOLS = turn(
    calls(("weather", {"city": "Bergen"}), ("tiny__mail", {}), ("tiny__radio", {})),
    says("It says: {weather}"),
)


class Heard(NamedTuple):
    """A request as it was sent, if it was an example, and the frames that answered it."""

    request: Frame
    frames: list[Frame]


class Conversation:
    """Examples are said with the ids that the gateway has given."""

    def __init__(self, talk: Talk, simulator: Simulator) -> None:
        self.heard: list[Heard] = []
        self._talk = talk
        self._simulator = simulator
        self._ids: dict[str, str] = {}
        self._examples = {one.name: payload(one) for one in REQUESTS}

    @property
    def frames(self) -> list[Frame]:
        """All that was heard."""
        return [frame for heard in self.heard for frame in heard.frames]

    @property
    def left(self) -> list[str]:
        """The examples that were not said."""
        return [*self._examples]

    async def say(self, name: str) -> Frame:
        """Send an example."""
        text = json.dumps(self._examples.pop(name))
        for stand_in, real in self._ids.items():
            text = text.replace(stand_in, real)
        request: Frame = json.loads(text)
        await self._talk.socket.send(text)
        return request

    async def ask(self, name: str) -> None:
        """Send an example, and hear the one frame that answers it."""
        request = await self.say(name)
        self.heard.append(Heard(request, [await self._talk.hear()]))

    async def turn(self, name: str, *replies: Reply | Responder) -> None:
        """Send an example that the provider answers so; tools are answered, too."""
        self._simulator.script(*replies)
        request = await self.say(name)
        frames: list[Frame] = []
        while not frames or frames[-1]["type"] not in TERMINAL:
            frames.append(await self._talk.hear())
            await self._answer(frames[-1])
        self.heard.append(Heard(request, frames))

    async def _answer(self, frame: Frame) -> None:
        match frame:
            case {"type": "session.created"}:
                self._ids[SESSION] = frame["sessionId"]
            case {"type": "chat.stream.start"}:
                self._ids[TURN] = frame["turnId"]
            case {"type": "tool.call", "clientSide": True}:
                self._ids[CALL] = frame["toolCallId"]
                await self.say("a tool's result")
            case {"type": "tool.approval.request", "toolName": "tiny__mail"}:
                self._ids[CALL] = frame["toolCallId"]
                await self.say("a person's consent")

    async def stop(self, name: str) -> None:
        """Say an example while a turn runs, which it stops."""
        self._simulator.script(Reply(blocks=(ReplyText("word " * 500),), chars=5, rate=50))
        request_id = await self._talk.say("chat.send", content="Tell me more.")
        frames = [await self._talk.expect("session.created"), await self._talk.hear()]
        self._ids[TURN] = frames[-1]["turnId"]
        await self.say(name)
        self.heard.append(Heard({}, frames + await self._talk.rest(request_id)))


async def converse(folder: Path) -> Conversation:
    """Everything has been said; at the end the gateway said farewell."""
    tiny = Tiny(folder, **PLAN)
    server = msgspec.structs.replace(tiny.server, approval="session", tools={"radio": "auto"})
    async with open_world(folder, mcp_servers=(server,)) as world, world.talk() as talk:
        await tools_when_up(talk, "tiny__mail")
        said = Conversation(talk, world.simulator)
        said.heard.append(Heard({}, [talk.hello]))
        thought = Reply(blocks=(ReplyThinking("Wet, mostly."), ReplyText("Most likely.")), chars=4)
        await said.turn("a first question", OVERLOADED, thought)
        await said.turn("the rest after a lost connection")
        await said.turn("a question that the client's tool helps to answer", TOOLS)
        await said.turn("an answer with sources", Reply(blocks=(WebSearch("Bergen", FOUND), CITED)))
        await said.turn("a question about a picture", Reply(blocks=(ReplyText("Who knows?"),)))
        await said.turn("an answer that follows a schema", Reply(blocks=(ReplyText(FORECAST),)))
        await said.stop("an end before the answer's")
        for name in said.left:
            await said.ask(name)
        unknown = await talk.ask("session.delete", sessionId="session_of_yesterday")
        said.heard.append(Heard({}, [unknown]))
        world.gateway.stop()
        said.heard.append(Heard({}, [await talk.expect("gateway.draining")]))
        return said
