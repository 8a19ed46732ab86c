"""A cloud that means harm: it repeats keys in every error, or sends what steers a terminal in every text."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote

from okr_tui.domain.scrubber import RUN

KEYS = tuple(f"{index}f3b9c1e77b002fdc3de41aa19aae007.Xy+z/Qp{index}w-ErTyUiOpAsDfGh" for index in (1, 2))
MODEL = "gpt-oss:20b"
MAIL = "jane.doe@example.com"
MARK = "EVIL"
SEQUENCES = (
    f"\x1b]52;c;{MARK}\x1b\\",
    f"\x1b]0;{MARK}\x07",
    f"\x1b]8;;http://{MARK}\x1b\\",
    "\x1bc",
    f"\x1b[31m{MARK}",
    f"\x1b[201~{MARK}",
    f"\x9b2J{MARK}",
    f"\x9d0;{MARK}\x9c",
    f"\x90{MARK}",
    "\r",
    f"\nforged {MARK}\n",
    "\0",
    "\x08",
    "\x7f",
    "\u2028",
    "\u202e",
    "\u2066",
    "\u061c",
    "\u200f",
    "\ud800",
    "\U000e0041",
)
TEXT = "a" + "b".join(SEQUENCES) + "c"
LONG = TEXT + "x" * 1_000_000
HUGE = 10**400


def forms(header: str) -> list[str]:
    """Return the ways in which a header is repeated, the last one so that a cut falls into the key."""
    key = header.removeprefix("Bearer ")
    return [
        header,
        base64.b64encode(header.encode()).decode(),
        base64.urlsafe_b64encode(key.encode()).decode(),
        quote(key, safe=""),
        "".join(f"%{ord(letter):02x}" for letter in key),
        key[3:-3],
        key.upper(),
        "z" * 165 + f" invalid token {header}",
    ]


def runs(key: str) -> set[str]:
    """Return every run of a key, and of its encodings as they stand alone."""
    whole = (
        key,
        base64.b64encode(key.encode()).decode(),
        base64.b64encode(f"Bearer {key}".encode()).decode()[12:],
        quote(key, safe=""),
        "".join(f"%{ord(letter):02x}" for letter in key),
        key.upper(),
    )
    return {text[at : at + RUN] for text in whole for at in range(len(text) - RUN + 1)}


def leaks(text: str) -> list[str]:
    """Return what of the keys or of the address stands in a text."""
    return [run for key in KEYS for run in runs(key) if run in text] + [MAIL] * (MAIL in text)


class HostileCloud:
    """Answers with echoes in errors of one status, or, without a status, with hostile documents."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.form = 0
        self.kind = "json"
        """What errors look like: "json" as of Ollama, "html" or "plain" as of a proxy, "odd" JSON."""
        self.heard = ""
        """The authorization that came last: what needs no key repeats it too."""
        self.url = ""

    def answer(self, path: str) -> tuple[int, bytes, dict[str, str]]:
        """Return status, body and headers of an answer."""
        if self.status is None:
            return 200, b"".join(json.dumps(each).encode() + b"\n" for each in self._documents(path)), {}
        reported = forms(self.heard)
        error = f"{reported[self.form % len(reported)]} of {MAIL}"
        document = {"error": {"message": error, "type": "x"} if path.startswith("/v1") else error}
        # Header values hold no line feed and no letter beyond Latin 1.
        headers = {"x-request-id": self.heard, "www-authenticate": f'Bearer error="{reported[1]}"'}
        if self.kind == "html":
            page = f"<html><title>{error} {TEXT}</title><h1>{reported[2]}</h1>{TEXT}</html>"
            return self.status, page.encode(errors="replace"), {**headers, "content-type": "text/html"}
        if self.kind == "plain":
            return self.status, f"{TEXT} {error}".encode(errors="replace"), {"content-type": "text/plain"}
        if self.kind == "odd":
            odd = {"error": {"error": {"message": f"{TEXT} {error}"}}, "detail": error, "n": HUGE}
            return self.status, json.dumps(odd).encode(), headers
        return self.status, json.dumps(document).encode(), headers

    def _documents(self, path: str) -> Iterator[object]:
        match path.partition("?")[0]:
            case "/api/tags":
                names = [TEXT, LONG, *(f"m{sequence}" for sequence in SEQUENCES), MODEL]
                entry = {"digest": TEXT, "modified_at": TEXT, "size": HUGE}
                yield {"models": [{**entry, "model": name} for name in names]}
            case "/api/show":
                yield {
                    "details": {"family": TEXT, "quantization_level": TEXT, "parameter_size": HUGE},
                    "capabilities": ["completion", "tools", "thinking", TEXT, TEXT + "x" * 300_000],
                    "model_info": {TEXT: TEXT, "general.parameter_count": HUGE, "a.context_length": HUGE},
                }
            case "/api/me":
                yield {"ID": TEXT, "Plan": TEXT, "Email": MAIL, "Name": TEXT}
            case "/api/balance":
                yield {
                    "included": {
                        "session": {"remaining_percent": 60, "resets_at": TEXT},
                        "weekly": {"remaining_percent": HUGE, "resets_at": HUGE},
                    },
                    "purchased": {"balance_usd": 1e300},
                    TEXT: TEXT,
                }
            case "/api/usage":
                yield {"buckets": [{"from": TEXT, "until": HUGE, "input_tokens": HUGE}]}
            case _:
                call = {"function": {"name": TEXT, "arguments": {TEXT: TEXT}}}
                yield {"message": {"role": "assistant", "content": "", "thinking": TEXT}, "done": False}
                yield {"message": {"role": "assistant", "content": TEXT}, "done": False}
                yield {"message": {"role": "assistant", "content": "", "tool_calls": [call]}, "done": False}
                yield {"done": True, "done_reason": TEXT, "eval_count": HUGE, "prompt_eval_count": HUGE}


@contextmanager
def hostile_cloud() -> Iterator[HostileCloud]:
    """Serve a hostile cloud from threads."""
    cloud = HostileCloud()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            cloud.heard = self.headers.get("authorization") or cloud.heard
            status, body, headers = cloud.answer(self.path)
            self.send_response(status)
            for name, value in {"content-type": "application/x-ndjson", **headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST  # noqa: N815 the server's name for it

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        cloud.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield cloud
        finally:
            server.shutdown()
            thread.join()


def settings(url: str, log: str, keys: tuple[str, ...] = KEYS) -> str:
    """Return the text of a settings file for a hostile cloud."""
    policy = {
        "retry_same": [0, 0],
        "confirm_after": [0, 0],
        "sends": 2,
        "queue_wait": 0.1,
        "slowed_wait": 0,
        "outage_steps": [0.05],
        "outage_alone_after": 1000,
    }
    return json.dumps(
        {
            "pi-ollama": {"cloudUrl": url, "apiKeys": list(keys)},
            "okr-tui": {"store": log, "policy": policy},
        }
    )
