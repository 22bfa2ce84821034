"""ElevenLabs: speech, music and transcription (https://elevenlabs.io/docs/api-reference)."""

from __future__ import annotations

from typing import Literal, cast

from openpollen.core.usage import Usage
from openpollen.engines import codec
from openpollen.world import made
from openpollen.world.asked import Answer, Asked
from openpollen.world.place import Place

_MUSIC_MS = 20_000


def answer(asked: Asked, place: Place) -> Answer:
    wanted = asked.json
    match asked.path.strip("/").split("/")[1:]:
        case ["text-to-speech", _]:
            text = wanted["text"]
            data = _sound(asked, made.spoken_ms(text), stereo=False)
            return Answer(data, kind="audio/mpeg", bill=Usage(characters=len(text)), model=wanted["model_id"])
        case ["music", *_]:
            length = int(wanted.get("music_length_ms") or _MUSIC_MS)
            model = str(wanted.get("model_id", "music_v1"))
            return Answer(
                _sound(asked, length, stereo=True), kind="audio/mpeg", bill=Usage(audio_ms=length), model=model
            )
        case ["speech-to-text"]:
            fields, files = asked.form
            heard = Usage(input_audio_ms=round(1000 * codec.duration(files["file"], "audio")))
            words = [
                {"text": "hello", "type": "word", "start": 0.0, "end": 0.4},
                {"text": " ", "type": "spacing", "start": 0.4, "end": 0.5},
                {"text": "world", "type": "word", "start": 0.5, "end": 0.9},
            ]
            body = {"text": "hello world", "language_code": "eng", "words": words}
            return Answer(body, bill=heard, model=fields.get("model_id", ""))
        case _:
            return Answer({"detail": {"status": "not_found", "message": "no such path"}}, 404)


def _sound(asked: Asked, milliseconds: int, *, stereo: bool) -> bytes:
    name, rate, *_ = asked.query.get("output_format", "mp3_44100_128").split("_")
    kind = cast(Literal["mp3", "opus", "pcm"], name)
    return made.sound(milliseconds, kind, int(rate), stereo)
