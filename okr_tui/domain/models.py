"""A model of the cloud as it is listed and shown. Unknown values are None, never a guess."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from functools import cached_property, lru_cache
from typing import Final, Literal

from okr_tui.domain.values import dataclass

PROVIDER: Final = "ollama-cloud"
LOCAL: Final = "local:"
"""What the name of a model of a local Ollama begins with where it answers instead of another."""
REFRESH_EVERY: Final = 1800
"""Seconds after which the list of the cloud's models is read again."""
OFF: Final = "off"
LEVEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
"""The name of a level of thinking, as models define them."""
BADGES: Final = (("vision", "👁️"), ("thinking", "🧠"))

# docs.ollama.com/cloud/model-lifecycle
REPLACED_BY: Final[Mapping[str, str]] = {
    "qwen3.5:397b": "glm-5.3",
    "glm-5.1": "glm-5.2",
    "deepseek-v4-flash:0731": "deepseek-v4.1-flash",
    "minimax-m2.5": "minimax-m2.7",
    "kimi-k2.5": "kimi-k2.6",
    "deepseek-v3.1:671b": "deepseek-v4-flash",
    "deepseek-v3.2": "deepseek-v4-flash",
    "devstral-2:123b": "mistral-large-3:675b",
    "gemini-3-flash-preview": "minimax-m3",
    "minimax-m2.1": "minimax-m3",
    "gemma3:4b": "gemma4:31b",
    "gemma3:12b": "gemma4:31b",
    "gemma3:27b": "gemma4:31b",
    "glm-4.7": "glm-5.2",
    "glm-5": "glm-5.2",
    "qwen3-coder-next": "qwen3.5:397b",
    "qwen3-coder:480b": "qwen3.5:397b",
    "kimi-k2-thinking": "kimi-k2.6",
    "kimi-k2:1t": "kimi-k2.6",
    "minimax-m2": "minimax-m3",
    "glm-4.6": "glm-5.1",
    "qwen3-next:80b": "qwen3.5:397b",
    "qwen3-vl:235b": "qwen3.5:397b",
    "qwen3-vl:235b-instruct": "qwen3.5:397b",
    "cogito-2.1:671b": "deepseek-v4-flash",
}


@dataclass(frozen=True, slots=True)
class Model:
    """One model. `parameters` is a count, `context_length` is in tokens, `size` in bytes."""

    id: str
    digest: str | None = None
    modified_at: str | None = None
    size: int | None = None
    parameters: int | None = None
    context_length: int | None = None
    capabilities: tuple[str, ...] | None = None
    family: str | None = None
    quantization: str | None = None
    thinking: tuple[str, ...] | None = None
    """How it can think, in the cloud's order: "off", "on", or levels of its own; None: it does not say."""
    thinking_default: str | None = None
    model_info: Mapping[str, object] = field(default_factory=dict)
    status: Literal["listed", "gone"] = "listed"

    def can(self, capability: str) -> bool:
        """Return whether the cloud lists this capability for the model."""
        return capability in (self.capabilities or ())

    @property
    def thinking_text(self) -> str:
        """How it can think, for people: "low, high (default), xhigh"."""
        if self.thinking is None:
            return "unknown" if self.capabilities is None or self.can("thinking") else "no"
        if not self.thinks:
            return "no"
        return ", ".join(
            f"{word} (default)" if word == self.thinking_default else word for word in self.thinking
        )

    @property
    def thinks(self) -> bool:
        """Whether the cloud lists a way of thinking other than none."""
        return self.can("thinking") if self.thinking is None else any(word != OFF for word in self.thinking)

    def matches(self, words: str) -> bool:
        """Return whether every word is in the model's name, family or capabilities."""
        text = " ".join((self.id, self.family or "", *(self.capabilities or ()))).lower()
        return all(word in text for word in words.lower().split())

    @property
    def provider_id(self) -> str:
        """The model's name as pi's settings write it."""
        return f"{PROVIDER}/{self.id}"

    @property
    def parameters_text(self) -> str | None:
        """The parameter count for people: "20.9B"."""
        return short_count(self.parameters) if self.parameters else None

    @property
    def context_text(self) -> str | None:
        """The context length for people: "131K"."""
        return short_context(self.context_length) if self.context_length else None

    @property
    def display(self) -> str:
        """The line that pi shows: badges, name, size and context."""
        badges = ["☁️", *(badge for capability, badge in BADGES if self.can(capability))]
        parts = [f"{' '.join(badges)} {self.id}", self.parameters_text]
        if self.context_text:
            parts.append(f"{self.context_text} ctx")
        return " · ".join(part for part in parts if part)


