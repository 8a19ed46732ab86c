"""One send with one key: opened, read up to the first output, then passed on as it comes."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from time import monotonic
from types import TracebackType
from typing import Final, Self

import httpx

from okr_tui.cloud.client import Call, Cloud
from okr_tui.cloud.dialects import StreamRecord
from okr_tui.cloud.endpoints import find
from okr_tui.cloud.errors import (
    BODY_LIMIT,
    classify_record,
    may_be_answer,
    no_answer_of_ollama,
    no_response,
    response_fault,
)
from okr_tui.cloud.streams import LINE_LIMIT, RecordReader
from okr_tui.domain.errors import CloudError
from okr_tui.domain.faults import ConnectionFailure, Fault, Hop
from okr_tui.domain.keys import Key
from okr_tui.domain.policy import Policy
from okr_tui.domain.values import dataclass
from okr_tui.services.background import Clock, Timers

CALLER_SECONDS: Final = 5.0
"""Once a caller takes longer for a piece, a connection that the cloud ends says nothing of the key."""
NO_HEADERS: Final = httpx.Headers()
ERROR: Final = re.compile(rb'\s*\{\s*"error"')
"""How a document begins that is an error whatever its status."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The cloud's own answer to a refused request; `body` is bounded."""

    status: int
    headers: httpx.Headers
    body: bytes


