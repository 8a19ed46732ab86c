"""The preferred key is written as an index, which other keys can shift; its fingerprint beside it cannot be.

The fingerprint counts only while the index is the one it was written with, so that whoever writes another
index, by hand or with another program, is obeyed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from okr_tui.domain.keys import Key
from okr_tui.settings.document import Document
from okr_tui.settings.schema import Valued
from okr_tui.settings.sections import OURS
from okr_tui.settings.text import put

INDEX = "activeKeyIndex"
FINGERPRINT = "activeKeyFingerprint"
WRITTEN_WITH = "activeKeyFingerprintIndex"


def followed(index: Valued[int], ours: Mapping[str, object], keys: Sequence[Key]) -> Valued[int] | None:
    """The index of the key that was chosen, wherever it is now; None when the index alone decides.

    ours: the section `okr-tui` of the file that holds the index.
    """
    written = ours.get(WRITTEN_WITH)
    if isinstance(written, bool) or written != index.value:
        return None
    for place, key in enumerate(keys):
        if key.fingerprint == ours.get(FINGERPRINT):
            moved = f"chosen as key {index.value + 1}, key {place + 1} now"
            return replace(index, value=place, note=moved if place != index.value else "")
    return None


def preferring(document: Document, section: str, index: int, key: Key, *, shifting: bool) -> str:
    """The text with another preferred key.

    shifting: keys come from several layers, so that the index may shift without this file being touched;
        otherwise a file without a section of ours gets none for this.
    """
    text = put(document.text, (section, INDEX), index)
    ours = document.root.get(OURS)
    if isinstance(ours, dict) or (ours is None and shifting):
        text = put(text, (OURS, FINGERPRINT), key.fingerprint)
        text = put(text, (OURS, WRITTEN_WITH), index)
    return text
