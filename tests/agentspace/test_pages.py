"""The pages about what other programs import: every snippet runs as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from gateway.simulator import open_simulator
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
    assert '"type":"pong"' in done.stdout


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
