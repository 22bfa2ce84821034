"""The local music engine: composes from the prompt and plays it on the vendored soundfont. No weights, no network."""

from __future__ import annotations

import importlib.util
import secrets
from typing import cast

from openpollen.core.assets import AUDIO_TYPES, AudioFormat
from openpollen.core.errors import BadRequest, UnprocessableEntity
from openpollen.engines.base import AudioMade, CancelToken, EngineKind, MusicJob
from openpollen.engines.music.composer import compose
from openpollen.engines.music.render import RATE, load, play, soundfont_path, unload

MIN_SECONDS, MAX_SECONDS = 3.0, 300.0


class ComposerEngine:
    """Instrumental music in about thirty styles, exactly as long as asked, the same for the same prompt and seed."""

    name = "composer"
    kind: EngineKind = "music"
    memory_mb = 190

    def missing(self) -> str:
        if importlib.util.find_spec("tinysoundfont") is None:
            return "The synthesiser is not installed; run `pip install --no-deps tinysoundfont==0.3.7`."
        if not soundfont_path().exists():
            return "The soundfont that comes with OpenPollen is not there; install OpenPollen again."
        return ""

    def load(self) -> None:
        load()

    def unload(self) -> None:
        unload()

    def compose(self, job: MusicJob, token: CancelToken) -> AudioMade:
        """Compose and encode. Raises ``UnprocessableEntity`` for vocals, ``BadRequest`` for a length or format outside."""
        from openpollen.engines.codec import encode

        if not job.instrumental:
            raise UnprocessableEntity(
                "The local composer makes instrumental music only: it cannot sing. Leave out `instrumental` or set it to "
                "true, or choose a model that sings.",
                reason="vocals_unsupported",
            )
        if not MIN_SECONDS <= job.seconds <= MAX_SECONDS:
            raise BadRequest(
                f"`duration` must be between {MIN_SECONDS:g} and {MAX_SECONDS:g} seconds, not {job.seconds:g}."
            )
        if job.format not in AUDIO_TYPES:
            raise BadRequest(f"`response_format` must be one of {', '.join(AUDIO_TYPES)}, not {job.format!r}.")
        seed = secrets.randbelow(2**31) if job.seed is None else job.seed
        score = compose(job.prompt, job.seconds, seed)
        token.check()
        sound = play(score, token.check)
        token.check()
        data = encode(sound, RATE, cast(AudioFormat, job.format))
        return AudioMade(data, AUDIO_TYPES[job.format], len(sound) / RATE)
