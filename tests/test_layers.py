"""Who may import whom: protocol <- actors <- gateway, room by room, and one module a library.

What other programs import, `agentspace`, knows none of them.
"""

import ast
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("agentspace", "protocol", "actors", "gateway")

# Names that two types share: what a row says, and the table that pony makes of the class.
NAMESAKES = {"Entry", "Head", "Turn"}

CLIENT_WAITS = ("client", "connection", "dial", "inbox", "link", "turn", "websocket")

HTTP1 = ("body", "connection", "head", "response", "transport")

# Where each library may be imported: one module, unless it has more than one face.
LIBRARIES = {
    "anthropic": {f"gateway.anthropic.{name}" for name in ("errors", "heads", "model")},
    "anyio": {
        *(f"agentspace.client.{name}" for name in CLIENT_WAITS),
        "agentspace.embed.child",
        "agentspace.embed.supervisor",
        "gateway.anthropic.late_model",
        "gateway.mcp.pace",
        "gateway.mcp.stdio",
    },
    "genai_prices": {"gateway.price_table"},
    "h11": {
        *(f"gateway.{name}" for name in ("handshake", "head", "http_reply")),
        "gateway.simulator.connection",
        "gateway.simulator.wire",
    },
    "httptools": {"gateway.anthropic.http1.response"},
    "httpx2": {
        *(f"gateway.anthropic.{name}" for name in ("bodies", "errors", "events", "model")),
        *(f"gateway.anthropic.http1.{name}" for name in HTTP1),
        "gateway.mcp.http",
        "gateway.network",
        "gateway.outbound",
    },
    "jsonschema": {"gateway.simulator.tool_schemas"},
    "keyring": {"gateway.system_keyring"},
    "mcp": {f"gateway.mcp.{name}" for name in ("http", "life", "pace", "reading", "sift", "stdio")},
    "mcp_types": {
        f"gateway.mcp.{name}" for name in ("answers", "life", "offers", "reading", "sift")
    },
    "outcome": {"gateway.late", "gateway.ledger.database"},
    "platformdirs": {"agentspace.client.local", "gateway.config", "gateway.settings"},
    "pony": {f"gateway.ledger.{name}" for name in ("database", "ledger", "schema")},
    "prompt_toolkit": {
        "gateway.cli.talk.keyboard",
        "gateway.cli.talk.pasting",
        "gateway.cli.talk.question",
        "gateway.cli.talk.stage",
        "gateway.cli.talk.suspending",
    },
    "tiktoken": {"gateway.tokenizer"},
    "trio_websocket": {"gateway.websocket"},
    "websockets": {
        *(f"agentspace.client.{name}" for name in ("address", "connection", "dial", "websocket")),
        "gateway.load.dial",
    },
    "wsproto": {"gateway.websocket"},
    "yaml": {"gateway.library.skills"},
}
EVERYWHERE_IN_CLI = {"click", "rich"}
EVERYWHERE_IN_GATEWAY = {"trio", "msgspec"}


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


TREES = {
    name_of(path): ast.parse(path.read_text("utf-8"))
    for room in ROOMS
    for path in sorted((ROOT / room).rglob("*.py"))
}
FOLDERS = sorted(name_of(path) for room in ROOMS for path in (ROOT / room).rglob("__init__.py"))


