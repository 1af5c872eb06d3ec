"""A client of the gateway, under asyncio or trio.

    async with agentspace.client.connect() as client:
        async with client.send("Which port does SSH use?") as turn:
            async for event in turn:
                ...  # agentspace.messages.ChatStreamDelta and the others
        print(turn.text, turn.end.usage.total_tokens)

`connect` finds this machine's gateway by itself. `send` asks the model; the turn survives a lost
connection. `ask` is for everything that is answered by one message, typed by the question.
"""

from agentspace.client.client import Client, connect
from agentspace.client.errors import (
    AgentSpaceError,
    ConnectError,
    ConnectionLost,
    GatewayError,
    MessageTooLarge,
    NoAnswer,
)
from agentspace.client.ids import new_id
from agentspace.client.inbox import UnknownMessage
from agentspace.client.turn import AnswerRefused, Interrupted, Resumed, Turn, TurnEvent

__all__ = [
    "AgentSpaceError",
    "AnswerRefused",
    "Client",
    "ConnectError",
    "ConnectionLost",
    "GatewayError",
    "Interrupted",
    "MessageTooLarge",
    "NoAnswer",
    "Resumed",
    "Turn",
    "TurnEvent",
    "UnknownMessage",
    "connect",
    "new_id",
]
