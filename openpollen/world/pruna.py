"""Pruna's predictions (https://docs.api.pruna.ai)."""

from __future__ import annotations

from typing import Any

from openpollen.world.asked import Answer, Asked
from openpollen.world.jobs import Job
from openpollen.world.place import Place
from openpollen.world.replicate import begin


def answer(asked: Asked, place: Place) -> Answer:
    match asked.path.strip("/").split("/")[1:]:
        case ["predictions"]:
            return Answer(_told(place, begin(asked, place, asked.headers["model"], asked.json["input"])), 201)
        case ["predictions", "status", job_id]:
            job = place.look(job_id)
            return Answer({"error": "not found"}, 404) if job is None else Answer(_told(place, job))
        case ["predictions", "delivery", name]:
            data, kind = place.shelf.files[name]
            return Answer(data, kind=kind)
        case ["files"]:
            return Answer({"urls": {"get": place.file(asked.form[1]["content"], "image/png")}}, 201)
        case _:
            return Answer({"error": "no such path"}, 404)


def _told(place: Place, job: Job) -> dict[str, Any]:
    told: dict[str, Any] = {
        "id": job.id,
        "status": "processing",
        "get_url": f"{place.origin}/v1/predictions/status/{job.id}",
    }
    if not job.done:
        return told
    if job.failed or job.refused:
        return told | {"status": "failed", "error": "flagged as NSFW" if job.refused else "the pretended job failed"}
    name = place.shelf.keep(job.make(), job.kind)
    return told | {"status": "succeeded", "generation_url": f"{place.origin}/v1/predictions/delivery/{name}"}
