"""What settling a call needs to know of it: who pays, for what, at which price. A stored job keeps it, so that any worker
can settle what another one began.
"""

from __future__ import annotations

import time
from fractions import Fraction
from typing import Any, TypeVar

import msgspec
from msgspec import Struct, structs

from openpollen.core.model import Price
from openpollen.core.usage import Usage
from openpollen.generation.admit import Admission
from openpollen.generation.call import Call
from openpollen.ledger import pricing
from openpollen.ledger.pricing import Charge, PriceFacts
from openpollen.usage.record import UsageRow

_S = TypeVar("_S", bound=Struct)

_TYPES = {"text": "generate.text", "image": "generate.image", "video": "generate.video", "audio": "generate.audio"}


class Order(Struct, frozen=True):
    """The paying side of one call. ``created`` is in seconds since the epoch, ``max_cost`` in nano-pollen. ``local``
    tells that a built-in engine serves: its work is billed to nobody."""

    request_id: str
    user_id: str
    key_id: str
    key_name: str
    key_type: str
    app_key_id: str | None
    type: str
    model: str
    served_by: str
    price: Price
    facts: PriceFacts
    revision: str
    max_cost: int | None
    created: float
    local: bool

    @classmethod
    def of(cls, call: Call, admission: Admission) -> Order:
        """The order that an admitted call is."""
        caller = call.caller
        return cls(
            call.id,
            caller.user.id,
            caller.key_id,
            caller.key_name,
            caller.key_type,
            caller.app_key_id,
            _TYPES[call.model.kind],
            call.model.name,
            admission.served_by.name,
            admission.price,
            admission.facts,
            admission.revision,
            call.max_cost,
            call.created,
            admission.local,
        )

    def bill(self, usage: Usage) -> Charge:
        """What this usage costs. Raises UnpricedUsage."""
        facts = structs.replace(self.facts, input_tokens_total=usage.read_tokens)
        return pricing.charge(usage, self.price, facts)

    def row(self, usage: Usage, bill: Charge, provider: str, *, partial: bool) -> UsageRow:
        """The usage row of this bill."""
        return UsageRow(
            request_id=self.request_id,
            user_id=self.user_id,
            type=self.type,
            key_id=self.key_id,
            key_name=self.key_name,
            key_type=self.key_type,
            app_key_id=self.app_key_id,
            model=self.model,
            served_model=self.served_by,
            provider=provider,
            units=usage,
            rates={str(line.unit): _plain(line.rate) for line in bill.lines},
            facts=self.facts.told,
            price_version=self.price.version,
            catalog_revision=self.revision,
            response_ms=max(0, round((time.time() - self.created) * 1000)),
            partial=partial,
        )


def encode(value: Struct) -> str:
    """A struct as JSON text, fractions exact."""
    return msgspec.json.encode(value, enc_hook=_encode_hook).decode()


def decode(text: str, kind: type[_S]) -> _S:
    """What ``encode`` made of a ``kind``. Raises msgspec.DecodeError for another version's."""
    return msgspec.json.decode(text, type=kind, dec_hook=_decode_hook)


def _encode_hook(value: Any) -> Any:
    if isinstance(value, Fraction):
        return str(value)
    raise NotImplementedError(f"{type(value).__name__} cannot be stored")


def _decode_hook(kind: type, value: Any) -> Any:
    if kind is Fraction:
        return Fraction(value)
    raise NotImplementedError(f"{kind.__name__} cannot be stored")


def _plain(rate: Fraction) -> str:
    return str(rate.numerator) if rate.denominator == 1 else str(rate)
