"""xAI's pictures and films (https://docs.x.ai/developers/rest-api-reference/inference)."""

from __future__ import annotations

from openpollen.core.usage import Usage
from openpollen.world import made
from openpollen.world.asked import Answer, Asked
from openpollen.world.place import Place


def answer(asked: Asked, place: Place) -> Answer:
    wanted = asked.json
    match asked.path.strip("/").split("/")[1:]:
        case ["images", _]:
            one = {"b64_json": made.encoded(made.picture(512, 512, asked.text)), "respect_moderation": True}
            return Answer({"data": [one]}, bill=Usage(images=1), model=wanted["model"])
        case ["videos", "generations"]:
            seconds = int(wanted.get("duration", 5))
            bill = Usage(video_ms=seconds * 1000)
            job = place.begin(asked, wanted["model"], bill, lambda: made.film(seconds), "video/mp4")
            return Answer({"request_id": job.id})
        case ["videos", job_id]:
            job = place.look(job_id)
            if job is None:
                return Answer({"code": "not-found", "error": "no such request"}, 404)
            if not job.done:
                return Answer({"status": "pending", "progress": 30}, 202)
            if job.refused:
                return Answer({"code": "invalid", "error": "Generated video rejected by content moderation."}, 400)
            if job.failed:
                return Answer(
                    {"status": "failed", "error": {"code": "internal", "message": "the pretended film failed"}}
                )
            seconds = job.bill.video_ms / 1000
            return Answer({"status": "done", "video": {"url": place.file(job.make(), job.kind), "duration": seconds}})
        case _:
            return Answer({"data": []})
