"""Templates and static files: read once when first needed, rendered with every value escaped."""

from __future__ import annotations

import gzip
import hashlib
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any, cast
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined
from msgspec import Struct

from openpollen.core.money import format_pollen

_TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "png": "image/png",
    "txt": "text/plain; charset=utf-8",
}


class Static(Struct, frozen=True):
    """A file of our own: its bytes, plain and gzipped, its media type and the version in its address."""

    body: bytes
    packed: bytes
    media_type: str
    version: str


def render(template: str, **context: Any) -> bytes:
    """A template as HTML. Raises jinja2.UndefinedError for a value that is not given."""
    return _environment().get_template(template).render(context).encode()


@cache
def static_file(name: str) -> Static | None:
    """A file of the static folder; ``None`` when there is none of this name."""
    suffix = name.rpartition(".")[2]
    known = {entry.name for entry in files("openpollen.web").joinpath("static").iterdir()}
    if name not in known or suffix not in _TYPES:
        return None
    body = files("openpollen.web").joinpath("static", name).read_bytes()
    return Static(body, gzip.compress(body, mtime=0), _TYPES[suffix], hashlib.sha256(body).hexdigest()[:12])


def static_url(name: str) -> str:
    """The address of a static file, which changes when the file does."""
    found = static_file(name)
    if found is None:
        raise LookupError(f"there is no static file {name!r}")
    return f"/static/{name}?v={found.version}"


def moment(ms: int | None, missing: str = "never") -> str:
    """A time in milliseconds as text, in UTC."""
    return missing if ms is None else datetime.fromtimestamp(ms / 1000, UTC).strftime("%-d %b %Y, %H:%M UTC")


def in_zone(ms: int, zone: str) -> str:
    """A time in milliseconds as text, in a zone."""
    return datetime.fromtimestamp(ms / 1000, ZoneInfo(zone)).strftime("%-d %b, %H:%M")


def iso(ms: int) -> str:
    """A time in milliseconds for a ``datetime`` attribute."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def pollen(nano: int | None, missing: str = "no limit") -> str:
    """An amount in nano-pollen, rounded down to what a person reads: six places, fewer from 1 pollen on."""
    if nano is None:
        return missing
    step = 10**5 if abs(nano) >= 10**9 else 10**3
    return format_pollen(nano // step * step) if abs(nano) >= step else format_pollen(nano)


def number(value: int) -> str:
    """A count with its thousands apart."""
    return f"{value:,}"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("openpollen.web", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    cast(dict[str, Any], environment.globals)["static"] = static_url
    filters = cast(dict[str, Any], environment.filters)
    filters.update({"moment": moment, "iso": iso, "in_zone": in_zone, "pollen": pollen, "number": number})
    return environment
