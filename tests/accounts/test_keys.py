"""Keys: what they may do, how they nest, how fast they end."""

from __future__ import annotations

import asyncio
import string
import time
from collections.abc import Sequence
from typing import Any

import pytest

from openpollen.accounts import keys as api_keys
from openpollen.accounts.authenticate import Authenticator
from openpollen.accounts.first_start import bootstrap, shown
from openpollen.accounts.keys import Key
from openpollen.accounts.permissions import Caller
from openpollen.accounts.users import User, create_user, find_user, set_banned
from openpollen.accounts.wanted_keys import NewKey
from openpollen.core.errors import BadRequest, Conflict, Forbidden, NotFound, Unauthorized
from openpollen.core.ids import new_key
from openpollen.core.money import NANO
from openpollen.ledger.credit import balances
from openpollen.storage.database import Database
from tests.dump import everything


@pytest.fixture
def user(database: Database) -> User:
    return database.write_sync(lambda c: create_user(c, "Ann", tier="microbe"))


def make(database: Database, user: User, parent: Caller | None = None, **fields: Any) -> tuple[Key, str]:
    wanted = NewKey(**{"name": "key", **fields})
    return database.write_sync(lambda c: api_keys.create_key(c, user.id, wanted, parent=parent))


def caller(database: Database, value: str) -> Caller:
    return asyncio.run(Authenticator(database).authenticate(value))


def refused(database: Database, value: str) -> str | None:
    with pytest.raises(Unauthorized) as error:
        caller(database, value)
    return error.value.reason


def test_a_key_has_the_documented_form_and_only_its_hash_is_stored(database: Database, user: User) -> None:
    _, secret = make(database, user)
    _, public = make(database, user, type="publishable")
    alphanumerics = set(string.ascii_letters + string.digits)
    assert (secret[:3], len(secret), set(secret[3:]) <= alphanumerics) == ("sk_", 35, True)
    assert (public[:3], len(public), set(public[3:]) <= alphanumerics) == ("pk_", 19, True)
    dump = everything(database)
    assert secret not in dump
    assert public in dump


def test_an_unknown_a_mistyped_and_a_foreign_word_are_401(database: Database) -> None:
    for value in (new_key("secret"), new_key("publishable"), "sk_" + "a" * 32, "Bearer", "", "sk_é" + "a" * 31):
        assert refused(database, value) is None


def test_authentication_tells_who_calls(database: Database, user: User) -> None:
    key, value = make(
        database, user, models=["flux", "openai", "flux"], scopes=["usage", "account:profile", "nonsense"], budget="1.5"
    )
    who = caller(database, value)
    assert (who.user, who.key_id, who.models, who.scopes) == (user, key.id, {"flux", "openai"}, {"usage", "profile"})
    assert who.budget is not None
    assert who.budget.limit == 1_500_000_000
    who.require_model("flux")
    with pytest.raises(Forbidden, match="flux, openai"):
        who.require_model("zimage")
    with pytest.raises(Forbidden):
        who.require_scope("balance")


def test_no_models_means_none_and_no_list_means_all(database: Database, user: User) -> None:
    assert not caller(database, make(database, user, models=[])[1]).may_use("openai")
    assert caller(database, make(database, user)[1]).may_use("openai")


