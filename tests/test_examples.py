"""The schema's examples are what a client can say, and clients understand all that is answered."""

from __future__ import annotations

import json
from typing import get_args

import msgspec
import pytest
import trio

from agentspace.messages import ServerMessage
from protocol.asyncapi import asyncapi
from protocol.schema import MESSAGES, type_of
from tests.examples import Conversation, converse

DOCUMENT = asyncapi()


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Conversation:
    return trio.run(converse, tmp_path_factory.mktemp("said"))


def replies_to(kind: str) -> set[str]:
    """The types that the document promises, but for the error."""
    channel = DOCUMENT["channels"]["gateway"]["messages"]
    references = DOCUMENT["operations"][kind]["reply"]["messages"]
    names = {reference["$ref"].rpartition("/")[2] for reference in references} & set(channel)
    return {DOCUMENT["components"]["messages"][name]["name"] for name in names} - {"error"}


def test_every_example_is_answered_as_the_document_says(said: Conversation) -> None:
    """Each was sent to a gateway that runs; every reply was held against the schema."""
    assert said.left == []
    answered = [heard for heard in said.heard if heard.request]
    assert len(answered) > len(MESSAGES["client"])
    for request, frames in answered:
        assert {frame["type"] for frame in frames} <= replies_to(request["type"])
        assert {frame["requestId"] for frame in frames} == {request["id"]}


def test_every_message_of_the_gateway_was_heard(said: Conversation) -> None:
    """So what is recorded says something of all of them."""
    assert {frame["type"] for frame in said.frames} == {type_of(one) for one in MESSAGES["gateway"]}


def test_the_generated_types_hold_all_that_was_heard(said: Conversation) -> None:
    """Nothing is lost or changed when a client decodes it."""
    decode = msgspec.json.Decoder(ServerMessage).decode
    encode = msgspec.json.Encoder(decimal_format="number").encode
    assert get_args(ServerMessage)
    for frame in said.frames:
        assert json.loads(encode(decode(json.dumps(frame)))) == frame
