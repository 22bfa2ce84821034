"""``polli serve`` as a process: first and later starts, signals, workers that die, and commands beside it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from openpollen.accounts.first_start import bootstrap
from openpollen.storage.database import Database
from tests import labconfig
from tests.fakeprovider import FakeProvider
from tests.gateway import NANO, Account, Gateway, dumps, eventually, nano, read_events

POLLI = [sys.executable, "-m", "openpollen"]
NO_ENGINES = "[engines]\nenabled = false\n"


@pytest.fixture
def config(lab: FakeProvider, tmp_path: Path) -> Path:
    """An operator's file without engines, for servers that start quickly."""
    file = tmp_path / "openpollen.toml"
    file.write_text(labconfig.operator_file(lab.base_url, NO_ENGINES))
    return file


def server(tmp_path: Path, config: Path, *options: str) -> Gateway:
    return Gateway(tmp_path / "data", config, options, env={"LAB_KEY": labconfig.KEY})


def printed_key(output: str) -> str:
    return next(word for word in output.split() if word.startswith("sk_"))


def workers(gateway: Gateway) -> list[int]:
    """The process ids of a server's workers."""
    table = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,command="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in table.splitlines()]
    return [int(r[0]) for r in rows if r[1] == str(gateway.process.pid) and "openpollen.cli.worker" in r[2]]


def test_the_first_start_prints_a_key_that_works_and_later_ones_none(tmp_path: Path, config: Path) -> None:
    first = server(tmp_path, config)
    with first:
        told = json.loads((first.data / "server.json").read_text())
        assert told.keys() == {"url", "pid", "version"}
        assert (told["url"], told["pid"]) == (first.url, first.process.pid)
        assert not first.url.endswith((":0", ":8787"))
        key = printed_key(first.output)
        assert first.output.count("curl ") == 3
        admin = Account(first, "", key, "")
        assert nano(admin.get("/api/account/balance").json["balance"]) == 10 * NANO
        assert admin.chat("lab-chat").status == 200
        link = next(word for word in first.output.split() if "/login/" in word)
        assert first.request("GET", link.removeprefix(first.url)).status == 200
    assert first.process.returncode == 0
    assert not (first.data / "server.json").exists()
    again = server(tmp_path, config)
    with again:
        assert "sk_" not in again.output
        assert Account(again, "", key, "").chat("lab-chat").status == 200
        assert again.verify()["ok"] is True


def test_a_first_start_that_was_broken_off_is_made_good_by_the_next(tmp_path: Path, config: Path) -> None:
    """The account was made, and then the port was taken or the start killed: nobody has seen the key."""
    database = Database.open(tmp_path / "data")
    unseen = bootstrap(database)
    database.close()
    assert unseen is not None
    again = server(tmp_path, config)
    with again:
        key = printed_key(again.output)
        assert (key != unseen.key, again.output.count("curl ")) == (True, 3)
        assert Account(again, "", key, "").chat("lab-chat").status == 200
        assert Account(again, "", unseen.key, "").chat("lab-chat").status == 401
    with server(tmp_path, config) as later:
        assert "sk_" not in later.output


def test_ctrl_c_at_the_terminal_is_for_the_supervisor_alone(tmp_path: Path, config: Path) -> None:
    with server(tmp_path, config) as running:
        assert {os.getpgid(pid) for pid in workers(running)} == set(workers(running))


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, config: Path) -> None:
    (tmp_path / "data" / "server.lock").mkdir(parents=True)
    words = [*POLLI, "serve", "--port", "0", "--data", str(tmp_path / "data"), "--config", str(config)]
    refused = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    assert refused.returncode == 4
    assert "cannot be written" in refused.stderr
    assert "--data" in refused.stderr


def test_a_second_server_on_the_same_data_is_refused(tmp_path: Path, config: Path) -> None:
    with server(tmp_path, config) as running:
        words = [*POLLI, "serve", "--port", "0", "--data", str(running.data), "--config", str(config)]
        second = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
        assert second.returncode != 0
        assert "polli:" in second.stderr
        assert running.alive


