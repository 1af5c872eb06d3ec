"""A gateway that is stopped and started again on one folder, its provider, and a client."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import trio

from gateway.settings import Settings
from gateway.simulator import MODELS, SimulatorSettings, open_simulator
from tests.courses.provider import Provider, prose
from tests.courses.server import ToolServer
from tests.support import SECONDS, TOKEN, Talk, World, open_gateway

MODEL = "claude-sonnet-5-5"
PROMPT = prose(0, 120)
"""A system prompt beside which the JSON of calls and tools, which no estimate is made for, is
little."""


class Stage:
    """What outlives a gateway, and the gateway; `servers` are in its settings."""

    def __init__(
        self,
        folder: Path,
        provider: Provider,
        servers: tuple[ToolServer, ...],
        nursery: trio.Nursery,
        settings: dict[str, Any],
    ) -> None:
        self.folder = folder
        self.provider = provider
        self.servers = servers
        self.ids = (f"m{number}" for number in count(1))
        """Of messages: a session must not hear one twice, whichever gateway it asks."""
        self._nursery = nursery
        self._settings = settings
        self._leave = self._gone = trio.Event()
        self._talk: Talk | None = None

    @property
    def talk(self) -> Talk:
        """The client's connection to the gateway that serves now."""
        assert self._talk is not None
        return self._talk

    @property
    def server(self) -> ToolServer:
        """The first of the MCP servers."""
        return self.servers[0]

    async def start(self, **settings: Any) -> None:
        """Start a gateway; settings that are named are others from now on."""
        self._settings |= settings
        for server in self.servers:
            server.starts_anew()
        await self._nursery.start(self._serve)

    async def stop(self) -> None:
        """Let the gateway drain and end."""
        self._leave.set()
        with trio.fail_after(SECONDS):
            await self._gone.wait()

    async def restart(self, **settings: Any) -> None:
        """Stop it and start it again."""
        await self.stop()
        await self.start(**settings)

    async def _serve(self, task_status: trio.TaskStatus[None]) -> None:
        simulator = self.provider.simulator
        chosen = Settings(
            **{
                "data_dir": self.folder,
                "port": 0,
                "token": TOKEN,
                "anthropic_base_url": simulator.url,
                "drain_seconds": 2.0,
                "retry_cap_seconds": 0.01,
                "system_prompt": PROMPT,
                "mcp_restart_seconds": 0.2,
                "mcp_servers": tuple(server.settings for server in self.servers),
                **self._settings,
            }
        )
        leave = self._leave = trio.Event()
        gone = self._gone = trio.Event()
        async with (
            open_gateway(chosen, {"ANTHROPIC_API_KEY": "sk-test"}) as gateway,
            World(gateway, simulator, chosen).talk() as self._talk,
        ):
            task_status.started()
            await leave.wait()
        gone.set()

    # --- the agent's files ---------------------------------------------------------------------

    @property
    def _agent(self) -> Path:
        return self.folder / "agents" / "default"

    def write_memory(self, text: str) -> None:
        """What the agent remembers from now on."""
        self._agent.mkdir(parents=True, exist_ok=True)
        (self._agent / "memory.md").write_text(text)

    def write_skill(self, name: str, description: str) -> None:
        """A skill of the agent, new or changed."""
        skill = self._agent / "skills" / name
        skill.mkdir(parents=True, exist_ok=True)
        front = f"---\nname: {name}\ndescription: {json.dumps(description)}\n---\n"
        (skill / "SKILL.md").write_text(f"{front}Take one rope and {name}.\n")

    def has_skill(self, name: str) -> bool:
        """Whether the agent has this skill."""
        return (self._agent / "skills" / name).exists()

    def remove_skill(self, name: str) -> None:
        """The agent has this skill no more."""
        shutil.rmtree(self._agent / "skills" / name)


@asynccontextmanager
async def open_stage(
    folder: Path,
    *servers: ToolServer,
    provider: SimulatorSettings | None = None,
    sentences: int = 6,
    **settings: Any,
) -> AsyncIterator[Stage]:
    """A gateway that serves, before a provider whose answers have so many sentences."""
    async with open_simulator(settings=provider) as simulator, trio.open_nursery() as nursery:
        told = Provider(simulator, sentences=sentences)
        stage = Stage(folder, told, servers, nursery, settings)
        await stage.start()
        yield stage
        await stage.stop()


@contextmanager
def window_of(tokens: int, model: str = MODEL) -> Iterator[None]:
    """For a while the model has a window of so many tokens, and writes 2,000 of them at most."""
    spec = MODELS[model]
    MODELS[model] = msgspec.structs.replace(spec, window=tokens, max_tokens=2_000)
    try:
        yield
    finally:
        MODELS[model] = spec
