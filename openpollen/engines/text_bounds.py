"""The finite form of a JSON schema: what it leaves without an end gets one, so that every answer comes to its end.

A small model goes on with a list for as long as the grammar lets it, and a schema hardly ever says how long a list may
be. The finite form accepts less than the schema, never more: lists, texts, numbers and open objects get bounds where the
schema has none, objects take no members that it does not name, references and allOf are written out, and what refers to
itself ends after two turns. The bounds are the widest of ``LADDER`` with which the longest answer fits into the tokens.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

from openpollen.core.errors import BadRequest
from openpollen.engines.text_schema import resolve


class Bounds(NamedTuple):
    """Characters of a text and items of a list (or members of an open object) that the schema leaves open."""

    string: int
    items: int


LADDER = (
    *(Bounds(1000, 20), Bounds(600, 12), Bounds(400, 8), Bounds(300, 5)),
    *(Bounds(200, 4), Bounds(120, 3), Bounds(60, 2), Bounds(24, 1), Bounds(12, 0)),
)
#: Where a model that finds no end by itself begins on the ladder.
SMALL = 3
#: Whole numbers up to here are the same in every JSON reader.
_LARGEST = 10**15 - 1
#: Decimals of other numbers end here, unless the schema speaks of numbers nearly as small.
_SMALLEST = 0.000001
#: Characters of what has a form; a time may otherwise have any number of decimals.
_FORMATS = {"date-time": 32, "time": 21, "duration": 24, "uuid": 36, "date": 10, "ipv4": 15, "ipv6": 39}
#: Names of members that a schema leaves open.
_NAME = r'^[^"\\\x00-\x1f]{1,40}$'
#: Times that a path through the schema may take one reference.
_TURNS = 2
#: Parts of a finite form; a schema that unfolds to more stays as it is.
_MOST_PARTS = 4_000

Node = dict[str, Any]
_SHAPES = {
    "object": {"properties", "additionalProperties", "required", "patternProperties", "minProperties", "maxProperties"},
    "array": {"items", "prefixItems", "minItems", "maxItems"},
    "string": {"pattern", "format", "minLength", "maxLength"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
}
_NOTES = {"title", "description", "default", "examples", "$comment", "deprecated", "readOnly", "writeOnly", "$id"}
_ELSEWHERE = _NOTES | {"$defs", "definitions", "$schema", "$ref", "allOf"}
_TIGHTER = {"minimum": max, "minLength": max, "minItems": max, "maximum": min, "maxLength": min, "maxItems": min}


class _TooWide(Exception):
    """The schema unfolds to more parts than a grammar should have."""


def finite(schema: Node, tokens: int, *, small: bool = False, worst: bool = False) -> Node | None:
    """The finite form whose longest answer takes about ``tokens`` tokens; None for a schema that unfolds too widely.
    Raises BadRequest for one that no finite value fits.

    On the first step of the ladder the schema's own maxima stand, beyond it they are lowered too. ``worst`` reckons
    with a token for every character."""
    first = SMALL if small else 0
    form: Node | None = None
    for step, bounds in enumerate(LADDER[first:]):
        try:
            form = _Form(schema, bounds, own=step == 0 and not worst).of(schema, ())
        except _TooWide:
            return None
        if form is None:
            raise BadRequest(
                "No finite JSON value fits this JSON schema: a part of it is required in itself, or false."
            )
        if _tokens(form, worst=worst) <= tokens:
            break
    return form


class _Form:
    """One unfolding of ``root`` with the bounds of one step; ``own`` keeps the schema's own maxima above them."""

    def __init__(self, root: Node, bounds: Bounds, *, own: bool) -> None:
        self._root = root
        self._bounds = bounds
        self._own = own
        self._parts = 0

    def of(self, node: Any, path: tuple[str, ...]) -> Node | None:
        """The finite form of one part, reached over the references in ``path``; None when nothing finite fits."""
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise _TooWide
        if node is False:
            return None
        whole = self._whole(_node(node), path)
        if whole is None:
            return None
        rules, path = whole
        if "enum" in rules or "const" in rules:
            return rules
        for union in ("anyOf", "oneOf"):
            if union in rules:
                return self._union(rules, union, path)
        if "allOf" in rules:
            rules["allOf"] = [form for item in rules["allOf"] if (form := self.of(item, path)) is not None]
            return rules
        kinds = _kinds(rules)
        if not kinds:
            return self._anything()
        rules["type"] = kinds[0] if len(kinds) == 1 else kinds
        if "string" in kinds:
            self._bound_string(rules)
        if "integer" in kinds or "number" in kinds:
            _bound_number(rules)
        if "array" in kinds and not self._bound_array(rules, path):
            return None
        return rules if "object" not in kinds or self._bound_object(rules, path) else None

    def _whole(self, node: Node, path: tuple[str, ...]) -> tuple[Node, tuple[str, ...]] | None:
        """The rules of a part with its references and ``allOf`` written into them; None at the end of a circle."""
        rules = {key: value for key, value in node.items() if key not in _ELSEWHERE}
        parts = list(cast("list[Any]", node.get("allOf", [])))
        reference = node.get("$ref")
        if isinstance(reference, str):
            if path.count(reference) >= _TURNS:
                return None
            path = (*path, reference)
            parts.insert(0, resolve(reference, self._root))
        for part in parts:
            if part is False:
                return None
            inner = self._whole(_node(part), path)
            if inner is None:
                return None
            path = inner[1]
            rules = _both(rules, inner[0])
        return rules, path

    def _union(self, rules: Node, union: str, path: tuple[str, ...]) -> Node | None:
        """A choice, with the rules that stand beside it written into each of its parts."""
        rest = {key: value for key, value in rules.items() if key != union}
        parts = [_both(rest, _node(part)) for part in cast("list[Any]", rules[union]) if part is not False]
        forms = [form for part in parts if (form := self.of(part, path)) is not None]
        return {union: forms} if forms else None

    def _anything(self) -> Node:
        """Any value, not deeper than a list or an object of plain values."""
        plain = [self._bound_string({"type": "string"}), _bound_number({"type": "number"}), {"type": "boolean"}]
        flat: Node = {"anyOf": [*plain, {"type": "null"}]}
        most = self._bounds.items
        return {
            "anyOf": [
                *flat["anyOf"],
                {"type": "array", "items": flat, "maxItems": most},
                {"type": "object", "additionalProperties": flat, "maxProperties": most},
            ]
        }

    def _bound_string(self, rules: Node) -> Node:
        most, low = self._bounds.string, rules.get("minLength", 0)
        if "format" in rules:
            most = _FORMATS.get(rules["format"], 80)
        if "pattern" in rules:
            if "{" in rules["pattern"]:
                return rules  # it may ask for any length
            most = max(most, len(rules["pattern"]))
        rules["maxLength"] = self._most(rules.get("maxLength"), max(most, low))
        return rules

    def _bound_array(self, rules: Node, path: tuple[str, ...]) -> bool:
        low, first = rules.get("minItems", 0), cast("list[Any]", rules.get("prefixItems", []))
        if first:
            forms = [self.of(item, path) for item in first]
            if None in forms:
                return False
            rules["prefixItems"] = forms
            if "items" not in rules and low <= len(first):
                rules["items"] = False
        item = None if rules.get("items") is False else self.of(rules.get("items", True), path)
        rules["items"] = False if item is None else item
        if item is None:
            rules["maxItems"] = len(first)
            return low <= len(first)
        rules["maxItems"] = self._most(rules.get("maxItems"), max(self._bounds.items, low, len(first)))
        return True

    def _bound_object(self, rules: Node, path: tuple[str, ...]) -> bool:
        required = cast("list[str]", rules.get("required", []))
        for group in ("properties", "patternProperties"):
            if group not in rules:
                continue
            forms = {name: self.of(item, path) for name, item in cast("Node", rules[group]).items()}
            if any(form is None and name in required for name, form in forms.items()):
                return False
            rules[group] = {name: form for name, form in forms.items() if form is not None}
        named = "properties" in rules or "patternProperties" in rules
        others = self.of(rules.get("additionalProperties", not named), path)
        rules["additionalProperties"] = False if others is None else others
        if others is not None and not named:
            rules |= {"patternProperties": {_NAME: others}, "additionalProperties": False}
        if others is not None or "patternProperties" in rules:
            low = max(rules.get("minProperties", 0), len(rules.get("properties", {})), len(required))
            rules["maxProperties"] = self._most(rules.get("maxProperties"), max(self._bounds.items, low, 1))
        return others is not None or all(name in rules.get("properties", {}) for name in required)

    def _most(self, given: int | None, bound: int) -> int:
        if given is None:
            return bound
        return given if self._own else min(given, bound)


