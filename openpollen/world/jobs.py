"""Jobs and files of a pretended provider: a job is done when it was asked for often enough, and billed then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from openpollen.core.usage import Usage

#: How often a job is asked for until it is done.
POLLS = 2


@dataclass
class Job:
    """One job. ``make`` gives its file when it is done; ``refused`` says that it fails for its content."""

    id: str
    provider: str
    model: str
    bill: Usage
    make: Callable[[], bytes]
    kind: str
    left: int = POLLS
    refused: bool = False
    failed: bool = False
    billed: bool = False
    ended: bool = False

    @property
    def done(self) -> bool:
        return self.left <= 0 and not self.ended


@dataclass
class Shelf:
    """What a world keeps between requests."""

    jobs: dict[str, Job] = field(default_factory=dict[str, Job])
    files: dict[str, tuple[bytes, str]] = field(default_factory=dict[str, tuple[bytes, str]])
    buckets: dict[str, str] = field(default_factory=dict[str, str])

    def begin(self, provider: str, model: str, bill: Usage, make: Callable[[], bytes], kind: str, text: str) -> Job:
        """A new job; words such as ``world:job-fails`` decide how it ends."""
        job = Job(f"{provider}-{len(self.jobs) + 1}", provider, model, bill, make, kind)
        job.failed, job.refused = "world:job-fails" in text, "world:refuse" in text
        self.jobs[job.id] = job
        return job

    def keep(self, data: bytes, kind: str) -> str:
        """A file's name, under which it can be fetched."""
        ending = {"image/png": "png", "image/jpeg": "jpg", "video/mp4": "mp4"}.get(kind, "bin")
        name = f"{len(self.files) + 1}.{ending}"
        self.files[name] = (data, kind)
        return name
