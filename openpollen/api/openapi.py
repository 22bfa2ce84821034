"""OpenAPI 3.1 and a readable page, both drawn from the routes page, so that they cannot disagree with what is served."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from typing import Any, get_args, get_origin, get_type_hints

import msgspec

from openpollen import __version__
from openpollen.api.route import Route

_ERRORS = {
    "400": "Invalid parameters; the message names the field and what would work",
    "401": "Missing or invalid API key",
    "402": "Not enough pollen; details has required, available, held and nextResetAt",
    "403": "The key may not do this",
    "429": "Too many requests; see Retry-After",
    "500": "Our fault",
    "502": "The provider failed",
    "503": "Not available now; see Retry-After",
}
_ENVELOPE = {
    "type": "object",
    "required": ["status", "success", "error"],
    "properties": {
        "status": {"type": "integer"},
        "success": {"const": False},
        "error": {
            "type": "object",
            "required": ["code", "message", "requestId", "timestamp"],
            "properties": {
                "code": {"type": "string"},
                "message": {"type": "string"},
                "requestId": {"type": "string"},
                "timestamp": {"type": "string", "format": "date-time"},
                "reason": {"type": "string"},
                "details": {"type": "object"},
            },
        },
    },
}


def build(routes: Iterable[Route], server: str) -> dict[str, Any]:
    """The OpenAPI document of ``routes``, the first path of each; its other paths are named in the description."""
    routes = [route for route in routes if route.tag]
    specs = {route.spec for route in routes if route.spec}
    _, components = msgspec.json.schema_components(specs, ref_template="#/components/schemas/{name}")
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        path = re.sub(r"\{(\w+):\w+\}", r"{\1}", route.paths[0])
        for method in route.methods:
            paths.setdefault(path, {})[method.lower()] = _operation(route, path, method)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "OpenPollen",
            "version": __version__,
            "description": "Text, images, video and audio through one OpenAI-compatible API.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": server}],
        "paths": paths,
        "components": {
            "schemas": {**components, "Error": _ENVELOPE},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "query": {"type": "apiKey", "in": "query", "name": "key"},
            },
        },
    }


def _operation(route: Route, path: str, method: str) -> dict[str, Any]:
    names = re.findall(r"\{(\w+)\}", path)
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
    ]
    operation: dict[str, Any] = {
        "operationId": re.sub(r"\W+", "_", f"{method.lower()}_{path}").strip("_"),
        "summary": route.summary,
        "tags": [route.tag],
    }
    if len(route.paths) > 1:
        operation["description"] = "Also at " + ", ".join(f"`{other}`" for other in route.paths[1:]) + "."
    if route.spec and route.body:
        schema = {"$ref": f"#/components/schemas/{route.spec.__name__}"}
        operation["requestBody"] = {"required": True, "content": {kind: {"schema": schema} for kind in route.body}}
    elif route.spec:
        taken = {*names, "prompt", "input"}
        parameters += [
            {"name": name, "in": "query", "schema": schema}
            for name, schema in _query_schemas(route)
            if name not in taken
        ]
    if parameters:
        operation["parameters"] = parameters
    if route.access in ("key", "secret key"):
        operation["security"] = [{"bearer": []}, {"query": []}]
    elif route.access == "optional":
        operation["security"] = [{}, {"bearer": []}]
    error = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}
    operation["responses"] = {
        "200": {"description": "Success", "content": {route.answers: {"schema": _answer_schema(route.answers)}}},
        **{status: {"description": text, **error} for status, text in _ERRORS.items() if _may_fail(route, status)},
    }
    return operation


def _may_fail(route: Route, status: str) -> bool:
    return route.access in ("key", "secret key") or status in ("400", "500", "503")


def _answer_schema(media_type: str) -> dict[str, Any]:
    return {"type": "object"} if media_type == "application/json" else {"type": "string"}


def _query_schemas(route: Route) -> list[tuple[str, Any]]:
    assert route.spec is not None
    (_,), components = msgspec.json.schema_components([route.spec])
    return list(components[route.spec.__name__].get("properties", {}).items())


# -- the readable page -------------------------------------------------------------------------------------------------

_STYLE = """
:root{color-scheme:light dark;--ink:#1d1b16;--soft:#6b6558;--paper:#fffdf6;--card:#fff;--line:#e8e0cc;--accent:#874a00}
@media(prefers-color-scheme:dark){:root{--ink:#f3eee0;--soft:#a9a18e;--paper:#16140f;--card:#1f1c16;--line:#37322a;--accent:#f0b040}}
*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.6 system-ui,sans-serif}
main{max-width:60rem;margin:0 auto;padding:2rem 1.2rem 5rem}h1{font-size:2.2rem;margin:.2em 0}h2{margin:2.5rem 0 .6rem}
a{color:var(--accent)}nav a{margin-right:1rem}code,pre{font-family:ui-monospace,monospace;font-size:.88em}
code{overflow-wrap:anywhere}nav a{display:inline-block}
pre{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:1rem;overflow:auto}
details{background:var(--card);border:1px solid var(--line);border-radius:10px;margin:.5rem 0;padding:.1rem 1rem}
summary{cursor:pointer;padding:.5rem 0}summary b{display:inline-block;min-width:4.2rem;color:var(--accent)}
table{border-collapse:collapse;width:100%;margin:.3rem 0 1rem}
td{overflow-wrap:anywhere}td,th{text-align:left;padding:.35rem .6rem;border-top:1px solid var(--line);vertical-align:top}
.soft{color:var(--soft)}"""


def page(routes: Iterable[Route], server: str) -> str:
    """The same as one page of HTML that needs no script and asks no other host for anything."""
    groups: dict[str, list[Route]] = {}
    for route in routes:
        if route.tag:
            groups.setdefault(route.tag, []).append(route)
    nav = "".join(f'<a href="#{_slug(tag)}">{html.escape(tag)}</a>' for tag in groups)
    sections = "".join(_section(tag, members) for tag, members in groups.items())
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>OpenPollen API</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><main><h1>OpenPollen API</h1>"
        "<p>Text, images, video and audio through one OpenAI-compatible API. Send "
        "<code>Authorization: Bearer YOUR_KEY</code> or <code>?key=YOUR_KEY</code>. "
        'The same as data: <a href="/openapi.json">openapi.json</a>.</p>'
        f'<nav>{nav}</nav><h2>Try it</h2><pre tabindex="0" role="region" aria-label="Commands to try">'
        f"{html.escape(_sample(server))}</pre>{sections}</main></body></html>"
    )


def _sample(server: str) -> str:
    return (
        f"curl {server}/v1/chat/completions -H 'Authorization: Bearer YOUR_KEY' \\\n"
        "  -H 'Content-Type: application/json' \\\n"
        '  -d \'{"model": "openai", "messages": [{"role": "user", "content": "Hello!"}]}\'\n\n'
        f"curl '{server}/image/a%20cat%20in%20space?key=YOUR_KEY' -o cat.jpg\n\n"
        f"curl '{server}/audio/Hello%20world?voice=nova&key=YOUR_KEY' -o hello.mp3"
    )


def _section(tag: str, routes: list[Route]) -> str:
    return f'<h2 id="{_slug(tag)}">{html.escape(tag)}</h2>' + "".join(_entry(route) for route in routes)


def _entry(route: Route) -> str:
    path = re.sub(r":\w+\}", "}", route.paths[0])
    also = ", ".join(f"<code>{html.escape(re.sub(r':[a-z]+}', '}', p))}</code>" for p in route.paths[1:])
    who = {"open": "no key needed", "optional": "key optional"}.get(route.access, f"needs a {route.access}")
    scope = f", scope <code>{route.scope}</code>" if route.scope else ""
    rows = "".join(
        f"<tr><td><code>{html.escape(name)}</code></td><td>{html.escape(kind)}</td><td>{html.escape(default)}</td></tr>"
        for name, kind, default in _fields(route)
    )
    table = f"<table><tr><th>Parameter</th><th>Type</th><th>Default</th></tr>{rows}</table>" if rows else ""
    return (
        f"<details><summary><b>{' '.join(route.methods)}</b> <code>{html.escape(path)}</code> "
        f'<span class="soft">{html.escape(route.summary)}</span></summary>'
        f'<p class="soft">{who}{scope}; answers <code>{html.escape(route.answers)}</code>'
        f"{'; also ' + also if also else ''}</p>{table}</details>"
    )


def _fields(route: Route) -> list[tuple[str, str, str]]:
    if route.spec is None:
        return []
    hints = get_type_hints(route.spec)
    out: list[tuple[str, str, str]] = []
    for entry in msgspec.structs.fields(route.spec):
        default = "required" if entry.required else "" if entry.default in (None, "") else str(entry.default).lower()
        out.append((entry.encode_name, _kind(hints[entry.name]), default))
    return out


def _kind(hint: Any) -> str:
    if get_origin(hint) is not None and str(get_origin(hint)).endswith("Literal'>"):
        return " | ".join(map(str, get_args(hint)))
    args = [arg for arg in get_args(hint) if arg is not type(None)]
    if str(hint).startswith("typing.Literal"):
        return " | ".join(map(str, get_args(hint)))
    if args and get_origin(hint) not in (list, dict):
        return " | ".join(_kind(arg) for arg in args)
    names = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
    name = getattr(get_origin(hint) or hint, "__name__", "any")
    return {"list": "array", "dict": "object", "Any": "any"}.get(name, names.get(name, name))


def _slug(tag: str) -> str:
    return re.sub(r"\W+", "-", tag.lower()).strip("-")
