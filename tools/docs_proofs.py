"""The page ``docs/reference/proofs.md``: what shows that each route of each model speaks its provider's API. From the shipped
catalogue, from what each conformance test says that it proves, and from the captured requests."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from openpollen.catalog.load import load_catalog
from openpollen.core.model import Model, Provider, Route
from openpollen.providers.adapter import adapters

_TESTS = Path(__file__).parents[1] / "tests/conformance"
_DOCUMENTATION = "documentation"
_HEAD = """# What proves each route

Written by `make docs` from the shipped catalogue and the conformance tests. A **library** proves a route where a test compares
what we send with the request that this version of the provider's own or a widely used library sent
for the same call; the words in parentheses name the captured request in `tests/conformance/wire`. On OpenAI's wire a
host's own capture is named where there is one. **Documentation** means that the provider's pages are all there is to go by, or
all that tells the inputs of a single model; the tests say so too. Nothing here was run against a live provider.

| Model | Route | Wire | Does | Proof | Tests |
| --- | --- | --- | --- | --- | --- |
"""

Proof = tuple[str, tuple[str, ...]]


def proofs_page() -> str:
    """The page, in Markdown. Raises LookupError for a route that nothing proves."""
    catalog = load_catalog()
    rows = [row for model in catalog.models for route in model.routes for row in _rows(model, route, catalog.providers)]
    return _HEAD + "\n".join(rows) + "\n"


def _rows(model: Model, route: Route, providers: Any) -> Iterator[str]:
    provider: Provider = providers[route.provider]
    if provider.name == "local":
        return
    known = adapters()[provider.wire].operations
    for operation in sorted(capability.value for capability in model.capabilities if capability in known):
        tests, captures = _proof(provider, operation)
        said = "; ".join(dict.fromkeys(_said(name) for name in captures))
        yield (
            f"| `{model.name}` | {route.provider}: `{route.model}` | {provider.wire} | {operation} | {said} "
            f"| `{tests}` |"
        )


def _proof(provider: Provider, operation: str) -> Proof:
    """The test module and the captures of an operation on a wire; a host's own captures before those of the wire."""
    found = _proven().get(f"{provider.wire}/{operation}")
    if found is None:
        raise LookupError(f"nothing in tests/conformance proves {operation} of {provider.name} ({provider.wire})")
    tests, captures = found
    own = tuple(name for name in captures if _capture(name).get("provider") == provider.name)
    if provider.wire == "openai_compatible":
        own = tuple(name for name in _captures_of(provider.name) if _does(name) == operation)
    return tests, own or captures


@cache
def _proven() -> dict[str, Proof]:
    """What each test module says that it proves."""
    out: dict[str, Proof] = {}
    for path in sorted(_TESTS.glob("test_*.py")):
        source = path.read_text("utf-8")
        for statement in ast.parse(source).body:
            if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "PROVES":
                rest = source.replace(ast.get_source_segment(source, statement) or "", "")
                for what, captures in ast.literal_eval(statement.value).items():
                    _check_used(path.stem, captures, rest)
                    out[what] = path.stem, captures
    return out


def _check_used(tests: str, captures: tuple[str, ...], source: str) -> None:
    """A capture proves something only where a test reads it: by its name, or by all of it but the provider."""
    for name in captures:
        if name != _DOCUMENTATION and name not in source and name.partition(".")[2] not in source:
            raise LookupError(f"{tests} says that it proves something by {name}, and reads it nowhere")


@cache
def _capture(name: str) -> dict[str, Any]:
    return {} if name == _DOCUMENTATION else json.loads((_TESTS / "wire" / f"{name}.json").read_text("utf-8"))


@cache
def _captures_of(provider: str) -> tuple[str, ...]:
    names = sorted(path.stem for path in (_TESTS / "wire").glob("*.json"))
    return tuple(name for name in names if _capture(name).get("provider") == provider)


def _does(capture: str) -> str:
    """The operation of a capture on OpenAI's wire."""
    said: str = _capture(capture).get("operation", "")
    kinds = {"chat": "chat", "images.edit": "edit", "images.generate": "image", "audio.speech": "speech"}
    kinds["audio.transcriptions"] = "transcription"
    return next((kind for start, kind in kinds.items() if said.startswith(start)), "")


def _said(name: str) -> str:
    if name == _DOCUMENTATION:
        return "documentation"
    source = _capture(name)["captured_from"]
    return f"library {source['sdk']} {source['version']} (`{name}`)"
