"""``polli admin grant``, ``correct``, ``refund`` and ``rerate``: credit given, taken back, given back, computed again."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from openpollen.accounts import audit, users, views
from openpollen.cli.adminrun import Admin, common, opened, pollen
from openpollen.core.errors import BadRequest, Conflict
from openpollen.core.money import format_pollen, pollen_number
from openpollen.ledger import corrections, credit
from openpollen.ledger.rerate import Rerated, current_prices
from openpollen.ledger.rerate import rerate as compute_again
from openpollen.storage.database import Connection

_BUCKETS = click.Choice(["tier", "pack", "crypto"])
_DAY = click.DateTime(["%Y-%m-%d"])
#: Live workers give back within a second what they have set aside and do not need; a dead one's lease ends in five.
_PATIENCE_SECONDS, _PAUSE_SECONDS = 6.0, 0.2
_SHOWN = 20


@click.command("grant")
@click.argument("user")
@click.argument("amount")
@click.option("--bucket", type=_BUCKETS, required=True, help="Where the credit goes.")
@click.option(
    "--reason",
    type=click.Choice(corrections.REASONS),
    default="grant",
    show_default=True,
    help="A word for the ledger.",
)
@click.option("--note", default="", help="More about it, for the audit trail.")
@common
def grant(
    user: str,
    amount: str,
    bucket: str,
    reason: str,
    note: str,
    data: Path | None,
    config: Path | None,
    as_json: bool,
) -> None:
    """Give USER (name or id) AMOUNT pollen."""
    with opened(data, config, as_json) as run:
        nano = pollen(amount)

        def give(connection: Connection) -> dict[str, Any]:
            owner = users.find_user(connection, user)
            after = credit.grant(connection, owner.id, nano, bucket, reason, run.actor)
            told = {"amount": format_pollen(nano), "bucket": bucket, "reason": reason}
            audit.note(connection, run.actor, "credit.grant", owner.id, **told, **({"note": note} if note else {}))
            row = {"user": owner.id, "name": owner.name, "bucket": bucket, "amount": pollen_number(nano)}
            return {**row, "balance": views.balances_row(after)}

        row = run.write(give)
        run.show(row, f"{row['name']} got {amount} pollen ({bucket}) and now has {row['balance']['total']}.")


@click.command("correct", context_settings={"ignore_unknown_options": True})
@click.argument("user")
@click.argument("amount")
@click.option("--bucket", type=_BUCKETS, required=True, help="The bucket to correct.")
@click.option("--reason", required=True, help="Why, for the audit trail.")
@common
def correct(
    user: str, amount: str, bucket: str, reason: str, data: Path | None, config: Path | None, as_json: bool
) -> None:
    """Correct a bucket of USER (name or id) by AMOUNT pollen, such as -1.5. Never below zero, and never what calls
    that still run have set aside."""
    with opened(data, config, as_json) as run:
        if not reason.strip():
            raise BadRequest("--reason: say why.")
        sign = -1 if amount.startswith("-") else 1
        nano = sign * pollen(amount.removeprefix("-") if sign < 0 else amount)
        row = _corrected(run, user, nano, bucket, reason.strip())
        done = "got" if nano > 0 else "lost"
        run.show(
            row, f"{row['name']} {done} {format_pollen(abs(nano))} pollen ({bucket}): {row['balance']['total']} now."
        )


def _corrected(run: Admin, user: str, nano: int, bucket: str, reason: str) -> dict[str, Any]:
    def change(connection: Connection) -> dict[str, Any] | corrections.Busy:
        owner = users.find_user(connection, user)
        after = corrections.correct(connection, owner.id, nano, bucket, run.actor)
        if isinstance(after, corrections.Busy):
            return after
        told = {"amount": format_pollen(nano), "bucket": bucket, "reason": reason}
        audit.note(connection, run.actor, "credit.correct", owner.id, **told)
        row = {"user": owner.id, "name": owner.name, "bucket": bucket, "amount": pollen_number(nano)}
        return {**row, "balance": views.balances_row(after)}

    deadline = time.monotonic() + _PATIENCE_SECONDS
    while isinstance(outcome := run.write(change), corrections.Busy):
        run.give_back_of_dead()
        if time.monotonic() > deadline:
            raise Conflict(
                f"Calls that still run hold some of it: {format_pollen(outcome.unheld)} of "
                f"{format_pollen(outcome.balance)} pollen are free. Try again when they have ended.",
                reason="held",
            )
        time.sleep(_PAUSE_SECONDS)
    return outcome


@click.command("refund")
@click.argument("request_id")
@click.option("--amount", help="So much of the charge; without it all that is left of it.")
@click.option("--reason", default="", help="Why, for the audit trail.")
@common
def refund(
    request_id: str, amount: str | None, reason: str, data: Path | None, config: Path | None, as_json: bool
) -> None:
    """Give the charge of a request back to the buckets and key budgets that paid it, never more than was charged.

    An app's author returns what was earned by it, as far as it is not spent; the platform gives the rest. The charge
    and its usage row stay; the refund is a transfer of its own."""
    with opened(data, config, as_json) as run:
        nano = None if amount is None else pollen(amount, "--amount")
        row = _refunded(run, request_id, nano, reason)
        parts = ", ".join(f"{part} to {account}" for account, part in row["parts"].items())
        author = f" The app's author gave {row['fromAuthor']} of it." if row["fromAuthor"] != "0" else ""
        run.show(row, f"Gave {row['amount']} pollen back: {parts}. {row['left']} of this charge is left.{author}")


def _refunded(run: Admin, request_id: str, nano: int | None, reason: str) -> dict[str, Any]:
    """Waits a little for what workers hold of the author's; in the end the platform gives that."""
    deadline = time.monotonic() + _PATIENCE_SECONDS

    def give_back(connection: Connection) -> dict[str, Any] | corrections.Busy:
        wait = time.monotonic() < deadline
        done = corrections.refund(connection, request_id, run.actor, nano, wait=wait)
        if isinstance(done, corrections.Busy):
            return done
        told = {"request": request_id, "amount": format_pollen(done.amount)}
        why = {"reason": reason} if reason else {}
        audit.note(connection, run.actor, "credit.refund", done.user_id, **told, **why)
        return {
            "request": request_id,
            "user": done.user_id,
            "amount": format_pollen(done.amount),
            "fromAuthor": format_pollen(done.from_author),
            "left": format_pollen(done.left),
            "parts": {account: format_pollen(part) for account, part in done.parts.items()},
            "balance": views.balances_row(credit.balances(connection, done.user_id)),
        }

    while isinstance(outcome := run.write(give_back), corrections.Busy):
        run.give_back_of_dead()
        time.sleep(_PAUSE_SECONDS)
    return outcome


