"""What the environment says about the way to the network: proxies, exceptions, certificates."""

import importlib.util
import os
import ssl
from pathlib import Path
from typing import Any

import pytest

from okr_tui.cloud.network import Certificates, Network, Proxies, UnusableNetworkError
from tests.cloud.network_servers import certificate

FAR = ("https", "cloud.example", None)


def found(environment: dict[str, str], scheme: str, host: str, port: int | None = None) -> str | None:
    proxy = Proxies(environment).find(scheme, host, port)
    return proxy.url if proxy else None


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        ({"https_proxy": "http://p:1", "HTTPS_PROXY": "http://q:1"}, "http://p:1"),
        ({"HTTPS_PROXY": "p:1"}, "http://p:1"),
        ({"HTTPS_PROXY": "p"}, "http://p:80"),
        ({"HTTPS_PROXY": ' "http://p:1/" '}, "http://p:1"),
        ({"HTTPS_PROXY": "https://p"}, "https://p:443"),
        ({"HTTPS_PROXY": "http://[::1]:3128"}, "http://[::1]:3128"),
        ({"HTTPS_PROXY": "http://amber:pass%40word@p:1"}, "http://amber:pass%40word@p:1"),
        ({"HTTP_PROXY": "http://p:1"}, None),
        ({"HTTPS_PROXY": "", "ALL_PROXY": "http://q:1"}, "http://q:1"),
        ({"HTTPS_PROXY": "http://p:1", "ALL_PROXY": "http://q:1"}, "http://p:1"),
        ({"all_proxy": "socks5://p:1"}, "socks5://p:1"),
        ({"ALL_PROXY": "socks5h://p"}, "socks5://p:1080"),
        ({"ALL_PROXY": "socks://p:1/"}, "socks5://p:1"),
    ],
)
def test_the_proxy_before_the_cloud(
    environment: dict[str, str], url: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: object())
    assert found(environment, *FAR) == url
    assert Proxies(environment).problems == ()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost", "LOCALHOST."])
def test_this_machine_is_reached_directly(host: str) -> None:
    assert found({"ALL_PROXY": "http://p:1"}, "http", host, 11434) is None


@pytest.mark.parametrize(
    ("excluded", "host", "port"),
    [
        ("*", "cloud.example", None),
        ("cloud.example", "cloud.example", None),
        ("CLOUD.example", "Cloud.Example.", None),
        ("example", "cloud.example", None),
        (".cloud.example", "cloud.example", None),
        ("*.example", "cloud.example", None),
        ("cloud.example:443", "cloud.example", None),
        ("cloud.example:8443", "cloud.example", 8443),
        ("other.example, cloud.example", "cloud.example", None),
        ("other.example cloud.example", "cloud.example", None),
        ("10.0.0.0/8", "10.1.2.3", None),
        ("10.1.2.3:443", "10.1.2.3", None),
        ("fd00::/8", "fd12::5", None),
        ("[fd12::5]", "fd12::5", None),
        ("[fd12::5]:443", "fd12::5", None),
        ("[fd12::5]", "[FD12:0::5]", None),
        ("[fd00::]/8", "fd12::5", None),
        ("::ffff:10.1.2.3", "::ffff:10.1.2.3", None),
        ("10.0.0.0/8", "::ffff:10.1.2.3", None),
        ("'cloud.example'", "cloud.example", None),
    ],
)
def test_what_no_proxy_excludes(excluded: str, host: str, port: int | None) -> None:
    assert found({"ALL_PROXY": "http://p:1", "NO_PROXY": excluded}, "https", host, port) is None


