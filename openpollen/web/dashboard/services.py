"""What the pages of the dashboard and of the admin share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Struct

from openpollen.accounts.tiers import Refills, Tiers
from openpollen.accounts.users import User
from openpollen.api.exchange import Exchange
from openpollen.catalog.registry import Registry
from openpollen.generation.health import Health
from openpollen.media.store import MediaStore
from openpollen.settings import Settings
from openpollen.web.pages import Pages

Row = TypeVar("Row")


class Services(Struct, frozen=True):
    """The services behind these pages. ``registry`` gives the models of now; ``forget`` makes this process look at changed
    keys at once; ``gen_url`` and ``media_url`` are the public addresses of calls and of files."""

    pages: Pages
    registry: Callable[[], Registry]
    tiers: Tiers
    refills: Refills
    store: MediaStore
    health: Health
    settings: Settings
    forget: Callable[[], None]
    gen_url: str
    media_url: str

    @property
    def max_keys(self) -> int:
        """Keys that one account may hold."""
        return self.settings.accounts.max_keys


def zone_of(exchange: Exchange, user: User) -> str:
    """The zone in which days are counted: of the address (``?tz=``), else the account's, else UTC."""
    for name in (exchange.query.get("tz", ""), user.time_zone or ""):
        try:
            if name and ZoneInfo(name):
                return name
        except (ZoneInfoNotFoundError, ValueError, OSError):
            continue
    return "UTC"


def page_number(exchange: Exchange) -> int:
    """Which page of a long list the address asks for, from 1."""
    given = exchange.query.get("page", "1")
    return max(int(given), 1) if given.isascii() and given.isdigit() and len(given) < 6 else 1


def on_page(rows: Sequence[Row], page: int, size: int) -> tuple[Sequence[Row], bool]:
    """The rows of one page of a long list, and whether more follow."""
    return rows[(page - 1) * size : page * size], len(rows) > page * size


def choice(given: str, allowed: tuple[str, ...]) -> str:
    """One of the words allowed, else the first of them."""
    return given if given in allowed else allowed[0]
