from tests.actors.fakes import open_world, text_of, kinds_of
async def test_x(autojump_clock):
    """x."""
    async with open_world() as world:
        c = world.connect()
        frames = await c.converse("Hi")
        print(frames)
        assert text_of(frames)=="Hello."
        print(world.row)
