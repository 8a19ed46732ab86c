"""The fields of a request's body that are read, by pydantic: loaded once the gateway listens."""

import json
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, OnErrorOmit, StrictBool, TypeAdapter, ValidationError
from typing_extensions import TypedDict

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


class Part(TypedDict, total=False):
    text: OnErrorOmit[str]


# A text tried as such first would be kept twice.
_Text = Annotated[list[OnErrorOmit[Part]] | str, Field(union_mode="left_to_right")]


class _Message(TypedDict, total=False):
    role: OnErrorOmit[str]
    content: OnErrorOmit[_Text]


class _Metadata(TypedDict, total=False):
    user_id: OnErrorOmit[str]


class RequestFields(TypedDict, total=False):
    """A request in any dialect. A field of another type counts as absent, except the model."""

    model: str | None
    name: OnErrorOmit[str]
    stream: OnErrorOmit[StrictBool]
    prompt_cache_key: OnErrorOmit[str]
    session_id: OnErrorOmit[str]
    metadata: OnErrorOmit[_Metadata]
    user: OnErrorOmit[str]
    system: OnErrorOmit[_Text]
    instructions: OnErrorOmit[_Text]
    prompt: OnErrorOmit[_Text]
    messages: OnErrorOmit[list[OnErrorOmit[_Message]]]
    input: OnErrorOmit[Annotated[list[OnErrorOmit[_Message]] | str, Field(union_mode="left_to_right")]]


_documents: TypeAdapter[RequestFields] = TypeAdapter(RequestFields)


class NotAnObjectError(Exception):
    """A body is JSON, but not an object, or names its model with something other than a text."""

    def __init__(self, error: ValidationError) -> None:
        super().__init__()
        self.has_other_model = _first(error)["loc"] == ("model",)


def read_fields(body: bytes) -> RequestFields:
    """Return the fields of a body. Raises NotAnObjectError, or ValueError for what is no JSON."""
    try:
        try:
            return _documents.validate_json(body)
        except ValidationError as error:
            if _first(error)["type"] != "json_invalid":
                raise
        # JSON for Python and for the cloud may still be what this parser refuses: half a pair of surrogates.
        return _documents.validate_python(json.loads(body))
    except ValidationError as error:
        raise NotAnObjectError(error) from None


def _first(error: ValidationError) -> "ErrorDetails":
    return error.errors(include_url=False, include_input=False)[0]
