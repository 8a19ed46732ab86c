"""A user's settings file, a project's, and what else settings are read from; all in one directory."""

import json
import os
from pathlib import Path

from okr_tui.settings.layers import Sources, load
from okr_tui.settings.schema import Settings


class Home:
    """A user's file and a project's, an environment and options."""

    def __init__(self, root: Path) -> None:
        self.file = root / "agent" / "settings.json"
        self.project = root / "project"
        self.project_file = self.project / ".pi" / "settings.json"
        self.environment: dict[str, str] = {"PATH": os.environ["PATH"]}
        self.options: dict[str, object] = {}
        self.runtime: dict[str, object] = {}
        for path in (self.file, self.project_file):
            path.parent.mkdir(parents=True)

    def load(self, previous: Settings | None = None) -> Settings:
        return load(Sources(self.file, self.project, self.environment, self.options, self.runtime), previous)

    def user(self, original: object = None, ours: object = None, short: object = None) -> None:
        self.file.write_text(written(original, ours, short))

    def checkout(self, original: object = None, ours: object = None) -> None:
        self.project_file.write_text(written(original, ours))

    def trust(self, original: object = None) -> None:
        self.user(original, {"trustedProjects": [str(self.project)]})


def written(original: object, ours: object, short: object = None) -> str:
    named = {"pi-ollama": original, "okr-tui": ours, "ollama": short}
    return json.dumps({name: value for name, value in named.items() if value is not None}, indent=2)


def messages(settings: Settings) -> list[str]:
    return [problem.message for problem in settings.problems]
