"""The two sides of the account: what the pretended host bills, and what callers and the platform have in their books."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from openpollen.storage import postgres
from tests.fakeprovider import FakeProvider
from tests.gateway import SETTLE_S, Gateway, eventually
from tests.labconfig import owed

_CHARGED = "SELECT COALESCE(SUM(charged), 0) FROM usage"
_BOOKED = "SELECT COALESCE(SUM(amount), 0) FROM transfers WHERE reason IN ('attempt', 'shortfall')"


@dataclass(frozen=True)
class Books:
    """Nano-pollen: what callers were charged and what the platform covers."""

    charged: int
    booked: int

    @property
    def total(self) -> int:
        return self.charged + self.booked


def query(gateway: Gateway, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    """Rows of the server's database. The statement is standard SQL with ``?`` for values."""
    if url := gateway.database_url:
        with closing(postgres.connect(url)) as connection:
            return connection.execute(sql.replace("?", "%s").encode(), values).fetchall()
    with closing(sqlite3.connect(f"file:{gateway.data / 'openpollen.db'}?mode=ro", uri=True)) as database:
        return database.execute(sql, values).fetchall()


def books(gateway: Gateway) -> Books:
    return Books(query(gateway, _CHARGED)[0][0], query(gateway, _BOOKED)[0][0])


@contextmanager
def balanced(gateway: Gateway, fake: FakeProvider, seconds: float = SETTLE_S) -> Iterator[Books]:
    """Whatever happens inside: in the end callers and platform together have paid the host's bill exactly, and nothing is
    held. Gives the books as they were before."""
    before = books(gateway)
    yield before
    eventually(lambda: fake.busy == 0, "the end of the host's work", seconds)

    def agree() -> bool:
        return books(gateway).total - before.total == owed(fake.bill)

    try:
        eventually(agree, "agreement", seconds)
    except AssertionError:
        now = books(gateway)
        raise AssertionError(
            f"billed {owed(fake.bill)} by {fake.bill}; charged {now.charged - before.charged}, "
            f"booked {now.booked - before.booked}"
        ) from None
    eventually(lambda: query(gateway, "SELECT COUNT(*) FROM holds")[0][0] == 0, "the end of stored holds", seconds)
    assert agree(), "something came late"
