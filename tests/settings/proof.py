"""Many writers, kill -9 and hostile files: the settings file is always whole, and no update is lost.

`python -m tests.settings.proof` runs the whole of it and says what it found; the test suite runs a shorter
one. The claims:

1. Writers of ours, writers that save as pi does and a reader without a lock share one file: every committed
   update is in it, every other character stays, and the reader sees whole files only, in their order.
2. A writer that is killed leaves the file as it was before or after its edit. A lock it leaves is respected
   while it is fresh, and broken after that; a temporary file it leaves goes with a later edit.
3. A broken or hostile file is reported, with its place, and neither a load nor an edit touches it.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from okr_tui.domain.errors import SettingsError
from okr_tui.settings import file, lock
from okr_tui.settings.file import edit, read
from tests.settings import hostile

HERE = Path(__file__).parent
PI_WRITERS = 2
LONGEST_LIFE = 0.02


@dataclass(slots=True)
class Shared:
    """What came of sharing one file. The list is empty when the claim holds."""

    committed: int = 0
    committed_by_pi: int = 0
    given_up_by_pi: int = 0
    reads: int = 0
    half: int = 0
    wrong: list[str] = field(default_factory=list)

    def describe(self) -> str:
        """The findings in a few lines."""
        lines = [
            f"shared: {self.committed} edits of ours and {self.committed_by_pi} of pi, "
            f"which gave up {self.given_up_by_pi} times",
            f"  {self.reads} reads; {self.half} of as many plain looks met an empty or half file",
        ]
        return "\n".join([*lines, *self.wrong[:5]])


@dataclass(slots=True)
class Killed:
    """What came of killing writers. The list is empty when the claim holds."""

    kills: int
    mid_edit: int = 0
    locks: int = 0
    temporaries: int = 0
    wrong: list[str] = field(default_factory=list)

    def describe(self) -> str:
        """The findings in a few lines."""
        lines = [
            f"killed: {self.kills} writers, {self.mid_edit} before they could tell of their last edit; "
            f"{self.locks} left a lock, {self.temporaries} a temporary file",
        ]
        return "\n".join([*lines, *self.wrong[:5]])


def missing() -> str:
    """What the writers that save as pi does need and this machine has not; "" when nothing."""
    if not shutil.which("node"):
        return "node is not installed"
    if not (HERE.parent / "clients" / "node_modules" / "proper-lockfile").is_dir():
        return "proper-lockfile is not installed: npm ci --prefix tests/clients"
    return ""


def share(folder: Path, writers: int, edits: int) -> Shared:
    """All at once on one file: writers of ours, writers of pi's kind, and a reader."""
    path = folder / "settings.json"
    ours = dict.fromkeys((f"own-{number}" for number in range(writers)), 0)
    theirs = dict.fromkeys((f"pi-{number}" for number in range(PI_WRITERS)), 0)
    path.write_text(_saved(ours, theirs), encoding="utf-8")
    commands = [_own_writer(path, name, edits) for name in ours]
    commands += [["node", str(HERE / "pi_writer.mjs"), str(path), name, str(edits)] for name in theirs]
    found = Shared()
    with ThreadPoolExecutor(len(commands)) as pool:
        running = [pool.submit(_run, command) for command in commands]
        while not all(future.done() for future in running):
            _look(path, ours, theirs, found)
    ended = [future.result() for future in running]
    if any(process.returncode for process in ended):
        found.wrong.append("a writer failed")
        return found
    for name, process in zip(ours, ended[:writers], strict=True):
        ours[name] = int(process.stdout.split()[-1])
    for name, process in zip(theirs, ended[writers:], strict=True):
        report = json.loads(process.stdout)
        theirs[name] = report["committed"]
        found.given_up_by_pi += report["gaveUp"]
    found.committed, found.committed_by_pi = sum(ours.values()), sum(theirs.values())
    if found.committed != writers * edits or path.read_text(encoding="utf-8") != _saved(ours, theirs):
        found.wrong.append(f"the file is not what the writers made of it: {ours | theirs}")
    found.wrong += _left_beside(path)
    return found


