"""The least that anything under trio could cost: bytes, moved both ways.

It knows no WebSocket, no JSON and no ledger. `python -m scripts.benchmark.relay PORT` relays to the
provider at that port of this machine.
"""

from __future__ import annotations

import json
import sys

import trio


async def pump(source: trio.SocketStream, sink: trio.SocketStream) -> None:
    """All that comes from one to the other, its end included."""
    async for data in source:
        await sink.send_all(data)
    await sink.send_eof()


async def relay(port: int) -> None:
    """Serve until killed."""

    async def serve(client: trio.SocketStream) -> None:
        async with await trio.open_tcp_stream("127.0.0.1", port) as upstream:
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(pump, client, upstream)
                    await pump(upstream, client)
                    nursery.cancel_scope.cancel()
            except* (trio.BrokenResourceError, trio.ClosedResourceError):
                pass

    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1", backlog=2048)
    print(json.dumps({"port": listener.socket.getsockname()[1]}), flush=True)
    await trio.serve_listeners(serve, [listener])


if __name__ == "__main__":
    trio.run(relay, int(sys.argv[1]))
