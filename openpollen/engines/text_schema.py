"""Does a JSON value fit a JSON schema? Grammars steer a model; this is the check that its answer kept to the schema.

Keywords: type, enum, const, properties, required, additionalProperties, patternProperties, minProperties,
maxProperties, propertyNames, dependentRequired, items, prefixItems, minItems, maxItems, uniqueItems, contains, minContains,
maxContains, minLength, maxLength, pattern, minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf, anyOf, oneOf, allOf,
not, if, then, else and local $ref. Others are notes, as JSON Schema has it.
"""

from __future__ import annotations

import json
import re
from typing import Any, cast

_NEAR = 1e-9  # of a multiple, as floating point has it
_CLASSES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "null": (type(None),),
}


def fits(value: Any, schema: Any, root: Any = None) -> bool:
    """Whether ``value`` fits ``schema``; ``root`` is the document that references are looked up in."""
    root = schema if root is None else root
    if not isinstance(schema, dict):
        return schema is not False
    rules = cast("dict[str, Any]", schema)
    if "$ref" in rules and not fits(value, resolve(str(rules["$ref"]), root), root):
        return False
    kinds = cast("list[str]", rules["type"] if isinstance(rules.get("type"), list) else [rules.get("type")])
    if kinds != [None] and not any(_is(value, kind) for kind in kinds):
        return False
    if ("enum" in rules and value not in rules["enum"]) or ("const" in rules and value != rules["const"]):
        return False
    if not all(fits(value, item, root) for item in rules.get("allOf", [])):
        return False
    if "anyOf" in rules and not any(fits(value, item, root) for item in rules["anyOf"]):
        return False
    if "oneOf" in rules and not any(fits(value, item, root) for item in rules["oneOf"]):
        return False
    if "not" in rules and fits(value, rules["not"], root):
        return False
    if "if" in rules and not fits(value, rules.get("then" if fits(value, rules["if"], root) else "else", True), root):
        return False
    return _parts_fit(value, rules, root)


def _parts_fit(value: Any, rules: dict[str, Any], root: Any) -> bool:
    if isinstance(value, dict):
        return _object_fits(cast("dict[str, Any]", value), rules, root)
    if isinstance(value, list):
        return _array_fits(cast("list[Any]", value), rules, root)
    if isinstance(value, str):
        size, pattern = len(value), rules.get("pattern")
        return _within(size, rules, "minLength", "maxLength") and (not pattern or bool(re.search(pattern, value)))
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        low, high = rules.get("exclusiveMinimum"), rules.get("exclusiveMaximum")
        above = low is None or value > low
        step = rules.get("multipleOf")
        if step and abs(value / step - round(value / step)) > _NEAR:
            return False
        return above and (high is None or value < high) and _within(value, rules, "minimum", "maximum")
    return True


def _object_fits(value: dict[str, Any], rules: dict[str, Any], root: Any) -> bool:
    known = cast("dict[str, Any]", rules.get("properties", {}))
    patterns = cast("dict[str, Any]", rules.get("patternProperties", {}))
    others = rules.get("additionalProperties", True)

    def member_fits(name: str, item: Any) -> bool:
        said = [schema for pattern, schema in patterns.items() if re.search(pattern, name)]
        said += [known[name]] if name in known else []
        return all(fits(item, schema, root) for schema in said or [others])

    dependent = cast("dict[str, list[str]]", rules.get("dependentRequired", {}))
    return (
        all(name in value for name in rules.get("required", []))
        and all(other in value for name, others in dependent.items() if name in value for other in others)
        and all(fits(name, rules.get("propertyNames", True), root) for name in value)
        and _within(len(value), rules, "minProperties", "maxProperties")
        and all(member_fits(name, item) for name, item in value.items())
    )


def _array_fits(value: list[Any], rules: dict[str, Any], root: Any) -> bool:
    first = cast("list[Any]", rules.get("prefixItems", []))
    rest = rules.get("items", True)
    if rules.get("uniqueItems") and len({json.dumps(item, sort_keys=True) for item in value}) < len(value):
        return False
    if "contains" in rules:
        count = sum(fits(item, rules["contains"], root) for item in value)
        if not rules.get("minContains", 1) <= count <= rules.get("maxContains", count):
            return False
    return _within(len(value), rules, "minItems", "maxItems") and all(
        fits(item, first[index] if index < len(first) else rest, root) for index, item in enumerate(value)
    )


def _within(number: float, rules: dict[str, Any], low: str, high: str) -> bool:
    return (low not in rules or number >= rules[low]) and (high not in rules or number <= rules[high])


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _CLASSES.get(kind, ()))


def resolve(reference: str, root: Any) -> Any:
    """The part of ``root`` that ``#/a/b`` names; ``False``, which nothing fits, when there is none."""
    node: Any = root
    for step in reference.lstrip("#").split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(node, dict) or key not in node:
            return False
        node = cast("dict[str, Any]", node)[key]
    return node
