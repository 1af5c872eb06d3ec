"""Where the gateway is that a command talks to, and one question and answer with it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial, wraps
from pathlib import Path
from typing import Any, TypeVar, cast

import click
import msgspec

from agentspace.client import Client
from agentspace.client.address import reachable
from agentspace.client.client import connect_to
from agentspace.client.local import Target
from agentspace.client.tokens import Call, choose_token, exposure
from agentspace.messages import Request
from agentspace.running import find_gateway
from gateway.access import find_token
from gateway.cli.exit_codes import FAILED
from gateway.cli.options import NO_CONNECTION, Stop, configuration_of, data_dir_option, tell
from gateway.cli.running import run
from gateway.config import ConfigError, Settings
from gateway.handshake import PATH
from gateway.settings import SETTINGS

CommandT = TypeVar("CommandT", bound=Callable[..., Any])
AnswerT = TypeVar("AnswerT")


class FoundGateway(msgspec.Struct, frozen=True):
    """The gateway that a command's flags mean, and the data folder that they name."""

    target: Target
    data_dir: Path


def gateway_options(command: CommandT) -> CommandT:
    """`--url`, `--token` and `--data-dir`; the command gets what they mean as `found`."""

    @url_option("Gateway to talk to; default: the one that runs.")
    @token_option
    @data_dir_option
    @wraps(command)
    def with_gateway(
        *, url: str | None, token: str | None, data_dir: Path | None, **others: object
    ) -> object:
        found = find_target(url, data_dir, token)
        tell_exposure(found.target)
        return command(found=found, **others)

    return cast(CommandT, with_gateway)


def url_option(meaning: str) -> Callable[[CommandT], CommandT]:
    """`--url`."""
    return click.option("--url", metavar="URL", help=meaning)


def token_option(command: CommandT) -> CommandT:
    """`--token`, which belongs to the gateway of `--url`."""
    return click.option(
        "--token", metavar="TEXT", help="Its token; AGENTSPACE_TOKEN is seen by fewer."
    )(command)


def find_target(url: str | None, data_dir: Path | None, token: str | None = None) -> FoundGateway:
    """The gateway these flags mean: `url`, else the one that runs from the data folder.

    A folder that somebody named means its own gateway and no other one: what is asked of it must
    not land in another's sessions. Without a name it may also be one that listens where the
    settings say.

    `agentspace.client.tokens` says which token goes where; the one of config.toml is for the
    folder's gateway, too. Raises Stop.
    """
    configuration = configuration_of({"data_dir": data_dir, "token": token})
    tell(configuration.notes)
    settings = configuration.settings
    running = find_gateway(settings.data_dir)
    own = None if running is None else reachable(running.url)
    if url is None and own is None and "data_dir" in configuration.sources:
        raise nobody_in(settings.data_dir)
    call = Call(url or own or default_url(settings), is_named=url is not None, own=own)
    source = configuration.sources.get("token")
    chosen = choose_token(
        call,
        given=settings.token if source == SETTINGS["token"].flag else None,
        exported=settings.token if source == SETTINGS["token"].variable else None,
        kept=partial(_own_token, settings),
    )
    return FoundGateway(Target(call.url, chosen), settings.data_dir)


def tell_exposure(target: Target) -> None:
    """Say on stderr that a token leaves this machine unencrypted, if one will."""
    exposed = exposure(target.url, target.token)
    tell([] if exposed is None else [exposed])


def default_url(settings: Settings) -> str:
    """Where a gateway with these settings would listen. Raises Stop when none can tell."""
    if settings.port == 0:
        raise nobody_in(settings.data_dir)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return reachable(f"ws://{host}:{settings.port}{PATH}")


def nobody_in(folder: Path) -> Stop:
    """No gateway runs from this folder."""
    return Stop(
        f"no gateway runs from {folder}. Start one with `agentspace serve`, or give --url.",
        FAILED,
        code=NO_CONNECTION,
        retryable=True,
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
    return connect_to(lambda: target)
