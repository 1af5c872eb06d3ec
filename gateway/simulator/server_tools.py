"""The provider's own tools as blocks: a call, and what it brought, in the API's shapes."""

from datetime import UTC, datetime

from gateway.simulator.reply import CodeExecution, Json, ServerCall, WebFetch, WebSearch
from gateway.simulator.signature import Signer


def tool_of(block: ServerCall) -> str:
    """The name of the tool."""
    match block:
        case WebSearch():
            return "web_search"
        case WebFetch():
            return "web_fetch"
        case CodeExecution(tool=tool):
            return tool


def input_of(block: ServerCall) -> Json:
    """What the model asks of the tool."""
    match block:
        case WebSearch(query):
            return {"query": query}
        case WebFetch(url):
            return {"url": url}
        case CodeExecution(code, tool="code_execution"):
            return {"code": code}
        case CodeExecution(code):
            return {"command": code}


def result_of(block: ServerCall, signer: Signer) -> list[Json] | Json:
    """The `content` of the tool's result."""
    if block.error is not None:
        return {"type": f"{tool_of(block)}_tool_result_error", "error_code": block.error}
    match block:
        case WebSearch(results=results):
            return [_search_result(url, title, signer) for url, title in results]
        case WebFetch():
            return _page(block)
        case CodeExecution(stdout=stdout, stderr=stderr, return_code=code):
            made = [{"type": f"{block.tool}_output", "file_id": name} for name in block.files]
            output = {"stdout": stdout, "stderr": stderr, "return_code": code, "content": made}
            return {"type": f"{block.tool}_result", **output}


def is_result(block: Json) -> bool:
    """Whether it is what one of the provider's own tools brought."""
    kind = str(block.get("type"))
    return kind.endswith("_tool_result") and kind != "mcp_tool_result"


def readable(block: Json) -> Json:
    """The block as it is measured: what is encrypted in it is no text."""
    if not is_result(block) or not isinstance(block.get("content"), list):
        return block
    found = [
        {name: value for name, value in one.items() if not name.startswith("encrypted_")}
        for one in block["content"]
        if isinstance(one, dict)
    ]
    return {**block, "content": found}


def _search_result(url: str, title: str, signer: Signer) -> Json:
    return {
        "type": "web_search_result",
        "url": url,
        "title": title,
        "encrypted_content": signer.sign(url, title),
        "page_age": None,
    }


def _page(block: WebFetch) -> Json:
    document: Json = {
        "type": "document",
        "source": {"type": "text", "media_type": "text/plain", "data": block.text},
        "title": block.title,
        "citations": {"enabled": True} if block.cited else None,
    }
    retrieved = datetime.now(UTC).isoformat()
    return {
        "type": "web_fetch_result",
        "url": block.url,
        "content": document,
        "retrieved_at": retrieved,
    }
