"""The account API: profile, balance, usage, keys. Each handler checks a scope, asks one service, shapes the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from openpollen.accounts import keys, views
from openpollen.accounts.keys import Key
from openpollen.accounts.permissions import Caller
from openpollen.accounts.tiers import Refills, Tiers
from openpollen.accounts.wanted_keys import NewKey, markup_of
from openpollen.api.auth import Authentication
from openpollen.api.exchange import Exchange
from openpollen.api.params import decode_object, invalid, parse
from openpollen.core.nearest import nearest
from openpollen.generation.service import Pipeline
from openpollen.ledger import credit
from openpollen.ledger.entries import KeyBudget
from openpollen.storage.database import Connection, Database
from openpollen.usage import report

_PRIVATE = {"cache-control": "private, no-store, max-age=0"}
_MAX_BODY = 64 * 1024


class UsageParams(Struct):
    """GET /api/account/usage and /key/usage."""

    format: Literal["json", "csv"] = "json"
    days: int = 30
    limit: int = 100
    before: str | None = None


class DailyParams(Struct):
    """GET /api/account/usage/daily."""

    format: Literal["json", "csv"] = "json"
    days: int = 90


class KeyParams(Struct):
    """POST /api/account/keys."""

    name: str
    type: Literal["secret", "publishable"] = "secret"
    expiresIn: Annotated[int, Meta(ge=1, le=31_536_000)] | None = None  # noqa: N815 - the wire's names
    allowedModels: list[str] | None = None  # noqa: N815
    pollenBudget: float | int | None = None  # noqa: N815
    budgetPeriod: Literal["day", "week", "month"] | None = None  # noqa: N815
    accountPermissions: list[str] | None = None  # noqa: N815
    appUrl: str | None = None  # noqa: N815
    redirectUris: list[str] | None = None  # noqa: N815
    origins: list[str] | None = None
    markup: float | int = 0
    devices: bool = False


class AccountApi:
    """The handlers of the account."""

    def __init__(
        self,
        authentication: Authentication,
        database: Database,
        tiers: Tiers,
        refills: Refills,
        pipeline: Pipeline,
        max_keys: int,
    ) -> None:
        self._max_keys = max_keys
        self._authentication = authentication
        self._database = database
        self._tiers = tiers
        self._refills = refills
        self._pipeline = pipeline

    async def _reader(self, exchange: Exchange) -> Caller:
        """The caller, who finds what they did before."""
        caller = await self._authentication.reader(exchange)
        await self._database.caught_up()
        return caller

    async def profile(self, exchange: Exchange) -> None:
        caller = await self._reader(exchange)
        caller.require_scope("profile")
        await exchange.json(200, views.profile(caller.user, self._tiers), _PRIVATE)

    async def balance(self, exchange: Exchange) -> None:
        caller = await self._reader(exchange)
        caller.require_balance()
        await self._refills.before_call(caller.user)

        def look(connection: Connection) -> dict[str, Any]:
            return views.balance(caller, credit.balances(connection, caller.user.id), _rest(connection, caller.budgets))

        await exchange.json(200, await self._database.read(look), _PRIVATE)

    async def usage(self, exchange: Exchange) -> None:
        caller = await self._reader(exchange)
        caller.require_scope("usage")
        await self._usage(exchange, caller, None)

    async def key_usage(self, exchange: Exchange) -> None:
        """The calling key's own rows; needs no scope."""
        caller = await self._reader(exchange)
        await self._usage(exchange, caller, caller.key_id)

    async def daily(self, exchange: Exchange) -> None:
        caller = await self._reader(exchange)
        caller.require_scope("usage")
        params, _ = parse(DailyParams, exchange.query)
        page = await self._database.read(lambda c: report.daily(c, caller.user.id, days=params.days))
        if params.format == "csv":
            await _csv(exchange, report.to_csv(report.DAILY_COLUMNS, page.rows), f"daily-{params.days}d")
        else:
            await exchange.json(200, {"usage": page.rows, "count": len(page.rows)}, _PRIVATE)

    async def key(self, exchange: Exchange) -> None:
        caller = await self._reader(exchange)
        caller.require_key()
        rest = await self._database.read(lambda connection: _rest(connection, caller.budgets))
        await exchange.json(200, views.current_key(caller, rest), _PRIVATE)

    async def list_keys(self, exchange: Exchange) -> None:
        caller = await self._reader(exchange)
        caller.require_key_management()

        def look(connection: Connection) -> dict[str, Any]:
            found = keys.list_keys(connection, caller.user.id, caller=caller)
            return views.listed_keys(keys.with_remaining(connection, found))

        await exchange.json(200, await self._database.read(look), _PRIVATE)

    async def create_key(self, exchange: Exchange) -> None:
        caller = await self._authentication.caller(exchange)
        caller.require_key_management()
        wanted = new_key(decode_object(await exchange.body(_MAX_BODY)), self._pipeline)

        def make(connection: Connection) -> tuple[Key, str]:
            key, value = keys.create_key(connection, caller.user.id, wanted, parent=caller, most=self._max_keys)
            return keys.with_remaining(connection, [key])[0][0], value

        key, value = await self._database.write(make)
        self._authentication.forget()
        await exchange.json(200, views.created_key(key, value), _PRIVATE)

    async def delete_key(self, exchange: Exchange) -> None:
        caller = await self._authentication.caller(exchange)
        caller.require_key_management()
        key_id = exchange.args["id"]
        await self._database.write(lambda connection: keys.revoke_key(connection, key_id, caller=caller))
        self._authentication.forget()
        await exchange.json(200, {"success": True}, _PRIVATE)

    async def _usage(self, exchange: Exchange, caller: Caller, key_id: str | None) -> None:
        params, _ = parse(UsageParams, exchange.query)
        page = await self._database.read(
            lambda connection: report.rows(
                connection,
                caller.user.id,
                key_id=key_id,
                days=params.days,
                limit=params.limit,
                before=params.before,
            )
        )
        if params.format == "csv":
            # A table has no place for the cursor of the next page.
            cursor = {} if page.next is None else {"x-next-cursor": page.next}
            name = f"{len(page.rows)}-rows-{params.days}d"
            await _csv(exchange, report.to_csv(report.ROW_COLUMNS, page.rows), name, cursor)
        else:
            await exchange.json(200, page.body(), _PRIVATE)


