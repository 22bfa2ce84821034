"""``polli admin key``: make, list and revoke API keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from openpollen.accounts import keys as api_keys
from openpollen.accounts import users, views
from openpollen.accounts.permissions import SCOPES
from openpollen.accounts.wanted_keys import NewKey
from openpollen.catalog.load import Catalog
from openpollen.cli.adminrun import Admin, common, opened, words
from openpollen.core.errors import BadRequest
from openpollen.core.ids import KeyType
from openpollen.core.nearest import nearest
from openpollen.storage.database import Connection


@click.group("key")
def key_group() -> None:
    """Make, list and revoke API keys."""


@key_group.command("create")
@click.option("--user", required=True, help="Owner: name or id.")
@click.option("--name", required=True, help="Name of the key.")
@click.option("--type", "key_type", type=click.Choice(["secret", "publishable"]), default="secret", show_default=True)
@click.option("--permissions", default="", help=f"Account scopes, comma-separated: {', '.join(SCOPES)}.")
@click.option("--models", default=None, help="Models it may use, comma-separated; without it all.")
@click.option("--budget", default=None, help="Most pollen it may spend.")
@click.option("--period", type=click.Choice(["day", "week", "month"]), help="The budget starts anew each period.")
@click.option("--expires-in", type=int, help="Seconds it lives; without it for ever.")
@click.option("--app-url", help="Makes a publishable key an app key.")
@click.option("--redirect-uri", "redirect_uris", multiple=True, help="Where an app may be returned to; repeatable.")
@click.option("--origin", "origins", multiple=True, help="Web origin that may use a publishable key; repeatable.")
@common
def create_key(
    user: str,
    permissions: str,
    models: str | None,
    data: Path | None,
    config: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Make an API key. It is shown in full this once."""
    with opened(data, config, as_json) as run:
        wanted = NewKey(
            name=options["name"],
            type=options["key_type"],
            expires_in=options["expires_in"],
            models=None if models is None else _models(words(models), run.catalog()),
            budget=options["budget"],
            budget_period=options["period"],
            scopes=_scopes(permissions, options["key_type"]),
            app_url=options["app_url"],
            redirect_uris=options["redirect_uris"],
            origins=options["origins"],
            created_via="cli",
        )
        make_key(run, user, wanted)


def make_key(run: Admin, user: str, wanted: NewKey) -> None:
    """Makes a key of the user, by name or id, and shows it this once."""

    def make(connection: Connection) -> dict[str, Any]:
        owner = users.find_user(connection, user)
        return views.created_key(
            *api_keys.create_key(connection, owner.id, wanted, actor=run.actor, most=run.settings.accounts.max_keys)
        )

    answer = run.write(make)
    run.show(answer, answer["key"])


@key_group.command("list")
@click.option("--user", required=True, help="Owner: name or id.")
@common
def list_keys(user: str, data: Path | None, config: Path | None, as_json: bool) -> None:
    """List a user's keys."""

    def look(connection: Connection) -> dict[str, Any]:
        owner = users.find_user(connection, user)
        found = api_keys.list_keys(connection, owner.id)
        return views.listed_keys(api_keys.with_remaining(connection, found))

    with opened(data, config, as_json) as run:
        answer = run.read(look)
        run.show(answer, *(f"{row['id']}  {row['start']}...  {row['name']}" for row in answer["data"]))


@key_group.command("revoke")
@click.argument("key_id")
@common
def revoke_key(key_id: str, data: Path | None, config: Path | None, as_json: bool) -> None:
    """Revoke a key and every key made with it; a running server follows within a second."""
    with opened(data, config, as_json) as run:
        gone = run.write(lambda connection: api_keys.revoke_key(connection, key_id, actor=run.actor))
        run.show({"success": True, "id": key_id, "revoked": gone}, f"Revoked: {', '.join(gone)}.")


def _models(names: list[str], catalog: Catalog) -> list[str]:
    """The models that names or aliases mean. Raises BadRequest with the nearest names for one that means none."""
    known = {alias: model.name for model in catalog.models for alias in (*model.aliases, *model.successor_aliases)} | {
        model.name: model.name for model in catalog.models
    }
    for name in names:
        if name not in known:
            raise BadRequest(f"--models: there is no model {name[:100]!r}{nearest(name, known)}")
    return [known[name] for name in names]


def _scopes(permissions: str, key_type: KeyType) -> list[str]:
    scopes = [word.removeprefix("account:") for word in words(permissions)]
    if unknown := sorted(set(scopes) - set(SCOPES)):
        raise BadRequest(f"There is no permission {unknown[0]!r}: choose from {', '.join(SCOPES)}.")
    if key_type == "publishable" and (dropped := sorted(set(scopes) - {"profile"})):
        click.echo(f"A publishable key is public: it carries profile at most, not {', '.join(dropped)}.", err=True)
    return scopes
