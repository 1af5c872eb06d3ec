// What most people would write on Node: ws, the provider's SDK, and nothing that is kept.
import Anthropic from "@anthropic-ai/sdk";
import { WebSocketServer } from "ws";

const client = new Anthropic({ maxRetries: 0 });

async function answer(socket, asked) {
  const stream = await client.messages.create({
    model: asked.model,
    max_tokens: asked.maxTokens,
    messages: [{ role: "user", content: asked.content }],
    stream: true,
  });
  let tokens = 0;
  for await (const event of stream) {
    if (socket.readyState !== socket.OPEN) break; // which hangs up on the provider
    if (event.type === "content_block_delta" && event.delta.type === "text_delta") {
      socket.send(JSON.stringify({ type: "delta", delta: event.delta.text }));
    } else if (event.type === "message_delta") {
      tokens = event.usage.output_tokens;
    }
  }
  socket.send(JSON.stringify({ type: "end", outputTokens: tokens }));
}

const server = new WebSocketServer({ host: "127.0.0.1", port: 0, backlog: 2048 }, () => {
  console.log(JSON.stringify({ port: server.address().port }));
});

server.on("connection", (socket) => {
  socket.on("message", (text) => {
    answer(socket, JSON.parse(text)).catch((error) => {
      console.error(String(error));
      socket.terminate();
    });
  });
});
