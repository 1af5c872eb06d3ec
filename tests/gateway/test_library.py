"""Memory and skills from the agents' folders."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from actors.ports import AgentFiles, Skill
from gateway.library import NOTHING, FolderLibrary, Refused, confined
from gateway.library.memory import MemoryFile, compose, cut

SECONDS = 10.0


def write(path: Path, text: str | bytes) -> Path:
    """A file with the folders it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def write_skill(agent: Path, folder: str, *, name: str, body: str = "The body.") -> Path:
    """A skill's folder."""
    text = f"---\nname: {name}\ndescription: About {name}.\n---\n{body}"
    return write(agent / "skills" / folder / "SKILL.md", text).parent


def later() -> int:
    """A clock far enough ahead for every change to be settled."""
    return time.time_ns() + 3_600_000_000_000


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes were asked of each file that was really read."""
    asked: list[int] = []
    real = confined._read

    def read(descriptor: int, limit: int) -> bytes:
        asked.append(limit)
        return real(descriptor, limit)

    monkeypatch.setattr(confined, "_read", read)
    return asked


@pytest.fixture
def before_opening(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Callable[[], Any]], None]:
    """Let something happen between the look at a file and its opening."""
    real = os.open

    def install(name: str, happen: Callable[[], Any], after: Callable[[], Any] = int) -> None:
        def opened(path: Any, *args: Any, **options: Any) -> int:
            mine = str(path).endswith(name)
            if mine:
                happen()
            descriptor = real(path, *args, **options)
            if mine:
                after()
            return descriptor

        monkeypatch.setattr(os, "open", opened)

    return install


# --- memory ------------------------------------------------------------------------------------


async def test_an_agent_without_a_folder_has_nothing(tmp_path: Path) -> None:
    """No folder, no memory, no skills."""
    assert await FolderLibrary(tmp_path).read("default") == NOTHING


async def test_memory_is_a_file_or_a_folder_of_them(tmp_path: Path) -> None:
    """`memory.md` comes first, then the folder's files by name; hidden ones are no part of it."""
    write(tmp_path / "a" / "memory.md", "Sails.\n")
    write(tmp_path / "a" / "memory" / "2.md", "Second.")
    write(tmp_path / "a" / "memory" / "1.md", "First.")
    write(tmp_path / "a" / "memory" / "notes.txt", "Not this.")
    write(tmp_path / "a" / "memory" / ".draft.md", "Nor this.")
    files = await FolderLibrary(tmp_path).read("a")
    assert files.memory == "Sails.\n\nFirst.\n\nSecond."


async def test_memory_that_fits_its_budget_to_the_byte_is_whole(tmp_path: Path) -> None:
    """The line's end at the end of a file does not count."""
    write(tmp_path / "a" / "memory.md", "é" * 500 + "\n")
    write(tmp_path / "a" / "memory" / "1.md", "x" * 22 + "\r\n")
    library = FolderLibrary(tmp_path, memory_bytes=1024)
    assert (await library.read("a")).memory == "é" * 500 + "\n\n" + "x" * 22


async def test_memory_beyond_its_budget_is_cut_at_a_line_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """In order until the budget is spent; one line names what was left out, once in the log."""
    write(tmp_path / "a" / "memory.md", "line\n" * 60)
    line = "long " * 19 + "line"
    write(tmp_path / "a" / "memory" / "1.md", f"{line}\n" * 14)
    write(tmp_path / "a" / "memory" / "2.md", "short")
    library = FolderLibrary(tmp_path, memory_bytes=1024)
    memory = (await library.read("a")).memory
    first, second, note = memory.split("\n\n")
    assert first == "\n".join(["line"] * 60)
    assert second == f"{line}\n{line}"
    assert note == (
        "[Memory is limited to 1024 bytes. Left out: "
        f"the rest of memory/1.md ({1400 - len(second)} bytes); memory/2.md (5 bytes).]"
    )
    assert len(memory.encode()) <= 1024
    assert (await library.read("a")).memory == memory
    assert [record.getMessage() for record in caplog.records] == [f"agent a: {note}"]


