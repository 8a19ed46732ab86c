"""What the documents for developers name exists: every path, and every dotted name of the package."""

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "okr_tui"
DOCUMENTS = (
    PACKAGE / "ARCHITECTURE.md",
    ROOT / ".github" / "CONTRIBUTING.md",
    ROOT / ".github" / "SECURITY.md",
)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
PATH = re.compile(r"\.?[\w-]+(/[\w.-]+)*/?")
FILES = (".py", ".md", ".toml", ".yml", ".yaml", ".mjs", ".tcss", "/")
LAYERS = sorted(path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists())
DOTTED = re.compile(rf"(okr_tui|{'|'.join(LAYERS)})(\.\w+)+")
MADE_AT_RUN_TIME = {
    "settings.json",
    "log.db",
    ".pi/settings.json",
    "conversations.db",
    "models.json",
    "auth.json",
}


def names(document: Path) -> list[str]:
    """Return what stands as code in a document, outside its blocks."""
    return CODE.findall(FENCE.sub("", document.read_text(encoding="utf-8")))


def paths(document: Path) -> list[str]:
    found = [
        name for name in names(document) if PATH.fullmatch(name) and ("/" in name or name.endswith(FILES))
    ]
    return [name for name in found if name not in MADE_AT_RUN_TIME]


def dotted(document: Path) -> list[str]:
    """Return the names such as `domain.fold.apply` of a document; the package's own name may lead."""
    found = [name for name in names(document) if DOTTED.fullmatch(name) and not name.endswith(FILES)]
    return [name for name in found if name not in MADE_AT_RUN_TIME]


def resolve(name: str) -> Any:
    """Import what a dotted name means: a module, or something within one. Raises AttributeError."""
    parts = name.removeprefix("okr_tui.").split(".")
    module, found = "okr_tui", importlib.import_module("okr_tui")
    while parts and (
        (PACKAGE / Path(*module.split(".")[1:], parts[0])).with_suffix(".py").exists()
        or (PACKAGE / Path(*module.split(".")[1:], parts[0], "__init__.py")).exists()
    ):
        module = f"{module}.{parts.pop(0)}"
        found = importlib.import_module(module)
    value: Any = found
    for part in parts:
        # A field of a dataclass without a default is no attribute of its class.
        value = getattr(value, "__dataclass_fields__", {}).get(part) or getattr(value, part)
    return value


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_path_exists(document: Path) -> None:
    missing = [
        name for name in paths(document) if not any((base / name).exists() for base in (ROOT, PACKAGE))
    ]
    missing += [
        link
        for link in LINK.findall(document.read_text(encoding="utf-8"))
        if not (document.parent / link).exists()
    ]
    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_dotted_name_exists(document: Path) -> None:
    missing = []
    for name in dotted(document):
        try:
            resolve(name)
        except (AttributeError, ImportError):
            missing.append(name)
    assert not missing


def test_the_architecture_follows_named_functions() -> None:
    assert len(dotted(DOCUMENTS[0])) > 20


def test_a_name_that_is_gone_is_noticed() -> None:
    assert resolve("domain.policy.Policy.sends")
    with pytest.raises(AttributeError):
        resolve("domain.policy.Policy.no_such_number")
    with pytest.raises(AttributeError):
        resolve("domain.no_such_module.name")
