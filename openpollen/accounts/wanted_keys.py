"""What a key is asked to be, by the API, a page, the command line or a grant: its fields, their rules, and what they come to."""

from __future__ import annotations

import time
from collections.abc import Sequence
from decimal import Decimal

from msgspec import Struct

from openpollen.accounts.permissions import CONSENT, scopes_in
from openpollen.core.address import origin_fault, page_fault
from openpollen.core.errors import BadRequest
from openpollen.core.ids import KeyType
from openpollen.core.money import parse_pollen
from openpollen.core.names import name_fault
from openpollen.ledger.entries import Period

_NAME_LENGTH = 253
_YEAR_SECONDS = 31_536_000
_MOST_MARKUP = 500


class NewKey(Struct, frozen=True, kw_only=True):
    """What a key is asked to be. ``budget`` is pollen as the caller wrote it; ``expires_in`` is seconds."""

    name: str
    type: KeyType = "secret"
    expires_in: int | None = None
    models: Sequence[str] | None = None
    budget: str | int | float | None = None
    budget_period: Period | None = None
    scopes: Sequence[str] = ()
    app_url: str | None = None
    redirect_uris: Sequence[str] = ()
    origins: Sequence[str] = ()
    created_via: str = "api"
    app_key_id: str | None = None
    markup: int = 0
    devices: bool = False


def check_wanted(wanted: NewKey) -> None:
    """Raises BadRequest for what cannot be a key."""
    if not 0 < len(wanted.name) <= _NAME_LENGTH or not wanted.name.strip():
        raise BadRequest(f"A key has a name of 1 to {_NAME_LENGTH} characters.")
    if not wanted.name.isprintable():
        raise BadRequest("The name of a key has no control characters and no marks of direction.")
    if wanted.expires_in is not None and not 0 < wanted.expires_in <= _YEAR_SECONDS:
        raise BadRequest(
            f"expiresIn is 1 to {_YEAR_SECONDS:,} seconds (365 days), or absent for a key that does not expire."
        )
    if not 0 <= wanted.markup <= _MOST_MARKUP:
        raise BadRequest(f"A markup is 0 to {_MOST_MARKUP // 10} percent of the price.")
    if wanted.budget_period is not None and wanted.budget is None:
        raise BadRequest("A budget period needs a budget.")
    if wanted.type == "secret" and (wanted.app_url or wanted.redirect_uris or wanted.origins):
        raise BadRequest("appUrl, redirectUris and origins belong to publishable keys. Set type to publishable.")
    app = wanted.type == "publishable" and (wanted.app_url or wanted.redirect_uris)
    if app and (fault := name_fault(wanted.name)):
        raise BadRequest(f"The name of an app {fault}.")
    if (wanted.markup or wanted.devices) and not app and wanted.created_via not in CONSENT:
        raise BadRequest("markup and devices belong to app keys: publishable ones with appUrl or redirectUris.")
    pages = [("appUrl", wanted.app_url)] if wanted.app_url else []
    pages += [("redirectUris", url) for url in wanted.redirect_uris]
    for name, url in pages:
        if fault := page_fault(url):
            raise BadRequest(f"{name}: {url[:100]!r} is not allowed: {fault}.")
    for origin in wanted.origins:
        if fault := origin_fault(origin):
            raise BadRequest(f"origins: {origin[:100]!r} is not allowed: {fault}.")


def budget_of(budget: str | int | float | None, *, app: bool) -> int | None:
    """The limit in nano-pollen; an app key has none to spend unless it is given. Raises BadRequest."""
    if budget is None:
        return 0 if app else None
    try:
        return parse_pollen(budget)
    except ValueError as error:
        raise BadRequest(f"pollenBudget: {error}.") from None


def markup_of(percent: Decimal) -> int:
    """A markup in percent, in thousandths. Raises BadRequest."""
    exact = percent * 10
    if not 0 <= exact <= _MOST_MARKUP or exact != exact.to_integral_value():
        raise BadRequest(f"markup: 0 to {_MOST_MARKUP // 10} percent, with one decimal place at most.")
    return int(exact)


def origins_of(wanted: NewKey) -> tuple[str, ...]:
    """Origins as they are compared."""
    return tuple(origin.lower().rstrip("/") for origin in wanted.origins)


def expiry_of(wanted: NewKey) -> int | None:
    """When the key is to end, in milliseconds."""
    return None if wanted.expires_in is None else int(time.time() * 1000) + wanted.expires_in * 1000


def scopes_of(wanted: NewKey, *, child: bool) -> tuple[str, ...]:
    """Known scopes in their order; unknown names are dropped, as clients of the API expect."""
    given = {scope.removeprefix("account:") for scope in wanted.scopes}
    if wanted.type == "publishable":
        given &= {"profile"}
    if child:
        given -= {"keys"}
    return scopes_in(given)
