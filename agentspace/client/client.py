"""A client of a gateway: questions and turns over a connection that is made again when lost."""

from __future__ import annotations

import ssl
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final, TypeVar, cast

import anyio
import msgspec

from agentspace.client.connection import Connection, open_connection
from agentspace.client.errors import ConnectionLost, GatewayError, NoAnswer
from agentspace.client.ids import new_id
from agentspace.client.inbox import Heard, Inbox
from agentspace.client.link import Link, LinkState
from agentspace.client.local import Target, find_target
from agentspace.client.tokens import exposure
from agentspace.client.turn import DRAINING, Content, OnLeave, Turn
from agentspace.messages import (
    REPLIES,
    ChatSend,
    ErrorMessage,
    GatewayHello,
    Request,
    SessionCreate,
    SessionDelete,
)

ReplyT = TypeVar("ReplyT")

ANSWER_SECONDS: Final = 60.0
RECONNECT_SECONDS: Final = 60.0

LONGEST_TITLE: Final = 60
"""Characters of a question's first line that name its session."""


class Client:
    """One turn at a time, questions at any time. A second turn at once needs a second client."""

    def __init__(self, link: Link, answer_seconds: float, reconnect_seconds: float) -> None:
        self._link = link
        self._answer_seconds = answer_seconds
        self._reconnect_seconds = reconnect_seconds

    @property
    def hello(self) -> GatewayHello:
        """What the gateway said first: its version, its default model, its limits."""
        return self._link.hello

    @property
    def state(self) -> LinkState:
        """Whether the gateway is there."""
        return self._link.state

    @asynccontextmanager
    async def send(
        self,
        question: Content | ChatSend,
        *,
        session_id: str | None = None,
        model: str | None = None,
        on_leave: OnLeave = "cancel",
    ) -> AsyncIterator[Turn]:
        """Ask the model; the turn can be heard while the block lasts.

        A `ChatSend` says everything that can be asked for. Without a session one is made. When the
        block is left before the turn's end, the turn is cancelled, or goes on by itself
        (`detach`). A connection that is lost is made again, and nothing is heard twice, billed
        twice or missed.

        Raises MessageTooLarge, ConnectionLost, and GatewayError when no session can be made.
        """
        if not isinstance(question, ChatSend):
            question = ChatSend(id=new_id(), content=question, session_id=session_id, model=model)
        self._link.check(question)
        if question.session_id is None:
            question = await self._in_session(question)
        turn = Turn(self._link, question, self._reconnect_seconds, on_leave)
        try:
            await turn.attach()
            yield turn
        finally:
            with anyio.CancelScope(shield=True):
                await turn.leave()

    async def _in_session(self, question: ChatSend) -> ChatSend:
        """The question in a session of its own, so that it can be asked again safely.

        The gateway knows a question by its session and its id: one without a session would begin a
        second session when it is sent again.
        """
        create = SessionCreate(
            id=new_id(),
            agent_id=question.agent_id,
            model=question.model,
            title=title_of(question.content),
        )
        created = await self.ask(create)
        return msgspec.structs.replace(question, session_id=created.session_id)

    async def ask(self, request: Request[ReplyT]) -> ReplyT:
        """The gateway's answer to a question.

        After a lost connection it is asked again, but for a deletion: what had become of that is
        not known. A `session.create` that is asked again may leave an empty session.

        Raises GatewayError, ConnectionLost, NoAnswer and MessageTooLarge.
        """
        seconds = self._answer_seconds
        try:
            with anyio.fail_after(seconds):
                answer = await self._answer(request)
        except TimeoutError:
            raise NoAnswer(f"the gateway did not answer in {seconds:g} s") from None
        if isinstance(answer, ErrorMessage):
            raise GatewayError(answer)
        if not isinstance(answer, REPLIES[type(request)]):
            raise NoAnswer("the gateway gave an answer to another question: is it another version?")
        return cast(ReplyT, answer)

    async def _answer(self, request: Request[ReplyT]) -> Heard:
        while True:
            connection = await self._link.connection(self._reconnect_seconds)
            try:
                answer = await _exchange(connection, request)
            except ConnectionLost:
                if isinstance(request, SessionDelete):
                    raise
                continue
            if not (isinstance(answer, ErrorMessage) and answer.code == DRAINING):
                return answer
            connection.drop(answer.message)


async def _exchange(connection: Connection, request: Request[ReplyT]) -> Heard:
    """Ask over this connection. Raises ConnectionLost."""
    frame = connection.encode(request)
    inbox = Inbox()
    await connection.room()
    connection.follow(request.id, inbox)
    connection.post(frame)
    try:
        return await inbox.get()
    finally:
        connection.leave(inbox)


def title_of(content: Content) -> str | None:
    """A session's title, of its first question."""
    texts = [content] if isinstance(content, str) else [getattr(b, "text", "") for b in content]
    lines = [line.strip() for text in texts for line in str(text).splitlines() if line.strip()]
    return lines[0][:LONGEST_TITLE] if lines else None


@asynccontextmanager
async def connect(
    url: str | None = None,
    token: str | None = None,
    *,
    data_dir: str | Path | None = None,
    ssl_context: ssl.SSLContext | None = None,
    answer_seconds: float = ANSWER_SECONDS,
    reconnect_seconds: float = RECONNECT_SECONDS,
) -> AsyncIterator[Client]:
    """A client for as long as the block lasts; under asyncio or trio.

    Without a `url` it is this machine's gateway, found by its `data_dir`, with the token that is
    kept there; another one gets the `token`, or that of `AGENTSPACE_TOKEN`. A token that leaves
    this machine unencrypted is a warning. `ssl_context` says whom to trust at a `wss://` address.

    An answer may take `answer_seconds`; a gateway that was lost may stay away for
    `reconnect_seconds`. Raises ConnectError. What the block raises comes out as it is.
    """
    find = partial(find_target, url, token, None if data_dir is None else Path(data_dir))
    target = find()
    if (exposed := exposure(target.url, target.token)) is not None:
        warnings.warn(exposed, stacklevel=3)  # past contextlib, at the caller's `async with`
    async with connect_to(find, ssl_context, answer_seconds, reconnect_seconds) as client:
        yield client


@asynccontextmanager
async def connect_to(
    find: Callable[[], Target],
    ssl_context: ssl.SSLContext | None = None,
    answer_seconds: float = ANSWER_SECONDS,
    reconnect_seconds: float = RECONNECT_SECONDS,
) -> AsyncIterator[Client]:
    """As `connect`, to the gateway that `find` finds; it is asked before each connection."""

    async def dial() -> Connection:
        return await open_connection(find(), ssl_context)

    link = Link(await dial(), dial)
    failure: BaseException | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(link.run)
        try:
            yield Client(link, answer_seconds, reconnect_seconds)
        except anyio.get_cancelled_exc_class():
            raise
        except BaseException as error:  # noqa: BLE001 - it goes on outside of the task group
            failure = error
        finally:
            with anyio.CancelScope(shield=True):
                await link.aclose()
    if failure is not None:
        raise failure
