"""Settings that are handed on: what this program knows, without what is secret or of one machine."""

from typing import Any

import pytest

from okr_tui.settings.without_secrets import without_secrets

SECRET = "hidden-word"


@pytest.mark.parametrize(
    "root",
    [
        {"pi-ollama": {"apiKeys": [SECRET], "apiKey": SECRET, "activeKeyIndex": 1}},
        {"ollama": {"apiKeys": [{"key": SECRET, "label": "amber"}]}},
        {"pi-ollama": {"apikeys": [SECRET], "token": SECRET}},
        {"okr-tui": {"apiKeys": [SECRET], "apiKey": SECRET}},
        {"okr-tui": {"strategie": SECRET, "gateway": {"token": SECRET}, "policy": {"key": SECRET}}},
        {"okr-tui": {"trustedProjects": [SECRET], "activeKeyFingerprint": SECRET}},
        {"pi-ollama": {"baseUrl": f"http://127.0.0.1:11435/{SECRET}"}},
        {"pi-ollama": {"baseUrl": f"127.0.0.1:11435/{SECRET}"}},
        {"ollama": {"baseUrl": f"http://{SECRET}@127.0.0.1:11435", "cloudUrl": f"https://a:{SECRET}@b"}},
        {"pi-ollama": {"cloudUrl": f"https://cloud.example?key={SECRET}"}},
        {"okr-tui": {"store": f"redis://:{SECRET}@host/0"}},
        {"okr-tui": {"models": {"local": f"http://a:{SECRET}@host"}}},
        {"okr-tui": {"hooks": {"spent": f" HTTPS://chat.example/{SECRET}"}}},
        {"okr-tui": {"chat": {"mcpServers": {"far": {"url": f"https://far.example/sse?key={SECRET}"}}}}},
        {"okr-tui": {"chat": {"mcpServers": {"far": {"headers": {"Authorization": SECRET}}}}}},
        {"okr-tui": {"chat": {"mcpServers": {"near": {"command": "serve", "env": {"A": SECRET}}}}}},
        {"okr-tui": {"chat": {"mcpServers": {"near": {"token": SECRET, "headers": [SECRET]}}}}},
        {"packages": [SECRET], "auth": {"key": SECRET}},
    ],
)
def test_what_may_be_secret_is_left_out(root: dict[str, Any]) -> None:
    assert SECRET not in str(without_secrets(root))


def test_known_settings_stay_as_they_are() -> None:
    ours = {
        "strategy": "drain",
        "store": "sqlite:/tmp/log.db",
        "gateway": {"port": 11435},
        "keymap": {"rotate": "f5"},
        "hooks": {"spent": "notify-send spent"},
        "models": {"local": "http://127.0.0.1:11434", "aliases": {"fast": "gpt-oss:20b"}},
        "chat": {
            "tools": True,
            "mcpServers": {
                "near": {
                    "command": "serve",
                    "args": ["-v"],
                    "env": {"A": "$A", "B": "!pass b", "C": "keyring:c"},
                },
                "far": {"url": "https://far.example/sse", "headers": {"Authorization": "$TOKEN"}},
            },
        },
    }
    urls = {"cloudUrl": "https://ollama.example/path", "baseUrl": "http://127.0.0.1:11434/"}
    root = {"pi-ollama": {**urls, "apiKeys": ["$KEY"]}, "okr-tui": ours, "theme": "pi's own"}
    assert without_secrets(root) == {"pi-ollama": urls, "okr-tui": ours}


@pytest.mark.parametrize("root", [{}, {"okr-tui": 7, "pi-ollama": ["a"]}, {"theme": "dark"}])
def test_without_sections_there_is_nothing_to_hand_on(root: dict[str, Any]) -> None:
    assert without_secrets(root) == {}


def test_settings_that_are_not_objects_are_left_out() -> None:
    root = {"okr-tui": {"chat": "no", "hooks": [1], "policy": {"idle": 60}}}
    assert without_secrets(root) == {"okr-tui": {"hooks": {}, "policy": {"idle": 60}}}
    servers = {"okr-tui": {"chat": {"mcpServers": {"a": "text", "b": ["text"]}}}}
    assert without_secrets(servers) == {"okr-tui": {"chat": {"mcpServers": {}}}}
