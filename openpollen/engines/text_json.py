"""JSON answers that are JSON: the schema asked for, its grammar, and a tight form for a model that cannot stop."""

from __future__ import annotations

import json
import re
from typing import Any, cast

from openpollen.core.errors import BadRequest
from openpollen.engines.llama import grammar_of
from openpollen.engines.text_bounds import finite
from openpollen.engines.text_request import ResponseFormat
from openpollen.engines.text_schema import fits, resolve

_ANY_OBJECT: dict[str, Any] = {"type": "object"}
#: One line with single spaces, so that no tokens are lost to blanks; keywords without a grammar are left to the check.
_LAYOUT = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": ", "lenient": True}
_LITERAL = {"enum", "const", "default", "examples", "required"}
_UNTOLD = {"title", "required", "additionalProperties", "$schema", "$id"}
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


def json_grammar(schema: dict[str, Any], tokens: int, *, small: bool, tight: bool = False) -> str:
    """The grammar of what fits ``schema`` and comes to its end in about ``tokens`` tokens; see ``text_bounds``. ``tight``
    takes the least for granted; ``small`` is for models that hardly ever find an end by themselves."""
    if tight and schema == _ANY_OBJECT:
        return _TIGHT_OBJECT
    form = finite(schema, tokens, small=small, worst=tight)
    return grammar_of({**(_close(schema) if form is None else form), "x-guidance": _LAYOUT})


def check_schema(schema: dict[str, Any]) -> None:
    """Raises BadRequest for what the grammar maker would silently take for anything."""
    _check(schema, schema)


def json_instruction(schema: dict[str, Any]) -> str:
    """What the model is told, as grammars shape words but do not choose them."""
    if schema == _ANY_OBJECT:
        return "Answer only with one JSON object."
    told = json.dumps(_told(schema), ensure_ascii=False, separators=(",", ":"))
    return f"Answer only with JSON that fits this schema: {told}"


def _told(node: Any) -> Any:
    """The schema without what the grammar sees to by itself: each token that the model need not read is time saved."""
    if isinstance(node, list):
        return [_told(item) for item in cast("list[Any]", node)]
    if not isinstance(node, dict):
        return node
    fields = cast("dict[str, Any]", node)
    return {key: _told(value) for key, value in fields.items() if key not in _UNTOLD or isinstance(value, dict)}


def is_answer(text: str, schema: dict[str, Any]) -> bool:
    """Whether ``text`` is JSON that fits ``schema``."""
    try:
        return fits(json.loads(text), schema)
    except ValueError:
        return False


def _check(node: Any, root: dict[str, Any]) -> None:
    if isinstance(node, list):
        for item in cast("list[Any]", node):
            _check(item, root)
    if not isinstance(node, dict):
        return
    fields = cast("dict[str, Any]", node)
    kind, reference, pattern = fields.get("type"), fields.get("$ref"), fields.get("pattern")
    for name in cast("list[Any]", kind if isinstance(kind, list) else [kind]):
        if isinstance(name, str) and name not in _TYPES:
            raise BadRequest(f"The JSON schema has the type {name!r}; there are {', '.join(sorted(_TYPES))}.")
    if isinstance(reference, str) and not reference.startswith("#"):
        raise BadRequest(f"The JSON schema refers to {reference!r}; only references inside it (#/...) are followed.")
    if isinstance(reference, str) and resolve(reference, root) is False:
        raise BadRequest(f"The JSON schema refers to {reference!r}, but there is nothing at that place in it.")
    names = cast("dict[str, Any]", fields.get("patternProperties")) if "patternProperties" in fields else {}
    for text in (pattern, *names):
        if isinstance(text, str):
            _check_pattern(text)
    for key, value in fields.items():
        if key not in _LITERAL:
            _check(value, root)


def _check_pattern(pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as fault:
        raise BadRequest(f"The JSON schema has the pattern {pattern!r}, which cannot be read: {fault}.") from None


def _close(node: Any) -> Any:
    """The schema with its objects closed."""
    if isinstance(node, list):
        return [_close(item) for item in cast("list[Any]", node)]
    if not isinstance(node, dict):
        return node
    fields = cast("dict[str, Any]", node)
    closed = {key: value if key in _LITERAL else _close(value) for key, value in fields.items()}
    if isinstance(fields.get("properties"), dict) and fields.get("type") == "object":
        closed.setdefault("additionalProperties", False)
    return closed
