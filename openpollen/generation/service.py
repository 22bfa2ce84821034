"""The pipeline of every call that makes something whole: admit, hold, call, measure, settle, record. Streams take the same
steps in ``stream``, videos in ``jobs``.

Every way out of ``run`` settles or releases the hold exactly once, also when the client or the worker's task goes away.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from fractions import Fraction
from typing import TypeVar

from msgspec import Struct, structs

from openpollen.accounts.limiter import Limiter, Ticket
from openpollen.accounts.tiers import Refills, Tiers
from openpollen.catalog.registry import Registry
from openpollen.core.assets import (
    Asset,
    ImageRequest,
    Media,
    MusicRequest,
    SpeechRequest,
    Transcript,
    TranscriptionRequest,
    VideoRequest,
)
from openpollen.core.chat import ChatAnswer, ChatRequest
from openpollen.core.errors import (
    BadGateway,
    BadRequest,
    GatewayError,
    InternalError,
    PaymentRequired,
    UnprocessableEntity,
)
from openpollen.core.model import Model, Provider
from openpollen.core.money import format_pollen
from openpollen.core.usage import Usage
from openpollen.generation import measure
from openpollen.generation.admit import Admission, Attempt, admit
from openpollen.generation.call import Call, Made, Result
from openpollen.generation.film import Follow, film
from openpollen.generation.upstream import Upstream
from openpollen.generation.voice import converse, is_spoken
from openpollen.ledger import pricing
from openpollen.ledger.entries import Hold, HoldRequest
from openpollen.ledger.wallet import Wallet
from openpollen.media.sniff import sniff
from openpollen.providers.adapter import Adapter
from openpollen.providers.failures import Failure, unreadable
from openpollen.settings import Settings
from openpollen.usage.record import Paid, UsageRow

log = logging.getLogger("openpollen")

#: Brings a result that a provider answered as an address: its URL, and the provider's own base URL.
Fetch = Callable[[str, str], Awaitable[Asset]]
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
        wallet: Wallet,
        limiter: Limiter,
        refills: Refills,
        tiers: Tiers,
        fetch: Fetch,
        settings: Settings,
    ) -> None:
        self.registry = registry
        self._adapters = adapters
        self.upstream = upstream
        self._wallet = wallet
        self._limiter = limiter
        self._refills = refills
        self._tiers = tiers
        self._fetch = fetch
        self._settings = settings
        self._tasks: set[asyncio.Future[None]] = set()
        self.strict = settings.ledger.durability != "queued"

    # -- steps ------------------------------------------------------------------------------------------------------

    def admit(self, call: Call) -> Admission:
        """Whether and how the call may run; see ``admit.admit``."""
        return admit(call, self.registry, self._adapters, self._settings.generation.default_max_output_tokens)

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
        )
        if not admission.free:
            await self._refills.before_call(call.caller.user)
            request = self._priced(call, admission, request)
        ticket = None
        if call.caller.limited:
            ticket = await self._limiter.begin(call.caller.key_id, call.address, call.id, request.amount)
        try:
            hold = await self._wallet.hold(request)
        except BaseException:
            self._leave(ticket, 0)
            raise
        if request.least is not None and isinstance(call.request, ChatRequest):
            tokens = admission.most.output_tokens
            if hold.amount < request.amount:
                tokens = min(tokens, self._affordable(hold.amount, admission))
            call.request = structs.replace(call.request, max_tokens=tokens)
        return Held(hold, ticket)

    def settle(
        self, call: Call, admission: Admission, held: Held, result: Result, *, partial: bool = False
    ) -> asyncio.Future[Paid]:
        """Charges what was measured and records the request, once. Queued at once; survives cancellation. The future is
        done when the charge is on disk."""
        try:
            bill = pricing.charge(result.usage, admission.price, self._facts(admission, result.usage))
        except pricing.UnpricedUsage as fault:
            log.error("%s: %s used %s without a price; released", call.id, call.model.name, fault.units)
            self.release(call, held)
            raise InternalError(f"{call.model.name} used something that has no price; nothing was charged.") from None
        result.cost = bill.total if call.max_cost is None else min(bill.total, call.max_cost)
        row = UsageRow(
            request_id=call.id,
            user_id=call.caller.user.id,
            type=_TYPES[call.model.kind],
            key_id=call.caller.key_id,
            key_name=call.caller.key_name,
            key_type=call.caller.key_type,
            app_key_id=call.caller.app_key_id,
            model=call.model.name,
            served_model=result.served_by,
            provider=result.provider.name,
            units=result.usage,
            rates={str(line.unit): _fraction(line.rate) for line in bill.lines},
            price_version=admission.price.version,
            catalog_revision=admission.revision,
            response_ms=round((time.monotonic() - call.started) * 1000),
            partial=partial,
        )
        paid = self._wallet.settle(held.hold, bill.total, row)
        self._watch(call, paid)
        self._leave(held.ticket, bill.total)
        return paid

    def release(self, call: Call, held: Held) -> None:
        """Gives the hold back whole: the call delivered nothing."""
        if held.hold.legs:
            self._watch(call, self._wallet.release(held.hold))
        self._leave(held.ticket, 0)

    # -- the whole way ----------------------------------------------------------------------------------------------

    async def run(
        self, call: Call, admission: Admission, follow: Follow | None = None, check: Check | None = None
    ) -> Result:
        """Holds, makes, settles. Raises GatewayError; nothing is charged then. ``follow`` is told how a video gets on;
        ``check`` may refuse what was made."""
        held = await self.hold(call, admission)
        try:
            result = await self.first(admission.attempts, lambda attempt: self._make(call, admission, attempt, follow))
            if check is not None:
                await check(result.made)
        except BaseException:
            self.release(call, held)
            raise
        paid = self.settle(call, admission, held, result)
        if self.strict:
            await asyncio.shield(paid)
        return result

    async def first(self, attempts: tuple[Attempt, ...], make: Callable[[Attempt], Awaitable[T]]) -> T:
        """The first route's result, of the next one only where the failure allows it."""
        last: GatewayError = InternalError("There was no route to try.")
        for attempt in attempts:
            try:
                return await make(attempt)
            except Failure as failure:
                last = failure.error
                log.warning("%s failed: %s", attempt.provider.name, last.message)
                if not failure.retryable:
                    break
        raise last

    async def _make(self, call: Call, admission: Admission, attempt: Attempt, follow: Follow | None) -> Result:
        adapter, route, provider = attempt.adapter, attempt.route, attempt.provider
        made: Made
        match call.request:
            case ChatRequest() as request if admission.local and is_spoken(request):
                made = await converse(self.upstream, adapter, route, provider, request)
            case ChatRequest() as request:
                made = await self.upstream.call(
                    adapter.encode_chat(request, route, provider), provider, adapter.decode_chat
                )
            case ImageRequest() as request:
                out = adapter.encode_image(request, route, provider)
                made = await self.bytes_of(
                    await self.upstream.call(out, provider, adapter.decode_image), provider, "image/"
                )
            case SpeechRequest() | MusicRequest() as request:
                out = adapter.encode_speech(request, route, provider)
                made = await self.bytes_of(await self.upstream.call(out, provider, adapter.decode_speech), provider, "")
            case TranscriptionRequest() as request:
                out = adapter.encode_transcription(request, route, provider)
                made = await self.upstream.call(out, provider, adapter.decode_transcription)
                if admission.local and not made.text.strip():
                    # A provider was paid for listening to silence; here it is no work, and a mistake more often than not.
                    raise UnprocessableEntity(
                        "No speech was heard in the recording; nothing was charged. Check that it is not silent.",
                        reason="no_speech",
                    )
            case VideoRequest() as request:
                deadline = self._settings.generation.job_timeout_s
                media = await film(self.upstream, attempt, request, deadline, follow)
                made = await self.bytes_of(media, provider, "video/")
        if isinstance(made, Media) and not isinstance(request, ImageRequest):
            try:
                usage = await asyncio.to_thread(_measure, call, made, call.model, admission)  # decodes headers of media
            except BadRequest:
                raise unreadable("a file that cannot be played", provider) from None
        else:
            usage = _measure(call, made, call.model, admission)
        name = admission.served_by.name
        revised = made.revised_prompt if isinstance(made, Media) else None
        result = Result(made, usage, route, provider, name, revised_prompt=revised)
        call.headers.update(attempt.told)
        return result

    async def bytes_of(self, made: Media, provider: Provider, wanted: str) -> Media:
        """Fetches what is still an address, and names every asset's media type by its bytes."""
        assets = [*made.assets, *[await self._fetch(url, provider.base_url) for url in made.urls]]
        sniffed = tuple(structs.replace(asset, mime=sniff(asset.data)) for asset in assets)
        if not sniffed or any(not asset.data or not asset.mime.startswith(wanted) for asset in sniffed):
            raise BadGateway("The provider answered without a usable result; nothing was charged.", spent=True)
        return structs.replace(made, assets=sniffed, urls=())

    def _priced(self, call: Call, admission: Admission, request: HoldRequest) -> HoldRequest:
        """The hold with its amount. A chat is shortened to fit ``max_cost``; one whose caller set no length holds a share
        of what is there, at least a short answer, and is later told how long it may get (rule 27)."""
        chat = call.request
        most = admission.most.output_tokens
        if isinstance(chat, ChatRequest) and call.max_cost is not None:
            fits = self._affordable(call.max_cost, admission)
            if 0 < fits < most:
                most = fits
                call.request = chat = structs.replace(chat, max_tokens=most)
        amount = admission.bound(most)
        if call.max_cost is not None and amount > call.max_cost:
            raise _beyond_cap(amount, call.max_cost)
        ledger = self._settings.ledger
        least = None
        if isinstance(chat, ChatRequest) and chat.max_tokens is None:
            least = admission.bound(min(most, ledger.short_answer_tokens))
        return structs.replace(
            request,
            amount=amount,
            least=least,
            share=ledger.open_share,
            next_reset=self._tiers.next_reset(call.caller.user.tier),
        )

    def _affordable(self, amount: int, admission: Admission) -> int:
        return pricing.affordable_tokens(amount, admission.price, admission.most, admission.facts)

    @staticmethod
    def _facts(admission: Admission, usage: Usage) -> pricing.PriceFacts:
        total = (
            usage.input_tokens
            + usage.cached_input_tokens
            + usage.cache_write_tokens
            + usage.input_audio_tokens
            + usage.input_image_tokens
        )
        return structs.replace(admission.facts, input_tokens_total=total)

    def _leave(self, ticket: Ticket | None, cost: int) -> None:
        """Ends a publishable key's call; the task outlives whoever is cancelled."""
        if ticket is not None:
            task = asyncio.ensure_future(self._limiter.finish(ticket, cost))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    @staticmethod
    def _watch(call: Call, paid: asyncio.Future[Paid]) -> None:
        def done(future: asyncio.Future[Paid]) -> None:
            if not future.cancelled() and (fault := future.exception()) is not None:
                log.error("%s could not be settled: %s", call.id, fault)

        paid.add_done_callback(done)


