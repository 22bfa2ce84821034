"""The page of permissions names every rule."""

from __future__ import annotations

from pathlib import Path

from openpollen.accounts.permissions import SCOPES, Caller

PAGE = Path(__file__).parents[2] / "docs/reference/permissions.md"


def test_every_rule_and_scope_is_on_the_page() -> None:
    text = PAGE.read_text("utf-8")
    rules = [name for name, value in vars(Caller).items() if name.startswith(("may_", "require_")) and callable(value)]
    assert len(rules) > 6
    for name in [*rules, *SCOPES]:
        assert name in text, name
