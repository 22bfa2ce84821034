"""Results whose address leads on: the credential goes along while the way stays at the provider, and nowhere else."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from openpollen.core.assets import JobState, Media
from openpollen.core.errors import GatewayError
from openpollen.core.model import Provider, Route
from openpollen.generation.admit import Attempt
from openpollen.generation.remote import Remote
from openpollen.generation.upstream import Upstream
from openpollen.media.sniff import sniff
from openpollen.outbound.client import Client
from openpollen.outbound.guard import Guard
from openpollen.outbound.message import Limits, Timeouts
from openpollen.providers.adapter import adapters
from openpollen.providers.addresses import is_own

KEY = "AIza-lab-secret-key"
ELSEWHERE = "https://storage.example/film?signature=x"
#: Where each path leads; others have a film.
WAYS = {"/a": "/b", "/b": "c", "/round": "/round", "/away": ELSEWHERE}


class Host(ThreadingHTTPServer):
    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None]] = []
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: Host

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers["x-goog-api-key"]))
        way = WAYS.get(self.path)
        data = b"" if way else b"film"
        self.send_response(302 if way else 404 if self.path == "/gone" else 200)
        if way:
            self.send_header("location", way)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture
def host() -> Iterator[Host]:
    host = Host()
    serving = threading.Thread(target=host.serve_forever, args=(0.01,), daemon=True)
    serving.start()
    yield host
    host.shutdown()
    host.server_close()
    serving.join()


def fetched(host: Host, path: str) -> Media:
    base = f"http://127.0.0.1:{host.server_port}"
    provider = Provider("gemini", "google", base, KEY, auth="x-goog-api-key")

    async def bring(media: Media) -> Media:
        return media

    async def main() -> Media:
        client = Client(Limits(beat=0.01))
        try:
            attempt = Attempt(Route("gemini", "veo"), provider, adapters()["google"])
            remote = Remote(Upstream(client, Timeouts()), attempt, time.time())
            return await remote.fetch(JobState("op", "done", 100, result=base + path), bring)
        finally:
            await client.close()

    return asyncio.run(main())


def test_the_credential_goes_along_at_the_provider(host: Host) -> None:
    assert fetched(host, "/a").assets[0].data == b"film"
    assert host.asked == [("/a", KEY), ("/b", KEY), ("/c", KEY)]


@pytest.mark.parametrize(
    ("base", "url", "own"),
    [
        ("https://api.prov.co.uk/v1", "https://api.prov.co.uk/v1/jobs/1", True),
        ("https://api.prov.co.uk/v1", "https://files.api.prov.co.uk/1", True),
        ("https://api.prov.co.uk/v1", "https://evil.co.uk/1", False),
        ("https://api.prov.co.uk/v1", "https://prov.co.uk/1", False),
        ("https://ours.workers.dev", "https://theirs.workers.dev/1", False),
        ("https://ours.openai.azure.com", "https://theirs.openai.azure.com/1", False),
        ("https://api.prov.com", "http://api.prov.com/1", False),
        ("https://api.prov.com", "https://evilapi.prov.com/1", False),
        ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/jobs/1", True),
        ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8001/jobs/1", False),
    ],
)
def test_only_the_providers_own_host_gets_its_credential(base: str, url: str, own: bool) -> None:
    assert is_own(url, Provider("p", "w", base, KEY)) is own


def test_a_domain_that_a_wire_names_counts_where_its_host_lies_in_it() -> None:
    bfl = Provider("bfl", "bfl", "https://api.bfl.ai/v1", KEY)
    assert is_own("https://api.us1.bfl.ai/v1/get_result?id=1", bfl, "bfl.ai")
    assert not is_own("https://api.us1.bfl.ai/v1/get_result?id=1", bfl)
    assert not is_own("https://api.us1.bfl.ai/1", Provider("bfl", "bfl", "https://proxy.example", KEY), "bfl.ai")


def test_elsewhere_is_an_address_without_a_credential(host: Host) -> None:
    assert fetched(host, "/away") == Media(urls=(ELSEWHERE,))
    assert host.asked == [("/away", KEY)]


def test_a_file_that_is_not_there_is_given_up_long_before_the_deadline(host: Host) -> None:
    address = f"http://127.0.0.1:{host.server_port}"

    async def main() -> None:
        client = Client(Limits(beat=0.01))
        guard = Guard(client, sniff)

        async def bring(media: Media) -> Media:
            return Media((await guard.fetch_result(media.urls[0], address, max_bytes=1000),))

        attempt = Attempt(Route("fal", "x"), Provider("fal", "fal", address), adapters()["fal"])
        remote = Remote(Upstream(client, Timeouts()), attempt, time.time() + 600)
        try:
            await remote.fetch(JobState("1", "done", 100, media=Media(urls=(f"{address}/gone",))), bring)
        finally:
            await client.close()

    with pytest.raises(GatewayError) as caught:
        asyncio.run(asyncio.wait_for(main(), 30))
    assert (caught.value.reason, len(host.asked)) == ("job_lost", 5)


def test_a_way_without_an_end_is_left(host: Host) -> None:
    with pytest.raises(GatewayError):
        fetched(host, "/round")
    assert len(host.asked) == 4
