"""The process that runs the local engines: ``python -m openpollen.engines.host --fd N [--parent PID]``.

The supervisor makes the listening socket and hands it down as file descriptor N, so that a host that died can be started
again on the same address. The host takes only requests with the bearer token in ``OPENPOLLEN_ENGINE_TOKEN``, ends on
SIGTERM, and ends by itself when its parent is gone. Settings are environment variables, see ``read_settings``.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping, MutableMapping
from typing import NoReturn

from openpollen.engines.host_app import HostSettings, create_host
from openpollen.engines.registry import EngineOptions, local_engines

#: Seconds that running requests have to end after SIGTERM, and between two looks at the parent.
GRACE_SECONDS = 3
_PARENT_SECONDS = 0.5


def read_settings(environ: Mapping[str, str]) -> HostSettings:
    """The settings of the environment; ValueError names the variable that is wrong.

    OPENPOLLEN_ENGINE_TOKEN (required), _THREADS (half the cores), _MEMORY_MB (3000), _QUEUE (16), _IDLE_S (600).
    """
    token = environ.get("OPENPOLLEN_ENGINE_TOKEN", "")
    if not token:
        raise ValueError("OPENPOLLEN_ENGINE_TOKEN is not set: the engine host needs a secret to know its callers by.")
    return HostSettings(
        token=token,
        threads=_number(environ, "OPENPOLLEN_ENGINE_THREADS", max(1, (os.cpu_count() or 1) // 2), least=1),
        memory_mb=_number(environ, "OPENPOLLEN_ENGINE_MEMORY_MB", 3000, least=1),
        queue=_number(environ, "OPENPOLLEN_ENGINE_QUEUE", 16, least=0),
        idle_s=_number(environ, "OPENPOLLEN_ENGINE_IDLE_S", 600, least=1),
    )


def limit_math_threads(environ: MutableMapping[str, str], threads: int) -> None:
    """Keep the thread pools of the numeric libraries to our share; they read these when first imported."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        environ.setdefault(name, str(threads))


def end_with_parent(parent: int) -> None:
    """Watch from a thread: when process ``parent`` is no longer our parent, stop as on SIGTERM, or at once if that hangs.

    (Linux can signal a child on its parent's death, but does so already when the starting *thread* ends.)
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_PARENT_SECONDS)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(2 * GRACE_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def main() -> None:
    parser = argparse.ArgumentParser(prog="openpollen.engines.host", description="Run the local engines.")
    parser.add_argument("--fd", type=int, required=True, help="file descriptor of a listening socket")
    parser.add_argument("--parent", type=int, default=os.getppid(), help="process to end with (default: the parent)")
    options = parser.parse_args()
    end_with_parent(options.parent)
    try:
        settings = read_settings(os.environ)
    except ValueError as error:
        sys.exit(str(error))
    limit_math_threads(os.environ, settings.threads)
    for ending in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ending, _exit)  # the web server takes over, and raises the signal again at its end
    with contextlib.suppress(SystemExit):
        _serve(settings, socket.socket(fileno=options.fd))
    sys.stderr.flush()
    os._exit(0)  # worker threads inside native code cannot be stopped; nothing they do matters any more


def _exit(signal_number: int, frame: object) -> NoReturn:
    del signal_number, frame
    sys.exit(0)


def _serve(settings: HostSettings, listener: socket.socket) -> None:
    import uvicorn

    app = create_host(local_engines(EngineOptions(threads=settings.threads)), settings)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="on",
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    uvicorn.Server(config).run(sockets=[listener])


def _number(environ: Mapping[str, str], name: str, default: int, *, least: int) -> int:
    text = environ.get(name, "")
    if not text:
        return default
    if not text.isdecimal() or int(text) < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, not {text!r}.")
    return int(text)


if __name__ == "__main__":
    main()
