"""Work of many small steps."""

from collections.abc import Generator

import pytest
import trio

from actors.steps import in_steps


async def test_others_have_a_turn_after_each_step() -> None:
    """Two works of three steps take turns, and each has its result."""
    seen: list[str] = []

    def work(name: str) -> Generator[None, None, str]:
        for _ in range(3):
            seen.append(name)
            yield
        return name.upper()

    async def do(name: str) -> None:
        assert await in_steps(work(name)) == name.upper()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(do, "a")
        nursery.start_soon(do, "b")
    assert "aaa" not in "".join(seen)
    assert sorted(seen) == ["a"] * 3 + ["b"] * 3


async def test_what_a_step_raises_is_raised() -> None:
    """Where the result would have been."""

    def work() -> Generator[None, None, None]:
        yield
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await in_steps(work())
