"""What a wire's answers are made with: the world's seed, its shelf, and the address of the provider that is asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from openpollen.core.usage import Usage
from openpollen.world.asked import Asked
from openpollen.world.jobs import Job, Shelf


@dataclass(frozen=True)
class Place:
    """``origin`` is the address of the pretended provider, without the rest of its path."""

    seed: int
    shelf: Shelf
    origin: str
    bill: Callable[[str, str, Usage], None]

    def file(self, data: bytes, kind: str) -> str:
        """An address from which the file can be fetched without a key."""
        return f"{self.origin}/files/{self.shelf.keep(data, kind)}"

    def begin(self, asked: Asked, model: str, bill: Usage, make: Callable[[], bytes], kind: str) -> Job:
        return self.shelf.begin(asked.provider, model, bill, make, kind, asked.text)

    def look(self, job_id: str) -> Job | None:
        """A job that is asked for: one step nearer to its end, and billed when it gets there."""
        job = self.shelf.jobs.get(job_id)
        if job is not None:
            job.left -= 1
            if job.done and not job.billed and not job.failed and not job.refused:
                job.billed = True
                self.bill(job.provider, job.model, job.bill)
        return job
