"""The ledger's words: accounts, legs, holds and transfers. Amounts are nano-pollen, times milliseconds, UTC."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from msgspec import Struct

from openpollen.core.errors import PaymentRequired
from openpollen.core.money import format_pollen
from openpollen.usage.record import Paid

Bucket = Literal["tier", "crypto", "pack"]
Period = Literal["day", "week", "month"]

#: Spending order (rule 26). Paid models skip the first.
BUCKETS: tuple[Bucket, ...] = ("tier", "crypto", "pack")
PAID_BUCKETS: tuple[Bucket, ...] = ("crypto", "pack")

# Accounts without a stored balance: each is the other side of a kind of transfer.
OUTSIDE = "outside"  # where granted credit comes from
PLATFORM = "platform"  # what callers paid
SHORTFALL = "shortfall"  # what the platform covered for them
BUDGETS = "budgets"  # the other side of every key budget


class KeyBudget(Struct, frozen=True, gc=False):
    """A key's limit; with a period it starts anew each UTC day, Monday or first of the month."""

    key_id: str
    limit: int
    period: Period | None = None

    def account(self, now: int) -> str:
        """Name of the account that counts the budget at ``now``. Each period has its own, so a reset moves no money."""
        if self.period is None:
            return f"{self.key_id}/total"
        return f"{self.key_id}/{self.period}:{self.starts(now):%Y-%m-%d}"

    def starts(self, now: int) -> datetime:
        midnight = datetime.fromtimestamp(now / 1000, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        if self.period == "week":
            return midnight - timedelta(days=midnight.weekday())
        return midnight.replace(day=1) if self.period == "month" else midnight

    def next_reset(self, now: int) -> str | None:
        """When the next period starts, as an ISO timestamp; ``None`` for a budget that never resets."""
        if self.period is None:
            return None
        days = {"day": 1, "week": 7, "month": 32}[self.period]
        following = self.starts(now) + timedelta(days=days)
        return iso(following.replace(day=1) if self.period == "month" else following)


class Markup(Struct, frozen=True):
    """What the author of an app takes on top of a price (rule 30): ``per_mille`` thousandths of what crypto and pack pay
    of it, credited to the same bucket of ``author``."""

    author: str
    per_mille: int

    def on(self, paid: int) -> int:
        """The share on top of what was paid, rounded half up."""
        return (paid * self.per_mille + 500) // 1000

    def most(self, price: int) -> int:
        """A price with the most that may come on top of it."""
        return price - (-price * self.per_mille // 1000)

    def within(self, amount: int) -> int:
        """The highest price that is within an amount with what comes on top of it."""
        return amount * 1000 // (1000 + self.per_mille)


class HoldRequest(Struct, frozen=True, gc=False):
    """What a call asks to have held. ``budgets`` are those of the key and all its ancestors.

    With ``least``, for a call whose length is open, ``amount`` is only the most: no more than ``share`` of what is
    available is held, but at least ``least``. ``max_cost`` caps what settlement may take. A ``durable`` hold outlives
    its worker: a stored job answers for it. ``next_reset`` is told in a refusal: when the wallet's tier is refilled.
    ``amount`` has room for the ``markup``.
    """

    request_id: str
    user_id: str
    amount: int
    budgets: tuple[KeyBudget, ...] = ()
    paid_only: bool = False
    least: int | None = None
    share: float = 0.25
    max_cost: int | None = None
    durable: bool = False
    next_reset: str | None = None
    markup: Markup | None = None


class Leg(Struct, frozen=True, gc=False):
    """Part of a hold: an amount of one account, out of a lease of this worker or, for a stored hold, out of the
    ledger itself."""

    account: str
    amount: int
    bucket: Bucket | None = None
    lease: Any = None


class Hold(Struct, eq=False):
    """Money set aside for one request, until ``settle`` or ``release``. ``amount`` is what is held.

    ``epoch`` is the one of the leases that it stands on. A ``stored`` hold stands in the database by itself.
    ``ended`` is the outcome of the first settlement or release: there is no second one. ``due`` is what that charges,
    where it is certain at once.
    """

    request: HoldRequest
    amount: int = 0
    legs: tuple[Leg, ...] = ()
    epoch: int = 0
    stored: bool = False
    ended: asyncio.Future[Paid] | None = None
    due: int | None = None


class Short(Struct, frozen=True):
    """Why a hold was refused. ``owner`` is the user or key that is short; ``waits`` is true when only open holds
    stand in the way."""

    reason: Literal["wallet", "key_budget", "paid_only"]
    owner: str
    required: int
    available: int
    held: int
    next_reset: str | None = None

    @property
    def waits(self) -> bool:
        return self.available + self.held >= self.required

    def error(self) -> PaymentRequired:
        """The refusal as the caller sees it."""
        required, available = format_pollen(self.required), format_pollen(self.available)
        what = {
            "wallet": "The balance is too low",
            "key_budget": "The budget of this key is too low",
            "paid_only": "This model takes paid pollen (pack or crypto) only, and there is too little of it",
        }[self.reason]
        held = f", {format_pollen(self.held)} more is held by calls still running" if self.held else ""
        details: dict[str, str | None] = {
            "required": required,
            "available": available,
            "held": format_pollen(self.held),
            "nextResetAt": self.next_reset,
        }
        message = f"{what}: this call may cost {required} pollen, {available} is available{held}."
        return PaymentRequired(message, reason=self.reason, details=details)


class Transfer(Struct, frozen=True):
    """An amount moved from ``debit`` to ``credit``."""

    debit: str
    credit: str
    amount: int
    reason: str
    actor: str
    request_id: str | None = None


class Balances(Struct, frozen=True):
    """A wallet by bucket. What open calls hold is still in it."""

    tier: int = 0
    crypto: int = 0
    pack: int = 0

    @property
    def total(self) -> int:
        return self.tier + self.crypto + self.pack


def wallet_account(user_id: str, bucket: str) -> str:
    """Name of the account of a bucket of a user's wallet."""
    return f"{user_id}/{bucket}"


def iso(moment: datetime) -> str:
    """A UTC time as it stands in JSON: 2026-03-25T10:00:00.000Z."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
