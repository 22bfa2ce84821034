"""Rotation, switching and editing of keys below the pages."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import pytest
from sqlalchemy import update

from openpollen.accounts import former_values, key_changes, keys
from openpollen.accounts.authenticate import Authenticator
from openpollen.accounts.keys import Key
from openpollen.accounts.users import User, create_user
from openpollen.accounts.wanted_keys import NewKey
from openpollen.core.errors import BadRequest, NotFound, Unauthorized
from openpollen.storage.database import Database
from openpollen.storage.schema import former_values as table
from tests.dump import everything

HOUR = 3600


@pytest.fixture
def user(database: Database) -> User:
    return database.write_sync(lambda c: create_user(c, "Ann", tier="microbe"))


def make(database: Database, user: User, **fields: object) -> tuple[Key, str]:
    wanted = NewKey(**{"name": "key", **fields})  # type: ignore[arg-type]  # each test gives fields of their types
    return database.write_sync(lambda c: keys.create_key(c, user.id, wanted))


def rotate(database: Database, user: User, key: Key, grace_s: int) -> str:
    return database.write_sync(lambda c: key_changes.rotate_key(c, user.id, key.id, grace_s))[1]


def works(database: Database, values: Sequence[str]) -> list[bool]:
    """Whether each value is let in by a worker that knew them all before."""
    return [_let_in(Authenticator(database), value) for value in values]


def _let_in(worker: Authenticator, value: str) -> bool:
    try:
        asyncio.run(worker.authenticate(value))
    except Unauthorized:
        return False
    return True


def age(database: Database, key: Key, seconds: int) -> None:
    """Lets time pass for the former values of a key."""
    later = update(table).where(table.c.key_id == key.id).values(expires_at=table.c.expires_at - seconds * 1000)
    database.write_sync(lambda c: c.execute(later))


def test_both_values_work_until_the_grace_is_over_then_only_the_new_one(database: Database, user: User) -> None:
    key, old = make(database, user)
    new = rotate(database, user, key, HOUR)
    assert works(database, [old, new]) == [True, True]
    age(database, key, HOUR)
    assert works(database, [old, new]) == [False, True]


def test_a_worker_that_knows_the_old_value_ends_it_to_the_second(database: Database, user: User) -> None:
    key, old = make(database, user)
    rotate(database, user, key, HOUR)
    caller = database.read_sync(lambda c: keys.load_caller(c, key.hash))
    assert caller is not None
    assert caller.expires_at is not None
    assert abs(caller.expires_at / 1000 - time.time() - HOUR) < 10
    assert caller.key_id == key.id
    assert works(database, [old]) == [True]


def test_without_grace_the_old_value_ends_at_once_on_every_worker(database: Database, user: User) -> None:
    key, old = make(database, user)

    async def story() -> tuple[bool, bool]:
        worker = Authenticator(database)
        await worker.authenticate(old)
        await database.write(lambda c: key_changes.rotate_key(c, user.id, key.id, 0))
        worker.forget()  # its second of trust is over
        try:
            await worker.authenticate(old)
        except Unauthorized:
            return True, False
        return True, True

    assert asyncio.run(story()) == (True, False)


def test_another_rotation_ends_the_value_before_the_last(database: Database, user: User) -> None:
    key, first = make(database, user)
    second = rotate(database, user, key, HOUR)
    third = rotate(database, user, key, HOUR)
    assert works(database, [first, second, third]) == [False, True, True]
    assert len(database.read_sync(lambda c: former_values.of_key(c, key.id))) == 1


def test_a_rotated_key_keeps_its_end_its_budget_and_its_children(database: Database, user: User) -> None:
    key, old = make(database, user, expires_in=HOUR, budget="2", scopes=("keys",))
    parent = asyncio.run(Authenticator(database).authenticate(old))
    child, value = database.write_sync(lambda c: keys.create_key(c, user.id, NewKey(name="child"), parent=parent))
    new = rotate(database, user, key, 7 * 24 * HOUR)
    caller = asyncio.run(Authenticator(database).authenticate(old))
    assert caller.expires_at == key.expires_at
    assert caller.budget == asyncio.run(Authenticator(database).authenticate(new)).budget
    assert child.parent_id == key.id
    assert works(database, [value]) == [True]


def test_revoking_ends_the_old_value_too(database: Database, user: User) -> None:
    key, old = make(database, user)
    new = rotate(database, user, key, HOUR)
    database.write_sync(lambda c: keys.revoke_key(c, key.id))
    assert works(database, [old, new]) == [False, False]
    assert database.read_sync(lambda c: former_values.of_key(c, key.id)) == []


def test_neither_value_is_stored(database: Database, user: User) -> None:
    key, old = make(database, user)
    new = rotate(database, user, key, HOUR)
    stored = everything(database)
    assert old not in stored
    assert new not in stored


@pytest.mark.parametrize(
    ("fields", "grace"),
    [
        ({"type": "publishable"}, 0),
        ({"created_via": "redirect-auth"}, 0),
        ({"created_via": "device"}, 0),
        ({}, -1),
        ({}, key_changes.GRACE_SECONDS + 1),
    ],
)
def test_what_cannot_be_rotated_is_refused(database: Database, user: User, fields: dict[str, str], grace: int) -> None:
    key, value = make(database, user, **fields)
    with pytest.raises(BadRequest):
        rotate(database, user, key, grace)
    assert works(database, [value]) == [True]


def test_nobody_changes_the_key_of_another(database: Database, user: User) -> None:
    other = database.write_sync(lambda c: create_user(c, "Bob", tier="microbe"))
    key, value = make(database, user)
    with pytest.raises(NotFound):
        rotate(database, other, key, 0)
    with pytest.raises(NotFound):
        database.write_sync(lambda c: key_changes.switch_key(c, other.id, key.id, False))
    with pytest.raises(NotFound):
        database.write_sync(lambda c: key_changes.edit_key(c, other.id, key.id, NewKey(name="mine")))
    assert works(database, [value]) == [True]


def test_a_switched_off_parent_takes_its_children_along_and_brings_them_back(database: Database, user: User) -> None:
    key, value = make(database, user, scopes=("keys",))
    parent = asyncio.run(Authenticator(database).authenticate(value))
    _, child = database.write_sync(lambda c: keys.create_key(c, user.id, NewKey(name="child"), parent=parent))
    database.write_sync(lambda c: key_changes.switch_key(c, user.id, key.id, False))
    assert works(database, [value, child]) == [False, False]
    database.write_sync(lambda c: key_changes.switch_key(c, user.id, key.id, True))
    assert works(database, [value, child]) == [True, True]


def test_an_edit_says_what_it_changed_in_the_audit_trail_and_no_value(database: Database, user: User) -> None:
    key, _ = make(database, user)
    changed = NewKey(name="renamed", budget="3", budget_period="week", models=["flux"])
    after = database.write_sync(lambda c: key_changes.edit_key(c, user.id, key.id, changed))
    assert (after.name, after.budget_limit, after.budget_period, after.models) == (
        "renamed",
        3_000_000_000,
        "week",
        ("flux",),
    )
    rotate(database, user, key, HOUR)
    stored = everything(database)
    assert "key.rotate" in stored
    assert "budget_limit" in stored


def test_a_child_never_gets_the_keys_scope_by_an_edit(database: Database, user: User) -> None:
    _, value = make(database, user, scopes=("keys",))
    parent = asyncio.run(Authenticator(database).authenticate(value))
    child, _ = database.write_sync(lambda c: keys.create_key(c, user.id, NewKey(name="child"), parent=parent))
    wanted = NewKey(name="child", scopes=("usage", "keys"))
    assert database.write_sync(lambda c: key_changes.edit_key(c, user.id, child.id, wanted)).scopes == ("usage",)
