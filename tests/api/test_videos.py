"""Videos: waited for on the GET routes, and as jobs of OpenAI's Videos API."""

from __future__ import annotations

import contextlib
import http.client
import io
import os
import signal
import subprocess
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import av
import pytest
from PIL import Image

from tests.fakeprovider import FakeProvider
from tests.gateway import NANO, Account, Gateway, Reply, eventually, nano
from tests.labconfig import SECOND

TINY = "width=160&height=96&fps=8&duration=1"


def film(data: bytes) -> tuple[int, int, float, bool]:
    """Width, height, seconds of picture and whether there is sound, by decoding it all."""
    with av.open(io.BytesIO(data)) as file:
        stream = file.streams.video[0]
        frames = sum(1 for _ in file.decode(video=0))
        return stream.width, stream.height, frames / float(stream.average_rate or 1), bool(file.streams.audio)


@pytest.fixture(scope="module")
def clip(user: Account) -> bytes:
    """A second of real film from the built-in engine."""
    return user.get(f"/video/a%20boat?model=scene-video&{TINY}").body


@pytest.fixture
def camera(fake: FakeProvider, clip: bytes) -> Iterator[FakeProvider]:
    """The pretended host, whose films are real ones of a second."""
    before, fake.film = fake.film, clip
    yield fake
    fake.film = before


@pytest.mark.parametrize("route", ["image", "video"])
def test_a_film_has_the_size_length_and_rate_asked_for(user: Account, route: str) -> None:
    reply = user.get(f"/{route}/a%20boat?model=scene-video&{TINY}")
    assert reply.headers["content-type"] == "video/mp4"
    assert reply.headers["x-model-used"] == "scene-video"
    assert float(reply.headers["x-usage-completion-video-seconds"]) == 1
    assert film(reply.body) == (160, 96, 1, False)
    assert reply.headers["content-disposition"] == 'inline; filename="a-boat.mp4"'


def test_what_a_film_does_not_show_is_told(user: Account) -> None:
    reply = user.get(f"/video/a%20boat%20and%20a%20florbix?model=scene-video&{TINY}")
    assert "florbix" in reply.headers["x-engine-note"]


def test_video_with_sound(user: Account) -> None:
    assert film(user.get(f"/video/a%20boat?model=scene-video&{TINY}&audio=true").body)[3] is True


def test_an_aspect_ratio_beats_the_default_size(user: Account) -> None:
    width, height, *_ = film(
        user.get("/video/a%20boat?model=scene-video&aspectRatio=9:16&resolution=480p&fps=8&duration=1").body
    )
    assert abs(width / height - 9 / 16) < 0.01


@pytest.mark.parametrize("duration", ["0", "-3", "0.2", "11", "1000"])
def test_a_length_outside_the_range_is_told_with_the_range(user: Account, duration: str) -> None:
    error = user.get(f"/video/a?model=veo&duration={duration}").error
    assert error["code"] == "BAD_REQUEST"
    assert "duration" in error["message"]


def test_a_hosts_film_is_charged_by_its_measured_seconds(payer: Account, camera: FakeProvider, clip: bytes) -> None:
    reply = payer.get("/video/a%20cat?model=lab-video&duration=2")
    assert reply.status == 200, reply.text
    assert reply.body == clip
    assert reply.cost == SECOND  # one second came, though two were asked for
    assert payer.rows(1)[0]["type"] == "generate.video"
    assert payer.balance == NANO - SECOND
    assert payer.get("/video/a%20cat?model=lab-video&duration=2").headers["x-cache"] == "HIT"


def test_a_frame_rate_that_the_engine_has_not_is_told_with_its_range(user: Account) -> None:
    body = {"model": "scene-video", "prompt": "a boat", "seconds": "1", "fps": 4}
    for reply in (user.get(f"/video/a%20boat?{TINY}&model=scene-video&fps=4"), user.post("/v1/videos", body)):
        assert (reply.status, "8 to 60" in reply.error["message"]) == (400, True)


