"""The settings that a parent may give its gateway: their names and kinds.

What each means, its default and its bounds are told by `agentspace serve --help`; the gateway
itself refuses a bad value.
"""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Literal, TypedDict


class GatewaySettings(TypedDict, total=False):
    """Settings by name. Times are in seconds, sizes in bytes."""

    host: str
    port: int
    auth: Literal["token", "none"]
    token: str
    allowed_origins: Sequence[str]
    allowed_hosts: Sequence[str]
    data_dir: str | PathLike[str]
    prices_file: str | PathLike[str]
    api_key_file: str | PathLike[str]
    anthropic_base_url: str
    default_model: str
    max_tokens: int
    thinking_budget: int
    system_prompt: str
    response_format: bool
    prompt_caching: bool
    server_tools: Sequence[Literal["web_search", "web_fetch", "code_execution"]]
    max_steps: int
    tool_result_bytes: int
    tools_at_once: int
    handshake_seconds: float
    write_seconds: float
    keepalive_seconds: float
    ask_seconds: float
    settle_seconds: float
    close_seconds: float
    catalog_seconds: float
    connect_seconds: float
    first_content_seconds: float
    llm_idle_seconds: float
    llm_tool_seconds: float
    turn_seconds: float
    retry_attempts: int
    tool_seconds: float
    client_tool_seconds: float
    approval_seconds: float
    retry_cap_seconds: float
    drain_seconds: float
    mcp_start_seconds: float
    mcp_restart_seconds: float
    mcp_check_seconds: float
    max_connections: int
    max_message_bytes: int
    max_pending_queries: int
    mailbox_size: int
    outbox_size: int
    ledger_queue: int
    log_retention_seconds: float
    log_retention_bytes: int
    history_cache_bytes: int
    memory_bytes: int
    skill_bytes: int
    list_limit_default: int
    list_limit_max: int
    log_level: Literal["debug", "info", "warning", "error"]
    log_format: Literal["text", "json"]