async def test_what_comes_after_a_cut_is_left_out_though_it_would_fit(tmp_path: Path) -> None:
    """The order counts: nothing is picked from further behind."""
    write(tmp_path / "a" / "memory.md", ("x" * 99 + "\n") * 6)
    write(tmp_path / "a" / "memory" / "1.md", "short")
    write(tmp_path / "a" / "memory" / "2.md", "y" * 600)
    memory = (await FolderLibrary(tmp_path, memory_bytes=1024).read("a")).memory
    assert memory.startswith("x" * 99)
    assert "memory/1.md (5 bytes); memory/2.md (600 bytes).]" in memory


async def test_a_change_of_what_is_left_out_is_logged_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A line a change, not a request."""
    library = FolderLibrary(tmp_path, memory_bytes=1024)
    for size in (2000, 2000, 3000):
        write(tmp_path / "a" / "memory.md", "x" * size)
        for _ in range(3):
            await library.read("a")
    assert [f"({size} bytes)" in caplog.text for size in (2000, 3000)] == [True, True]
    assert len(caplog.records) == 2


async def test_a_long_list_of_what_is_left_out_is_cut_short(tmp_path: Path) -> None:
    """One line within its own bound, whatever the names are."""
    write(tmp_path / "a" / "memory.md", "x" * 5000)
    for number in range(40):
        write(tmp_path / "a" / "memory" / f"{number:02}\n\x1b[2J {'é' * 60}.md", "y" * 10)
    library = FolderLibrary(tmp_path, memory_bytes=1024)
    memory = (await library.read("a")).memory
    assert memory.isprintable()
    assert len(memory.encode()) <= 512
    assert "; memory/00��[2J é" in memory
    assert memory.endswith(" more (together 380 bytes).]")


async def test_a_file_name_that_is_no_utf8_can_be_sent(tmp_path: Path) -> None:
    """Names may hold any byte; a text may not."""
    write(tmp_path / "a" / "memory" / os.fsdecode(b"caf\xe9.md"), "x" * 2000)
    memory = (await FolderLibrary(tmp_path, memory_bytes=1024).read("a")).memory
    assert "memory/caf�.md (2000 bytes)" in memory.encode().decode()


async def test_of_a_huge_file_no_more_than_the_budget_is_read(
    tmp_path: Path, reads: list[int]
) -> None:
    """What is left out is told from its size; what comes behind it is not read at all."""
    huge = write(tmp_path / "a" / "memory.md", "line\n" * 1000)
    os.truncate(huge, 1 << 40)
    write(tmp_path / "a" / "memory" / "1.md", "behind")
    memory = (await FolderLibrary(tmp_path, memory_bytes=1024).read("a")).memory
    assert memory.startswith("line\nline\n")
    assert f"({(1 << 40) - memory.index('[') + 2} bytes); memory/1.md (6 bytes)" in memory
    assert sum(max(asked, 0) for asked in reads) <= 1026


async def test_what_is_no_text_is_replaced(tmp_path: Path) -> None:
    """Bytes that are no UTF-8, NUL, a byte order mark: what is sent is text that is taken."""
    write(tmp_path / "a" / "memory.md", b"\xef\xbb\xbfcaf\xe9 \x00 \xed\xa0\x80")
    assert (await FolderLibrary(tmp_path).read("a")).memory == "caf� � ���"


async def test_a_cut_splits_no_letter(tmp_path: Path) -> None:
    """Letters of several bytes, and broken ones that grow when they are replaced."""
    for bytes_ in ("é\n" * 900, b"\xff\n" * 900, "𝄞" * 300 + "\n" + "𝄞" * 300):
        write(tmp_path / "a" / "memory.md", bytes_)
        memory = (await FolderLibrary(tmp_path, memory_bytes=1024).read("a")).memory
        assert len(memory.encode()) <= 1024
        assert {*memory.rpartition("[")[0].strip()} <= {"é", "\n", "�"}


def test_a_line_that_ends_where_the_room_does_is_kept() -> None:
    """Its line end need not fit."""
    assert cut("ab\ncd\nef", 5) == "ab\ncd"
    assert cut("ab\ncd\nef", 4) == "ab"
    assert cut("ab\ncd\nef", -1) == ""


@given(
    st.lists(st.text("aé\n 𝄞", max_size=400), max_size=8),
    st.integers(min_value=1024, max_value=3000),
)
def test_any_memory_keeps_to_its_budget(texts: list[str], budget: int) -> None:
    """Never a byte more; whole when it fits; the same again."""
    pieces = [
        MemoryFile(f"memory/{number}.md", len(text.encode()), text.strip(), True)
        for number, text in enumerate(texts)
    ]
    memory, note = compose(pieces, budget)
    whole = "\n\n".join(piece.text for piece in pieces if piece.text)
    assert len(memory.encode()) <= budget
    assert (memory == whole) == (len(whole.encode()) <= budget) == (not note)
    assert compose(pieces, budget) == (memory, note)
    if note:
        assert "\n" not in note
        assert memory.endswith(note)
        assert whole.startswith(memory.removesuffix(note).rstrip())


# --- hot reload --------------------------------------------------------------------------------


async def test_files_are_read_as_they_are_now(tmp_path: Path) -> None:
    """What was changed, added, removed or renamed counts at the very next request."""
    library = FolderLibrary(tmp_path, clock=later)
    agent = tmp_path / "a"
    assert (await library.read("a")) == NOTHING
    write(agent / "memory.md", "old")
    assert (await library.read("a")).memory == "old"
    write(agent / "memory.md", "newer")
    assert (await library.read("a")).memory == "newer"
    write(agent / "memory" / "1.md", "added")
    assert (await library.read("a")).memory == "newer\n\nadded"
    (agent / "memory" / "1.md").rename(agent / "memory" / "1.txt")
    assert (await library.read("a")).memory == "newer"
    write_skill(agent, "x", name="knots")
    assert [skill.name for skill in (await library.read("a")).skills] == ["knots"]
    write_skill(agent, "x", name="sails")
    assert [skill.name for skill in (await library.read("a")).skills] == ["sails"]
    (agent / "skills").rename(agent / "gone")
    (agent / "memory.md").unlink()
    assert (await library.read("a")) == NOTHING
    agent.rename(tmp_path / "b")
    assert (await library.read("a")) == NOTHING


async def test_a_file_replaced_by_another_of_the_same_size_and_time_is_read(
    tmp_path: Path,
) -> None:
    """As editors and `cp -p` do it."""
    library = FolderLibrary(tmp_path, clock=later)
    memory = write(tmp_path / "a" / "memory.md", "tea")
    os.utime(memory, ns=(1, 1))
    assert (await library.read("a")).memory == "tea"
    other = write(tmp_path / "other", "rum")
    os.utime(other, ns=(1, 1))
    other.replace(memory)
    assert (await library.read("a")).memory == "rum"


async def test_two_changes_within_one_tick_of_the_clock_are_both_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system's clock is coarse: the stamp alone does not tell them apart."""
    memory = write(tmp_path / "a" / "memory.md", "tea")
    library = FolderLibrary(tmp_path)
    frozen = {str(path): path.stat() for path in (memory, memory.parent)}
    real = os.stat
    monkeypatch.setattr(
        os, "stat", lambda path, **options: frozen.get(str(path)) or real(path, **options)
    )
    assert (await library.read("a")).memory == "tea"
    memory.write_text("rum")
    assert (await library.read("a")).memory == "rum"


