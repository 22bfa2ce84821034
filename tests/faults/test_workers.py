"""One key on three workers is one call and one charge, whoever dies; and what each durability promises after a kill -9."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests import labconfig
from tests.fakeprovider import STEP_TEXT, FakeProvider
from tests.faults.books import balanced, books, query
from tests.faults.conftest import SETTINGS
from tests.gateway import NANO, Account, Gateway, Reply, dumps, eventually
from tests.labconfig import ANSWER, IMAGE, owed

CALLERS = 100


@pytest.fixture(scope="module")
def trio(lab: FakeProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("trio")
    config = folder / "openpollen.toml"
    config.write_text(labconfig.operator_file(lab.base_url, SETTINGS))
    with Gateway(folder / "data", config, ("--workers", "3"), env={"LAB_KEY": labconfig.KEY}) as running:
        yield running
    assert "Traceback" not in running.output


def together(payer: Account, count: int, **fields: Any) -> list[Reply]:
    """The same request many times at once; answers that broke off are left out."""

    def call(_: int) -> Reply | None:
        with contextlib.suppress(http.client.HTTPException, OSError):
            return payer.chat(**fields)
        return None

    with ThreadPoolExecutor(count) as pool:
        return [reply for reply in pool.map(call, range(count)) if reply is not None]


@pytest.mark.parametrize("stream", [False, True])
def test_a_hundred_repeats_are_one_call_and_one_charge(trio: Gateway, fake: FakeProvider, stream: bool) -> None:
    payer = trio.account()
    with balanced(trio, fake) as before:
        replies = together(
            payer, CALLERS, model="lab-slow", stream=stream, headers={"Idempotency-Key": f"one-{stream}"}
        )
        assert len(replies) == CALLERS
        assert {(reply.status, reply.body) for reply in replies} == {(200, replies[0].body)}
        assert sum("idempotent-replayed" in reply.headers for reply in replies) == CALLERS - 1
        assert len(fake.requests) == len(fake.bill) == 1
    payer.rows(1)
    assert books(trio).charged - before.charged == ANSWER
    other = payer.chat("lab-slow", "Something else", stream=stream, headers={"Idempotency-Key": f"one-{stream}"})
    assert (other.status, other.error["reason"]) == (409, "idempotency_key")


@pytest.mark.parametrize("stream", [False, True])
def test_the_first_worker_dies_and_another_repeat_does_the_work(
    trio: Gateway, fake: FakeProvider, stream: bool
) -> None:
    payer = trio.account()
    key = f"dies-{stream}"
    options: dict[str, Any] = {"model": "lab-step-ok", "stream": stream, "headers": {"Idempotency-Key": key}}
    with balanced(trio, fake) as before:
        gate = fake.gate("frame" if stream else "part")
        replies: list[Reply] = []
        crowd = threading.Thread(target=lambda: replies.extend(together(payer, CALLERS, **options)))
        crowd.start()
        gate.reached()
        owner = query(trio, "SELECT owner FROM idempotency WHERE key = ?", key)[0][0]
        os.kill(int(owner.partition("/")[0].rpartition("-")[2]), signal.SIGKILL)
        gate.reached()  # another one does the work; by now the host knows that the first is gone
        gate.open()
        crowd.join(60)
        assert 0 < len(replies) < CALLERS
        assert {(reply.status, reply.body) for reply in replies} == {(200, replies[0].body)}
        again = payer.chat(**options)
        assert (again.status, again.headers["idempotent-replayed"], again.body) == (200, "true", replies[0].body)
        assert len(fake.requests) == 2
    assert books(trio).charged - before.charged == owed(fake.bill) > 0
    payer.rows(1)


def test_a_job_whose_worker_dies_is_the_same_job_for_the_key(trio: Gateway, fake: FakeProvider, clip: bytes) -> None:
    """Also when the worker died before it could note the answer for the key."""
    payer = trio.account()
    before_film, fake.film = fake.film, clip
    body = {"model": "lab-step-video", "prompt": "a cat", "seconds": "1", "size": "64x64"}
    headers = {"Idempotency-Key": "film"}
    with balanced(trio, fake):
        first = payer.post("/v1/videos", body, headers=headers).json
        worker = query(trio, "SELECT worker FROM jobs WHERE id = ?", first["id"])[0][0]
        os.kill(int(worker.rpartition("-")[2]), signal.SIGKILL)
        second = eventually(lambda: answered(payer, body, headers), "an answer")
        assert second.json["id"] == first["id"]
        fake.finish(f"video_{len(fake.jobs)}")
        eventually(lambda: payer.get(f"/v1/videos/{first['id']}").json["status"] == "completed", "the film")
    fake.film = before_film


def answered(payer: Account, body: Any, headers: dict[str, str]) -> Reply | None:
    with contextlib.suppress(http.client.HTTPException, OSError):
        return payer.post("/v1/videos", body, headers=headers)
    return None


def test_an_uncharged_end_frees_the_key_of_a_stream(trio: Gateway, fake: FakeProvider) -> None:
    payer = trio.account()
    options: dict[str, Any] = {"stream": True, "headers": {"Idempotency-Key": "again"}}
    with balanced(trio, fake):
        assert payer.chat("lab-error-500", **options).status == 502
        reply = payer.chat("lab-chat", **options)
        assert (reply.status, "idempotent-replayed" in reply.headers) == (200, False)
    assert payer.balance == NANO - ANSWER


@pytest.mark.parametrize("durability", ["strict", "intent"])
def test_a_complete_answer_is_charged_on_disk(
    lab: FakeProvider, fake: FakeProvider, tmp_path: Path, durability: str
) -> None:
    """When the last byte is here, so is the charge: a kill -9 right after it loses nothing."""
    with server(lab, tmp_path, durability) as gateway:
        payer = gateway.account()
        for count in range(1, 5):
            whole = count % 2 == 0
            reply = payer.chat("lab-chat", stream=not whole)
            assert query(gateway, "SELECT COUNT(*), SUM(charged) FROM usage") == [(count, count * ANSWER)]
            kill_all(gateway)
            assert reply.status == 200
            assert whole or reply.events[-1] == "[DONE]"
            eventually(lambda: up(gateway), "the next worker")
        assert payer.balance == NANO - 4 * ANSWER
        assert books(gateway).total == owed(fake.bill) == 4 * ANSWER


@pytest.mark.parametrize("durability", ["queued", "intent"])
@pytest.mark.parametrize("frames", [0, 4])
def test_a_worker_that_dies_in_a_stream_holds_nothing_in_the_end(
    lab: FakeProvider, fake: FakeProvider, tmp_path: Path, durability: str, frames: int
) -> None:
    """The charge of a call in flight may be lost, in the customer's favour; never more than the host bills is taken."""
    with server(lab, tmp_path, durability) as gateway:
        payer = gateway.account()
        gate = fake.gate("frame")
        connection = gateway.connect()
        body = {"model": "lab-step-ok", "messages": [{"role": "user", "content": STEP_TEXT}], "stream": True}
        connection.request("POST", "/v1/chat/completions", dumps(body), {"Authorization": f"Bearer {payer.key}"})
        gate.reached()
        held = query(gateway, "SELECT COUNT(*) FROM holds")[0][0]
        assert (held > 0) is (durability == "intent"), "the hold is on disk before the host has the request"
        for _ in range(frames):
            gate.go()
            gate.reached()
        kill_all(gateway)
        connection.close()
        eventually(lambda: up(gateway), "the next worker")
        eventually(lambda: fake.busy == 0, "the end of the host's work")
        eventually(lambda: gateway.verify()["leased"] == 0, "the return of every lease")
        report = gateway.verify()
        assert (report["ok"], report["held"]) == (True, 0)
        assert 0 <= books(gateway).total <= owed(fake.bill)
        assert payer.balance == NANO - books(gateway).charged
        assert payer.chat("lab-chat").status == 200


