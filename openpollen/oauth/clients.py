"""Clients that registered themselves (RFC 7591): a name that nobody vouches for, and addresses to return to. They are no
apps: nobody owns them, nothing is attributed to them, and the consent page shows their host with a warning.

Every function runs inside a transaction of the caller."""

from __future__ import annotations

import time
from collections.abc import Sequence

from msgspec import Struct, json
from sqlalchemy import delete, func, insert, or_, select, update

from openpollen.core.errors import BadRequest, ServiceUnavailable
from openpollen.core.ids import random_text
from openpollen.oauth.errors import OAuthError
from openpollen.oauth.redirects import allowed_unregistered, target
from openpollen.storage.database import Connection
from openpollen.storage.schema import oauth_clients

PREFIX = "oc_"
_NAME_LENGTH = 100
_ADDRESSES = 10
_MOST = 10_000
_UNUSED_MS = 90 * 86_400_000


class Client(Struct, frozen=True):
    """A client as it described itself; ``created_at`` is milliseconds."""

    id: str
    name: str
    redirect_uris: tuple[str, ...]
    created_at: int


def register(connection: Connection, name: str, redirect_uris: Sequence[str]) -> Client:
    """Takes a client in. Those that nobody used for 90 days go on the way. Raises OAuthError for what cannot be one,
    ServiceUnavailable while there are too many."""
    if len(name) > _NAME_LENGTH or not name.isprintable():
        raise OAuthError("invalid_client_metadata", f"client_name has up to {_NAME_LENGTH} printable characters.")
    if not 0 < len(redirect_uris) <= _ADDRESSES:
        raise OAuthError("invalid_redirect_uri", f"redirect_uris is a list of 1 to {_ADDRESSES} addresses.")
    for address in redirect_uris:
        _check(address)
    now = int(time.time() * 1000)
    used = func.coalesce(oauth_clients.c.used_at, oauth_clients.c.created_at)
    connection.execute(delete(oauth_clients).where(used < now - _UNUSED_MS))
    if connection.execute(select(func.count()).select_from(oauth_clients)).scalar_one() >= _MOST:
        raise ServiceUnavailable("Too many clients are registered here. Ask the operator.", retry_after=3600)
    client = Client(PREFIX + random_text(24), name.strip(), tuple(redirect_uris), now)
    values = {"id": client.id, "name": client.name, "redirect_uris": json.encode(client.redirect_uris).decode()}
    connection.execute(insert(oauth_clients).values(**values, created_at=now))
    return client


def find_client(connection: Connection, client_id: str) -> Client:
    """The client of this id. Raises BadRequest."""
    row = connection.execute(select(oauth_clients).where(oauth_clients.c.id == client_id)).one_or_none()
    if row is None:
        raise BadRequest("This client is not registered here any more. The app has to register anew.")
    return Client(row.id, row.name, tuple(json.decode(row.redirect_uris)), row.created_at)


def note_use(connection: Connection, client_id: str) -> None:
    """Writes down that somebody agreed to a client, to the day."""
    now = int(time.time() * 1000)
    stale = or_(oauth_clients.c.used_at.is_(None), oauth_clients.c.used_at < now - 86_400_000)
    connection.execute(update(oauth_clients).where(oauth_clients.c.id == client_id, stale).values(used_at=now))


def _check(address: str) -> None:
    try:
        place = target(address)
    except BadRequest as fault:
        raise OAuthError("invalid_redirect_uri", fault.message) from None
    if "#" in address:
        raise OAuthError("invalid_redirect_uri", f"{address[:120]} has a fragment; leave it out.")
    if not allowed_unregistered(place):
        raise OAuthError("invalid_redirect_uri", f"{address[:120]}: use https, or http on the user's own machine.")
