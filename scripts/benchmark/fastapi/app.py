"""What most people would write: FastAPI, the provider's SDK, and nothing that is kept.

It runs in an environment of its own, made of requirements.txt. The SDK's leanest documented way is
taken, `create(stream=True)`; `messages.stream()` costs about twice as much for each event.
"""

import json
import socket

import uvicorn
from anthropic import AsyncAnthropic
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

app = FastAPI()
client = AsyncAnthropic(max_retries=0)


@app.websocket("/gateway")
async def chat(websocket: WebSocket) -> None:
    """Answer one question after the other."""
    await websocket.accept()
    try:
        while True:
            await answer(websocket, await websocket.receive_json())
    except WebSocketDisconnect:
        pass


async def answer(websocket: WebSocket, asked: dict[str, str]) -> None:
    """One question to the provider, and each piece of text to the client."""
    stream = await client.messages.create(
        model=asked["model"],
        max_tokens=asked["maxTokens"],
        messages=[{"role": "user", "content": asked["content"]}],
        stream=True,
    )
    tokens = 0
    async for event in stream:
        if event.type == "content_block_delta" and event.delta.type == "text_delta":
            await websocket.send_json({"type": "delta", "delta": event.delta.text})
        elif event.type == "message_delta":
            tokens = event.usage.output_tokens
    await websocket.send_json({"type": "end", "outputTokens": tokens})


if __name__ == "__main__":
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
        config = uvicorn.Config(app, loop="uvloop", http="httptools", log_level="error")
        uvicorn.Server(config).run(sockets=[listener])
