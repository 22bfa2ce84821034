"""Lightricks' LTX API: the film is the answer (https://docs.ltx.video)."""

from __future__ import annotations

from openpollen.core.usage import Usage
from openpollen.world import made
from openpollen.world.asked import Answer, Asked
from openpollen.world.place import Place


def answer(asked: Asked, place: Place) -> Answer:
    wanted = asked.json
    seconds = int(wanted["duration"])
    return Answer(made.film(seconds), kind="video/mp4", bill=Usage(video_ms=seconds * 1000), model=wanted["model"])
