"""Tools from MCP servers: `gateway.mcp.tools.McpTools`.

The SDK takes a second to import, so nothing here imports it at once: `tools` does, in a thread,
when a server is configured. `settings`, `tools`, `names`, `state` and `child` never need it.
"""
