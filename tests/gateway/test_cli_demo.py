"""The demo without a terminal: a conversation that nobody has to hold."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import trio

ROOT = Path(__file__).resolve().parents[2]
RUN = [sys.executable, "-c", "from gateway.cli import main; main()"]


async def test_the_demo_shows_itself_and_spends_nothing(tmp_path: Path) -> None:
    """With a key at hand, too, it talks to the simulator, shows everything, and exits 0."""
    environ = {
        "PYTHONPATH": str(ROOT),
        "PATH": os.environ["PATH"],
        "AGENTSPACE_CONFIG_DIR": str(tmp_path),
        "AGENTSPACE_DATA_DIR": str(tmp_path / "untouched"),
        "ANTHROPIC_API_KEY": "sk-real",
    }
    with trio.fail_after(30):
        done = await trio.run_process(
            [*RUN, "demo"], capture_stdout=True, capture_stderr=True, env=environ
        )
    text = done.stdout.decode()
    assert "Provider: a simulator on this machine" in text
    for words in ("(thinking)", "Sources", "system_prompt", "calibration", "All sessions: 3"):
        assert words in text
    tool = [
        'calls machine__free_space(folder="/")',
        "machine__free_space wants to run · low risk",
        "allowed, this once",
        "GiB are free.",
        "· 2 steps ·",
    ]
    places = [text.index(words) for words in tool]
    assert places == sorted(places)
    assert "\x1b" not in text
    assert done.stderr == b""
    assert not (tmp_path / "untouched").exists()
