"""`agentspace completion`: what a shell needs to complete commands, flags and sessions."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

VARIABLE = "_AGENTSPACE_COMPLETE"
"""Click's own, made of the program's name: with it set, `agentspace` answers the shell."""


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that lets SHELL complete commands, flags and sessions.

    \b
    bash   echo 'eval "$(agentspace completion bash)"' >> ~/.bashrc
    zsh    echo 'eval "$(agentspace completion zsh)"' >> ~/.zshrc
    fish   agentspace completion fish > ~/.config/fish/completions/agentspace.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(ctx.find_root().command, {}, "agentspace", VARIABLE).source())
