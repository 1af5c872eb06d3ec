"""`agentspace doctor`: what a gateway on this machine needs, looked at one by one."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import click

from agentspace.client.address import shown
from agentspace.client.local import Target
from agentspace.loopback import stays_here
from agentspace.running import find_gateway
from gateway import __version__, system_keyring
from gateway.cli.checks import Check, report
from gateway.cli.configured import check_configuration, check_data_folder
from gateway.cli.exit_codes import FAILED
from gateway.cli.options import Stop, data_dir_option, json_option
from gateway.cli.provider import list_models, provider_url
from gateway.cli.running import run
from gateway.cli.target import find_target, open_client, token_option, url_option
from gateway.config import ConfigError, Configuration, read_configuration
from gateway.folder import nearest
from gateway.settings import Settings
from gateway.vault import KeySource, SourceState, Vault, VaultError
from protocol.errors import GatewayError
from protocol.provider.model_info import ModelInfo

ANSWER_SECONDS: Final = 10.0
LITTLE_SPACE: Final = 1024**3
NO_SPACE: Final = 64 * 1024**2
"""Bytes that are free where the database is."""

NO_KEY: Final = "a-key-that-opens-nothing"
"""Shown to the provider when there is none, to see whether it answers at all."""


@click.command()
@url_option("Gateway that is to answer as well.")
@token_option
@data_dir_option
@json_option
def doctor(url: str | None, token: str | None, data_dir: Path | None, *, as_json: bool) -> None:
    """Look at what a gateway needs here: each with a word what to do.

    Exit code 1 when something is wrong. Nothing is changed, and the provider is asked only for its
    models, which costs nothing.
    """
    if token is not None and url is None:
        raise click.UsageError("--token goes with --url.")
    checks = list(_checks(data_dir))
    if url is not None:
        checks.append(_gateway(url, token, data_dir))
    if not report(checks, as_json=as_json):
        raise SystemExit(FAILED)


def _checks(data_dir: Path | None) -> Iterator[Check]:
    yield _python()
    try:
        configuration = read_configuration({"data_dir": data_dir}, os.environ)
    except ConfigError as error:
        yield Check("config", "fail", str(error), "All else depends on it.")
        return
    settings = configuration.settings
    yield _config(configuration)
    folder = check_data_folder(settings.data_dir)
    yield folder
    if folder.state != "fail":  # what is wrong with it has been told
        yield _space(settings.data_dir)
    sources = Vault(settings.api_key_file).sources()
    yield _key(sources, settings)
    yield _keyring(sources)
    yield _port(settings)
    yield _provider(settings)


def _python() -> Check:
    found = f"{platform.python_version()} at {sys.executable}; gateway {__version__}."
    return Check("python", "ok", found)


def _config(configuration: Configuration) -> Check:
    """The worst of what `agentspace config check` finds."""
    checks = list(check_configuration(configuration))
    for state in ("fail", "warn"):
        if bad := [check for check in checks if check.state == state]:
            more = f" And {len(bad) - 1} more: `agentspace config check`." if bad[1:] else ""
            return Check("config", state, f"{bad[0].found}{more}")
    return Check("config", "ok", checks[0].found)


def _space(folder: Path) -> Check:
    place = nearest(folder)
    free = shutil.disk_usage(place).free
    found = f"{free / 1024**3:,.1f} GiB are free at {place}."
    if free >= LITTLE_SPACE:
        return Check("disk", "ok", found)
    return Check("disk", "warn" if free >= NO_SPACE else "fail", found, "Make room.")


def _key(sources: list[SourceState], settings: Settings) -> Check:
    for source in sources:
        if source.problem and source.source is not KeySource.KEYRING:
            return Check("key", "fail", source.problem)
        if source.wins:
            return Check("key", "ok", f"found in the {source.source.value} ({source.where}).")
    advice = "`agentspace keys add anthropic` keeps one, or set ANTHROPIC_API_KEY."
    needs_one = settings.anthropic_base_url is None
    return Check("key", "fail" if needs_one else "warn", "there is none.", advice)


def _keyring(sources: list[SourceState]) -> Check:
    state = next(state for state in sources if state.source is KeySource.KEYRING)
    if state.problem:
        return Check("keyring", "warn", state.problem)
    backend = system_keyring.backend()
    if backend is None:
        advice = "A key comes from ANTHROPIC_API_KEY or a key file instead."
        return Check("keyring", "warn", "this system has none.", advice)
    return Check("keyring", "ok", f"{backend} {'has a key' if state.present else 'has no key'}.")


def _port(settings: Settings) -> Check:
    running = find_gateway(settings.data_dir)
    if running is not None:
        return Check("port", "ok", f"a gateway runs at {running.url} (pid {running.pid}).")
    if settings.port == 0:
        return Check("port", "ok", "a start takes a free one.")
    place = f"{settings.host} port {settings.port}"
    try:
        address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(address[0], socket.SOCK_STREAM) as probe:
            if os.name == "posix":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address[4])
    except OSError as error:
        return Check(
            "port",
            "fail",
            f"{place} cannot be had ({error.strerror or error}).",
            "Choose another with --port or AGENTSPACE_PORT; 0 takes a free one.",
        )
    return Check("port", "ok", f"{place} is free.")


def _provider(settings: Settings) -> Check:
    key = _found_key(settings)

    async def ask() -> list[ModelInfo] | GatewayError:
        try:
            return await list_models(settings, lambda: key or NO_KEY, ANSWER_SECONDS)
        except GatewayError as error:
            return error

    began = time.monotonic()
    try:
        answer = run(ask)
    except Stop as stop:
        return Check("provider", "fail", stop.message)
    way = f"{_way(provider_url(settings))}, {time.monotonic() - began:.1f} s"
    if not isinstance(answer, GatewayError):
        return Check("provider", "ok", f"it offers {len(answer)} models ({way}).")
    if key is None and answer.failure.code == "NO_API_KEY":
        return Check("provider", "ok", f"it answers, and asks for a key ({way}).")
    return Check("provider", "fail", f"{answer.failure.message} ({way})")


def _gateway(url: str, token: str | None, data_dir: Path | None) -> Check:
    async def greet(target: Target) -> str:
        async with open_client(target) as client:
            return client.hello.version

    try:
        target = find_target(url, data_dir, token).target
        version = run(lambda: greet(target))
    except Stop as stop:
        return Check("gateway", "fail", stop.message)
    return Check("gateway", "ok", f"{shown(target.url)} answers; it is version {version}.")


def _found_key(settings: Settings) -> str | None:
    try:
        found = Vault(settings.api_key_file).find()
    except VaultError:
        return None
    return None if found is None else found.key


def _way(url: str) -> str:
    """Whether a call to this address goes through a proxy of the environment."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    proxies = getproxies()
    if stays_here(host) or proxy_bypass(host) or not proxies.keys() & {parts.scheme, "all"}:
        return "directly"
    name = parts.scheme if parts.scheme in proxies else "all"
    return f"through the proxy of {name}_proxy"
