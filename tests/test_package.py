"""What is published: the metadata, the page of the package index, and complete archives."""

import ast
import io
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from email.message import Message
from email.parser import Parser
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.metadata import Metadata
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from readme_renderer import markdown

TOP = Path(__file__).parent.parent
ADDRESS = "https://code.example/birch/okr-tui"
# Packages that a declared one pins and whose names its interface takes.
PARTS = {"pydantic-core": "pydantic", "httpx2": "mcp"}
pytestmark = pytest.mark.slow(reason="builds and installs packages")


def _built(target: str, folder: Path, address: str = "") -> Path:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(folder)],
        cwd=TOP,
        env=os.environ | {"OKR_TUI_REPOSITORY": address},
        check=True,
        capture_output=True,
    )
    (made,) = folder.iterdir()
    return made


def _metadata(wheel: Path) -> tuple[str, Message]:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (each for each in archive.namelist() if each.endswith(".dist-info/METADATA"))
        text = archive.read(name).decode()
    return text, Parser().parsestr(text)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _built("wheel", tmp_path_factory.mktemp("wheel"))


def test_a_package_without_an_address_invents_none(wheel: Path) -> None:
    text, metadata = _metadata(wheel)
    Metadata.from_email(text, validate=True)
    assert metadata.get_all("Project-URL") is None
    assert metadata["Author"] == "okr-tui contributors"
    assert metadata["Metadata-Version"] == "2.4"
    assert "Private" not in text


def test_an_address_makes_the_urls_and_the_page(tmp_path: Path) -> None:
    text, metadata = _metadata(_built("wheel", tmp_path, ADDRESS))
    Metadata.from_email(text, validate=True)
    assert f"Changelog, {ADDRESS}/blob/main/CHANGELOG.md" in metadata.get_all("Project-URL", [])
    problems = io.StringIO()
    page = markdown.render(str(metadata.get_payload()), stream=problems)
    assert page is not None, problems.getvalue()
    assert page.count("<img") == (TOP / "README.md").read_text(encoding="utf-8").count("![")
    assert f'src="{ADDRESS}/raw/main/screenshots/walk.svg"' in page
    addresses = [part.split('"')[0] for mark in ('src="', 'href="') for part in page.split(mark)[1:]]
    assert [each for each in addresses if not each.startswith(("https://", "#"))] == []


def test_the_same_source_makes_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    assert _built("wheel", tmp_path).read_bytes() == wheel.read_bytes()


def test_the_wheel_is_typed_and_holds_no_test(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert "okr_tui/py.typed" in names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"okr_tui"}


def test_the_source_archive_holds_all_that_is_kept(tmp_path: Path) -> None:
    if not (TOP / ".git").exists():
        pytest.skip("not a checkout: there is nothing to compare with")
    kept = subprocess.run(
        ["git", "ls-files", "-z"], cwd=TOP, check=True, capture_output=True, text=True
    ).stdout.split("\0")
    with tarfile.open(_built("sdist", tmp_path)) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    assert set(kept) - {""} - held == set()


def _imported() -> Iterator[str]:
    for path in (TOP / "okr_tui").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from (each.name.split(".")[0] for each in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module.split(".")[0]


def test_every_package_that_is_imported_is_declared() -> None:
    project = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = (needed for extra, needed in project["optional-dependencies"].items() if extra != "dev")
    declared = {canonicalize_name(Requirement(each).name) for each in sum(extras, project["dependencies"])}
    owners = packages_distributions()
    used = {
        canonicalize_name(owner)
        for name in set(_imported()) - sys.stdlib_module_names - {"okr_tui"}
        for owner in owners.get(name, [name])
    }
    assert {PARTS.get(each, each) for each in used} - declared == set()


def _release(top: Path, version: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(top / ".ci" / "release"), version], check=False, capture_output=True, text=True
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for name in (".ci/release", "okr_tui/__init__.py"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes((TOP / name).read_bytes())
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## Unreleased\n\n- A line.\n", encoding="utf-8")
    return tmp_path


def test_a_release_sets_version_and_date(copy: Path) -> None:
    assert _release(copy, "2.10.0").returncode == 0
    assert '__version__ = "2.10.0"\n' in (copy / "okr_tui" / "__init__.py").read_text(encoding="utf-8")
    changelog = (copy / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.fullmatch(
        r"# Changelog\n\n## Unreleased\n\n## 2\.10\.0 \(\d{4}-\d\d-\d\d\)\n\n- A line\.\n", changelog
    )


@pytest.mark.parametrize(
    ("version", "words"), [("2.0", "no version"), ("0.0.9", "is not after"), ("v1.0.0", "no version")]
)
def test_a_wrong_version_is_refused(copy: Path, version: str, words: str) -> None:
    before = (copy / "CHANGELOG.md").read_bytes()
    done = _release(copy, version)
    assert (done.returncode, words in done.stderr) == (1, True)
    assert (copy / "CHANGELOG.md").read_bytes() == before


def test_a_release_without_a_change_is_refused(copy: Path) -> None:
    assert _release(copy, "2.0.0").returncode == 0
    done = _release(copy, "2.0.1")
    assert (done.returncode, "no entries" in done.stderr) == (1, True)


def test_the_pinned_requirements_cover_every_dependency() -> None:
    pinned = (TOP / ".github" / "requirements.txt").read_text(encoding="utf-8")
    names = {canonicalize_name(name) for name in re.findall(r"^([\w.-]+)==", pinned, re.MULTILINE)}
    project = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = (needed for extra, needed in project["optional-dependencies"].items() if extra != "dev")
    for each in map(Requirement, sum(extras, project["dependencies"])):
        found = re.search(rf"^{re.escape(each.name)}==(\S+)", pinned, re.MULTILINE | re.IGNORECASE)
        assert found is not None, each
        assert each.specifier.contains(found[1]), each
    assert len(re.findall("--hash=sha256:", pinned)) >= len(names)
    assert "://" not in pinned
