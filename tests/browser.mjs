// As much of a browser as docs/browser.md needs: run its script, ask a question, print the answer.
//     node --experimental-websocket tests/browser.mjs chat.html TOKEN QUESTION
import { readFileSync } from "node:fs";
import { runInThisContext } from "node:vm";

const [file, token, question] = process.argv.slice(2);
const script = readFileSync(file, "utf8").match(/<script>(.*)<\/script>/s)[1];
const form = { question: { value: question } };
const answer = {
  textContent: "",
  append(text) {
    this.textContent += text;
  },
};
const button = {
  set disabled(isDisabled) {
    if (!isDisabled) setImmediate(() => form.onsubmit({ preventDefault() {} }));
  },
};
const elements = { form, pre: answer, button };

globalThis.document = { querySelector: (name) => elements[name] };
globalThis.location = { hash: `#${token}` };
globalThis.WebSocket = class extends WebSocket {
  constructor(...wanted) {
    super(...wanted);
    this.addEventListener("message", ({ data }) => {
      if (["chat.stream.end", "error"].includes(JSON.parse(data).type)) this.close();
    });
    this.addEventListener("close", () => console.log(answer.textContent));
  }
};
runInThisContext(script);
