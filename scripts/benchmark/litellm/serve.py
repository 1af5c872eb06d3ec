"""LiteLLM's proxy with its WebSocket mode of the Responses API, for one model of the provider.

It runs in an environment of its own, made of requirements.txt. The proxy says all sorts of things
on stdout; they go to stderr here, so that the first line is the port, once it serves.
"""

import json
import os
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

MODEL = "claude-haiku-5-5"
TOKEN = "sk-a-token-for-the-benchmark"


def main() -> None:
    """Serve until killed."""
    said = os.dup(1)
    os.dup2(2, 1)
    os.environ |= {"LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    from litellm.proxy.proxy_cli import run_server

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    model = {
        "model": f"anthropic/{MODEL}",
        "api_base": os.environ["ANTHROPIC_BASE_URL"],
        "api_key": os.environ["ANTHROPIC_API_KEY"],
    }
    config = {
        "model_list": [{"model_name": MODEL, "litellm_params": model}],
        "general_settings": {"master_key": TOKEN},
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "config.yaml"
        file.write_text(json.dumps(config))  # JSON is YAML
        threading.Thread(target=announce, args=(said, port), daemon=True).start()
        options = ["--config", str(file), "--host", "127.0.0.1", "--num_workers", "1"]
        run_server([*options, "--port", str(port)])


def announce(said: int, port: int) -> None:
    """Tell the port once something listens there."""
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.05)
        else:
            os.write(said, json.dumps({"port": port}).encode() + b"\n")
            return


if __name__ == "__main__":
    sys.exit(main())
