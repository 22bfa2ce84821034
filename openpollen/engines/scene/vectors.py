"""Vectors of many names kept on disk, so that a slow model makes them once and not in every process."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .paint import f32
from .types import Array


def kept(folder: Path, model: str, names: Sequence[str], make: Callable[[Sequence[str]], Array]) -> Array:
    """The unit vectors of `names`, one row each: read from `folder`, or made and left there.

    The file's name is a digest of the model's name and of all names, so that a change of either makes a new file. A file
    that is damaged is made again; a folder that cannot be written to only costs the time of making them.
    """
    digest = hashlib.sha256("\n".join([model, *names]).encode()).hexdigest()[:24]
    path = folder / f"{digest}.npy"
    vectors = _read(path, len(names))
    if vectors is None:
        vectors = make(names).astype(np.float32)
        _write(path, vectors)
    return vectors


def _read(path: Path, rows: int) -> Array | None:
    try:
        loaded: Any = np.load(path, allow_pickle=False)
        vectors = f32(loaded)
    except (OSError, ValueError, EOFError):
        return None
    whole = vectors.ndim == 2 and len(vectors) == rows and vectors.dtype == np.float32
    return vectors if whole and bool(np.allclose((vectors**2).sum(axis=1), 1, atol=0.02)) else None


def _write(path: Path, vectors: Array) -> None:
    """Written aside and renamed, so that nobody ever reads half a file."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(suffix=".new", dir=path.parent)
        try:
            os.fchmod(handle, 0o644)
            with os.fdopen(handle, "wb") as file:
                np.save(file, vectors)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError:
        return
