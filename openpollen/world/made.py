"""What pretended providers make: words, arguments for tools, pictures, films and sound; the same seed makes the same."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, cast

import av
import numpy as np
from PIL import Image

from openpollen.core.usage import Usage
from openpollen.engines import codec

RATE = 24_000
#: Tokens of a spoken answer for each second of it, and of a picture that is read.
AUDIO_TOKENS, PICTURE_TOKENS = 20, 85
_WORDS = (
    "a",
    "quiet",
    "river",
    "runs",
    "below",
    "the",
    "old",
    "mill",
    "while",
    "seven",
    "herons",
    "wait",
    "at",
    "dusk",
)


@dataclass(frozen=True)
class Talk:
    """What a chat model answers: words, or a call of a tool. The counts are what it bills."""

    text: str
    reasoning: str
    call: tuple[str, str] | None
    prompt: int
    cached: int
    said: int
    thought: int

    @property
    def bill(self) -> Usage:
        return Usage(
            input_tokens=self.prompt - self.cached,
            cached_input_tokens=self.cached,
            output_tokens=self.said,
            reasoning_tokens=self.thought,
        )

    @property
    def pieces(self) -> list[str]:
        """The words as they come in a stream, one token each."""
        return [word if at == 0 else f" {word}" for at, word in enumerate(self.text.split(" "))] if self.text else []


def talk(prompt: str, seed: int, *, tools: list[tuple[str, Any]] = [], shape: Any = None, thinks: bool = False) -> Talk:  # noqa: B006 - never changed
    """An answer to a prompt: a call of the first tool where there are some, JSON of a ``shape`` (a schema, or True), else a
    sentence."""
    start = int(hashlib.sha256(f"{seed}/{prompt}".encode()).hexdigest(), 16) % len(_WORDS)
    words = [_WORDS[(start + n) % len(_WORDS)] for n in range(9)]
    call = (tools[0][0], json.dumps(fitting(tools[0][1]))) if tools else None
    text = "" if call else json.dumps(fitting(shape)) if shape else " ".join(words).capitalize() + "."
    read = len(prompt) // 4 + 9
    made = len(call[1]) // 4 + 5 if call else len(text.split(" "))
    return Talk(text, "Let me see." if thinks else "", call, read, read // 4, made, 3 if thinks else 0)


def fitting(schema: Any) -> Any:
    """A small value that fits a JSON schema."""
    if not isinstance(schema, dict):
        return {"answer": "yes"}
    known = cast("dict[str, Any]", schema)
    if "enum" in known:
        return known["enum"][0]
    kind = known.get("type", "object")
    if isinstance(kind, list):
        kind = cast("list[str]", kind)[0]
    match kind.lower():
        case "object":
            return {
                name: fitting(part) for name, part in known.get("properties", {"answer": {"type": "string"}}).items()
            }
        case "array":
            return [fitting(known.get("items", {"type": "string"}))]
        case "integer" | "number":
            return known.get("minimum", 7)
        case "boolean":
            return True
        case _:
            return "Paris"


def picture(width: int, height: int, text: str, kind: str = "PNG") -> bytes:
    """A picture of bands in colours that the text decides."""
    tones = hashlib.sha256(text.encode()).digest()
    bands = np.frombuffer(tones[:24], np.uint8).reshape(1, 8, 3)
    image = Image.fromarray(np.repeat(bands, 8, axis=0)).resize((max(8, min(width, 2048)), max(8, min(height, 2048))))
    out = io.BytesIO()
    image.save(out, kind)
    return out.getvalue()


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


@lru_cache(maxsize=32)
def film(seconds: int) -> bytes:
    """A short-lived film of this length, H.264 in MP4."""
    out = io.BytesIO()
    with cast(Any, av.open(out, "w", format="mp4")) as file:  # PyAV's types are partial
        stream = file.add_stream("libx264", rate=8)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for number in range(8 * seconds):
            band = np.full((64, 64, 3), (number * 9) % 256, np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(band, format="rgb24")))
        file.mux(stream.encode(None))
    return out.getvalue()


@lru_cache(maxsize=64)
def sound(
    milliseconds: int, kind: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"], rate: int = RATE, stereo: bool = False
) -> bytes:
    """A tone of this length."""
    tone = (np.sin(np.arange(rate * milliseconds // 1000) * 2 * np.pi * 440 / rate) / 3).astype(np.float32)
    return codec.encode(np.stack([tone, tone], axis=1) if stereo else tone, rate, kind)


def spoken_ms(text: str) -> int:
    """How long a text takes to be said: 15 characters a second."""
    return max(200, len(text) * 1000 // 15)
