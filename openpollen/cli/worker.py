"""One worker process: the ASGI application on the listening socket that its supervisor holds."""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import gc
import json
import logging
import math
import os
import signal
import socket
import sys
from pathlib import Path

import uvicorn

from openpollen.api.protocol import EnvelopeProtocol
from openpollen.app import Worker, build_worker
from openpollen.core.errors import ConfigError, GatewayError

_BACKLOG_LIMIT = 4096
#: Seconds that calls which were broken off may take to say so.
_LAST_WORDS = 1


class _Server(uvicorn.Server):
    """uvicorn, telling the supervisor when it is ready, and open streams when their time is over."""

    def __init__(self, config: uvicorn.Config, worker: Worker, ready: int) -> None:
        super().__init__(config)
        self._worker = worker
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            os.write(self._ready, b".")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        asyncio.get_running_loop().call_later(self._worker.settings.server.drain_s, self._break_off)
        await super().shutdown(sockets)

    def _break_off(self) -> None:
        self._worker.break_off()
        for task in list(self.server_state.tasks):
            task.cancel()


def main() -> None:
    """Runs until SIGTERM, then drains."""
    parser = argparse.ArgumentParser(prog="openpollen.cli.worker")
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--ready", type=int, required=True)
    parser.add_argument("--url", required=True)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--overrides", default="{}")
    options = parser.parse_args()
    die_with_parent()
    try:
        worker = build_worker(options.config, os.environ, options.url, json.loads(options.overrides))
    except ConfigError as fault:
        sys.exit("\n".join(f"polli: {problem}" for problem in fault.problems))
    except GatewayError as fault:
        sys.exit(f"polli: {fault.message}")
    level = worker.settings.log_level
    logging.basicConfig(level=level.upper(), format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    config = uvicorn.Config(
        worker.app,
        fd=options.fd,
        loop="uvloop" if sys.platform != "win32" else "asyncio",
        http=EnvelopeProtocol,
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=math.ceil(worker.settings.server.drain_s) + _LAST_WORDS,
        limit_concurrency=_BACKLOG_LIMIT,
    )
    # What is loaded now stays: the collector need not look at it again, and may look less often at requests, whose
    # objects are freed by their counts.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    # The ledger's writer hands its results over often and works briefly: it should not wait long for its turn.
    sys.setswitchinterval(0.0005)
    sock = socket.socket(fileno=options.fd)
    server = _Server(config, worker, options.ready)
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(server.serve([sock]))
    if not server.started:
        sys.exit(3)


def die_with_parent() -> None:
    """Asks Linux for SIGTERM when the supervisor dies, so that no worker outlives it."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, signal.SIGTERM)
        if os.getppid() != int(os.environ.get("OPENPOLLEN_SUPERVISOR_PID", os.getppid())):
            sys.exit(0)  # it died before the wish was heard


if __name__ == "__main__":
    main()