def _node(part: Any) -> Node:
    """A part as its rules; ``true`` has none."""
    return cast("Node", part) if isinstance(part, dict) else {}


def _kinds(rules: Node) -> list[str]:
    """The types that a part allows, or the one that its keywords speak of; none where anything goes."""
    kind = rules.get("type")
    if kind is not None:
        return cast("list[str]", kind if isinstance(kind, list) else [kind])
    spoken = [name for name, words in _SHAPES.items() if words & rules.keys()]
    return spoken[:1]


def _bound_number(rules: Node) -> Node:
    low, high = rules.get("minimum"), rules.get("maximum")
    if low is None and "exclusiveMinimum" not in rules:
        rules["minimum"] = -_LARGEST if high is None else min(-_LARGEST, high)
    if high is None and "exclusiveMaximum" not in rules:
        rules["maximum"] = _LARGEST if low is None else max(_LARGEST, low)
    edges = [rules.get(word) or 1 for word in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")]
    if rules["type"] != "integer" and all(abs(edge) > _SMALLEST * 1000 for edge in edges):
        rules.setdefault("multipleOf", _SMALLEST)
    return rules


def _both(one: Node, other: Node) -> Node:
    """The rules of two parts at once; what cannot be put into one is left as ``allOf``."""
    rules = dict(one)
    for key, value in other.items():
        if key not in rules or rules[key] == value:
            rules[key] = value
        elif key == "properties":
            mine = cast("Node", rules[key])
            theirs = cast("Node", value)
            shared = {name: {"allOf": [mine[name], theirs[name]]} for name in mine.keys() & theirs.keys()}
            rules[key] = {**mine, **theirs, **shared}
        elif key == "required":
            rules[key] = [*rules[key], *(name for name in value if name not in rules[key])]
        elif key == "additionalProperties" and False in (rules[key], value):
            rules[key] = False
        elif key in _TIGHTER:
            rules[key] = _TIGHTER[key](rules[key], value)
        else:
            return {"allOf": [one, other]}
    return rules


def _tokens(form: Any, *, worst: bool) -> float:
    """About how many tokens the longest answer of a finite form takes."""
    if not isinstance(form, dict):
        return 0
    rules = cast("Node", form)
    letter = 1.0 if worst else 0.3
    if "enum" in rules or "const" in rules:
        return max((len(str(value)) for value in rules.get("enum", [rules.get("const")])), default=0) * letter + 2
    inner = [_tokens(item, worst=worst) for union in ("anyOf", "oneOf", "allOf") for item in rules.get(union, [])]
    kinds = _kinds(rules)
    sizes = [max(inner, default=2.0)]
    if "string" in kinds:
        sizes.append(rules.get("maxLength", 200) * letter + 2)
    if "integer" in kinds or "number" in kinds:
        sizes.append(20 if worst else 6)
    if "array" in kinds:
        first = cast("list[Any]", rules.get("prefixItems", []))
        item = _tokens(rules.get("items"), worst=worst) + 1
        more = max(0, rules.get("maxItems", len(first)) - len(first))
        sizes.append(sum(_tokens(part, worst=worst) + 1 for part in first) + more * item + 2)
    if "object" in kinds:
        named = cast("Node", rules.get("properties", {}))
        size = sum(_tokens(part, worst=worst) + len(name) * letter + 3 for name, part in named.items()) + 2
        open_parts = [*rules.get("patternProperties", {}).values(), rules["additionalProperties"]]
        other = max(_tokens(part, worst=worst) for part in open_parts)
        sizes.append(size + max(0, rules.get("maxProperties", 0) - len(named)) * (other + 6) * bool(other))
    return max(sizes)
