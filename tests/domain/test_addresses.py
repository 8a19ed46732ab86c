"""Addresses of servers: which only this machine reaches, and what people may see of them."""

import pytest

from okr_tui.domain.addresses import is_loopback, url, without_password, without_token


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("127.0.0.1", "http://127.0.0.1:1"),
        ("0.0.0.0", "http://127.0.0.1:1"),
        ("::", "http://[::1]:1"),
        ("::1", "http://[::1]:1"),
        ("okr.example", "http://okr.example:1"),
    ],
)
def test_a_server_that_listens_everywhere_is_reached_through_loopback(host: str, found: str) -> None:
    assert url(host, 1) == found


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("localhost", True),
        ("LocalHost", True),
        ("127.0.0.9", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("localhost.example", False),
        ("", False),
    ],
)
def test_only_loopback_is_this_machine_alone(host: str, own: bool) -> None:
    assert is_loopback(host) is own


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rediss://user:word@host:1/0?prefix=a", "rediss://host:1/0"),
        ("redis://host", "redis://host"),
        ("sqlite:/home/me/log.db", "sqlite:/home/me/log.db"),
        ("sqlite:/home/a@b/log?.db", "sqlite:/home/a@b/log?.db"),
        ("memory:", "memory:"),
        ("unix:///run/redis.sock?password=word", "unix:///run/redis.sock"),
        ("unix://user:word@/run/redis.sock", "unix:///run/redis.sock"),
        ("redis:user:word@host", "redis:…"),
        ("redis:/user:word@host", "redis:…"),
        ("redis://[word", "redis:…"),
    ],
)
def test_the_address_of_a_log_is_shown_without_password_and_options(address: str, shown: str) -> None:
    assert without_password(address) == shown


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://127.0.0.1:11435/token", "http://127.0.0.1:11435/…"),
        ("http://127.0.0.1:11435/", "http://127.0.0.1:11435"),
        ("http://user:word@host", "http://host"),
    ],
)
def test_the_address_of_a_daemon_is_shown_without_a_token(address: str, shown: str) -> None:
    assert without_token(address) == shown
