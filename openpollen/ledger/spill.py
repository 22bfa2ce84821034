"""Charges that could not be written before the program had to stop: kept in a file of the data folder, charged at the next
start. A reserve on the disk makes room for them where the disk is full.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
from collections.abc import Generator
from pathlib import Path

from msgspec import DecodeError, Struct, json

from openpollen.ledger.entries import HoldRequest
from openpollen.usage.record import UsageRow

log = logging.getLogger("openpollen")

_FOLDER, _RESERVE, _LOCK = "unwritten", "reserve", "lock"
_RESERVE_BYTES = 2 * 1024 * 1024


class Unwritten(Struct, frozen=True):
    """A settlement: who pays, the price in nano-pollen, and the row that records it."""

    request: HoldRequest
    price: int
    row: UsageRow


class Spill:
    """The files of one data folder; each worker writes its own, ``name``."""

    def __init__(self, data: Path, name: str) -> None:
        self._folder = data / _FOLDER
        self._file = self._folder / f"{name}.jsonl"
        self._reserve = self._folder / _RESERVE

    def prepare(self) -> None:
        """Sets the reserve aside. Does without where there is no room for it."""
        with contextlib.suppress(OSError):
            self._folder.mkdir(mode=0o700, exist_ok=True)
            with self._reserve.open("ab") as file:
                if file.tell() < _RESERVE_BYTES:
                    os.posix_fallocate(file.fileno(), 0, _RESERVE_BYTES)

    def keep(self, what: Unwritten) -> None:
        """Writes one down. Where even that fails, the log has it in full."""
        line = json.encode(what) + b"\n"
        for free in (False, True):
            if free:
                self._reserve.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                self._folder.mkdir(mode=0o700, exist_ok=True)
                with self._file.open("ab") as file:
                    file.write(line)
                    file.flush()
                    os.fsync(file.fileno())
                return
        log.critical(
            "a charge could be written neither to the database nor to %s: %s", self._file, line.decode().strip()
        )

    def take(self) -> Generator[Unwritten]:
        """What earlier workers wrote down, for this one alone: one worker takes at a time. A file goes when all of it was
        handled. Nothing while another worker is at it."""
        if not any(self._folder.glob("*.jsonl*")):
            return
        with (self._folder / _LOCK).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            for path in sorted(self._folder.glob("*.jsonl*")):
                # Its writer may still live, and begins another file when it finds this one gone.
                mine = path.with_name(f"{path.name.partition('.')[0]}.jsonl.{self._file.stem}")
                path.rename(mine)
                for line in mine.read_bytes().splitlines():
                    try:
                        yield json.decode(line, type=Unwritten)
                    except DecodeError:
                        log.error("a line of %s cannot be read; it was cut off: %r", mine, line[:200])
                mine.unlink()
