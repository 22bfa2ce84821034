"""``polli admin catalog`` as people type it: what it changes, shows, refuses and takes back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from openpollen.cli.main import polli

Polli = Callable[..., Result]
LAB = '[providers.lab]\nwire = "openai_compatible"\nbase_url = "http://127.0.0.1:9100/v1"\n'


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Polli:
    """Runs ``polli admin ... --json`` on a data folder of its own, with an operator's file of one host."""
    config = tmp_path / "openpollen.toml"
    config.write_text(LAB)
    monkeypatch.setenv("OPENPOLLEN_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("OPENPOLLEN_CONFIG", str(config))
    CliRunner().invoke(polli, ["admin", "user", "create", "Bob"])
    return lambda *words: CliRunner().invoke(polli, ["admin", *words, "--json"])


def answer(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


ADD = (
    "catalog",
    "add",
    "lab-chat",
    "--provider",
    "lab",
    "--model",
    "up",
    "--price",
    "input_token=1",
    "--price",
    "output_token=5",
)


def test_what_was_changed_is_shown_and_taken_back(run: Polli, tmp_path: Path) -> None:
    assert answer(run("catalog", "diff"))["changes"] == []
    answer(run(*ADD, "--aliases", "lab-alias", "--context-length", "4096"))
    answer(
        run("catalog", "override", "openai-fast", "--price", "input_token=9", "--price", "output_token=10", "--flat")
    )
    answer(run("catalog", "disable", "flux"))
    found = {row["model"]: row for row in answer(run("catalog", "diff"))["changes"]}
    assert {name: row["change"] for name, row in found.items()} == {
        "lab-chat": "added",
        "openai-fast": "changed",
        "flux": "disabled",
    }
    was, now = found["openai-fast"]["fields"]["pricing"]
    assert was != now
    assert found["lab-chat"]["fields"]["aliases"] == [None, ["lab-alias"]]
    kept = (tmp_path / "data" / "catalog.toml").read_text()
    assert 'name = "lab-chat"' in kept
    answer(run("catalog", "enable", "flux"))
    for name in ("lab-chat", "openai-fast"):
        answer(run("catalog", "forget", name))
    assert answer(run("catalog", "diff"))["changes"] == []


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("catalog", "add", "flux", *ADD[3:]), 5, "override"),
        (("catalog", "add", "mine", "--provider", "lab", "--model", "up"), 2, "--price"),
        (("catalog", "add", "mine", *ADD[3:7], "--price", "input_token=1"), 2, "output_token"),
        (("catalog", "add", "mine", *ADD[3:7], "--price", "input_tokn=1"), 2, "input_token"),
        (("catalog", "add", "mine", *ADD[3:7], "--price", "input_token=lots"), 2, "input_token=0.40"),
        (("catalog", "add", "mine", "--provider", "labb", *ADD[5:]), 2, "labb"),
        (("catalog", "add", "mine", *ADD[3:], "--capabilities", "chat,flying"), 2, "flying"),
        (("catalog", "override", "fluxx", "--title", "a"), 3, "flux"),
        (("catalog", "override", "flux"), 2, "--price"),
        (("catalog", "override", "nova-canvas", "--price", "image=1"), 2, "--flat"),
        (("catalog", "disable", "no-such"), 3, "no-such"),
        (("catalog", "enable", "flux"), 3, "flux"),
        (("catalog", "forget", "flux"), 3, "flux"),
        (("catalog", "disable", "smollm2"), 2, "chat_model"),
    ],
)
def test_a_wrong_change_is_refused_and_changes_nothing(
    run: Polli, tmp_path: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    result = run(*words)
    assert result.exit_code == code, result.output
    assert said in json.loads(result.stdout)["error"]["message"]
    assert not (tmp_path / "data" / "catalog.toml").exists()


def test_a_price_that_is_not_stated_anew_stays(run: Polli) -> None:
    answer(run(*ADD, "--price", "cached_input_token=0.1"))
    answer(run("catalog", "override", "lab-chat", "--price", "output_token=7"))
    (row,) = answer(run("catalog", "diff"))["changes"]
    pricing = row["fields"]["pricing"][1]
    assert {name: float(value) * 1e6 for name, value in pricing.items() if name != "currency"} == pytest.approx(
        {
            "promptTextTokens": 1,
            "promptCachedTokens": 0.1,
            "completionTextTokens": 7,
        }
    )


def test_a_new_route_is_tried_before_those_that_were_there(run: Polli) -> None:
    answer(run(*ADD))
    answer(run("catalog", "override", "lab-chat", "--provider", "deepseek", "--model", "deepseek-chat"))
    (row,) = answer(run("catalog", "diff"))["changes"]
    assert row["fields"]["routes"] == [None, ["deepseek: deepseek-chat", "lab: up"]]
    key = ("--key", "sk-plain", "--base-url", "http://127.0.0.1:9/v1")
    assert (
        "env:NAME"
        in json.loads(run("catalog", "override", "lab-chat", "--provider", "new", *key).stdout)["error"]["message"]
    )


def test_changes_that_have_come_to_be_wrong_are_left_out_and_told(run: Polli, tmp_path: Path) -> None:
    answer(run(*ADD))
    (tmp_path / "openpollen.toml").write_text("")  # the host is gone
    told = answer(run("catalog", "check"))
    assert any("left out" in warning and "lab" in warning for warning in told["warnings"])
    assert any("left out" in warning for warning in answer(run("doctor"))["warnings"])
