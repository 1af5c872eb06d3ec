"""Where the gateway is that a command talks to, and one question and answer with it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import wraps
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import click
import msgspec

from agentspace.client import Client, connect
from agentspace.client.address import is_same_gateway, reachable
from agentspace.client.local import Target
from agentspace.messages import Request
from agentspace.running import find_gateway
from gateway.access import find_token
from gateway.cli.exit_codes import FAILED
from gateway.cli.options import Stop, configuration_of, data_dir_option, tell
from gateway.cli.running import run
from gateway.config import ConfigError, Settings
from gateway.handshake import PATH
from gateway.settings import SETTINGS

CommandT = TypeVar("CommandT", bound=Callable[..., Any])
AnswerT = TypeVar("AnswerT")

CALLERS_TOKEN: Final = {SETTINGS["token"].flag, SETTINGS["token"].variable}
"""The sources of a token that is for the gateway that is called, wherever it is."""


class FoundGateway(msgspec.Struct, frozen=True):
    """The gateway that a command's flags mean, and the data folder that they name."""

    target: Target
    data_dir: Path


def gateway_options(command: CommandT) -> CommandT:
    """`--url`, `--token` and `--data-dir`; the command gets what they mean as `found`."""

    @click.option("--url", metavar="URL", help="Gateway to talk to; default: the one that runs.")
    @click.option("--token", metavar="TEXT", help="Its token; AGENTSPACE_TOKEN is seen by fewer.")
    @data_dir_option
    @wraps(command)
    def with_gateway(
        *, url: str | None, token: str | None, data_dir: Path | None, **others: object
    ) -> object:
        return command(found=find_target(url, data_dir, token), **others)

    return cast(CommandT, with_gateway)


def find_target(url: str | None, data_dir: Path | None, token: str | None = None) -> FoundGateway:
    """The gateway these flags mean: `url`, else the one that runs from the data folder.

    A folder that somebody named means its own gateway and no other one: what is asked of it must
    not land in another's sessions. Without a name it may also be one that listens where the
    settings say.

    A token that somebody named for this call goes wherever the call goes. The folder's own goes to
    the gateway that runs from the folder, and to nobody else. Raises Stop.
    """
    configuration = configuration_of({"data_dir": data_dir, "token": token})
    tell(configuration.notes)
    settings = configuration.settings
    running = find_gateway(settings.data_dir)
    own = None if running is None else reachable(running.url)
    if url is None and own is None and "data_dir" in configuration.sources:
        raise nobody_in(settings.data_dir)
    place = url or own or default_url(settings)
    if configuration.sources.get("token") in CALLERS_TOKEN:
        return FoundGateway(Target(place, settings.token), settings.data_dir)
    is_own = own is not None and is_same_gateway(place, own)
    return FoundGateway(Target(place, _own_token(settings) if is_own else None), settings.data_dir)


def default_url(settings: Settings) -> str:
    """Where a gateway with these settings would listen. Raises Stop when none can tell."""
    if settings.port == 0:
        raise nobody_in(settings.data_dir)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return reachable(f"ws://{host}:{settings.port}{PATH}")


def nobody_in(folder: Path) -> Stop:
    """No gateway runs from this folder."""
    return Stop(
        f"no gateway runs from {folder}. Start one with `agentspace serve`, or give --url.", FAILED
    )


def _own_token(settings: Settings) -> str | None:
    try:
        return find_token(settings)
    except ConfigError as error:
        raise Stop(str(error)) from error


def ask(found: FoundGateway, question: Request[AnswerT]) -> AnswerT:
    """The gateway's answer, in a connection of its own. Raises Stop."""

    async def converse() -> AnswerT:
        async with open_client(found.target) as client:
            return await client.ask(question)

    return run(converse)


def open_client(target: Target) -> AbstractAsyncContextManager[Client]:
    """A client of this gateway. Raises ConnectError."""
    return connect(target.url, target.token)
