"""A process that keeps a draft in the folder it is given, says so, and lives until it is killed."""

import asyncio
import sys
import time
from pathlib import Path

from okr_tui.chat.conversation import Draft
from okr_tui.chat.repository import NEW, ConversationRepository, Drafts
from okr_tui.services.background import SystemClock


async def hold(folder: Path, text: str) -> None:
    """Keep it, say so, wait."""
    repository = ConversationRepository(folder / "conversations.db", SystemClock())
    await Drafts(repository, folder, SystemClock()).keep(NEW, Draft(text))
    print("kept", flush=True)  # noqa: T201 what the test waits for
    await asyncio.to_thread(time.sleep, 60)


if __name__ == "__main__":
    asyncio.run(hold(Path(sys.argv[1]), sys.argv[2]))
