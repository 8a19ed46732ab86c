"""The conversations that the chat keeps, from the command line."""

import asyncio
import json
from pathlib import Path

import pytest

from okr_tui.chat.conversation import Conversation, Turn
from okr_tui.chat.conversation_store import ConversationStore
from okr_tui.chat.messages import Message
from okr_tui.chat.service import FILE
from okr_tui.store.factory import state_folder
from tests.cli.harness import MODEL, NOW, TIME, CliHarness


def kept(*conversations: Conversation) -> None:
    """Conversations in the state folder."""

    async def keep() -> None:
        store = await ConversationStore.open(state_folder() / FILE, NOW)
        for conversation in conversations:
            await store.keep(conversation)
        await store.close()

    asyncio.run(keep())


def conversation(identifier: str, title: str, text: str, updated: float = NOW) -> Conversation:
    """A conversation of one question."""
    turn = Turn(1, Message("user", text), updated)
    return Conversation(identifier, title, MODEL, created=NOW, updated=updated, turns=(turn,))


def test_listed_found_and_shown(cli: CliHarness) -> None:
    assert cli.run_ok("conversations", "list").out == "There are no conversations yet.\n"
    assert cli.run_ok("conversations", "search", "sky").out == "No conversation matches.\n"
    kept(conversation("aa11", "Sky", "why blue"), conversation("bb22", "Sea", "why salty", NOW + 1))
    listed = cli.run_ok("conversations", "list", "--json").json["conversations"]
    assert [item["id"] for item in listed] == ["bb22", "aa11"]
    assert listed[0] == {
        "id": "bb22",
        "title": "Sea",
        "model": MODEL,
        "turns": 1,
        "created": TIME,
        "updated": TIME,
        "branched_from": None,
        "excerpt": "",
    }
    assert "Sky" in cli.run_ok("conversations", "search", "blue").out
    assert "Sea" not in cli.run_ok("conversations", "search", "blue").out
    assert (
        cli.run_ok("conversations", "show", "aa").out == "# Sky\n\nModel: gpt-oss:20b\n\n## You\n\nwhy blue\n"
    )
    assert json.loads(cli.run_ok("conversations", "show", "aa", "--json").out)["title"] == "Sky"


def test_written_to_a_new_file_and_deleted(cli: CliHarness, tmp_path: Path) -> None:
    kept(conversation("aa11", "Sky", "why blue"))
    target = tmp_path / "sky.md"
    cli.run_ok("conversations", "export", "aa11", str(target))
    assert target.read_text().startswith("# Sky")
    assert target.stat().st_mode & 0o777 == 0o600
    assert cli.run("conversations", "export", "aa11", str(target)).code == 2
    assert "Deleted Sky" in cli.run_ok("conversations", "delete", "aa11").err
    result = cli.run("conversations", "show", "aa11")
    assert result.code == 1
    assert "no conversation begins with" in result.err
    assert "no conversation begins with" in cli.run("conversations", "show", "half \udc80").err


def test_a_file_that_cannot_be_written_is_read(cli: CliHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    kept(conversation("aa11", "Sky", "why blue"))

    def refuse(_: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("okr_tui.chat.conversation_store.make_private", refuse)
    for arguments in (("list",), ("search", "blue"), ("show", "aa11")):
        result = cli.run_ok("conversations", *arguments)
        assert "Sky" in result.out
        assert "cannot be used: No space left on device" in result.err
    result = cli.run("conversations", "delete", "aa11")
    assert result.code == 1


def test_a_broken_file_is_an_error(cli: CliHarness) -> None:
    state_folder().mkdir(parents=True, exist_ok=True)
    (state_folder() / FILE).write_bytes(b"no database" * 999)
    result = cli.run("conversations", "list")
    assert (result.code, result.out) == (1, "")
    assert "cannot be used: file is not a database" in result.err


def test_an_exported_conversation_is_imported_as_a_new_one(cli: CliHarness, tmp_path: Path) -> None:
    kept(conversation("aa11", "Sky", "why blue"))
    file = tmp_path / "sky.json"
    cli.run_ok("conversations", "export", "aa11", str(file), "--json")
    assert "Imported Sky as " in cli.run_ok("conversations", "import", str(file)).err
    listed = cli.run_ok("conversations", "list", "--json").json["conversations"]
    assert [item["title"] for item in listed] == ["Sky", "Sky"]
    assert len({item["id"] for item in listed}) == 2
    assert "1 turn " in cli.run_ok("conversations", "list").out
    document = {**json.loads(file.read_text()), "title": "Sea\nand \x1b[31m\u202eshore"}
    file.write_text(json.dumps(document))
    cli.run_ok("conversations", "import", str(file))
    listed = cli.run_ok("conversations", "list", "--json").json["conversations"]
    (title,) = {item["title"] for item in listed} - {"Sky"}
    assert title.startswith("Sea and ")
    assert title.isprintable()
    file.write_text("{}")
    refused = cli.run("conversations", "import", str(file))
    assert refused.code != 0
    assert "this is not an exported conversation" in refused.err