def imported(tree: ast.AST) -> Iterator[str]:
    """Every module that is imported anywhere in `tree`, be it as the parent of a name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            module = node.module or ""
            inner = [f"{module}.{alias.name}" for alias in node.names]
            yield from (name if name in TREES else module for name in inner)


IMPORTS = {name: set(imported(tree)) for name, tree in TREES.items()}
EVERY = pytest.mark.parametrize("module", TREES)


def foreign(module: str) -> set[str]:
    """The top names that `module` imports from outside its room and the standard library."""
    tops = {name.partition(".")[0] for name in IMPORTS[module]}
    return tops - sys.stdlib_module_names - {"__future__", module.partition(".")[0]}


def in_room(*rooms: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("module", [name for name in TREES if name.startswith(rooms)])


def libraries_of(module: str) -> set[str]:
    return {library for library, modules in LIBRARIES.items() if module in modules}


@in_room("agentspace")
def test_what_others_import_knows_no_other_room(module: str) -> None:
    """Nor a library but msgspec and its own."""
    assert foreign(module) <= {"msgspec", *libraries_of(module)}


@in_room("protocol")
def test_the_protocol_is_pure(module: str) -> None:
    """Of all libraries msgspec, and nothing that waits."""
    assert foreign(module) <= {"msgspec"}
    waiting = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    assert not any(isinstance(node, waiting) for node in ast.walk(TREES[module]))


@in_room("actors")
def test_actors_know_no_library_but_trio(module: str) -> None:
    """The outside world is behind their ports."""
    assert foreign(module) <= {"protocol", "trio", "msgspec"}


def folder_of(module: str) -> str:
    return module if module in FOLDERS else module.rpartition(".")[0]


def is_at_home(module: str, imported: str) -> bool:
    """Whether a module of actors imports what all rooms share, or something of its own room."""
    room, other = folder_of(module), folder_of(imported)
    return other in {"actors", room} or (room != "actors" and other.startswith(f"{room}."))


def test_rooms_of_actors_know_each_other_through_their_mail_alone() -> None:
    """A room imports itself, rooms inside of it, and the modules that all rooms share.

    What they share imports no room.
    """
    pairs = {
        (module, one)
        for module in TREES
        for one in IMPORTS[module]
        if module.startswith("actors") and one.startswith("actors")
    }
    assert not [pair for pair in pairs if not is_at_home(*pair)]


@in_room("gateway")
def test_each_library_has_its_module(module: str) -> None:
    """What a library does can be replaced in one place."""
    allowed = libraries_of(module)
    if module.startswith("gateway.cli"):
        allowed |= EVERYWHERE_IN_CLI
    assert foreign(module) <= {"agentspace", "protocol", "actors", *EVERYWHERE_IN_GATEWAY, *allowed}


@pytest.mark.parametrize("library", LIBRARIES)
def test_no_library_has_a_module_too_many(library: str) -> None:
    """The list above is no longer than it must be."""
    assert {module for module in TREES if library in foreign(module)} == LIBRARIES[library]


def check_for_circles(graph: dict[str, set[str]]) -> None:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_no_imports_go_in_a_circle() -> None:
    """Not even inside a function."""
    check_for_circles({name: {one for one in IMPORTS[name] if one in TREES} for name in TREES})


@pytest.mark.parametrize("folder", FOLDERS)
def test_folders_do_not_import_each_other_in_a_circle(folder: str) -> None:
    """Each folder inside of `folder` counts as one, with all that is in it."""

    def within(modules: Iterable[str]) -> set[str]:
        return {name for name in modules if f"{name}.".startswith(f"{folder}.")}

    def part(module: str) -> str:
        return ".".join(module.split(".")[: folder.count(".") + 2])

    graph: dict[str, set[str]] = {}
    for module in within(TREES):
        parts = {part(one) for one in within(IMPORTS[module])}
        graph.setdefault(part(module), set()).update(parts - {part(module)})
    check_for_circles(graph)


@EVERY
def test_nothing_is_imported_for_types_alone(module: str) -> None:
    """TYPE_CHECKING would hide a circle."""
    names = {node.id for node in ast.walk(TREES[module]) if isinstance(node, ast.Name)}
    attributes = {node.attr for node in ast.walk(TREES[module]) if isinstance(node, ast.Attribute)}
    assert "TYPE_CHECKING" not in names | attributes


def raised_in_place(statements: Iterable[ast.AST]) -> Iterator[ast.Raise]:
    """Every `raise` that these statements run themselves, outside of functions made in them."""
    for node in statements:
        if isinstance(node, ast.Raise):
            yield node
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from raised_in_place(ast.iter_child_nodes(node))


@EVERY
def test_nothing_is_raised_inside_an_except_star(module: str) -> None:
    """Before CPython 3.11.4 it comes out in a group, and the next `except` misses it.

    See python/cpython#103590.
    """
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.TryStar):
            assert not list(raised_in_place(node.handlers)), f"line {node.lineno}"


def names_of_types(tree: ast.Module) -> Iterator[str]:
    """Classes, and aliases of types; not type variables, which mean nothing outside of a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield node.name
    for node in tree.body:
        match node:
            case ast.Assign(value=ast.Call()):
                pass
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                if name[0].isupper() and not name.isupper():
                    yield name


def test_one_name_means_one_type() -> None:
    """A reader who has met a name once knows it everywhere.

    What other programs import has names of its own: they read that alone. `agentspace.messages`
    has the wire's names once more, for it is generated from the wire's schema.
    """
    public = [tree for name, tree in TREES.items() if name.startswith("agentspace")]
    inner = [tree for name, tree in TREES.items() if not name.startswith("agentspace")]
    assert repeated(public) == set()
    assert repeated(inner) == NAMESAKES


def repeated(trees: list[ast.Module]) -> set[str]:
    """The names that more than one type has."""
    times = Counter(name for tree in trees for name in names_of_types(tree))
    return {name for name, count in times.items() if count > 1}