def finished(user: Account, job: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        shown = user.get(f"/v1/videos/{job}").json
        assert shown["status"] != "failed", shown
        return shown if shown["status"] == "completed" else None

    return eventually(look, "the film", 60)


def test_a_job_from_start_to_deletion(user: Account) -> None:
    body = {"model": "scene-video", "prompt": "a boat", "seconds": "1", "size": "160x96", "fps": 8}
    reply = user.post("/v1/videos", body)
    job = reply.json
    assert (job["object"], job["model"], job["prompt"], job["seconds"]) == ("video", "scene-video", "a boat", "1")
    assert job["status"] in ("queued", "in_progress", "completed")
    assert reply.headers["x-model-used"] == "scene-video"
    done = finished(user, job["id"])
    assert (done["progress"], done["usage"]["pollen_cost"], done["size"]) == (100, "0", "160x96")
    content = user.get(f"/v1/videos/{job['id']}/content")
    assert content.headers["content-type"] == "video/mp4"
    assert film(content.body)[:3] == (160, 96, 1)
    still = user.get(f"/v1/videos/{job['id']}/content?variant=thumbnail")
    assert still.headers["content-type"] == "image/webp"
    with Image.open(io.BytesIO(still.body)) as picture:
        assert (picture.format, picture.size) == ("WEBP", (160, 96))
    listed = user.get("/v1/videos?limit=1").json
    assert (listed["object"], listed["data"][0]["id"]) == ("list", job["id"])
    assert user.request("DELETE", f"/v1/videos/{job['id']}").json == {
        "id": job["id"],
        "object": "video.deleted",
        "deleted": True,
    }
    assert user.get(f"/v1/videos/{job['id']}").status == 404


def test_a_job_and_its_content_tell_what_the_film_does_not_show(user: Account) -> None:
    body = {
        "model": "scene-video",
        "prompt": "a boat and a florbix, zwölf",
        "seconds": "1",
        "size": "160x96",
        "fps": 8,
    }
    job = finished(user, user.post("/v1/videos", body).json["id"])
    told = user.get(f"/v1/videos/{job['id']}/content").headers["x-engine-note"]
    assert "florbix" in job["note"]
    assert (unquote(told), told.isascii()) == (job["note"], True)


def test_jobs_are_listed_in_either_order(gateway: Gateway) -> None:
    maker = gateway.account()
    body = {"model": "scene-video", "prompt": "a boat", "seconds": "1", "size": "160x96", "fps": 8}
    made = [maker.post("/v1/videos", body).json["id"] for _ in range(3)]
    listed = {order: maker.get(f"/v1/videos?order={order}").json["data"] for order in ("asc", "desc")}
    assert [job["id"] for job in listed["asc"]] == made
    assert [job["id"] for job in listed["desc"]] == made[::-1]
    rest = maker.get(f"/v1/videos?order=asc&after={made[0]}").json["data"]
    assert [job["id"] for job in rest] == made[1:]
    for job in made:
        finished(maker, job)


def test_a_job_through_openais_library(user: Account, clip: bytes) -> None:
    client = user.openai()
    job = client.videos.create(
        model="scene-video",  # type: ignore[arg-type] - the library's names are OpenAI's
        prompt="a boat",
        seconds="1",  # type: ignore[arg-type]
        size="160x96",  # type: ignore[arg-type]
        extra_body={"fps": "8"},
    )
    assert finished(user, job.id)["status"] == "completed"
    assert client.videos.download_content(job.id).read()[4:8] == b"ftyp"
    assert job.id in [video.id for video in client.videos.list().data]
    assert client.videos.delete(job.id).deleted is True


def processes(gateway: Gateway, module: str) -> list[int]:
    """The ids of the server's processes that run a module."""
    table = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,command="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in table.splitlines()]
    return [int(r[0]) for r in rows if r[1] == str(gateway.process.pid) and module in r[2]]


def test_a_local_job_outlives_its_worker(gateway: Gateway, user: Account) -> None:
    body = {"model": "scene-video", "prompt": "a boat", "seconds": "10", "size": "640x360", "fps": 24}
    job = user.post("/v1/videos", body).json
    for pid in processes(gateway, "openpollen.cli.worker"):
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: reached(gateway), "the next worker")
    assert finished(user, job["id"])["progress"] == 100
    assert film(user.get(f"/v1/videos/{job['id']}/content").body)[:3] == (640, 360, 10)


def test_a_local_job_that_its_engine_lost_fails_and_costs_nothing(gateway: Gateway, user: Account) -> None:
    body = {"model": "scene-video", "prompt": "a boat", "seconds": "60", "size": "1280x720", "fps": 24}
    job = user.post("/v1/videos", body).json
    (host,) = processes(gateway, "openpollen.engines.host")
    os.kill(host, signal.SIGKILL)

    def failed() -> Any:
        shown = user.get(f"/v1/videos/{job['id']}").json
        return shown if shown["status"] == "failed" else None

    assert "nothing was charged" in eventually(failed, "the end of the job", 30)["error"]["message"]
    assert user.get(f"/video/a%20boat?model=scene-video&{TINY}").status == 200


def reached(gateway: Gateway) -> bool:
    with contextlib.suppress(http.client.HTTPException, OSError):
        return gateway.alive
    return False


def test_an_open_job_can_be_deleted(user: Account) -> None:
    body = {"model": "scene-video", "prompt": "a boat", "seconds": "60", "size": "1280x720", "fps": 24}
    job = user.post("/v1/videos", body).json
    assert user.request("DELETE", f"/v1/videos/{job['id']}").json["deleted"] is True
    assert not_found(user.get(f"/v1/videos/{job['id']}"))


def test_a_paid_job_is_charged_once_when_it_is_done(payer: Account, camera: FakeProvider, clip: bytes) -> None:
    job = payer.post("/v1/videos", {"model": "lab-video", "prompt": "a cat", "seconds": "2"}).json
    done = finished(payer, job["id"])
    assert nano(done["usage"]["pollen_cost"]) == SECOND
    assert payer.get(f"/v1/videos/{job['id']}/content").body == clip
    payer.rows(1)
    assert payer.balance == NANO - SECOND


def test_a_job_that_nobody_can_pay_is_402_and_does_not_exist(gateway: Gateway, fake: FakeProvider) -> None:
    poor = gateway.account(pack="0.01")
    reply = poor.post("/v1/videos", {"model": "lab-video", "prompt": "a cat", "seconds": "2"})
    assert (reply.status, reply.error["code"]) == (402, "PAYMENT_REQUIRED")
    assert fake.requests == []
    assert [job for job in poor.get("/v1/videos").json["data"] if job["status"] != "failed"] == []


def test_jobs_are_private_and_a_key_repeats_them(gateway: Gateway, user: Account, payer: Account) -> None:
    body = {"model": "scene-video", "prompt": "a boat", "seconds": "1", "size": "160x96", "fps": 8}
    first, second = (user.post("/v1/videos", body, headers={"Idempotency-Key": "film-1"}) for _ in range(2))
    assert first.json["id"] == second.json["id"]
    for reply in (payer.get(f"/v1/videos/{first.json['id']}"), payer.get(f"/v1/videos/{first.json['id']}/content")):
        assert not_found(reply)
    assert not_found(payer.request("DELETE", f"/v1/videos/{first.json['id']}"))
    finished(user, first.json["id"])


def not_found(reply: Reply) -> bool:
    return (reply.status, reply.error["code"]) == (404, "NOT_FOUND")