_TYPES = {"text": "generate.text", "image": "generate.image", "video": "generate.video", "audio": "generate.audio"}


def _measure(call: Call, made: Made, model: Model, admission: Admission) -> Usage:
    request, price = call.request, admission.price
    match request, made:
        case ChatRequest(), ChatAnswer():
            return made.usage or measure.estimate_chat(request, measure.characters(made.body))
        case ImageRequest(), Media():
            return measure.measure_image(request, made, model, price)
        case VideoRequest(), Media():
            return measure.measure_video(request, made, price)
        case SpeechRequest(), Media():
            return measure.measure_speech(request, made, price)
        case MusicRequest(), Media():
            return measure.measure_music(request, made, price)
        case TranscriptionRequest(), Transcript():
            return measure.measure_transcription(request, made, price)
        case _:
            raise InternalError("A provider's answer is of another kind than the request.")


def _fraction(rate: Fraction) -> str:
    return str(rate.numerator) if rate.denominator == 1 else str(rate)


def _beyond_cap(required: int, cap: int) -> PaymentRequired:
    return PaymentRequired(
        f"This call may cost {format_pollen(required)} pollen, more than max_cost allows ({format_pollen(cap)}).",
        reason="max_cost",
        details={"required": format_pollen(required), "available": format_pollen(cap)},
    )
