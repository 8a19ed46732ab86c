"""Write the JSON Schemas of the documents of `--json`: `python -m screenshots.schemas`."""

import json
import sys
from pathlib import Path

import okr_tui.cli
from okr_tui.cli.document_types import DOCUMENTS, schema_of

FOLDER = Path(okr_tui.cli.__file__).parent / "schemas"


def texts() -> dict[str, str]:
    """Return the text of each file by its name."""
    return {
        f"{verb.replace(' ', '-')}.json": json.dumps(schema_of(verb), indent=2) + "\n" for verb in DOCUMENTS
    }


def main() -> int:
    """Write the files; return 1 when one was out of date."""
    FOLDER.mkdir(exist_ok=True)
    old = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}
    new = texts()
    for name in old.keys() - new.keys():
        (FOLDER / name).unlink()
    for name, text in new.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    return int(old != new)


if __name__ == "__main__":
    sys.exit(main())
