"""``polli dev``: what developers and testers start beside the server."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import click
import uvicorn

from openpollen.catalog.load import load_catalog
from openpollen.world.configuration import ENVIRONMENT, operator_file, wires_of
from openpollen.world.configuration import KEY as WORLD_KEY
from openpollen.world.server import World


@click.group("dev")
def dev() -> None:
    """Help for developers and testers."""


@dev.command("providers")
@click.option("--port", type=click.IntRange(0, 65535), default=9500, show_default=True, help="0 picks a free one.")
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed answers otherwise.")
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("world.toml"),
    show_default=True,
    help="Where to write the configuration that sends a gateway here.",
)
def providers(port: int, seed: int, config: Path) -> None:
    """Serve a pretended host of every provider of the catalogue, offline: for trying and testing only."""
    rows = load_catalog().providers
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", port))
        sock.listen(2048)
        origin = f"http://127.0.0.1:{sock.getsockname()[1]}"
        config.write_text(operator_file(rows, origin), "utf-8")
        exports = " ".join(f"{name}={value}" for name, value in ENVIRONMENT.items())
        click.echo("PRETENDED PROVIDERS: nothing here is real, and none of it is for production.")
        click.echo(f"{len(rows) - 1} providers at {origin}, all with the key {WORLD_KEY!r}.")
        click.echo(f"Serve the whole catalogue from them:\n\n    {exports} polli serve --config {config}\n")
        click.echo(f"What they bill: curl {origin}/_world/bill     Calls: curl {origin}/_world/calls")
        click.echo(f"Faults: curl {origin}/_world/faults -d {json.dumps(json.dumps({'anthropic': ['500']}))}")
        world = World(wires_of(rows), WORLD_KEY, seed)
        server = uvicorn.Server(uvicorn.Config(world, log_level="warning", server_header=False, lifespan="off"))
        server.run([sock])
