"""``polli serve``: prepares the data folder, starts the supervisor, and says what a newcomer needs to know."""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

import click

from openpollen import __version__
from openpollen.accounts.first_start import FirstStart, bootstrap, shown
from openpollen.app import instance, worker_name
from openpollen.catalog.load import Catalog
from openpollen.cli import doctor
from openpollen.cli.leftover import give_back, only_server
from openpollen.cli.supervisor import WORKER_GRACE_S, Supervisor, bind, server_file, write_server_file
from openpollen.configuration import build_registry, read_configuration
from openpollen.core.errors import ConfigError, GatewayError
from openpollen.core.money import format_pollen
from openpollen.ledger import unbooked
from openpollen.settings import Settings
from openpollen.storage.database import Database


@click.command()
@click.option("--host", help="Address to listen on (default 127.0.0.1).")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; 0 picks a free one (default 8787).")
@click.option("--data", type=click.Path(path_type=Path), help="Data folder; also OPENPOLLEN_DATA.")
@click.option("--workers", type=click.IntRange(1, 64), help="Worker processes (default 1).")
@click.option("--config", type=click.Path(path_type=Path), envvar="OPENPOLLEN_CONFIG", help="Settings file.")
def serve(host: str | None, port: int | None, data: Path | None, workers: int | None, config: Path | None) -> None:
    """Serve the API. The first start makes an account, prints its key once, and three lines to try."""
    overrides: dict[str, Any] = {"server.host": host, "server.port": port, "server.workers": workers}
    overrides["data"] = str(data.absolute()) if data else None
    try:
        settings, catalog = read_configuration(config, os.environ, overrides)
        _serve(settings, catalog, config, {name: value for name, value in overrides.items() if value is not None})
    except ConfigError as fault:
        for problem in fault.problems:
            click.echo(f"polli: {problem}", err=True)
        sys.exit(2)
    except GatewayError as fault:
        click.echo(f"polli: {fault.message}", err=True)
        sys.exit(4)
    except (OSError, RuntimeError) as fault:
        click.echo(f"polli: {fault}", err=True)
        sys.exit(4)


def _serve(settings: Settings, catalog: Catalog, config: Path | None, overrides: dict[str, Any]) -> None:
    try:
        settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as fault:
        raise RuntimeError(
            f"the data folder {settings.data} cannot be made: {fault.strerror}. Name another with --data or OPENPOLLEN_DATA."
        ) from None
    with only_server(settings.data, settings.server.drain_s + WORKER_GRACE_S) as lock:
        server_file(settings.data).unlink(missing_ok=True)  # of a server that was killed
        _run(settings, catalog, config, overrides, lock)


def _run(settings: Settings, catalog: Catalog, config: Path | None, overrides: dict[str, Any], lock: int) -> None:
    server = settings.server
    sock = _bind(server.host, server.port)
    first = _prepare(settings)
    url = _url(server.host, sock.getsockname()[1])
    engine_sock = bind("127.0.0.1", 0) if settings.engines.enabled else None
    env = _engine_environment(settings)
    options = ["--url", url, "--overrides", json.dumps(overrides)]
    if config is not None:
        options += ["--config", str(config.absolute())]
    supervisor = Supervisor(
        sock, engine_sock, lock, server.workers, options, env, lambda pid: _reclaim(settings, pid), server.drain_s
    )
    supervisor.start()
    if supervisor.stopping:
        return
    write_server_file(settings.data, url, __version__)
    try:
        banner(settings, catalog, url, first)
        if first is not None:
            _note_shown(settings)
        supervisor.run()
    finally:
        server_file(settings.data).unlink(missing_ok=True)


def _prepare(settings: Settings) -> FirstStart | None:
    """Opens the data folder once before the workers do: tables, the first account, and what a crash left behind."""
    database = Database.open(settings.data, settings.storage.database_url)
    try:
        accounts = settings.accounts
        first = bootstrap(
            database, name=accounts.admin_name, tier=settings.tiers.default, welcome=accounts.welcome_grant
        )
        give_back(database, worker_name(instance(settings.data), ""))
        return first
    finally:
        database.close()


def _note_shown(settings: Settings) -> None:
    database = Database.open(settings.data, settings.storage.database_url)
    try:
        shown(database)
    finally:
        database.close()


def _reclaim(settings: Settings, pid: int) -> None:
    """Gives back what a dead worker held; its streams are over, its calls will not be answered."""
    try:
        database = Database.open(settings.data, settings.storage.database_url)
        try:
            give_back(database, worker_name(instance(settings.data), pid))
        finally:
            database.close()
    except GatewayError as fault:
        click.echo(f"polli: what the worker had leased comes back in some seconds: {fault.message}", err=True)


def _bind(host: str, port: int) -> socket.socket:
    try:
        return bind(host, port)
    except OSError as fault:
        raise RuntimeError(
            f"cannot listen on {host}:{port}: {fault.strerror}. Is another server running? --port 0 picks a free port."
        ) from None


def _url(host: str, port: int) -> str:
    """The address people open. localhost rather than 127.0.0.1: browsers allow passkeys there."""
    if host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "::"):  # noqa: S104 - a name for any address, not a bind
        host = "localhost"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _engine_environment(settings: Settings) -> dict[str, str]:
    engines = settings.engines
    return {
        **os.environ,
        "OPENPOLLEN_MODELS": str(engines.models),
        "OPENPOLLEN_ENGINE_THREADS": str(engines.threads or max(1, (os.cpu_count() or 2) // 2)),
        "OPENPOLLEN_ENGINE_MEMORY_MB": str(engines.memory_mb),
        "OPENPOLLEN_ENGINE_QUEUE": str(engines.queue),
        "OPENPOLLEN_ENGINE_IDLE_S": str(engines.idle_s),
    }


def banner(settings: Settings, catalog: Catalog, url: str, first: FirstStart | None) -> None:
    """What the terminal shows when the server is ready. A key is printed on the first start only."""
    say = click.echo
    say(f"\n  OpenPollen {__version__} is ready at {click.style(url, bold=True)}    (API: {url}/docs)")
    say(f"  data: {settings.data}")
    registry = build_registry(settings, catalog, {**os.environ, "OPENPOLLEN_ENGINE_URL": "http://local"})
    for line in doctor.summary(registry, settings):
        say(f"  {line}")
    if settings.ledger.durability == "off":
        say(f"\n  {click.style(unbooked.WARNING, fg='red', bold=True)}\n")
    if first is None:
        say("  keys: polli admin key create --user NAME --name N   sign-in: polli admin login-link NAME\n")
        return
    credit = format_pollen(settings.accounts.welcome_grant)
    say(f"\n  Account {first.user.name!r} was made with {credit} pollen. Its key is shown only this once:\n")
    say(f"    {click.style(first.key, bold=True)}\n")
    enter = (settings.server.enter_url or settings.server.gen_url or url).rstrip("/")
    say(
        f"  Sign in once at {enter}/login/{first.link_token}  (within 10 minutes; polli admin login-link makes another)\n"
    )
    say("  Try it:\n")
    say(f"""    curl {url}/v1/chat/completions -H 'Authorization: Bearer {first.key}' \\
      -H 'Content-Type: application/json' -d '{{"messages": [{{"role": "user", "content": "Hello!"}}]}}'

    curl '{url}/image/a%20cat%20in%20space?key={first.key}' -o cat.jpg

    curl '{url}/audio/Hello%20world?voice=nova&key={first.key}' -o hello.mp3
""")
