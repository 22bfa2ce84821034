"""BytePlus ModelArk: Seedream and Seedance (https://docs.byteplus.com/en/docs/ModelArk/1541523, 1520757)."""

from __future__ import annotations

import re
from typing import Any

from openpollen.core.usage import Usage
from openpollen.world import made
from openpollen.world.asked import Answer, Asked
from openpollen.world.place import Place

#: Tokens of a film's second, as if it had 864 x 480 pixels and 24 frames.
_TOKENS_A_SECOND = 864 * 480 * 24 // 1024


def answer(asked: Asked, place: Place) -> Answer:
    path = asked.path.strip("/")
    if path.endswith("images/generations"):
        url = place.file(made.picture(512, 512, asked.text), "image/png")
        return Answer(
            {"data": [{"url": url}], "usage": {"generated_images": 1}}, bill=Usage(images=1), model=asked.json["model"]
        )
    if path.endswith("contents/generations/tasks"):
        return _begin(asked, place)
    if asked.method == "DELETE":
        place.shelf.jobs[path.rpartition("/")[2]].ended = True
        return Answer({})
    job = place.look(path.rpartition("/")[2])
    if job is None:
        return Answer({"error": {"code": "NotFound", "message": "no such task"}}, 404)
    told: dict[str, Any] = {"id": job.id, "model": job.model, "status": "running"}
    if not job.done:
        return Answer(told)
    if job.refused or job.failed:
        code = "OutputVideoSensitiveContentDetected" if job.refused else "InternalServiceError"
        return Answer(told | {"status": "failed", "error": {"code": code, "message": "the pretended film failed"}})
    usage = {"completion_tokens": job.bill.video_tokens, "total_tokens": job.bill.video_tokens}
    content = {"video_url": place.file(job.make(), job.kind)}
    return Answer(told | {"status": "succeeded", "content": content, "usage": usage})


def _begin(asked: Asked, place: Place) -> Answer:
    wanted = asked.json
    said = re.search(r"--(?:duration|dur) (\d+)", asked.text)
    seconds = int(said[1] if said else wanted.get("duration", 5))
    bill = Usage(video_tokens=seconds * _TOKENS_A_SECOND)
    job = place.begin(asked, wanted["model"], bill, lambda: made.film(seconds), "video/mp4")
    return Answer({"id": job.id})
