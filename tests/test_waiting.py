"""No test depends on how fast the machine is: what it waits for comes within one limit, or never."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.waiting import LIMIT

TESTS = Path(__file__).parent
PROGRAMS = {"bench", "chaos", "soak.py", "team.py", "bench.py", "bench_targets.py", "bench_ways.py"}
"""Not tests: they measure, or make trouble for hours."""
OTHER_PROCESSES = {"tool_server.py", "proof.py", "gateway_process.py", "open_webui_client.py"}
HERE = {"waiting.py"}
LIMITED = ("asyncio.timeout", "asyncio.wait_for", "process.communicate", "process.wait")
WAITING = {"sleep", "pause", "settle", *(name.rpartition(".")[2] for name in LIMITED)}


def calls(path: Path) -> Iterator[tuple[ast.Call, str]]:
    """Every call in a file that may wait, with the dotted name of what is called."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in WAITING:
            yield node, ast.unparse(node.func)


def offences(path: Path) -> Iterator[str]:
    """What in a file waits for a while instead of for something, or gives up early."""
    for call, name in calls(path):
        where = f"{path.relative_to(TESTS)}:{call.lineno}: {ast.unparse(call)}"
        given = [*call.args, *(keyword.value for keyword in call.keywords if keyword.arg == "timeout")]
        numbers = [each.value for each in given if isinstance(each, ast.Constant)]
        if name in ("asyncio.sleep", "time.sleep") and numbers != [0]:
            yield f"{where}: see let_pass and until in tests/waiting.py"
        elif name.endswith(".pause") and call.args:
            yield f"{where}: a pilot pauses until nothing is left to do, and Driver.until waits for more"
        elif (name in LIMITED or name.endswith(".settle")) and any(
            isinstance(each, int | float) and each < LIMIT for each in numbers
        ):
            yield f"{where}: see LIMIT in tests/waiting.py"


def test_tests_wait_for_something_and_give_up_late() -> None:
    left_out = {"node_modules", ".venv"} | PROGRAMS | OTHER_PROCESSES | HERE
    files = [path for path in TESTS.rglob("*.py") if not left_out & {*path.relative_to(TESTS).parts}]
    assert [each for path in files for each in offences(path)] == []
