"""What was said so far, read out of the body of any interface."""

from collections.abc import Mapping

Body = Mapping[str, object]


def read(body: Body) -> list[Body]:
    """The messages of a request, each with a role and content, whatever form they came in."""
    if "prompt" in body:
        return [{"role": "user", "content": body["prompt"], "images": body.get("images")}]
    if "input" in body:
        given = body["input"]
        items = [{"role": "user", "content": given}] if isinstance(given, str) else records(given)
        return [message for item in items for message in _apart(item)]
    return [message for item in records(body.get("messages")) for message in _apart(item)]


def records(value: object) -> list[Body]:
    """The objects of a list."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def text(message: Body) -> str:
    """The words of a message."""
    content = message.get("content")
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in records(content))
    return str(content or "")


def images(message: Body) -> list[object]:
    """The pictures of a message, as base64 or as addresses."""
    native = message.get("images")
    linked = [part.get("image_url") for part in records(message.get("content")) if "image_url" in part]
    addresses = [link.get("url") if isinstance(link, Mapping) else link for link in linked]
    return (native if isinstance(native, list) else []) + addresses


def _apart(item: Body) -> list[Body]:
    """A message, or for each tool result in it a message of the tool."""
    if item.get("type") == "function_call_output":
        return [{"role": "tool", "content": item.get("output")}]
    parts = records(item.get("content"))
    results = [part for part in parts if part.get("type") == "tool_result"]
    return [{"role": "tool", "content": part.get("content")} for part in results] or [item]
