"""Checks a request against the limits of a model, and fills what the caller left open from them (rules 13, 19, 22).

A request is checked twice where a local engine serves another model's name: against the model asked for, then against
the engine. Defaults that nobody sent are moved inside the limits; what the caller sent is refused with what would work.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, cast

import msgspec
from msgspec import structs

from openpollen.core.assets import ImageRequest, MusicRequest, SpeechRequest, VideoRequest
from openpollen.core.chat import ChatRequest
from openpollen.core.errors import BadRequest
from openpollen.core.model import Limits, Model
from openpollen.providers.shapes import nearest_length

_SIZE = re.compile(r"(\d{1,5})\s*[xX×*]\s*(\d{1,5})")
#: Pixels of a side that no model goes beyond.
_LONGEST_SIDE = 16384
_HEIGHTS = {"360p": 360, "480p": 480, "720p": 720, "768p": 768, "1080p": 1080}
_USUAL = "720p"
#: The contract's range of a video's seconds, for models that state none of their own.
_CONTRACT_SECONDS = (1.0, 10.0)
_SHORTEST_MUSIC, LONGEST_MUSIC = 3.0, 300.0
#: Frames per second that the built-in video engine makes.
_LOCAL_FPS = range(8, 61)


def parse_size(size: str) -> tuple[int, int]:
    """``WIDTHxHEIGHT`` in pixels. Raises BadRequest."""
    found = _SIZE.fullmatch(size.strip())
    if found is None:
        raise BadRequest(f"size: expected WIDTHxHEIGHT such as 1024x1024, not {size[:40]!r}.")
    return int(found[1]), int(found[2])


def check_image(request: ImageRequest, model: Model) -> ImageRequest:
    """The request inside the model's sizes. Raises BadRequest naming the range."""
    limits, given = model.limits, bool({"width", "height", "size"} & request.given)
    width, height = request.width, request.height
    fault = _size_fault(width, height, limits)
    if fault and given:
        raise BadRequest(f"size: {model.name} cannot make {width}x{height}: {fault}.", details={"field": "size"})
    if fault:
        width, height = _default_size(limits)
        request = structs.replace(request, width=width, height=height)
    most = limits.max_reference_images
    if most is not None and len(request.images) > most:
        raise BadRequest(f"image: {model.name} takes at most {most} reference image{'s' if most != 1 else ''}.")
    _check_characters("prompt", request.prompt, model)
    return request


#: Parts of a message that a built-in text model is given as text, and the modality of others.
_TEXT_PARTS = ("text", "refusal", "input_audio")
_MODALITIES = {"image_url": "image", "video_url": "video"}


def unread_part(request: ChatRequest, engine: Model) -> tuple[str, str] | None:
    """The type and modality of the first part that a built-in engine cannot read; None when it reads all."""
    messages = bytes(request.fields.get("messages", b""))
    if b'"type"' not in messages:
        return None
    for message in msgspec.json.decode(messages, type=list[dict[str, Any]]):
        content = message.get("content")
        for part in cast("list[Any]", content) if isinstance(content, list) else ():
            kind = cast("dict[str, Any]", part).get("type") if isinstance(part, dict) else None
            if isinstance(kind, str) and kind not in _TEXT_PARTS:
                modality = _MODALITIES.get(kind, kind)
                if modality not in engine.input_modalities:
                    return kind, modality
    return None


