"""Prometheus metrics: complete, with zeros from the start, and the dashboard that asks for them."""

import importlib.resources
import json
import re
from typing import Any

from okr_tui import __version__
from okr_tui.domain.faults import FaultKind
from okr_tui.domain.health import State
from okr_tui.domain.records import ALERT_EVENTS
from tests.gateway.running_gateway import RunningGateway
from tests.harness import MODEL, Harness

NAME = re.compile(r"okr_[a-z_]+")
LINE = re.compile(r"(okr_[a-z_]+)(?:\{(.*)\})? (\S+)")
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')


async def scraped(gateway: RunningGateway) -> list[tuple[str, dict[str, str], float]]:
    text = (await gateway.client.get("/metrics")).text
    found = []
    for line in text.splitlines():
        if not line.startswith("#"):
            match = LINE.fullmatch(line)
            assert match, line
            found.append((match[1], dict(LABEL.findall(match[2] or "")), float(match[3])))
    return found


async def value(gateway: RunningGateway, name: str, **labels: str) -> float:
    matching = [
        number
        for found, has, number in await scraped(gateway)
        if found == name and labels.items() <= has.items()
    ]
    assert matching, (name, labels)
    return sum(matching)


async def test_what_may_come_is_zero_before_it_comes(harness: Harness, gateway: RunningGateway) -> None:
    await gateway.service.refresh_models()
    lines = await scraped(gateway)
    keys = {key.fingerprint for key in gateway.service.pool.config.keys}

    def labels(name: str, label: str) -> set[str]:
        return {has[label] for found, has, _ in lines if found == name}

    assert labels("okr_requests_total", "key") == labels("okr_faults_total", "key") == keys
    assert labels("okr_requests_total", "outcome") == {"ok", "fault", "cancelled"}
    assert labels("okr_faults_total", "kind") == {kind.value for kind in FaultKind}
    assert labels("okr_keys", "state") == {state.value for state in State}
    assert labels("okr_tokens_total", "kind") == {"input", "cached", "output"}
    assert MODEL in labels("okr_tokens_total", "model")
    assert labels("okr_alerts_total", "event") == set(ALERT_EVENTS)
    counters = [number for name, _, number in lines if name.endswith("_total")]
    assert set(counters) == {0}
    assert await value(gateway, "okr_build_info", version=__version__) == 1
    assert await value(gateway, "okr_outage") == 0
    assert harness.cloud.keys[0][0] not in str(lines)


async def test_tokens_are_counted_by_kind_model_account_and_client(gateway: RunningGateway) -> None:
    assert (await gateway.post("/api/chat")).status_code == 200
    [attempt] = await gateway.settled(1)
    account = gateway.service.pool.state.account_of(attempt.fingerprint)
    for kind, count in (("input", attempt.input_tokens), ("output", attempt.output_tokens)):
        assert count
        found = await value(gateway, "okr_tokens_total", kind=kind, model=MODEL, account=account)
        assert found == count
    before = await scraped(gateway)
    assert await scraped(gateway) == before, "a second scrape counts nothing twice"


async def test_quota_resets_and_dollars(gateway: RunningGateway) -> None:
    keys = gateway.service.pool.config.keys
    for key in keys:
        await gateway.service.quota_poller.balance(key)
    state = gateway.service.pool.state
    accounts = {key.fingerprint: state.account_of(key.fingerprint) for key in keys}
    balances = {key: state.account(account).balance for key, account in accounts.items()}
    name, balance = next((key, each) for key, each in balances.items() if each and each.credits)
    assert balance
    assert balance.credits
    assert await value(gateway, "okr_credit_usd", key=name, kind="bought") == balance.credits.purchased_usd
    assert await value(gateway, "okr_credit_usd", key=name, kind="included") == balance.credits.balance_usd
    now = gateway.service.clock.time()
    for found, _, number in await scraped(gateway):
        if found == "okr_quota_reset_timestamp_seconds":
            assert number > now
        if found == "okr_quota_read_timestamp_seconds":
            assert number == now


async def test_an_alert_is_counted_by_its_event(harness: Harness, gateway: RunningGateway) -> None:
    await harness.fault("session", path="/api/chat", account="amber")
    await gateway.post("/api/chat")
    await gateway.settled(2)
    await gateway.service.alerts.raise_due()
    assert await value(gateway, "okr_alerts_total", event="spent") == 1


def expressions(node: Any) -> list[str]:
    """Every query of a dashboard."""
    if isinstance(node, dict):
        own = [node["expr"]] if "expr" in node else []
        return own + [e for each in node.values() for e in expressions(each)]
    return [e for each in node for e in expressions(each)] if isinstance(node, list) else []


async def test_the_dashboard_asks_for_what_there_is_and_for_all_of_it(gateway: RunningGateway) -> None:
    dashboard = json.loads((importlib.resources.files("okr_tui.gateway") / "grafana.json").read_text())
    text = (await gateway.client.get("/metrics")).text
    families = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
    histograms = set(re.findall(r"^# TYPE (\S+) histogram", text, re.MULTILINE))
    names = families - histograms | {
        f"{name}_{end}" for name in histograms for end in ("bucket", "sum", "count")
    }
    asked = {name for expr in expressions(dashboard) for name in NAME.findall(expr)}
    assert asked <= names
    bare = {re.sub(r"_(bucket|sum|count)$", "", name) if name not in families else name for name in asked}
    assert bare == families
    known = {name: set(has) for name, has, _ in await scraped(gateway)}
    for expr in expressions(dashboard):
        for label in re.findall(r"by \(([a-z_]+)\)", expr):
            for name in NAME.findall(expr):
                assert name not in known or label in known[name], (label, name)
    positions = [tuple(panel["gridPos"].values()) for panel in dashboard["panels"]]
    assert len(set(positions)) == len(positions)
