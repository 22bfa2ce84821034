"""POST /v1/estimate: what a call would cost at most, without running it (rule 21).

JSON says which endpoint and what would be sent to it. A form does the same with files: its field ``endpoint`` beside
the fields of the call itself.
"""

from __future__ import annotations

import math
from typing import Any, cast

import msgspec
from msgspec import structs

from openpollen.accounts.permissions import Caller
from openpollen.api.audio import MAX_UPLOAD, AudioApi
from openpollen.api.calls import Calls
from openpollen.api.exchange import Exchange
from openpollen.api.form import Form, content_kind, read_form
from openpollen.api.images import ImagesApi
from openpollen.api.params import decode_object, invalid
from openpollen.api.text import TextApi
from openpollen.core.assets import TranscriptionRequest
from openpollen.generation.call import Call

_ENDPOINTS = (
    "chat/completions, text, image, video, images/generations, images/edits, videos, audio, audio/speech, "
    "audio/transcriptions"
)


class EstimateApi:
    """The handler of estimates; the endpoints' own handlers read the request."""

    def __init__(self, calls: Calls, text: TextApi, images: ImagesApi, audio: AudioApi) -> None:
        self._calls = calls
        self._text = text
        self._images = images
        self._audio = audio

    async def estimate(self, exchange: Exchange) -> None:
        caller = await self._calls.authentication.caller(exchange)
        form = Form()
        if content_kind(exchange) == "form":
            form = await read_form(exchange, max(self._calls.max_body, MAX_UPLOAD))
            endpoint: Any = form.fields.pop("endpoint", None)
            request: Any = {**form.fields}
            if "image" in form.lists:
                request["image"] = form.lists["image"]
        else:
            body = decode_object(await exchange.body(self._calls.max_body))
            endpoint, request = body.get("endpoint"), body.get("request")
        if not isinstance(endpoint, str):
            raise invalid("endpoint", f"is required: one of {_ENDPOINTS}")
        if not isinstance(request, dict):
            raise invalid("request", "is required: the body or query of the call, as an object")
        values = cast(dict[str, Any], request)
        call = await self._prepare(exchange, caller, endpoint.strip("/").removeprefix("v1/"), values, form)
        await exchange.json(200, await self._calls.estimate(call))

    async def _prepare(
        self, exchange: Exchange, caller: Caller, endpoint: str, values: dict[str, Any], form: Form
    ) -> Call:
        match endpoint.partition("{")[0].strip("/"):
            case "chat/completions":
                return self._text.prepare(exchange, caller, msgspec.json.encode(values))
            case "text":
                messages = [{"role": "user", "content": values.pop("prompt", "")}]
                return self._text.prepare(exchange, caller, msgspec.json.encode({**values, "messages": messages}))
            case "image":
                return await self._images.prepare_get(exchange, caller, values, "image")
            case "video" | "videos":
                if values.get("input_reference") is not None:
                    values["image"] = values["input_reference"]
                return await self._images.prepare_get(exchange, caller, values, "video")
            case "images/generations":
                return await self._images.prepare_post(exchange, caller, values, "images", Form())
            case "images/edits":
                return await self._images.prepare_post(exchange, caller, values, "edits", form)
            case "audio":
                spoken = {**values, "input": values.get("text") or values.get("input")}
                return self._audio.prepare(exchange, caller, spoken, "audio")
            case "audio/speech":
                return self._audio.prepare(exchange, caller, values, "speech")
            case "audio/transcriptions":
                return await self._transcription(exchange, caller, values, form)
            case _:
                raise invalid("endpoint", f"expected one of {_ENDPOINTS}, not {endpoint[:60]!r}")

    async def _transcription(self, exchange: Exchange, caller: Caller, values: dict[str, Any], form: Form) -> Call:
        """A recording that comes along, or one of which only the length in ``seconds`` is told."""
        given = values.pop("seconds", None)
        if form.files.get("file"):
            return await self._audio.prepare_transcription(exchange, caller, form)
        seconds = _length(given)
        lists = {name: cast("list[str]", value) for name, value in values.items() if isinstance(value, list)}
        told = Form(values, {**form.lists, **lists}, {})
        call = await self._audio.prepare_transcription(exchange, caller, told, seconds)
        assert isinstance(call.request, TranscriptionRequest)
        call.request = structs.replace(call.request, heard_ms=math.ceil(seconds * 1000))
        return call


def _length(given: Any) -> float:
    """Seconds of a recording. Raises BadRequest for what is no length."""
    try:
        seconds = math.nan if isinstance(given, bool) else float(given)
    except (TypeError, ValueError):
        seconds = math.nan
    if not 0 < seconds <= 86_400:
        raise invalid("seconds", "expected the length of the recording, above 0 and at most 86,400; or send it as file")
    return seconds
