"""ACE-Step 1.5's own server (https://github.com/ace-step/ACE-Step-1.5/blob/main/docs/en/API.md)."""

from __future__ import annotations

import json
from typing import Any, Literal, cast

from openpollen.core.usage import Usage
from openpollen.world import made
from openpollen.world.asked import Answer, Asked
from openpollen.world.place import Place

_SECONDS = 30


def answer(asked: Asked, place: Place) -> Answer:
    wanted = asked.json
    match asked.path.strip("/").split("/"):
        case ["release_task"]:
            length = round(1000 * float(wanted.get("audio_duration", _SECONDS)))
            kind = cast(Literal["mp3", "flac", "wav"], wanted["audio_format"])
            bill = Usage(audio_ms=length)
            job = place.begin(
                asked, wanted["model"], bill, lambda: made.sound(length, kind, 48_000, True), "audio/mpeg"
            )
            return _wrapped({"task_id": job.id, "status": "queued"})
        case ["query_result"]:
            job = place.look(wanted["task_id_list"][0])
            if job is None:
                return _wrapped([])
            song: dict[str, Any] = {"file": "", "stage": "running", "progress": 0.5}
            if job.done and not job.failed and not job.refused:
                song = {"file": f"/v1/audio?path={place.shelf.keep(job.make(), job.kind)}"}
            state = 0 if not job.done else 2 if job.failed or job.refused else 1
            return _wrapped([{"task_id": job.id, "status": state, "result": json.dumps([song])}])
        case ["v1", "audio"]:
            data, kind = place.shelf.files[asked.query["path"]]
            return Answer(data, kind=kind)
        case _:
            return _wrapped({"status": "ok"})


def _wrapped(data: Any) -> Answer:
    return Answer({"data": data, "code": 200, "error": None})
