"""``polli admin doctor --live``: each live route is asked once, at no cost to anybody here, and no key is ever shown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from openpollen.cli.main import polli
from tests.fakeprovider import FakeProvider

KEY = "lab-secret-4711"
CHAT = 'price = { input_token = "1", output_token = "1" }'


@pytest.fixture
def host() -> Iterator[FakeProvider]:
    with FakeProvider() as running:
        yield running


def configuration(host: FakeProvider, *models: str, probe: str = "") -> str:
    """A file with one host of chats, one of pictures, and models of each; a host that has no key is not live."""
    lines = f'wire = "openai_compatible"\nbase_url = "{host.base_url}"\nkey = "{KEY}"\n'
    parts = [f"[providers.lab]\n{lines}", f"[providers.pictures]\n{lines}{probe}"]
    parts += [f"[providers.idle]\n{lines.replace(KEY, 'env:NO_SUCH_KEY')}"]
    for name in models:
        kind, _, upstream = name.partition(":")
        price = CHAT if kind != "image" else 'price = { image = "1" }'
        provider = {"chat": "lab", "image": "pictures", "idle": "idle"}[kind]
        capability = "image" if kind == "image" else "chat"
        parts.append(
            f'[[models]]\nname = "m-{kind}-{upstream}"\ncapabilities = ["{capability}"]\n'
            f'[[models.routes]]\nprovider = "{provider}"\nmodel = "{upstream}"\n{price}\n'
        )
    return "\n".join(parts)


def doctor(tmp_path: Path, text: str, *words: str) -> Result:
    file = tmp_path / "openpollen.toml"
    file.write_text(text)
    return CliRunner().invoke(
        polli, ["admin", "doctor", "--data", str(tmp_path), "--config", str(file), "--live", *words]
    )


def probes(result: Result) -> list[dict[str, Any]]:
    return json.loads(result.stdout)["probes"]


def test_each_live_chat_route_says_a_few_tokens(tmp_path: Path, host: FakeProvider) -> None:
    done = doctor(tmp_path, configuration(host, "chat:ok", "chat:slow", "idle:ok"), "--json")
    assert done.exit_code == 0, done.output
    found = {one["model"]: one for one in probes(done)}
    assert found.keys() == {"ok", "slow"}
    assert all(one["ok"] and one["seconds"] > 0 for one in found.values())
    asked = [request.json for request in host.requests]
    assert len(asked) == 2
    assert all(0 < body["max_tokens"] <= 16 for body in asked)


def test_what_fails_is_named_with_what_to_do_and_without_the_key(tmp_path: Path, host: FakeProvider) -> None:
    text = configuration(host, "chat:ok", "chat:leaky", "chat:error-404", "chat:garbage")
    done = doctor(tmp_path, text)
    assert done.exit_code == 1
    assert "ok        lab: ok" in done.stdout
    lines = {line.split(":")[1].split()[0]: line for line in done.stdout.splitlines() if "FAILED" in line}
    assert lines.keys() == {"leaky", "error-404", "garbage"}
    assert "refused access" in lines["leaky"]
    assert "Check its key and what the key may do there." in lines["leaky"]
    assert "It answered 404. Check base_url and the route's model name." in lines["error-404"]
    assert "operator" not in done.stdout
    assert KEY not in done.output
    assert json.loads(doctor(tmp_path, text, "--json").stdout)["ok"] is False


def test_pictures_are_not_made_and_their_host_is_asked_for_what_costs_nothing(
    tmp_path: Path, host: FakeProvider
) -> None:
    done = doctor(tmp_path, configuration(host, "image:one", "image:two"), "--json")
    assert done.exit_code == 0
    assert [(one["model"], one["ok"], one["told"]) for one in probes(done)] == [
        ("", None, "not tried: it would cost something")
    ]
    assert not host.requests
    done = doctor(tmp_path, configuration(host, "image:one", probe='probe = "/models"\n'), "--json")
    assert [one["ok"] for one in probes(done)] == [True]
    assert [(request.method, request.path) for request in host.requests] == [("GET", "/v1/models")]


def test_a_page_in_place_of_an_answer_is_not_well(tmp_path: Path, host: FakeProvider) -> None:
    text = configuration(host, "image:one", probe='probe = "/page"\n')
    done = doctor(tmp_path, text)
    assert done.exit_code == 1
    assert "The provider pictures sent a page in place of an answer." in done.stdout


@pytest.mark.parametrize("key", ["lab-žluť-4711", "lab-secret\\n4711"])
def test_a_key_that_no_header_can_carry_is_told_and_never_shown(tmp_path: Path, host: FakeProvider, key: str) -> None:
    done = doctor(tmp_path, configuration(host, "chat:ok").replace(KEY, key))
    assert "not live: lab: the key in the configuration file has characters that no header can carry" in done.output
    assert "4711" not in done.output
    assert not host.requests


def test_a_header_that_cannot_be_sent_fails_its_provider_alone(tmp_path: Path, host: FakeProvider) -> None:
    text = configuration(host, "chat:ok", "image:one", probe='probe = "/models"\nheaders = { x-team = "žluť" }\n')
    done = doctor(tmp_path, text)
    assert done.exit_code == 1
    assert "ok        lab: ok" in done.stdout
    assert "Check base_url, its headers and its key: one of them cannot be sent." in done.stdout


def test_a_probe_that_is_no_path_is_a_fault_of_the_file(tmp_path: Path, host: FakeProvider) -> None:
    done = doctor(tmp_path, configuration(host, "image:one", probe='probe = "https://elsewhere.example"\n'))
    assert done.exit_code == 2
    assert "[providers.pictures] probe: is a path below base_url" in done.output
