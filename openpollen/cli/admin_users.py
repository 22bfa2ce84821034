"""``polli admin user``: make, list, show, move and shut accounts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from openpollen.accounts import audit, users, views
from openpollen.accounts import keys as api_keys
from openpollen.cli.adminrun import common, opened
from openpollen.core.money import format_pollen
from openpollen.ledger import credit
from openpollen.storage.database import Connection


@click.group("user")
def user_group() -> None:
    """Make, list, show, move and shut accounts."""


@user_group.command("create")
@click.argument("name")
@click.option("--email", help="Email address; it identifies nobody.")
@click.option("--tier", help="Tier; without it the one that new accounts start in.")
@click.option("--admin", "is_admin", is_flag=True, help="Make it an admin account.")
@common
def create_user(
    name: str,
    email: str | None,
    tier: str | None,
    is_admin: bool,
    data: Path | None,
    config: Path | None,
    as_json: bool,
) -> None:
    """Make an account called NAME."""
    with opened(data, config, as_json, may_make=True) as run:
        start = run.tiers.check(tier or run.tiers.default)
        gift = run.settings.accounts.signup_grant

        def make(connection: Connection) -> dict[str, Any]:
            role = "admin" if is_admin else "user"
            user = users.create_user(connection, name, tier=start, email=email, role=role, actor=run.actor)
            if gift:
                credit.grant(connection, user.id, gift, "pack", "signup", audit.SYSTEM)
                told = {"amount": format_pollen(gift), "bucket": "pack", "reason": "signup"}
                audit.note(connection, audit.SYSTEM, "credit.grant", user.id, **told)
            return views.user_row(user, credit.balances(connection, user.id))

        row = run.write(make)
        run.show(row, f"{row['name']} ({row['id']}) was made, in tier {row['tier']}.")


@user_group.command("list")
@common
def list_users(data: Path | None, config: Path | None, as_json: bool) -> None:
    """List all accounts with their balances."""

    def look(connection: Connection) -> list[dict[str, Any]]:
        found = users.list_users(connection)
        return [views.user_row(user, credit.balances(connection, user.id)) for user in found]

    with opened(data, config, as_json) as run:
        rows = run.read(look)
        lines = [f"{r['id']}  {r['name']:20} {r['role']:6} {r['tier']:8} {r['balance']['total']:>12}" for r in rows]
        run.show({"data": rows}, *lines)


@user_group.command("show")
@click.argument("user")
@common
def show_user(user: str, data: Path | None, config: Path | None, as_json: bool) -> None:
    """Show USER (name or id): tier, next refill, balances, keys."""
    with opened(data, config, as_json) as run:

        def look(connection: Connection) -> dict[str, Any]:
            owner = users.find_user(connection, user)
            row = views.user_row(owner, credit.balances(connection, owner.id))
            found = api_keys.with_remaining(connection, api_keys.list_keys(connection, owner.id))
            row["bannedAt"] = views.time_text(owner.banned_at)
            row["nextResetAt"] = run.tiers.next_reset(owner.tier)
            row["keys"] = views.listed_keys(found)["data"]
            return row

        row = run.read(look)
        refill = f", next refill {row['nextResetAt']}" if row["nextResetAt"] else ", no refill"
        run.show(
            row,
            f"{row['name']} ({row['id']}), {row['role']}, since {row['createdAt']}",
            *([f"shut since {row['bannedAt']}"] if row["banned"] else []),
            f"tier {row['tier']}{refill}",
            "pollen: " + ", ".join(f"{name} {amount}" for name, amount in row["balance"].items()),
            *(f"key {key['id']}  {key['start']}...  {key['name']}" for key in row["keys"]),
        )


@user_group.command("tier")
@click.argument("user")
@click.argument("tier")
@common
def set_tier(user: str, tier: str, data: Path | None, config: Path | None, as_json: bool) -> None:
    """Move USER (name or id) to TIER."""
    with opened(data, config, as_json) as run:
        wanted = run.tiers.check(tier)

        def move(connection: Connection) -> dict[str, Any]:
            owner = users.find_user(connection, user)
            moved = users.set_tier(connection, owner.id, wanted, actor=run.actor)
            return views.user_row(moved, credit.balances(connection, owner.id))

        row = run.write(move)
        run.show(row, f"{row['name']} is in tier {row['tier']}.")


@user_group.command("ban")
@click.argument("user")
@click.option("--reason", default="", help="Why, for the audit trail.")
@common
def ban(user: str, reason: str, data: Path | None, config: Path | None, as_json: bool) -> None:
    """Shut USER's account: its keys stop within a second. Its credit stays."""
    _set_banned(user, True, reason, data, config, as_json)


@user_group.command("unban")
@click.argument("user")
@click.option("--reason", default="", help="Why, for the audit trail.")
@common
def unban(user: str, reason: str, data: Path | None, config: Path | None, as_json: bool) -> None:
    """Open USER's account again; its keys work as before."""
    _set_banned(user, False, reason, data, config, as_json)


def _set_banned(user: str, banned: bool, reason: str, data: Path | None, config: Path | None, as_json: bool) -> None:
    with opened(data, config, as_json) as run:

        def change(connection: Connection) -> dict[str, Any]:
            owner = users.find_user(connection, user)
            changed = users.set_banned(connection, owner.id, banned, actor=run.actor, why=reason)
            return views.user_row(changed, credit.balances(connection, owner.id))

        row = run.write(change)
        run.show(row, f"{row['name']} is {'shut' if row['banned'] else 'open'}.")
