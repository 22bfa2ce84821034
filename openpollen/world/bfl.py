"""Black Forest Labs (https://docs.bfl.ai)."""

from __future__ import annotations

from openpollen.core.usage import Usage
from openpollen.world import made
from openpollen.world.asked import Answer, Asked
from openpollen.world.place import Place


def answer(asked: Asked, place: Place) -> Answer:
    name = asked.path.rpartition("/")[2]
    if asked.method == "POST":
        wanted = asked.json
        width, height = int(wanted.get("width", 512)), int(wanted.get("height", 512))
        job = place.begin(asked, name, Usage(images=1), lambda: made.picture(width, height, asked.text), "image/png")
        return Answer({"id": job.id, "polling_url": f"{place.origin}/v1/get_result?id={job.id}"})
    job = place.look(asked.query.get("id", ""))
    if job is None:
        return Answer({"status": "Task not found"})
    if not job.done:
        return Answer({"id": job.id, "status": "Pending"})
    if job.refused:
        return Answer({"id": job.id, "status": "Content Moderated"})
    if job.failed:
        return Answer({"id": job.id, "status": "Error"})
    return Answer({"id": job.id, "status": "Ready", "result": {"sample": place.file(job.make(), job.kind)}})
