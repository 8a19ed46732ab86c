"""The endpoints of Ollama Cloud, one row each: whatever depends on a path is stated here and nowhere else.

Sources: docs.ollama.com/api, docs.ollama.com/api/openai-compatibility,
docs.ollama.com/api/anthropic-compatibility, docs.ollama.com/cloud.
"""

from collections.abc import Mapping
from typing import Final, Literal

from okr_tui.cloud.dialects import Reader, read_completions, read_messages, read_native, read_responses
from okr_tui.domain.values import dataclass

Dialect = Literal["native", "openai", "anthropic"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One path of the cloud and what holds for it.

    `reader` reads the records of a model's answer; None where the answer is passed on unread. `streams` says
    that the answer comes record by record unless the request asks for one document. `public` endpoints answer
    anybody, so no key is sent there. `forwarded` ones are passed on by the gateway with a key of the pool.
    `runs_model` says that a refusal may be about the model that the request names. `offered` is false where
    the cloud refuses every request with 401, whatever the key. `longest` is how many bytes of an answer are
    read where it is read whole, as a document.
    """

    path: str
    dialect: Dialect = "native"
    method: str = "POST"
    reader: Reader | None = None
    streams: bool = False
    public: bool = False
    forwarded: bool = False
    runs_model: bool = False
    offered: bool = True
    longest: int = 1024 * 1024

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


CHAT: Final = Endpoint("/api/chat", reader=read_native, streams=True, forwarded=True, runs_model=True)
GENERATE: Final = Endpoint("/api/generate", reader=read_native, streams=True, forwarded=True, runs_model=True)
EMBED: Final = Endpoint("/api/embed", forwarded=True, runs_model=True, offered=False)
EMBEDDINGS: Final = Endpoint("/api/embeddings", forwarded=True, runs_model=True, offered=False)
PROCESSES: Final = Endpoint("/api/ps", method="GET", offered=False)
WEB_SEARCH: Final = Endpoint("/api/web_search", forwarded=True)
WEB_FETCH: Final = Endpoint("/api/web_fetch", forwarded=True)
TAGS: Final = Endpoint("/api/tags", method="GET", public=True, longest=8 * 1024 * 1024)
SHOW: Final = Endpoint("/api/show", public=True)
VERSION: Final = Endpoint("/api/version", method="GET", public=True)
IDENTITY: Final = Endpoint("/api/me")
BALANCE: Final = Endpoint("/api/balance", method="GET")
USAGE: Final = Endpoint("/api/usage", method="GET")
MODELS: Final = Endpoint("/v1/models", "openai", method="GET", public=True)
CHAT_COMPLETIONS: Final = Endpoint(
    "/v1/chat/completions", "openai", reader=read_completions, forwarded=True, runs_model=True
)
COMPLETIONS: Final = Endpoint(
    "/v1/completions", "openai", reader=read_completions, forwarded=True, runs_model=True
)
RESPONSES: Final = Endpoint("/v1/responses", "openai", reader=read_responses, forwarded=True, runs_model=True)
OPENAI_EMBEDDINGS: Final = Endpoint(
    "/v1/embeddings", "openai", forwarded=True, runs_model=True, offered=False
)
MESSAGES: Final = Endpoint("/v1/messages", "anthropic", reader=read_messages, forwarded=True, runs_model=True)
# The cloud answers 404 here whatever the model is.
COUNT_TOKENS: Final = Endpoint("/v1/messages/count_tokens", "anthropic", forwarded=True)

ENDPOINTS: Final[Mapping[str, Endpoint]] = {
    endpoint.path: endpoint
    for endpoint in (
        CHAT,
        GENERATE,
        EMBED,
        EMBEDDINGS,
        PROCESSES,
        WEB_SEARCH,
        WEB_FETCH,
        TAGS,
        SHOW,
        VERSION,
        IDENTITY,
        BALANCE,
        USAGE,
        MODELS,
        CHAT_COMPLETIONS,
        COMPLETIONS,
        RESPONSES,
        OPENAI_EMBEDDINGS,
        MESSAGES,
        COUNT_TOKENS,
    )
}
"""Every endpoint by its path."""


def find(path: str) -> Endpoint:
    """Return the endpoint of a path; for one that is not in the table, what its prefix implies."""
    return ENDPOINTS.get(path) or Endpoint(path, dialect_of(path))


def dialect_of(path: str) -> Dialect:
    """Return the dialect that callers of a path speak; anything may precede the path itself."""
    if MESSAGES.path in path:
        return "anthropic"
    return "openai" if "/v1/" in path or path.endswith("/v1") else "native"
