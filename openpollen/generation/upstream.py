"""Calls a provider: one request out, one answer in, every failure as the provider's ``Failure``. Used by every modality."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from msgspec import structs

from openpollen.core.errors import BadRequest
from openpollen.core.model import Provider
from openpollen.generation.authority import Authority
from openpollen.generation.call import Heard
from openpollen.outbound.client import Client
from openpollen.outbound.connection import Response
from openpollen.outbound.message import OutboundError, Outgoing, Timeouts, TooLarge
from openpollen.providers import failures

T = TypeVar("T")
Decode = Callable[[int, Mapping[str, str], bytes, Provider], T]

#: Largest answer that is read whole: a long film in high definition fits.
MAX_ANSWER = 512 * 1024 * 1024
_UNSENT = "check base_url, its headers and its key: one of them cannot be sent"
_MAX_ERROR = 256 * 1024


class Unfit(Exception):
    """A request that its route cannot carry, though another one may: ``error`` says what it does not take. Nothing was sent."""

    def __init__(self, error: BadRequest) -> None:
        super().__init__(error.message)
        self.error = error


@contextmanager
def encoding() -> Generator[None]:
    """Around what an adapter makes of a request. Raises Unfit for what it refuses."""
    try:
        yield
    except BadRequest as error:
        raise Unfit(error) from error


class Upstream:
    """The way to providers. ``timeouts`` are those of the settings."""

    def __init__(self, client: Client, timeouts: Timeouts) -> None:
        self._client = client
        self._timeouts = timeouts
        self._authority = Authority(client)

    async def call(self, out: Outgoing, provider: Provider, decode: Decode[T], heard: Heard | None = None) -> T:
        """The decoded answer. Raises Failure for a transport fault and for what ``decode`` finds wrong. ``heard`` gets
        what comes of a 2xx answer, whatever becomes of it."""
        try:
            response = await self._client.request(await self._ready(out, provider))
            parts: list[bytes] = []
            if heard is not None and 200 <= response.status < 300:
                heard.parts = parts
            await _read(response, parts)
        except OutboundError as problem:
            raise failures.from_transport(problem, provider) from problem
        except ValueError as problem:
            raise failures.no_access(provider, _UNSENT) from problem
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        return decode(response.status, response.headers, body, provider)

    async def open(self, out: Outgoing, provider: Provider, heard: Heard | None = None) -> Response:
        """The head of a streamed answer. Raises Failure when the connection fails or the status is not 2xx."""
        try:
            response = await self._client.request(await self._ready(out, provider))
            if 200 <= response.status < 300:
                if heard is not None:
                    heard.parts = []
                return response
            body = await response.read(_MAX_ERROR)
        except OutboundError as problem:
            raise failures.from_transport(problem, provider) from problem
        except ValueError as problem:
            raise failures.no_access(provider, _UNSENT) from problem
        raise failures.from_answer(response.status, response.headers, body, provider)

    @staticmethod
    async def pieces(response: Response, provider: Provider) -> AsyncIterator[bytes]:
        """The body as it comes. Raises Failure when it breaks off."""
        try:
            async for piece in response:
                yield piece
        except OutboundError as problem:
            raise failures.from_transport(problem, provider) from problem
        finally:
            response.close()

    async def _ready(self, out: Outgoing, provider: Provider) -> Outgoing:
        out = structs.replace(out, timeouts=self._timeouts)
        return out if provider.signer is None else await self._authority.authorise(out, provider)


async def _read(response: Response, parts: list[bytes]) -> None:
    """Reads a body into ``parts``. Raises OutboundError, TooLarge beyond ``MAX_ANSWER`` bytes."""
    size = 0
    try:
        async for piece in response:
            size += len(piece)
            if size > MAX_ANSWER:
                raise TooLarge(f"the answer is larger than {MAX_ANSWER} bytes")
            parts.append(piece)
    finally:
        response.close()
