"""JSON answers that are JSON: the schema asked for, its grammar, and a tight form for a model that cannot stop."""

from __future__ import annotations

import json
from typing import Any, cast

from openpollen.core.errors import BadRequest
from openpollen.engines.llama import grammar_of
from openpollen.engines.text_request import ResponseFormat
from openpollen.engines.text_schema import fits

#: Limits of the tight form: characters of a string, items of a list.
TIGHT_STRING = 60
TIGHT_ITEMS = 4

_ANY_OBJECT: dict[str, Any] = {"type": "object"}
#: One line with single spaces, so that no tokens are lost to blanks; keywords without a grammar are left to the check.
_LAYOUT = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": ", "lenient": True}
_TYPES = {"object", "array", "string", "number", "integer", "boolean", "null"}

#: Any flat object of at most eight short members.
_TIGHT_OBJECT = r"""
root   ::= "{" member ("," member){0,7} "}"
member ::= " "? string ": " (string | number | "true" | "false" | "null")
string ::= "\"" [^"\\\x00-\x1f]{1,60} "\""
number ::= "-"? [0-9]{1,9} ("." [0-9]{1,6})?
"""


def wanted_schema(form: ResponseFormat | None) -> dict[str, Any] | None:
    """The schema that the answer must fit; None when any text will do, and any object for plain JSON mode."""
    if form is None or form.type == "text":
        return None
    return form.json_schema.schema if form.json_schema else _ANY_OBJECT


def json_grammar(schema: dict[str, Any], *, tight: bool) -> str:
    """The grammar of a schema. Objects get no members that the schema does not name, unless it says that they may; the
    tight form also bounds each string and list that the schema leaves open."""
    if tight and schema == _ANY_OBJECT:
        return _TIGHT_OBJECT
    closed = _close(schema)
    return grammar_of({**(_tighten(closed) if tight else closed), "x-guidance": _LAYOUT})


def json_instruction(schema: dict[str, Any]) -> str:
    """What the model is told, as grammars shape words but do not choose them."""
    if schema == _ANY_OBJECT:
        return "Answer only with one JSON object."
    return f"Answer only with JSON that fits this schema: {json.dumps(schema, ensure_ascii=False)}"


def is_answer(text: str, schema: dict[str, Any]) -> bool:
    """Whether ``text`` is JSON that fits ``schema``."""
    try:
        return fits(json.loads(text), schema)
    except ValueError:
        return False


def _close(node: Any) -> Any:
    """The schema with its objects closed; BadRequest for what the grammar maker would silently take for anything."""
    if isinstance(node, list):
        return [_close(item) for item in cast("list[Any]", node)]
    if not isinstance(node, dict):
        return node
    fields = cast("dict[str, Any]", node)
    kind, reference = fields.get("type"), fields.get("$ref")
    for name in cast("list[Any]", kind if isinstance(kind, list) else [kind]):
        if isinstance(name, str) and name not in _TYPES:
            raise BadRequest(f"The JSON schema has the type {name!r}; there are {', '.join(sorted(_TYPES))}.")
    if isinstance(reference, str) and not reference.startswith("#"):
        raise BadRequest(f"The JSON schema refers to {reference!r}; only references inside it (#/...) are followed.")
    literal = {"enum", "const", "default", "examples", "required"}
    closed = {key: value if key in literal else _close(value) for key, value in fields.items()}
    if isinstance(fields.get("properties"), dict) and kind == "object":
        closed.setdefault("additionalProperties", False)
    return closed


def _tighten(node: Any) -> Any:
    if isinstance(node, list):
        return [_tighten(item) for item in cast("list[Any]", node)]
    if not isinstance(node, dict):
        return node
    fields = {key: _tighten(value) for key, value in cast("dict[str, Any]", node).items()}
    if fields.get("type") == "string" and not {"enum", "const", "pattern", "format"} & fields.keys():
        low = fields.get("minLength", 0)
        fields["maxLength"] = min(fields.get("maxLength", TIGHT_STRING), max(TIGHT_STRING, low))
    if fields.get("type") == "array":
        fields["maxItems"] = min(fields.get("maxItems", TIGHT_ITEMS), max(TIGHT_ITEMS, fields.get("minItems", 0)))
    return fields
