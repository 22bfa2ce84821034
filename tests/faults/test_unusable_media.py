"""Pictures and films that never come or cannot be used: the next route makes them, or the caller pays nothing; the route that
failed is known by it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests import labconfig
from tests.fakeprovider import FakeProvider
from tests.fakewire import UNUSABLE
from tests.faults.books import balanced, books
from tests.faults.conftest import SETTINGS
from tests.gateway import NANO, Account, Gateway, eventually
from tests.labconfig import IMAGE, SECOND, model

TIMES = "job_timeout_s = 2\nrest_after = 2\nrest_s = 30\n"
#: Films and pictures of the queue, by what becomes of a job.
QUEUED = ("never", "gone", "broken", "crashed", "invalid", "refused")


class Queue(ThreadingHTTPServer):
    """A queue as fal has it. A model's last word says what becomes of its jobs; ``asked`` is what came, by method and path."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def answer(self, method: str, path: str) -> tuple[int, Any]:
        job = f"{self.url}{path.partition('/requests/')[0]}/requests/1"
        match method, path.split("/")[2:]:
            case "POST", _:
                return 200, {"request_id": "1", "status_url": f"{job}/status", "response_url": job}
            case "PUT", _:
                return 400, {"status": "ALREADY_COMPLETED"}
            case "GET", ["never", *_, "status"]:
                return 200, {"status": "IN_PROGRESS"}
            case "GET", ["broken", *_, "status"]:
                return 200, {"status": "COMPLETED", "error": "Runner terminated.", "error_type": "runner_error"}
            case "GET", [*_, "status"]:
                return 200, {"status": "COMPLETED", "response_url": job}
            case "GET", ["invalid", *_]:
                return 422, {"detail": [{"loc": ["body", "prompt"], "msg": "too many words", "type": "value_error"}]}
            case "GET", ["refused", *_]:
                return 422, {"detail": [{"msg": "flagged", "type": "content_policy_violation"}]}
            case "GET", ["crashed", *_]:
                return 500, {"detail": "Internal Server Error"}
            case _:
                return 200, {"images": [{"url": f"{self.url}/files/gone.png"}]}


class _Handler(BaseHTTPRequestHandler):
    server: Queue

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.server.asked.append(f"{self.command} {self.path}")
        status, value = (404, {}) if self.path.startswith("/files/") else self.server.answer(self.command, self.path)
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_POST = do_PUT = do_GET

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture(scope="module")
def queue() -> Iterator[Queue]:
    queue = Queue()
    serving = threading.Thread(target=queue.serve_forever, args=(0.01,), daemon=True)
    serving.start()
    yield queue
    queue.shutdown()
    queue.server_close()
    serving.join()


def with_next(name: str, provider: str, upstream: str) -> str:
    """A picture model with a route that fails and one that does not."""
    first = model(name, '"image"', upstream, '{ image = "0.03" }').replace('"lab"', f'"{provider}"')
    return f'{first}\n[[models.routes]]\nprovider = "lab"\nmodel = "picture"\n'


def of_queue(name: str, capability: str, mode: str, price: str) -> str:
    """A model of the queue alone."""
    return model(name, f'"{capability}"', f"fal-ai/{mode}", price).replace('"lab"', '"fal"')


