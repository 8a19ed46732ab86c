"""Every way the simulated cloud can fail, by name: HTTP errors and misbehaving answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import uuid4

REFERENCE = " (ref: {reference})"
UPGRADE = "upgrade for higher limits: https://ollama.com/upgrade"
EXTRA_USAGE = f"{UPGRADE} or add extra usage: https://ollama.com/settings{REFERENCE}"
MAXIMUM_TOKENS = "max_tokens ({asked}) exceeds model's maximum output tokens ({limit}) for model {model}"
DAEMON = {"content-type": "application/json; charset=utf-8"}

PAGE_502 = """<!DOCTYPE html>
<html lang=en>
  <meta charset=utf-8>
  <title>Error 502 (Server Error)!!1</title>
  <p><b>502.</b> <ins>That's an error.</ins>
  <p>The server encountered a temporary error and could not complete your request.\
<p>Please try again in 30 seconds.  <ins>That's all we know.</ins>
</html>
"""
TITLE_503 = "503 Service Temporarily Unavailable"
PAGE_503 = (
    f"<html><head><title>{TITLE_503}</title></head>"
    f"<body><center><h1>{TITLE_503}</h1></center></body></html>\n"
)


@dataclass(frozen=True, slots=True)
class SimulatedFault:
    """One HTTP error. `text` goes into the error envelope of the path; a `page` is sent unchanged."""

    status: int
    text: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    compatible_text: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)
    page: str | None = None

    def render(self, values: Mapping[str, object], compatible: bool = False) -> str:
        """Return the text with its placeholders filled; every call gets a reference of its own."""
        text = self.compatible_text if compatible and self.compatible_text else self.text
        return text.format_map({**EXAMPLES, "reference": uuid4(), **values})


EXAMPLES: Mapping[str, object] = {
    "name": "example_user",
    "model": "gpt-oss:120b",
    "asked": 1048576,
    "limit": 65536,
    "excess": 65590,
    "detail": "invalid request",
}


def _reached(window: str, ending: str) -> str:
    return f"you ({{name}}) have reached your {window} usage limit, {ending}"


def _slots(retry: int, active: int, queue: int) -> dict[str, str]:
    return {
        "retry-after": str(retry),
        "x-ratelimit-active": str(active),
        "x-ratelimit-max-concurrent": str(active),
        "x-ratelimit-queue-limit": str(queue),
        "x-ratelimit-queued": str(queue),
    }


FAULTS: Mapping[str, SimulatedFault] = {
    "bad-request": SimulatedFault(400, "{detail}"),
    "bad-query": SimulatedFault(400, "unsupported query parameter"),
    "context-too-long": SimulatedFault(
        400, f"prompt too long; exceeded max context length by {{excess}} tokens{REFERENCE}"
    ),
    "image-not-supported": SimulatedFault(400, "this model does not support image input"),
    "image-url": SimulatedFault(
        400, "image URLs are not currently supported, please use base64 encoded data instead"
    ),
    "max-tokens": SimulatedFault(
        400,
        MAXIMUM_TOKENS + REFERENCE,
        compatible_text=MAXIMUM_TOKENS,
    ),
    "unauthorized": SimulatedFault(401, "Unauthorized"),
    "invalid-credentials": SimulatedFault(401, "invalid credentials"),
    "endpoint-unauthorized": SimulatedFault(401, "unauthorized"),
    "daemon-signin": SimulatedFault(
        401,
        "unauthorized",
        DAEMON,
        extra={"signin_url": "https://ollama.com/connect?name=example-host&key=example"},
    ),
    "extra-usage-only": SimulatedFault(
        402,
        "this model uses extra usage only (not included plan usage) and your extra usage balance is empty, "
        f"add extra usage or turn on auto reload at https://ollama.com/settings{REFERENCE}",
    ),
    "subscription-or-extra-usage": SimulatedFault(
        402,
        "this model requires a subscription or extra usage, upgrade for access at https://ollama.com/upgrade "
        f"or add extra usage at https://ollama.com/settings{REFERENCE}",
    ),
    "subscription-or-usage-credits": SimulatedFault(
        402,
        "this model requires a subscription or usage credits, upgrade for access at "
        f"https://ollama.com/upgrade or add usage credits at https://ollama.com/settings{REFERENCE}",
    ),
    "subscription": SimulatedFault(
        403, f"this model requires a subscription, upgrade for access: https://ollama.com/upgrade{REFERENCE}"
    ),
    "suspended": SimulatedFault(403, "account suspended"),
    "team-scope": SimulatedFault(403, "team usage requires admin access"),
    "daemon-cloud-disabled": SimulatedFault(
        403, "ollama cloud is disabled: remote model is unavailable", DAEMON
    ),
    "not-found": SimulatedFault(404, "not found"),
    "model-not-found": SimulatedFault(
        404, "model '{model}' not found", compatible_text='model "{model}" not found'
    ),
    "method-not-allowed": SimulatedFault(405, "method not allowed"),
    "retired": SimulatedFault(410, f"model '{{model}}' has been retired{REFERENCE}"),
    "too-large": SimulatedFault(413, f"Request Entity Too Large{REFERENCE}"),
    "session": SimulatedFault(429, _reached("session", EXTRA_USAGE)),
    "session-short": SimulatedFault(429, _reached("session", UPGRADE)),
    "session-wait": SimulatedFault(429, _reached("session", "please wait or upgrade to continue")),
    "weekly": SimulatedFault(429, _reached("weekly", EXTRA_USAGE)),
    "hourly": SimulatedFault(
        429, "you've reached your hourly usage limit, please wait or upgrade to continue"
    ),
    "monthly": SimulatedFault(429, _reached("monthly", f"{UPGRADE}{REFERENCE}")),
    "concurrency": SimulatedFault(429, "too many concurrent requests", _slots(14, 1, 5)),
    "concurrency-paid": SimulatedFault(429, "too many concurrent requests", _slots(10, 4, 15)),
    "slot-timeout": SimulatedFault(429, "timed out waiting for a concurrent request slot"),
    "rate-limit": SimulatedFault(429, "rate limit exceeded", {"retry-after": "27"}),
    "internal-error": SimulatedFault(500, f"Internal Server Error{REFERENCE}"),
    "bad-gateway": SimulatedFault(502, "Bad Gateway"),
    "bad-gateway-page": SimulatedFault(502, page=PAGE_502),
    "daemon-dial": SimulatedFault(
        502, 'Post "https://ollama.com:443/v1/chat/completions?ts=1775218167": unexpected EOF', DAEMON
    ),
    "overloaded": SimulatedFault(503, f"Server overloaded, please retry shortly{REFERENCE}"),
    "unavailable": SimulatedFault(503, "Service Temporarily Unavailable"),
    "unavailable-page": SimulatedFault(503, page=PAGE_503),
    "daemon-account": SimulatedFault(503, "account unavailable", DAEMON),
    "daemon-queue-full": SimulatedFault(
        503, "server busy, please try again.  maximum pending requests exceeded", DAEMON
    ),
    "edge-timeout": SimulatedFault(524, page=""),
}

BEHAVIOURS: Mapping[str, str] = {
    "stream-error": "an error record inside a stream that began with 200",
    "stream-truncated": "half a record, then a clean end",
    "stream-dropped": "the connection closes in the middle of an answer",
    "stream-stalled": "an answer that stops and never ends",
    "empty-content": "200 with an empty answer",
    "slow-first-byte": "nothing for some seconds, then the usual answer",
    "connection-dropped": "the connection closes before any answer",
    "hang": "no answer, ever",
}
