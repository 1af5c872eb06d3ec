"""`agentspace demo`: gateway, client and, without a key, a simulated provider in one process."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import click
import msgspec
import trio
from rich.text import Text

from agentspace.client.local import Target
from gateway.access import find_token
from gateway.app import Gateway
from gateway.cli import demo_tools
from gateway.cli.chat import Topic, hold_chat
from gateway.cli.console import is_interactive, stdout
from gateway.cli.exit_codes import FAILED
from gateway.cli.logs import start_logging
from gateway.cli.options import data_dir_option, settings_of
from gateway.cli.running import run
from gateway.cli.talk.showcase import QUESTIONS, TOOL_QUESTION, hold_showcase
from gateway.config import Settings
from gateway.mcp.settings import McpServer
from gateway.presence import Presence
from gateway.simulator import Simulator, SimulatorSettings
from gateway.vault import Vault, VaultError

RATE: Final = 40.0
"""Deltas a second of the simulator: about as fast as a quick model, slow enough to be seen."""

SHOWCASE_RATE: Final = 80.0
KEY: Final = "the-simulator-takes-any-key"


MACHINE: Final = McpServer(
    name="machine", command=sys.executable, args=("-I", str(Path(demo_tools.__file__)))
)
"""A tool that a person must agree to."""


class Provider(msgspec.Struct, frozen=True):
    """Whom the demo's gateway asks; `url` is `None` for the provider's own address.

    `tools` are the servers that its answers may use.
    """

    name: str
    url: str | None
    vault: Vault
    tools: tuple[McpServer, ...]
    hint: str = ""


@click.command()
@data_dir_option
@click.option(
    "--real/--simulated",
    default=None,
    help="Talk to the provider, or to the simulator. Default: the provider, if there is a key "
    "and a terminal.",
)
def demo(data_dir: Path | None, *, real: bool | None) -> None:
    """Try it: gateway, client and, without a key, a simulated provider.

    On a terminal this is the chat. Elsewhere it holds a short conversation and ends.
    """
    start_logging("warning", "text")
    settings = settings_of({"port": "0", "host": "127.0.0.1"})
    with TemporaryDirectory(prefix="agentspace-demo-") as folder:
        kept = Path(folder) if data_dir is None else data_dir.absolute()
        settings = msgspec.structs.replace(settings, data_dir=kept)

        async def show() -> int:
            return await hold_demo(settings, real=real)

        code = run(show)
    raise SystemExit(code)


async def hold_demo(settings: Settings, *, real: bool | None) -> int:
    """Provider, gateway and client, one inside the other; the exit code."""
    interactive = is_interactive()
    async with _provider(settings, real=real, interactive=interactive) as provider:
        settings = msgspec.structs.replace(
            settings, anthropic_base_url=provider.url, mcp_servers=provider.tools
        )
        gateway = Gateway(settings, provider.vault)
        with Presence(settings.data_dir) as presence:
            async with trio.open_nursery() as nursery:
                url = await nursery.start(gateway.run)
                presence.show(url)
                target = Target(url, None if settings.auth == "none" else find_token(settings))
                _announce(url, provider, interactive=interactive)
                if interactive:
                    code = await hold_chat(target, settings.data_dir, Topic())
                else:
                    code = 0 if await hold_showcase(target) else FAILED
                gateway.stop()
    return code


@asynccontextmanager
async def _provider(
    settings: Settings, *, real: bool | None, interactive: bool
) -> AsyncIterator[Provider]:
    """The provider to talk to. Without a terminal nobody agreed to spend money."""
    vault = Vault(settings.api_key_file)
    wanted = interactive if real is None else real
    if wanted and (real or await _can_ask_provider(settings, vault)):
        url = settings.anthropic_base_url
        name = f"the real one, at {url or 'api.anthropic.com'}: it costs"
        yield Provider(name, url, vault, settings.mcp_servers)
        return
    rate = RATE if interactive else SHOWCASE_RATE
    simulator = Simulator(settings=SimulatorSettings(rate=rate))
    async with trio.open_nursery() as nursery:
        await nursery.start(simulator.serve)
        yield Provider(
            "a simulator on this machine (no key, no network, no cost)",
            simulator.url,
            Vault(environ={"ANTHROPIC_API_KEY": KEY}),
            (MACHINE,),
            f"Try: {QUESTIONS[1]} Or: {TOOL_QUESTION}",
        )
        nursery.cancel_scope.cancel()


async def _can_ask_provider(settings: Settings, vault: Vault) -> bool:
    if settings.anthropic_base_url is not None:
        return True
    try:
        return await trio.to_thread.run_sync(vault.find) is not None
    except VaultError:
        return False


def _announce(url: str, provider: Provider, *, interactive: bool) -> None:
    console = stdout()
    console.print(Text("agentspace demo", "bold").append(f": a gateway at {url}", "not bold"))
    console.print(f"Provider: {provider.name}.")
    if interactive and provider.hint:
        console.print(provider.hint, style="dim")
