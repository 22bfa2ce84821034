"""A job is hit in every state by its client, its host, its worker's death: the host's bill is paid exactly, once."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import labconfig
from tests.fakegate import Gate
from tests.fakeprovider import FakeProvider
from tests.faults.books import balanced, books, query
from tests.faults.conftest import SETTINGS, film
from tests.gateway import NANO, Account, Gateway, Reply, eventually
from tests.labconfig import SECOND

BODY = {"model": "lab-step-video", "prompt": "a cat", "seconds": "1", "size": "64x64"}
FILM = "/video/a%20cat?model=lab-step-video&duration=1&width=64&height=64"
#: Longer than it takes to find a dead worker, start another one and poll again.
WAIT = 15.0


SUBMITTED = "SELECT worker FROM jobs WHERE upstream_id IS NOT NULL AND user_id = ?"
LEFT = "SELECT request_id FROM deliveries WHERE state = 'left' AND key_id = ?"


def found(crew: Gateway, sql: str, value: str) -> str:
    """The first row's value, as soon as there is a row."""
    return eventually(lambda: query(crew, sql, value) or None, sql, WAIT)[0][0]


class Job:
    """A video of the Videos API, led from state to state."""

    def __init__(self, crew: Gateway, fake: FakeProvider) -> None:
        self.crew, self.fake = crew, fake
        self.payer = crew.account()
        self.submit = fake.gate("submit")
        self.content: Gate | None = None
        self.replies: list[Reply] = []
        self._thread = threading.Thread(target=self._post)
        self._thread.start()
        self.submit.reached()

    def _post(self) -> None:
        with contextlib.suppress(http.client.HTTPException, OSError):
            self.replies.append(self.payer.post("/v1/videos", BODY))

    @property
    def id(self) -> str:
        return query(self.crew, "SELECT id FROM jobs WHERE user_id = ?", self.payer.id)[0][0]

    @property
    def upstream(self) -> str:
        return self.row("upstream_id")

    def row(self, column: str) -> Any:
        found = query(self.crew, f"SELECT {column} FROM jobs WHERE user_id = ?", self.payer.id)
        return found[0][0] if found else None

    def shown(self) -> Any:
        return self.payer.get(f"/v1/videos/{self.id}").json

    def posted(self) -> Reply | None:
        """The answer to the POST; ``None`` when its worker died."""
        self._thread.join(WAIT)
        return self.replies[0] if self.replies else None

    def to(self, state: str) -> None:
        """Leads the job to a state."""
        if state == "submitted":
            return
        self.submit.open()
        reply = self.posted()
        assert reply is not None
        assert reply.status == 200, reply.text
        if state == "queued":
            return
        self.fake.jobs[self.upstream]["status"] = "in_progress"
        self.until("in_progress")
        if state == "running":
            return
        if state == "done":
            self.fake.finish(self.upstream)
            return
        self.content = self.fake.gate("content")
        self.fake.finish(self.upstream)
        self.content.reached()
        if state == "fetching":
            self.content.go()
            self.content.reached()
            return
        self.content.open()
        self.until("completed")

    def finish(self) -> None:
        """Lets everything through to the end of the job."""
        self.submit.open()
        self.posted()
        if self.content is not None:
            self.content.open()
        if self.row("upstream_id"):
            self.fake.finish(self.upstream)

    def until(self, status: str) -> None:
        eventually(lambda: self.shown()["status"] == status, f"the job {status}", WAIT)

    def kill(self) -> None:
        """Kills the worker that runs the job."""
        pid = int(str(self.row("worker")).rpartition("-")[2])
        os.kill(pid, signal.SIGKILL)


STATES = ("submitted", "queued", "running", "done", "fetching", "stored")


@pytest.fixture
def job(crew: Gateway, fake: FakeProvider, clip: bytes) -> Iterator[Callable[[], Job]]:
    before, fake.film = fake.film, clip
    yield lambda: Job(crew, fake)
    fake.clear()
    fake.film = before


@pytest.mark.parametrize("state", STATES)
def test_its_worker_is_killed(crew: Gateway, fake: FakeProvider, job: Callable[[], Job], state: str) -> None:
    with balanced(crew, fake, WAIT) as before:
        made = job()
        made.to(state)
        made.kill()
        if state == "submitted":
            assert made.posted() is None
            made.until("failed")
            assert "nothing was charged" in made.shown()["error"]["message"]
        else:
            made.finish()
            made.until("completed")
            assert made.payer.get(f"/v1/videos/{made.id}/content").body == fake.film
    after = books(crew)
    assert after.charged - before.charged == (0 if state == "submitted" else SECOND)
    assert after.booked == before.booked
    assert made.payer.balance == NANO - (after.charged - before.charged)


@pytest.mark.parametrize("state", STATES)
def test_its_caller_deletes_it(crew: Gateway, fake: FakeProvider, job: Callable[[], Job], state: str) -> None:
    with balanced(crew, fake, WAIT) as before:
        made = job()
        made.to(state)
        job_id = made.id
        reply = made.payer.request("DELETE", f"/v1/videos/{job_id}")
        assert (reply.status, reply.json["deleted"]) == (200, True)
        assert made.payer.get(f"/v1/videos/{job_id}").status == 404
        assert made.payer.get("/v1/videos").json["data"] == []
        eventually(lambda: made.row("id") is None, "the end of the row", WAIT)
    after = books(crew)
    assert after.charged - before.charged == (SECOND if state == "stored" else 0)
    assert after.booked - before.booked == (SECOND if state in ("done", "fetching") else 0)
    if state in ("queued", "running"):
        assert "DELETE" in [request.method for request in fake.requests]


