"""The pipeline of every call that makes something whole: admit, hold, call, measure, settle, record. Streams take the same
steps in ``stream``, videos in ``jobs``.

Every way out of ``run`` settles or releases the hold exactly once, also when the client or the worker's task goes away.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TypeVar

from msgspec import Struct, structs

from openpollen.accounts.limiter import Limiter, Ticket
from openpollen.accounts.tiers import Refills, Tiers
from openpollen.catalog.registry import Registry
from openpollen.core.chat import ChatRequest
from openpollen.core.errors import (
    InternalError,
    PaymentRequired,
)
from openpollen.core.model import Provider
from openpollen.core.money import format_pollen
from openpollen.core.patience import patiently
from openpollen.core.usage import Usage
from openpollen.generation import measure
from openpollen.generation.admit import Admission, Attempt, admit
from openpollen.generation.call import Call, Heard, Made, Result
from openpollen.generation.health import Health
from openpollen.generation.making import Maker
from openpollen.generation.order import Order
from openpollen.generation.routing import Routing
from openpollen.generation.upstream import Upstream
from openpollen.ledger import pricing
from openpollen.ledger.entries import Hold, HoldRequest, Markup
from openpollen.ledger.wallet import Wallet
from openpollen.providers.adapter import Adapter
from openpollen.providers.failures import LOCAL
from openpollen.settings import Settings
from openpollen.usage.record import Paid

log = logging.getLogger("openpollen")

#: How long the end of a publishable key's call may wait for the database, in seconds.
_LEAVE_S = 600.0
#: Raises an error for a result that must not be delivered.
Check = Callable[[Made], Awaitable[None]]
T = TypeVar("T")


class Held(Struct, frozen=True):
    """What a running call holds: money, and for a publishable key its place."""

    hold: Hold
    ticket: Ticket | None = None


class Pipeline:
    """The steps, over one worker's services. ``registry`` is a snapshot that a reload replaces."""

    def __init__(
        self,
        registry: Registry,
        adapters: Mapping[str, Adapter],
        upstream: Upstream,
        maker: Maker,
        wallet: Wallet,
        limiter: Limiter,
        refills: Refills,
        tiers: Tiers,
        settings: Settings,
    ) -> None:
        self.registry = registry
        self._adapters = adapters
        self.upstream = upstream
        self._wallet = wallet
        self._limiter = limiter
        self._refills = refills
        self._tiers = tiers
        self.maker = maker
        self._settings = settings
        generation = settings.generation
        self.health = Health(
            settings.data / "routes", generation.rest_after, generation.rest_s, generation.longest_rest_s
        )
        self.routing = Routing(self.health, self._vain)
        self._tasks: set[asyncio.Future[None]] = set()
        self.strict = settings.ledger.durability in ("strict", "intent")
        self.job_seconds = settings.generation.job_timeout_s

    # -- steps ------------------------------------------------------------------------------------------------------

    def admit(self, call: Call) -> Admission:
        """Whether and how the call may run; see ``admit.admit``."""
        return admit(call, self.registry, self._adapters, self._settings.generation.default_max_output_tokens)

    def adapter(self, provider: Provider) -> Adapter | None:
        """Who speaks a provider's wire."""
        return self._adapters.get(provider.wire)

    async def hold(self, call: Call, admission: Admission, *, durable: bool = False) -> Held:
        """Sets the most the call can cost aside. A chat whose length is open is shortened to what is affordable.

        Raises PaymentRequired, RateLimited for a publishable key beyond its allowance, ServiceUnavailable.
        """
        request = HoldRequest(
            request_id=call.id,
            user_id=call.caller.user.id,
            amount=0,
            budgets=call.caller.budgets,
            paid_only=admission.paid_only,
            max_cost=call.max_cost,
            durable=durable,
            markup=call.caller.markup,
        )
        if not admission.free:
            await self._refills.before_call(call.caller.user)
            request = self._priced(call, admission, request)
        ticket = None
        if call.caller.limited:
            ticket = await self._limiter.begin(call.caller.key_id, call.address, call.id, request.amount)
            request = structs.replace(request, max_cost=request.amount)  # its allowance was counted for no more
        try:
            hold = await self._wallet.hold(request)
        except BaseException:
            if ticket is not None:
                self._leave(ticket, 0)
            raise
        if request.least is not None and isinstance(call.request, ChatRequest):
            tokens = call.request.max_tokens or admission.most.output_tokens
            if hold.amount < request.amount:
                tokens = min(tokens, self._affordable(hold.amount, admission, request.markup))
            call.request = structs.replace(call.request, max_tokens=tokens)
        return Held(hold, ticket)

    def settle(
        self, call: Call, admission: Admission, held: Held, result: Result, *, partial: bool = False
    ) -> asyncio.Future[Paid]:
        """Charges what was measured and records the request, once; see ``charge``."""
        return self.charge(Order.of(call, admission), held, result.usage, result.provider.name, partial=partial)

    def charge(
        self, order: Order, held: Held, usage: Usage, provider: str, *, partial: bool = False
    ) -> asyncio.Future[Paid]:
        """The price of what was used, charged once: of one above the hold as much as there is. Queued at once; survives
        cancellation. The future is done when the charge is on disk."""
        try:
            bill = order.bill(usage)
        except pricing.UnpricedUsage as fault:
            log.error("%s: %s used %s without a price; released", order.request_id, order.model, fault.units)
            self.release(held)
            raise InternalError(f"{order.model} used something that has no price; nothing was charged.") from None
        paid = self._wallet.settle(held.hold, bill.total, order.row(usage, bill, provider, partial=partial))
        self._watch(order.request_id, paid)
        if (ticket := held.ticket) is not None:
            if (due := held.hold.due) is not None:
                self._leave(ticket, due)
            else:
                paid.add_done_callback(lambda done: self._leave(ticket, _charged(done)))
        return paid

    async def paid(self, held: Held, result: Result, paid: asyncio.Future[Paid]) -> None:
        """Notes what the result cost. A price above what was held may be charged in part only, which the ledger says; and
        an answer may have to wait until the charge is on disk."""
        due = held.hold.due
        if self.strict:
            await asyncio.shield(paid)
            due = None  # what is on disk: leases that ran out meanwhile charge nothing
        elif due is None:
            await asyncio.wait({paid})
        result.cost = _charged(paid) if due is None else due

    def book(self, order: Order, provider: str, usage: Usage) -> None:
        """Books to the platform what a provider bills for an attempt whose result the caller did not get (rule 28)."""
        if order.local or provider == LOCAL:
            return
        try:
            amount = order.bill(usage).total
        except pricing.UnpricedUsage as fault:
            log.error("%s: %s used %s without a price; not booked", order.request_id, order.model, fault.units)
            return
        self._wallet.book(order.request_id, provider, amount)

    async def charged(self, order: Order) -> int:
        """What was charged for a request that is settled."""
        return await self._wallet.charged(order.request_id)

    async def resume(self, request: HoldRequest, ticket: Ticket | None) -> Held | None:
        """The stored hold of a job that another process began; ``None`` when it is gone."""
        hold = await self._wallet.resume(request)
        return None if hold is None else Held(hold, ticket)

    def release(self, held: Held) -> asyncio.Future[Paid] | None:
        """Gives the hold back whole: the call delivered nothing. The future is done when that is on disk."""
        if held.ticket is not None:
            self._leave(held.ticket, 0)
        if not held.hold.legs:
            return None
        back = self._wallet.release(held.hold)
        self._watch(held.hold.request.request_id, back)
        return back

    # -- the whole way ----------------------------------------------------------------------------------------------

    async def run(self, call: Call, admission: Admission, check: Check | None = None) -> Result:
        """Holds, makes, settles. Raises GatewayError; nothing is charged then. ``check`` may refuse what was made."""
        held = await self.hold(call, admission)
        try:
            result = await self.routing.first(call, admission, partial(self.maker.make, call, admission))
            await self._checked(call, admission, result, check)
        except BaseException:
            self.release(held)
            raise
        await self.paid(held, result, self.settle(call, admission, held, result))
        return result

    async def _checked(self, call: Call, admission: Admission, result: Result, check: Check | None) -> None:
        if check is None:
            return
        try:
            await check(result.made)
        except BaseException:
            self.book(Order.of(call, admission), result.provider.name, result.usage)
            raise

    def _vain(self, call: Call, admission: Admission, attempt: Attempt, heard: Heard) -> None:
        if heard.parts is not None:
            usage = heard.usage or measure.assumed(call.request, heard.body, call.model, admission.price)
            self.book(Order.of(call, admission), attempt.provider.name, usage)

    def _priced(self, call: Call, admission: Admission, request: HoldRequest) -> HoldRequest:
        """The hold with its amount. A chat is shortened to fit ``max_cost``; one whose caller set no length holds a share
        of what is there, at least a short answer, and is later told how long it may get (rule 27)."""
        chat = call.request
        open_length = isinstance(chat, ChatRequest) and chat.max_tokens is None
        most = admission.most.output_tokens
        if isinstance(chat, ChatRequest) and call.max_cost is not None:
            fits = self._affordable(call.max_cost, admission, request.markup)
            if 0 < fits < most:
                most = fits
                call.request = chat = structs.replace(chat, max_tokens=most)
        amount = marked_up(admission.bound(most), request.markup)
        if call.max_cost is not None and amount > call.max_cost:
            # A chat would do with any cap that leaves a token for its answer, a film with the price of its length.
            required = marked_up(
                admission.bound(1) if isinstance(chat, ChatRequest) else admission.quoted(), request.markup
            )
            if isinstance(chat, ChatRequest) or required > call.max_cost:
                raise _beyond_cap(required, call.max_cost)
            amount = call.max_cost  # settlement takes no more
        ledger = self._settings.ledger
        least = None
        if open_length:
            least = marked_up(admission.bound(min(most, ledger.short_answer_tokens)), request.markup)
        return structs.replace(
            request,
            amount=amount,
            least=least,
            share=ledger.open_share,
            next_reset=self._tiers.next_reset(call.caller.user.tier),
        )

    @staticmethod
    def _affordable(amount: int, admission: Admission, markup: Markup | None) -> int:
        price = amount if markup is None else markup.within(amount)
        return pricing.affordable_tokens(price, admission.price, admission.most, admission.facts)

    def _leave(self, ticket: Ticket, cost: int) -> None:
        """Ends a publishable key's call; the task outlives whoever is cancelled."""
        task = asyncio.ensure_future(patiently(partial(self._limiter.finish, ticket, cost), _LEAVE_S))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @staticmethod
    def _watch(request_id: str, paid: asyncio.Future[Paid]) -> None:
        def done(future: asyncio.Future[Paid]) -> None:
            if not future.cancelled() and (fault := future.exception()) is not None:
                log.error("%s could not be settled: %s", request_id, fault)

        paid.add_done_callback(done)


def marked_up(price: int, markup: Markup | None) -> int:
    """A price with the most that an app's author may take on top of it."""
    return price if markup is None else markup.most(price)


def _charged(paid: asyncio.Future[Paid]) -> int:
    """What was charged, 0 where it could not be."""
    return 0 if paid.cancelled() or paid.exception() is not None else paid.result().charged


def _beyond_cap(required: int, cap: int) -> PaymentRequired:
    return PaymentRequired(
        f"This call may cost {format_pollen(required)} pollen, more than max_cost allows ({format_pollen(cap)}).",
        reason="max_cost",
        details={"required": format_pollen(required), "available": format_pollen(cap)},
    )