def check_video(request: VideoRequest, model: Model) -> VideoRequest:
    """The request inside the model's durations, shapes and resolutions. Raises BadRequest naming what would work."""
    limits, given = model.limits, request.given
    if "size" in given and (fault := _size_fault(request.width, request.height, limits)):
        raise BadRequest(f"size: {model.name} cannot make {request.width}x{request.height}: {fault}.")
    seconds = _duration(request.seconds if "duration" in given else None, model)
    if limits.aspect_ratios and request.aspect_ratio not in limits.aspect_ratios:
        if "aspect_ratio" in given or "size" in given:
            raise BadRequest(
                f"aspectRatio: {model.name} makes {_list(limits.aspect_ratios)}, not {request.aspect_ratio[:40]!r}."
            )
        request = structs.replace(request, aspect_ratio=limits.aspect_ratios[0])
    if limits.resolutions and request.resolution not in limits.resolutions and "resolution" in given:
        raise BadRequest(
            f"resolution: {model.name} makes {_list(limits.resolutions)}, not {request.resolution[:40]!r}."
        )
    if limits.resolutions and "resolution" not in given:
        # A local engine starts with its quickest; a provider's usual one is 720p.
        usual = _USUAL if _USUAL in limits.resolutions and not model.local else limits.resolutions[0]
        request = structs.replace(request, resolution=usual)
    if model.local and request.fps is not None and request.fps not in _LOCAL_FPS:
        raise BadRequest(f"fps: {model.name} makes {_LOCAL_FPS[0]} to {_LOCAL_FPS[-1]} frames a second.")
    if limits.audio == "never" and request.audio:
        raise BadRequest(f"audio: {model.name} makes silent videos; leave audio out or choose another model.")
    if limits.audio == "always":
        request = structs.replace(request, audio=True)
    most = limits.max_reference_images
    if most is not None and len(request.images) > most:
        raise BadRequest(
            f"image: {model.name} takes at most {most} image{'s' if most != 1 else ''}: start, then end frame."
        )
    if "size" not in given:
        width, height = frame_size(request.aspect_ratio, request.resolution)
        request = structs.replace(request, width=width, height=height)
    odd = [name for name in ("width", "height") if getattr(request, name) % 2]
    if odd and {"size", *odd} & given:
        sides = f"{request.width - request.width % 2}x{request.height - request.height % 2}"
        raise BadRequest(f"{odd[0]}: frames of a video have even sides, such as {sides}.")
    request = structs.replace(
        request, width=request.width + request.width % 2, height=request.height + request.height % 2
    )
    _check_characters("prompt", request.prompt, model)
    return structs.replace(request, seconds=seconds)


def fit_length(request: VideoRequest, lengths: tuple[int, ...], model: Model) -> VideoRequest:
    """The request with a length that a route makes: of a film whose length nobody asked for the nearest. Raises BadRequest
    for any other that was asked for, naming those that the model may have."""
    if not lengths or request.seconds in lengths:
        return request
    if "duration" in request.given:
        able = [length for length in lengths if _within(length, model.limits)] or lengths
        allowed = _list(map(str, able))
        raise BadRequest(f"duration: {model.name} makes videos of {allowed} seconds, not {_number(request.seconds)}.")
    return structs.replace(request, seconds=nearest_length(request.seconds, lengths))


def check_speech(request: SpeechRequest, model: Model) -> SpeechRequest:
    """Raises BadRequest for a text that is too long or a voice the model has not."""
    _check_characters("input", request.input, model)
    if model.voices and request.voice not in model.voices and "voice" in request.given:
        raise BadRequest(f"voice: {model.name} has no voice {request.voice[:60]!r}; it has {', '.join(model.voices)}.")
    return request


def check_music(request: MusicRequest, model: Model) -> MusicRequest:
    """The request with a length inside the model's range, or none where the model chooses."""
    _check_characters("input", request.prompt, model)
    limits = model.limits
    if request.seconds is None:
        return structs.replace(request, seconds=limits.default_duration)
    low, high = limits.min_duration or _SHORTEST_MUSIC, limits.max_duration or LONGEST_MUSIC
    if not low <= request.seconds <= high:
        raise BadRequest(f"duration: {model.name} makes {_number(low)} to {_number(high)} seconds of music.")
    return request


def check_audio_length(seconds: float, model: Model) -> None:
    """Raises BadRequest for a recording that is longer than the model takes."""
    most = model.limits.max_duration
    if most is not None and seconds > most:
        raise BadRequest(f"file: {model.name} hears at most {_number(most)} seconds; this has {_number(seconds)}.")


def frame_size(aspect_ratio: str, resolution: str) -> tuple[int, int]:
    """Even width and height of a frame whose shorter side is the resolution: 16:9 at 720p is 1280x720."""
    try:
        left, right = (float(part) for part in aspect_ratio.split(":"))
        ratio = left / right
    except (ValueError, ZeroDivisionError):
        raise BadRequest(f"aspectRatio: expected two numbers such as 16:9, not {aspect_ratio[:40]!r}.") from None
    if not 0.2 <= ratio <= 5:
        raise BadRequest("aspectRatio: expected a ratio between 1:5 and 5:1.")
    short = _HEIGHTS.get(resolution.lower())
    if short is None:
        raise BadRequest(f"resolution: expected one of {_list(_HEIGHTS)}, not {resolution[:40]!r}.")
    return (_even(short * ratio), short) if ratio >= 1 else (short, _even(short / ratio))


