"""A signed-in page of ours as a caller of the API: it pays as the account itself and can do no more than look (rule 4)."""

from __future__ import annotations

from openpollen.accounts.permissions import Caller
from openpollen.accounts.sessions import session_user
from openpollen.storage.database import Connection
from openpollen.usage.record import PAGE_KEY

#: What usage calls the key of such calls.
NAME = "Playground"
_SCOPES = frozenset({"profile", "balance", "usage"})


def page_caller(connection: Connection, cookie: str) -> Caller | None:
    """The account that a session's cookie stands for; None when the session is over or the account is shut. Keys have a
    budget and an end, this caller has neither; managing keys is left to the dashboard."""
    user = session_user(connection, cookie)
    if user is None:
        return None
    key_id = PAGE_KEY + user.id  # one for each account: what waits to be delivered is kept by it
    return Caller(user, key_id, NAME, "secret", (key_id,), scopes=_SCOPES, page=True)
