"""Where the gateway is that a command talks to, and one question and answer with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click
import trio

from gateway.access import find_token
from gateway.cli.options import Stop, data_dir_option, settings_of
from gateway.cli.running import run
from gateway.client import Client, Target, connect
from gateway.config import ConfigError, Settings
from gateway.handshake import PATH
from protocol.client import AnyClientMessage
from protocol.codec import JSON
from protocol.server import ServerMessage

CommandT = TypeVar("CommandT", bound=Callable[..., Any])
AnswerT = TypeVar("AnswerT", bound=ServerMessage)

ANSWER_SECONDS: Final = 60.0
_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where to find it


def gateway_options(command: CommandT) -> CommandT:
    """`--url` and `--data-dir`: the gateway to talk to, and where its token is."""
    url = click.option("--url", metavar="URL", help="Gateway to talk to; default: the local one.")
    return url(data_dir_option(command))


def json_option(command: CommandT) -> CommandT:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")(
        command
    )


def find_target(url: str | None, data_dir: Path | None) -> Target:
    """The gateway these flags mean. Raises Stop."""
    settings = settings_of({"data_dir": data_dir})
    try:
        token = None if settings.auth == "none" else find_token(settings)
    except ConfigError as error:
        raise Stop(str(error)) from error
    return Target(url or default_url(settings), token)


def default_url(settings: Settings) -> str:
    """Where a gateway with these settings listens."""
    host = _EVERYWHERE.get(settings.host, settings.host)
    name = f"[{host}]" if ":" in host else host
    return f"ws://{name}:{settings.port}{PATH}"


def ask(target: Target, question: AnyClientMessage, expected: type[AnswerT]) -> AnswerT:
    """The gateway's answer, in a connection of its own. Raises Stop."""

    async def converse() -> AnswerT:
        async with connect(target) as client:
            return await ask_in_time(client, question, expected)

    return run(converse)


async def ask_in_time(
    client: Client, question: AnyClientMessage, expected: type[AnswerT]
) -> AnswerT:
    """The answer. Raises GatewayError and ConnectionLost, and Stop when it takes too long."""
    try:
        with trio.fail_after(ANSWER_SECONDS):
            answer = await client.ask(question)
    except trio.TooSlowError:
        raise Stop(f"the gateway did not answer in {ANSWER_SECONDS:.0f} s.", 1) from None
    if not isinstance(answer, expected):
        raise Stop("the gateway gave an answer to another question: is it another version?", 1)
    return answer


def print_json(answer: ServerMessage) -> None:
    """The message as the wire has it, in one line."""
    click.echo(JSON.encode(answer))
