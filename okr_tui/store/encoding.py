"""How a record is written down: one line of JSON, the same in every store."""

from typing import Annotated

from pydantic import Field, TypeAdapter

from okr_tui.domain.records import Record

_adapter: TypeAdapter[Record] = TypeAdapter(Annotated[Record, Field(discriminator="kind")])


def encode(record: Record) -> str:
    """Return the record as one line of JSON; what is None is left out."""
    return _adapter.dump_json(record, exclude_none=True).decode()


def decode(text: str) -> Record:
    """Return the record of a line of JSON; fields that it has from a later version are left out.

    Raises pydantic.ValidationError for a text that is none of our records.
    """
    return _adapter.validate_json(text)
