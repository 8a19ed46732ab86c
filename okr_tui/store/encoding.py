"""How a record is written down: one line of JSON, the same in every store."""

import json
from typing import Annotated

from pydantic import Field, TypeAdapter
from pydantic_core import PydanticSerializationError

from okr_tui.domain.records import Record

_adapter: TypeAdapter[Record] = TypeAdapter(Annotated[Record, Field(discriminator="kind")])


def encode(record: Record) -> str:
    """Return the record as one line of JSON; what is None is left out."""
    try:
        return _adapter.dump_json(record, exclude_none=True).decode()
    except PydanticSerializationError:  # for halves of characters, as in a name that a client sent
        document = _adapter.dump_python(record, mode="json", exclude_none=True)
        return json.dumps(document, ensure_ascii=False).encode(errors="replace").decode()


def decode(text: str) -> Record:
    """Return the record of a line of JSON; fields that it has from a later version are left out.

    Raises pydantic.ValidationError for a text that is none of our records.
    """
    return _adapter.validate_json(text)
