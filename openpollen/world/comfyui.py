"""ComfyUI's server (https://docs.comfy.org/development/comfyui-server/comms_routes). A workflow with a number of frames makes a
film."""

from __future__ import annotations

from typing import Any

from openpollen.core.usage import Usage
from openpollen.world import made
from openpollen.world.asked import Answer, Asked
from openpollen.world.place import Place


def answer(asked: Asked, place: Place) -> Answer:
    match asked.path.strip("/").split("/"):
        case ["upload", "image"]:
            return Answer({"name": "in.png", "subfolder": "", "type": "input"})
        case ["prompt"]:
            return _begin(asked, place)
        case ["history", job_id]:
            job = place.look(job_id)
            if job is None or not job.done:
                return Answer({})
            if job.failed or job.refused:
                return Answer({job_id: {"outputs": {}, "status": {"status_str": "error", "completed": False}}})
            name = place.shelf.keep(job.make(), job.kind)
            file = {"filename": name, "subfolder": "", "type": "output"}
            entry = {"outputs": {"9": {"images": [file]}}, "status": {"status_str": "success", "completed": True}}
            return Answer({job_id: entry})
        case ["view"]:
            data, kind = place.shelf.files[asked.query["filename"]]
            return Answer(data, kind=kind)
        case ["queue"]:
            for job_id in asked.json.get("delete", ()):
                place.shelf.jobs[job_id].ended = True
            return Answer({})
        case _:
            return Answer({})


def _begin(asked: Asked, place: Place) -> Answer:
    nodes: dict[str, Any] = asked.json["prompt"]
    inputs: dict[str, Any] = {name: value for node in nodes.values() for name, value in node["inputs"].items()}
    model = next((str(v) for k, v in inputs.items() if k in ("unet_name", "ckpt_name")), "workflow")
    frames = next((v for k, v in inputs.items() if k in ("length", "frames_number") and isinstance(v, int)), 0)
    if frames > 1:
        rates = [v for k, v in inputs.items() if k in ("fps", "frame_rate") and isinstance(v, int | float)]
        seconds = max(1, round(frames / float(rates[0] if rates else 24)))
        film = Usage(video_ms=seconds * 1000)
        job = place.begin(asked, model, film, lambda: made.film(seconds), "video/mp4")
    else:
        width, height = (
            next((v for k, v in inputs.items() if k == side and isinstance(v, int)), 512)
            for side in ("width", "height")
        )
        job = place.begin(asked, model, Usage(images=1), lambda: made.picture(width, height, asked.text), "image/png")
    return Answer({"prompt_id": job.id, "number": 1, "node_errors": {}})
