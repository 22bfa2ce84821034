"""Who calls, and every "may this caller ..." rule (rules 10, 31-33). ``docs/reference/permissions.md`` says the
same in a table."""

from __future__ import annotations

from collections.abc import Container
from typing import Literal

from msgspec import Struct

from openpollen.accounts.users import User
from openpollen.core.errors import Forbidden, Unauthorized
from openpollen.core.ids import KeyType
from openpollen.ledger.entries import KeyBudget, Markup

Scope = Literal["profile", "balance", "usage", "keys"]

#: Account scopes a key can carry, in the order in which they are shown.
SCOPES: tuple[Scope, ...] = ("profile", "balance", "usage", "keys")


def scopes_in(words: Container[str]) -> tuple[Scope, ...]:
    """The account scopes among words, in the order in which they are shown."""
    return tuple(scope for scope in SCOPES if scope in words)


#: How keys come to be that a user granted to an app or a device.
CONSENT = frozenset({"redirect-auth", "device", "oauth"})


class Caller(Struct, frozen=True):
    """A live key and its owner. Models, scopes and expiry are already narrowed by every ancestor of the key.

    ``chain`` holds the ids of the key and its ancestors, the key first; ``budgets`` those of them that have a limit.
    ``models`` is ``None`` for all and empty for none. ``granted`` is true for a key made through consent, and for its
    children. ``markup`` is what the app's author takes on top of each price; ``app_off`` is true while he has
    switched the app off. ``page`` marks a signed-in page of ours, which
    has no key at all.
    """

    user: User
    key_id: str
    key_name: str
    key_type: KeyType
    chain: tuple[str, ...]
    models: frozenset[str] | None = None
    scopes: frozenset[str] = frozenset()
    budgets: tuple[KeyBudget, ...] = ()
    expires_at: int | None = None
    app_key_id: str | None = None
    granted: bool = False
    app: bool = False
    origins: frozenset[str] = frozenset()
    markup: Markup | None = None
    app_off: bool = False
    page: bool = False

    @property
    def secret(self) -> bool:
        return self.key_type == "secret"

    @property
    def budget(self) -> KeyBudget | None:
        """The key's own budget, apart from its ancestors'."""
        return next((budget for budget in self.budgets if budget.key_id == self.key_id), None)

    @property
    def partition(self) -> str:
        """Whose cached answers this caller shares: the account's, those of one grant to an app, or the publishable
        key's own."""
        if not self.secret:
            return self.key_id
        return f"{self.user.id}:{self.app_key_id or self.chain[-1]}" if self.granted else self.user.id

    @property
    def limited(self) -> bool:
        """Whether the limiter of publishable keys applies: an app key spends from its own budget instead."""
        return not self.secret and not self.app

    def may_use(self, model: str) -> bool:
        return self.models is None or model in self.models

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes

    def may_see_balance(self) -> bool:
        """Whether the wallet may be shown; the rest of its own budget a key may always see."""
        return self.may("balance") or self.may("usage")

    def may_reach(self, ancestors: tuple[str, ...]) -> bool:
        """Whether this caller may list or revoke a key with this chain: a granted key reaches only what it made."""
        return self.key_id in ancestors if self.granted else True

    def may_call_from(self, origin: str | None) -> bool:
        """Whether a browser page of this origin may use the key; without a list, or without a browser, it may."""
        return not self.origins or origin is None or origin.lower() in self.origins

    def require_model(self, model: str) -> None:
        """Raises Forbidden when the key is not for this model."""
        if not self.may_use(model):
            names = ", ".join(sorted(self.models or ())) or "none"
            raise Forbidden(f"This key may not use {model}. Models it may use: {names}.", reason="model")

    def require_scope(self, scope: Scope) -> None:
        """Raises Forbidden when the key lacks an account scope."""
        if not self.may(scope):
            raise Forbidden(f"This key lacks the permission account:{scope}. Use a key that has it.", reason="scope")

    def require_balance(self) -> None:
        """Raises Forbidden when the key has neither a budget nor a scope that shows the balance."""
        if self.budget is None and not self.may_see_balance():
            raise Forbidden("This key lacks the permission account:balance. Use a key that has it.", reason="scope")

    def require_key_management(self) -> None:
        """Raises Forbidden unless this is a secret key with the keys scope. A publishable key never manages keys."""
        if not self.secret:
            raise Forbidden(
                "A publishable key cannot manage keys. Use a secret key (sk_) with account:keys.", reason="key_type"
            )
        self.require_scope("keys")

    def require_key(self) -> None:
        """Raises Unauthorized for a signed-in page, where only a key has what is asked for."""
        if self.page:
            raise Unauthorized("This tells of the calling key: send one, as Authorization: Bearer YOUR_KEY.")

    def require_origin(self, origin: str | None) -> None:
        """Raises Forbidden when the key is bound to other origins."""
        if not self.may_call_from(origin):
            raise Forbidden(f"This key is not for use on {origin}. Add that origin to the key.", reason="origin")