@pytest.fixture(scope="module")
def served(lab: FakeProvider, queue: Queue, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("unusable")
    config = folder / "openpollen.toml"
    parts = [labconfig.operator_file(lab.base_url, SETTINGS + TIMES)]
    parts.append(f'[providers.fal]\nbase_url = "{queue.url}"\nkey = "fal-lab-secret-key"\n')
    parts += [model(f"lab-{mode}", '"image"', mode, '{ image = "0.03" }') for mode in UNUSABLE]
    parts += [with_next(f"next-{mode}", "lab", mode) for mode in (*UNUSABLE, "url-gone")]
    parts += [with_next(f"next-{mode}", "fal", f"fal-ai/{mode}") for mode in QUEUED]
    parts += [of_queue(f"queued-{mode}", "image", mode, '{ image = "0.03" }') for mode in QUEUED]
    parts += [of_queue(f"queued-film-{mode}", "video", mode, '{ second = "0.02" }') for mode in QUEUED]
    config.write_text("\n".join(parts))
    with Gateway(folder / "data", config, env={"LAB_KEY": labconfig.KEY}) as running:
        yield running
    assert "Traceback" not in running.output


@pytest.fixture
def payer(served: Gateway) -> Account:
    return served.account()


def draw(payer: Account, name: str) -> Any:
    return payer.post("/v1/images/generations", {"model": name, "prompt": "a fox", "size": "64x64"})


def route(payer: Account, name: str) -> dict[str, Any]:
    """What the status says of the first route of a model."""
    return {entry["id"]: entry for entry in payer.get("/v1/models/status").json["data"]}[name]["routes"][0]


@pytest.mark.parametrize("mode", UNUSABLE)
def test_a_picture_that_nothing_can_open_is_the_hosts_fault_and_free(
    payer: Account, fake: FakeProvider, mode: str
) -> None:
    with balanced(payer.gateway, fake) as before:
        reply = draw(payer, f"lab-{mode}")
        assert (reply.status, reply.error["reason"]) == (502, "upstream_invalid_answer")
        assert reply.headers["x-should-retry"] == "false"
    assert books(payer.gateway).booked - before.booked == IMAGE
    assert payer.balance == NANO
    assert route(payer, f"lab-{mode}")["failing"] > 0


@pytest.mark.parametrize("mode", [*UNUSABLE, "url-gone"])
def test_the_next_route_draws_what_the_first_one_spoilt(payer: Account, fake: FakeProvider, mode: str) -> None:
    with balanced(payer.gateway, fake):
        reply = draw(payer, f"next-{mode}")
        assert (reply.status, reply.cost) == (200, IMAGE), reply.text
    assert [request.model for request in fake.requests if request.method == "POST"] == [mode, "picture"]
    assert payer.balance == NANO - IMAGE


@pytest.mark.parametrize(("mode", "status", "reason"), [("never", 504, "job_timeout"), ("gone", 502, "job_lost")])
def test_a_job_that_comes_to_nothing_is_noted_and_not_asked_for_again(
    payer: Account, queue: Queue, mode: str, status: int, reason: str
) -> None:
    reply = draw(payer, f"queued-{mode}")
    assert (reply.status, reply.error["reason"]) == (status, reason)
    assert reply.headers["x-should-retry"] == "false"
    assert payer.balance == NANO
    assert route(payer, f"queued-{mode}")["failing"] > 0


@pytest.mark.parametrize(
    ("mode", "status", "words"),
    [
        ("broken", 502, "Runner terminated."),
        ("crashed", 502, "failed"),
        ("invalid", 400, "too many words"),
        ("refused", 422, "flagged"),
    ],
)
def test_a_job_that_failed_says_so_once_and_is_billed_to_nobody(
    payer: Account, fake: FakeProvider, queue: Queue, mode: str, status: int, words: str
) -> None:
    queue.asked.clear()
    with balanced(payer.gateway, fake):
        reply = draw(payer, f"queued-{mode}")
        assert (reply.status, words in reply.error["message"]) == (status, True), reply.text
        assert payer.get(f"/video/a%20cat%20{mode}?model=queued-film-{mode}").status == status
    assert len(queue.asked) == 2 * (2 if mode == "broken" else 3)
    assert payer.balance == NANO


@pytest.mark.parametrize(("mode", "status"), [("invalid", 400), ("refused", 422)])
def test_what_is_the_callers_fault_goes_to_no_other_route(payer: Account, mode: str, status: int) -> None:
    assert draw(payer, f"next-{mode}").status == status


@pytest.mark.parametrize("mode", [mode for mode in QUEUED if mode not in ("invalid", "refused")])
def test_the_next_route_draws_what_a_job_did_not(payer: Account, mode: str) -> None:
    reply = draw(payer, f"next-{mode}")
    assert (reply.status, reply.cost) == (200, IMAGE), reply.text


def test_films_that_never_come_rest_their_route(payer: Account, fake: FakeProvider) -> None:
    for count in range(1, 3):
        reply = payer.get(f"/video/a%20cat{count}?model=lab-step-video&duration=1&width=64&height=64")
        assert (reply.status, reply.error["reason"]) == (504, "job_timeout")
        assert reply.headers["x-should-retry"] == "false"
    assert route(payer, "lab-step-video")["state"] == "open"
    assert payer.balance == NANO


def test_a_film_that_is_none_is_a_failure_of_its_route(payer: Account, fake: FakeProvider) -> None:
    with balanced(payer.gateway, fake) as before:
        assert payer.get("/video/a%20cat?model=lab-video&duration=1&width=64&height=64").status == 502
    assert books(payer.gateway).booked - before.booked == SECOND
    assert route(payer, "lab-video")["failing"] > 0


def test_in_the_end_nothing_is_held(served: Gateway) -> None:
    eventually(lambda: served.verify()["leased"] == 0, "the return of every lease")
    assert served.verify()["ok"] is True
