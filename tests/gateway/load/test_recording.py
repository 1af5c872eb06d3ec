"""Client messages with their times, as lines of JSON."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from agentspace.messages import ChatSend, ToolOutput
from gateway.load.recording import BadRecording, Recorder, open_recorder, placed, read_recording

HELLO = {"type": "chat.send", "id": "1", "content": "hello"}


def recording(folder: Path, *lines: object) -> Path:
    path = folder / "recording.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


def line(at: float, message: dict[str, Any], client: str = "a") -> dict[str, Any]:
    return {"at": at, "client": client, "message": message}


def test_lines_are_played_in_the_order_of_their_times(tmp_path: Path) -> None:
    """Whatever their order in the file."""
    path = recording(tmp_path, line(2, HELLO), line(0.5, {"type": "ping", "id": "2"}, "b"))
    assert [(each.at, each.client) for each in read_recording(path)] == [(0.5, "b"), (2.0, "a")]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "holds no message"),
        ([line(0, HELLO), {"at": 1}], "line 2"),
        ([line(0, {"type": "chat.shout", "id": "1"})], "line 1"),
        ([line(0, {"type": "tool.output", "id": "1", "toolCallId": 7, "content": "x"})], "line 1"),
        ([line(-1, HELLO)], "in seconds"),
    ],
    ids=["empty", "no line", "unknown", "ill typed", "before the start"],
)
def test_a_file_that_cannot_be_played_is_refused(
    tmp_path: Path, lines: list[object], words: str
) -> None:
    """With its line, before anything is sent."""
    with pytest.raises(BadRecording, match=words):
        read_recording(recording(tmp_path, *lines))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """With its name."""
    with pytest.raises(BadRecording, match=r"nothing\.jsonl cannot be read"):
        read_recording(tmp_path / "nothing.jsonl")


def test_what_was_recorded_can_be_played(tmp_path: Path) -> None:
    """Ids of the gateway's are told by what stands for them; the first message comes at 0."""
    file = io.StringIO()
    recorder = Recorder(file)
    recorder.take("c1", ChatSend(id="1", content="$session", session_id="session_7"))
    recorder.take("c1", ToolOutput(id="2", tool_call_id="toolu_7", content="noon"))
    path = tmp_path / "made.jsonl"
    path.write_text(file.getvalue())
    first, second = read_recording(path)
    assert first.at == 0
    assert first.message["sessionId"] == "$session"
    assert first.message["content"] == "$session"
    assert second.message["toolCallId"] == "$call"


def test_what_was_told_takes_its_place() -> None:
    """Only in fields of ids; what was never told is left out."""
    message = {"content": "$session", "sessionId": "$session", "turnId": "$turn"}
    told = {"$session": "session_1", "$turn": ""}
    assert placed(message, told) == {"content": "$session", "sessionId": "session_1"}
    assert placed({"sessionId": "session_2"}, told) == {"sessionId": "session_2"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
def test_a_full_disk_ends_the_recording_in_one_line() -> None:
    """Whether it shows while something is sent or at the end."""
    message = ChatSend(id="1", content="x" * 100_000)

    def record(times: int) -> None:
        with open_recorder(Path("/dev/full")) as recorder:
            for _ in range(times):
                recorder.take("c1", message)

    for times in (1, 2):
        with pytest.raises(BadRecording, match="/dev/full cannot be written: No space left"):
            record(times)
