"""Fill in the metadata that depends on the address of the repository: project URLs and the index's page.

The address stands in one place, `repository` of this hook in pyproject.toml, or for one build in
`OKR_TUI_REPOSITORY`. Without it the package names no URL, and the README keeps its relative links.
"""

import os
import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

RELATIVE = re.compile(r"(!?)\[([^\]]*)\]\((?!https?://|#)([^)]*)\)")


class RepositoryMetadataHook(MetadataHookInterface):
    """Set `readme` and `urls`, which pyproject.toml declares dynamic."""

    PLUGIN_NAME = "custom"

    def update(self, metadata: dict[str, Any]) -> None:
        """Add the fields to the metadata of the project."""
        repository = os.environ.get("OKR_TUI_REPOSITORY") or self.config["repository"]
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        if repository:
            metadata["urls"] = urls(repository)
        metadata["readme"] = {
            "content-type": "text/markdown",
            "text": page(text, repository) if repository else text,
        }


def urls(repository: str) -> dict[str, str]:
    """Return the project URLs of a repository's address."""
    base = repository.rstrip("/")
    return {
        "Homepage": base,
        "Changelog": f"{base}/blob/main/CHANGELOG.md",
        "Issues": f"{base}/issues",
        "Security": f"{base}/blob/main/.github/SECURITY.md",
    }


def page(readme: str, repository: str) -> str:
    """Return the README with absolute addresses of its pictures and links."""
    base = repository.rstrip("/")

    def absolute(match: re.Match[str]) -> str:
        picture, words, target = match.groups()
        return f"{picture}[{words}]({base}/{'raw' if picture else 'blob'}/main/{target})"

    return RELATIVE.sub(absolute, readme)
