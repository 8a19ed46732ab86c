"""The cloud's JSON documents read into domain values. Nothing here raises on an unknown shape.

Texts are made safe to show and numbers are bounded here, once: a value that cannot be kept is absent, and
spoils neither its document nor its neighbours.

Sources: docs.ollama.com/api (tags, show), docs.ollama.com/api/balance,
docs.ollama.com/cloud/usage.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from okr_tui.domain.models import LEVEL, OFF, Model
from okr_tui.domain.quota import Balance, Credits, Window, percent
from okr_tui.domain.schedule import has_date
from okr_tui.domain.text import LINE_LIMIT, clean_line, has_hidden
from okr_tui.domain.usage import CloudBucket, CloudCounts
from okr_tui.domain.values import dataclass

WINDOWS: Final = ("session", "weekly")
BUCKETS_MOST: Final = 100
FRACTION = re.compile(r"(\.\d{6})\d+")
MOST: Final = 10**15
"""The largest count, size and sum that is taken for one; floats are exact up to there."""
MOST_DIGITS: Final = 18
MODELS_MOST: Final = 5000
DETAILS_MOST: Final = 256
"""How many entries of a model's information are kept, and capabilities."""
UNDECODED: Final = "\ufffd"

NO_ACCOUNT = "00000000-0000-0000-0000-000000000000"


def parse(raw: bytes | bytearray) -> object:
    """Return a JSON document. What is no text in it becomes U+FFFD, a number beyond all bounds infinite.

    Raises ValueError for what is no JSON, or nested too deeply.
    """
    try:
        try:
            return json.loads(raw)
        except ValueError:
            return json.loads(raw.decode("utf-8-sig", "replace"), parse_int=_whole_number)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _whole_number(digits: str) -> float:
    return int(digits) if len(digits) <= MOST_DIGITS else float(digits)


@dataclass(frozen=True, slots=True)
class Listing:
    """The models that the cloud lists. `skipped` counts those whose names cannot be shown as they are."""

    models: tuple[Model, ...]
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class Identity:
    """The account of a key and its plan. The name and e-mail in the document are not kept."""

    account: str
    plan: str | None


def read_identity(document: object) -> Identity | None:
    """Read `POST /api/me`; None without an account. Field names may be capitalised."""
    if not isinstance(document, dict):
        return None
    folded = {key.lower(): value for key, value in document.items()}
    account, plan = folded.get("id"), folded.get("plan")
    if not isinstance(account, str) or not account or account == NO_ACCOUNT:
        return None
    if not (account := clean_line(account, 64)):
        return None
    return Identity(account, (clean_line(plan, 32).lower() or "free") if isinstance(plan, str) else None)


def read_models(document: object) -> Listing | None:
    """Read `GET /api/tags`; None when it is not a model list.

    A name is what requests are sent with, so one that cannot be shown as it is is left out, never changed.
    """
    models = document.get("models") if isinstance(document, dict) else None
    if not isinstance(models, list):
        return None
    found: dict[str, Model] = {}
    skipped = 0
    for item in models[:MODELS_MOST]:
        if not isinstance(item, dict):
            continue
        name = item.get("model") or item.get("name")
        if not isinstance(name, str) or name in found:
            continue
        if len(name) > LINE_LIMIT or has_hidden(name) or UNDECODED in name or not name.strip():
            skipped += 1
            continue
        size = _positive(item.get("size"))
        found[name] = Model(name, _word(item.get("digest")), _word(item.get("modified_at")), size)
    return Listing(tuple(found.values()), skipped)


def with_details(model: Model, document: object) -> Model:
    """Return the model with the details in a document of `POST /api/show`."""
    if not isinstance(document, dict):
        return model
    details = document.get("details")
    details = details if isinstance(details, dict) else {}
    info = document.get("model_info")
    info = info if isinstance(info, dict) else {}
    capabilities = document.get("capabilities")
    if isinstance(capabilities, list):
        words = (clean_line(word, 32) for word in capabilities[:DETAILS_MOST] if isinstance(word, str))
        model = replace(model, capabilities=tuple(filter(None, words)))
    levels, default = _thinking(document.get("thinking"))
    return replace(
        model,
        thinking=levels,
        thinking_default=default,
        parameters=_positive(info.get("general.parameter_count")) or _positive(details.get("parameter_size")),
        context_length=_context(info),
        family=_word(details.get("family")),
        quantization=_word(details.get("quantization_level")),
        model_info=_information(info),
    )


def _information(info: Mapping[str, object]) -> dict[str, object]:
    """Return the entries that are one text, number, or yes and no; of the first ones only."""
    found: dict[str, object] = {}
    for key, value in tuple(info.items())[:DETAILS_MOST]:
        if isinstance(value, str):
            found[clean_line(key, 128)] = clean_line(value)
        elif isinstance(value, bool) or (isinstance(value, int | float) and _number(value) is not None):
            found[clean_line(key, 128)] = value
    return found


