"""What actors say to each other crosses their mailboxes as data."""

from typing import Any, get_args, get_origin

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import mail
from protocol.client import AnyClientMessage
from protocol.mail import ConnectionMail, ContextMail, LlmMail, Mail, Request, UsageMail
from tests.protocol.strategies import FEW, values

UNIONS = {
    "connection": ConnectionMail,
    "context": ContextMail,
    "llm": LlmMail,
    "usage": UsageMail,
}
REQUESTS = [kind for kind in Request.__subclasses__() if kind.__module__ == mail.__name__]


def reply_of(request: type) -> Any:
    """The R of a `Request[R]`."""
    (base,) = (base for base in request.__orig_bases__ if get_origin(base) is Request)  # type: ignore[attr-defined]
    return get_args(base)[0]


@pytest.mark.parametrize("owner", UNIONS)
@FEW
@given(data=st.data())
def test_all_mail_comes_back_as_what_it_was(owner: str, data: st.DataObject) -> None:
    """Encoded by the sender, decoded against its owner's union."""
    union: Any = UNIONS[owner]
    message = data.draw(values(union))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(message), type=union) == message


@pytest.mark.parametrize("request_type", REQUESTS)
@FEW
@given(data=st.data())
def test_every_reply_comes_back_as_what_it_was(request_type: type, data: st.DataObject) -> None:
    """Its type is the request's own."""
    kind = reply_of(request_type)
    reply = data.draw(values(kind))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(reply), type=kind) == reply


def test_every_mail_has_one_owner() -> None:
    """No message is understood by two actors, none by nobody."""
    owned = [kind for union in UNIONS.values() for kind in get_args(union)]
    assert len(owned) == len(set(owned))
    assert set(owned) == {*REQUESTS, *Mail.__subclasses__()}


@FEW
@given(values(AnyClientMessage), st.sampled_from(sorted(UNIONS)))
def test_no_client_can_forge_mail(message: AnyClientMessage, owner: str) -> None:
    """What a client may say is no mail to any actor."""
    union: Any = UNIONS[owner]
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(msgspec.msgpack.encode(message), type=union)
