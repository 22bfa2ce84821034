"""The answers of ``/api/account/{profile,balance,key,keys}`` as plain dictionaries, fields in the contract's order."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from openpollen.accounts.keys import Key
from openpollen.accounts.permissions import Caller
from openpollen.accounts.tiers import Tiers
from openpollen.accounts.users import User
from openpollen.core.money import pollen_number
from openpollen.ledger.entries import Balances, iso


def profile(user: User, tiers: Tiers) -> dict[str, Any]:
    """The answer of ``GET /profile``."""
    return {
        "name": user.name,
        "email": user.email,
        "githubUsername": user.github,
        "image": user.image,
        "tier": user.tier,
        "createdAt": time_text(user.created_at),
        "nextResetAt": tiers.next_reset(user.tier),
    }


def balance(caller: Caller, wallet: Balances, key_remaining: int | None) -> dict[str, Any]:
    """The answer of ``GET /balance``. ``key_remaining`` is what the calling key may still spend, ``None`` without a
    budget."""
    answer: dict[str, Any] = {"balance": pollen_number(wallet.total if key_remaining is None else key_remaining)}
    if caller.may_see_balance():
        answer["accountBalance"] = {
            "total": pollen_number(wallet.total),
            "tier": pollen_number(wallet.tier),
            "pack": pollen_number(wallet.pack),
            "crypto": pollen_number(wallet.crypto),
        }
    return answer


def listed_keys(keys: Iterable[tuple[Key, int | None]]) -> dict[str, Any]:
    """The answer of ``GET /keys``; each key comes with what remains of its budget."""
    return {"data": [_listed(key, remaining) for key, remaining in keys]}


def created_key(key: Key, value: str) -> dict[str, Any]:
    """The answer of ``POST /keys``; the only place where a secret key is shown."""
    return {
        "id": key.id,
        "key": value,
        "name": key.name,
        "type": key.type,
        "prefix": value[:3],
        "start": key.start,
        "expiresAt": time_text(key.expires_at),
        "expiresIn": _seconds_left(key.expires_at),
        "permissions": _permissions(key.models, key.scopes),
        "pollenBudget": None if key.budget_limit is None else pollen_number(key.budget_limit),
        "byopClientKeyId": key.app_key_id,
        "metadata": _metadata(key),
    }


def current_key(caller: Caller, key_remaining: int | None) -> dict[str, Any]:
    """The answer of ``GET /key``. Models, scopes and expiry are those in force, narrowed by the key's ancestors."""
    scopes = [scope for scope in ("profile", "balance", "usage", "keys") if scope in caller.scopes]
    return {
        "valid": True,
        "type": caller.key_type,
        "name": caller.key_name,
        "expiresAt": time_text(caller.expires_at),
        "expiresIn": _seconds_left(caller.expires_at),
        "permissions": {"models": None if caller.models is None else sorted(caller.models), "account": scopes or None},
        "pollenBudget": None if key_remaining is None else pollen_number(key_remaining),
        "rateLimitEnabled": caller.limited,
        "id": caller.key_id,
        "userId": caller.user.id,
        "budgetLimit": pollen_number(caller.budget.limit) if caller.budget else None,
        "budgetPeriod": caller.budget.period if caller.budget else None,
        "byopClientKeyId": caller.app_key_id,
    }


def user_row(user: User, wallet: Balances) -> dict[str, Any]:
    """A user as ``polli admin user`` prints it."""
    return {
        "id": user.id,
        "name": user.name,
        "email": user.email,
        "tier": user.tier,
        "role": user.role,
        "createdAt": time_text(user.created_at),
        "banned": user.banned_at is not None,
        "balance": balances_row(wallet),
    }


def balances_row(wallet: Balances) -> dict[str, Any]:
    """A wallet in pollen."""
    return {name: pollen_number(getattr(wallet, name)) for name in ("total", "tier", "crypto", "pack")}


def time_text(ms: int | None) -> str | None:
    """Milliseconds as an ISO timestamp in UTC."""
    return None if ms is None else iso(datetime.fromtimestamp(ms / 1000, UTC))


def _listed(key: Key, remaining: int | None) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "start": key.start,
        "prefix": key.start[:3],
        "createdAt": time_text(key.created_at),
        "expiresAt": time_text(key.expires_at),
        "lastRequest": time_text(key.last_request_at),
        "permissions": _permissions(key.models, key.scopes),
        "metadata": _metadata(key),
        "pollenBalance": None if remaining is None else pollen_number(remaining),
        "enabled": key.enabled,
        "pollenBudget": None if key.budget_limit is None else pollen_number(key.budget_limit),
        "budgetPeriod": key.budget_period,
        "parentId": key.parent_id,
        "byopClientKeyId": key.app_key_id,
    }


def _permissions(models: tuple[str, ...] | None, scopes: tuple[str, ...]) -> dict[str, Any] | None:
    permissions: dict[str, Any] = {}
    if models is not None:
        permissions["models"] = list(models)
    if scopes:
        permissions["account"] = list(scopes)
    return permissions or None


def _metadata(key: Key) -> dict[str, Any]:
    metadata: dict[str, Any] = {"keyType": key.type, "createdVia": key.created_via}
    if key.public_value is not None:
        metadata["plaintextKey"] = key.public_value
    if key.app_url:
        metadata["appUrl"] = key.app_url
    if key.redirect_uris:
        metadata["redirectUris"] = list(key.redirect_uris)
    if key.origins:
        metadata["origins"] = list(key.origins)
    if key.app:
        metadata |= {"markup": key.markup / 10, "devices": key.devices}
    return metadata


def _seconds_left(expires_at: int | None) -> int | None:
    return None if expires_at is None else max(0, int(expires_at / 1000 - time.time()))
