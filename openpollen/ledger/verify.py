"""Adds everything up again. What cannot be derived twice and agree is a problem, with the rows that show it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import text

from openpollen.storage.database import Connection

_SHOWN = 5
#: The UTC day of a usage row, which each database writes in its own way.
_DAY = {
    "sqlite": "strftime('%Y-%m-%d', u.at / 1000, 'unixepoch')",
    "postgresql": "to_char(to_timestamp(u.at / 1000) AT TIME ZONE 'UTC', 'YYYY-MM-DD')",
}
#: Usage added up again: each request where most was paid, each payment in the bucket it came from.
_COUNTED = """WITH counted AS (
            SELECT u.user_id, :day AS date, COALESCE(s.model, '') AS model, COALESCE(u.meter_source, '') AS bucket,
                COALESCE(u.key_id, '') AS key_id, s.app_key_id, 1 AS requests, 0 AS cost
            FROM usage u JOIN usage_terms s ON s.id = u.terms
            UNION ALL
            SELECT u.user_id, :day, COALESCE(s.model, ''), SUBSTR(t.debit, LENGTH(u.user_id) + 2),
                COALESCE(u.key_id, ''), s.app_key_id, 0, t.amount
            FROM transfers t JOIN usage u ON u.request_id = t.request_id JOIN usage_terms s ON s.id = u.terms
            WHERE (t.reason = 'charge' AND t.credit = 'platform') OR t.reason = 'markup')"""

#: What must hold -> a query for the rows that break it. ``:now`` is the time in milliseconds, ``:day`` becomes the row's day,
#: ``:counted`` the table of usage added up again.
CHECKS: dict[str, str] = {
    "every transfer moves a positive amount between two accounts": """
        SELECT id, debit, credit, amount FROM transfers WHERE amount <= 0 OR debit = credit""",
    "every stored balance is the sum of its transfers": """
        SELECT a.id, a.balance, COALESCE(m.total, 0) AS transfers FROM ledger_accounts a LEFT JOIN (
            SELECT account, SUM(amount) AS total FROM (
                SELECT credit AS account, amount FROM transfers UNION ALL SELECT debit, -amount FROM transfers) t
            WHERE account NOT IN ('outside', 'platform', 'shortfall', 'budgets') GROUP BY account) m ON m.account = a.id
        WHERE a.balance <> COALESCE(m.total, 0)""",
    "no transfer names an account that is not there": """
        SELECT DISTINCT account FROM (
            SELECT credit AS account FROM transfers UNION SELECT debit FROM transfers) t
        WHERE account NOT IN ('outside', 'platform', 'shortfall', 'budgets')
            AND account NOT IN (SELECT id FROM ledger_accounts)""",
    "what is held is the sum of the open leases and stored holds": """
        SELECT a.id, a.held, COALESCE(h.total, 0) AS holds FROM ledger_accounts a LEFT JOIN (
            SELECT account_id, SUM(amount) AS total FROM (
                SELECT account_id, amount FROM holds UNION ALL SELECT account_id, amount FROM leases) s
            GROUP BY account_id) h ON h.account_id = a.id
        WHERE a.held <> COALESCE(h.total, 0)""",
    "no account is below zero or holds more than it has": """
        SELECT id, balance, held FROM ledger_accounts WHERE balance < 0 OR held < 0 OR held > balance""",
    "no hold is older than its limit": """
        SELECT request_id, account_id, amount FROM holds WHERE expires_at < :now - 120000""",
    "no lease is older than its limit": """
        SELECT l.account_id, l.worker, l.amount FROM leases l LEFT JOIN ledger_workers w ON w.name = l.worker
        WHERE w.name IS NULL OR w.expires_at < :now - 120000""",
    "no settled request still holds money": """
        SELECT h.request_id, h.account_id FROM holds h JOIN usage u ON u.request_id = h.request_id""",
    "every usage row names its terms": """
        SELECT u.request_id, u.terms FROM usage u LEFT JOIN usage_terms t ON t.id = u.terms WHERE t.id IS NULL""",
    "every usage row says what was charged": """
        SELECT u.request_id, u.charged, COALESCE(c.total, 0) AS transfers FROM usage u LEFT JOIN (
            SELECT request_id, SUM(amount) AS total FROM transfers
            WHERE (reason = 'charge' AND credit = 'platform') OR reason = 'markup'
            GROUP BY request_id) c ON c.request_id = u.request_id
        WHERE u.charged <> COALESCE(c.total, 0)""",
    "every price was charged or covered, and what was charged above it is an author's": """
        SELECT u.request_id, u.measured, u.charged, u.shortfall, COALESCE(c.total, 0) AS markup FROM usage u LEFT JOIN (
            SELECT request_id, SUM(amount) AS total FROM transfers
            WHERE reason = 'markup' GROUP BY request_id) c ON c.request_id = u.request_id
        WHERE u.charged + u.shortfall <> u.measured + COALESCE(c.total, 0) OR 2 * COALESCE(c.total, 0) > u.measured + 1""",
    "every usage row says what the platform covered": """
        SELECT u.request_id, u.shortfall, COALESCE(c.total, 0) AS transfers FROM usage u LEFT JOIN (
            SELECT request_id, SUM(amount) AS total FROM transfers
            WHERE reason = 'shortfall' GROUP BY request_id) c ON c.request_id = u.request_id
        WHERE u.shortfall <> COALESCE(c.total, 0)""",
    "every charge has its usage row": """
        SELECT DISTINCT t.request_id FROM transfers t LEFT JOIN usage u ON u.request_id = t.request_id
        WHERE t.reason IN ('charge', 'shortfall') AND u.request_id IS NULL""",
    "every key budget paid what the wallet paid": """
        SELECT t.request_id, t.debit, t.amount FROM transfers t JOIN usage u ON u.request_id = t.request_id
        WHERE t.reason = 'charge' AND t.credit = 'budgets' AND t.amount <> u.charged""",
    "no request was given back more than it was charged": """
        SELECT r.request_id, r.total, c.total AS charged FROM (
            SELECT request_id, SUM(amount) AS total FROM transfers
            WHERE reason = 'refund' AND debit <> 'budgets' GROUP BY request_id) r
        LEFT JOIN (SELECT request_id, SUM(amount) AS total FROM transfers
            WHERE (reason = 'charge' AND credit = 'platform') OR reason = 'markup'
            GROUP BY request_id) c ON c.request_id = r.request_id
        WHERE c.total IS NULL OR r.total > c.total""",
    "every charge was paid by the user of its usage row": """
        SELECT t.request_id, t.debit, u.user_id FROM transfers t
        JOIN usage u ON u.request_id = t.request_id JOIN ledger_accounts a ON a.id = t.debit
        WHERE t.reason IN ('charge', 'markup') AND a.kind = 'wallet' AND a.owner <> u.user_id""",
    "every share went to the owner of the app": """
        SELECT t.request_id, t.credit, k.user_id FROM transfers t
        JOIN usage u ON u.request_id = t.request_id JOIN usage_terms s ON s.id = u.terms
        JOIN api_keys k ON k.id = s.app_key_id JOIN ledger_accounts a ON a.id = t.credit
        WHERE t.reason = 'markup' AND a.owner <> k.user_id""",
    "daily sums are the sums of the usage rows": """
        :counted
        SELECT user_id, date, model, bucket, key_id, SUM(requests) AS requests, SUM(cost) AS cost FROM (
            SELECT user_id, date, model, bucket, key_id, requests, cost FROM counted UNION ALL
            SELECT user_id, date, model, meter_source, key_id, -requests, -cost FROM usage_daily) t
        GROUP BY user_id, date, model, bucket, key_id HAVING SUM(requests) <> 0 OR SUM(cost) <> 0""",
    "the sums of each app are the sums of the usage rows": """
        :counted
        SELECT app_key_id, date, user_id, bucket, SUM(requests) AS requests, SUM(cost) AS cost FROM (
            SELECT app_key_id, date, user_id, bucket, requests, cost FROM counted WHERE app_key_id IS NOT NULL UNION ALL
            SELECT app_key_id, date, user_id, meter_source, -requests, -cost FROM usage_apps) t
        GROUP BY app_key_id, date, user_id, bucket HAVING SUM(requests) <> 0 OR SUM(cost) <> 0""",
}

_ASIDE = {
    "held": "SELECT COALESCE(SUM(amount), 0) FROM holds",
    "leased": "SELECT COALESCE(SUM(amount), 0) FROM leases",
}


def verify(connection: Connection, now: int | None = None) -> dict[str, Any]:
    """Runs every check in one snapshot: ``{"ok", "checks", "problems", "held", "leased"}``; the last two are what stored
    holds and workers have set aside now, in nano-pollen. ``now`` in milliseconds is for tests."""
    moment = int(time.time() * 1000) if now is None else now
    checks: list[dict[str, Any]] = []
    problems: list[str] = []
    day = _DAY[connection.dialect.name]
    for promise, check in CHECKS.items():
        query = check.replace(":counted", _COUNTED).replace(":day", day)
        broken = connection.execute(text(query), {"now": moment} if ":now" in query else {}).all()
        checks.append({"check": promise, "ok": not broken})
        if broken:
            problems.append(f"Not so: {promise}. {len(broken)} rows, such as {_some(broken)}.")
    aside = {name: int(connection.execute(text(query)).scalar_one()) for name, query in _ASIDE.items()}
    return {"ok": not problems, "checks": checks, "problems": problems, **aside}


def _some(broken: Sequence[Any]) -> str:
    return "; ".join(", ".join(str(value) for value in row) for row in broken[:_SHOWN])
