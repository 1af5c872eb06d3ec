"""The README says what is so."""

from __future__ import annotations

import re
from pathlib import Path

from gateway.cli.main import COMMANDS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_each_command_is_named_and_each_named_command_exists() -> None:
    """The table of commands and the command line agree."""
    named = set(re.findall(r"`agentspace (\w+)", README))
    assert named <= set(COMMANDS)
    for command in COMMANDS:
        assert f"`agentspace {command}" in README or f"`{command}`" in README


def test_each_file_and_script_that_is_named_exists() -> None:
    """Links and scripts lead somewhere."""
    for path in re.findall(r"\]\(([\w./]+)\)", README) + re.findall(r"`?(scripts/\w+)", README):
        assert (ROOT / path).exists(), path
