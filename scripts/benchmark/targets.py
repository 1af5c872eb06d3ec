"""What is measured: the relay, the gateway, and what most people would write instead."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, Literal

import msgspec

from scripts.benchmark.installed import HERE, node_folder, python_of
from scripts.benchmark.process import Process, settle

TOKEN: Final = "a-token-for-the-benchmark"
Dialect = Literal["http", "gateway", "plain", "responses"]


class Target(msgspec.Struct, frozen=True):
    """Something between a client and the provider.

    `dialect` is how a client speaks to it: `http` is the provider's own stream, `gateway` our
    protocol, `plain` a `delta` for each piece of text and an `end`, `responses` the Responses
    API over a WebSocket. `start` takes the provider's
    port and a folder, and raises MissingTarget where this machine lacks what it needs.
    """

    name: str
    title: str
    dialect: Dialect
    start: Callable[[int, Path], Process]


def start_simulator() -> Process:
    """The provider."""
    return Process([sys.executable, "-m", "gateway", "simulate", "--port", "0"])


def start_relay(provider: int, _: Path) -> Process:
    """The relay under trio."""
    return Process([sys.executable, "-m", "scripts.benchmark.relay", str(provider)])


def start_gateway(provider: int, folder: Path) -> Process:
    """This gateway, as a user starts it, with a ledger on disk."""
    return Process(
        [sys.executable, "-m", "gateway", "serve", "--port", "0"],
        gateway_settings(provider, folder),
    )


def gateway_settings(provider: int, folder: Path) -> dict[str, str]:
    """The variables of a gateway whose data is in `folder`."""
    return {
        "AGENTSPACE_CONFIG_DIR": str(folder),
        "AGENTSPACE_DATA_DIR": str(folder),
        "AGENTSPACE_TOKEN": TOKEN,
        "AGENTSPACE_LOG_LEVEL": "error",
        "AGENTSPACE_ANTHROPIC_BASE_URL": f"http://127.0.0.1:{provider}",
        "ANTHROPIC_API_KEY": "none-is-needed",
    }


def start_fastapi(provider: int, _: Path) -> Process:
    """FastAPI, uvicorn with uvloop, and the provider's SDK."""
    app = HERE / "fastapi" / "app.py"
    return Process([str(python_of("fastapi")), str(app)], _provided(provider), app.parent)


def start_node(provider: int, _: Path) -> Process:
    """Node, ws, and the provider's SDK."""
    folder = node_folder()
    return Process([shutil.which("node") or "node", "server.mjs"], _provided(provider), folder)


def start_litellm(provider: int, _: Path) -> Process:
    """LiteLLM's proxy, of which one kind of WebSocket speaks to this provider."""
    script = HERE / "litellm" / "serve.py"
    return Process([str(python_of("litellm")), str(script)], _provided(provider), script.parent)


def _provided(provider: int) -> dict[str, str]:
    """Where the SDKs look for the provider."""
    return {
        "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{provider}",
        "ANTHROPIC_API_KEY": "none-is-needed",
    }


RELAY: Final = Target("relay", "trio byte relay", "http", start_relay)
GATEWAY: Final = Target("gateway", "this gateway", "gateway", start_gateway)
FASTAPI: Final = Target("fastapi", "FastAPI + uvloop + SDK", "plain", start_fastapi)
NODE: Final = Target("node", "Node + ws + SDK", "plain", start_node)
LITELLM: Final = Target("litellm", "LiteLLM proxy, Responses WebSocket", "responses", start_litellm)
TARGETS: Final = {target.name: target for target in (RELAY, GATEWAY, FASTAPI, NODE, LITELLM)}
USUAL: Final = [name for name in TARGETS if name != LITELLM.name]
"""What is measured unless somebody asks for more: LiteLLM installs 700 MB."""


@contextmanager
def running(target: Target, provider: int) -> Iterator[Process]:
    """The target's process, in a folder of its own, once it has loaded what it loads."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmark-")))
        process = stack.enter_context(target.start(provider, folder))
        settle(process.pid)
        yield process
