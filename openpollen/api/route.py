"""What a line of the routes page is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from msgspec import Struct

from openpollen.api.exchange import Exchange

Handler = Callable[[Exchange], Awaitable[None]]
Access = Literal["open", "optional", "key", "secret key"]


@dataclass(frozen=True, slots=True)
class Route:
    """Methods, the paths that mean the same endpoint, its handler, and what the documents say of it.

    ``access`` is who may call; ``scope`` the account scope that an API key needs; ``spec`` the parameters;
    ``body`` how they come; ``answers`` the media type of success; ``cors`` opens it to pages of any origin.
    """

    methods: tuple[str, ...]
    paths: tuple[str, ...]
    handler: Handler
    summary: str
    tag: str = ""
    access: Access = "open"
    scope: str = ""
    spec: type[Struct] | None = None
    body: tuple[str, ...] = ()
    answers: str = "application/json"
    cors: bool = True