@pytest.mark.parametrize(
    ("excluded", "host"),
    [
        ("loud.example", "cloud.example"),
        ("cloud.example:8443", "cloud.example"),
        ("cloud.example:port", "cloud.example"),
        ("[::1],fe80::/10,[fe80::1]:x,/,:,.,[,%,::1::", "cloud.example"),
        ("10.0.0.0/8", "11.1.2.3"),
        ("10.0.0.0/99", "10.1.2.3"),
        ("fd00::/8", "10.1.2.3"),
        ("0.0.0.0/0", "cloud.example"),
    ],
)
def test_what_no_proxy_does_not_exclude(excluded: str, host: str) -> None:
    assert found({"ALL_PROXY": "http://p:1", "no_proxy": excluded}, "https", host) == "http://p:1"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("socks4://p:1", "socks4 proxies are not supported"),
        ("ftp://secret@p:1", "ftp proxies are not supported"),
        ("http://amber:secret@p:80a", "not a proxy address"),
        ("http://p:0", "not a proxy address"),
        ("http://p:99999", "not a proxy address"),
        ("http://", "not a proxy address"),
        ("http://[::1", "not a proxy address"),
        ("http://secret p:1", "not a proxy address"),
        ("http://pröxy:1", "not a proxy address"),
        ("http://p\x07:1", "not a proxy address"),
        ("://secret", "unknown proxies are not supported"),
    ],
)
def test_an_unusable_proxy_is_a_problem_with_its_variable_and_no_way_around(value: str, words: str) -> None:
    network = Network({"ALL_PROXY": value})
    (problem,) = network.problems
    assert problem.startswith("ALL_PROXY cannot be used: ")
    assert words in problem
    assert "secret" not in problem
    with pytest.raises(UnusableNetworkError, match="ALL_PROXY"):
        network.proxies.find(*FAR)
    assert network.problems_before("https://cloud.example") == (problem,)
    assert network.problems_before("http://127.0.0.1:1") == ()


def test_a_socks_proxy_needs_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    (problem,) = Proxies({"HTTPS_PROXY": "socks5://p:1"}).problems
    assert "install 'socksio>=1,<2'" in problem


def test_a_proxy_is_shown_without_its_password() -> None:
    proxy = Proxies({"HTTPS_PROXY": "http://amber:secret@p:1"}).find(*FAR)
    assert str(proxy) == "http://p:1 (HTTPS_PROXY)"
    assert "secret" not in repr(proxy)


def test_a_web_servers_program_takes_no_proxy_from_a_request() -> None:
    environment = {"HTTP_PROXY": "http://p:1", "REQUEST_METHOD": "GET"}
    assert found(environment, "http", "cloud.example") is None


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("SSL_CERT_FILE", None, "no such file or directory; name a file of certificates"),
        ("SSL_CERT_FILE", b"nothing", "there are no certificates in it"),
        ("SSL_CERT_FILE", b"", "there are no certificates in it"),
        ("SSL_CERT_DIR", None, "no such file or directory; name a folder"),
        ("SSL_CERT_DIR", b"", "not a directory"),
        ("SSLKEYLOGFILE", None, "no such file or directory; unset it"),
    ],
)
def test_certificates_that_cannot_be_read_are_a_problem_with_variable_and_path(
    name: str, content: bytes | None, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "missing" / "ca.pem" if content is None else tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    network = Network({name: f'"{path}"'})
    (problem,) = network.problems
    assert problem.startswith(f"{name}={path} cannot be ")
    assert words in problem
    with pytest.raises(UnusableNetworkError, match=name):
        _ = network.certificates.context
    assert network.problems_before("https://cloud.example") == (problem,)
    assert network.problems_before("http://127.0.0.1:1") == ()


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSLKEYLOGFILE"])
def test_a_pipe_in_place_of_a_file_holds_nothing_up(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (problem,) = Network({name: str(tmp_path / "pipe")}).problems
    assert ": it is a pipe; " in problem


def test_certificates_are_checked_and_come_from_the_system_by_default() -> None:
    context = Certificates({}).context
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.cert_store_stats()["x509_ca"] > 50


def test_named_certificates_replace_the_systems(tmp_path: Path) -> None:
    file, _ = certificate(tmp_path, "localhost")
    context = Certificates({"SSL_CERT_FILE": str(file)}).context
    (authority,) = context.get_ca_certs()
    assert "A test's own CA" in str(authority["subject"])
    assert context.verify_mode is ssl.CERT_REQUIRED


def test_the_keychain_is_asked_where_openssl_cannot_read_it() -> None:
    context: Any = Certificates({}, platform="darwin").context
    assert type(context).__module__.startswith("truststore")
    assert context.verify_mode is ssl.CERT_REQUIRED


def test_the_keys_of_connections_are_logged_where_asked(tmp_path: Path) -> None:
    log = tmp_path / "keys.log"
    assert Certificates({"SSLKEYLOGFILE": str(log)}).context.keylog_filename == str(log)
