"""The pages about what other programs import: every snippet runs as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from gateway.presence import Presence
from gateway.simulator import open_simulator
from tests.support import TOKEN, open_world
from tests.test_process import environment

DOCS = Path(__file__).parents[2] / "docs"
SECONDS = 60.0


def snippets(page: str) -> list[str]:
    """The Python of a page."""
    return re.findall(
        r"^```python\n(.*?)^```$", (DOCS / page).read_text(), re.DOTALL | re.MULTILINE
    )


@pytest.mark.parametrize("snippet", snippets("embedding.md"))
async def test_a_program_with_a_gateway_of_its_own_runs(snippet: str, tmp_path: Path) -> None:
    """It starts the gateway, talks to it, and leaves nothing behind."""
    async with open_simulator() as simulator:
        environ = environment(tmp_path, AGENTSPACE_ANTHROPIC_BASE_URL=simulator.url)
        done = await run_snippet(snippet, tmp_path, environ)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Hello!" in done.stdout


async def test_the_client_s_programs_run_one_after_another(tmp_path: Path) -> None:
    """Each finds the gateway by its data folder."""
    data_dir = tmp_path / "data"
    async with open_world(data_dir) as world:
        environ = environment(tmp_path, AGENTSPACE_TOKEN=TOKEN)
        with Presence(data_dir) as presence:
            presence.show(world.url)
            shown = [await run_snippet(each, tmp_path, environ) for each in snippets("client.md")]
    assert [(done.returncode, done.stderr) for done in shown] == [(0, "")] * 3
    talk, list_, tools = (done.stdout for done in shown)
    assert "tokens" in talk
    assert "Which port does SSH use?" in list_
    assert "USD 0.0" in list_
    assert "Rain in" in tools


async def run_snippet(
    snippet: str, folder: Path, environ: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run it as a program of its own."""
    command = [sys.executable, "-c", snippet]
    return await trio.to_thread.run_sync(
        lambda: subprocess.run(
            command,
            cwd=folder,
            env=environ,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    )