class RefusedError(CloudError):
    """The request failed before any output. `refusal` is the cloud's last answer, None where it gave none."""

    def __init__(self, message: str, fault: Fault, refusal: Refusal | None = None) -> None:
        super().__init__(message, fault)
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes as the cloud sent them, and the records they complete."""

    data: bytes
    records: tuple[StreamRecord, ...]


class Exchange:
    """A response under way. After entering, `fault` is set or the first output waits in the iterator."""

    def __init__(
        self, cloud: Cloud, call: Call, key: Key, policy: Policy, clock: Clock, timers: Timers
    ) -> None:
        self.key = key
        self.index: int | None = None
        self.hops: tuple[Hop, ...] = ()
        self.fault: Fault | None = None
        self.answered_by: str | None = None
        """The model that answers instead of the one asked for; None where that one does."""
        self.refusal: Refusal | None = None
        self.committed = False
        self.streams = False
        """Whether the answer comes record by record, so that an error can follow what has arrived."""
        self._began = clock.monotonic()
        self.status = 0
        self.headers = NO_HEADERS
        self.first_byte_ms: int | None = None
        self.input_tokens: int | None = None
        self.cached_tokens: int | None = None
        self.output_tokens: int | None = None
        self.outputs = 0
        """Records that have come, about one a token: the cloud's own counts come at the end."""
        self.unreadable = 0
        """Records of the answer that could not be read: what they said is missing."""
        self._cloud = cloud
        self._call = call
        self._policy = policy
        self._clock = clock
        self._timers = timers
        self._reader: RecordReader | None = None
        self._held: list[Piece] = []
        self._tail = b""
        """The line of a stream that has not ended yet: only whole ones are passed on."""
        self._cut: Fault | None = None
        self._behind: Fault | None = None
        """The fault that came right after the first output, in one piece with it."""
        self._given: float | None = None
        """When a piece was given to the caller, who has not asked for the next one yet."""
        self._waited = 0.0
        self._done = False
        self._understood = False
        """Whether any record could be read."""
        self._heard_all = False
        self._response: httpx.Response | None = None
        self._chunks: AsyncIterator[bytes]

    @property
    def cloud(self) -> str:
        """The address that it goes to."""
        return self._cloud.url

    @property
    def started(self) -> float:
        """When it began, in epoch seconds, as the clock has it now: it may have been corrected meanwhile."""
        return self._clock.time() - (self._clock.monotonic() - self._began)

    @property
    def duration_ms(self) -> int:
        """How long it has taken so far."""
        return round(1000 * (self._clock.monotonic() - self._began))

    @property
    def complete(self) -> bool:
        """Return whether the answer came to its end, whatever the caller did after its end mark."""
        return self.fault is None and self._cut is None and (self._done or self._heard_all)

    @property
    def at_end(self) -> bool:
        """Whether the piece given last is known to be the last: all of a complete answer is here."""
        if not self._done or self._held or self._tail or self.fault or self._cut:
            return False
        return self._response is not None and getattr(self._response.stream, "at_end", False)

    async def __aenter__(self) -> Self:
        longest = self._policy.first_byte if self._call.streams else self._policy.document
        opening = asyncio.current_task()
        assert opening
        before, is_late = opening.cancelling(), False

        def give_up() -> None:
            nonlocal is_late
            is_late = opening.cancel()

        timer = self._timers.start(longest, give_up)
        try:
            await self._open()
        except CloudError as error:
            self._fail(error.fault)
        except httpx.HTTPError as error:
            self._fail(self._cloud.failure(error))
        except asyncio.CancelledError:
            if not is_late or opening.uncancel() > before:
                await self._hang_up()
                raise
            late = no_response(f"no answer within {longest:g} s")
            self._fail(replace(late, connection=ConnectionFailure.TIMEOUT))
        finally:
            timer.cancel()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._hang_up()

    async def _hang_up(self) -> None:
        if self._response:
            assert isinstance(self._response.stream, httpx.AsyncByteStream)
            await self._response.stream.aclose()

    async def _open(self) -> None:
        response = self._response = await self._cloud.send(self._call, self.key)
        self.status, self.headers = response.status_code, response.headers
        # httpx's own iterator costs more for each chunk than everything else here.
        chunks = response.stream
        assert isinstance(chunks, httpx.AsyncByteStream)
        if response.status_code >= 300:
            body = bytearray()
            async for chunk in chunks:
                body += chunk
                if len(body) >= BODY_LIMIT:
                    break
            self._refuse(bytes(body))
            return
        if find(self._call.path).reader:
            kind = self.headers.get("content-type", "")
            if not may_be_answer(kind):
                self._fail(no_answer_of_ollama(self.headers, self.status))
                return
            self.streams = self._call.streams and not kind.startswith("application/json")
            self._reader = RecordReader(self._call.path, whole=not self.streams)
        self._chunks = aiter(chunks)
        held = 0
        while piece := await self._next():
            self._held.append(piece)
            held += len(piece.data)
            if any(record.commits for record in piece.records):
                self._behind, self.fault = self.fault, None
                return
            if self.fault or held > self._policy.held_back:
                return
        whole = b"".join(piece.data for piece in self._held)
        if not find(self._call.path).reader and ERROR.match(whole):
            self._refuse(whole)

    def _refuse(self, body: bytes) -> None:
        """Take an answer for the cloud's refusal."""
        self.refusal = Refusal(self.status, self.headers, body)
        now = self._clock.time()
        fault = response_fault(self.status, self.headers, body, self._call.path, now)
        self._fail(fault or no_response(f"HTTP {self.status}"))

    def skim(self) -> None:
        """Read only ends, counts and errors of the answer from now on, not its text."""
        if self._reader:
            self._reader.skims = True

    async def _next(self) -> Piece | None:
        """Return the next piece, None after the last; an error record or a missing end becomes the fault."""
        reader = self._reader
        self.unreadable = reader.unreadable if reader else self.unreadable
        if (chunk := await anext(self._chunks, None)) is not None:
            if self.first_byte_ms is None:
                self.first_byte_ms = self.duration_ms
            self.outputs += chunk.count(b"data:") or chunk.count(b"\n")
            records = reader.feed(chunk) if reader else ()
            before = len(self._tail)
            data = self._whole_lines(chunk) if self.streams else chunk
            return self._piece(data, records, before) if records else Piece(data, ())
        if reader is None:
            return None
        self._reader = None
        ending, rest, self._tail = reader.finish(), self._tail, b""
        self.unreadable = reader.unreadable
        piece = self._piece(rest, (ending,), len(rest)) if ending else None
        if piece is None and rest and self._done:
            return Piece(rest, ())
        if not self._done and self.fault is None:
            if self._understood or piece or self.first_byte_ms is None:
                self._lose(no_response("the answer ended before it was complete"))
            else:
                self._fail(no_answer_of_ollama(self.headers, self.status))
        return piece

    def _whole_lines(self, chunk: bytes) -> bytes:
        """Return what has come up to the last end of a line, and keep the rest.

        Half an error record may hold half a key, and no client can read half a line.
        """
        data = self._tail + chunk if self._tail else chunk
        end = len(data) if len(data) > LINE_LIMIT else data.rfind(b"\n") + 1
        self._tail = data[end:]
        return data[:end]

    def _piece(self, data: bytes, records: tuple[StreamRecord, ...], before: int) -> Piece:
        """Make a piece without the data of the cloud's error record, and without what follows it.

        The error is in the fault. `before` is how many bytes of the data came before the chunk that completed
        the records.
        """
        self._understood = self._understood or bool(records)
        for index, record in enumerate(records, 1):
            if record.error is not None and self.fault is None and not self._done:
                self._fail(classify_record(record.error, self._call.path))
                return Piece(data[: max(0, before + record.start)], records[:index])
            self._done = self._done or record.done
            self.input_tokens = record.input_tokens or self.input_tokens
            if record.cached_tokens is not None:
                self.cached_tokens = record.cached_tokens
            self.output_tokens = record.output_tokens or self.output_tokens
        return Piece(data, records)

    def __aiter__(self) -> Self:
        self.committed = True
        return self

    async def __anext__(self) -> Piece:
        """Return the next piece; raise CloudError for a fault after the first output."""
        if self._given is not None:
            self._waited = max(self._waited, monotonic() - self._given)
            self._given = None
        if self._held:
            return self._held.pop(0)
        self.fault, self._behind = self.fault or self._behind, None
        try:
            if self.fault is None and self._cut is None and (piece := await self._next()):
                self._given = monotonic()
                return piece
        except httpx.HTTPError as error:
            if not self._done:
                self._lose(self._cloud.failure(error))
        if fault := self.fault or self._cut:
            raise CloudError(f"the answer was cut off: {fault.text}", fault)
        self._heard_all = True
        raise StopAsyncIteration

    def _lose(self, fault: Fault) -> None:
        """Note that the cloud hung up: as a fault, unless a caller who takes nothing has made it wait."""
        if self._waited < CALLER_SECONDS:
            self._fail(fault)
        else:
            self._cut = fault

    def _fail(self, fault: Fault) -> None:
        self.fault = replace(fault, text=self._cloud.scrubber.scrub(fault.text))