def kill(folder: Path, kills: int, seed: int) -> Killed:
    """One writer after another, each killed at a random moment of its edits."""
    path = folder / "settings.json"
    path.write_text(_saved({"count": 0, "turn": 0}, {}), encoding="utf-8")
    dice = random.Random(seed)
    found = Killed(kills)
    count = 0
    for turn in range(1, kills + 1):
        reported = _killed(path, dice.uniform(0, LONGEST_LIFE))
        text = path.read_text(encoding="utf-8")
        outcomes = [_saved({"count": reported + more, "turn": turn - 1}, {}) for more in (0, 1)]
        if text not in outcomes or reported <= count:
            found.wrong.append(f"kill {turn}: the file is neither the old nor the new one")
            break
        count = reported + outcomes.index(text)
        found.mid_edit += outcomes.index(text)
        found.locks += Path(f"{path}.lock").exists()
        found.temporaries += any(folder.glob("*.tmp"))
        found.wrong += [f"kill {turn}: {what}" for what in _recovered(path, turn)]
    return found


def _killed(path: Path, seconds: float) -> int:
    """Let a writer live this long after its first edit; the last count it told."""
    process = subprocess.Popen(_own_writer(path, "count", 0), stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout
        first = process.stdout.readline()
        time.sleep(seconds)
        process.kill()
        return int([first, *process.stdout][-1])


def _recovered(path: Path, turn: int) -> Iterator[str]:
    """The next edit after a kill; yields what is wrong with it."""
    directory = Path(f"{path}.lock")
    if directory.exists():
        try:
            with patch.object(lock, "PATIENCE", 0.0):
                edit(path, "okr-tui", "turn", turn)
            yield "a fresh lock was not respected"
        except SettingsError as error:
            if str(directory) not in str(error):
                yield f"a fresh lock was not named: {error}"
        age(directory, lock.STALE + 1)
    for left in path.parent.glob(".*"):
        age(left, file.ABANDONED + 1)
    edit(path, "okr-tui", "turn", turn)
    yield from _left_beside(path)


def _look(path: Path, ours: dict[str, int], theirs: dict[str, int], found: Shared) -> None:
    """Read without a lock; `ours` and `theirs` are the counts seen last, and become those seen now."""
    found.half += not _is_json(path.read_bytes())
    found.reads += 1
    try:
        root: Any = read(path).root
        counts = {name: root["okr-tui"][name] for name in ours} | {name: root[name] for name in theirs}
    except (SettingsError, KeyError) as error:
        found.wrong.append(f"a read met a broken or empty file: {error}")
        return
    if any(counts[name] < count for name, count in (ours | theirs).items()):
        found.wrong.append(f"a read found older counts: {ours | theirs} and then {counts}")
    for known in (ours, theirs):
        known.update({name: counts[name] for name in known})
    if json.dumps(root, indent=2, ensure_ascii=False) != _saved(ours, theirs):
        found.wrong.append("a read found another order or value than anybody wrote")


def _saved(ours: dict[str, int], theirs: dict[str, int]) -> str:
    """The file as pi saves it, with these counts; more than one page of memory long."""
    root: dict[str, object] = {"defaultModel": "größer:20b"}
    root |= theirs
    root["packages"] = [f"npm:package-{number}" for number in range(300)]
    root["okr-tui"] = ours
    root["pi-ollama"] = {"apiKeys": ["first", "second"], "activeKeyIndex": 1}
    return json.dumps(root, indent=2, ensure_ascii=False)


def _own_writer(path: Path, name: str, edits: int) -> list[str]:
    return [sys.executable, "-m", "tests.settings.own_writer", str(path), name, str(edits)]


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)


def _is_json(content: bytes) -> bool:
    try:
        json.loads(content)
    except ValueError:
        return False
    return True


def age(path: Path, seconds: float) -> None:
    """Make a file or a directory look as if it was last changed this long ago."""
    then = time.time() - seconds
    os.utime(path, (then, then))


def _left_beside(path: Path) -> list[str]:
    return [f"{name} was left" for name in sorted(os.listdir(path.parent)) if name != path.name]


def main() -> None:
    """Read the options; exit 1 when a claim does not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.settings.proof", description=__doc__)
    parser.add_argument("--writers", type=int, default=4)
    parser.add_argument("--edits", type=int, default=500)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--fuzz", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if reason := missing():
        sys.exit(reason)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("shared", "killed", "hostile"):
            (folder / part).mkdir()
        shared = share(folder / "shared", options.writers, options.edits)
        sys.stdout.write(shared.describe() + "\n")
        killed = kill(folder / "killed", options.kills, options.seed)
        sys.stdout.write(killed.describe() + "\n")
        hostile.fuzz(folder / "hostile", options.fuzz)
        sys.stdout.write(f"hostile: {options.fuzz} files of each kind, all reported and left alone\n")
    sys.exit(bool(shared.wrong or killed.wrong))


if __name__ == "__main__":
    main()