def _thinking(value: object) -> tuple[tuple[str, ...] | None, str | None]:
    """Read `thinking: {values, default}`: the levels of a model and the one it takes by itself.

    Values are booleans and names that the model defines (ollama/ollama pull request 18473).
    """
    if not isinstance(value, dict) or not isinstance(value.get("values"), list):
        return None, None
    words = dict.fromkeys(word for item in value["values"][:DETAILS_MOST] if (word := _level(item)))
    default = _level(value.get("default"))
    return tuple(words), default if default in words else None


def _level(value: object) -> str | None:
    if isinstance(value, bool):
        return "on" if value else OFF
    return value if isinstance(value, str) and LEVEL.fullmatch(value) else None


def _context(info: Mapping[str, object]) -> int | None:
    for key, value in info.items():
        if isinstance(key, str) and key.endswith(".context_length"):
            return _positive(value)
    return None


def _word(value: object) -> str | None:
    return clean_line(value) or None if isinstance(value, str) else None


def _positive(value: object) -> int | None:
    """Return a count above zero, also from digits in a string; zero means undisclosed."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MOST else None


def read_balance(document: object) -> Balance:
    """Read `GET /api/balance` of any generation, and the older `limits` shape.

    A window that is absent or null means "no such limit", never "nothing left".
    """
    if not isinstance(document, dict):
        return Balance(understood=False)
    if isinstance(document.get("limits"), dict):
        return Balance(tuple(_old_windows(document["limits"])))
    included, purchased = document.get("included"), document.get("purchased")
    bought = _number(purchased.get("balance_usd")) if isinstance(purchased, dict) else None
    if included is None and bought is not None:
        included = {}
    if not isinstance(included, dict):
        return Balance(understood=False)
    windows = tuple(_windows(included))
    balance = _number(included.get("balance_usd"))
    dollars = None
    if balance is not None or bought:
        period = included.get("period")
        until = parse_time(period.get("until")) if isinstance(period, dict) else None
        dollars = Credits(balance or 0.0, _number(included.get("allowance_usd")), bought, until)
    return Balance(windows, dollars, understood=_understood(included, windows, balance))


def _understood(included: Mapping[str, object], windows: Sequence[Window], balance: float | None) -> bool:
    """Return whether the plan's part has a known shape: readable windows, dollars, or nothing at all."""
    present = [included[name] for name in WINDOWS if included.get(name) is not None]
    if not all(isinstance(window, dict) and _readable(window) for window in present):
        return False
    return bool(windows) or balance is not None or not set(included) - set(WINDOWS)


def _readable(window: Mapping[str, object]) -> bool:
    left = window.get("remaining_percent", "absent")
    return left is None or _number(left) is not None


def _windows(included: Mapping[str, object]) -> Sequence[Window]:
    found = []
    for name in WINDOWS:
        window = included.get(name)
        if isinstance(window, dict):
            left = _number(window.get("remaining_percent"))
            used = None if left is None else percent(100 - left)
            found.append(Window(name, used, parse_time(window.get("resets_at"))))
    return found


def _old_windows(limits: Mapping[str, object]) -> Sequence[Window]:
    found = []
    for name in ("session", "weekly", "monthly"):
        window = limits.get(name)
        if isinstance(window, dict):
            used = _number(window.get("usage"))
            found.append(Window(name, None if used is None else percent(100 * used)))
    return found


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) and abs(number) <= MOST else None


def read_usage(document: object) -> tuple[CloudBucket, ...] | None:
    """Read `GET /api/usage`, by day or hour; None for what is not a usage history.

    Legacy plans only count requests: what they leave out is None.
    """
    buckets = document.get("buckets") if isinstance(document, dict) else None
    if not isinstance(buckets, list):
        return None
    found = []
    for bucket in buckets[:BUCKETS_MOST]:
        since = parse_time(bucket.get("from")) if isinstance(bucket, dict) else None
        until = parse_time(bucket.get("until")) if isinstance(bucket, dict) else None
        if since is None or until is None:
            continue
        counts = CloudCounts(
            _whole(bucket.get("request_count")),
            _whole(bucket.get("input_tokens")),
            _whole(bucket.get("cached_input_tokens")),
            _whole(bucket.get("output_tokens")),
            _number(bucket.get("usage_usd")),
        )
        found.append(CloudBucket(since, until, counts))
    return tuple(found) if found or not buckets else None


def _whole(value: object) -> int | None:
    number = _number(value)
    return int(number) if number is not None and number >= 0 else None


def parse_time(text: object) -> float | None:
    """Parse an RFC 3339 time, up to nanoseconds, to epoch seconds; None for Go's zero and the rest."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(FRACTION.sub(r"\1", text))
    except ValueError:
        return None
    at = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return at if at > 0 and has_date(at) else None
