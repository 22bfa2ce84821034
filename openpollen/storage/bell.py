"""The bell: one process wakes the others of its installation. A ring says that there is something to look at, never
what; one that is lost is made good by whoever looks at the rows each second anyway.

``ring`` works in any process, also without an event loop; ``listen`` brings the rings of others to an event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import secrets
import socket
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from openpollen.storage.database import Database

log = logging.getLogger("openpollen")

#: Longest topic in bytes.
TOPIC_BYTES = 200
_SUFFIX = ".bell"
#: Longest path of a socket that every system takes, in bytes; a name in the folder takes the rest.
_PATH_BYTES = 100
_NAME_BYTES = 24

Heard = Callable[[str], None]


class Bell(Protocol):
    """The bell of an installation, as one process has it."""

    def ring(self, topic: str) -> None:
        """Wakes every other process. Does not wait, and does not fail."""
        ...

    def listen(self, loop: asyncio.AbstractEventLoop, heard: Heard) -> None:
        """From now on calls ``heard(topic)`` in the event loop for each ring of another process."""
        ...

    def close(self) -> None:
        """Stops listening."""
        ...


def open_bell(database: Database) -> Bell:
    """The bell that goes with a database: sockets in the data folder on one host, NOTIFY on PostgreSQL."""
    if database.url:
        from openpollen.storage.bell_postgres import NotifyBell  # loaded only where it is used

        return NotifyBell(database)
    return SocketBell(database.folder / "run")


class SocketBell:
    """A datagram socket for each listening process, in one folder. Sockets that nobody answers are removed."""

    def __init__(self, folder: Path) -> None:
        self._folder = _reachable(folder)
        self._own: tuple[asyncio.AbstractEventLoop, socket.socket, Path] | None = None

    def ring(self, topic: str) -> None:
        own = self._own[2] if self._own else None
        message = topic.encode()[:TOPIC_BYTES]
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            for path in self._sockets():
                if path == own:
                    continue
                try:
                    sender.sendto(message, str(path))
                except (ConnectionRefusedError, FileNotFoundError):
                    path.unlink(missing_ok=True)  # its process is gone
                except OSError as error:  # a full one has rings enough to wake up for
                    log.debug("a process was not rung: %s", error)

    def listen(self, loop: asyncio.AbstractEventLoop, heard: Heard) -> None:
        self.close()
        path = self._folder / f"{os.getpid()}-{secrets.token_hex(4)}{_SUFFIX}"
        ears = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        ears.setblocking(False)
        ears.bind(str(path))

        def answer() -> None:
            with contextlib.suppress(BlockingIOError):
                while True:
                    heard(ears.recv(TOPIC_BYTES).decode(errors="replace"))

        loop.add_reader(ears, answer)
        self._own = loop, ears, path

    def close(self) -> None:
        if self._own is not None:
            loop, ears, path = self._own
            self._own = None
            if not loop.is_closed():
                loop.remove_reader(ears)
            ears.close()
            path.unlink(missing_ok=True)

    def _sockets(self) -> list[Path]:
        try:
            return [path for path in self._folder.iterdir() if path.suffix == _SUFFIX]
        except FileNotFoundError:
            return []


def _reachable(folder: Path) -> Path:
    """The folder, made where it is missing; where its path is too long for a socket, one of ours in the temporary
    folder that stands for it. Raises OSError when neither can be had."""
    if len(os.fsencode(folder)) + 1 + _NAME_BYTES > _PATH_BYTES:
        mark = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
        folder = Path(tempfile.gettempdir()) / f"openpollen-{os.getuid()}-{mark}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(f"{folder} must be a folder that only this user may enter")
    return folder
