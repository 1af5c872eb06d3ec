"""Somebody who does what a page says, from its first block to its last.

The provider is the simulator. A gateway runs unless the page starts one itself. The ports that the
pages name are taken for free ones, so that a machine may have a gateway of its own.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import zip_longest
from pathlib import Path

import pytest
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.pages import ROOT, Block, Command, blocks, commands, is_shown, pattern
from tests.test_process import environment

SECONDS = 60.0
LASTING = re.compile(r"(\w+=\S+ )*(agentspace (serve|simulate)|python -m http\.server)\b")
"""Commands that serve until they are ended."""

PORTS = ("3271", "3280", "8000")
"""Of the gateway, of the simulator, and of a page in the browser."""

PROGRAMS = ("node", "npm", "curl")
"""What a developer's machine may lack."""

IDS = ("session", "turn", "conn")
STREAMED = ("chat.stream.delta", "chat.stream.reasoning")
"""Frames of which an answer has as many as it likes."""


class Reader:
    """Does what stands in blocks, in a folder of its own."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._ports = {port: str(_free_port()) for port in PORTS}
        self._simulator = f"http://127.0.0.1:{self._ports['3280']}"
        self.environ = {
            **environment(folder, AGENTSPACE_ANTHROPIC_BASE_URL=self._simulator),
            "AGENTSPACE_PORT": self._ports["3271"],
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
            "AGENTSPACE_MAX_CONNECTIONS": "100",  # a small system would be told of the default
        }

    def read(self, page: Path) -> None:
        """Do all that the page says."""
        found = [block for block in blocks(page) if block.is_run]
        typed = " ".join(block.text for block in found if block.language == "console")
        if "agentspace simulate" not in typed:
            self._serve(Command("agentspace simulate --port 3280", '{"type":"simulator.ready"…'))
        if "agentspace serve" not in typed:
            self._serve(Command("agentspace serve", '{"type":"gateway.ready"…'))
        for block, after in zip_longest(found, found[1:]):
            try:
                self._do(block, after)
            except AssertionError as error:
                raise AssertionError(f"{page.name}, line {block.line}: {error}") from error

    def _do(self, block: Block, after: Block | None) -> None:
        if block.file:
            (self._folder / block.file).write_text(self._placed(block.text), "utf-8")
            return
        match block.language:
            case "console":
                for command in commands(block):
                    self._type(command)
            case "python":
                output = after.text if after and after.language == "text" else ""
                self._run([sys.executable, "-W", "error", "-c", block.text], output)
            case "frames":
                self._converse(block)
            case "json":
                json.loads(block.text)

    def _placed(self, text: str) -> str:
        """`text` with the ports that are free here."""
        return re.sub(rf"\b({'|'.join(PORTS)})\b", lambda port: self._ports[port[0]], text)

    def _type(self, command: Command) -> None:
        if LASTING.match(command.text):
            self._serve(command)
            return
        for program in PROGRAMS:
            if re.search(rf"\b{program}\b", command.text) and shutil.which(program) is None:
                pytest.skip(f"this machine has no {program}")
        self._run(["bash", "-o", "pipefail", "-c", command.text], command.output)

    def _serve(self, command: Command) -> None:
        """Start what does not end by itself, and wait for its first line."""
        child = subprocess.Popen(
            ["bash", "-c", f"exec env {self._placed(command.text)}"],
            cwd=self._folder,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._stack.callback(_end, child)
        assert child.stdout is not None
        if command.output:
            self._expect(command.output, child.stdout.readline())

    def _run(self, arguments: list[str], output: str) -> None:
        """Run what ends, and well. A script of the repository is run there, and without a key."""
        *before, text = arguments
        is_script = text.startswith("scripts/")
        done = subprocess.run(
            [*before, self._placed(text)],
            cwd=ROOT if is_script else self._folder,
            env=self.environ | ({"ANTHROPIC_API_KEY": ""} if is_script else {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{text}: {done.stderr}"
        assert "Traceback" not in done.stderr, done.stderr
        if output:
            self._expect(output, done.stdout)

    def _expect(self, expected: str, output: str) -> None:
        assert is_shown(self._placed(expected), output), f"instead of\n{expected}\ncame\n{output}"

    def _converse(self, block: Block) -> None:
        """Send each line after `>`, and hear each one after `<`; `<` and `…` alone skips some."""
        with self._connected() as socket:
            seen: dict[str, str] = {}
            for line in block.text.splitlines():
                if line.startswith("> "):
                    socket.send(_with_ids(line[2:], seen))
                else:
                    assert line.startswith("< "), line
                    _hear(socket, line[2:], seen)

    @contextmanager
    def _connected(self) -> Iterator[ClientConnection]:
        token = (self._folder / "data" / "token").read_text().strip()
        with connect(
            f"ws://127.0.0.1:{self._ports['3271']}/gateway",
            additional_headers={"Authorization": f"Bearer {token}"},
            subprotocols=[Subprotocol("agentspace.v1.json")],
            proxy=None,
        ) as socket:
            yield socket


def _hear(socket: ClientConnection, expected: str, seen: dict[str, str]) -> None:
    """Hear messages until one is as expected; only pieces of an answer may come before it."""
    while True:
        frame = str(socket.recv(timeout=SECONDS))
        message = json.loads(frame)
        seen.update({kind: message[f"{kind}Id"] for kind in IDS if f"{kind}Id" in message})
        seen.update({"call": message["toolCallId"]} if "toolCallId" in message else {})
        if pattern(expected).fullmatch(frame):
            return
        assert message["type"] in STREAMED, f"instead of {expected} came {frame}"


def _with_ids(line: str, seen: dict[str, str]) -> str:
    """A message with the ids in it that were told last."""
    line = re.sub(r"toolu_…", lambda _: seen["call"], line)
    return re.sub(rf"({'|'.join(IDS)})_…", lambda found: seen[found[1]], line)


def _end(child: subprocess.Popen[str]) -> None:
    child.terminate()
    try:
        child.communicate(timeout=SECONDS)
    finally:
        child.kill()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])
