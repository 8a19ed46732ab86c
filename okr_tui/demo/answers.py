"""What the simulated models say: a few pleasant Markdown answers, chosen by the prompt alone."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Record = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ScriptedToolCall:
    """A request of the model to run one of the caller's tools."""

    name: str
    arguments: dict[str, object]
    id: str


@dataclass(frozen=True, slots=True)
class ScriptedAnswer:
    """A whole answer before it is cut into pieces."""

    thinking: str
    text: str
    tools: tuple[ScriptedToolCall, ...] = field(default=())


SKY = """\
The sky is blue because of **Rayleigh scattering**. Sunlight holds every colour, and the molecules of the \
air scatter the short, blue waves far more strongly than the long, red ones: the effect grows with the \
inverse fourth power of the wavelength.

- **Noon:** blue light reaches you from every direction, so the whole sky glows blue.
- **Sunset:** the light crosses much more air, the blue is scattered away, and red remains.
- **Violet** is scattered even more, but the sun sends less of it and our eyes hardly see it.
"""

CODE = """\
Here is a short version that keeps the order of the items:

```python
def unique(items):
    seen = set()
    return [item for item in items if not (item in seen or seen.add(item))]

print(unique([3, 1, 3, 2, 1]))  # [3, 1, 2]
```

It runs in linear time. For hashable items `list(dict.fromkeys(items))` does the same in one expression.
"""

STEPS = """\
A small plan that works well:

1. **Write down the goal** in one sentence, so that everybody can tell when it is reached.
2. **Cut it into parts** that take a day or less.
3. **Start with the riskiest part**; it decides whether the rest is worth doing.
4. **Show the result early** and let the feedback change the order.
"""

PARAGRAPH = """\
In short: it depends on what you measure, but the *simplest* explanation is usually the right one to \
start with. Look at the smallest case that shows the effect, change **one** thing at a time, and write down \
what you see. Two or three such steps tell you more than a long argument.
"""

COMPARISON = """\
Both are good choices; they differ in what they make easy.

| | first | second |
|---|---|---|
| start | quick | needs a plan |
| growth | gets harder | stays even |
| best for | a prototype | a product |

If in doubt, take the first and write down when you would switch.
"""

GREETING = "Hello! I am doing well, thank you. What shall we look at today?\n"

TOPICS: Sequence[tuple[str, str]] = (
    (r"\bsky\b|rayleigh", SKY),
    (r"\b(code|function|python|program|script|list)\b", CODE),
    (r"\b(how|plan|steps?)\b", STEPS),
    (r"\b(compare|versus|vs|difference|better)\b", COMPARISON),
    (r"^\W*(hi|hello|hey|ping)\b", GREETING),
)
OTHERS = (PARAGRAPH, STEPS, COMPARISON)


def compose(prompt: str, tools: Sequence[Record] = (), result: str | None = None) -> ScriptedAnswer:
    """Answer a prompt: call the tools it names, or sum up the `result` of one.

    The weather asks for the first tool, a search for web_search; "without end" calls after every result.
    """
    if result is not None and "without end" not in prompt:
        return ScriptedAnswer("The tool answered; sum it up.", f"The tool reports: **{result.strip()}**\n")
    if wanted := _wanted(tools, prompt):
        calls = tuple(_call(tool, prompt) for tool in wanted)
        return ScriptedAnswer(f"Need the {calls[0].name} tool.", "", calls)
    topic = " ".join(prompt.split()[:8]) or "nothing"
    return ScriptedAnswer(f"The user asks: {topic}. Give a short, clear answer.", _text(prompt))


def pieces(text: str) -> list[str]:
    """Split a text into the pieces that are sent: a word with the space after it."""
    return re.findall(r"\S+\s*|\s+", text)


def _text(prompt: str) -> str:
    for pattern, text in TOPICS:
        if re.search(pattern, prompt, re.IGNORECASE):
            return text
    return OTHERS[hashlib.sha256(prompt.encode()).digest()[0] % len(OTHERS)]


def _wanted(tools: Sequence[Record], prompt: str) -> list[Record]:
    named = [tool for tool in tools if re.search(rf"\b{re.escape(_name(tool))}\b", prompt)]
    if not named and re.search("weather", prompt, re.IGNORECASE):
        return list(tools[:1])
    if not named and re.search(r"\bsearch\b", prompt, re.IGNORECASE):
        return [tool for tool in tools if _name(tool) == "web_search"]
    return named


def _name(tool: Record) -> str:
    return str((_record(tool.get("function")) or tool).get("name", "tool"))


def _call(tool: Record, prompt: str) -> ScriptedToolCall:
    function = _record(tool.get("function")) or tool
    schema = _record(function.get("parameters")) or _record(function.get("input_schema"))
    properties = _record(schema.get("properties"))
    arguments = {name: _argument(_record(described), prompt) for name, described in properties.items()}
    digest = hashlib.sha256(f"{_name(tool)} {prompt}".encode()).hexdigest()
    return ScriptedToolCall(_name(tool), arguments, f"call_{digest[:8]}")


def _argument(described: Record, prompt: str) -> object:
    choices = described.get("enum")
    if isinstance(choices, list) and choices:
        return choices[0]
    city = re.search(r"\bin ([A-Z]\w+)", prompt)
    simple: dict[object, object] = {"integer": 1, "number": 1.5, "boolean": True, "array": [], "object": {}}
    return simple.get(described.get("type"), city[1] if city else "London")


def _record(value: object) -> Record:
    return value if isinstance(value, Mapping) else {}