def test_a_child_never_exceeds_its_parent(database: Database, user: User) -> None:
    _, value = make(database, user, models=["a", "b"], scopes=["usage", "keys"], budget=5, expires_in=100, origins=())
    parent = caller(database, value)
    child_key, child_value = make(
        database, user, parent, models=["b", "c"], scopes=["usage", "balance", "keys"], budget=50, expires_in=1000
    )
    child = caller(database, child_value)
    assert (child.models, child.scopes) == ({"b"}, {"usage"})
    assert [budget.limit // NANO for budget in child.budgets] == [50, 5]
    assert child.chain == (child_key.id, parent.key_id)
    assert child.expires_at == parent.expires_at


def test_a_key_ends_with_its_parent_and_grandparent(database: Database, user: User) -> None:
    top = caller(database, make(database, user, scopes=["keys"])[1])
    middle_key, middle = make(database, user, top)
    below_key, below = make(database, user, caller(database, middle))
    assert set(database.write_sync(lambda c: api_keys.revoke_key(c, middle_key.id, caller=top))) == {
        middle_key.id,
        below_key.id,
    }
    assert refused(database, below) is None
    assert refused(database, middle) is None


def test_keys_that_expired_were_switched_off_or_whose_owner_is_banned_stop(database: Database, user: User) -> None:
    _, expired = make(database, user, expires_in=1)
    _, off = make(database, user, name="off")
    _, good = make(database, user)
    database.write_sync(lambda c: c.exec_driver_sql("UPDATE api_keys SET expires_at = 1 WHERE expires_at > 0").rowcount)
    database.write_sync(lambda c: c.exec_driver_sql("UPDATE api_keys SET enabled = 0 WHERE name = 'off'").rowcount)
    assert refused(database, expired) == "expired"
    assert refused(database, off) is None
    assert caller(database, good).user == user
    database.write_sync(lambda c: set_banned(c, user.id, True))
    assert refused(database, good) is None


def test_revocation_reaches_another_worker_within_a_second(database: Database, user: User) -> None:
    key, value = make(database, user)

    async def work() -> float:
        elsewhere = Authenticator(database)
        await elsewhere.authenticate(value)
        await database.write(lambda c: api_keys.revoke_key(c, key.id))
        started = time.monotonic()
        while time.monotonic() - started < 5:
            try:
                await elsewhere.authenticate(value)
            except Unauthorized:
                return time.monotonic() - started
            await asyncio.sleep(0.02)
        return 5

    assert asyncio.run(work()) < 1.3


def test_forget_makes_this_worker_notice_at_once(database: Database, user: User) -> None:
    key, value = make(database, user)

    async def work() -> None:
        here = Authenticator(database)
        await here.authenticate(value)
        await database.write(lambda c: api_keys.revoke_key(c, key.id))
        here.forget()
        with pytest.raises(Unauthorized):
            await here.authenticate(value)

    asyncio.run(work())


def test_last_use_is_noted(database: Database, user: User) -> None:
    key, value = make(database, user)

    async def work() -> None:
        await Authenticator(database).authenticate(value)
        await database.write(lambda c: None)

    asyncio.run(work())
    assert database.read_sync(lambda c: api_keys.get_key(c, key.id)).last_request_at is not None


def test_a_publishable_key_carries_no_scope_but_profile_and_manages_nothing(database: Database, user: User) -> None:
    who = caller(
        database,
        make(database, user, type="publishable", scopes=["profile", "usage", "keys"], origins=["https://A.example/"])[
            1
        ],
    )
    assert who.scopes == {"profile"}
    assert who.limited
    with pytest.raises(Forbidden):
        who.require_key_management()
    assert who.may_call_from("https://a.example")
    with pytest.raises(Forbidden, match=r"evil\.example"):
        who.require_origin("https://evil.example")


def test_an_app_key_has_no_credit_unless_it_is_given_some(database: Database, user: User) -> None:
    bare, _ = make(database, user, type="publishable", app_url="https://app.example")
    given, _ = make(database, user, type="publishable", redirect_uris=["https://app.example/cb"], budget=3)
    plain, _ = make(database, user, type="publishable")
    assert (bare.budget_limit, given.budget_limit, plain.budget_limit) == (0, 3 * NANO, None)


def test_a_granted_key_reaches_only_what_it_made(database: Database, user: User) -> None:
    granted = caller(database, make(database, user, scopes=["keys"], created_via="device", app_key_id="key_app")[1])
    own = caller(database, make(database, user, scopes=["keys"])[1])
    child, child_value = make(database, user, granted)

    def ids(keys: Sequence[Key]) -> set[str]:
        return {key.id for key in keys}

    assert ids(database.read_sync(lambda c: api_keys.list_keys(c, user.id, caller=granted))) == {child.id}
    assert len(database.read_sync(lambda c: api_keys.list_keys(c, user.id, caller=own))) == 3
    with pytest.raises(NotFound):
        database.write_sync(lambda c: api_keys.revoke_key(c, own.key_id, caller=granted))
    assert child.app_key_id == "key_app"
    assert caller(database, child_value).partition == granted.partition != own.partition == user.id


def test_a_key_revokes_neither_itself_nor_what_is_above_it_nor_foreign_keys(database: Database, user: User) -> None:
    stranger = database.write_sync(lambda c: create_user(c, "Bob", tier="microbe"))
    foreign, _ = make(database, stranger)
    parent = caller(database, make(database, user, scopes=["keys"])[1])
    child = caller(database, make(database, user, parent)[1])
    for key_id, error in (
        (child.key_id, BadRequest),
        (parent.key_id, BadRequest),
        (foreign.id, NotFound),
        ("key_0", NotFound),
    ):
        with pytest.raises(error):
            database.write_sync(lambda c, key_id=key_id: api_keys.revoke_key(c, key_id, caller=child))


@pytest.mark.parametrize(
    "fields",
    [
        {"name": ""},
        {"name": "x" * 254},
        {"expires_in": 0},
        {"expires_in": -5},
        {"expires_in": 31_536_001},
        {"budget": -1},
        {"budget": float("nan")},
        {"budget": float("inf")},
        {"budget": 1e30},
        {"budget": "a lot"},
        {"budget": 1e-10},
        {"budget_period": "day"},
        {"app_url": "https://app.example"},
    ],
)
def test_what_cannot_be_a_key_is_400(database: Database, user: User, fields: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        make(database, user, **fields)


def test_keys_nest_to_a_limit(database: Database, user: User) -> None:
    value = make(database, user)[1]
    for _ in range(7):
        value = make(database, user, caller(database, value))[1]
    with pytest.raises(BadRequest, match="deep"):
        make(database, user, caller(database, value))


def test_the_first_start_happens_once(database: Database) -> None:
    first = bootstrap(database)
    assert first is not None
    shown(database)
    assert bootstrap(database) is None
    who = caller(database, first.key)
    assert (who.user.role, who.user.name) == ("admin", "admin")
    assert who.scopes == {"profile", "balance", "usage", "keys"}
    assert database.read_sync(lambda c: balances(c, first.user.id)).pack == 10 * NANO


def test_the_first_start_finds_a_free_name(database: Database) -> None:
    database.write_sync(lambda c: create_user(c, "Admin", tier="microbe"))
    first = bootstrap(database)
    assert first is not None
    assert first.user.name == "admin2"


@pytest.mark.parametrize("name", ["", "  ", "x" * 65, "a\nb"])
def test_a_user_name_is_printable_and_short(database: Database, name: str) -> None:
    with pytest.raises(BadRequest):
        database.write_sync(lambda c: create_user(c, name, tier="microbe"))


def test_user_names_are_unique_whatever_their_case_and_users_are_found_by_name_or_id(
    database: Database, user: User
) -> None:
    with pytest.raises(Conflict):
        database.write_sync(lambda c: create_user(c, "ANN", tier="microbe"))
    assert (
        database.read_sync(lambda c: find_user(c, "ann")) == database.read_sync(lambda c: find_user(c, user.id)) == user
    )
    with pytest.raises(NotFound):
        database.read_sync(lambda c: find_user(c, "nobody"))