async def test_files_that_did_not_change_are_not_read_again(
    tmp_path: Path, reads: list[int]
) -> None:
    """The very same answer: not a byte of it can differ."""
    write(tmp_path / "a" / "memory.md", "Sails.")
    write(tmp_path / "a" / "memory" / "1.md", "Knots.")
    write_skill(tmp_path / "a", "x", name="knots")
    library = FolderLibrary(tmp_path, clock=later)
    first = await library.read("a")
    assert len(reads) == 3
    assert await library.read("a") is first
    assert len(reads) == 3


async def test_many_agents_are_not_all_kept(tmp_path: Path) -> None:
    """What is kept in memory is bounded; all are answered."""
    library = FolderLibrary(tmp_path, clock=later)
    for number in range(300):
        write(tmp_path / str(number) / "memory.md", str(number))
        assert (await library.read(str(number))).memory == str(number)
    assert len(library._readings) == 256
    assert (await library.read("0")).memory == "0"


# --- confinement -------------------------------------------------------------------------------


async def test_no_path_leads_out_of_the_folder(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither a name with dots nor a link, to a file or a folder, is followed to elsewhere."""
    agents = tmp_path / "agents"
    secret = write(tmp_path / "secret" / "memory.md", "secret").parent
    write_skill(secret, "x", name="secret")
    write(agents / "a" / "memory" / "1.md", "mine")
    (agents / "a" / "memory.md").symlink_to(secret / "memory.md")
    (agents / "a" / "skills").symlink_to(secret / "skills")
    (agents / "a" / "memory" / "2.md").symlink_to("../../../secret/memory.md")
    (agents / "b").symlink_to(secret)
    (agents / "c" / "skills").mkdir(parents=True)
    (agents / "c" / "skills" / "x").symlink_to(secret / "skills" / "x")
    (agents / "c" / "memory").symlink_to(secret)
    (agents / "d").symlink_to(agents)
    (agents / "e").symlink_to("e")
    library = FolderLibrary(agents)
    for _ in range(2):
        assert (await library.read("a")) == AgentFiles(memory="mine", skills=())
        for name in ("b", "c", "d", "e", "../secret", "..", ".", "", "a/../b", "a/", "a\0", "a\n"):
            assert (await library.read(name)) == NOTHING
    assert (await library.read("a" * 5000)) == NOTHING
    assert "secret/" not in caplog.text
    assert sorted(record.getMessage() for record in caplog.records) == [
        "agent a: memory.md leads out of its folder; it is left out of the memory",
        "agent a: memory/2.md leads out of its folder; it is left out of the memory",
        "agent a: skills leads out of its folder; it is left out",
        "agent b: its folder leads out of the agents' folders",
        "agent c: memory leads out of its folder; it is left out",
        "agent c: skills/x/SKILL.md leads out of its folder; this skill is left out",
        "agent d: its folder leads out of the agents' folders",
        "agent e: its folder cannot be found",
    ]


async def test_a_file_of_several_names_is_not_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One of them may be outside: a hard link does not say."""
    agents = tmp_path / "agents"
    secret = write(tmp_path / "secret.md", "secret")
    write_skill(agents / "a", "x", name="x")
    (agents / "a" / "memory.md").hardlink_to(secret)
    (agents / "a" / "skills" / "x" / "more.md").hardlink_to(secret)
    library = FolderLibrary(agents)
    assert (await library.read("a")).memory == ""
    assert "memory.md is a hard link" in caplog.text
    with pytest.raises(Refused, match="hard link"):
        await library.read_skill("a", "x", "more.md", limit=1_000)
    secret.unlink()
    (agents / "a" / "skills" / "x" / "more.md").unlink()
    assert (await library.read("a")).memory == "secret"


async def test_a_link_within_the_agents_folder_is_followed(tmp_path: Path) -> None:
    """It leads nowhere that could not be read anyway; so does a link on the way to the agents."""
    write(tmp_path / "real" / "a" / "notes" / "sails.md", "Sails.")
    (tmp_path / "real" / "a" / "memory.md").symlink_to("notes/sails.md")
    (tmp_path / "agents").symlink_to("real")
    assert (await FolderLibrary(tmp_path / "agents").read("a")).memory == "Sails."


async def test_what_is_no_file_is_neither_opened_nor_waited_for(
    tmp_path: Path, before_opening: Callable[..., None]
) -> None:
    """A folder, a FIFO that nobody writes to, a socket, an endless device, a dangling link."""
    memory = tmp_path / "a" / "memory"
    (memory / "folder.md").mkdir(parents=True)
    os.mkfifo(memory / "fifo.md")
    (memory / "zero.md").symlink_to("/dev/zero")
    (memory / "nowhere.md").symlink_to("nowhere")
    (memory / "circle.md").symlink_to("circle.md")
    write(memory / "file.md", "a file")
    (tmp_path / "a" / "skills" / "x").mkdir(parents=True)
    os.mkfifo(tmp_path / "a" / "skills" / "x" / "SKILL.md")
    opened: list[bool] = []
    before_opening("fifo.md", lambda: opened.append(True))
    with socket.socket(socket.AF_UNIX) as listener, trio.fail_after(SECONDS):
        listener.bind(str(memory / "socket.md"))
        assert await FolderLibrary(tmp_path).read("a") == AgentFiles(memory="a file", skills=())
    assert not opened


async def test_a_file_exchanged_for_a_link_before_it_is_opened_is_not_read(
    tmp_path: Path, before_opening: Callable[..., None]
) -> None:
    """What counts is where the opened file is, not where it was when it was looked at."""
    secret = write(tmp_path / "secret", "secret")
    memory = write(tmp_path / "agents" / "a" / "memory.md", "mine")

    def exchange() -> None:
        memory.unlink()
        memory.symlink_to(secret)

    before_opening("memory.md", exchange)
    assert await FolderLibrary(tmp_path / "agents").read("a") == NOTHING


async def test_a_folder_exchanged_for_a_link_before_a_file_in_it_is_opened_is_not_read(
    tmp_path: Path, before_opening: Callable[..., None]
) -> None:
    """Neither is what lies behind it."""
    secret = write(tmp_path / "secret" / "1.md", "secret").parent
    memory = write(tmp_path / "agents" / "a" / "memory" / "1.md", "mine").parent

    def exchange() -> None:
        memory.rename(tmp_path / "elsewhere")
        memory.symlink_to(secret)

    before_opening("1.md", exchange)
    assert await FolderLibrary(tmp_path / "agents").read("a") == NOTHING


async def test_a_file_exchanged_for_a_fifo_before_it_is_opened_is_not_waited_for(
    tmp_path: Path, before_opening: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    """It is opened without blocking, and looked at once more."""
    memory = write(tmp_path / "a" / "memory.md", "mine")

    def exchange() -> None:
        memory.unlink()
        os.mkfifo(memory)

    before_opening("memory.md", exchange)
    with trio.fail_after(SECONDS):
        assert await FolderLibrary(tmp_path).read("a") == NOTHING
    assert "memory.md is no file" in caplog.text


async def test_without_proc_an_opened_file_is_compared_with_the_one_at_its_real_path(
    tmp_path: Path, before_opening: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even a link that is there only while the file is opened does not help."""
    monkeypatch.setattr(confined, "DESCRIPTORS", str(tmp_path / "none"))
    secret = write(tmp_path / "secret", "secret")
    memory = write(tmp_path / "agents" / "a" / "memory.md", "mine")
    write(tmp_path / "agents" / "b" / "memory.md", "others")

    def exchange() -> None:
        memory.rename(tmp_path / "kept")
        memory.symlink_to(secret)

    def restore() -> None:
        (tmp_path / "kept").replace(memory)

    library = FolderLibrary(tmp_path / "agents")
    assert (await library.read("a")).memory == "mine"
    before_opening("a/memory.md", exchange, restore)
    assert await library.read("a") == NOTHING
    assert (await library.read("b")).memory == "others"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
async def test_a_file_that_may_not_be_read_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The others are read; the log says why one is not."""
    write(tmp_path / "a" / "memory.md", "mine").chmod(0)
    write(tmp_path / "a" / "memory" / "1.md", "others")
    assert (await FolderLibrary(tmp_path).read("a")).memory == "others"
    assert "memory.md cannot be read: Permission denied" in caplog.text


async def test_what_cannot_be_read_just_now_counts_as_unchanged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The model is not told that its memory is empty, only because no file can be opened."""
    write(tmp_path / "a" / "memory.md", "mine")
    write(tmp_path / "a" / "memory" / "1.md", "more")
    write(tmp_path / "a" / "skills" / "tides" / "SKILL.md", "---\nname: tides\n---\n")
    library = FolderLibrary(tmp_path)
    before = await library.read("a")

    def refuse(*_: object) -> int:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        assert [await library.read("a") for _ in range(2)] == [before] * 2
    assert caplog.text.count("memory cannot be read: Too many open files") == 1
    write(tmp_path / "a" / "memory.md", "changed")
    assert (await library.read("a")).memory == "changed\n\nmore"


# --- skills ------------------------------------------------------------------------------------


async def test_a_skill_is_its_front_matter(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Name and description are told; the body stays on disk; a broken one is left out."""
    skills = tmp_path / "a" / "skills"
    write(
        skills / "knots" / "SKILL.md",
        "---\nname: knots\ndescription: >\n  How to\n  tie knots.\n---\nThe body.",
    )
    write(skills / "marked" / "SKILL.md", "\ufeff---\r\nname: 7\r\ndescription: seven\r\n---\r\n")
    write(skills / "none" / "SKILL.md", "No front matter.")
    write(skills / "open" / "SKILL.md", "---\nname: open\ndescription: open\n")
    write(skills / "half" / "SKILL.md", "---\nname: half\n---\n")
    write(skills / "list" / "SKILL.md", "---\n- name\n---\n")
    write(skills / "odd" / "SKILL.md", "---\n[: :\n---\n")
    write(skills / "date" / "SKILL.md", "---\nname: x\ndescription: 2026-99-99\n---\n")
    write(skills / "deep" / "SKILL.md", "---\nname: " + "[" * 7_000 + "\n---\n")
    write(skills / "long" / "SKILL.md", "---\nname: " + "x" * 9_000 + "\n---\n")
    laughs = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
    write(
        skills / "laughs" / "SKILL.md",
        f"---\na0: &a0 ha\n{laughs}name: *a11\ndescription: *a11\n---\n",
    )
    files = await FolderLibrary(tmp_path).read("a")
    assert files.skills == (Skill("knots", "How to tie knots."), Skill("7", "seven"))
    assert len(caplog.records) == 9


async def test_of_two_skills_with_one_name_the_first_folder_wins(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """By the order of the folders' names; the log says so once."""
    write_skill(tmp_path / "a", "2", name="knots", body="second")
    write_skill(tmp_path / "a", "1", name="knots", body="first")
    library = FolderLibrary(tmp_path)
    for _ in range(2):
        assert len((await library.read("a")).skills) == 1
    assert (await library.read_skill("a", "knots", limit=1024)).text == "first"
    assert [record.getMessage() for record in caplog.records] == [
        "agent a: skills/2 has the name of skills/1, knots; this skill is left out"
    ]


async def test_a_skill_of_another_agent_is_not_found(tmp_path: Path) -> None:
    """Nor one of an agent that there is not."""
    write_skill(tmp_path / "a", "knots", name="knots")
    write(tmp_path / "b" / "memory.md", "b")
    library = FolderLibrary(tmp_path)
    for agent in ("b", "nobody"):
        with pytest.raises(Refused, match="there is no skill knots"):
            await library.read_skill(agent, "knots", limit=1024)