@pytest.mark.parametrize("state", STATES[:-1])
def test_its_host_breaks_off(crew: Gateway, fake: FakeProvider, job: Callable[[], Job], state: str) -> None:
    with balanced(crew, fake, WAIT) as before:
        made = job()
        made.to(state)
        if state == "submitted":
            made.submit.cut()
            reply = made.posted()
            assert reply is not None
            assert reply.status == 502
            assert made.payer.get("/v1/videos").json["data"] == []
        elif state == "fetching":
            assert made.content is not None
            made.content.cut()
        else:
            poll = fake.gate("poll")
            for _ in range(2):
                poll.reached()
                poll.cut()
            poll.open()
        if state != "submitted":
            made.finish()
            made.until("completed")
    after = books(crew)
    assert after.charged - before.charged == (0 if state == "submitted" else SECOND)
    assert after.booked == before.booked


@pytest.mark.parametrize("state", ["submitted", "running", "fetching"])
def test_the_client_of_a_film_leaves_and_asks_again(crew: Gateway, fake: FakeProvider, clip: bytes, state: str) -> None:
    """The film is made, paid once, and handed to the next request, on any worker."""
    payer = crew.account()
    before_film, fake.film = fake.film, clip
    with balanced(crew, fake, WAIT) as before:
        submit, content = fake.gate("submit"), fake.gate("content")
        connection = crew.connect()
        connection.request("GET", FILM, headers={"Authorization": f"Bearer {payer.key}"})
        submit.reached()
        if state != "submitted":
            submit.open()
            found(crew, SUBMITTED, payer.id)
        if state == "fetching":
            fake.finish(f"video_{len(fake.jobs)}")
            content.reached()
        connection.close()
        found(crew, LEFT, payer.key_id)
        replies: list[Reply] = []
        again = threading.Thread(target=lambda: replies.append(payer.get(FILM)))
        again.start()
        submit.open()
        found(crew, SUBMITTED, payer.id)
        fake.finish(f"video_{len(fake.jobs)}")
        content.open()
        again.join(WAIT)
        assert (replies[0].status, replies[0].body) == (200, clip)
        assert replies[0].headers["x-delivered-again"] == "true"
    assert books(crew).charged - before.charged == SECOND
    assert payer.balance == NANO - SECOND
    fake.film = before_film


def test_a_film_whose_worker_died_is_given_to_who_asks_again(
    crew: Gateway, fake: FakeProvider, job: Callable[[], Job]
) -> None:
    payer = crew.account()
    with balanced(crew, fake, WAIT) as before:
        broken = threading.Thread(target=lambda: lost(payer))
        broken.start()
        worker = found(crew, SUBMITTED, payer.id)
        os.kill(int(worker.rpartition("-")[2]), signal.SIGKILL)
        broken.join(WAIT)
        replies: list[Reply] = []
        again = threading.Thread(target=lambda: replies.append(payer.get(FILM)))
        again.start()
        fake.finish(f"video_{len(fake.jobs)}")
        again.join(WAIT)
        assert (replies[0].status, replies[0].headers["x-delivered-again"]) == (200, "true")
    assert books(crew).charged - before.charged == SECOND
    assert payer.balance == NANO - SECOND


def lost(payer: Account) -> None:
    with contextlib.suppress(http.client.HTTPException, OSError):
        payer.get(FILM)


def test_a_stop_hands_jobs_over_to_the_next_start(crew: Gateway, fake: FakeProvider, job: Callable[[], Job]) -> None:
    with balanced(crew, fake, WAIT) as before:
        made = job()
        made.to("running")
        crew.stop()
        fake.finish(made.upstream)
        crew.start()
        made.until("completed")
    assert books(crew).charged - before.charged == SECOND


def test_a_job_whose_provider_is_gone_from_the_configuration_is_booked(
    lab: FakeProvider, fake: FakeProvider, tmp_path: Path
) -> None:
    config = tmp_path / "openpollen.toml"
    config.write_text(labconfig.operator_file(lab.base_url, SETTINGS))
    with Gateway(tmp_path / "data", config, env={"LAB_KEY": labconfig.KEY}) as gateway, balanced(gateway, fake, WAIT):
        made = Job(gateway, fake)
        made.to("running")
        fake.finish(made.upstream)
        gateway.stop()
        config.write_text("[engines]\nenabled = false\n")
        gateway.start()
        made.until("failed")
        assert "nothing was charged" in made.shown()["error"]["message"]
        assert (made.payer.balance, books(gateway).booked) == (NANO, SECOND)


@pytest.mark.parametrize("killed", [False, True])
def test_a_film_longer_than_was_held_for_is_paid_whole(
    crew: Gateway, fake: FakeProvider, job: Callable[[], Job], killed: bool
) -> None:
    fake.film = film(3)
    before = books(crew)
    made = job()
    made.to("running")
    if killed:
        made.kill()
    fake.finish(made.upstream)
    made.until("completed")
    assert books(crew).charged - before.charged == 3 * SECOND
    assert books(crew).booked == before.booked
    assert made.payer.balance == NANO - 3 * SECOND


def test_a_finished_film_that_its_host_keeps_is_booked(
    crew: Gateway, fake: FakeProvider, job: Callable[[], Job]
) -> None:
    fake.film = b"no film at all"
    with balanced(crew, fake, WAIT) as before:
        made = job()
        made.to("done")
        made.until("failed")
    after = books(crew)
    assert (after.charged, after.booked - before.booked) == (before.charged, SECOND)
    assert made.payer.balance == NANO


def test_in_the_end_nothing_is_held(crew: Gateway) -> None:
    eventually(lambda: crew.verify()["leased"] == 0, "the return of every lease")
    report = crew.verify()
    assert (report["ok"], report["held"]) == (True, 0)
