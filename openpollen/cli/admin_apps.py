"""``polli admin app``: app keys, which name an app on the consent page. What came through them is on their author's pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from openpollen.accounts import keys, users, views
from openpollen.accounts.wanted_keys import NewKey, markup_of
from openpollen.cli.admin_keys import make_key
from openpollen.cli.adminrun import common, opened
from openpollen.core.errors import BadRequest
from openpollen.core.money import plain_decimal


@click.group("app")
def app_group() -> None:
    """Make and list app keys (Bring Your Own Pollen)."""


@app_group.command("create")
@click.option("--user", required=True, help="Author of the app: name or id.")
@click.option("--name", required=True, help="What people are shown when they are asked.")
@click.option("--url", help="The app's address; without a path it allows every page there in the redirect flow.")
@click.option("--redirect-uri", "redirect_uris", multiple=True, help="Where the code flow returns to; repeatable.")
@click.option("--markup", default="0", show_default=True, help="Percent on top of each price for the author, 0 to 50.")
@click.option("--devices", is_flag=True, help="Let the device flow show the app's name.")
@common
def create_app(user: str, data: Path | None, config: Path | None, as_json: bool, **options: Any) -> None:
    """Make an app key. It is no secret, and spends nothing of its author's."""
    with opened(data, config, as_json) as run:
        if not options["url"] and not options["redirect_uris"]:
            raise BadRequest("An app needs an address: give --url, or --redirect-uri.")
        wanted = NewKey(
            name=options["name"],
            type="publishable",
            app_url=options["url"],
            redirect_uris=options["redirect_uris"],
            markup=_markup(options["markup"]),
            devices=options["devices"],
            created_via="cli",
        )
        make_key(run, user, wanted)


@app_group.command("list")
@click.option("--user", required=True, help="Author: name or id.")
@common
def list_apps(user: str, data: Path | None, config: Path | None, as_json: bool) -> None:
    """List an author's apps."""
    with opened(data, config, as_json) as run:
        found = run.read(lambda connection: keys.list_keys(connection, users.find_user(connection, user).id))
        rows = [_row(key) for key in found if key.app]
        lines = (f"{row['key']}  {row['name']}  {row['appUrl'] or row['redirectUris'][0]}" for row in rows)
        run.show({"data": rows}, *lines)


def _row(key: keys.Key) -> dict[str, Any]:
    return {
        "id": key.id,
        "key": key.public_value,
        "name": key.name,
        "appUrl": key.app_url,
        "redirectUris": list(key.redirect_uris),
        "markup": key.markup / 10,
        "devices": key.devices,
        "enabled": key.enabled,
        "createdAt": views.time_text(key.created_at),
    }


def _markup(percent: str) -> int:
    try:
        return markup_of(plain_decimal(percent))
    except ValueError:
        raise BadRequest(f"--markup: {percent[:40]!r} is no number of percent, such as 5 or 12.5.") from None
