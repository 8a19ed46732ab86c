"""The longest answer a request may ask for, lowered to what the model can give."""

import json
from dataclasses import replace

from okr_tui.cloud.client import Call


def clamped(call: Call, most: int) -> Call:
    """The call with its output limit lowered to what the model allows, where it asks for more."""
    try:
        document = json.loads(call.body)
    except ValueError:
        return call
    if not isinstance(document, dict):
        return call
    lowered = False
    for place, name in (
        (document, "max_tokens"),
        (document, "max_completion_tokens"),
        (document, "max_output_tokens"),
        (document.get("options"), "num_predict"),
    ):
        asked = place.get(name) if isinstance(place, dict) else None
        if isinstance(place, dict) and isinstance(asked, int) and asked > most:
            place[name] = most
            lowered = True
    return replace(call, body=json.dumps(document).encode()) if lowered else call
