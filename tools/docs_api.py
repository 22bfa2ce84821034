"""The pages ``docs/reference/routes.md`` and ``errors.md``: from the routes page, the error tree and each error raised."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec

import openpollen
from openpollen.api.route import Route
from openpollen.app import every_route
from openpollen.core import errors
from openpollen.ledger.entries import Short
from openpollen.providers import failures

_ROUTES_HEAD = """# Routes

Written by `make docs` from the routes that are served. Paths in one cell are the same endpoint. A key comes as
`Authorization: Bearer KEY` or `?key=KEY`; "optional" means that a key narrows what is shown. Every answer carries
`X-Request-Id`; the running server shows the same as `/openapi.json` and as a page at `/docs`.
"""

_PARAMETERS_HEAD = """# Parameters

They come as JSON, as form fields or in the query string, under the same rules. `null` is absent, unknown names are
ignored, yes and no are `true`/`1`/`yes` and `false`/`0`/`no`. A chat's further OpenAI fields are sent on as they are. A
size, a duration or a seed outside the range of what serves is answered as
[honoured or told](../concepts/honoured-or-told.md) says.
"""

_ERRORS_HEAD = """# Errors

Written by `make docs` from the error tree and from every place that raises one. Each error is one JSON envelope:

```json
{"status": 402, "success": false, "error": {"code": "PAYMENT_REQUIRED", "message": "...", "requestId": "req_...",
 "timestamp": "2026-11-22T21:48:50.123Z", "reason": "wallet", "details": {"required": "0.04", "available": "0.01"}}}
```

