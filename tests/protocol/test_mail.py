"""What actors say to each other crosses their mailboxes as data."""

from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import mail
from protocol.client import AnyClientMessage
from protocol.codec import CODECS, JSON, Codec
from protocol.errors import InvalidMessage
from protocol.mail import ConnectionMail, ContextMail, LlmMail, Mail, UsageMail
from protocol.request import Request, answer_type
from tests.protocol.strategies import FEW, values

UNIONS = {
    "connection": ConnectionMail,
    "context": ContextMail,
    "llm": LlmMail,
    "usage": UsageMail,
}
REQUESTS = [kind for kind in Request.__subclasses__() if kind.__module__.startswith("protocol.")]
INTERNAL = [
    kind for kind in (*REQUESTS, *Mail.__subclasses__()) if kind.__module__ == mail.__name__
]


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
    kind = answer_type(request_type)
    reply = data.draw(values(kind))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(reply), type=kind) == reply


def test_every_mail_has_one_owner() -> None:
    """No message is understood by two actors, none by nobody."""
    owned = [kind for union in UNIONS.values() for kind in get_args(union)]
    assert len(owned) == len(set(owned))
    assert set(owned) == {*REQUESTS, *Mail.__subclasses__()}


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
@pytest.mark.parametrize("kind", INTERNAL)
@FEW
@given(data=st.data())
def test_no_client_can_forge_mail(
    kind: type[msgspec.Struct], codec: Codec, data: st.DataObject
) -> None:
    """What actors alone say is no message of a client, also when it has an id."""
    forged = {**msgspec.to_builtins(data.draw(values(kind))), "id": "r1"}
    frame = msgspec.json.encode(forged).decode()
    with pytest.raises(InvalidMessage, match="is not known"):
        codec.decode(frame if codec is JSON else msgspec.msgpack.encode(forged))


@FEW
@given(values(AnyClientMessage))
def test_what_a_client_says_reaches_its_connection_wrapped(message: AnyClientMessage) -> None:
    """Its own words are no mail to the connection: they cannot make it drain."""
    kind: Any = ConnectionMail
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(msgspec.msgpack.encode(message), type=kind)