def test_a_port_that_is_taken_is_told(tmp_path: Path, config: Path) -> None:
    with server(tmp_path, config) as running:
        port = running.url.rpartition(":")[2]
        words = [*POLLI, "serve", "--port", port, "--data", str(tmp_path / "other"), "--config", str(config)]
        second = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    assert second.returncode == 4
    assert "--port 0" in second.stderr


def test_a_faulty_file_names_every_key(tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text('[server]\nprot = 1\n[[models]]\nname = "a"\ncapabilities = ["chat"]\n[ledger]\nopen_share = 7\n')
    words = [*POLLI, "serve", "--port", "0", "--data", str(tmp_path / "data"), "--config", str(file)]
    refused = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    assert refused.returncode == 2
    for word in ("prot", "open_share", "price"):
        assert word in refused.stderr


@pytest.mark.parametrize("drain", ["0.5", "5"])
def test_sigterm_tells_open_calls_settles_them_and_stops_in_time(tmp_path: Path, config: Path, drain: str) -> None:
    config.write_text(f"[server]\ndrain_s = {drain}\n" + config.read_text())
    gateway = server(tmp_path, config)
    with gateway:
        payer = gateway.account()
        headers = {"Authorization": f"Bearer {payer.key}", "Content-Type": "application/json"}
        waiting, streaming = gateway.connect(), gateway.connect()
        body: dict[str, Any] = {"model": "lab-never", "messages": [{"role": "user", "content": "a"}]}
        waiting.request("POST", "/v1/chat/completions", dumps(body), headers)
        streaming.request(
            "POST", "/v1/chat/completions", dumps(body | {"model": "lab-slow-stream", "stream": True}), headers
        )
        events = read_events(streaming.getresponse())
        while not next(events)["choices"][0]["delta"].get("content"):
            pass
        assert float(drain) <= gateway.stop() < float(drain) + 4
        *_, before, last, done = events
        if drain == "5":  # long enough for the whole answer
            assert "error" not in before
        else:
            assert before["error"]["code"] == "SERVICE_UNAVAILABLE"
            assert "stopping" in before["error"]["message"]
        assert (last["choices"], done) == ([], "[DONE]")
        refused = waiting.getresponse()
        assert (refused.status, json.loads(refused.read())["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
        waiting.close()
        streaming.close()
    again = server(tmp_path, config)
    with again:
        survivor = Account(again, payer.id, payer.key, payer.key_id)
        (row,) = survivor.rows(1)
        assert 0 < nano(row["cost_usd"]) <= labconfig.ANSWER
        assert nano(row["cost_usd"]) == nano(last["usage"]["pollen_cost"])
        assert survivor.balance == NANO - nano(row["cost_usd"])
        report = again.verify()
        assert (report["ok"], report["held"]) == (True, 0)


def test_a_killed_worker_is_started_again_and_its_holds_come_back(tmp_path: Path, config: Path) -> None:
    with server(tmp_path, config, "--workers", "2") as gateway:
        payer = gateway.account()
        before = workers(gateway)
        assert len(before) == 2
        for _ in range(8):
            assert payer.chat("lab-chat").status == 200
        payer.rows(8)
        os.kill(before[0], signal.SIGKILL)

        def replaced() -> bool:
            now = workers(gateway)
            return len(now) == 2 and before[0] not in now

        eventually(replaced, "another worker")
        eventually(lambda: "starting it again" in gateway.output, "the supervisor's word")
        assert before[1] in workers(gateway)
        for _ in range(8):
            assert payer.chat("lab-chat").status == 200
        payer.rows(16)
        assert payer.balance == NANO - 16 * labconfig.ANSWER
        assert gateway.verify()["ok"] is True


def test_workers_of_a_killed_supervisor_keep_the_folder_until_they_are_done(
    tmp_path: Path, config: Path, fake: FakeProvider
) -> None:
    with server(tmp_path, config, "--workers", "2") as gateway:
        payer = gateway.account()
        body: dict[str, Any] = {
            "model": "lab-slow-stream",
            "messages": [{"role": "user", "content": "a"}],
            "stream": True,
        }
        client = gateway.connect()
        client.request("POST", "/v1/chat/completions", dumps(body), {"Authorization": f"Bearer {payer.key}"})
        events = read_events(client.getresponse())
        while not next(events)["choices"][0]["delta"].get("content"):
            pass
        orphans = workers(gateway)
        gateway.process.kill()
        gateway.process.wait()
        with server(tmp_path, config) as again:
            assert not set(orphans) & set(workers(again))
            *_, last, done = events
            assert (last["choices"], done) == ([], "[DONE]")
            client.close()
            survivor = Account(again, payer.id, payer.key, payer.key_id)
            assert nano(survivor.rows(1)[0]["cost_usd"]) == nano(last["usage"]["pollen_cost"]) > 0
            assert again.verify()["ok"] is True


def test_repeats_and_budgets_hold_over_two_workers(tmp_path: Path, config: Path, fake: FakeProvider) -> None:
    with server(tmp_path, config, "--workers", "2") as gateway:
        payer = gateway.account()
        headers = {"Idempotency-Key": "one"}
        bodies = {payer.chat("lab-chat", headers=headers).body for _ in range(12)}
        assert len(bodies) == len(fake.requests) == 1
        child = gateway.account(budget="0.0005")
        statuses = [child.chat("lab-chat", max_tokens=10).status for _ in range(12)]
        assert set(statuses) == {200, 402}
        spent = statuses.count(200) * labconfig.ANSWER
        assert spent <= 500_000
        assert eventually(lambda: child.balance == NANO - spent, "the last charge")


def test_without_weights_it_starts_says_what_is_missing_and_still_draws(tmp_path: Path) -> None:
    with Gateway(tmp_path / "data", env={"OPENPOLLEN_MODELS": str(tmp_path / "nothing")}) as gateway:
        assert "polli models pull" in gateway.output
        user = gateway.account()
        assert user.get("/image/a%20cat?width=64&height=64").headers["content-type"] == "image/jpeg"
        for reply in (user.chat("openai"), user.get("/audio/Hello?voice=nova")):
            assert (reply.status, reply.error["code"]) == (503, "SERVICE_UNAVAILABLE")
            assert "polli models pull" in reply.error["message"]
        listed = {entry["name"]: entry for entry in user.get("/text/models").json}
        assert listed["smollm2"]["served_by"] is None
        assert "polli models pull smollm2" in listed["openai"]["missing"]
        assert {entry["served_by"] for entry in user.get("/image/models").json} == {"scene", "scene-video"}


def test_admin_commands_take_effect_within_a_second(gateway: Gateway) -> None:
    def admin(*words: str) -> Any:
        command = [*POLLI, "admin", *words, "--json", "--data", str(gateway.data), "--config", str(gateway.config)]
        return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)

    name = admin("user", "create", "late-comer")["name"]
    made = admin("key", "create", "--user", name, "--name", "k", "--permissions", "balance")
    late = Account(gateway, "", made["key"], made["id"])
    assert late.chat("lab-chat").status == 402
    admin("grant", name, "1", "--bucket", "pack")
    # A second is what the server takes; the rest is for a busy machine.
    eventually(lambda: late.chat("lab-chat").status == 200, "the grant", 3)
    admin("key", "revoke", made["id"])
    eventually(lambda: late.chat("lab-chat").status == 401, "the revocation", 3)
    assert admin("ledger", "verify")["ok"] is True


def test_doctor_says_what_is_live_and_what_is_not(gateway: Gateway) -> None:
    report = json.dumps(gateway.admin("doctor"))
    assert "lab" in report
    assert labconfig.KEY not in report


def test_one_public_address_is_that_of_every_face(tmp_path: Path, config: Path) -> None:
    config.write_text('[server]\ngen_url = "https://ai.example"\n' + config.read_text())
    with server(tmp_path, config) as gateway:
        account = gateway.account()
        assert "Sign in once at https://ai.example/login/" in gateway.output
        assert gateway.request("GET", "/.well-known/oauth-authorization-server").json["issuer"] == "https://ai.example"
        made = account.post(
            "/v1/images/generations", {"model": "lab-image", "prompt": "a bee", "response_format": "url"}
        )
        assert made.json["data"][0]["url"].startswith("https://ai.example/")
