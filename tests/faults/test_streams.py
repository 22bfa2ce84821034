"""A stream is cut at every frame, by the client, by the host, by both: what the host bills is paid, to the nano-pollen."""

from __future__ import annotations

import http.client
from collections.abc import Iterator

import pytest

from tests.fakeprovider import STEP_TEXT, FakeProvider
from tests.faults.books import balanced, books, query
from tests.gateway import NANO, Account, Gateway, dumps, eventually, nano, read_events
from tests.labconfig import STEPPED, owed

WORDS = len(STEP_TEXT.split(" "))
#: Gates of a whole stream: the head, the role, each word, the finish reason, the usage and the end mark.
HEAD, ROLE, FINISH = 1, 2, 2 + WORDS + 1
FRAMES = FINISH + 2
#: Every mode with every number of frames before its end mark; three modes have no frame of their own for the usage.
SHORT = ("no-usage", "late-usage", "words")
CASES = [(mode, n) for mode in STEPPED for n in range(FRAMES - (mode in SHORT))]


@pytest.fixture(scope="module")
def payer(gateway: Gateway) -> Account:
    """One account for all of these tests, which look at differences."""
    return gateway.account(pack="100")


def partial_row(gateway: Gateway) -> bool:
    """Whether the newest usage row is marked as broken off."""
    return bool(query(gateway, "SELECT partial FROM usage ORDER BY id DESC LIMIT 1")[0][0])


class Watched:
    """A streamed chat, step by step: ``step`` lets the host write its next frame and waits until the server has it."""

    def __init__(self, payer: Account, fake: FakeProvider, model: str) -> None:
        self.gateway, self.fake = payer.gateway, fake
        self.gate = fake.gate("frame")
        self.connection = payer.gateway.connect()
        body = {"model": model, "messages": [{"role": "user", "content": "Hello!"}], "stream": True}
        headers = {"Authorization": f"Bearer {payer.key}", "Content-Type": "application/json"}
        self.connection.request("POST", "/v1/chat/completions", dumps(body), headers)
        self.gate.reached()
        self.events: Iterator[dict[str, object]] | None = None
        self.response: http.client.HTTPResponse | None = None

    def step(self, count: int) -> None:
        for _ in range(count):
            self.gate.go()
            self.gate.reached()
            assert self.gateway.alive  # one worker, one loop: it has read what came before this question

    def leave(self) -> None:
        self.connection.close()
        if self.response is not None:
            self.response.close()

    def read(self) -> list[object]:
        """Everything until the end; nothing of an answer that is none."""
        self.response = self.connection.getresponse()
        try:
            return list(read_events(self.response)) if self.response.status == 200 else []
        finally:
            self.leave()


@pytest.mark.parametrize(("mode", "frames"), CASES)
def test_the_client_leaves(payer: Account, fake: FakeProvider, mode: str, frames: int) -> None:
    with balanced(payer.gateway, fake) as before:
        stream = Watched(payer, fake, f"lab-step-{mode}")
        stream.step(frames)
        stream.leave()
    after = books(payer.gateway)
    if frames <= ROLE:
        assert after.charged == before.charged, "nothing was made for the caller"
    else:
        assert after.charged > before.charged
        assert after.booked == before.booked
        assert partial_row(payer.gateway)


@pytest.mark.parametrize(("mode", "frames"), CASES)
def test_the_host_breaks_off(payer: Account, fake: FakeProvider, mode: str, frames: int) -> None:
    with balanced(payer.gateway, fake) as before:
        stream = Watched(payer, fake, f"lab-step-{mode}")
        stream.step(frames)
        stream.gate.cut()
        events = stream.read()
    after = books(payer.gateway)
    if frames <= ROLE:
        assert events == []  # an error with a status of its own: a role alone is no answer yet
    else:
        assert events[-1] == "[DONE]"
        assert isinstance(events[-3], dict)
        assert isinstance(events[-2], dict)
        assert "error" in events[-3]
        assert nano(events[-2]["usage"]["pollen_cost"]) == after.charged - before.charged
    if frames <= ROLE:
        assert after.charged == before.charged


@pytest.mark.parametrize("frames", range(FRAMES - 1))
def test_both_end_at_once(payer: Account, fake: FakeProvider, frames: int) -> None:
    with balanced(payer.gateway, fake):
        stream = Watched(payer, fake, "lab-step-no-usage")
        stream.step(frames)
        stream.gate.cut()
        stream.leave()


@pytest.mark.parametrize("mode", STEPPED)
def test_a_whole_stream(payer: Account, fake: FakeProvider, mode: str) -> None:
    with balanced(payer.gateway, fake) as before:
        stream = Watched(payer, fake, f"lab-step-{mode}")
        stream.gate.open()
        *_, last, done = stream.read()
    assert done == "[DONE]"
    assert isinstance(last, dict)
    assert nano(last["usage"]["pollen_cost"]) == owed(fake.bill) == books(payer.gateway).charged - before.charged
    assert last["usage"].get("estimated", False) is (mode in ("no-usage", "zero-usage", "words"))
    assert not partial_row(payer.gateway)


def test_the_host_is_not_read_any_more_when_the_client_is_gone(payer: Account, fake: FakeProvider) -> None:
    with balanced(payer.gateway, fake):
        stream = Watched(payer, fake, "lab-step-ok")
        stream.step(ROLE + 1)
        stream.leave()
        eventually(lambda: fake.busy == 0, "the end of the connection to the host")


def test_in_the_end_nothing_is_held_and_the_wallet_has_the_rest(gateway: Gateway, payer: Account) -> None:
    eventually(lambda: gateway.verify()["leased"] == 0, "the return of every lease")
    report = gateway.verify()
    assert (report["ok"], report["held"]) == (True, 0)
    assert (
        payer.balance == 100 * NANO - query(gateway, "SELECT SUM(charged) FROM usage WHERE user_id = ?", payer.id)[0][0]
    )
