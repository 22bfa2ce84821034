"""fal's queue (https://docs.fal.ai/model-apis/model-endpoints/queue)."""

from __future__ import annotations

from typing import Any

from openpollen.core.usage import Usage
from openpollen.world import made
from openpollen.world.asked import Answer, Asked
from openpollen.world.jobs import Job
from openpollen.world.place import Place

_MUSIC_SECONDS, _FILM_SECONDS = 60, 5


def answer(asked: Asked, place: Place) -> Answer:
    model, _, rest = asked.path.strip("/").partition("/requests/")
    if not rest:
        job = _begin(asked, place, model)
        address = f"{place.origin}/{model}/requests/{job.id}"
        told = {"request_id": job.id, "status": "IN_QUEUE", "response_url": address, "cancel_url": f"{address}/cancel"}
        return Answer(told | {"status_url": f"{address}/status"})
    job_id, _, what = rest.partition("/")
    if what == "cancel":
        place.shelf.jobs[job_id].ended = True
        return Answer({"status": "CANCELLATION_REQUESTED"}, 202)
    if what == "status":
        job = place.look(job_id)
        if job is None:
            return Answer({"detail": "not found"}, 404)
        state = "COMPLETED" if job.done else "IN_PROGRESS"
        return Answer({"status": state, "response_url": f"{place.origin}/{model}/requests/{job_id}"})
    return _result(place, place.shelf.jobs[job_id])


def _begin(asked: Asked, place: Place, model: str) -> Job:
    wanted = asked.json
    if "tags" in wanted:
        length = round(1000 * float(wanted.get("duration", _MUSIC_SECONDS)))
        return place.begin(
            asked, model, Usage(audio_ms=length), lambda: made.sound(length, "mp3", 44_100, True), "audio/mpeg"
        )
    if "num_images" in wanted:
        size: dict[str, Any] = wanted.get("image_size") or {"width": 512, "height": 512}
        width, height = int(size["width"]), int(size["height"])
        return place.begin(asked, model, Usage(images=1), lambda: made.picture(width, height, asked.text), "image/png")
    seconds = int(str(wanted.get("duration", _FILM_SECONDS)).removesuffix("s"))
    return place.begin(asked, model, Usage(video_ms=seconds * 1000), lambda: made.film(seconds), "video/mp4")


def _result(place: Place, job: Job) -> Answer:
    if job.refused:
        fault = {"loc": ["body", "prompt"], "msg": "The content was flagged.", "type": "content_policy_violation"}
        return Answer({"detail": [fault]}, 422)
    if job.failed:
        return Answer({"detail": "the pretended job failed"}, 500)
    file = {"url": place.file(job.make(), job.kind), "content_type": job.kind}
    match job.kind:
        case "image/png":
            return Answer({"images": [file]})
        case "video/mp4":
            return Answer({"video": file})
        case _:
            return Answer({"audio": file})
