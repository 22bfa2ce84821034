"""One cheap call to each route that is live, straight to its provider and billed to nobody here: does its credential work,
does its model exist, how long does it take. A chat says a few tokens; of what makes pictures, sound and films the provider is
asked for something that it gives for nothing (``probe`` in its row), or it is left alone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping

import msgspec
from msgspec import Struct

from openpollen.catalog.registry import Registry
from openpollen.core.chat import ChatRequest
from openpollen.core.model import Capability, Provider, Route
from openpollen.generation.upstream import Upstream
from openpollen.outbound.message import Outgoing
from openpollen.providers.adapter import Adapter
from openpollen.providers.credential import credential
from openpollen.providers.failures import Failure, from_answer, unreadable

_AT_ONCE = 8
#: Enough for models that think before they speak, and for those that refuse to say less.
_TOKENS = 16
_QUESTION = msgspec.Raw(b'[{"role":"user","content":"Say hi."}]')


class Probe(Struct, frozen=True):
    """What came of one route; of a provider that is asked once for all of its, ``model`` is empty. ``ok`` is ``None`` for what
    was not tried; ``told`` says why, or what failed and what to do."""

    provider: str
    model: str
    ok: bool | None
    seconds: float = 0.0
    told: str = ""


async def probe(
    registry: Registry, adapters: Mapping[str, Adapter], upstream: Upstream, *, patience_s: float
) -> list[Probe]:
    """Asks every live route, several at once, each for at most ``patience_s`` seconds; in the order of the catalogue."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def ask(provider: Provider, route: Route | None) -> Probe:
        model = "" if route is None else route.model
        if route is None and not provider.probe:
            return Probe(provider.name, model, None, told="not tried: it would cost something")
        call = _look(provider, upstream) if route is None else _chat(provider, route, adapters, upstream)
        async with gate:
            started = time.monotonic()
            told = await _told(call, patience_s)
            return Probe(provider.name, model, not told, round(time.monotonic() - started, 3), told)

    return list(await asyncio.gather(*(ask(provider, route) for provider, route in _asked(registry))))


def _asked(registry: Registry) -> Iterator[tuple[Provider, Route | None]]:
    """Each live chat route once, and each live provider of other things once."""
    seen: set[tuple[str, str]] = set()
    for model in registry.models():
        for route in model.routes:
            provider = registry.providers[route.provider]
            name = route.model if model.can(Capability.CHAT) else ""
            if provider.name == "local" or not provider.live or (provider.name, name) in seen:
                continue
            seen.add((provider.name, name))
            yield provider, route if name else None


async def _told(call: Callable[[], Awaitable[object]], patience_s: float) -> str:
    """What is wrong; empty when nothing is."""
    try:
        async with asyncio.timeout(patience_s):
            await call()
    except Failure as failure:
        return _for_operators(failure)
    except TimeoutError:
        return f"did not answer within {patience_s:g} seconds"
    return ""


def _for_operators(failure: Failure) -> str:
    """What failed and what to do: callers are sent to the operator, who is who asks here."""
    error = failure.error
    message = error.message.removesuffix(" Ask its operator, or try another model.")
    details = error.details or {}
    hint, status = details.get("hint"), details.get("upstreamStatus")
    said = f" It answered {status}." if status else ""
    return f"{message}{said}" + (f" {hint[:1].upper()}{hint[1:]}." if hint else "")


def _chat(
    provider: Provider, route: Route, adapters: Mapping[str, Adapter], upstream: Upstream
) -> Callable[[], Awaitable[object]]:
    adapter = adapters[provider.wire]
    request = ChatRequest({"messages": _QUESTION}, max_tokens=_TOKENS)
    return lambda: upstream.call(adapter.encode_chat(request, route, provider), provider, adapter.decode_chat)


def _look(provider: Provider, upstream: Upstream) -> Callable[[], Awaitable[object]]:
    address = f"{provider.base_url.partition('?')[0]}{provider.probe}"
    out = Outgoing("GET", address, (("accept", "application/json"), *credential(provider)))
    return lambda: upstream.call(out, provider, _accepted)


def _accepted(status: int, headers: Mapping[str, str], body: bytes, provider: Provider) -> None:
    if not 200 <= status < 300:
        raise from_answer(status, headers, body, provider)
    if body.lstrip().startswith(b"<"):
        raise unreadable("a page in place of an answer", provider)
