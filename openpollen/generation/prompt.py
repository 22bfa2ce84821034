"""What happens to a prompt before and a result after the call: ``enhance`` rewrites, ``safe`` checks (rules 14, 15)."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Mapping

import msgspec
from msgspec import Raw, Struct

from openpollen.catalog.registry import Registry
from openpollen.core.assets import ImageRequest, MusicRequest, SpeechRequest, Transcript, VideoRequest
from openpollen.core.chat import ChatAnswer, ChatRequest
from openpollen.core.errors import GatewayError, ServiceUnavailable, UnprocessableEntity
from openpollen.core.model import Capability, Model
from openpollen.generation.admit import Admission
from openpollen.generation.bounds import LONGEST_REWRITTEN
from openpollen.generation.call import Call, Made
from openpollen.generation.upstream import Upstream
from openpollen.providers.adapter import Adapter
from openpollen.providers.failures import Failure
from openpollen.settings import Settings

log = logging.getLogger("openpollen")

_REWRITE = (
    "Rewrite the user's idea as one vivid picture description of at most 40 words. Keep every subject, colour, number and "
    "style of the idea. Answer with the description only."
)


_SMALL = frozenset(
    [
        "the",
        "and",
        "for",
        "with",
        "from",
        "into",
        "onto",
        "its",
        "his",
        "her",
        "their",
        "that",
        "this",
        "some",
        "are",
        "was",
    ]
)


class _Message(Struct):
    content: str | None = None


class _Choice(Struct):
    message: _Message


class _Completion(Struct):
    choices: list[_Choice]


_completions = msgspec.json.Decoder(_Completion)


class Prompts:
    """Rewrites and checks, each by a model of the catalogue that costs nothing to call."""

    def __init__(
        self, registry: Callable[[], Registry], adapters: Mapping[str, Adapter], upstream: Upstream, settings: Settings
    ) -> None:
        self._registry = registry
        self._adapters = adapters
        self._upstream = upstream
        self._rewriter = settings.engines.chat_model
        self._checker = settings.generation.safety_model
        self._seconds = settings.generation.enhance_timeout_s

    async def enhance(self, prompt: str) -> str:
        """The prompt rewritten by the local text model; the original when that fails, takes too long or leaves out a word: a
        small model easily makes another picture of it."""
        try:
            async with asyncio.timeout(self._seconds):
                text = await self._ask(self._rewriter, [("system", _REWRITE), ("user", prompt)], max_tokens=90)
        except (TimeoutError, Failure, GatewayError) as fault:
            log.info("enhance kept the original prompt: %s", fault or "it took too long")
            return prompt
        rewritten = " ".join(text.split()).strip("\"' ")
        if 0 < len(rewritten) <= LONGEST_REWRITTEN and _words(prompt) <= _words(rewritten):
            return rewritten
        log.info("enhance kept the original prompt: the rewritten one was empty, too long, or left something out")
        return prompt

    async def check_prompt(self, call: Call, admission: Admission) -> None:
        """Refuses an unsafe prompt. Raises UnprocessableEntity, ServiceUnavailable without a checker."""
        if not self._checker:
            raise ServiceUnavailable(
                "safe=true needs a checker and none is configured; the operator sets generation.safety_model, "
                "for instance to qwen-safety. Leave safe out to go without.",
                reason="no_safety_checker",
            )
        pictures = call.capability in (Capability.IMAGE, Capability.EDIT, Capability.VIDEO)
        if pictures and not admission.local:
            # The local scene engine draws only what it has drawings of; its prompt is all there is to check.
            raise ServiceUnavailable(
                "safe=true cannot check pictures of this model here; leave it out, or use the model scene.",
                reason="no_safety_checker",
            )
        text = _text_of(call)
        if text:
            await self._check(text)

    async def check_result(self, made: Made) -> None:
        """Refuses an unsafe text answer."""
        if isinstance(made, ChatAnswer):
            await self._check(_content(made.body))
        elif isinstance(made, Transcript):
            await self._check(made.text)

    async def _check(self, text: str) -> None:
        try:
            verdict = await self._ask(self._checker, [("user", text)], max_tokens=64)
        except Failure as failure:
            raise ServiceUnavailable(
                "The safety checker does not answer; try again later.", retry_after=10
            ) from failure
        if "unsafe" in verdict.lower():
            raise UnprocessableEntity(
                "The safety checker refused this content; nothing was charged.", reason="content_policy_violation"
            )

    async def _ask(self, name: str, messages: list[tuple[str, str]], *, max_tokens: int) -> str:
        model = self._model(name)
        serving = self._registry().serving(model, Capability.CHAT)
        route, provider = serving.routes[0]
        adapter = self._adapters[provider.wire]
        said = [{"role": role, "content": content} for role, content in messages]
        fields = {"messages": Raw(msgspec.json.encode(said)), "temperature": Raw(b"0.7")}
        request = ChatRequest(fields, max_tokens=max_tokens, seed=0)
        out = adapter.encode_chat(request, route, provider)
        answer = await self._upstream.call(out, provider, adapter.decode_chat)
        return _content(answer.body)

    def _model(self, name: str) -> Model:
        model = self._registry().get(name)
        if model is None:
            raise ServiceUnavailable(f"The model {name!r} of the settings does not exist.")
        return model


def _words(text: str) -> set[str]:
    """What a prompt speaks of: its words but for the smallest, without the endings of their plurals."""
    words = re.findall(r"\w{3,}", text.lower())
    return {word.removesuffix("s").removesuffix("e") for word in words if word not in _SMALL}


def _content(body: bytes) -> str:
    return _completions.decode(body).choices[0].message.content or ""


def _text_of(call: Call) -> str:
    match call.request:
        case ChatRequest() as request:
            return bytes(request.fields["messages"]).decode()
        case ImageRequest() | VideoRequest() | MusicRequest() as request:
            return request.prompt
        case SpeechRequest() as request:
            return request.input
        case _:
            return ""