def picture_size(aspect_ratio: str) -> tuple[int, int]:
    """Width and height of about one megapixel in a ratio, in steps of 16: 16:9 is 1360x768."""
    wide, high = frame_size(aspect_ratio, "1080p")
    scale = (1024 * 1024 / (wide * high)) ** 0.5
    return 16 * round(wide * scale / 16), 16 * round(high * scale / 16)


def aspect_of(width: int, height: int) -> str:
    """The named ratio nearest to a frame's; of no frame at all, that of a square."""
    if not width or not height:
        return "1:1"
    names = ("21:9", "16:9", "4:3", "1:1", "3:4", "9:16", "9:21")
    return min(names, key=lambda name: abs(_ratio(name) - width / height))


def _ratio(name: str) -> float:
    left, right = name.split(":")
    return int(left) / int(right)


def _duration(seconds: float | None, model: Model) -> float:
    limits = model.limits
    if seconds is None:
        return _default_duration(limits)
    if limits.durations:
        if not any(abs(seconds - allowed) < 1e-9 for allowed in limits.durations):
            allowed = ", ".join(_number(value) for value in limits.durations)
            raise BadRequest(f"duration: {model.name} makes videos of {allowed} seconds, not {_number(seconds)}.")
        return seconds
    low = limits.min_duration if limits.min_duration is not None else _CONTRACT_SECONDS[0]
    high = limits.max_duration if limits.max_duration is not None else _CONTRACT_SECONDS[1]
    if not low <= seconds <= high:
        raise BadRequest(f"duration: {model.name} makes {_number(low)} to {_number(high)} seconds.")
    step = limits.duration_step
    if step and abs((seconds - low) / step - round((seconds - low) / step)) > 1e-6:
        raise BadRequest(
            f"duration: {model.name} makes {_number(low)} to {_number(high)} s in steps of {_number(step)}."
        )
    return seconds


def _within(seconds: float, limits: Limits) -> bool:
    if limits.durations:
        return seconds in limits.durations
    low, high = limits.min_duration, limits.max_duration
    return (low is None or low <= seconds) and (high is None or seconds <= high)


def _default_duration(limits: Limits) -> float:
    if limits.default_duration is not None:
        return limits.default_duration
    if limits.durations:
        return min(limits.durations, key=lambda value: (abs(value - 5), value))
    low = limits.min_duration or _CONTRACT_SECONDS[0]
    high = limits.max_duration or _CONTRACT_SECONDS[1]
    return min(max(5.0, low), high)


def _size_fault(width: int, height: int, limits: Limits) -> str:
    if limits.sizes:
        return "" if f"{width}x{height}" in limits.sizes else f"it makes {_list(limits.sizes)}"
    low, high = limits.min_size or 1, limits.max_size or _LONGEST_SIDE
    if min(width, height) < low or max(width, height) > high:
        return f"each side is {low} to {high} pixels"
    if limits.max_pixels is not None and width * height > limits.max_pixels:
        return f"width times height is at most {limits.max_pixels:,} pixels"
    return ""


def _default_size(limits: Limits) -> tuple[int, int]:
    if limits.sizes:
        return parse_size(limits.sizes[0])
    side = limits.max_size or 1024
    if limits.max_pixels is not None:
        side = min(side, int(limits.max_pixels**0.5))
    side = max(min(side, 1024), limits.min_size or 1)
    return side, side


def _check_characters(name: str, text: str, model: Model) -> None:
    most = model.limits.max_input_characters
    if most is not None and len(text) > most:
        raise BadRequest(f"{name}: {model.name} takes at most {most:,} characters; this has {len(text):,}.")


def _even(value: float) -> int:
    return max(2, 2 * round(value / 2))


def _number(value: float) -> str:
    return f"{value:g}"


def _list(words: Iterable[str]) -> str:
    return ", ".join(words)
