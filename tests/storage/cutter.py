"""A cable to PostgreSQL that a test can cut at the moment it chooses."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from pathlib import Path
from typing import Literal, Self
from urllib.parse import parse_qs, urlsplit

_NAME = ".s.PGSQL.5432"


class Cutter:
    """Passes connections on to the server at ``url``. ``cut`` is when the next COMMIT loses its connection: before the
    server gets it, or after the server carried it out. ``down`` refuses new connections."""

    def __init__(self, url: str, folder: Path) -> None:
        server = parse_qs(urlsplit(url).query)["host"][0]
        self._server = f"{server}/{_NAME}"
        self.url = url.replace(server, str(folder))
        self.cut: Literal["before", "after"] | None = None
        self.down = threading.Event()
        self.cuts = 0
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(str(folder / _NAME))
        self._door.listen(16)

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._door.accept()
            except OSError:
                return
            if self.down.is_set():
                client.close()
                continue
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._server)
            threading.Thread(target=self._pass_on, args=(client, server), daemon=True).start()

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        # Either side may hang up at any moment; then there is nothing more to pass on.
        with client, server, selectors.DefaultSelector() as selector, contextlib.suppress(ConnectionError):
            selector.register(client, selectors.EVENT_READ)
            selector.register(server, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    source = client if key.fileobj is client else server
                    data = source.recv(65_536)
                    if not data:
                        return
                    if source is client and self.cut and b"COMMIT\0" in data:
                        when, self.cut = self.cut, None
                        self.cuts += 1
                        if when == "after":
                            server.sendall(data)
                            server.recv(65_536)
                        return
                    (server if source is client else client).sendall(data)
