"""Replicate's predictions (https://replicate.com/docs/reference/http)."""

from __future__ import annotations

from typing import Any

from openpollen.core.usage import Usage
from openpollen.world import made
from openpollen.world.asked import Answer, Asked
from openpollen.world.jobs import Job
from openpollen.world.place import Place


def answer(asked: Asked, place: Place) -> Answer:
    match asked.path.strip("/").split("/")[1:]:
        case ["models", owner, name, "predictions"]:
            return Answer(_told(place, begin(asked, place, f"{owner}/{name}", asked.json["input"])), 201)
        case ["predictions", job_id, "cancel"]:
            place.shelf.jobs[job_id].ended = True
            return Answer({"status": "canceled"})
        case ["predictions", job_id]:
            job = place.look(job_id)
            return Answer({"detail": "not found"}, 404) if job is None else Answer(_told(place, job))
        case ["files"]:
            return Answer({"urls": {"get": place.file(asked.form[1]["content"], "image/png")}}, 201)
        case _:
            return Answer({"results": []})


def begin(asked: Asked, place: Place, model: str, wanted: dict[str, Any]) -> Job:
    """A picture, or a film where a length is asked for."""
    if "duration" in wanted:
        seconds = int(wanted["duration"])
        bill = Usage(video_ms=seconds * 1000)
        return place.begin(asked, model, bill, lambda: made.film(seconds), "video/mp4")
    width, height = int(wanted.get("width", 512)), int(wanted.get("height", 512))
    return place.begin(asked, model, Usage(images=1), lambda: made.picture(width, height, asked.text), "image/png")


def _told(place: Place, job: Job) -> dict[str, Any]:
    told: dict[str, Any] = {"id": job.id, "model": job.model, "status": "processing", "error": None, "output": None}
    told["urls"] = {"get": f"{place.origin}/v1/predictions/{job.id}"}
    if not job.done:
        return told
    if job.failed or job.refused:
        return told | {
            "status": "failed",
            "error": "NSFW content detected" if job.refused else "the pretended job failed",
        }
    return told | {"status": "succeeded", "output": place.file(job.make(), job.kind)}
