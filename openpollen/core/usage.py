"""Measured units. One ``Usage`` says what a call consumed and made; detail counts are apart, so nothing is counted twice.

Unknown is ``None`` in place of a ``Usage``; a ``Usage`` of zeros means that nothing was used. Times are milliseconds.
"""

from __future__ import annotations

from msgspec import Struct


class Usage(Struct, frozen=True, omit_defaults=True):
    """What one call used. Text input excludes cached, cache-write, audio and image tokens; text output excludes
    reasoning, audio and image tokens. ``estimated`` marks counts that we made because a provider gave none."""

    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    input_audio_tokens: int = 0
    input_image_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    output_audio_tokens: int = 0
    output_image_tokens: int = 0
    characters: int = 0
    images: int = 0
    input_audio_ms: int = 0
    audio_ms: int = 0
    video_ms: int = 0
    video_tokens: int = 0
    searches: int = 0
    requests: int = 1
    estimated: bool = False

    @property
    def read_tokens(self) -> int:
        """Input tokens of every kind."""
        return (
            self.input_tokens
            + self.cached_input_tokens
            + self.cache_write_tokens
            + self.input_audio_tokens
            + self.input_image_tokens
        )

    @property
    def made_tokens(self) -> int:
        """Output tokens of every kind."""
        return self.output_tokens + self.reasoning_tokens + self.output_audio_tokens + self.output_image_tokens

    def headers(self) -> dict[str, str]:
        """The ``x-usage-*`` headers of the units that are not zero; only seconds have a fraction."""
        out: dict[str, str] = {}
        for field, header in _HEADERS:
            count = getattr(self, field)
            if count:
                out[header] = _seconds(count) if field.endswith("_ms") else str(count)
        return out


#: Field of ``Usage`` -> response header. Characters and whole images are reported where clients of the API look for them.
_HEADERS = (
    ("input_tokens", "x-usage-prompt-text-tokens"),
    ("cached_input_tokens", "x-usage-prompt-cached-tokens"),
    ("cache_write_tokens", "x-usage-prompt-cache-write-tokens"),
    ("input_audio_tokens", "x-usage-prompt-audio-tokens"),
    ("input_image_tokens", "x-usage-prompt-image-tokens"),
    ("input_audio_ms", "x-usage-prompt-audio-seconds"),
    ("output_tokens", "x-usage-completion-text-tokens"),
    ("reasoning_tokens", "x-usage-completion-reasoning-tokens"),
    ("output_audio_tokens", "x-usage-completion-audio-tokens"),
    ("characters", "x-usage-completion-audio-tokens"),
    ("output_image_tokens", "x-usage-completion-image-tokens"),
    ("images", "x-usage-completion-image-tokens"),
    ("audio_ms", "x-usage-completion-audio-seconds"),
    ("video_ms", "x-usage-completion-video-seconds"),
    ("video_tokens", "x-usage-completion-video-tokens"),
)


def _seconds(ms: int) -> str:
    return f"{ms / 1000:.3f}".rstrip("0").rstrip(".")
