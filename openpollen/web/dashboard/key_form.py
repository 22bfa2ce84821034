"""The form of a key, for new ones and for changes: what was typed, what is wrong with it by field, and the key it asks
for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Literal, cast

from msgspec import Struct, field

from openpollen.accounts.keys import Key
from openpollen.accounts.permissions import SCOPES
from openpollen.accounts.wanted_keys import NewKey, markup_of
from openpollen.catalog.registry import Registry
from openpollen.core.address import origin_fault, page_fault
from openpollen.core.money import format_pollen, parse_pollen
from openpollen.core.names import name_fault
from openpollen.core.nearest import nearest
from openpollen.ledger.entries import Period

Fields = Mapping[str, Sequence[str]]

#: What the form says of each scope.
SCOPE_WORDS = {
    "profile": "See your name and email address",
    "balance": "See how much pollen you have",
    "usage": "See what you used",
    "keys": "Make and revoke keys",
}
PERIODS = (
    ("", "in all"),
    ("day", "each day"),
    ("week", "each week, from Monday"),
    ("month", "each month"),
)
_MOST_DAYS = 365
_NAME = 253


class Form(Struct):
    """What stands in the form. ``faults`` are sentences by field."""

    name: str = ""
    type: Literal["secret", "publishable"] = "secret"
    models: tuple[str, ...] | None = None
    budget: str = ""
    period: str = ""
    expiry: str = "never"
    days: str = "90"
    scopes: tuple[str, ...] = ()
    origins: str = ""
    app_url: str = ""
    redirect_uris: str = ""
    markup: str = "0"
    devices: bool = False
    faults: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def values(self) -> dict[str, str]:
        """The typed texts by field, as the macros take them."""
        names = ("name", "budget", "period", "expiry", "days", "origins", "app_url", "redirect_uris", "markup")
        return {name: getattr(self, name) for name in names} | {"type": self.type}


def of_key(key: Key) -> Form:
    """The form as a stored key fills it."""
    return Form(
        name=key.name,
        type=key.type,
        models=key.models,
        budget="" if key.budget_limit is None else format_pollen(key.budget_limit),
        period=key.budget_period or "",
        expiry="keep",
        scopes=key.scopes,
        origins="\n".join(key.origins),
        app_url=key.app_url or "",
        redirect_uris="\n".join(key.redirect_uris),
        markup=f"{key.markup / 10:g}",
        devices=key.devices,
    )


def read(fields: Fields, registry: Registry, *, app: bool = False) -> Form:
    """What was posted. ``app`` is the form of an app key."""

    def one(name: str) -> str:
        return fields.get(name, [""])[-1].strip()

    publishable = app or one("type") == "publishable"
    ticked, some = tuple(fields.get("model", ())), one("models") == "some"
    form = Form(
        name=one("name"),
        type="publishable" if publishable else "secret",
        models=ticked if some or ticked else None,
        budget=one("budget"),
        period=one("period"),
        expiry=one("expiry") or "never",
        days=one("days"),
        scopes=tuple(scope for scope in SCOPES if scope in fields.get("scope", ())),
        origins=one("origins"),
        app_url=one("app_url"),
        redirect_uris=one("redirect_uris"),
        markup=one("markup") or "0",
        devices=one("devices") == "on",
    )
    form.faults = _faults(form, registry, app=app)
    if ticked and not some:  # which of the two is meant is not for us to say
        form.faults.setdefault(
            "models", "All were chosen, and some ticked. Keep to the ticked ones, or untick them for all."
        )
    return form


def wanted(form: Form, registry: Registry) -> NewKey:
    """The key that a form without faults asks for."""
    models = None if form.models is None else [_canonical(registry, name) for name in form.models]
    publishable = form.type == "publishable"
    return NewKey(
        name=form.name,
        type=form.type,
        expires_in=int(form.days) * 86_400 if form.expiry == "days" else None,
        models=models,
        budget=form.budget or None,
        budget_period=cast(Period, form.period) if form.period and form.budget else None,
        scopes=form.scopes,
        app_url=(form.app_url or None) if publishable else None,
        redirect_uris=form.redirect_uris.split() if publishable else (),
        origins=form.origins.split() if publishable else (),
        created_via="dashboard",
        markup=markup_of(Decimal(form.markup)),
        devices=form.devices,
    )


def _faults(form: Form, registry: Registry, *, app: bool) -> dict[str, str]:
    faults = {
        "name": "" if 0 < len(form.name) <= _NAME else f"Give it a name, of up to {_NAME} characters.",
        "models": _models_fault(form, registry),
        "budget": _budget_fault(form),
        "period": "" if form.period in dict(PERIODS) else "Choose one of the list.",
        "expiry": "" if form.expiry in ("keep", "never", "days") else "Choose one of the list.",
        "days": _days_fault(form),
        "origins": _lines_fault(form.origins, origin_fault),
        "app_url": page_fault(form.app_url) if form.app_url else "",
        "redirect_uris": _lines_fault(form.redirect_uris, page_fault),
        "markup": _markup_fault(form.markup),
    }
    if app and not faults["name"] and (fault := name_fault(form.name)):
        faults["name"] = f"The name of an app {fault}"
    if app and not form.app_url and not form.redirect_uris:
        faults["app_url"] = "Say where your app lives, or where people are sent back to: consent needs one of the two."
    return {name: fault[:1].upper() + fault[1:].rstrip(".") + "." for name, fault in faults.items() if fault}


def _models_fault(form: Form, registry: Registry) -> str:
    for name in form.models or ():
        if registry.get(name) is None:
            known = [word for model in registry.models() for word in (model.name, *model.aliases)]
            return f"There is no model {name[:100]!r}{nearest(name, known)}"
    return "Tick at least one model, or allow all" if form.models == () else ""


def _budget_fault(form: Form) -> str:
    if not form.budget:
        return "A period needs a budget" if form.period else ""
    try:
        parse_pollen(form.budget)
    except ValueError as fault:
        return str(fault)
    return ""


def _days_fault(form: Form) -> str:
    if form.expiry != "days" or (form.days.isascii() and form.days.isdigit() and 0 < int(form.days[:9]) <= _MOST_DAYS):
        return ""
    return f"A whole number of days, from 1 to {_MOST_DAYS}"


def _markup_fault(text: str) -> str:
    parts = text.replace(".", "", 1)
    plain = parts.isascii() and parts.isdigit() and len(text) <= 5
    if plain and float(text) <= 50 and len(text.partition(".")[2]) <= 1:
        return ""
    return "A number from 0 to 50, with at most one place after the point"


def _lines_fault(text: str, fault_of: Callable[[str], str]) -> str:
    for line in text.split():
        if fault := fault_of(line):
            return f"{line[:80]}: {fault}"
    return ""


def _canonical(registry: Registry, name: str) -> str:
    model = registry.get(name)
    return model.name if model else name
