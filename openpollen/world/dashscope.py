"""Alibaba Model Studio's pictures and films (https://www.alibabacloud.com/help/en/model-studio)."""

from __future__ import annotations

from openpollen.core.usage import Usage
from openpollen.world import made
from openpollen.world.asked import Answer, Asked
from openpollen.world.place import Place


def answer(asked: Asked, place: Place) -> Answer:
    wanted = asked.json
    path = asked.path.strip("/")
    if path.endswith("multimodal-generation/generation"):
        if "world:refuse" in asked.text:
            return Answer({"code": "DataInspectionFailed", "message": "It may be inappropriate."}, 400)
        image = place.file(made.picture(512, 512, asked.text), "image/png")
        output = {
            "choices": [{"finish_reason": "stop", "message": {"role": "assistant", "content": [{"image": image}]}}]
        }
        return Answer({"output": output, "usage": {"image_count": 1}}, bill=Usage(images=1), model=wanted["model"])
    if path.endswith("video-synthesis"):
        seconds = int(wanted["parameters"]["duration"])
        bill = Usage(video_ms=seconds * 1000)
        job = place.begin(asked, wanted["model"], bill, lambda: made.film(seconds), "video/mp4")
        return Answer({"output": {"task_id": job.id, "task_status": "PENDING"}})
    if path.endswith("/cancel"):
        place.shelf.jobs[path.split("/")[-2]].ended = True
        return Answer({})
    job = place.look(path.rpartition("/")[2])
    if job is None:
        return Answer({"code": "TaskNotFound", "message": "no such task"}, 404)
    told: dict[str, object] = {"task_id": job.id, "task_status": "RUNNING"}
    if not job.done:
        return Answer({"output": told})
    if job.failed or job.refused:
        code = "DataInspectionFailed" if job.refused else "InternalError"
        return Answer(
            {"output": told | {"task_status": "FAILED", "code": code, "message": "the pretended film failed"}}
        )
    told |= {"task_status": "SUCCEEDED", "video_url": place.file(job.make(), job.kind)}
    return Answer({"output": told, "usage": {"duration": job.bill.video_ms / 1000, "video_count": 1}})
