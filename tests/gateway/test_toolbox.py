"""`read_skill`, and the tools of a further source."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import trio

from actors.ports import Tools
from gateway.library import FolderLibrary
from gateway.toolbox import Toolbox, ToolSource
from protocol.tools import READ_SKILL, LeftOutTool, OfferedTool, ToolAnswer

SECONDS = 10.0
FRONT = "---\nname: {}\ndescription: About {}.\n---\n"


class Others:
    """A further source of tools."""

    def __init__(self, *names: str) -> None:
        self.names = names
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def offered(self) -> list[OfferedTool]:
        return [
            OfferedTool(name=name, description=name, input_schema={"type": "object"})
            for name in self.names
        ]

    def left_out(self) -> list[LeftOutTool]:
        return [LeftOutTool(name="odd", server="s", reason="it is odd")]

    def may_return(self, name: str) -> bool:
        return name in ("away", "read_skill")

    def absent(self, name: str) -> str:
        return f"{name} is out."

    async def call(self, name: str, args: dict[str, Any]) -> ToolAnswer:
        await trio.lowlevel.checkpoint()
        self.calls.append((name, args))
        return ToolAnswer(content="from elsewhere")


def write(path: Path, text: str | bytes) -> Path:
    """A file with the folders it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.fixture
def knots(tmp_path: Path) -> Path:
    """The folder of the agent's skill `knots`, which says `Tie them.`"""
    text = FRONT.format("knots", "knots") + "\nTie them.\n"
    return write(tmp_path / "agents" / "a" / "skills" / "knots" / "SKILL.md", text).parent


def open_toolbox(knots: Path, source: ToolSource | None = None, **options: int) -> Toolbox:
    """The toolbox of the agents among which `knots` is."""
    return Toolbox(FolderLibrary(knots.parents[2]), source, **options)


async def offered(toolbox: Tools, knots: Path, agent_id: str) -> list[OfferedTool]:
    """What one of the agents among which `knots` is may call."""
    return toolbox.offered(await FolderLibrary(knots.parents[2]).read(agent_id))


async def read(toolbox: Toolbox, **args: Any) -> str:
    """What `read_skill` answers, which must be no error."""
    answer = await toolbox.call("a", READ_SKILL, args)
    assert not answer.is_error, answer
    return answer.text


async def fail(toolbox: Toolbox, **args: Any) -> str:
    """The error that `read_skill` answers."""
    answer = await toolbox.call("a", READ_SKILL, args)
    assert answer.is_error, answer
    return answer.text


async def test_an_agent_with_skills_is_offered_to_read_them_first(knots: Path) -> None:
    """Without asking anybody; then come the other tools."""
    write(knots.parent / "sails" / "SKILL.md", FRONT.format("sails", "sails"))
    toolbox: Tools = open_toolbox(knots, Others("search", "fetch"))
    first, *others = await offered(toolbox, knots, "a")
    assert (first.name, first.approval, first.risk) == ("read_skill", "auto", "low")
    assert first.input_schema["properties"]["name"]["enum"] == ["knots", "sails"]
    jsonschema.Draft202012Validator.check_schema(first.input_schema)
    jsonschema.validate({"name": "knots", "file": "x.md"}, first.input_schema)
    assert [tool.name for tool in others] == ["search", "fetch"]
    assert await offered(toolbox, knots, "a") == [first, *others]


async def test_an_agent_without_skills_is_offered_the_other_tools_alone(knots: Path) -> None:
    """The name stays reserved: nobody else can answer to it."""
    assert await offered(open_toolbox(knots), knots, "b") == []
    others = Others("search", "read_skill")
    toolbox = open_toolbox(knots, others)
    assert [tool.name for tool in await offered(toolbox, knots, "b")] == ["search"]
    assert [tool.name for tool in await offered(toolbox, knots, "a")] == ["read_skill", "search"]
    assert (await toolbox.call("b", "read_skill", {"name": "x"})).is_error
    assert others.calls == []


async def test_what_its_source_cannot_offer_is_told(knots: Path) -> None:
    """With a reason; without a source there is nothing."""
    toolbox: Tools = open_toolbox(knots, Others())
    assert [tool.name for tool in toolbox.left_out()] == ["odd"]
    assert open_toolbox(knots).left_out() == []


async def test_a_tool_may_return_where_its_source_says_so(knots: Path) -> None:
    """Its own name is never the source's."""
    toolbox: Tools = open_toolbox(knots, Others())
    assert [toolbox.may_return(name) for name in ("away", "gone", "read_skill")] == [
        True,
        False,
        False,
    ]
    assert not open_toolbox(knots).may_return("away")


async def test_what_is_no_tool_of_its_own_is_asked_of_the_source(knots: Path) -> None:
    """Its answer goes through; without a source there is no such tool."""
    others = Others("search")
    toolbox = open_toolbox(knots, others)
    assert toolbox.absent("search") == "search is out."
    assert toolbox.absent("read_skill") == "There is no tool named read_skill."
    answer = await toolbox.call("a", "search", {"q": 1})
    assert answer == ToolAnswer(content="from elsewhere")
    assert others.calls == [("search", {"q": 1})]
    assert await open_toolbox(knots).call("a", "search", {}) == ToolAnswer(
        content="There is no tool named search.", is_error=True
    )


