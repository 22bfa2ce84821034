"""A request to a pretended provider, and the answer to it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from typing import Any, cast

from python_multipart import multipart

from openpollen.core.usage import Usage


@dataclass(frozen=True)
class Asked:
    """``path`` is what follows the provider's name; header names are in lower case."""

    provider: str
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @cached_property
    def json(self) -> dict[str, Any]:
        """The body as an object, empty where it is none."""
        try:
            found = json.loads(self.body or b"{}")
        except ValueError:
            return {}
        return cast("dict[str, Any]", found) if isinstance(found, dict) else {}

    def at(self, *names: str) -> Any:
        """What the body has at the end of these names; None where it does not go so far."""
        found: Any = self.json
        for name in names:
            found = cast("dict[str, Any]", found).get(name) if isinstance(found, dict) else None
        return found

    @cached_property
    def form(self) -> tuple[dict[str, str], dict[str, bytes]]:
        """Fields and files of a multipart body, by name."""
        fields: dict[str, str] = {}
        files: dict[str, bytes] = {}

        def take_field(found: Any) -> None:
            fields[found.field_name.decode()] = (found.value or b"").decode()

        def take_file(found: Any) -> None:
            found.file_object.seek(0)
            files[found.field_name.decode()] = found.file_object.read()

        headers = {"Content-Type": self.headers.get("content-type", "").encode()}
        if headers["Content-Type"].startswith(b"multipart/"):
            multipart.parse_form(cast(Any, headers), BytesIO(self.body), take_field, take_file)
        return fields, files

    @cached_property
    def text(self) -> str:
        """All words of the request: the place for marks such as ``world:500``."""
        fields, _ = self.form
        return " ".join([*_texts(self.json), *fields.values()])


@dataclass(frozen=True)
class Answer:
    """What is sent back: whole, or in ``pieces``. ``bill`` is what the host bills for it, ``model`` for what."""

    body: Any = b""
    status: int = 200
    kind: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    pieces: Sequence[bytes] = ()
    bill: Usage | None = None
    model: str = ""

    @property
    def data(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value[:4000]]
    if isinstance(value, dict):
        return [text for item in cast("dict[str, Any]", value).values() for text in _texts(item)]
    if isinstance(value, list):
        return [text for item in cast("list[Any]", value) for text in _texts(item)]
    return []
