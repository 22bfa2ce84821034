"""What an app asks a user for: the link of the consent page, in both vocabularies (rules 34 to 36). A link that cannot be
right raises BadRequest and leads to an error page, never to a redirect."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping
from hashlib import blake2b
from urllib.parse import parse_qsl

from msgspec import Struct

from openpollen.accounts.keys import Key, find_public
from openpollen.accounts.permissions import SCOPES, Scope, scopes_in
from openpollen.accounts.users import User, get_user
from openpollen.core.errors import BadRequest
from openpollen.core.ids import is_key
from openpollen.core.money import parse_pollen
from openpollen.oauth.clients import PREFIX, Client, find_client
from openpollen.oauth.redirects import Flow, Target, allowed_unregistered, registered, target
from openpollen.storage.database import Connection

DAYS, POLLEN = 30, "5"
MOST_DAYS = 365
#: Scope words that mean something here; ``generate`` is what every key may do.
_WORDS = {"generate", "offline_access", *SCOPES}
_SAME = (("client_id", "app_key"), ("redirect_uri", "redirect_url"), ("scope", "permissions"))
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")

#: Names of models -> canonical names. Raises BadRequest for one that there is not.
Resolve = Callable[[list[str]], list[str]]


class App(Struct, frozen=True):
    """A registered app and its author, as the consent page shows them."""

    key: Key
    author: User


class Ask(Struct, frozen=True):
    """A valid request for consent. ``models`` is ``None`` for all; ``budget`` is decimal pollen; ``words`` are the scope
    words that mean something here, as they came. ``place`` is ``None`` for a device; ``client`` is one that registered
    itself, and no app."""

    flow: Flow | None
    app: App | None
    place: Target | None
    client: Client | None
    state: str
    words: tuple[str, ...]
    models: tuple[str, ...] | None
    budget: str
    days: int
    challenge: str

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """The account scopes among the words, in the order in which they are shown."""
        return scopes_in(self.words)

    @property
    def name(self) -> str:
        """What the key will be called: by its app, or by where it goes."""
        if self.app is not None:
            return self.app.key.name
        return self.place.host if self.place is not None else "Device"

    @property
    def client_id(self) -> str:
        """What the client calls itself at the token endpoint; empty when it named nothing."""
        if self.app is not None:
            return self.app.key.public_value or ""
        return self.client.id if self.client is not None else ""

    @property
    def markup(self) -> int:
        return self.app.key.markup if self.app is not None else 0

    @property
    def shown(self) -> str:
        """A digest of what the consent page says that its app can change: a decision is about what was read, not about what
        the app became meanwhile."""
        app = self.app
        said = (app.key.id, app.key.name, app.author.name, app.author.github, app.key.markup) if app else ()
        host = self.place.host if self.place is not None else ""
        return blake2b(repr((said, host, self.scopes)).encode(), digest_size=12).hexdigest()


def parameters(query: str) -> dict[str, str]:
    """The parameters of a link. Raises BadRequest when one comes twice (RFC 6749 3.1), or is not UTF-8."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError:
        raise BadRequest("This link is not valid percent-encoded UTF-8. The app has to make it anew.") from None
    given = dict(pairs)
    if len(given) < len(pairs):
        twice = next(name for name in given if [key for key, _ in pairs].count(name) > 1)
        raise BadRequest(f"{twice[:40]} stands in this link twice; it may only once.")
    return given