def short_count(count: float) -> str:
    """Return a large count for people, in thousands of millions and up: "756.2B", "1.0T"."""
    for unit, size in (("T", 1e12), ("B", 1e9), ("M", 1e6)):
        if count >= size:
            text = f"{count / size:.1f}"
            return (text.removesuffix(".0") if count >= 10 * size else text) + unit
    return f"{count:.0f}"


def short_context(tokens: int) -> str:
    """Return a context length for people: "131K", "1.05M"."""
    if tokens >= 1_000_000:
        return f"{tokens / 1e6:.3g}M"
    return f"{tokens // 1000}K" if tokens >= 1000 else str(tokens)


def replacement(model: str, listed: frozenset[str]) -> str | None:
    """Return the listed successor of a retired model; a successor may be retired too, so follow them."""
    seen = {model}
    following = REPLACED_BY.get(model)
    while following and following not in seen:
        if following in listed:
            return following
        seen.add(following)
        following = REPLACED_BY.get(following)
    return None


PREFIXES: Final = (f"{PROVIDER}/", "registry.ollama.ai/", "library/", "ollama_chat/", "ollama/", "openai/")
"""What clients put before a model's name: their own name for the provider, or Ollama's registry."""


def bare_name(model: str) -> str:
    """Return a model's name without a provider's prefix and the daemon's suffix for the cloud."""
    for prefix in PREFIXES:
        model = model.removeprefix(prefix)
    for suffix in (":cloud", "-cloud"):
        model = model.removesuffix(suffix)
    return model


def listed_model(models: Iterable[Model], name: str | None) -> Model | None:
    """Return the listed model of a name; None when there is none."""
    wanted = bare_name(name or "")
    return next((model for model in models if model.id == wanted), None)


LIST_DOCUMENT: Final = "models with thinking"
"""The name of the model list in the store; another one when what is read of a model changes."""
SUFFIXES: Final = (":cloud", "-cloud", ":latest")
REGISTRIES: Final = frozenset({"registry.ollama.ai", "ollama.com", "www.ollama.com"})
"""Where Ollama's own models are: a name with a dot before a slash is a registry's."""
RESOLVED: Final = 512
"""How many spellings are remembered."""


