"""What dead workers of a data folder left behind, and how to know that they are dead."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from openpollen.app import instance, worker_name
from openpollen.cli.supervisor import server_file
from openpollen.ledger import reclaim
from openpollen.storage.abandon import abandon
from openpollen.storage.database import Database

_PAUSE = 0.1


@contextmanager
def only_server(data: Path, patience: float = 0.0) -> Generator[int]:
    """Holds the data folder's lock: two servers on one folder would take each other's holds for a dead one's. Gives the
    lock's file descriptor, for the workers: they keep the folder locked until the last of them is gone, whatever happens
    to their supervisor. Workers whose supervisor was killed are waited for, for so many seconds.

    Raises RuntimeError while another process holds it, and where nothing can be written."""
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    deadline = time.monotonic() + patience
    with _lock_file(data) as lock:
        while not _locked(lock):
            if time.monotonic() > deadline or not _orphaned(data):
                raise RuntimeError(
                    f"another server runs on {data}; stop it, or give this one its own folder with --data"
                )
            time.sleep(_PAUSE)
        yield lock.fileno()


def _lock_file(data: Path) -> IO[str]:
    try:
        return (data / "server.lock").open("w")
    except OSError as fault:
        raise RuntimeError(
            f"the data folder {data} cannot be written: {fault.strerror}. Name another with --data or OPENPOLLEN_DATA."
        ) from None


def _locked(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _orphaned(data: Path) -> bool:
    """Whether the server that was last ready here is gone without a word."""
    try:
        pid = json.loads(server_file(data).read_text())["pid"]
    except (OSError, ValueError, KeyError):
        return False
    return not _alive(str(pid))


def give_back(database: Database, worker: str) -> None:
    """Gives back what a dead worker held, and lets others take up what it worked on; that of all whose name starts so
    when it ends with a dash."""
    database.submit_sync(reclaim.run, reclaim.Reclaim(worker))
    database.write_sync(lambda connection: abandon(connection, worker))


def give_back_of_dead(database: Database) -> None:
    """Gives back what this data folder's workers held, of those that are certainly gone: no server has the folder, and
    the process is not there or has been silent for longer than a lease."""
    try:
        with only_server(database.folder):
            pass  # let go at once: a server may start now, whose workers have names of their own
    except RuntimeError:
        return
    start = worker_name(instance(database.folder), "")
    for name, silent in database.read_sync(lambda connection: reclaim.known(connection, start)):
        if silent or not _alive(name.removeprefix(start)):
            give_back(database, name)


def _alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
