"""Output that goes where it is slow, and what keeps its form on the way."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.shell import AGENTSPACE, SECONDS, environment, run


def test_a_full_pipe_that_does_not_wait_is_waited_for(tmp_path: Path) -> None:
    """A parent may have set O_NONBLOCK on its end; the schema is more than a pipe holds."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with (
        subprocess.Popen(
            [*AGENTSPACE, "schema"], env=environment(tmp_path), stdout=writer
        ) as process,
        os.fdopen(reader, "rb") as read,
    ):
        os.close(writer)
        assert len(read.read()) > 100_000
        assert process.wait(SECONDS) == 0


@pytest.mark.parametrize("variables", [{}, {"PYTHONUNBUFFERED": "1"}], ids=["usual", "unbuffered"])
def test_the_streams_stay_as_the_interpreter_made_them(
    tmp_path: Path, variables: dict[str, str]
) -> None:
    """Their encodings, and whether they keep what is written for a while."""
    told = "', '.join(str((s.encoding, s.line_buffering, s.write_through)) for s in streams)"
    line = f"streams = (sys.stdout, sys.stderr); print({told}, flush=True)"
    prepare = "from gateway.cli.standard_streams import prepare_streams; prepare_streams()"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; {line}; {prepare}; {line}"],
        env=environment(tmp_path, PYTHONIOENCODING="latin-1", **variables),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    )
    before, after = done.stdout.splitlines()
    assert after == before


def test_a_stdin_that_is_closed_is_an_empty_one(tmp_path: Path) -> None:
    """What would be read from it is missing, and that is what is told."""
    script = f'exec "$0" -c "{AGENTSPACE[2]}" keys add --stdin <&-'
    done = subprocess.run(
        ["/bin/sh", "-c", script, AGENTSPACE[0]],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == run(tmp_path, "keys", "add", "--stdin", stdin="").stderr
