"""The most that a request can use, as a ``Ceiling`` for ``pricing.upper_bound``: one function for each kind of request.

Text is bounded by its length in UTF-8 bytes: a token of a byte-level vocabulary stands for at least one byte, so a
text has no more tokens than bytes. The JSON text of a message is never shorter than what it says, so the raw JSON
serves as well. What templates, tools, pictures and recordings add is bounded by the constants below, each with its
source.
"""

from __future__ import annotations

import math

from openpollen.ledger.pricing import Ceiling

#: Tokens that a chat template may add for one message: role, separators and end mark take 3 to 8 in published
#: templates.
MESSAGE_TOKENS = 16
#: Tokens of a template's own opening: default system prompts take up to about 40.
REQUEST_TOKENS = 64
#: Tokens of the hidden prompt that comes with a tool list; Anthropic's tool-use page lists up to 700.
TOOLS_TOKENS = 1_024
#: Most tokens of one picture in a chat: OpenAI's vision guide allows up to 10,000 patches at original detail; the other
#: makers stay below (Anthropic 4,784, Gemini 2,240).
IMAGE_INPUT_TOKENS = 10_000
#: Bytes of base64 that make at least one token in a recording: Gemini counts 32 tokens a second of audio, and no common
#: codec stays below 4 kbit/s.
AUDIO_BYTES_PER_TOKEN = 16
#: Slowest speech: one second for a character (a digit can be a whole word), at speed 1.
SPEECH_MS_PER_CHARACTER = 1_000
#: Most audio tokens of a second of speech; OpenAI makes 20, Gemini 25.
SPEECH_TOKENS_PER_SECOND = 50


def chat_ceiling(
    *,
    text_bytes: int,
    messages: int,
    max_tokens: int,
    tools: bool = False,
    images: int = 0,
    audio_bytes: int = 0,
    searches: int = 0,
) -> Ceiling:
    """A chat. ``text_bytes`` is the length of all messages and tools without inlined media, raw JSON or UTF-8;
    ``max_tokens`` bounds the whole answer, reasoning and audio included."""
    tokens = text_bytes + REQUEST_TOKENS + messages * MESSAGE_TOKENS + (TOOLS_TOKENS if tools else 0)
    tokens += images * IMAGE_INPUT_TOKENS
    tokens += -(-audio_bytes // AUDIO_BYTES_PER_TOKEN)
    return Ceiling(input_tokens=tokens, output_tokens=max_tokens, searches=searches)


def image_ceiling(
    *, prompt_bytes: int, n: int = 1, references: int = 0, image_tokens: int = 0, text_tokens: int = 0
) -> Ceiling:
    """Pictures. ``image_tokens`` is the model's largest count for one picture, ``text_tokens`` what it may write or
    think beside one, ``references`` counts given pictures and the mask."""
    return Ceiling(
        input_tokens=n * (prompt_bytes + REQUEST_TOKENS + references * IMAGE_INPUT_TOKENS),
        output_tokens=n * text_tokens,
        output_image_tokens=n * image_tokens,
        images=n,
    )


def video_ceiling(*, seconds: float, width: int, height: int, fps: int, prompt_bytes: int = 0) -> Ceiling:
    """A video of at most this length; video tokens are width * height * fps * seconds / 1024."""
    return Ceiling(
        input_tokens=prompt_bytes + REQUEST_TOKENS,
        ms=math.ceil(seconds * 1000),
        video_tokens=math.ceil(width * height * fps * seconds / 1024),
    )


def speech_ceiling(*, text: str, speed: float = 1.0) -> Ceiling:
    """Speech. Characters are counted as code points; the length matters for models paid by the second or by token."""
    ms = math.ceil((len(text) + 1) * SPEECH_MS_PER_CHARACTER / speed)
    return Ceiling(
        input_tokens=len(text.encode()) + REQUEST_TOKENS,
        output_tokens=-(-ms * SPEECH_TOKENS_PER_SECOND // 1000),
        characters=len(text),
        ms=ms,
    )


def music_ceiling(*, seconds: float, prompt: str = "") -> Ceiling:
    """Music of at most this length: the one asked for, else the model's longest."""
    return Ceiling(
        input_tokens=len(prompt.encode()) + REQUEST_TOKENS, characters=len(prompt), ms=math.ceil(seconds * 1000)
    )


def transcription_ceiling(*, ms: int) -> Ceiling:
    """A recording whose length was measured: only its time is ever billed."""
    return Ceiling(ms=ms)


def image_resolution(width: int, height: int) -> str:
    """The tier of a picture that price variants name: 1k up to 1024 x 1024 pixels, 2k up to 2048 x 2048, else 4k."""
    pixels = width * height
    return "1k" if pixels <= 1024 * 1024 else "2k" if pixels <= 2048 * 2048 else "4k"
