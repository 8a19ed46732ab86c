"""Plain domain values to show: a pool in every state, models, entries, settings and an answer."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

from okr_tui.chat.messages import ChatEvent, Finished, Routed
from okr_tui.cloud.dialects import Delta
from okr_tui.domain.faults import Fault, FaultKind, Hop, Scope
from okr_tui.domain.feed import Entry
from okr_tui.domain.health import State, Verdict
from okr_tui.domain.history import SLOT, KeyHistory, Tally
from okr_tui.domain.keys import fingerprint
from okr_tui.domain.models import Model
from okr_tui.domain.quota import Balance, Credits, Sample, Window
from okr_tui.domain.view import KeyView, PoolView
from okr_tui.services.service import (
    ModelList,
    ModelRow,
    SettingLine,
    SettingsView,
    Snapshot,
    TrustQuestion,
)

NOW = 1_785_917_640.0
"""Wednesday 2026-08-05 08:14:00 UTC."""
SETTINGS_FILE = Path("/home/someone/.pi/agent/settings.json")
READY = Verdict(State.READY, eligible=True)
SPENT = Verdict(State.SPENT, eligible=False, reason="5h spent", until=NOW + 8040, window="session")
INVALID = Verdict(State.INVALID, eligible=False, reason="401 invalid api key", until=NOW + 252)
SPENT_FAULT = Fault(
    FaultKind.SPENT, Scope.ACCOUNT, "you have reached your session usage limit", 429, "session"
)


def windows(session: float, weekly: float) -> Balance:
    """A balance of the two windows, in percent used."""
    return Balance((Window("session", session, NOW + 6000), Window("weekly", weekly, NOW + 300_000)))


def dollars(left: float) -> Balance:
    """A balance in dollars."""
    return Balance(credits=Credits(left, 60.0))


def key(index: int, verdict: Verdict = READY, **changes: object) -> KeyView:
    """One key of the pool."""
    text = f"key number {index}"
    print_of = fingerprint(text)
    row = KeyView(
        index=index,
        fingerprint=print_of,
        masked=f"{print_of[:4]}…{print_of[-4:]}",
        label=None,
        origin="global",
        verdict=verdict,
        preferred=False,
        account=None,
        account_keys=(index,),
        plan="pro",
        balance=windows(38, 12),
        read_at=NOW - 30,
        requests=10,
        faults=0,
        last_fault=None,
        last_fault_at=None,
        blocked_models=(),
        in_flight=0,
        slots=3,
    )
    return replace(row, **changes)  # type: ignore[arg-type]


KEYS = (
    key(1, label="amber", preferred=True, account_keys=(1, 2), in_flight=1),
    key(2, label="amber", account_keys=(1, 2), same_as=1),
    key(3, SPENT, label="birch", plan="free", balance=windows(100, 61)),
    key(4, INVALID, plan=None, balance=None, read_at=None),
    key(5, label="cedar", plan="max", balance=dollars(12.5)),
    key(6, Verdict(State.OFF, eligible=False, reason="switched off by you"), label="dune"),
)


def pool(*keys: KeyView, active: int | None = 1, **changes: object) -> PoolView:
    """A pool of these keys."""
    counts = Counter(row.state for row in keys)
    whole = PoolView(keys=keys, active=active, preferred=1, counts=counts)
    return replace(whole, **changes)  # type: ignore[arg-type]


def model(name: str, billions: float, context: int, *capabilities: str) -> Model:
    """One model."""
    listed = ("completion", *capabilities)
    family = name.partition(":")[0]
    levels = {"gpt-oss": ("low", "medium", "high"), "deepseek-v4-flash": ("off", "on", "high", "max")}
    return Model(
        name,
        parameters=int(billions * 1e9),
        context_length=context,
        capabilities=listed,
        family=family,
        thinking=levels.get(family, ("off", "on")) if "thinking" in capabilities else None,
    )


ALL = (1, 2, 3, 5)
MODELS = (
    ModelRow(model("gpt-oss:20b", 20.9, 131_072, "thinking", "tools"), (1, 2, 3, 4, 5, 6)),
    ModelRow(model("gpt-oss:120b", 116.8, 131_072, "thinking", "tools"), (1, 2, 3, 4, 5, 6)),
    ModelRow(model("kimi-k2.6", 1000, 262_144, "vision", "thinking", "tools"), (1, 2)),
    ModelRow(model("kimi-k3", 2800, 1_048_576, "vision", "thinking", "tools"), ()),
    ModelRow(model("gemma4:31b", 32.7, 262_144, "vision", "thinking", "tools"), ALL),
    ModelRow(model("qwen3-vl:235b-instruct", 235.1, 262_144, "vision", "tools"), ALL),
    ModelRow(model("mistral-large-3:675b", 675, 262_144, "vision", "tools"), ALL),
    ModelRow(model("deepseek-v4-flash", 284.3, 1_048_576, "thinking", "tools"), ALL),
    ModelRow(model("glm-5.2", 756.2, 202_752, "thinking", "tools"), ALL),
    ModelRow(model("minimax-m3", 456, 524_288, "tools"), ALL),
    ModelRow(replace(model("glm-4.6", 355, 202_752, "tools"), status="gone"), (), "glm-5.2"),
)
ENTRIES = (
    Entry(NOW - 3600, "info", "settings read: 6 keys", "https://ollama.com"),
    Entry(NOW - 3590, "info", "11 models", "+minimax-m3 -glm-4.6"),
    Entry(
        NOW - 300,
        "fault",
        "#4 401 invalid api key, back 08:18 UTC → #1",
        "cli · gpt-oss:20b · 401 invalid api key",
        4,
    ),
    Entry(NOW - 120, "good", "#5 back: slowed is over", key=5),
    Entry(NOW - 63, "quiet", "#1 gpt-oss:20b ok", "dashboard · 412 tokens, 6.8 s", 1),
    Entry(NOW - 20, "quiet", "#1 kimi-k2.6 ok", "gateway · 1204 tokens, 21.0 s", 1),
    Entry(
        NOW - 9,
        "fault",
        "#3 5h spent, back 10:28 UTC → #1",
        "gateway · gpt-oss:120b · 429 you have reached your session usage limit",
        3,
    ),
    Entry(NOW - 2, "warning", "#1 model kimi-k9 not found", "gateway · kimi-k9 · 404 model not found", 1),
)


GLOBAL = "global ~/.pi/agent/settings.json"
PROJECT_FILE = Path("/srv/garden/.pi/settings.json")
LINES = (
    SettingLine("apiKeys", "6 keys", f"{GLOBAL}:3"),
    SettingLine("activeKeyIndex", "0", "environment OLLAMA_ACTIVE_KEY_INDEX", (f"{GLOBAL}:9",)),
    SettingLine("cloudUrl", "https://ollama.com", "default"),
    SettingLine("baseUrl", "http://127.0.0.1:11434/v1", f"project {PROJECT_FILE}:4", (f"{GLOBAL}:10",)),
    SettingLine("strategy", "sticky", "default"),
    SettingLine("store", "sqlite:/home/someone/.local/state/okr-tui/log.db", "default"),
    SettingLine("theme", "okr-dark", f"{GLOBAL}:14"),
    SettingLine("policy.spent_jitter", "1 to 30 seconds", f"{GLOBAL}:16"),
    SettingLine("gateway.port", "11435", "default"),
)
TRUST = TrustQuestion(
    PROJECT_FILE, ("a key that the command [b]pass garden[/b] prints", "baseUrl http://127.0.0.1:11434/v1")
)


def settings(**changes: object) -> SettingsView:
    """The settings of the pool."""
    whole = SettingsView("https://ollama.com", SETTINGS_FILE, (SETTINGS_FILE, PROJECT_FILE), lines=LINES)
    return replace(whole, **changes)  # type: ignore[arg-type]


def snapshot(**changes: object) -> Snapshot:
    """The pool in every state, with models and entries."""
    whole = Snapshot(
        at=NOW,
        pool=pool(*KEYS, empty_at=NOW + 117_960),
        models=ModelList(MODELS, refreshed_at=NOW - 60, favourites_only=True),
        settings=settings(),
        entries=ENTRIES,
    )
    return replace(whole, **changes)  # type: ignore[arg-type]


ANSWER: tuple[ChatEvent, ...] = (
    Routed(KEYS[0].fingerprint, 1, (Hop(KEYS[2].fingerprint, 3, SPENT_FAULT),)),
    Delta(thinking="The person asks about the sky. "),
    Delta(thinking="Scattering, then."),
    Delta("Sunlight meets molecules that are much smaller than its wavelength.\n\n"),
    Delta(
        "- **Blue** is scattered most\n- red passes through\n\n```python\nscatter = wavelength ** -4\n```\n"
    ),
    Finished("stop", 17, 122, 300, 2300, (Hop(KEYS[2].fingerprint, 3, SPENT_FAULT),), KEYS[0].fingerprint, 1),
)

HISTORY = KeyHistory(
    {
        "session": tuple(Sample(NOW - SLOT * n, 100 - 4 * n) for n in range(20, -1, -1)),
        "weekly": tuple(Sample(NOW - SLOT * n, 61 - n) for n in range(20, -1, -1)),
    },
    {int(NOW // SLOT) - n: Tally(20 - n, n % 3) for n in range(12)},
)
