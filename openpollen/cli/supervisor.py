"""The supervisor of ``polli serve``: N workers on one listening socket, and the engine host beside them.

The supervisor binds both sockets itself, so a restarted child serves the same address and no connection is refused
while it starts. It restarts the dead with growing pauses, writes ``DATA/server.json`` when every worker is ready, and on
SIGTERM, SIGINT or SIGHUP lets the workers drain (``drain_s``) and stops at most four seconds later.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

#: Seconds beyond ``drain_s`` after which a worker is killed, and the engine host after it.
WORKER_GRACE_S, ENGINE_GRACE_S = 4.5, 0.5
READY_S = 60.0
#: glibc keeps what large bodies needed unless told otherwise: few arenas, and free memory above 1 MB goes back.
_FRUGAL = {"MALLOC_ARENA_MAX": "2", "MALLOC_TRIM_THRESHOLD_": "1048576", "MALLOC_MMAP_THRESHOLD_": "262144"}


@dataclass
class Child:
    """A process the supervisor keeps alive. ``pause`` grows while it keeps dying young."""

    name: str
    command: list[str]
    fds: tuple[int, ...]
    env: dict[str, str]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    pause: float = 0.0
    next_start: float = 0.0

    def start(self) -> None:
        # A group of its own: Ctrl-C at the terminal is for the supervisor, which stops all in order.
        self.process = subprocess.Popen(  # noqa: S603 - our own command
            self.command, pass_fds=self.fds, env=self.env, process_group=0
        )
        self.started = time.monotonic()

    def reap(self) -> tuple[int, int] | None:
        """Process id and exit code if it has died, scheduling the next start; None while it lives."""
        if self.process is None or self.process.poll() is None:
            return None
        pid, code, self.process = self.process.pid, self.process.returncode, None
        lived = time.monotonic() - self.started
        self.pause = min(max(self.pause * 2, 0.1), 10.0) if lived < 10 else 0.0
        self.next_start = time.monotonic() + self.pause
        return pid, code


class Supervisor:
    """Keeps the children of one server alive until it is told to stop. ``lock`` is the descriptor that each worker keeps
    open for as long as it lives."""

    def __init__(
        self,
        sock: socket.socket,
        engine_sock: socket.socket | None,
        lock: int,
        workers: int,
        worker_options: list[str],
        env: dict[str, str],
        worker_died: Callable[[int], None],
        drain_s: float,
    ) -> None:
        self._drain_s = drain_s
        self._worker_died = worker_died
        self._ready_read, self._ready_write = os.pipe()
        os.set_blocking(self._ready_read, False)
        base = {**_FRUGAL, **env, "OPENPOLLEN_SUPERVISOR_PID": str(os.getpid())}
        python = [sys.executable, "-m"]
        self._engine: list[Child] = []
        if engine_sock is not None:
            base["OPENPOLLEN_ENGINE_TOKEN"] = secrets.token_urlsafe(24)
            base["OPENPOLLEN_ENGINE_URL"] = f"http://127.0.0.1:{engine_sock.getsockname()[1]}/v1"
            fd = engine_sock.fileno()
            self._engine = [Child("engine host", [*python, "openpollen.engines.host", "--fd", str(fd)], (fd,), base)]
        command = [*python, "openpollen.cli.worker", "--fd", str(sock.fileno()), "--ready", str(self._ready_write)]
        command += worker_options
        fds = (sock.fileno(), self._ready_write, lock)
        self._workers = [Child(f"worker {n}", command, fds, base) for n in range(workers)]
        self._stopping = False

    @property
    def stopping(self) -> bool:
        """Whether a signal asked it to stop."""
        return self._stopping

    @property
    def _children(self) -> list[Child]:
        return [*self._engine, *self._workers]

    def start(self) -> None:
        """Starts all and waits until every worker says that it is ready. Raises RuntimeError when one does not."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # else it is to outlive its terminal
            signal.signal(signal.SIGHUP, self._on_signal)
        for child in self._children:
            child.start()
        deadline = time.monotonic() + READY_S
        ready = 0
        while ready < len(self._workers) and not self._stopping:
            select.select([self._ready_read], [], [], 0.2)
            with contextlib.suppress(BlockingIOError):
                ready += len(os.read(self._ready_read, 64))
            if any(w.process and w.process.poll() is not None for w in self._workers):
                self.stop()
                raise RuntimeError("a worker stopped while starting; its message is above")
            if time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"the workers were not ready within {READY_S:.0f} seconds")

    def run(self) -> None:
        """Restarts what dies, until a signal; then stops everything."""
        while not self._stopping:
            for child in self._children:
                dead = child.reap()
                if dead is not None:
                    print(f"polli: {child.name} stopped ({_cause(dead[1])}); starting it again", file=sys.stderr)
                    if child in self._workers:
                        self._worker_died(dead[0])
                if child.process is None and time.monotonic() >= child.next_start:
                    child.start()
            select.select([self._ready_read], [], [], 0.2)
            with contextlib.suppress(BlockingIOError):
                os.read(self._ready_read, 64)
        self.stop()

    def stop(self) -> None:
        """SIGTERM to all, the workers first so that they can still use the engines; SIGKILL to what is left."""
        self._stopping = True
        deadline = time.monotonic() + self._drain_s + WORKER_GRACE_S
        for group in (self._workers, self._engine):
            alive = [c.process for c in group if c.process and c.process.poll() is None]
            for process in alive:
                process.terminate()
            for process in alive:
                try:
                    process.wait(max(0.1, deadline - time.monotonic()))
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            deadline += ENGINE_GRACE_S

    def _on_signal(self, _number: int, _frame: object) -> None:
        self._stopping = True


def bind(host: str, port: int) -> socket.socket:
    """A listening socket that children inherit. Port 0 picks a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((host, port))
    sock.listen(2048)
    sock.set_inheritable(True)
    return sock


def server_file(data: Path) -> Path:
    """Where a server that is ready says its address and process."""
    return data / "server.json"


def write_server_file(data: Path, url: str, version: str) -> None:
    """``DATA/server.json``, written whole or not at all."""
    target = server_file(data)
    temporary = target.with_suffix(".tmp")
    temporary.write_text(json.dumps({"url": url, "pid": os.getpid(), "version": version}) + "\n")
    temporary.replace(target)


def _cause(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
