"""The TypeScript types are the schema's, and what a gateway says is of these types."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest
import trio

from protocol.examples import EXAMPLES, payload
from protocol.schema import MESSAGES, type_of
from tests.examples import converse
from tests.support import Frame

ROOT = Path(__file__).parent.parent
TYPES = ROOT / "agentspace" / "protocol.d.ts"
NAMES = {type_of(kind): kind.__name__ for kind in MESSAGES["gateway"]}

IMPORT = 'import type * as wire from "./protocol";'

# The compiler tells the messages apart by `type`, and knows when one was forgotten.
READER = """
export function shown(message: wire.ServerMessage): string {
  switch (message.type) {
    case "chat.stream.delta":
    case "chat.stream.reasoning":
      return message.delta;
    case "chat.stream.end":
      return `${message.stopReason}: ${message.cost?.totalCost ?? "of unknown cost"}`;
    case "error":
      return message.code === "SESSION_BUSY" ? "wait" : message.message;
    CASES
      return "";
    default: {
      const forgotten: never = message;
      return forgotten;
    }
  }
}
export declare function ask<Kind extends keyof wire.Replies>(
  request: Extract<wire.ClientMessage, { type: Kind }>,
): Promise<wire.Replies[Kind]>;
export async function latest(): Promise<string[]> {
  const page = await ask({ type: "session.list", id: "1", limit: 10 });
  return page.sessions.map((session) => session.sessionId);
}
"""

# Each line after such a comment must be refused, or the compiler says so.
WRONG = """
// @ts-expect-error - a field that there is not
({ type: "ping", id: "1", limit: 1 }) satisfies wire.Ping;
// @ts-expect-error - a field that is missing
({ type: "chat.send", id: "1" }) satisfies wire.ChatSend;
// @ts-expect-error - a value that there is not
({ type: "chat.send", id: "1", content: "", effort: "huge" }) satisfies wire.ChatSend;
// @ts-expect-error - a field of another type
({ type: "chat.resume", id: "1", turnId: "t", after: "17" }) satisfies wire.ChatResume;
// @ts-expect-error - a type that there is not
({ type: "chat.sned", id: "1", content: "" }) satisfies wire.ClientMessage;
"""


@pytest.fixture(scope="module")
def script() -> ModuleType:
    loader = SourceFileLoader("generate_typescript", str(ROOT / "scripts" / "generate_typescript"))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.dont_write_bytecode", True)
        loader.exec_module(module)
    if not module.is_possible():
        pytest.skip("Node and npm are not there: the TypeScript types are not checked")
    return module


def compiled(script: ModuleType, folder: Path, *parts: str) -> str:
    """What the compiler has to say of a client; nothing when all is well."""
    shutil.copy(TYPES, folder / TYPES.name)
    source = folder / "client.ts"
    source.write_text("\n".join([IMPORT, *parts]), "utf-8")
    options = ["--strict", "--noEmit", "--target", "es2022", "--module", "preserve"]
    command = [script.tool("tsc"), *options, "--types", "", str(source)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def literal(frame: object, kind: str) -> str:
    return f"({json.dumps(frame)}) satisfies wire.{kind};"


def test_the_file_is_not_stale(script: ModuleType) -> None:
    """If it is: scripts/generate_typescript."""
    assert script.main(["--check"]) == 0


def test_all_that_a_gateway_says_has_its_type(
    script: ModuleType, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Recorded from a conversation in which it says every message that it has."""
    frames: list[Frame] = trio.run(converse, tmp_path_factory.mktemp("said")).frames
    assert {frame["type"] for frame in frames} == set(NAMES)
    recorded = [literal(frame, NAMES[frame["type"]]) for frame in frames]
    assert compiled(script, tmp_path, *recorded) == ""


def test_the_examples_have_their_types(script: ModuleType, tmp_path: Path) -> None:
    """A client's, and the gateway's; and what is none of them is refused."""
    examples = [literal(payload(one), type(one.message).__name__) for one in EXAMPLES]
    assert compiled(script, tmp_path, *examples, WRONG) == ""


def test_a_client_tells_messages_apart_by_their_type(script: ModuleType, tmp_path: Path) -> None:
    """And knows the reply of each request."""
    seen = {"chat.stream.delta", "chat.stream.reasoning", "chat.stream.end", "error"}
    others = sorted(set(NAMES) - seen)
    cases = [f'case "{name}":' for name in others]
    assert compiled(script, tmp_path, READER.replace("CASES", "\n".join(cases))) == ""
    forgotten = compiled(script, tmp_path, READER.replace("CASES", "\n".join(cases[1:])))
    assert "is not assignable to type 'never'" in forgotten


def test_the_page_s_client_is_of_these_types(script: ModuleType, tmp_path: Path) -> None:
    """As it stands in docs/schema.md."""
    page = (ROOT / "docs" / "schema.md").read_text("utf-8")
    (client,) = re.findall(r"```typescript\n(.*?)```", page, re.DOTALL)
    assert compiled(script, tmp_path, client) == ""
