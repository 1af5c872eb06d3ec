"""`agentspace keys`: the provider's API key in the keyring. A key is never an argument."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from gateway.cli.console import stdout
from gateway.cli.json_line import print_json
from gateway.cli.options import Stop, json_option, settings_of
from gateway.cli.provider import list_models
from gateway.cli.running import run
from gateway.cli.views.keys import key_sources
from gateway.vault import VARIABLES, FoundKey, Vault, VaultError, key_in
from protocol.provider.model_info import ModelInfo

ANSWER_SECONDS = 30.0
LONGEST_LINE = 4_096

provider_argument = click.argument(
    "provider", type=click.Choice(list(VARIABLES)), default="anthropic"
)


@click.group()
def keys() -> None:
    """Keep the provider's API key in the operating system's keyring."""


@keys.command("add")
@provider_argument
@click.option("--stdin", "from_stdin", is_flag=True, help="Read the key from stdin.")
@json_option
def add_key(provider: str, *, from_stdin: bool, as_json: bool) -> None:
    """Keep a key in the keyring. It is asked for, unseen. As JSON, the answer is that of `list`."""
    if from_stdin:
        key = key_in(sys.stdin.buffer.readline(LONGEST_LINE))
    else:
        key = click.prompt(f"Key for {provider}", hide_input=True, err=True).strip()
    with _expected():
        vault = _vault()
        vault.add(provider, key)
        if as_json:
            return print_json(vault.sources(provider))
        return _tell(provider, vault.find(provider))


@keys.command("list")
@provider_argument
@json_option
def list_keys(provider: str, *, as_json: bool) -> None:
    """Show where a key comes from, and which one is in use. Never the key."""
    with _expected():
        sources = _vault().sources(provider)
    if as_json:
        print_json(sources)
    else:
        stdout().print(key_sources(sources))


@keys.command("remove")
@provider_argument
@json_option
def remove_key(provider: str, *, as_json: bool) -> None:
    """Remove the key from the keyring. As JSON, the answer is that of `list`."""
    with _expected():
        vault = _vault()
        vault.remove(provider)
        if as_json:
            return print_json(vault.sources(provider))
    return click.echo(f"The keyring has no key for {provider} any more.")


@keys.command("test")
@provider_argument
@json_option
def check_key(provider: str, *, as_json: bool) -> None:
    """Ask the provider for its models with the key in use. It costs nothing."""
    settings = settings_of({})
    with _expected():
        found = _vault().find(provider)
    if found is None:
        raise Stop(
            f"there is no key for {provider}: `agentspace keys add {provider}` keeps one, or set "
            f"{VARIABLES[provider]}.",
            code="NO_API_KEY",
        )

    async def ask() -> list[ModelInfo]:
        return await list_models(settings, lambda: found.key, ANSWER_SECONDS)

    models = run(ask)
    if as_json:
        told = {"source": found.source, "models": [model.id for model in models]}
        print_json(told)
    else:
        source = found.source.value
        click.echo(f"The key from the {source} works: {len(models)} models are offered.")


def _vault() -> Vault:
    return Vault(settings_of({}).api_key_file)


def _tell(provider: str, in_use: FoundKey | None) -> None:
    click.echo(f"The keyring keeps the key for {provider}.")
    if in_use is not None and in_use.source.value != "keyring":
        click.echo(f"The one from the {in_use.source.value} is in use all the same: it wins.")


@contextmanager
def _expected() -> Iterator[None]:
    try:
        yield
    except VaultError as error:
        raise Stop(str(error)) from error