@click.command("rerate")
@click.option("--from", "first", type=_DAY, required=True, help="First day, UTC: 2026-03-01.")
@click.option("--to", "last", type=_DAY, required=True, help="Last day, UTC, included.")
@click.option("--user", help="Only this account: name or id.")
@click.option(
    "--prices",
    type=click.Choice(["stored", "current"]),
    default="stored",
    show_default=True,
    help="With current, also what the period would cost at today's prices.",
)
@common
def rerate(
    first: datetime,
    last: datetime,
    user: str | None,
    prices: str,
    data: Path | None,
    config: Path | None,
    as_json: bool,
) -> None:
    """Compute every charge of a period again, from what its usage row keeps. Changes nothing.

    Exit code 0 when every row's price follows from its units and rates, 1 when one does not."""
    with opened(data, config, as_json) as run:
        if last < first:
            raise BadRequest("--to: must not be before --from.")
        price_of = current_prices(run.catalog().models) if prices == "current" else None

        def look(connection: Connection) -> Rerated:
            user_id = users.find_user(connection, user).id if user else None
            return compute_again(connection, first.date(), last.date(), user_id=user_id, price_of=price_of)

        done = run.read(look)
        answer = _rerated(done, current=price_of is not None)
        run.show(answer, *_lines(answer))
    if done.wrong:
        raise SystemExit(1)


def _rerated(done: Rerated, *, current: bool) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "ok": not done.wrong,
        "rows": done.rows,
        "measured": format_pollen(done.measured),
        "wrong": [
            {
                "request_id": wrong.request_id,
                "model": wrong.model,
                "measured": format_pollen(wrong.measured),
                "computed": None if wrong.computed is None else format_pollen(wrong.computed),
                "why": wrong.why or None,
            }
            for wrong in done.wrong
        ],
    }
    if current:
        answer["current"] = {
            "models": [
                {
                    "model": model.model,
                    "requests": model.requests,
                    "was": format_pollen(model.was),
                    "now": format_pollen(model.now),
                    "difference": format_pollen(model.difference),
                    "unpriced": model.unpriced,
                }
                for model in done.models
            ],
            "was": format_pollen(sum(model.was for model in done.models)),
            "now": format_pollen(sum(model.now for model in done.models)),
            "difference": format_pollen(sum(model.difference for model in done.models)),
            "unpriced": sum(model.unpriced for model in done.models),
        }
    return answer


def _lines(answer: dict[str, Any]) -> list[str]:
    wrong = answer["wrong"]
    lines = [
        f"{answer['rows']} rows, {answer['measured']} pollen; {len(wrong)} do not follow from their units and rates"
    ]
    for row in wrong[:_SHOWN]:
        computed = row["why"] if row["computed"] is None else f"computed {row['computed']}"
        lines.append(f"BAD  {row['request_id']}  {row['model']}  measured {row['measured']}, {computed}")
    if (current := answer.get("current")) is not None:
        lines.append(f"{'model':28} {'requests':>9} {'was':>16} {'now':>16} {'difference':>16}")
        for row in current["models"]:
            unpriced = f"  ({row['unpriced']} without a price now)" if row["unpriced"] else ""
            lines.append(
                f"{row['model']:28} {row['requests']:>9} {row['was']:>16} {row['now']:>16} {row['difference']:>16}{unpriced}"
            )
        lines.append(f"{'in all':28} {'':>9} {current['was']:>16} {current['now']:>16} {current['difference']:>16}")
        if current["unpriced"]:
            lines.append("Without a price now: models that are gone, or of a file: name the server's with --config.")
    return lines
