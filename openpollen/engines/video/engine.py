"""The local video engine: scenes painted once and set in motion, or a given picture brought to life."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openpollen.core.errors import BadRequest

from ..base import CancelToken, EngineKind, VideoJob, VideoMade
from ..scene.match import default_matcher
from ..scene.metadata import facts
from ..scene.plan import make_plan
from ..scene.types import Plan

SECONDS = (1.0, 60.0)
SIDES = (64, 1920)
RATES = (8, 60)


class SceneVideoEngine:
    """Animated illustrations: a moving camera over painted planes, subjects that walk, fly, swim and float."""

    name = "scene-video"
    kind: EngineKind = "video"
    memory_mb = 420

    def missing(self) -> str:
        """Nothing is ever missing: art and encoder come with the package."""
        return ""

    def load(self) -> None:
        """Read the word lists and the encoder."""
        import av  # noqa: F401 # pyright: ignore[reportUnusedImport] — brought into memory before the first film

        default_matcher()

    def unload(self) -> None:
        """Nothing worth giving back."""

    def generate(self, job: VideoJob, token: CancelToken, progress: Callable[[float], None]) -> VideoMade:
        """The film for a job; the same job and seed give the same bytes. `progress` is told 0 to 1."""
        count = _checked(job)
        seed = secrets.randbelow(2**31) if job.seed is None else job.seed
        token.check()
        plan, note = make_plan(job.prompt, "", default_matcher())
        length = count / job.fps
        picture = _pictures(job, plan, count, seed, token)
        progress(0.05)
        sound = _sound(job, plan, length, seed)
        token.check()
        told = _facts(job, seed) if job.metadata else {}
        data = _written(job, picture, count, sound, told, token, progress)
        return VideoMade(data, length, job.width, job.height, job.fps, seed, _note(job, plan, note))


def _checked(job: VideoJob) -> int:
    """How many pictures the film has; BadRequest when the job is out of bounds."""
    if not RATES[0] <= job.fps <= RATES[1]:
        raise BadRequest(f"fps must be {RATES[0]} to {RATES[1]}, not {job.fps}")
    if not SECONDS[0] <= job.seconds <= SECONDS[1]:
        raise BadRequest(f"A video lasts {SECONDS[0]:g} to {SECONDS[1]:g} seconds, not {job.seconds:g}")
    for name, side in (("width", job.width), ("height", job.height)):
        if not SIDES[0] <= side <= SIDES[1]:
            raise BadRequest(f"The {name} of a video is {SIDES[0]} to {SIDES[1]} pixels, not {side}")
        if side % 2:
            raise BadRequest(f"The {name} of a video must be even, not {side}; use {side - 1} or {side + 1}")
    return max(1, int(job.seconds * job.fps + 1e-6))  # never longer than was asked, for that is what was priced


def _note(job: VideoJob, plan: Plan, note: str) -> str:
    """What the film does not show of its prompt. A given picture is moved; nothing new is drawn into it, and "the camera"
    is no thing to draw."""
    if not job.images:
        return note
    named = ", ".join(subject.noun for subject in plan.subjects[:6] if "camera" not in subject.key)
    more = len(job.images) - 1
    parts = [f"the given picture was set in motion; not drawn into it: {named}" if named else ""]
    parts.append(f"only the first of {more + 1} pictures was used" if more else "")
    return "; ".join(part for part in parts if part)


def _pictures(
    job: VideoJob, plan: Plan, count: int, seed: int, token: CancelToken
) -> Callable[[int], NDArray[np.uint8]]:
    """The function that draws picture number i."""
    from .film import frame, prepare
    from .still import prepare_still, still_frame

    if job.images:
        still = prepare_still(job.images[0], plan, job.width, job.height, seed)
        return lambda i: still_frame(still, i, count, job.fps)
    film = prepare(plan, job.width, job.height, count / job.fps, seed, token)
    return lambda i: frame(film, i, count, job.fps)


def _sound(job: VideoJob, plan: Plan, length: float, seed: int) -> NDArray[np.float32] | None:
    from .sound import soundtrack

    return soundtrack(plan, length, seed) if job.audio else None


def _facts(job: VideoJob, seed: int) -> dict[str, str]:
    told = facts(job.prompt, seed, SceneVideoEngine.name)
    comment = f"seed: {told['seed']}; engine: {told['engine']}; software: {told['software']}"
    return {"title": job.prompt[:500], "comment": comment, "description": job.prompt[:4000]}


def _written(
    job: VideoJob,
    picture: Callable[[int], NDArray[np.uint8]],
    count: int,
    sound: NDArray[np.float32] | None,
    told: dict[str, str],
    token: CancelToken,
    progress: Callable[[float], None],
) -> bytes:
    """Draw and encode every picture; a file, because an MP4 that starts fast is rewritten at its end."""
    from .encode import FilmWriter

    with tempfile.TemporaryDirectory(prefix="openpollen-film-") as folder:
        path = Path(folder) / "film.mp4"
        writer = FilmWriter(path, job.width, job.height, job.fps, sound, told)
        try:
            for i in range(count):
                token.check()
                writer.picture(np.ascontiguousarray(picture(i)))
                progress(0.05 + 0.94 * (i + 1) / count)
        except BaseException:
            writer.abandon()
            raise
        writer.close()
        progress(1.0)
        return path.read_bytes()
