"""Every table on one page. Times are milliseconds since the epoch, UTC; amounts are nano-pollen; JSON is text.

The migrations in ``migrations/`` build these tables; a test holds the two together. ``docs/reference/tables.md`` is
made from this page: the first argument of ``info`` is the sentence shown there.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)

metadata = MetaData()

#: SQLite numbers rows by itself only for a column of exactly the type INTEGER.
_RowId = BigInteger().with_variant(Integer, "sqlite")

#: Refunds are few, so their index costs a charge nothing.
_REFUNDS = text("reason = 'refund'")


def _doc(sentence: str) -> dict[str, str]:
    return {"doc": sentence}


revisions = Table(
    "revisions",
    metadata,
    Column("name", Text, primary_key=True),
    Column("number", BigInteger, nullable=False),
    info=_doc("Counters that workers watch: `keys` rises whenever a key or its owner changes."),
)

secrets = Table(
    "secrets",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
    info=_doc("Random values made on the first start, such as the one that client addresses are hashed with."),
)

once = Table(
    "once",
    metadata,
    Column("key", Text, primary_key=True),
    Column("at", BigInteger, nullable=False),
    info=_doc("What must happen only once: the first start, each account's refill of an hour."),
)

# --- accounts ---

users = Table(
    "users",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("email", Text),
    Column("github", Text),
    Column("image", Text),
    Column("tier", Text, nullable=False),
    Column("role", Text, CheckConstraint("role IN ('user', 'admin')"), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("banned_at", BigInteger),
    Column("email_verified_at", BigInteger),
    Column("time_zone", Text),
    Column("likeness", Text, nullable=False, unique=True),
    Column("browsers_since", BigInteger, nullable=False),
    info=_doc(
        "People. Sign-in identities stand apart; an email address identifies nobody. `likeness` is the name as people "
        "tell names apart: nobody has one that looks like another's. Browsers marked before `browsers_since` are strangers."
    ),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id"), nullable=False),
    Column("parent_id", Text, ForeignKey("api_keys.id")),
    Column("app_key_id", Text),
    Column("type", Text, CheckConstraint("type IN ('secret', 'publishable')"), nullable=False),
    Column("name", Text, nullable=False),
    Column("hash", Text, nullable=False, unique=True),
    Column("start", Text, nullable=False),
    Column("public_value", Text),
    Column("models", Text),
    Column("scopes", Text, nullable=False),
    Column("budget_limit", BigInteger, CheckConstraint("budget_limit >= 0")),
    Column("budget_period", Text, CheckConstraint("budget_period IN ('day', 'week', 'month')")),
    Column("app_url", Text),
    Column("redirect_uris", Text),
    Column("origins", Text),
    Column("markup", BigInteger, CheckConstraint("markup BETWEEN 0 AND 500"), nullable=False),
    Column("devices", Integer, nullable=False),
    Column("created_via", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("last_request_at", BigInteger),
    Column("enabled", Integer, nullable=False),
    Index("api_keys_of_user", "user_id"),
    Index("api_keys_of_parent", "parent_id"),
    info=_doc("API keys. Only the hash is stored, but a publishable key, being public, stays readable."),
)

former_values = Table(
    "former_values",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("key_id", Text, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index("former_values_of_key", "key_id"),
    info=_doc("Hashes of values that rotated keys had before; each works until `expires_at` and ends with its key."),
)

login_links = Table(
    "login_links",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id"), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),
    Column("purpose", Text, CheckConstraint("purpose IN ('sign-in', 'reset', 'verify')"), nullable=False),
    Column("email", Text),
    info=_doc("One-time links, stored hashed: to sign in, to set a new password, to verify the address `email`."),
)

passwords = Table(
    "passwords",
    metadata,
    Column("user_id", Text, ForeignKey("users.id"), primary_key=True),
    Column("hash", Text, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    info=_doc("Passwords as argon2id hashes."),
)

passkeys = Table(
    "passkeys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    Column("sign_count", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("last_used_at", BigInteger),
    Index("passkeys_of_user", "user_id"),
    info=_doc("WebAuthn credentials; `id` is the credential's, base64url."),
)

identities = Table(
    "identities",
    metadata,
    Column("provider", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id"), nullable=False),
    Column("label", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("last_used_at", BigInteger),
    Index("identities_of_user", "user_id"),
    info=_doc("Accounts at GitHub or an OIDC provider that sign a person in. `provider` is `github` or the issuer."),
)

flows = Table(
    "flows",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("data", Text, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    info=_doc(
        "Steps that wait for a browser to come back, once: passkey challenges, sign-ins at a provider, a forgotten password."
    ),
)

invites = Table(
    "invites",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("note", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("uses_left", Integer, CheckConstraint("uses_left >= 0"), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    info=_doc("Invitations to sign up, stored hashed. `actor` made it: an account or `cli:<user>`."),
)

oauth_codes = Table(
    "oauth_codes",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id"), nullable=False),
    Column("client_id", Text, nullable=False),
    Column("redirect_uri", Text, nullable=False),
    Column("challenge", Text, nullable=False),
    Column("terms", Text, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),
    Column("key_id", Text),
    info=_doc(
        "Authorization codes, stored hashed: one use within 60 seconds. `terms` is the key that the user agreed to."
    ),
)

device_codes = Table(
    "device_codes",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("user_code", Text, nullable=False, unique=True),
    Column("client_id", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("status", Text, CheckConstraint("status IN ('pending', 'approved', 'denied', 'used')"), nullable=False),
    Column("user_id", Text),
    Column("terms", Text),
    Column("expires_at", BigInteger, nullable=False),
    Column("pause", BigInteger, nullable=False),
    Column("polled_at", BigInteger),
    info=_doc(
        "Devices that wait for their user (RFC 8628). Both codes are stored hashed; the key is made when it is fetched."
    ),
)

refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("key_id", Text, nullable=False),
    Column("client_id", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("used_at", BigInteger),
    Index("refresh_tokens_of_key", "key_id"),
    info=_doc("Refresh tokens, stored hashed: each works once and brings the next. They end with their key."),
)

oauth_clients = Table(
    "oauth_clients",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("redirect_uris", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),
    info=_doc("Clients that registered themselves, where that is allowed; one that is not used for 90 days goes."),
)

attempts = Table(
    "attempts",
    metadata,
    Column("bucket", Text, primary_key=True),
    Column("busy_until", BigInteger, nullable=False),
    info=_doc(
        "How often somebody tried to sign in lately, for each account and, as a keyed hash, client address. A row whose "
        "`busy_until` has passed means nothing and goes."
    ),
)

audit = Table(
    "audit",
    metadata,
    Column("id", _RowId, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("details", Text, nullable=False),
    Index("audit_of_subject", "subject", "id"),
    info=_doc(
        "Who did what to whom: accounts, keys, tiers, credit. Append-only, but that the details go with a deleted account; "
        "each row is written in the transaction of what it tells. `subject` is the account concerned, "
        "`actor` an account, `cli:<user>` or `system`."
    ),
)

sessions = Table(
    "sessions",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id"), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("browser", Text, nullable=False),
    Column("via", Text, nullable=False),
    Index("sessions_of_user", "user_id"),
    info=_doc("Signed-in browsers; the cookie's value is stored hashed."),
)

limits = Table(
    "limits",
    metadata,
    Column("key_id", Text, primary_key=True),
    Column("address", Text, primary_key=True),
    Column("spent", BigInteger, CheckConstraint("spent >= 0"), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("request_id", Text),
    Column("held", BigInteger, CheckConstraint("held >= 0"), nullable=False),
    Column("busy_until", BigInteger, nullable=False),
    info=_doc("What a publishable key spent lately, per hashed client address and (address `*`) over all in a day."),
)

# --- ledger: written by openpollen.ledger only ---

ledger_accounts = Table(
    "ledger_accounts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("kind", Text, CheckConstraint("kind IN ('wallet', 'budget')"), nullable=False),
    Column("balance", BigInteger, nullable=False),
    Column("held", BigInteger, nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    CheckConstraint("held >= 0 AND balance >= held", name="never_below_zero"),
    Index("ledger_accounts_of_owner", "owner"),
    info=_doc(
        "Buckets of wallets (`<user>/tier`, `/crypto`, `/pack`) and budgets of keys (`<key>/total` or "
        "`<key>/<period>:<start>`). `balance` is the sum of the account's transfers, `held` the sum of its open leases "
        "and stored holds."
    ),
)

transfers = Table(
    "transfers",
    metadata,
    Column("id", _RowId, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("debit", Text, nullable=False),
    Column("credit", Text, nullable=False),
    Column("amount", BigInteger, CheckConstraint("amount > 0"), nullable=False),
    Column("reason", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("request_id", Text),
    CheckConstraint("debit <> credit", name="two_accounts"),
    Index("transfers_of_refunds", "request_id", sqlite_where=_REFUNDS, postgresql_where=_REFUNDS),
    info=_doc(
        "Append-only. Each row takes an amount from `debit` and gives it to `credit`, so every row balances. "
        "`outside`, `platform`, `shortfall` and `budgets` are accounts without a stored balance."
    ),
)

holds = Table(
    "holds",
    metadata,
    Column("request_id", Text, primary_key=True),
    Column("account_id", Text, ForeignKey("ledger_accounts.id"), primary_key=True),
    Column("amount", BigInteger, CheckConstraint("amount > 0"), nullable=False),
    Column("worker", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    info=_doc(
        "Holds that stand by themselves, outside leases, one row for each leg; gone with the settlement. `worker` is "
        "empty for the hold of a stored job; with `intent` every hold is here."
    ),
)

ledger_workers = Table(
    "ledger_workers",
    metadata,
    Column("name", Text, primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    info=_doc("Workers with leases. Each of their commits renews `expires_at` and is conditional on `epoch`."),
)

leases = Table(
    "leases",
    metadata,
    Column("account_id", Text, ForeignKey("ledger_accounts.id"), primary_key=True),
    Column("worker", Text, primary_key=True),
    Column("amount", BigInteger, CheckConstraint("amount >= 0"), nullable=False),
    Column("state", Integer, CheckConstraint("state IN (0, 1, 2)"), nullable=False),
    Index("leases_of_worker", "worker"),
    info=_doc(
        "Slices of accounts that workers spend from in memory. `state`: 0 in use, 1 recalled, 2 recalled and drained, "
        "so that all of it is held by open calls."
    ),
)

claims = Table(
    "claims",
    metadata,
    Column("id", _RowId, primary_key=True),
    Column("user_id", Text, nullable=False),
    Column("worker", Text, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index("claims_of_user", "user_id"),
    info=_doc("Calls that wait for money of a wallet, oldest first."),
)

# --- usage ---

usage = Table(
    "usage",
    metadata,
    Column("id", _RowId, primary_key=True),
    Column("request_id", Text, nullable=False, unique=True),
    Column("at", BigInteger, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("key_id", Text),
    Column("terms", Text, nullable=False),
    Column("meter_source", Text),
    Column("units", Text, nullable=False),
    Column("measured", BigInteger, CheckConstraint("measured >= 0"), nullable=False),
    Column("charged", BigInteger, CheckConstraint("charged >= 0"), nullable=False),
    Column("shortfall", BigInteger, CheckConstraint("shortfall >= 0"), nullable=False),
    Column("response_ms", Integer),
    Column("estimated", Integer, nullable=False),
    Column("partial", Integer, nullable=False),
    Column("cached", Integer, nullable=False),
    CheckConstraint(
        "measured <= charged + shortfall AND 2 * (charged + shortfall - measured) <= measured + 1",
        name="price_is_paid_or_booked",
    ),
    Index("usage_of_user", "user_id", "at", "id"),
    Index("usage_of_key", "key_id", "at", "id"),
    info=_doc(
        "One row for each request, written in the transaction that settles it. `units`, and what its `terms` say, are what "
        "its charge can be computed from again."
    ),
)

usage_terms = Table(
    "usage_terms",
    metadata,
    Column("id", Text, primary_key=True),
    Column("key_name", Text),
    Column("key_type", Text),
    Column("app_key_id", Text),
    Column("type", Text, nullable=False),
    Column("model", Text),
    Column("served_model", Text),
    Column("provider", Text),
    Column("rates", Text, nullable=False),
    Column("facts", Text, nullable=False),
    Column("price_version", Text, nullable=False),
    Column("catalog_revision", Text, nullable=False),
    info=_doc(
        "What requests have in common: the key as it was then, the model, what served it, and the `rates` of its price with "
        "the `facts` that chose between them. Rows never change; `id` is a hash of all the rest."
    ),
)

usage_daily = Table(
    "usage_daily",
    metadata,
    Column("user_id", Text, primary_key=True),
    Column("date", Text, primary_key=True),
    Column("model", Text, primary_key=True),
    Column("meter_source", Text, primary_key=True),
    Column("key_id", Text, primary_key=True),
    Column("requests", BigInteger, nullable=False),
    Column("cost", BigInteger, nullable=False),
    info=_doc(
        "The usage of a UTC day, kept in the settling transaction. "
        "A split charge counts its request where most was paid."
    ),
)

usage_apps = Table(
    "usage_apps",
    metadata,
    Column("app_key_id", Text, primary_key=True),
    Column("date", Text, primary_key=True),
    Column("user_id", Text, primary_key=True),
    Column("meter_source", Text, primary_key=True),
    Column("requests", BigInteger, nullable=False),
    Column("cost", BigInteger, nullable=False),
    info=_doc(
        "What came through each app on a UTC day, by user and bucket, kept in the settling transaction. Its owner is shown "
        "counts only."
    ),
)

# --- media, cache, idempotency, jobs ---

media = Table(
    "media",
    metadata,
    Column("id", Text, primary_key=True),
    Column("sha256", Text, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index("media_by_expiry", "expires_at"),
    info=_doc("Stored files; the bytes lie in the `blobs` folder under their SHA-256."),
)

media_refs = Table(
    "media_refs",
    metadata,
    Column("media_id", Text, ForeignKey("media.id"), primary_key=True),
    Column("user_id", Text, primary_key=True),
    Column("name", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index("media_refs_of_user", "user_id", "created_at"),
    info=_doc("Who uploaded a file. The bytes go with the last reference."),
)

cached_answers = Table(
    "cached_answers",
    metadata,
    Column("partition", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("status", Integer, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("headers", Text, nullable=False),
    Column("body", LargeBinary),
    Column("blob", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index("cached_answers_by_expiry", "expires_at"),
    info=_doc("Answers to requests with a fixed seed, kept apart for each account, grant or publishable key."),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("account", Text, primary_key=True),
    Column("endpoint", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("body_hash", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("lease_until", BigInteger, nullable=False),
    Column("status", Integer),
    Column("media_type", Text),
    Column("headers", Text),
    Column("body", LargeBinary),
    Column("blob", Text),
    Column("expires_at", BigInteger, nullable=False),
    Index("idempotency_by_expiry", "expires_at"),
    info=_doc("Requests with an `Idempotency-Key`: who works on them, then their answer."),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("request_id", Text, primary_key=True),
    Column("key_id", Text, nullable=False),
    Column("identity", Text, nullable=False),
    Column("state", Text, CheckConstraint("state IN ('attended', 'left', 'taken')"), nullable=False),
    Column("worker", Text, nullable=False),
    Column("lease_until", BigInteger, nullable=False),
    Column("status", Integer),
    Column("media_type", Text),
    Column("headers", Text),
    Column("body", LargeBinary),
    Column("blob", Text),
    Column("expires_at", BigInteger, nullable=False),
    Index("deliveries_of_key", "key_id", "identity"),
    Index("deliveries_by_expiry", "expires_at"),
    info=_doc(
        "Paid media that is being made. When its client leaves (`left`), the next identical request of the same key takes "
        "it over (`taken`), or its answer."
    ),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, nullable=False),
    Column("key_id", Text),
    Column("kind", Text, nullable=False),
    Column("status", Text, CheckConstraint("status IN ('queued', 'running', 'done', 'failed')"), nullable=False),
    Column("progress", Integer, nullable=False),
    Column("request", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("work", Text),
    Column("provider", Text),
    Column("upstream_id", Text),
    Column("media_id", Text),
    Column("result", Text),
    Column("error", Text),
    Column("cancelled", Integer, nullable=False),
    Column("worker", Text),
    Column("lease_until", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index("jobs_of_user", "user_id", "created_at"),
    Index("jobs_by_status", "status", "lease_until"),
    Index("jobs_of_request", "request_id"),
    info=_doc(
        "Long work, such as a video. `work` keeps what another worker needs to take it up again; `cancelled` is set when "
        "its owner wants it no more, which whoever runs it sees."
    ),
)
