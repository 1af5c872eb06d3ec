"""An answer on its way out: headers, body or stream, and the line in the ledger."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate

import msgspec
import trio

from gateway.simulator.draft import ReplyDraft
from gateway.simulator.events import events
from gateway.simulator.faults import encoded_error, steps
from gateway.simulator.ledger import Tally, bill
from gateway.simulator.pace import Pace, Paced, Unpaced
from gateway.simulator.playback import play
from gateway.simulator.reply import Fault, Reply
from gateway.simulator.service import Generated, HttpAnswer, Service, Whole
from gateway.simulator.wire import HttpWire

ORGANIZATION = "00000000-51a1-4000-8000-000000000000"
BREAKING = ("error", "reset", "truncate", "end")

_encode = msgspec.json.Encoder().encode


async def deliver(answer: HttpAnswer, request_id: str, wire: HttpWire, service: Service) -> None:
    """Send an answer; what was generated is billed, however far it gets."""
    match answer:
        case Whole(status, body, more, delay, gate):
            await _wait(delay, gate)
            headers = {**dict(json_headers(request_id)), **dict(more)}
            await wire.respond(status, tuple(headers.items()), body)
        case Generated(ReplyDraft(reply=Reply(fault=Fault("hang_up")) as reply)):
            await _wait(reply.delay, reply.gate)
            await wire.reset()
        case Generated(ReplyDraft(reply=Reply(fault=Fault("unstreamed_error") as fault)) as draft):
            await trio.sleep(draft.reply.delay)
            await wire.respond(200, json_headers(request_id), encoded_error(fault, request_id))
        case Generated(ReplyDraft(reply=Reply(fault=Fault("unstreamed"))) as draft):
            await _send_whole(draft, wire, service)
        case Generated(ReplyDraft(reply=Reply(fault=Fault("packed"))) as draft):
            await _send_packed(draft, wire, service)
        case Generated(draft, streamed=True):
            await _stream(draft, wire, service)
        case Generated(draft):
            await _send_whole(draft, wire, service)


async def _wait(seconds: float, gate: trio.Event | None) -> None:
    await trio.sleep(seconds)
    if gate is not None:
        await gate.wait()


def json_headers(request_id: str) -> tuple[tuple[str, str], ...]:
    """The headers of a response that is sent in one piece."""
    return (("content-type", "application/json"), *_common_headers(request_id))


def _stream_headers(request_id: str) -> tuple[tuple[str, str], ...]:
    return (
        ("content-type", "text/event-stream; charset=utf-8"),
        ("cache-control", "no-cache"),
        *_common_headers(request_id),
    )


def _common_headers(request_id: str) -> tuple[tuple[str, str], ...]:
    return (
        ("date", formatdate(usegmt=True)),
        ("request-id", request_id),
        ("anthropic-organization-id", ORGANIZATION),
        ("server", "agentspace-simulator"),
    )


@contextmanager
def _billing(draft: ReplyDraft, service: Service) -> Iterator[Tally]:
    """A tally for an answer, which is billed once, at the latest when the block is left."""
    fault = draft.reply.fault
    faulted = fault is not None and fault.kind in BREAKING
    tally = Tally(lambda tally: service.billed.append(bill(draft, tally, faulted=faulted)))
    try:
        yield tally
    finally:
        tally.settle()


async def _stream(draft: ReplyDraft, wire: HttpWire, service: Service) -> None:
    reply = draft.reply
    with service.open_stream(), _billing(draft, service) as tally:
        await trio.sleep(reply.delay)
        await wire.begin(_stream_headers(draft.request_id))
        await play(
            steps(events(draft), reply, draft.request_id),
            wire,
            tally,
            _pace(reply, wire, tally, service),
            ping_every=service.settings.ping_every,
        )


def _pace(reply: Reply, wire: HttpWire, tally: Tally, service: Service) -> Pace:
    settings = service.settings
    rate = settings.rate if reply.rate is None else reply.rate
    if not rate:
        return Unpaced(wire, tally, reply.flush)
    return Paced(wire, tally, service.metronome, rate=rate, ping_every=settings.ping_every)


async def _send_packed(draft: ReplyDraft, wire: HttpWire, service: Service) -> None:
    headers = (*_stream_headers(draft.request_id), ("content-encoding", "gzip"))
    body = gzip.compress(b"".join(event.frame for event in events(draft)))
    with _billing(draft, service) as tally:
        await trio.sleep(draft.reply.delay)
        tally.complete = True
        tally.settle()
        await wire.respond(200, headers, body)


async def _send_whole(draft: ReplyDraft, wire: HttpWire, service: Service) -> None:
    """Without a stream, some faults have their like; the others have none."""
    reply = draft.reply
    headers, body = json_headers(draft.request_id), _encode(draft.message())
    with _billing(draft, service) as tally:
        await _wait(reply.delay, reply.gate if reply.fault else None)
        match reply.fault:
            case Fault("reset"):
                tally.settle()
                await wire.reset()
                return
            case Fault("truncate"):
                tally.settle()
                await wire.respond_in_part(200, headers, body)
                return
            case Fault("stall", seconds=seconds):
                await trio.sleep(seconds)
            case Fault("bad_json"):
                body = body[: len(body) // 2]
        tally.complete = True
        tally.settle()
        await wire.respond(200, headers, body)