@dataclass(frozen=True)
class ModelNames:
    """The names under which models are known: those listed, and the user's own for them."""

    listed: frozenset[str] = frozenset()
    aliases: Mapping[str, str] = field(default_factory=dict)

    def resolve(self, name: str) -> str:
        """Return the catalogue's name for any usual spelling of one.

        The usual spellings have a provider's name or a registry in front, the daemon's suffix for the cloud
        or `:latest` at the end, capital letters, or leave out the tag of a model that has only one. A name
        that is listed always means itself, and one that fits none, or several, is only made bare. What
        follows another registry (`hf.co/NAME`) is another model.
        """
        name = self.aliases.get(name, name).strip()
        if name in self.listed:
            return name
        if name not in self._resolved:
            if len(self._resolved) >= RESOLVED:
                self._resolved.clear()
            self._resolved[name] = self._resolve(name)
        return self._resolved[name]

    @cached_property
    def _resolved(self) -> dict[str, str]:
        """What other spellings meant; clients repeat the same ones."""
        return {}

    def _resolve(self, name: str) -> str:
        for known in self._spelled, self._tagged:
            for spelling in _spellings(name):
                if len(found := known.get(spelling.lower(), [])) == 1:
                    return found[0]
        return bare_name(name)

    @cached_property
    def _spelled(self) -> dict[str, list[str]]:
        """The listed models by their names in lower case."""
        return self._by(str.lower)

    @cached_property
    def _tagged(self) -> dict[str, list[str]]:
        """The listed models by their names in lower case without the tag."""
        return self._by(lambda model: model.lower().partition(":")[0])

    def _by(self, spelling: Callable[[str], str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for model in self.listed:
            found.setdefault(spelling(model), []).append(model)
        return found


def _spellings(name: str) -> Iterator[str]:
    """Yield a name as it is, and ever less of it."""
    while True:
        shorter = name
        yield shorter
        while suffix := next((end for end in SUFFIXES if shorter.lower().endswith(end)), None):
            shorter = shorter[: -len(suffix)]
            yield shorter
        before, slash, name = name.partition("/")
        if not slash or ("." in before and before.lower() not in REGISTRIES):
            return


LEVELS: Final = ("off", "minimal", "low", "medium", "high", "xhigh", "max")
PATTERN: Final = re.compile(r"\*\*|[*?]|\[[^\]/]+\]")
RANGE: Final = re.compile(r"(.)-(.)|.", re.DOTALL)


def is_favourite(entries: Sequence[str], model: str) -> bool:
    """Return whether any entry names the model, which is given by its id without a provider."""
    return any(names(entry, model) for entry in entries)


def names(entry: str, model: str) -> bool:
    """Return whether one entry names the model."""
    texts = (model.lower(), f"{PROVIDER}/{model}".lower())
    for wanted in _with_and_without_level(entry.strip().lower()):
        if wanted in texts:
            return True
        if PATTERN.search(wanted) and any(_expression(wanted).fullmatch(text) for text in texts):
            return True
    return False


def own_entries(entries: Sequence[str], model: str) -> list[int]:
    """Return the indexes of the entries that mean only this model of this provider, last one first."""
    whole = f"{PROVIDER}/{model}".lower()
    return [
        index
        for index in reversed(range(len(entries)))
        if whole in _with_and_without_level(entries[index].strip().lower())
    ]


def others(entries: Sequence[str], model: str) -> list[str]:
    """Return the entries that name the model among others: patterns, and ids without a provider."""
    own = set(own_entries(entries, model))
    return [entry for index, entry in enumerate(entries) if index not in own and names(entry, model)]


def following(favourites: Sequence[str], present: str | None) -> str | None:
    """Return the favourite after the present model, from the first again after the last; None without any."""
    if not favourites:
        return None
    index = favourites.index(present) + 1 if present in favourites else 0
    return favourites[index % len(favourites)]


def _with_and_without_level(entry: str) -> tuple[str, ...]:
    base, _, level = entry.rpartition(":")
    return (entry, base) if level in LEVELS else (entry,)


@lru_cache(maxsize=256)
def _expression(pattern: str) -> re.Pattern[str]:
    """Return a pattern as pi reads it: only `**` goes over a slash."""
    parts, end = [], 0
    for found in PATTERN.finditer(pattern):
        parts.append(re.escape(pattern[end : found.start()]))
        parts.append(_part(found[0]))
        end = found.end()
    return re.compile("".join((*parts, re.escape(pattern[end:]))))


def _part(wildcard: str) -> str:
    match wildcard:
        case "**":
            return ".*"
        case "*":
            return "[^/]*"
        case "?":
            return "[^/]"
    letters = wildcard[1:-1]
    inverse = letters[0] in "!^" and len(letters) > 1
    parts = [(found[1] or found[0], found[2] or found[0]) for found in RANGE.finditer(letters[inverse:])]
    if any(first > last for first, last in parts):
        return re.escape(wildcard)  # a range that runs backwards
    ranges = "".join(f"{re.escape(first)}-{re.escape(last)}" for first, last in parts)
    return f"[{'^' if inverse else ''}{ranges}]"