def read(connection: Connection, given: Mapping[str, str], resolve: Resolve) -> Ask:
    """The request that a link makes. Raises BadRequest."""
    values = _one_vocabulary(given)
    app, client = _who(connection, values["client_id"])
    place = target(values.get("redirect_uri", ""))
    kind = values.get("response_type") or ""
    if kind not in ("", "code"):
        raise BadRequest(f"response_type {kind[:40]!r} is not known here: leave it out, or send code.")
    flow: Flow = "code" if kind else "fragment"
    if app is None and not allowed_unregistered(place):
        raise BadRequest("Without an app key people are only sent back to https addresses or to their own machine.")
    if app is not None and not registered(place, _entries(app.key), flow):
        raise BadRequest(
            f"{place.url[:200]} is not an address that {app.key.name} has registered. Its author adds it to the app key.",
            reason="redirect_uri_mismatch",
        )
    if client is not None and not registered(place, client.redirect_uris, flow):
        raise BadRequest(
            f"{place.url[:200]} is not an address that this client has registered.", reason="redirect_uri_mismatch"
        )
    challenge = values.get("code_challenge", "")
    if flow == "code":
        if app is None and client is None:
            raise BadRequest("The code flow needs client_id: the app key (pk_...).")
        if values.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(challenge):
            raise BadRequest("The code flow needs PKCE: code_challenge, 43 characters, and code_challenge_method=S256.")
    return Ask(
        flow,
        app,
        place,
        client,
        values.get("state", ""),
        scope_words(values["scope"]),
        _models(values.get("models"), resolve),
        _budget(values.get("budget")),
        _days(values.get("expiry")),
        challenge,
    )


def of_device(connection: Connection, client_id: str, scope: str) -> Ask:
    """What a device asks for. Any client id is accepted (rule 38); a name is shown only of an app that lets devices in."""
    app = find_app(connection, client_id, missing=True) if client_id else None
    if app is not None and not app.key.devices:
        app = None
    return Ask(None, app, None, None, "", scope_words(scope), None, POLLEN, DAYS, "")


def find_app(connection: Connection, client_id: str, *, missing: bool = False) -> App | None:
    """A live app key and its author. Raises BadRequest for one that is not there, unless it may be ``missing``."""
    key = find_public(connection, client_id) if is_key(client_id) else None
    if key is not None and stands(key):
        author = get_user(connection, key.user_id)
        if author.banned_at is None:
            return App(key, author)
    if missing:
        return None
    raise BadRequest("This app key is unknown or was revoked. The app's author makes a new one.", reason="client_id")


def stands(key: Key) -> bool:
    """Whether an app key is in force: people can be asked in its name."""
    return key.app and key.enabled and (key.expires_at is None or key.expires_at > time.time() * 1000)


def scope_words(text: str) -> tuple[str, ...]:
    """The scope words that mean something here, once each; others are dropped. Blanks or commas stand between them."""
    words = dict.fromkeys(word.removeprefix("account:") for word in re.split(r"[\s,]+", text))
    return tuple(word for word in words if word in _WORDS)


def _who(connection: Connection, client_id: str) -> tuple[App | None, Client | None]:
    if client_id.startswith(PREFIX):
        return None, find_client(connection, client_id)
    return (find_app(connection, client_id) if client_id else None), None


def _one_vocabulary(given: Mapping[str, str]) -> dict[str, str]:
    values = dict(given)
    for name, other in _SAME:
        first, second = values.get(name, ""), values.get(other, "")
        if first and second and first != second:
            raise BadRequest(f"{name} and {other} mean the same and differ; send one of them.")
        values[name] = first or second
    return values


def _entries(key: Key) -> list[str]:
    return [*key.redirect_uris, *([key.app_url] if key.app_url else [])]


def _models(text: str | None, resolve: Resolve) -> tuple[str, ...] | None:
    names = [name.strip() for name in (text or "").split(",") if name.strip()]
    if len(names) > 200:
        raise BadRequest("models: at most 200 names.")
    return tuple(dict.fromkeys(resolve(names))) if names else None


def _budget(text: str | None) -> str:
    if text is None or text == "":
        return POLLEN
    try:
        parse_pollen(text)
    except ValueError as fault:
        raise BadRequest(f"budget: {text[:40]!r} is not allowed: {fault}.") from None
    return text


def _days(text: str | None) -> int:
    if text is None or text == "":
        return DAYS
    if not re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,3})?", text) or not 0 < math.ceil(float(text)) <= MOST_DAYS:
        raise BadRequest(f"expiry: {text[:40]!r} is not a number of days from 1 to {MOST_DAYS}.")
    return math.ceil(float(text))
