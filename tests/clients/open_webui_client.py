"""One prompt to Open WebUI, as its page sends it; print what it then shows: PROMPT."""

import contextlib
import os
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import httpx

MODEL = "gpt-oss:20b"
HERE = {"WEBUI_AUTH": "false", "WEBUI_SECRET_KEY": "none", "DATA_DIR": str(Path.home() / "open-webui")}
# No weights of models and no news are looked for; what only a container has is left out.
QUIET = {"OFFLINE_MODE": "true", "USE_SLIM_DOCKER": "true", "ENABLE_OLLAMA_API": "false"}


def free_port() -> int:
    """Return a port that is free: the program does not tell which one it took."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_started(page: httpx.Client, server: "subprocess.Popen[bytes]") -> None:
    """Wait until the server answers."""
    while server.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            if page.get("/health").is_success:
                return
        time.sleep(0.2)
    sys.exit("it did not start")


def ask(page: httpx.Client, prompt: str) -> dict[str, Any]:
    """Return the message that answers a prompt, whole or failed."""
    asked, answer = str(uuid.uuid4()), str(uuid.uuid4())
    sent = page.post(
        "/api/chat/completions",
        json={
            "model": MODEL,
            "stream": True,
            "messages": [{"role": "user", "content": prompt}],
            "user_message": {"id": asked, "parentId": None, "role": "user", "content": prompt},
            "parent_id": None,
            "message_ids": [{"model_id": MODEL, "message_id": answer}],
            "session_id": "session",
            "background_tasks": {"title_generation": True},
        },
    )
    sent.raise_for_status()
    for _ in range(400):
        chat = page.get(f"/api/v1/chats/{sent.json()['chat_id']}").raise_for_status().json()["chat"]
        message: dict[str, Any] = chat["history"]["messages"][answer]
        if message.get("error") or message.get("done"):
            return message
        time.sleep(0.1)
    sys.exit(f"no end: {message}")


port = free_port()
program = str(Path(sys.executable).with_name("open-webui"))
with (
    subprocess.Popen(
        [program, "serve", "--host", "127.0.0.1", "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | HERE | QUIET,
    ) as server,
    httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as page,
):
    try:
        wait_until_started(page, server)
        token = page.post("/api/v1/auths/signin", json={"email": "", "password": ""}).json()["token"]
        page.headers["authorization"] = f"Bearer {token}"
        connection = {"url": os.environ["OPENAI_API_BASE_URL"], "key": os.environ["OPENAI_API_KEY"]}
        page.post("/openai/verify", json=connection).raise_for_status()  # a button of its Admin Settings
        assert MODEL in [model["id"] for model in page.get("/api/models").json()["data"]]
        message = ask(page, sys.argv[1])
        sys.stdout.write(message.get("content", ""))
        if error := message.get("error"):
            content = error["content"]
            sys.exit(content if isinstance(content, str) else content["message"])
    finally:
        server.terminate()
