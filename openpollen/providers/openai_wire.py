"""What every call on the OpenAI wire shares: addresses, credentials, multipart bodies, token counts."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import quote

from msgspec import Struct

from openpollen.core.assets import Asset
from openpollen.core.model import Provider, Route
from openpollen.core.usage import Usage
from openpollen.providers.credential import Header, credential

#: File extension of each media type that is sent, for the file names of multipart parts.
_EXTENSIONS = {
    "image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "image/gif": "gif", "audio/mpeg": "mp3",
    "audio/wav": "wav", "audio/x-wav": "wav", "audio/mp4": "m4a", "audio/ogg": "ogg", "audio/webm": "webm",
    "video/webm": "webm", "video/mp4": "mp4", "audio/flac": "flac", "audio/aac": "aac",
}  # fmt: skip


class TokenDetails(Struct):
    """Parts of a token count. Every field is optional, and some hosts send null."""

    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None
    reasoning_tokens: int | None = None


class TokenUsage(Struct):
    """The ``usage`` object of a chat answer."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: TokenDetails | None = None
    completion_tokens_details: TokenDetails | None = None
    prompt_cache_hit_tokens: int | None = None


_NO_DETAILS = TokenDetails()

#: More tokens of one direction than any model reads or writes in a call: a report above it is a fault, not a count.
MAX_TOKENS = 1_000_000_000


@lru_cache(maxsize=1024)
def endpoint(base_url: str, model: str, path: str) -> str:
    """The address of an operation. ``{model}`` in ``base_url`` becomes the route's model name, and a query of
    ``base_url`` stays behind the path: together they spell Azure's deployment addresses."""
    base, _, query = base_url.replace("{model}", quote(model, safe="")).partition("?")
    return f"{base.rstrip('/')}/{path}" + (f"?{query}" if query else "")


def headers(provider: Provider, accept: str, content_type: str | None = None) -> tuple[Header, ...]:
    """What is accepted and what is sent, and the credential."""
    out: list[Header] = [("accept", accept)]
    if content_type is not None:
        out.append(("content-type", content_type))
    return (*out, *credential(provider))


def taken(standard: frozenset[str], *configured: frozenset[str]) -> frozenset[str]:
    """The parameters of the wire with what the configuration adds, and without what it takes away (``-name``): the host's
    first, then the model's."""
    names = standard
    for some in configured:
        names = (names | {name for name in some if name[:1] != "-"}) - {name[1:] for name in some if name[:1] == "-"}
    return names


def extras(provider: Provider, route: Route) -> frozenset[str]:
    """Parameters beyond the standard ones that the configuration says this host or model takes."""
    return provider.params | route.params


def usage_of(reported: TokenUsage | None) -> Usage | None:
    """Token counts without double counting, or None when the provider did not really report any.

    Cached, cache-write, audio, image and reasoning tokens are parts of the headline counts and are subtracted from
    them, never below zero. Hosts that report parts on top of the headline are recognised by their total. A direction
    that is not told is what the total leaves for it, else 0, which whoever measures takes for "not told". Both zero is
    no report: no chat has an empty prompt. Nor is a count above ``MAX_TOKENS``.
    """
    if reported is None:
        return None
    prompt, completion = _directions(reported)
    if prompt == completion == 0 or max(prompt, completion) > MAX_TOKENS:
        return None
    into, out = reported.prompt_tokens_details, reported.completion_tokens_details
    if into is None and out is None and not reported.prompt_cache_hit_tokens:
        return Usage(input_tokens=prompt, output_tokens=completion)
    into, out = into or _NO_DETAILS, out or _NO_DETAILS
    cached = into.cached_tokens if into.cached_tokens is not None else reported.prompt_cache_hit_tokens
    parts_in = [_count(n) for n in (cached, into.cache_write_tokens, into.audio_tokens, into.image_tokens)]
    parts_out = [_count(n) for n in (out.reasoning_tokens, out.audio_tokens, out.image_tokens)]
    on_top = (reported.total_tokens or 0) - prompt - completion
    if on_top > 0:
        if on_top == sum(parts_in) + sum(parts_out):
            prompt, completion = prompt + sum(parts_in), completion + sum(parts_out)
        elif on_top in (parts_out[0], sum(parts_out)):
            completion += on_top
        elif on_top == sum(parts_in):
            prompt += on_top
    if max(prompt, completion) > MAX_TOKENS:
        return None
    prompt, (cached_in, written, audio_in, image_in) = _split(prompt, parts_in)
    completion, (reasoning, audio_out, image_out) = _split(completion, parts_out)
    return Usage(
        input_tokens=prompt,
        cached_input_tokens=cached_in,
        cache_write_tokens=written,
        input_audio_tokens=audio_in,
        input_image_tokens=image_in,
        output_tokens=completion,
        reasoning_tokens=reasoning,
        output_audio_tokens=audio_out,
        output_image_tokens=image_out,
    )


def _directions(reported: TokenUsage) -> tuple[int, int]:
    total = _count(reported.total_tokens)
    prompt, completion = reported.prompt_tokens, reported.completion_tokens
    if prompt is None:
        prompt = 0 if completion is None else total - completion
    if completion is None:
        completion = total - prompt if prompt else 0
    return _count(prompt), _count(completion)


def multipart(fields: Sequence[tuple[str, str]], files: Sequence[tuple[str, Asset]]) -> tuple[str, bytes]:
    """The content type and body of a form: text fields first, then files with their own names or made-up ones."""
    boundary = secrets.token_hex(16)
    parts: list[bytes] = []
    for name, value in fields:
        parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode())
    for name, asset in files:
        filename = _filename(asset)
        parts.append(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n'
            f"Content-Type: {asset.mime}\r\n\r\n".encode()
        )
        parts += (asset.data, b"\r\n")
    parts.append(f"--{boundary}--\r\n".encode())
    return f"multipart/form-data; boundary={boundary}", b"".join(parts)


def _filename(asset: Asset) -> str:
    # Hosts go by the extension, so a name without one gets that of the media type.
    name = "".join(char for char in asset.name if char.isprintable() and char not in '"\\/')[-100:]
    if "." in name:
        return name
    return f"{name or 'file'}.{_EXTENSIONS.get(asset.mime, 'bin')}"


def _count(value: int | None) -> int:
    return max(0, value or 0)


def _split(total: int, parts: list[int]) -> tuple[int, list[int]]:
    taken: list[int] = []
    for part in parts:
        taken.append(min(part, total))
        total -= taken[-1]
    return total, taken
