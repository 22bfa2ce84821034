"""Writing processes side by side on one database: items and commits in a second, and our CPU for each item.

    python bench/storage.py [--postgres URL] [--seconds 3]

An item is one row inserted by the ledger's fast door; each commit updates one row besides. With ``--postgres`` the
database at URL is used, which must be empty and may be thrown away afterwards; without it SQLite in a temporary folder.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from openpollen.storage.database import Database, Driver

_ITEM = "INSERT INTO once (key, at) VALUES (?, ?)"
_COMMIT = "UPDATE revisions SET number = number + 1 WHERE name = ?"


class Load:
    """One process's callers, each of which writes an item and waits until it is on disk."""

    def __init__(self) -> None:
        self.commits = self.items = 0

    def run(self, driver: Driver, items: Sequence[tuple[str, int]]) -> list[None]:
        driver.executemany(_ITEM, items)
        driver.execute(_COMMIT, ("bench",))
        self.commits += 1
        return [None] * len(items)

    async def work(self, database: Database, seconds: float, callers: int) -> None:
        handler, end = self.run, time.monotonic() + seconds

        async def caller() -> None:
            while time.monotonic() < end:
                self.items += 1
                await database.submit(handler, (f"{os.getpid()}-{self.items}", 1), must=True)

        await asyncio.gather(*(caller() for _ in range(callers)))


def child(folder: str, url: str, seconds: float, callers: int) -> None:
    database, load = Database.open(Path(folder), url), Load()
    before = time.process_time()
    asyncio.run(load.work(database, seconds, callers))
    print(load.items, load.commits, time.process_time() - before)
    database.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--postgres", metavar="URL", default="")
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--child", nargs=2, metavar=("FOLDER", "CALLERS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child[0], options.postgres, options.seconds, int(options.child[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        Database.open(Path(folder), options.postgres).close()
        print(
            "| processes | callers each | items/s | commits/s | our CPU, us an item |\n| --- | --- | --- | --- | --- |"
        )
        for processes in (1, 2, 4):
            for callers in (1, 64, 1000):
                command = [sys.executable, __file__, "--postgres", options.postgres, "--seconds", str(options.seconds)]
                command += ["--child", folder, str(callers)]
                started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
                figures = [[float(word) for word in one.communicate()[0].split()] for one in started]
                items, commits, cpu = (sum(column) for column in zip(*figures, strict=True))
                rate, groups = items / options.seconds, commits / options.seconds
                print(
                    f"| {processes} | {callers} | {rate:,.0f} | {groups:,.0f} | {cpu / items * 1e6:.1f} |", flush=True
                )


if __name__ == "__main__":
    main()
