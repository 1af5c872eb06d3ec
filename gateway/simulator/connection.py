"""One HTTP/1.1 connection: requests in, answers out, and an eye on the client all the while.

While a request is answered, another task goes on receiving. It sees the client leave at once,
whatever the answer is waiting for, and then ends it.
"""

from urllib.parse import parse_qs, unquote, urlsplit

import h11
import msgspec
import trio

from gateway.simulator.delivery import deliver, json_headers
from gateway.simulator.errors import ApiError
from gateway.simulator.request import Received
from gateway.simulator.service import Service, refusal
from gateway.simulator.wire import HttpWire

RECEIVE = 65_536
EARLY = 1_048_576
"""Bytes of further requests that are kept while one is being answered."""
LINGER = 1.0
"""Seconds for which a refused body is still read, so that the refusal can arrive."""

_decode = msgspec.json.Decoder().decode


class HttpConnection:
    """Serves one client until it leaves, errs, or is idle for too long."""

    def __init__(self, stream: trio.SocketStream, service: Service) -> None:
        self._stream = stream
        self._service = service
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=RECEIVE)
        self._wire = HttpWire(stream, self._http)

    async def serve(self) -> None:
        """Answer requests, one after the other."""
        while True:
            request_id = self._service.ids.request()
            try:
                with trio.move_on_after(self._service.settings.idle_timeout) as idle:
                    request = await self._receive(request_id)
                if idle.cancelled_caught or request is None:
                    return
            except h11.RemoteProtocolError as error:
                await self._refuse(ApiError(error.error_status_hint, str(error)), request_id)
                return
            except ApiError as error:
                await self._refuse(error, request_id)
                return
            await self._answer_watched(request)
            if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
                return
            self._http.start_next_cycle()

    async def _receive(self, request_id: str) -> Received | None:
        """The next request, or None when there is none."""
        head: h11.Request | None = None
        body = bytearray()
        while True:
            match await self._next_event():
                case h11.Request() as head:
                    pass
                case h11.Data(data=data):
                    body += data
                    if len(body) > self._service.settings.body_limit:
                        raise ApiError(413)
                case h11.EndOfMessage() if head is not None:
                    return received(head, bytes(body), request_id)
                case _:
                    return None

    async def _next_event(self) -> object:
        while True:
            event = self._http.next_event()
            if event is not h11.NEED_DATA:
                return event
            if self._http.they_are_waiting_for_100_continue:
                go_on = h11.InformationalResponse(status_code=100, headers=[])
                await self._stream.send_all(self._http.send(go_on) or b"")
            self._http.receive_data(await self._stream.receive_some(RECEIVE))

    async def _refuse(self, error: ApiError, request_id: str) -> None:
        """Answer what cannot be read on from, and hang up."""
        if self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        whole = refusal(error, request_id)
        headers = (*json_headers(request_id), *whole.headers, ("connection", "close"))
        await self._wire.respond(whole.status, headers, whole.body)
        with trio.move_on_after(LINGER):
            await self._stream.send_eof()
            while await self._stream.receive_some(RECEIVE):
                pass

    async def _answer_watched(self, request: Received) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch, nursery.cancel_scope)
            await deliver(
                self._service.answer(request), request.request_id, self._wire, self._service
            )
            nursery.cancel_scope.cancel()

    async def _watch(self, answering: trio.CancelScope) -> None:
        """End the answer when the client leaves; keep what it sends before that for later."""
        kept = 0
        while kept < EARLY:
            try:
                data = await self._stream.receive_some(RECEIVE)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                data = b""
            if not data:
                answering.cancel()
                return
            self._http.receive_data(data)
            kept += len(data)


def received(head: h11.Request, raw: bytes, request_id: str) -> Received:
    """A request as the rules see it; a body that is no JSON is None."""
    target = urlsplit(head.target.decode("ascii"))
    try:
        body = _decode(raw) if raw else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        body = None
    return Received(
        method=head.method.decode("ascii"),
        path=unquote(target.path),
        query=parse_qs(target.query),
        headers={name.decode(): value.decode("latin-1") for name, value in head.headers},
        body=body,
        raw=raw,
        request_id=request_id,
    )
