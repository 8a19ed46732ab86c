"""As much of JSON Schema as the settings' own schema uses; a keyword that is not known here fails."""

from collections.abc import Iterator, Mapping
from typing import Any

TYPES = {
    "string": str,
    "array": list,
    "object": dict,
    "boolean": bool,
    "null": type(None),
    "number": (int, float),
    "integer": (int, float),
}
ANNOTATIONS = {"$schema", "$defs", "title", "description"}
HANDLED = {
    "type", "enum", "const", "anyOf", "oneOf", "$ref", "properties", "additionalProperties", "required",
    "items", "prefixItems", "minItems", "maxItems", "minLength", "maxProperties",
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
}  # fmt: skip


def accepts(schema: Mapping[str, Any], value: object, root: Mapping[str, Any] | None = None) -> bool:
    """Whether a value is as the schema says."""
    assert schema.keys() <= HANDLED | ANNOTATIONS, schema.keys() - HANDLED
    return all(_holds(schema, value, root or schema))


def _holds(schema: Mapping[str, Any], value: object, root: Mapping[str, Any]) -> Iterator[bool]:
    if reference := schema.get("$ref"):
        found: Any = root
        for name in reference.removeprefix("#/").split("/"):
            found = found[name]
        yield accepts(found, value, root)
    if "type" in schema:
        names = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
        yield any(_is(name, value) for name in names)
    if "const" in schema:
        yield value == schema["const"] and type(value) is type(schema["const"])
    if "enum" in schema:
        yield value in schema["enum"]
    for name, wanted in (("anyOf", {1, 2, 3}), ("oneOf", {1})):
        if name in schema:
            yield sum(accepts(each, value, root) for each in schema[name]) in wanted
    if isinstance(value, dict):
        yield set(schema.get("required", [])) <= value.keys()
        yield len(value) <= schema.get("maxProperties", len(value))
        known = schema.get("properties", {})
        other = schema.get("additionalProperties", True)
        for name, item in value.items():
            inner = known.get(name, other)
            yield inner if isinstance(inner, bool) else accepts(inner, item, root)
    if isinstance(value, list):
        yield schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value))
        first = schema.get("prefixItems", [])
        yield all(accepts(each, item, root) for each, item in zip(first, value, strict=False))
        yield all(accepts(schema.get("items", {}), item, root) for item in value[len(first) :])
    if isinstance(value, str):
        yield len(value) >= schema.get("minLength", 0)
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield schema.get("minimum", value) <= value <= schema.get("maximum", value)
        yield "exclusiveMinimum" not in schema or value > schema["exclusiveMinimum"]
        yield "exclusiveMaximum" not in schema or value < schema["exclusiveMaximum"]


def _is(name: str, value: object) -> bool:
    if isinstance(value, bool) and name != "boolean":
        return False
    if name == "integer" and isinstance(value, float) and not value.is_integer():
        return False
    return isinstance(value, TYPES[name])  # type: ignore[arg-type]
