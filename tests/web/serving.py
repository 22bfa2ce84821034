"""Small servers of tests, each on a thread of its own."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def serving(server: socketserver.BaseServer) -> Generator[None]:
    """Serves until the end of the block."""
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
