"""The direction of imports, proved on the modules that are really loaded."""

import subprocess
import sys
from pathlib import Path

import pytest

import okr_tui.domain


def loaded_by(statement: str) -> set[str]:
    """The top-level names of every module that a fresh interpreter loads for a statement."""
    script = f"{statement}\nimport sys\nprint(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import okr_tui.domain.view, okr_tui.domain.feed, okr_tui.domain.records", {"httpx", "asyncio"}),
        ("import okr_tui.settings.layers", {"httpx", "textual", "okr_tui.store", "okr_tui.cloud"}),
        ("import okr_tui.cloud.client", {"okr_tui.settings", "okr_tui.store", "okr_tui.services"}),
        ("import okr_tui.store.sqlite", {"httpx", "okr_tui.settings", "okr_tui.cloud"}),
        (
            "import okr_tui.services.pool_service",
            {
                "textual",
                "rich",
                "pygments",
                "starlette",
                "uvicorn",
                "aiohttp",
                "redis",
                "okr_tui.demo",
                "pydantic",
            },
        ),
        (
            "import okr_tui.gateway.server",
            {
                "textual",
                "okr_tui.cli",
                "okr_tui.ui",
                "okr_tui.demo",
                "uvicorn",
                "starlette.responses",
                "pydantic",
            },
        ),
        ("import okr_tui.demo", {"okr_tui.domain", "okr_tui.services", "pydantic", "httpx", "textual"}),
        (
            "import okr_tui.chat.service, okr_tui.cli.serve, okr_tui.settings.watch",
            {"textual", "aiohttp", "pydantic"},
        ),
        ("import okr_tui.cli", {"textual", "httpx", "pydantic", "okr_tui.services"}),
        (
            "import okr_tui.ui.app",
            {"starlette", "uvicorn", "okr_tui.demo", "httpx", "okr_tui.settings", "pydantic"},
        ),
    ],
)
def test_a_layer_loads_nothing_above_it(statement: str, absent: set[str]) -> None:
    assert not loaded_by(statement) & absent


def test_the_domain_needs_the_standard_library_only() -> None:
    folder = Path(okr_tui.domain.__path__[0])
    modules = sorted(f"okr_tui.domain.{path.stem}" for path in folder.glob("*.py") if path.stem != "__init__")
    assert len(modules) > 10
    loaded = {name.partition(".")[0] for name in loaded_by(f"import {', '.join(modules)}")}
    own = loaded - loaded_by("pass")  # what a coverage tool or an editable install brings along
    assert own <= {*sys.stdlib_module_names, "okr_tui"}


def test_frozen_values_are_made_the_cheap_way() -> None:
    """A start defines hundreds of them; demo knows nothing of the rest of the program."""
    root = Path(okr_tui.domain.__path__[0]).parent
    sources = {path: path.read_text() for path in root.rglob("*.py") if "demo" not in path.parts}
    frozen = {path: text for path, text in sources.items() if "@dataclass(frozen=True, slots=True" in text}
    assert len(frozen) > 50
    assert [str(path) for path, text in frozen.items() if "domain.values import dataclass" not in text] == []
