"""The bell on PostgreSQL: NOTIFY in the next writing transaction, and a thread that listens on a connection of its
own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import selectors
import threading
from collections.abc import Sequence

import psycopg

from openpollen.core.errors import ServiceUnavailable
from openpollen.storage.bell import TOPIC_BYTES, Heard
from openpollen.storage.database import Database, Driver
from openpollen.storage.postgres import connect
from openpollen.storage.postgres_driver import Connection

log = logging.getLogger("openpollen")

_CHANNEL = "openpollen"
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
#: The longest silence after which the connection is tried, in seconds.
_TRY_SECONDS = 30.0


class NotifyBell:
    """Rings carry who rings, so that nobody hears itself."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._name = secrets.token_hex(8)
        self._thread: threading.Thread | None = None
        self._ended = False
        self._ends: tuple[int, int] | None = None

    def ring(self, topic: str) -> None:
        message = f"{self._name} {topic.encode()[:TOPIC_BYTES].decode(errors='ignore')}"
        with contextlib.suppress(ServiceUnavailable):
            try:
                asyncio.get_running_loop()
            except RuntimeError:
                self._database.submit_sync(_notify, message)
            else:
                self._database.submit(_notify, message).add_done_callback(_forget)

    def listen(self, loop: asyncio.AbstractEventLoop, heard: Heard) -> None:
        self.close()
        self._ended, self._ends = False, os.pipe()
        self._thread = threading.Thread(target=self._listen, args=(loop, heard), name="bell", daemon=True)
        self._thread.start()

    def close(self) -> None:
        if self._thread is not None and self._ends is not None:
            self._ended = True
            os.write(self._ends[1], b"!")
            self._thread.join()
            for end in self._ends:
                os.close(end)
            self._thread = self._ends = None

    def _listen(self, loop: asyncio.AbstractEventLoop, heard: Heard) -> None:
        pause = _FIRST_PAUSE
        while not self._ended:
            try:
                with connect(self._database.url) as connection:
                    connection.execute(f"LISTEN {_CHANNEL}".encode())
                    pause = _FIRST_PAUSE
                    self._hear(connection, loop, heard)
            except psycopg.Error as error:
                log.warning("the bell's connection was lost; it is opened again: %s", str(error).strip())
            self._wait([], pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _hear(self, connection: Connection, loop: asyncio.AbstractEventLoop, heard: Heard) -> None:
        while True:
            for notify in connection.notifies(timeout=0):
                sender, _, topic = notify.payload.partition(" ")
                if sender != self._name and not loop.is_closed():
                    loop.call_soon_threadsafe(heard, topic)
            if not self._wait([connection.fileno()], _TRY_SECONDS):
                connection.execute(b"SELECT 1")
            if self._ended:
                return

    def _wait(self, others: list[int], seconds: float) -> bool:
        """Waits for any of the descriptors or the end; false when the time ran out."""
        if self._ended or self._ends is None:
            return True
        with selectors.DefaultSelector() as selector:
            for descriptor in (self._ends[0], *others):
                selector.register(descriptor, selectors.EVENT_READ)
            return bool(selector.select(seconds))


def _notify(driver: Driver, messages: Sequence[str]) -> list[None]:
    for message in dict.fromkeys(messages):
        driver.execute("SELECT pg_notify('openpollen', ?)", (message,))
    return [None] * len(messages)


def _forget(ring: asyncio.Future[None]) -> None:
    """A ring that could not be sent is lost, which is allowed."""
    if not ring.cancelled():
        ring.exception()
