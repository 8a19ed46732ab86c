"""Where a daemon's public key is, and what is said when it cannot be used."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from okr_tui.domain.errors import OkrError
from okr_tui.gateway.daemon import DaemonGuard, identity_files
from tests.gateway.signing import Daemon
from tests.harness import ManualClock


def _missing(file: Path) -> None:
    assert not file.exists()


def _folder(file: Path) -> None:
    file.mkdir(parents=True)


def _text(file: Path) -> None:
    file.parent.mkdir(parents=True)
    file.write_bytes(b"ssh-ed25519 \xff\xfe")


def _rsa(file: Path) -> None:
    public = generate_private_key(65537, 2048).public_key()
    file.parent.mkdir(parents=True)
    file.write_bytes(public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH))


@pytest.mark.parametrize("make", [_missing, _folder, _text, _rsa])
def test_without_an_identity_one_line_says_how_to_get_one(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    file = tmp_path / ".ollama" / "id_ed25519.pub"
    make(file)
    with pytest.raises(OkrError, match="run `ollama serve` once") as caught:
        DaemonGuard.open([file], ManualClock())
    assert "\n" not in str(caught.value)
    assert str(file) in str(caught.value)


def test_without_the_package_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = Daemon().write(tmp_path / "id_ed25519.pub")
    for name in [name for name in sys.modules if name.partition(".")[0] == "cryptography"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(OkrError, match=r"install 'cryptography>=42'"):
        DaemonGuard.open([file], ManualClock())


def test_the_home_of_the_environment_is_where_it_looks(tmp_path: Path) -> None:
    assert identity_files({"HOME": str(tmp_path)})[0] == tmp_path / ".ollama" / "id_ed25519.pub"