async def test_a_skill_is_read_without_its_front_matter(knots: Path) -> None:
    """As it is on disk now, a rule in its text included."""
    toolbox = open_toolbox(knots)
    assert await read(toolbox, name="knots") == "Tie them."
    write(knots / "SKILL.md", FRONT.format("knots", "knots") + "One.\n\n---\n\nTwo.")
    assert await read(toolbox, name="knots", file=None) == "One.\n\n---\n\nTwo."
    write(knots / "SKILL.md", FRONT.format("knots", "knots"))
    assert await read(toolbox, name="knots") == "[It is empty.]"


async def test_a_long_skill_is_cut_and_says_so(knots: Path) -> None:
    """At a line's end; a long line somewhere within."""
    toolbox = open_toolbox(knots, skill_bytes=1024)
    write(knots / "SKILL.md", FRONT.format("knots", "knots") + "a line\n" * 9_000)
    text, note = (await read(toolbox, name="knots")).split("\n\n")
    assert text == "\n".join(["a line"] * 146)
    assert note == f"[This is not all of it: {9_000 * 7 - len(text)} bytes are left out.]"
    write(knots / "SKILL.md", FRONT.format("knots", "knots") + "é" * 600)
    text, note = (await read(toolbox, name="knots")).split("\n\n")
    assert text == "é" * 512
    assert "176 bytes" in note


async def test_the_further_files_of_a_skill_are_listed_and_read(knots: Path) -> None:
    """By their paths within its folder; hidden ones are no part of it."""
    write(knots / "reference.md", "All knots.")
    write(knots / "scripts" / "tie.py", "print('é')")
    write(knots / ".git" / "config", "hidden")
    toolbox = open_toolbox(knots)
    assert await read(toolbox, name="knots") == (
        "Tie them.\n\nFurther files:\n- reference.md\n- scripts/tie.py"
    )
    assert await read(toolbox, name="knots", file="reference.md") == "All knots."
    assert await read(toolbox, name="knots", file="./scripts/tie.py") == "print('é')"
    assert "no file of this skill" in await fail(toolbox, name="knots", file=".git/config")


async def test_a_long_file_of_a_skill_is_cut_and_says_so(knots: Path) -> None:
    """Also in the middle of a letter of several bytes."""
    write(knots / "long.txt", "x" + "é" * 1000)
    text = await read(open_toolbox(knots, skill_bytes=1024), name="knots", file="long.txt")
    assert text == "x" + "é" * 511 + "\n\n[This is not all of it: 978 bytes are left out.]"


async def test_only_so_many_files_are_listed(knots: Path) -> None:
    """A folder of thousands, or one that leads into itself, fills no context."""
    (knots / "again").symlink_to(".")
    for number in range(150):
        write(knots / f"{number:03}.md", "x")
    lines = (await read(open_toolbox(knots), name="knots")).splitlines()
    assert lines[-2:] == ["- 099.md", "- and more"]
    assert not any("again" in line for line in lines)


async def test_nothing_outside_the_skill_is_read(knots: Path) -> None:
    """Neither by a path nor by a link, be it within the agent's folder; nothing is waited for."""
    write(knots.parents[1] / "memory.md", "treasure")
    secret = write(knots.parents[3] / "secret.md", "treasure")
    (knots / "out.md").symlink_to(secret)
    (knots / "memory.md").symlink_to("../../memory.md")
    (knots / "folder").symlink_to(knots.parents[1])
    (knots / "zero").symlink_to("/dev/zero")
    os.mkfifo(knots / "fifo")
    toolbox = open_toolbox(knots)
    assert await read(toolbox, name="knots") == "Tie them."
    paths = ["out.md", "memory.md", "folder/memory.md", "../../memory.md", "..", ".", "", "/", "//"]
    paths += [str(secret), "fifo", "zero", "folder", "none.md", "a\0b", "\ud800", "x" * 5000]
    with trio.fail_after(SECONDS):
        for path in paths:
            told = await fail(toolbox, name="knots", file=path)
            assert told.startswith("This cannot be read: ")
            assert "treasure" not in told


async def test_a_file_of_a_skill_that_is_no_text_is_not_read(knots: Path) -> None:
    """What is no UTF-8, or has a NUL."""
    write(knots / "latin.txt", b"caf\xe9")
    write(knots / "nul.txt", b"a\0b")
    toolbox = open_toolbox(knots)
    for file in ("latin.txt", "nul.txt"):
        assert await fail(toolbox, name="knots", file=file) == (
            f"This cannot be read: {file} is no text."
        )


async def test_an_unknown_skill_is_answered_with_those_that_there_are(knots: Path) -> None:
    """An error that the model can learn from."""
    toolbox = open_toolbox(knots)
    told = await fail(toolbox, name="splices")
    assert told == "There is no skill of this name. There are: knots."
    answer = await toolbox.call("b", READ_SKILL, {"name": "knots"})
    assert answer == ToolAnswer(
        content="There is no skill of this name. There are none.", is_error=True
    )


@pytest.mark.parametrize(
    "args", [{}, {"name": 1}, {"name": ["knots"]}, {"name": "knots", "file": 1}]
)
async def test_arguments_that_do_not_fit_are_an_error(knots: Path, args: dict[str, Any]) -> None:
    """The model is told which."""
    told = await fail(open_toolbox(knots), **args)
    assert told.startswith("The arguments do not fit: ")
    assert ("name" in told) or ("file" in told)
