"""Memory and skills from the agents' folders."""

from __future__ import annotations

from pathlib import Path

from actors.ports import AgentFiles, Skill
from gateway.library import NOTHING, FolderLibrary


def write(path: Path, text: str) -> None:
    """A file with the folders it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


async def test_an_agent_without_a_folder_has_nothing(tmp_path: Path) -> None:
    """No folder, no memory, no skills."""
    assert await FolderLibrary(tmp_path).read("default") == NOTHING


async def test_memory_is_a_file_or_a_folder_of_them(tmp_path: Path) -> None:
    """`memory.md` comes first, then the folder's files by name."""
    write(tmp_path / "a" / "memory.md", "Sails.\n")
    write(tmp_path / "a" / "memory" / "2.md", "Second.")
    write(tmp_path / "a" / "memory" / "1.md", "First.")
    write(tmp_path / "a" / "memory" / "notes.txt", "Not this.")
    files = await FolderLibrary(tmp_path).read("a")
    assert files.memory == "Sails.\n\nFirst.\n\nSecond."


async def test_a_skill_is_its_front_matter(tmp_path: Path) -> None:
    """Name and description are told; the body stays on disk; a broken one is left out."""
    write(
        tmp_path / "a" / "skills" / "knots" / "SKILL.md",
        "---\nname: knots\ndescription: >\n  How to\n  tie knots.\n---\nThe body.",
    )
    write(tmp_path / "a" / "skills" / "none" / "SKILL.md", "No front matter.")
    write(tmp_path / "a" / "skills" / "half" / "SKILL.md", "---\nname: half\n---\n")
    write(tmp_path / "a" / "skills" / "odd" / "SKILL.md", "---\n[: :\n---\n")
    files = await FolderLibrary(tmp_path).read("a")
    assert files == AgentFiles(memory="", skills=(Skill("knots", "How to tie knots."),))


async def test_files_are_read_as_they_are_now(tmp_path: Path) -> None:
    """A changed file is seen at the next request."""
    library = FolderLibrary(tmp_path)
    write(tmp_path / "a" / "memory.md", "old")
    assert (await library.read("a")).memory == "old"
    write(tmp_path / "a" / "memory.md", "new")
    assert (await library.read("a")).memory == "new"


async def test_no_path_leads_out_of_the_folder(tmp_path: Path) -> None:
    """Neither a name with dots nor a link is followed to elsewhere."""
    agents = tmp_path / "agents"
    write(tmp_path / "secret" / "memory.md", "secret")
    write(agents / "a" / "skills" / "x" / "SKILL.md", "---\nname: x\ndescription: y\n---\n")
    (agents / "a" / "memory.md").symlink_to(tmp_path / "secret" / "memory.md")
    (agents / "b").symlink_to(tmp_path / "secret")
    library = FolderLibrary(agents)
    assert (await library.read("a")).memory == ""
    assert (await library.read("b")) == NOTHING
    assert (await library.read("../secret")) == NOTHING


async def test_a_file_that_is_no_text_is_read_as_well_as_it_can(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 are replaced; a folder in a file's place is nothing."""
    write(tmp_path / "a" / "memory.md", "")
    (tmp_path / "a" / "memory.md").write_bytes(b"caf\xe9")
    (tmp_path / "b" / "memory.md").mkdir(parents=True)
    library = FolderLibrary(tmp_path)
    assert (await library.read("a")).memory == "caf�"
    assert (await library.read("b")).memory == ""
