"""The table of endpoints: what must hold of every row, and that nobody else writes a path."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import okr_tui
from okr_tui.cloud.endpoints import ENDPOINTS, Endpoint, dialect_of, find

PACKAGE = Path(okr_tui.__file__).parent
ABOVE = ("services", "chat", "gateway", "cli", "ui")


@pytest.mark.parametrize("endpoint", ENDPOINTS.values(), ids=str)
def test_no_key_of_the_pool_goes_to_a_public_endpoint(endpoint: Endpoint) -> None:
    assert not (endpoint.public and endpoint.forwarded)


@pytest.mark.parametrize("endpoint", ENDPOINTS.values(), ids=str)
def test_a_row_agrees_with_its_path(endpoint: Endpoint) -> None:
    assert endpoint.dialect == dialect_of(endpoint.path)
    assert endpoint.reader is None or (endpoint.runs_model and endpoint.forwarded)
    assert endpoint.reader is not None or not endpoint.streams


@pytest.mark.parametrize(
    ("path", "dialect"),
    [
        ("/v1/files", "openai"),
        ("/v1", "openai"),
        ("/wrong-token/v1/messages", "anthropic"),
        ("/wrong-token/v1/chat/completions", "openai"),
        ("/api/unknown", "native"),
        ("/", "native"),
    ],
)
def test_an_unknown_path_has_a_dialect_and_nothing_else(path: str, dialect: str) -> None:
    found = find(path)
    assert found == Endpoint(path, found.dialect)
    assert found.dialect == dialect


def literals(folder: str) -> Iterator[tuple[str, str]]:
    for file in sorted((PACKAGE / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield str(file.relative_to(PACKAGE)), node.value


@pytest.mark.parametrize("folder", ABOVE)
def test_paths_of_the_cloud_are_written_in_the_table_only(folder: str) -> None:
    found = [(file, text) for file, text in literals(folder) if text in ENDPOINTS]
    assert found == []