`code` goes with the status, `reason` is a finer word where there is one, `details` are for programs. `message` says
what is wrong and what to do. The order of checks: key (401), request (400), permission (403), money (402). Nothing that
answers an error is charged, but for a stream that breaks after its first byte: it pays for what was sent, and its
error comes as a last event. `x-should-retry: false` marks an error after money may have been spent at a provider.
"""

_MEANING = {
    "BAD_REQUEST": "A parameter is wrong, or what serves the call cannot do it. The message names it and what would work.",
    "UNAUTHORIZED": "No key, or one that is unknown, revoked or expired.",
    "PAYMENT_REQUIRED": "The wallet, a key's budget or `max_cost` does not cover the most that the call can cost.",
    "FORBIDDEN": "The key is live and may not do this.",
    "NOT_FOUND": "No such path, file, key or job.",
    "METHOD_NOT_ALLOWED": "The path is there, the method is not; `Allow` lists those that are.",
    "CONFLICT": "It exists already, or its state forbids this.",
    "PAYLOAD_TOO_LARGE": "The body or file is larger than a setting allows.",
    "UNSUPPORTED_MEDIA_TYPE": "The body's content type is not one of those that the endpoint reads.",
    "RANGE_NOT_SATISFIABLE": "The range asked for lies outside the file; `content-range` tells its length.",
    "MISDIRECTED_REQUEST": "The Host is not one of this server's; see `server.allowed_hosts`.",
    "UNPROCESSABLE_ENTITY": "Understood and refused: content, or an edit that the engine cannot make.",
    "RATE_LIMITED": "Too much at once. `Retry-After` says when.",
    "INTERNAL_ERROR": "A fault of this program; the log has the request id.",
    "BAD_GATEWAY": "The provider failed or refused our credential. `details.hint` is for the operator.",
    "SERVICE_UNAVAILABLE": "Not now: nothing serves the model, an engine's weights are missing, or overload.",
    "GATEWAY_TIMEOUT": "The provider did not finish in time.",
}


def routes_page() -> str:
    """The page of routes, in Markdown."""
    table = every_route()
    parts = [_ROUTES_HEAD]
    for tag in dict.fromkeys(route.tag for route in table):
        parts += [
            f"## {tag}\n",
            "| Method | Path | Who | Parameters | Answers | |",
            "| --- | --- | --- | --- | --- | --- |",
        ]
        parts += [_route_row(route) for route in table if route.tag == tag]
        parts.append("")
    parts.append(_PARAMETERS_HEAD)
    for spec in dict.fromkeys(route.spec for route in table if route.spec):
        parts.append(_parameters(spec))
    return "\n".join(parts)


def plain_path(path: str) -> str:
    """A path without the converters of its captures: ``/image/{prompt:path}`` is ``/image/{prompt}``."""
    return re.sub(r":\w+\}", "}", path)


def _route_row(route: Route) -> str:
    paths = "<br>".join(f"`{plain_path(path)}`" for path in route.paths)
    who = (
        {"open": "anyone", "optional": "key optional"}.get(route.access, route.access)
        if route.tag != "Pages"
        else "a browser"
    )
    if route.scope:
        who += f" with `{route.scope}`"
    spec = f"[{_title(route.spec)}](#{_title(route.spec).lower()})" if route.spec else ""
    if route.body:
        spec = f"{spec} as {' or '.join(f'`{kind}`' for kind in route.body)}".strip()
    answers = f"`{route.answers}`" if route.tag != "Pages" else "a page"
    cells = (", ".join(route.methods), paths, who, spec, answers, route.summary)
    return "| " + " | ".join(cells) + " |"


def _title(spec: type[Any] | None) -> str:
    return spec.__name__.removesuffix("Params") if spec else ""


def _parameters(spec: type[Any]) -> str:
    _, components = msgspec.json.schema_components([spec], ref_template="{name}")
    schema = components[spec.__name__]
    required = schema.get("required", [])
    lines = [f"## {_title(spec)}\n", "| Parameter | Type | Default |", "| --- | --- | --- |"]
    for name, kind in schema["properties"].items():
        default = kind.get("default")
        shown = (
            "required"
            if name in required
            else ""
            if default in (None, "")
            else f"`{msgspec.json.encode(default).decode()}`"
        )
        lines.append(f"| `{name}` | {_kind(kind)} | {shown} |")
    return "\n".join(lines) + "\n"


def _kind(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_kind(one) for one in schema["anyOf"] if one.get("type") != "null")
    if "enum" in schema:
        return " ".join(f"`{word}`" for word in schema["enum"] if word is not None)
    words = {"array": "list", "integer": "whole number", "boolean": "yes or no", "string": "text"}
    kind = schema.get("type", schema.get("$ref", "any").lower())
    low, high = schema.get("minimum", schema.get("exclusiveMinimum")), schema.get("maximum")
    above = "above " if "exclusiveMinimum" in schema else ""
    if low is not None and high is not None:
        return f"{words.get(kind, kind)}, {above}{low} to {high}"
    return words.get(kind, kind)


# -- errors --------------------------------------------------------------------------------------------------------------


def error_classes() -> dict[str, type[errors.GatewayError]]:
    """The classes of the tree by name, in the order of their status."""
    found = errors.GatewayError.__subclasses__()
    return {kind.__name__: kind for kind in sorted(found, key=lambda kind: kind.status)}


def errors_page() -> str:
    """The page of errors, in Markdown."""
    classes = error_classes()
    lines = [_ERRORS_HEAD, "## Codes\n", "| Status | Code | Means |", "| --- | --- | --- |"]
    lines += [f"| {kind.status} | `{kind.code}` | {_MEANING[kind.code]} |" for kind in classes.values()]
    lines += ["\n## Reasons\n", "Names in braces are filled in.\n", "| Status | Reason | Says |", "| --- | --- | --- |"]
    lines += [f"| {status} | `{reason}` | {says} |" for status, reason, says in _told(set(reasons()))]
    rows = [line.replace("``", "`") for line in (failures.__doc__ or "").splitlines() if line.startswith("|")]
    lines += [
        "\n## When a provider fails\n",
        "A provider's failure is never the caller's fault. \"next\" tells whether",
    ]
    lines += ["another route of the model is tried first, which ends with the first byte sent.\n", *rows]
    return "\n".join(lines) + "\n"


def _told(found: set[tuple[int, str, str]]) -> list[tuple[int, str, str]]:
    """Sorted, without the rows whose message is put together elsewhere when another row has words."""
    worded = {row[:2] for row in found if row[2]}
    return sorted(row for row in found if row[2] or row[:2] not in worded)


def reasons() -> Iterator[tuple[int, str, str]]:
    """Status, reason and message of every error that the program raises with a reason written out."""
    for reason in get_args(get_type_hints(Short)["reason"]):
        error = Short(reason, owner="", required=0, available=0, held=0).error()
        yield error.status, reason, error.message.partition(":")[0] + "."
    for path in sorted(Path(openpollen.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield from _raised_in(node)


def _raised_in(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[tuple[int, str, str]]:
    classes = error_classes()
    assigned = [node for node in ast.walk(function) if isinstance(node, ast.Assign)]
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and (kind := classes.get(_name(node.func))):
            given = next((word.value for word in node.keywords if word.arg == "reason"), None)
            says = _template(_value(node.args[0], node.lineno, assigned)) if node.args else ""
            yield from ((kind.status, reason, says) for reason in _constants(given))


def _value(node: ast.expr, line: int, assigned: list[ast.Assign]) -> ast.expr:
    """What a variable was last set to above ``line``; any other expression as it is."""
    above = [one for one in assigned if one.lineno < line and _name(one.targets[0]) == _name(node) != ""]
    return max(above, key=lambda one: one.lineno).value if above else node


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else ""


def _constants(node: ast.expr | None) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from _constants(node.body)
        yield from _constants(node.orelse)


def _template(node: ast.expr) -> str:
    """A message with its variable parts named in braces; empty where it is not written in place."""
    match node:
        case ast.Constant(value=str(text)):
            words = text
        case ast.JoinedStr(values=parts):
            words = "".join(_template(part) if isinstance(part, ast.Constant) else _hole(part) for part in parts)
        case ast.BoolOp(values=[*_, last]):
            return _template(last)
        case _:
            return ""
    return re.sub(r"\s+", " ", words).replace("|", "\\|")


def _hole(node: ast.expr) -> str:
    value = node.value if isinstance(node, ast.FormattedValue) else node
    names = [
        child.attr if isinstance(child, ast.Attribute) else child.id
        for child in ast.walk(value)
        if isinstance(child, ast.Attribute | ast.Name)
    ]
    return "{" + (names[0].strip("_").lower() if names else "...") + "}"
