"""A streamed answer cut into records; its bytes are not changed.

Native streams are one JSON object a line; the compatible ones are server-sent events. Either may carry
an error record after a status of 200 (docs.ollama.com/api/errors).
"""

import codecs
import re
from dataclasses import replace
from typing import Final

from okr_tui.cloud.dialects import NOTHING, Reader, StreamRecord, read_native
from okr_tui.cloud.documents import parse
from okr_tui.cloud.endpoints import CHAT, find

LINE_LIMIT: Final = 8 * 1024 * 1024
TELLING: Final = re.compile(rb"error|usage|_count|true|\[DONE\]|_stop|complete|failed")
"""Without one of these a record neither ends an answer nor counts tokens nor is an error, in any dialect."""


class RecordReader:
    """Cuts a stream of a path's interface into records. It is fed chunks of any size.

    Only the unfinished line is kept. Of an answer that comes `whole`, as one document, all is kept up to the
    limit, and the record at its end says that it is done. While it `skims`, chunks of whole lines that end,
    count and refuse nothing are not looked into.
    """

    def __init__(self, path: str = CHAT.path, *, whole: bool = False) -> None:
        self._read: Reader = find(path).reader or read_native
        self.skims = False
        self._whole = whole
        self._rest = bytearray()
        self._skipping = False
        self._named_error = False
        self._event = 0
        """Where the server-sent event under way begins, relative to the next chunk."""
        self._in_event = False
        self._ended = False
        self.unreadable = 0
        """Records that could not be read: what they said is missing."""

    def feed(self, chunk: bytes) -> tuple[StreamRecord, ...]:
        """Return the records that this chunk completes."""
        if self.skims and self._tells_nothing(chunk):
            return ()
        found: list[StreamRecord] = []
        position = -len(self._rest)
        self._rest += chunk
        if not self._whole and b"\n" in chunk:
            *lines, rest = self._rest.split(b"\n")
            self._rest = rest
            for line in lines:
                if self._skipping:
                    self._skipping = False
                    self.unreadable += 1
                elif record := self._line(line, position):
                    found.append(self._in_turn(record))
                position += len(line) + 1
        if len(self._rest) > LINE_LIMIT:
            self._rest.clear()
            self._skipping = True
        self._event -= len(chunk)
        return tuple(found)

    def _tells_nothing(self, chunk: bytes) -> bool:
        if self._whole or self._rest or self._skipping or self._in_event or not chunk.endswith(b"\n"):
            return False
        return not TELLING.search(chunk)

    def finish(self) -> StreamRecord | None:
        """Return the record in what is left after the last chunk, if it is whole."""
        rest, self._rest = self._rest, bytearray()
        if self._skipping:
            self.unreadable += 1
            return StreamRecord(done=True) if self._whole else None
        if not self._whole:
            record = self._line(rest, -len(rest))
            return record and self._in_turn(record)
        record = self._document(rest, 0)
        return record and replace(record, done=record.error is None)

    def _in_turn(self, record: StreamRecord) -> StreamRecord:
        """Return a record without output if the answer had ended before it."""
        if self._ended and record.delta:
            record = replace(record, delta=NOTHING)
        self._ended = self._ended or record.done
        return record

    def _line(self, line: bytearray, start: int) -> StreamRecord | None:
        line = line.removeprefix(codecs.BOM_UTF8).strip()
        if not line:
            self._named_error = self._in_event = False
            return None
        if line.startswith(b"{"):
            return self._document(line, start)
        if not self._in_event:
            self._in_event, self._event = True, start
        field, _, value = line.partition(b":")
        value = value.strip()
        if field == b"event":
            self._named_error = value == b"error"
        if field != b"data":
            return None
        if value == b"[DONE]":
            return StreamRecord(done=True, start=self._event)
        record = self._document(value, self._event)
        if self._named_error and (record is None or record.error is None):
            return StreamRecord(error=value.decode(errors="replace"), start=self._event)
        return record

    def _document(self, text: bytearray, start: int) -> StreamRecord | None:
        try:
            document = parse(text)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            self.unreadable += bool(text)
            return None
        record = self._read(document)
        return replace(record, start=start) if start else record
