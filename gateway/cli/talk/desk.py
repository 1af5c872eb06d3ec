"""What the chat's commands do."""

from __future__ import annotations

from rich.text import Text

from agentspace.messages import ModelListing, SessionListing
from gateway.cli.talk.commands import COMMANDS, KEYS
from gateway.cli.talk.conversation import ChatSession
from gateway.cli.talk.screen import Screen
from gateway.cli.views.figures import count, counted, money
from gateway.cli.views.fitting import Pairs
from gateway.cli.views.inspection import inspection
from gateway.cli.views.lists import history, model_listing, session_listing
from gateway.cli.views.usage import usage_report

LAST_MESSAGES = 2
"""Messages shown of a session that is taken up again."""


class Desk:
    """Serves commands."""

    def __init__(self, conversation: ChatSession, screen: Screen) -> None:
        self._conversation = conversation
        self._screen = screen

    async def serve(self, name: str, argument: str) -> None:
        """Do what `name`, with its slash, asks for. Raises GatewayError and ConnectionLost."""
        match name:
            case "/context":
                self._screen.show(inspection(await self._conversation.inspect(argument or None)))
            case "/usage":
                await self._usage()
            case "/sessions":
                await self._sessions(argument)
            case "/model":
                await self._models(argument)
            case "/new":
                self._conversation.enter(None)
                self._say("A new session begins with your next message.")
            case "/help":
                self._screen.show(_help())

    async def _usage(self) -> None:
        """This session's bill, and all sessions' total."""
        if (session_id := self._conversation.session_id) is not None:
            self._screen.show(usage_report(await self._conversation.usage(session_id)))
        total = (await self._conversation.usage(None)).grand_total
        self._say(
            f"All sessions: {counted(total.request_count, 'request')}, "
            f"{count(total.total_tokens)} tokens, {money(total.total_cost)}."
        )

    async def _sessions(self, wanted: str) -> None:
        listing = await self._conversation.sessions()
        if not wanted:
            self._screen.show(session_listing(listing, self._conversation.session_id))
            return self._say("/sessions NUMBER goes on in that one.") if listing.sessions else None
        self._conversation.enter(_chosen_session(listing, wanted))
        self._screen.show(history(await self._conversation.history(LAST_MESSAGES)))
        return None

    async def _models(self, wanted: str) -> None:
        listing = await self._conversation.models()
        current = self._conversation.model or listing.default_model
        if not wanted:
            self._screen.show(model_listing(listing, current))
            return self._say("/model ID uses that one.")
        found = _matching(listing, wanted)
        if len(found) != 1:
            words = "is no model that is offered" if not found else f"could be {', '.join(found)}"
            return self._say(f"{wanted} {words}.")
        self._conversation.model = found[0]
        return self._say(f"{found[0]} answers from now on.")

    def _say(self, text: str) -> None:
        self._screen.show(Text(text, style="dim"))


def _chosen_session(listing: SessionListing, wanted: str) -> str:
    """A session by its number in the list, else by its id."""
    if wanted.isdecimal() and 1 <= int(wanted) <= len(listing.sessions):
        return listing.sessions[int(wanted) - 1].session_id
    return wanted


def _matching(listing: ModelListing, wanted: str) -> list[str]:
    """The model of this id, else all whose id has `wanted` in it."""
    ids = [model.id for model in listing.models]
    if wanted in ids:
        return [wanted]
    return [each for each in ids if wanted.lower() in each.lower()]


def _help() -> Pairs:
    return Pairs(list({**COMMANDS, **KEYS}.items()), "cyan")
