"""A simulated provider and a gateway that asks it, as children, for as long as a load lasts."""

from __future__ import annotations

import logging
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from tempfile import TemporaryDirectory
from typing import Final

import msgspec
import trio

from agentspace.client import connect
from agentspace.client.local import Target
from agentspace.embed import GatewaySettings, supervised
from agentspace.embed.launch import COMMAND

READY_SECONDS: Final = 30.0
END_SECONDS: Final = 5.0
FIRST: Final = "Hello. [[sim: count=1]]"
KEY: Final = "the-simulator-takes-any-key"

log = logging.getLogger(__name__)


class RigFailed(Exception):
    """The children do not start; one line, for a person."""


class _Ready(msgspec.Struct, frozen=True):
    """The simulator's line, once it serves."""

    url: str


@asynccontextmanager
async def open_rig() -> AsyncIterator[Target]:
    """A gateway that costs nothing, in a folder that is gone afterwards.

    Variables such as AGENTSPACE_MAX_CONNECTIONS are its settings; the user's config file is not
    read. Raises RigFailed, and GatewayFailed.
    """
    with TemporaryDirectory(prefix="agentspace-load-") as folder:
        async with _simulator() as url:
            environ = {
                **os.environ,
                "ANTHROPIC_API_KEY": KEY,
                "AGENTSPACE_CONFIG_DIR": folder,
                "AGENTSPACE_TOKEN": "",
            }
            settings = GatewaySettings(
                data_dir=folder, anthropic_base_url=url, host="127.0.0.1", drain_seconds=1.0
            )
            if not os.environ.get("AGENTSPACE_LOG_LEVEL"):
                settings["log_level"] = "error"
            async with supervised(settings=settings, environ=environ) as gateway:
                target = Target(gateway.url, gateway.token)
                await _warm_up(target)
                yield target


async def _warm_up(target: Target) -> None:
    """One turn: a gateway loads some of its parts with the first, which takes seconds."""
    async with connect(target.url, target.token) as client, client.send(FIRST) as turn:
        await turn.finish()


@asynccontextmanager
async def _simulator() -> AsyncIterator[str]:
    process = await trio.lowlevel.open_process(
        [*COMMAND, "simulate", "--port", "0", "--stop-on-stdin-eof"],
        stdin=subprocess.PIPE,  # only we hold it: without us, it ends
        stdout=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for the load
    )
    try:
        yield await _url_of(process)
    finally:
        with trio.move_on_after(END_SECONDS, shield=True):
            process.terminate()
            await process.wait()
        process.kill()
        with trio.CancelScope(shield=True):  # it is gone, or about to be
            await process.wait()


async def _url_of(process: trio.Process) -> str:
    assert process.stdout is not None
    line = b""
    with trio.move_on_after(READY_SECONDS):
        while not line.endswith(b"\n"):
            piece = await process.stdout.receive_some()
            if not piece:
                break
            line += piece
    try:
        return msgspec.json.decode(line, type=_Ready).url
    except msgspec.DecodeError:
        raise RigFailed("the simulator does not start. Try `agentspace simulate`.") from None
