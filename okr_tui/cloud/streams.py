"""A streamed answer cut into records while its bytes pass by unchanged.

Native streams are one JSON object a line; the compatible ones are server-sent events. Either may carry
an error record after a status of 200 (docs.ollama.com/api/errors).
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from okr_tui.cloud.dialects import READERS, Reader, StreamRecord, read_native

LINE_LIMIT: Final = 8 * 1024 * 1024
TELLING: Final = (b"error", b"usage", b"_count", b"true", b"[DONE]", b"_stop", b"complete", b"failed")
"""Without one of these a record neither ends an answer nor counts tokens nor is an error, in any dialect."""


class RecordReader:
    """Cuts a stream of a path's interface into records. It is fed chunks of any size.

    Only the unfinished line is kept. Of an answer that comes `whole`, as one document, all is kept up to the
    limit, and the record at its end says that it is done. While it `skims`, chunks of whole lines that end,
    count and refuse nothing are not looked into.
    """

    def __init__(self, path: str = "/api/chat", *, whole: bool = False) -> None:
        self._read: Reader = READERS.get(path, read_native)
        self.skims = False
        self._whole = whole
        self._rest = bytearray()
        self._skipping = False
        self._named_error = False
        self._event = 0
        """Where the server-sent event under way begins, relative to the next chunk."""
        self._in_event = False

    def feed(self, chunk: bytes) -> tuple[StreamRecord, ...]:
        """The records that this chunk completes."""
        return () if self.skims and self._tells_nothing(chunk) else tuple(self._records(chunk))

    def _tells_nothing(self, chunk: bytes) -> bool:
        between = not (self._whole or self._rest or self._skipping or self._in_event)
        return between and chunk.endswith(b"\n") and not any(word in chunk for word in TELLING)

    def _records(self, chunk: bytes) -> Iterator[StreamRecord]:
        position = -len(self._rest)
        self._rest += chunk
        while not self._whole and (end := self._rest.find(b"\n")) >= 0:
            line = bytes(self._rest[:end])
            del self._rest[: end + 1]
            start, position = position, position + end + 1
            if self._skipping:
                self._skipping = False
                continue
            yield from self._line(line, start)
        if len(self._rest) > LINE_LIMIT:
            self._rest.clear()
            self._skipping = True
        self._event -= len(chunk)

    def finish(self) -> Iterator[StreamRecord]:
        """The record in what is left after the last chunk, if it is whole."""
        rest, self._rest = bytes(self._rest), bytearray()
        if self._skipping:
            if self._whole:
                yield StreamRecord(done=True)
        elif not self._whole:
            yield from self._line(rest, -len(rest))
        else:
            yield from (replace(record, done=record.error is None) for record in self._document(rest, 0))

    def _line(self, line: bytes, start: int) -> Iterator[StreamRecord]:
        line = line.strip()
        if not line:
            self._named_error = self._in_event = False
            return
        if line.startswith(b"{"):
            yield from self._document(line, start)
            return
        if not self._in_event:
            self._in_event, self._event = True, start
        field, _, value = line.partition(b":")
        value = value.strip()
        if field == b"event":
            self._named_error = value == b"error"
        elif field == b"data" and value == b"[DONE]":
            yield StreamRecord(done=True, start=self._event)
        elif field == b"data" and self._named_error:
            found = tuple(self._document(value, self._event))
            text = value.decode(errors="replace")
            yield from (
                record if record.error is not None else StreamRecord(error=text, start=self._event)
                for record in found or (StreamRecord(),)
            )
        elif field == b"data":
            yield from self._document(value, self._event)

    def _document(self, text: bytes, start: int) -> Iterator[StreamRecord]:
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            return
        if isinstance(document, dict):
            record = self._read(document)
            yield replace(record, start=start) if start else record