def new_key(values: Mapping[str, Any], pipeline: Pipeline) -> NewKey:
    """What a body asks a key to be. Model names are resolved, so that an alias means its model. Raises BadRequest."""
    params, _ = parse(KeyParams, values)
    return NewKey(
        name=params.name,
        type=params.type,
        expires_in=params.expiresIn,
        models=None if params.allowedModels is None else _models(params.allowedModels, pipeline),
        budget=params.pollenBudget,
        budget_period=params.budgetPeriod,
        scopes=params.accountPermissions or (),
        app_url=params.appUrl,
        redirect_uris=params.redirectUris or (),
        origins=params.origins or (),
        markup=markup_of(Decimal(repr(params.markup))),
        devices=params.devices,
    )


def _models(names: list[str], pipeline: Pipeline) -> list[str]:
    out: list[str] = []
    for name in names:
        model = pipeline.registry.get(name)
        if model is None:
            known = [word for model in pipeline.registry.models() for word in (model.name, *model.aliases)]
            raise invalid("allowedModels", f"there is no model {name[:100]!r}{nearest(name, known)}")
        out.append(model.name)
    return out


def _rest(connection: Connection, budgets: Sequence[KeyBudget]) -> int | None:
    """What a key may still spend: the least that is left of its own budget and of those above it."""
    return min((credit.remaining(connection, budget) for budget in budgets), default=None)


async def _csv(exchange: Exchange, text: str, what: str, more: Mapping[str, str] | None = None) -> None:
    name = f"openpollen-usage-{what}-{datetime.now(UTC):%Y-%m-%d}.csv"
    headers = {**_PRIVATE, **(more or {}), "content-disposition": f'attachment; filename="{name}"'}
    await exchange.answer(200, text.encode(), "text/csv; charset=utf-8", headers)
