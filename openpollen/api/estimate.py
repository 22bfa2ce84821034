"""POST /v1/estimate: what a call would cost at most, without running it (rule 21)."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from openpollen.accounts.permissions import Caller
from openpollen.api.audio import AudioApi
from openpollen.api.calls import Calls
from openpollen.api.exchange import Exchange
from openpollen.api.form import Form
from openpollen.api.images import ImagesApi
from openpollen.api.params import decode_object, invalid
from openpollen.api.text import TextApi
from openpollen.generation.call import Call

_ENDPOINTS = "chat/completions, text, image, video, images/generations, images/edits, videos, audio, audio/speech"


class EstimateApi:
    """The handler of estimates; the endpoints' own handlers read the request."""

    def __init__(self, calls: Calls, text: TextApi, images: ImagesApi, audio: AudioApi) -> None:
        self._calls = calls
        self._text = text
        self._images = images
        self._audio = audio

    async def estimate(self, exchange: Exchange) -> None:
        caller = await self._calls.authentication.caller(exchange)
        body = decode_object(await exchange.body(self._calls.max_body))
        endpoint, request = body.get("endpoint"), body.get("request")
        if not isinstance(endpoint, str):
            raise invalid("endpoint", f"is required: one of {_ENDPOINTS}")
        if not isinstance(request, dict):
            raise invalid("request", "is required: the body or query of the call, as an object")
        values = cast(dict[str, Any], request)
        call = await self._prepare(exchange, caller, endpoint.strip("/").removeprefix("v1/"), values)
        await exchange.json(200, await self._calls.estimate(call))

    async def _prepare(self, exchange: Exchange, caller: Caller, endpoint: str, values: dict[str, Any]) -> Call:
        match endpoint.partition("{")[0].strip("/"):
            case "chat/completions":
                return self._text.prepare(exchange, caller, msgspec.json.encode(values))
            case "text":
                prompt = values.pop("prompt", "")
                messages = [{"role": "user", "content": prompt}]
                return self._text.prepare(exchange, caller, msgspec.json.encode({**values, "messages": messages}))
            case "image":
                return await self._images.prepare_get(exchange, caller, values, "image")
            case "video" | "videos":
                return await self._images.prepare_get(exchange, caller, values, "video")
            case "images/generations":
                return await self._images.prepare_post(exchange, caller, values, "images", Form())
            case "images/edits":
                return await self._images.prepare_post(exchange, caller, values, "edits", Form())
            case "audio":
                return self._audio.prepare(
                    exchange, caller, {**values, "input": values.get("text") or values.get("input")}, "audio"
                )
            case "audio/speech":
                return self._audio.prepare(exchange, caller, values, "speech")
            case _:
                raise invalid("endpoint", f"expected one of {_ENDPOINTS}, not {endpoint[:60]!r}")
