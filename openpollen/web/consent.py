"""The consent page: who asks, what for, where to; and what the user makes of it (rules 34 to 36, 38).

Nothing of a posted form is trusted but the user's choices: the request is read anew from the link that came along.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from msgspec import Struct, structs

from openpollen.accounts.attempts import Attempts, Limit
from openpollen.accounts.keys import make_room
from openpollen.accounts.permissions import scopes_in
from openpollen.api.auth import Authentication
from openpollen.api.exchange import Exchange
from openpollen.api.route import Route
from openpollen.catalog.registry import Registry
from openpollen.core.errors import BadRequest, Conflict, RateLimited
from openpollen.core.money import parse_pollen
from openpollen.ledger.credit import balances
from openpollen.ledger.entries import Balances
from openpollen.oauth import codes, devices, grants, request
from openpollen.oauth.errors import Refused
from openpollen.oauth.grants import Terms
from openpollen.oauth.request import MOST_DAYS, Ask
from openpollen.settings import Settings
from openpollen.storage.database import Connection
from openpollen.web.pages import Pages, SignedOut, Viewer, sentence

#: Guesses of device codes: by one account, from one address, and by everybody together.
GUESSES = Limit("device-guess", burst=10, seconds=60)
GUESSES_FROM = Limit("device-guess-from", burst=20, seconds=30)
GUESSES_OF_ALL = Limit("device-guess-of-all", burst=1_000, seconds=1)

_SCOPE_TEXT = {
    "profile": "Your name and email address",
    "balance": "How much pollen you have",
    "usage": "What you used, and what it cost",
    "keys": "Make and revoke keys below its own",
}


class Choice(Struct, frozen=True):
    """What was chosen, as typed, and what is wrong with it by field."""

    scopes: tuple[str, ...]
    models: tuple[str, ...] | None
    limited: bool
    budget: str
    days: str
    faults: Mapping[str, str] = {}


class ConsentPages:
    """``registry`` gives the models of now."""

    def __init__(
        self, pages: Pages, authentication: Authentication, registry: Callable[[], Registry], settings: Settings
    ) -> None:
        self.pages = pages
        self._authentication = authentication
        self._registry = registry
        self._settings = settings.oauth
        self._max_keys = settings.accounts.max_keys
        self._attempts = Attempts(pages.database)

    # -- the link -----------------------------------------------------------------------------------------------------

    async def authorize(self, exchange: Exchange) -> None:
        """GET /authorize."""
        given = request.parameters(exchange.scope["query_string"].decode("latin-1"))
        ask = await self._read(given)
        viewer = await self.pages.require(exchange)
        await self._show(exchange, viewer, ask, _first(ask), link=urlencode(given))

    async def decide(self, exchange: Exchange) -> None:
        """POST /authorize."""
        viewer = await self.pages.viewer(exchange)
        fields = await self.pages.form_lists(exchange, viewer)
        link = fields.get("link", [""])[-1]
        if viewer is None:
            raise SignedOut(f"/authorize?{link}")
        ask = await self._read(request.parameters(link))
        if fields.get("decision", [""])[-1] != "allow":
            await self.pages.database.write(lambda c: grants.note_consent(c, viewer.user.id, ask, "denied"))
            await self._send_back(exchange, ask, {"error": "access_denied"})
            return
        choice = _chosen(fields, ask, self._offered(ask))
        changed = fields.get("shown", [""])[-1] != ask.shown
        if choice.faults or changed:
            await self._show(exchange, viewer, ask, choice, link=link, changed=changed, status=409 if changed else 422)
            return
        agreed = self._agreed(ask, choice)

        def agree(connection: Connection) -> dict[str, str]:
            make_room(connection, viewer.user.id, self._max_keys)
            grants.note_consent(connection, viewer.user.id, ask, "allowed")
            if ask.flow == "code":
                return {"code": codes.issue(connection, viewer.user.id, ask, agreed)}
            made = grants.mint(connection, viewer.user.id, agreed, "redirect-auth", most=self._max_keys)
            if isinstance(made, Refused):
                raise BadRequest(made.description)
            return {"api_key": made.value}

        try:
            answer = await self.pages.database.write(agree)
        except Conflict as fault:
            await self._show(exchange, viewer, ask, _with(choice, fault), link=link, status=fault.status)
            return
        await self._send_back(exchange, ask, answer)

    # -- a device -----------------------------------------------------------------------------------------------------

    async def device(self, exchange: Exchange) -> None:
        """GET /device: the code page, filled in when the link carries the code."""
        viewer = await self.pages.require(exchange)
        code = devices.typed(exchange.query.get("user_code", ""))
        shown = devices.shown(code) if len(code) == devices.LENGTH else ""
        await self.pages.show(exchange, "device.html", viewer=viewer, values={"user_code": shown}, faults={}, done="")

    async def device_code(self, exchange: Exchange) -> None:
        """POST /device: from the code to the consent page, and from there to the decision."""
        viewer = await self.pages.viewer(exchange)
        fields = await self.pages.form_lists(exchange, viewer)
        given = fields.get("user_code", [""])[-1][:40]
        code = devices.typed(given)
        if viewer is None:
            raise SignedOut(f"/device?user_code={devices.shown(code)}")
        address = self._authentication.address(exchange)
        try:
            guess = await self._attempts.take((GUESSES, viewer.user.id), (GUESSES_FROM, address), (GUESSES_OF_ALL, ""))
        except RateLimited as fault:
            await self._ask_again(exchange, viewer, given, fault.message, 429, {"retry-after": str(fault.retry_after)})
            return
        found = (
            await self.pages.database.read(lambda c: devices.waiting(c, code)) if len(code) == devices.LENGTH else None
        )
        if found is None:
            told = "No device waits with this code. Check it on the device: it may have expired."
            await self._ask_again(exchange, viewer, given, told, 422)
            return
        await self._attempts.give_back(guess)
        client, scope = found.client_id, found.scope
        ask = await self.pages.database.read(lambda c: request.of_device(c, client, scope))
        decision = fields.get("decision", [""])[-1]
        if decision not in ("allow", "deny"):
            await self._show(exchange, viewer, ask, _first(ask), code=devices.shown(code))
            return
        choice = _chosen(fields, ask, self._offered(ask))
        changed = fields.get("shown", [""])[-1] != ask.shown
        if decision == "allow" and (choice.faults or changed):
            status = 409 if changed else 422
            await self._show(exchange, viewer, ask, choice, code=devices.shown(code), changed=changed, status=status)
            return
        agreed = self._agreed(ask, choice) if decision == "allow" else None

        def decide(connection: Connection) -> bool:
            if agreed is not None:
                make_room(connection, viewer.user.id, self._max_keys)
            grants.note_consent(connection, viewer.user.id, ask, "denied" if agreed is None else "allowed")
            return devices.decide(connection, code, viewer.user.id, agreed)

        try:
            decided = await self.pages.database.write(decide)
        except Conflict as fault:
            shown = devices.shown(code)
            await self._show(exchange, viewer, ask, _with(choice, fault), code=shown, status=fault.status)
            return
        done = "over" if not decided else "denied" if agreed is None else "allowed"
        await self.pages.show(exchange, "device.html", viewer=viewer, values={}, faults={}, done=done)

    async def _ask_again(
        self,
        exchange: Exchange,
        viewer: Viewer,
        given: str,
        fault: str,
        status: int,
        headers: dict[str, str] | None = None,
    ) -> None:
        await self.pages.show(
            exchange,
            "device.html",
            viewer=viewer,
            status=status,
            headers=headers,
            values={"user_code": given},
            faults={"user_code": fault},
            done="",
        )

    # -- parts --------------------------------------------------------------------------------------------------------

    async def _read(self, given: Mapping[str, str]) -> Ask:
        return await self.pages.database.read(lambda connection: request.read(connection, given, self._resolve))

    def _resolve(self, names: list[str]) -> list[str]:
        found = [self._registry().get(name) for name in names]
        if not any(found):
            raise BadRequest(f"models: there is none of {', '.join(names)[:200]} here.")
        return [model.name for model in found if model is not None]

    def _offered(self, ask: Ask) -> tuple[str, ...]:
        """The models that the user chooses from."""
        return ask.models if ask.models is not None else tuple(sorted(m.name for m in self._registry().models()))

    async def _show(
        self,
        exchange: Exchange,
        viewer: Viewer,
        ask: Ask,
        choice: Choice,
        *,
        link: str = "",
        code: str = "",
        changed: bool = False,
        status: int = 200,
    ) -> None:
        def look(connection: Connection) -> Balances:
            return balances(connection, viewer.user.id)

        wallet = await self.pages.database.read(look)
        context: dict[str, Any] = {
            "ask": ask,
            "choice": choice,
            "link": link,
            "code": code,
            "changed": changed,
            "wallet": wallet,
            "offered": self._offered(ask),
            "scope_text": _SCOPE_TEXT,
            "most_days": MOST_DAYS,
            "author_verified": ask.app is not None and ask.app.author.github is not None,
        }
        origin = (ask.place.origin,) if ask.place is not None and not _unnameable(ask) else ()
        await self.pages.show(exchange, "consent.html", viewer=viewer, status=status, form_action=origin, **context)

    def _agreed(self, ask: Ask, choice: Choice) -> Terms:
        budget = choice.budget if choice.limited else None
        agreed = grants.terms(ask, choice.scopes, choice.models, budget, int(choice.days))
        if self._settings.refresh_tokens:
            return agreed
        return structs.replace(agreed, words=tuple(word for word in agreed.words if word != "offline_access"))

    async def _send_back(self, exchange: Exchange, ask: Ask, answer: dict[str, str]) -> None:
        """Leads the browser back to the app: a code in the query, a key or a refusal of its flow in the fragment."""
        assert ask.place is not None
        answer |= {"state": ask.state} if ask.state else {}
        said = urlencode(answer | {"iss": self.pages.url})
        place = ask.place.location
        mark = "#" if ask.flow == "fragment" else "&" if "?" in place else "?"
        self._authentication.forget()
        to, headers = f"{place}{mark}{said}", {"referrer-policy": "no-referrer"}
        if _unnameable(ask):
            await self.pages.show(exchange, "back.html", headers=headers, url=to, host=ask.place.host)
        else:
            await self.pages.redirect(exchange, to, headers=headers)


def routes(consent: ConsentPages) -> tuple[Route, ...]:
    route = consent.pages.route
    return (
        route("GET", "/authorize", consent.authorize, "Consent to an app"),
        route("POST", "/authorize", consent.decide, "Allow or deny an app"),
        route("GET", "/device", consent.device, "Enter a device's code"),
        route("POST", "/device", consent.device_code, "Allow or deny a device"),
    )


def _unnameable(ask: Ask) -> bool:
    """Whether a content security policy has no words for where the app is: an IPv6 address, or a name with ``_`` in it.
    Browsers refuse to be led there by a form, so such an app is gone to from a page."""
    return ask.place is not None and re.fullmatch(r"[a-z0-9.-]+", ask.place.name) is None


def _with(choice: Choice, fault: Conflict) -> Choice:
    """What was chosen, and why nothing came of it."""
    return structs.replace(choice, faults={"all": fault.message})


def _first(ask: Ask) -> Choice:
    """The form as the app's request fills it; ``keys`` is off until the user ticks it."""
    scopes = tuple(scope for scope in ask.scopes if scope != "keys")
    return Choice(scopes, ask.models, True, ask.budget, str(ask.days))


def _chosen(fields: Mapping[str, Sequence[str]], ask: Ask, offered: Sequence[str]) -> Choice:
    budget, days = fields.get("budget", [""])[-1].strip(), fields.get("days", [""])[-1].strip()
    limited = "unlimited" not in fields
    faults: dict[str, str] = {}
    if limited:
        try:
            parse_pollen(budget)
        except ValueError as fault:
            faults["budget"] = f"{sentence(fault)} Write an amount such as 5, or tick “No limit”."
    if not re.fullmatch(r"[0-9]{1,3}", days) or not 1 <= int(days) <= MOST_DAYS:
        faults["days"] = f"A number of days from 1 to {MOST_DAYS}."
    scopes = scopes_in(fields.get("scope", ()))
    ticked = tuple(name for name in offered if name in fields.get("model", ()))
    some = fields.get("models", ["all"])[-1] == "some" or len(ticked) < len(offered)  # what was unticked is not meant
    models = ticked if some else ask.models
    if models is not None and not models:
        faults["models"] = "Choose one model at least."
    return Choice(scopes, models, limited, budget, days, faults)