def test_a_paid_picture_is_given_to_who_asks_again_on_any_worker(trio: Gateway, fake: FakeProvider) -> None:
    body = {"model": "lab-step-image", "prompt": "a cat", "size": "64x64"}
    for _ in range(3):
        payer = trio.account()
        fake.clear()
        with balanced(trio, fake):
            gate = fake.gate("part")
            connection = trio.connect()
            headers = {"Authorization": f"Bearer {payer.key}", "Content-Type": "application/json"}
            connection.request("POST", "/v1/images/generations", dumps(body), headers)
            gate.reached()
            connection.close()
            left = "SELECT 1 FROM deliveries WHERE state = 'left' AND key_id = ?"
            eventually(lambda: query(trio, left, payer.key_id) or None, "that its leaving is noticed")  # noqa: B023
            with ThreadPoolExecutor(1) as again:
                reply = again.submit(payer.post, "/v1/images/generations", body)
                gate.open()
                assert (reply.result().status, reply.result().headers["x-delivered-again"]) == (200, "true")
            assert len(fake.requests) == 1
        assert payer.balance == NANO - IMAGE


@pytest.mark.parametrize("stays", [True, False])
def test_a_stop_in_the_middle_of_a_picture_books_what_the_host_bills(
    lab: FakeProvider, fake: FakeProvider, tmp_path: Path, stays: bool
) -> None:
    with server(lab, tmp_path, "queued", "[server]\ndrain_s = 0.5\n") as gateway:
        payer = gateway.account()
        with balanced(gateway, fake):
            gate = fake.gate("part")
            connection = gateway.connect()
            headers = {"Authorization": f"Bearer {payer.key}", "Content-Type": "application/json"}
            body = dumps({"model": "lab-step-image", "prompt": "a cat", "size": "64x64"})
            connection.request("POST", "/v1/images/generations", body, headers)
            gate.reached()
            gate.go()
            gate.reached()
            assert gateway.alive  # one worker, one loop: it has read the head
            if not stays:
                connection.close()
            gateway.stop()
            if stays:
                response = connection.getresponse()
                assert response.status == 503
                response.read()
                connection.close()
        assert books(gateway).booked == IMAGE
        assert books(gateway).charged == 0


def server(lab: FakeProvider, folder: Path, durability: str, more: str = "") -> Gateway:
    config = folder / "openpollen.toml"
    config.write_text(labconfig.operator_file(lab.base_url, f'{SETTINGS}[ledger]\ndurability = "{durability}"\n{more}'))
    return Gateway(folder / "data", config, env={"LAB_KEY": labconfig.KEY})


def kill_all(gateway: Gateway) -> None:
    """Kills every worker of a server; its supervisor starts others."""
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            if entry.name.isdigit() and b"openpollen.cli.worker" in (entry / "cmdline").read_bytes():
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == gateway.process.pid:
                    os.kill(int(entry.name), signal.SIGKILL)


def up(gateway: Gateway) -> bool:
    with contextlib.suppress(http.client.HTTPException, OSError):
        return gateway.alive
    return False
