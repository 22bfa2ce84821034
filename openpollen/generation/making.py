"""Making: one attempt of a call at one provider, from the request on its wire to the bytes that the caller gets. What it
costs and who pays is the pipeline's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from msgspec import structs

from openpollen.core.assets import (
    Asset,
    ImageRequest,
    JobState,
    Media,
    MusicRequest,
    SpeechRequest,
    TranscriptionRequest,
    VideoRequest,
)
from openpollen.core.chat import ChatRequest
from openpollen.core.errors import BadGateway, BadRequest, UnprocessableEntity
from openpollen.core.model import Provider
from openpollen.generation import thinking
from openpollen.generation.admit import Admission, Attempt
from openpollen.generation.call import Call, Heard, Made, Result
from openpollen.generation.inline import Bring, inlined
from openpollen.generation.measure import measured
from openpollen.generation.remote import begin, finish, upload
from openpollen.generation.sound import as_asked
from openpollen.generation.upstream import Upstream, encoding
from openpollen.generation.voice import converse, is_spoken
from openpollen.media.picture import opens
from openpollen.media.sniff import sniff
from openpollen.providers.adapter import Adapter
from openpollen.providers.failures import LOCAL, Failure, unreadable

#: Brings a result that a provider answered as an address: its URL, and the provider's own base URL.
Fetch = Callable[[str, str], Awaitable[Asset]]


class Maker:
    """Makes what calls ask for, over one worker's connections. A job is waited for ``job_seconds`` at most."""

    def __init__(self, upstream: Upstream, fetch: Fetch, bring: Bring, job_seconds: float) -> None:
        self._upstream = upstream
        self._fetch = fetch
        self._bring = bring
        self._job_seconds = job_seconds

    async def make(self, call: Call, admission: Admission, attempt: Attempt, heard: Heard) -> Result:
        """What the provider of one attempt made of the call, and what it used of it. Raises GatewayError, Failure."""
        adapter, route, provider = attempt.adapter, attempt.route, attempt.provider
        made: Made
        match call.request:
            case ChatRequest() as request if admission.local and is_spoken(request):
                made = await converse(self._upstream, adapter, route, provider, request)
            case ChatRequest() as request:
                request = await self.readable(request, adapter)
                with encoding():
                    out = adapter.encode_chat(request, route, provider)
                made = await self._upstream.call(out, provider, adapter.decode_chat, heard)
                made = thinking.whole(made) if route.inline_thinking else made
            case ImageRequest() as request:
                uploaded = await upload(self._upstream, attempt, request)
                with encoding():
                    out = adapter.encode_image(request, route, provider, uploaded)
                answer = await self._upstream.call(out, provider, adapter.decode_image, heard)
                made = await self._media(attempt, answer, heard, "image/")
            case SpeechRequest() | MusicRequest() as request:
                with encoding():
                    out = adapter.encode_speech(request, route, provider)
                answer = await self._upstream.call(out, provider, adapter.decode_speech, heard)
                made = await self._media(attempt, answer, heard, "")
            case TranscriptionRequest() as request:
                with encoding():
                    out = adapter.encode_transcription(request, route, provider)
                made = await self._upstream.call(out, provider, adapter.decode_transcription, heard)
                if admission.local and not made.text.strip():
                    # A provider was paid for listening to silence; here it is no work, and a mistake more often than not.
                    raise UnprocessableEntity(
                        "No speech was heard in the recording; nothing was charged. Check that it is not silent.",
                        reason="no_speech",
                    )
            case VideoRequest() as request:
                made = await self._media(attempt, await begin(self._upstream, attempt, request, heard), heard, "video/")
        if isinstance(made, Media) and not isinstance(request, ImageRequest):
            try:
                if isinstance(request, SpeechRequest | MusicRequest):
                    made = await asyncio.to_thread(as_asked, made, request.format)
                usage = await asyncio.to_thread(measured, request, made, call.model, admission.price)  # decodes headers
            except BadRequest:
                raise unreadable("a file that cannot be played", provider) from None
        else:
            usage = measured(request, made, call.model, admission.price)
        name = admission.served_by.name
        revised = made.revised_prompt if isinstance(made, Media) else None
        result = Result(made, usage, route, provider, name, revised_prompt=revised)
        call.headers.update(attempt.told)
        return result

    async def readable(self, request: ChatRequest, adapter: Adapter) -> ChatRequest:
        """The chat with its pictures and files as this wire takes them. Raises BadRequest."""
        return await inlined(request, self._bring) if adapter.inline else request

    async def _media(self, attempt: Attempt, answer: Media | JobState, heard: Heard, wanted: str) -> Media:
        """The bytes of an answer, waited for where the provider has only begun them."""
        bring = partial(self.bytes_of, provider=attempt.provider, wanted=wanted)
        if isinstance(answer, Media):
            try:
                return await bring(answer)
            except BadGateway as fault:
                raise Failure(fault, retryable=True) from fault
        return await finish(self._upstream, attempt, answer, self._job_seconds, bring, heard)

    async def bytes_of(self, made: Media, provider: Provider, wanted: str) -> Media:
        """Fetches what is still an address, and names every asset's media type by its bytes. Raises BadGateway."""
        assets = [*made.assets, *[await self._fetch(url, provider.base_url) for url in made.urls]]
        sniffed = tuple(structs.replace(asset, mime=sniff(asset.data)) for asset in assets)
        usable = bool(sniffed) and all(asset.data and asset.mime.startswith(wanted) for asset in sniffed)
        if usable and wanted == "image/" and provider.name != LOCAL:
            usable = all([await asyncio.to_thread(opens, asset.data) for asset in sniffed])
        if not usable:
            raise BadGateway(
                "The provider answered without a usable result; nothing was charged.",
                reason="upstream_invalid_answer",
                spent=True,
            )
        return structs.replace(made, assets=sniffed, urls=())
