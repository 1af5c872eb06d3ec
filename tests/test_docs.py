"""The README and docs/ say what is so: every command, program and conversation in them is tried."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from contextlib import ExitStack
from pathlib import Path

import pytest

from gateway.cli.main import COMMANDS
from gateway.config import load_settings
from gateway.prices import GenaiPrices
from gateway.settings import SETTINGS
from tests.pages import PAGES, ROOT, Block, anchors, blocks, commands, links
from tests.reader import Reader

RUN = {"console", "python", "js", "frames", "json", "html"}
CHECKED = {"toml", "typescript"}
FILES = {"js", "html", "toml"}
"""These name the file that they show, which the page's commands or a test here then use."""

SHOWN = {"mermaid", "text"}

BLOCKS = [(page, block) for page in PAGES for block in blocks(page)]
WORKING = sorted({page for page, block in BLOCKS if block.language in RUN and block.is_run})
BROWSER = ["node", "--experimental-websocket", str(ROOT / "tests" / "browser.mjs")]


def named(value: object) -> str:
    return value.name if isinstance(value, Path) else ""


def of_language(*languages: str) -> pytest.MarkDecorator:
    """The blocks in these languages, each a case of its own."""
    cases = [
        pytest.param(block, id=f"{page.name}-{block.line}")
        for page, block in BLOCKS
        if block.language in languages
    ]
    return pytest.mark.parametrize("block", cases)


@pytest.mark.parametrize("page", WORKING, ids=named)
def test_who_does_what_a_page_says_sees_what_it_shows(page: Path, tmp_path: Path) -> None:
    """From the first block to the last, with a simulated provider."""
    with ExitStack() as stack:
        Reader(tmp_path, stack).read(page)


@pytest.mark.skipif(shutil.which("node") is None, reason="this machine has no node")
def test_the_page_for_browsers_asks_and_shows_the_answer(tmp_path: Path) -> None:
    """Its script runs as it stands, in as much of a browser as it needs."""
    with ExitStack() as stack:
        reader = Reader(tmp_path, stack)
        reader.read(ROOT / "docs" / "browser.md")
        token = (tmp_path / "data" / "token").read_text().strip()
        done = subprocess.run(
            [*BROWSER, str(tmp_path / "chat.html"), token, "Say hello. [[sim: count=3]]"],
            env=reader.environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert "(not connected)" not in done.stdout


def test_every_block_says_what_it_is() -> None:
    """So that none is passed over: a language that is tried, checked or only shown."""
    unknown = [
        f"{page.name}:{block.line}"
        for page, block in BLOCKS
        if block.language not in RUN | CHECKED | SHOWN
        or not (block.mark in {"", "not-run"} or block.file)
        or (block.language in FILES and not block.file)
    ]
    assert unknown == []


@of_language("console")
def test_commands_are_sound_where_they_cannot_be_run(block: Block) -> None:
    """The shell can read them."""
    for command in commands(block):
        done = subprocess.run(
            ["bash", "-n", "-c", command.text], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, ""), command.text


@of_language("python")
def test_python_is_python(block: Block) -> None:
    """Also where it cannot be run by itself."""
    compile(block.text, "a page", "exec")


@of_language("toml")
def test_the_gateway_takes_what_a_file_is_shown_to_hold(block: Block, tmp_path: Path) -> None:
    """A file of prices, or the file of the settings."""
    assert tomllib.loads(block.text)
    (tmp_path / block.mark).write_text(block.text)
    if block.mark == "prices.toml":
        GenaiPrices(tmp_path / block.mark)
    else:
        assert block.mark == "config.toml"
        environ = {"AGENTSPACE_CONFIG_DIR": str(tmp_path), "TICKETS_KEY": "a-key", "HOME": "/"}
        load_settings({}, environ)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page: Path) -> None:
    """To a file of the repository, and to a heading in it."""
    for link in links(page):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        if anchor:
            assert anchor in anchors(target), link


def test_each_command_is_named_and_each_named_command_exists() -> None:
    """The page of the commands and the command line agree."""
    page = (ROOT / "docs" / "commands.md").read_text()
    assert set(re.findall(r"`agentspace ([a-z]+)", page)) <= set(COMMANDS)
    for command in COMMANDS:
        assert f"`agentspace {command}" in page or f"`{command}`" in page


def test_scripts_that_are_named_exist() -> None:
    """In every page."""
    for page in PAGES:
        for path in re.findall(r"\bscripts/\w+", page.read_text()):
            assert (ROOT / path).exists(), f"{page.name}: {path}"


def test_settings_are_called_by_their_names() -> None:
    """What a page calls `AGENTSPACE_…` is a variable that the gateway reads."""
    known = {f"AGENTSPACE_{name.upper()}" for name in SETTINGS} | {"AGENTSPACE_CONFIG_DIR"}
    for page, text in ((page, page.read_text()) for page in PAGES):
        for word in text.replace("=", " ").replace("`", " ").split():
            if word.startswith("AGENTSPACE_") and word.isidentifier():
                assert word in known | {"AGENTSPACE_VERSION", "AGENTSPACE_PROT"}, page.name
