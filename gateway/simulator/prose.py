"""What the simulator says when nobody tells it what to say: a pleasant answer to the last message.

The same request gets the same answer. It names what was asked, and never pretends to be a model.
"""

import re
import zlib
from collections.abc import Iterator

import msgspec

from gateway.simulator.models import ModelSpec
from gateway.simulator.notation import without_directives
from gateway.simulator.prompt import format_of
from gateway.simulator.reply import (
    CodeExecution,
    Json,
    ReplyBlock,
    ReplyText,
    ReplyThinking,
    ServerCall,
    ToolUse,
    WebFetch,
    WebSearch,
)
from gateway.simulator.request import last_text, thinking_type
from gateway.simulator.sample import sample
from gateway.simulator.sources import cite, cite_document, results_for, told_of
from gateway.simulator.tool_changes import offered
from gateway.simulator.tool_definitions import offers
from gateway.simulator.transcript import (
    blocks_of,
    last_said,
    merged,
    pending_calls,
    results_first,
)

_encode = msgspec.json.Encoder().encode
_WANTS_SOURCES = re.compile(r"\b(sources?|search|cite|citations?|look up)\b", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_][\w'-]+")
_GREETING = re.compile(r"\s*(hi|hello|hey|good (morning|evening|day)|greetings)\b", re.IGNORECASE)
_COMMON = (
    "about after also been cite could does explain from give have hello help into just like look "
    "make me more please search show some source sources tell than thank that the their them then "
    "there these they this using want what when where which will with would write your you how "
    "can and for are why who is it in of to an a my on do"
)
_STOP_WORDS = frozenset(_COMMON.split())

_OPENINGS = (
    "Here is a short tour of **{topic}**.",
    "Let's look at **{topic}** step by step.",
    "A good question. This is how I would approach **{topic}**.",
    "**{topic}** in three points and a few lines of code.",
)
_POINTS = (
    "Start from what you can observe about {word}, and write it down first.",
    "Change one thing about {word} at a time, and measure again.",
    "Keep the part that deals with {word} small enough to read in a minute.",
    "Ask what {word} should do when something else fails.",
    "Name things after what {word} means to the people who use it.",
)


def compose(body: Json, model: ModelSpec) -> tuple[ReplyBlock, ...]:
    """The blocks of the answer to this request."""
    text = without_directives(last_text(body))
    thinks = thinking_type(body, model)
    spoken = tuple(_spoken(body, text))
    if thinks == "between_tools" and any(isinstance(block, ToolUse) for block in spoken):
        return tuple(ReplyThinking(b.text) if isinstance(b, ReplyText) else b for b in spoken)
    if thinks in {"enabled", "adaptive"}:
        return (ReplyThinking(_thoughts(text)), *spoken)
    return spoken


def _spoken(body: Json, text: str) -> Iterator[ReplyBlock]:
    results = _tool_results(body)
    if last_said(body["messages"])["role"] == "assistant":
        yield from _continued(body)
    elif (schema := format_of(body)) is not None and (results or not _wanted_tool(body, text)):
        yield ReplyText(_encode(sample(schema["schema"], text)).decode())
    elif results:
        yield ReplyText(_report(results))
    elif tool := _wanted_tool(body, text):
        yield ReplyText(f"I'll use `{tool['name']}` for that.")
        yield ToolUse(tool["name"], sample(tool.get("input_schema") or {}, text))
    elif documents := _citable_documents(body):
        yield ReplyText("I read the document. ")
        yield cite_document("It begins with what it is about", *documents[0])
        yield ReplyText(f".\n\n{_answer(text)}")
    elif _WANTS_SOURCES.search(text):
        yield from _researched(body, text)
    else:
        yield ReplyText(_answer(text))


def _continued(body: Json) -> Iterator[ReplyBlock]:
    """What follows an answer that paused: the results it waited for, and an end."""
    for call in pending_calls(merged(body["messages"])):
        served = _served(call)
        yield served
        yield told_of(served)
    yield ReplyText(" That is where I had paused, and now I am done.")


def _served(call: Json) -> ServerCall:
    """What a call without a result brings."""
    match call:
        case {"id": str(at), "name": "web_search", "input": {"query": str(query)}}:
            return WebSearch(query, results_for(query), part="result", id=at)
        case {"id": str(at), "name": "web_fetch", "input": {"url": str(url)}}:
            return WebFetch(url, title="A page", part="result", id=at)
        case {"name": "code_execution"}:
            tool = call["name"]
            return CodeExecution("", stdout="42\n", tool=tool, part="result", id=call["id"])
        case _:
            return CodeExecution("", stdout="42\n", part="result", id=call["id"])


def _tool_results(body: Json) -> list[str]:
    found = []
    for block in results_first(last_said(merged(body["messages"]))):
        parts = blocks_of(block.get("content") or "")
        found.append(" ".join(part.get("text", f"[{part.get('type')}]") for part in parts))
    return found


def _report(results: list[str]) -> str:
    quoted = "\n".join(f"> {line}" for result in results for line in result.splitlines() or [""])
    subject = "The tool" if len(results) == 1 else f"The {len(results)} tools"
    return f"{subject} answered:\n\n{quoted}\n\nThat is all I needed to know."


def _wanted_tool(body: Json, text: str) -> Json | None:
    choice: Json = body.get("tool_choice") or {"type": "auto"}
    tools: list[Json] = [t for t in offered(body) if "input_schema" in t]
    if choice["type"] == "none":
        return None
    if choice["type"] == "tool":
        return next((tool for tool in tools if tool["name"] == choice.get("name")), None)
    for tool in tools:
        if re.search(rf"(?<!\w){re.escape(tool['name'])}(?!\w)", text, re.IGNORECASE):
            return tool
    return tools[0] if tools and choice["type"] == "any" else None


def _citable_documents(body: Json) -> list[tuple[int, Json]]:
    documents = [
        block
        for message in body["messages"]
        for block in blocks_of(message["content"])
        if block.get("type") == "document"
    ]
    return [
        (index, document)
        for index, document in enumerate(documents)
        if (document.get("citations") or {}).get("enabled")
    ]


def _researched(body: Json, text: str) -> Iterator[ReplyBlock]:
    topic = _topic(text)
    results = results_for(topic)
    if offers(offered(body), "web_search"):
        yield ReplyText("I'll search for that.")
        yield WebSearch(topic, results)
    yield ReplyText(f"This is what I found about **{topic}**: ")
    yield cite(f"the documentation and an overview agree on what {topic} is", results[:2])
    yield ReplyText(", and ")
    yield cite("there is experience with it in practice", results[2:])
    yield ReplyText(".\n\n*(These sources are made up: this is a simulator.)*")


def _answer(text: str) -> str:
    topic, words = _topic(text), _words(text) or ["it"]
    mood = zlib.crc32(text.encode())
    hello = "Hello! " if _GREETING.match(text) else ""
    opening = _OPENINGS[mood % len(_OPENINGS)].format(topic=topic)
    points = "\n".join(
        f"{number}. {_POINTS[(mood + number) % len(_POINTS)].format(word=f'*{word}*')}"
        for number, word in enumerate((words * 3)[:3], start=1)
    )
    name = re.sub(r"\W+", "_", words[0].lower()).strip("_") or "it"
    return (
        f"{hello}{opening}\n\n{points}\n\n"
        f"In code, the smallest version might be:\n\n"
        f"```python\ndef study_{name}(samples: list[float]) -> float:\n"
        f'    """The mean of what was observed; 0.0 when nothing was."""\n'
        f"    return sum(samples) / len(samples) if samples else 0.0\n\n\n"
        f"print(study_{name}([{mood % 9 + 1}.0, {mood % 7 + 2}.5]))\n```\n\n"
        f"*(I am a simulator: this text was assembled, not thought.)*"
    )


def _thoughts(text: str) -> str:
    topic = _topic(text)
    words = ", ".join(_words(text)[:4]) or "nothing in particular"
    return (
        f"The message is about {topic}. The words that carry it are: {words}. "
        f"A short answer with a list and a few lines of code will do. "
        f"I should also say that I am a simulator."
    )


def _topic(text: str) -> str:
    sentence = re.split(r"[.!?\n]", re.sub(_GREETING, "", text).strip(" ,.!?\n"), maxsplit=1)[0]
    words = [word for word in sentence.split() if word.lower().strip(",;:'\"") not in _STOP_WORDS]
    topic = " ".join(words[:6]).strip(" ,;:'\"*`#_[](){}<>")
    return topic[:60] or "your message"


def _words(text: str) -> list[str]:
    found = dict.fromkeys(w for w in _WORD.findall(text) if w.lower() not in _STOP_WORDS)
    return sorted(found, key=len, reverse=True)[:3]
