"""Pages of usage skip nothing and repeat nothing, and tables hold no formulas, whatever the times and the names."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert

from openpollen.storage.database import Connection, Database
from openpollen.storage.schema import usage, usage_terms
from openpollen.usage import report

NOW = 1_774_440_000
quick = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
_numbers = itertools.count()
ROW: dict[str, Any] = {
    **dict.fromkeys(("measured", "charged", "shortfall", "estimated", "partial", "cached"), 0),
    "units": "{}",
    "terms": "any",
}
TERMS: dict[str, Any] = {
    **dict.fromkeys(("rates", "facts"), "{}"),
    **dict.fromkeys(("price_version", "catalog_revision"), ""),
    **dict.fromkeys(("id", "type", "model"), "any"),
}

#: Milliseconds before now; many of them equal, many in the same second.
moments = st.lists(
    st.one_of(st.integers(0, 3_000), st.sampled_from([0, 999, 1_000, 1_000, 2_500]), st.integers(0, 6 * 86_400_000)),
    min_size=1,
    max_size=25,
)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    database = Database.open(tmp_path_factory.mktemp("pages"), commit_gap=0)
    database.write_sync(lambda connection: connection.execute(insert(usage_terms), TERMS).rowcount)
    yield database
    database.close()


def write(database: Database, user: str, times: list[int]) -> list[str]:
    """Adds rows that many milliseconds before now; the newest first, later written ones before earlier."""
    rows = [
        ROW
        | {"request_id": f"{user}-{next(_numbers)}", "at": NOW * 1000 - ms, "user_id": user, "key_id": f"key-{n % 2}"}
        for n, ms in enumerate(times)
    ]

    def add(connection: Connection) -> None:
        connection.execute(insert(usage), rows)

    database.write_sync(add)
    order = sorted(range(len(rows)), key=lambda n: (rows[n]["at"], n), reverse=True)
    return [str(rows[n]["request_id"]) for n in order]


def follow(database: Database, user: str, limit: int, by: str, grow: list[int] | None = None) -> list[str]:
    """Every request id, page by page. With ``grow``, new rows come in after each page."""
    seen: list[str] = []
    before: str | None = None
    while True:
        look = partial(report.rows, user_id=user, limit=limit, before=before, days=30, now=NOW)
        page = database.read_sync(look)
        assert len(page.rows) <= limit
        seen += [row["request_id"] for row in page.rows]
        if page.next is None:
            return seen
        before = page.next if by == "next" else str(page.rows[-1]["timestamp"])
        if grow:
            write(database, user, grow)


@quick
@given(moments, st.integers(1, 12))
def test_following_the_cursor_shows_every_row_once(database: Database, times: list[int], limit: int) -> None:
    user = f"user-{next(_numbers)}"
    rows = write(database, user, times)
    assert follow(database, user, limit, "next") == rows


@quick
@given(moments, st.integers(1, 12))
def test_what_happens_meanwhile_disturbs_no_page(database: Database, times: list[int], limit: int) -> None:
    user = f"user-{next(_numbers)}"
    rows = write(database, user, times)
    assert follow(database, user, limit, "next", grow=[0, -5]) == rows


@quick
@given(moments)
def test_timestamps_do_as_well_while_a_second_fits_a_page(database: Database, times: list[int]) -> None:
    user = f"user-{next(_numbers)}"
    rows = write(database, user, times)
    fullest = max(
        sum((NOW * 1000 - ms) // 1000 == second for ms in times) for second in {NOW - -(-t // 1000) for t in times}
    )
    for limit in (fullest, fullest + 1, fullest + 7):
        assert follow(database, user, limit, "timestamp") == rows


@quick
@given(moments, st.integers(1, 30))
def test_days_are_whole_utc_days(database: Database, times: list[int], days: int) -> None:
    user = f"user-{next(_numbers)}"
    write(database, user, times)
    page = database.read_sync(partial(report.rows, user_id=user, days=days, limit=1_000, now=NOW))
    first = NOW // 86_400 - days + 1
    assert len(page.rows) == sum((NOW * 1000 - ms) // 86_400_000 >= first for ms in times)


STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
names = words | st.tuples(st.sampled_from([*STARTS, '"', "'", ","]), words).map("".join)


@quick
@given(st.lists(names, min_size=1, max_size=8))
def test_a_table_reads_back_whole_and_runs_nothing(cells: list[str]) -> None:
    text = report.to_csv(("api_key", "cost_usd"), [{"api_key": cell, "cost_usd": 1e-9} for cell in cells])
    table = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert table[0] == ["api_key", "cost_usd"]
    for (cell, cost), name in zip(table[1:], cells, strict=True):
        assert cell in (name, "'" + name)
        assert not cell.startswith(STARTS)
        assert cost == "0.000000001"
