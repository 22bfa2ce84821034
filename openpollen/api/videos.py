"""OpenAI's Videos API over our jobs: POST, list, show, content, delete (rule 19)."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from openpollen.api.calls import Calls, idempotency_key, parse_max_cost
from openpollen.api.exchange import Exchange
from openpollen.api.form import Form, content_kind, read_form
from openpollen.api.images import checked_prompt, header_text, refuse, video_names, video_request
from openpollen.api.params import ImageParams, decode_object, invalid, parse
from openpollen.api.sources import Sources
from openpollen.core.assets import Asset
from openpollen.generation.answers import Answers
from openpollen.generation.jobs import VideoJobs, shown
from openpollen.media import thumbnail
from openpollen.storage.answers import Answer

_MAX_PAGE = 100


class VideosApi:
    """The handlers of video jobs."""

    def __init__(self, calls: Calls, sources: Sources, jobs: VideoJobs, answers: Answers) -> None:
        self._calls = calls
        self._sources = sources
        self._jobs = jobs
        self._answers = answers

    async def create(self, exchange: Exchange) -> None:
        """POST /v1/videos: the job, at once."""
        caller = await self._calls.authentication.caller(exchange)
        form = Form()
        if content_kind(exchange) == "form":
            form = await read_form(exchange, self._calls.max_body)
            values: dict[str, Any] = {**form.fields}
        else:
            values = decode_object(await exchange.body(self._calls.max_body))
        params, sent = parse(ImageParams, values)
        refuse(params)
        if params.n != 1:
            raise invalid("n", "one video is made per call; send the request again for another")
        if params.prompt is None:
            raise invalid("prompt", "is required: a description of the video")
        prompt = checked_prompt(params.prompt)
        resolved = self._calls.registry.resolve(params.model, "video")
        files = [*form.files.get("input_reference", ()), *form.files.get("image", ())]
        name = "input_reference" if values.get("input_reference") or form.files.get("input_reference") else "image"
        images = await self._sources.images(values.get("input_reference") or params.image, files, name)
        call = self._calls.new(
            exchange,
            caller,
            endpoint="videos",
            capability=resolved.capability,
            model=resolved.model,
            request=video_request(params, prompt, images, sent),
            sent=video_names(sent) | ({"image"} if images else set[str]()),
            seed=params.seed,
            max_cost=parse_max_cost(exchange, params.max_cost),
            enhance=params.enhance,
            safe=params.safe,
        )
        admission = self._calls.pipeline.admit(call)
        repeat = await self._answers.begin(call, admission, idempotency_key(exchange), cached=False)
        if repeat.answer is None:
            try:
                job = await self._jobs.of_request(repeat.job) if repeat.job else None
                job = job or await self._jobs.start(call, admission)
            except Exception:  # when the server stops the job may go on, and the key with it
                await self._answers.failed(repeat)
                raise
            headers = {"x-model-used": admission.served_by.name, **call.headers}
            repeat.answer = Answer(200, "application/json", msgspec.json.encode(shown(job)), headers)
            await self._answers.done(call, repeat, repeat.answer, cache=False)
        answer = repeat.answer
        await exchange.answer(answer.status, answer.body, answer.media_type, answer.headers)

    async def list(self, exchange: Exchange) -> None:
        """GET /v1/videos: the account's jobs, the newest first unless ``order=asc``."""
        caller = await self._calls.authentication.caller(exchange)
        try:
            limit = int(exchange.query.get("limit", "20"))
        except ValueError:
            limit = 0
        if not 1 <= limit <= _MAX_PAGE:
            raise invalid("limit", f"expected a whole number from 1 to {_MAX_PAGE}")
        order = exchange.query.get("order") or "desc"
        if order not in ("asc", "desc"):
            raise invalid("order", f"expected asc or desc, not {order[:40]!r}")
        after = exchange.query.get("after")
        rows = await self._jobs.list(caller.user.id, limit + 1, after, oldest=order == "asc")
        data = [shown(row) for row in rows[:limit]]
        body: dict[str, Any] = {"object": "list", "data": data, "has_more": len(rows) > limit}
        if data:
            body |= {"first_id": data[0]["id"], "last_id": data[-1]["id"]}
        await exchange.json(200, body)

    async def show(self, exchange: Exchange) -> None:
        """GET /v1/videos/{id}."""
        caller = await self._calls.authentication.caller(exchange)
        await exchange.json(200, shown(await self._jobs.get(exchange.args["id"], caller.user.id)))

    async def content(self, exchange: Exchange) -> None:
        """GET /v1/videos/{id}/content: the film, or with ``variant=thumbnail`` its first frame."""
        caller = await self._calls.authentication.caller(exchange)
        variant = exchange.query.get("variant") or "video"
        if variant not in ("video", "thumbnail"):
            raise invalid("variant", f"expected video or thumbnail, not {variant[:40]!r}")
        film, note = await self._jobs.content(exchange.args["id"], caller.user.id)
        if variant == "thumbnail":
            film = Asset(await asyncio.to_thread(thumbnail.first_frame, film.data), thumbnail.MIME)
        headers = {"cache-control": "private", "vary": "Authorization"}
        if note:
            headers["x-engine-note"] = header_text(note)
        await exchange.answer(200, film.data, film.mime, headers)

    async def delete(self, exchange: Exchange) -> None:
        """DELETE /v1/videos/{id}: stops an open job, forgets a finished one."""
        caller = await self._calls.authentication.caller(exchange)
        job_id = exchange.args["id"]
        await self._jobs.delete(job_id, caller.user.id)
        await exchange.json(200, {"id": job_id, "object": "video.deleted", "deleted": True})
