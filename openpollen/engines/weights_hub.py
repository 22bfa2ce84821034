"""Weights from the model hub: the second source of the shipped models, and any GGUF that a user names."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from openpollen.engines.gguf import GgufHeader, Kind, NotGguf, read_header
from openpollen.engines.weights_manifest import HubUnreachable, WeightModel, WeightsError, is_inside
from openpollen.engines.weights_pip import largest_file, sha256_of
from openpollen.engines.weights_store import is_unchanged, read_stamp, swap_in, write_stamp

_HUB_ID = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(:(?P<file>[^:]+))?")
#: Which quantisation to take when a repository has several and the user named none: good ones for a CPU first.
_PREFERRED = ("q4_k_m", "q4_k", "q4_0", "q4_1", "q5_k_m", "q8_0", "q6_k", "f16")
_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class HubModel:
    """A GGUF pulled from the hub. ``name`` is its local model name; ``kind`` is guessed from the file's header."""

    name: str
    kind: Kind
    architecture: str
    repo: str
    file: str
    path: Path
    size: int


def parse_hub_id(hub_id: str) -> tuple[str, str]:
    """``ORG/REPO[:FILE]`` as repository and file ("" when none is named). Raises ``WeightsError``."""
    match = _HUB_ID.fullmatch(hub_id)
    file = (match["file"] or "") if match else ""
    if match is None or not is_inside(file) or ".." in match["repo"]:
        raise WeightsError(f"{hub_id!r} is not a hub id; write ORG/REPO or ORG/REPO:FILE.gguf.")
    return match["repo"], file


def fetch_model(model: WeightModel, folder: Path, progress: Callable[[int], None]) -> None:
    """Bring every file of a shipped model into ``folder`` and check its sha256. Raises ``WeightsError``."""
    done = 0
    for file in model.files:
        repo, name = parse_hub_id(file.hub)
        start = done
        path = _download(repo, name, folder / ".hub", lambda so_far, start=start: progress(start + so_far))
        if sha256_of(path) != file.sha256:
            path.unlink()
            raise WeightsError(f"{repo}:{name} on the hub does not have the pinned sha256.")
        (folder / file.name).parent.mkdir(parents=True, exist_ok=True)
        path.replace(folder / file.name)
        done += file.size
    shutil.rmtree(folder / ".hub", ignore_errors=True)


def pull_gguf(hub_id: str, models: Path, progress: Callable[[int], None]) -> HubModel:
    """Bring one GGUF of a hub repository into ``<models>/hub``. One that is there already is not fetched again."""
    repo, name = parse_hub_id(hub_id)
    for known in pulled(models):
        if known.repo == repo and name in ("", known.file):
            return known
    name = name or _choose(repo, _list_files(repo))
    if not name.lower().endswith(".gguf"):
        raise WeightsError(f"{name} is not a GGUF; name a .gguf file of {repo}.")
    partial = models / ".archives" / "hub" / _folder_name(repo, name)  # kept when interrupted: the hub client resumes
    path = _download(repo, name, partial, progress)
    try:
        read_header(path)
    except NotGguf as error:
        path.unlink()
        raise WeightsError(f"{repo}:{name}: {error}") from error
    built = models / f".building-{_folder_name(repo, name)}"
    shutil.rmtree(built, ignore_errors=True)
    built.mkdir(parents=True)
    final = built / Path(name).name
    path.replace(final)
    write_stamp(built, {final.name: sha256_of(final)}, f"{repo}:{name}")
    target = models / "hub" / _folder_name(repo, name)
    swap_in(built, target)
    shutil.rmtree(partial, ignore_errors=True)
    return next(known for known in pulled(models) if known.path.parent == target)


def pulled(models: Path) -> list[HubModel]:
    """The GGUFs pulled from the hub that are whole and unchanged, by name."""
    found: list[HubModel] = []
    for folder in sorted((models / "hub").glob("*")):
        stamp = read_stamp(folder)
        if stamp is None or len(stamp.files) != 1:
            continue
        path = folder / next(iter(stamp.files))
        if not is_unchanged(path, stamp.files[path.name]):
            continue
        repo, file = parse_hub_id(stamp.source)
        header = _header(path, stamp.files[path.name].mtime_ns)
        name = re.sub(r"[^a-z0-9.]+", "-", path.stem.lower()).strip("-")
        found.append(HubModel(name, header.kind, header.architecture, repo, file, path, path.stat().st_size))
    return found


@lru_cache(maxsize=64)
def _header(path: Path, _mtime_ns: int) -> GgufHeader:
    """Headers hold whole vocabularies: each file's is read once."""
    return read_header(path)


def _folder_name(repo: str, file: str) -> str:
    return re.sub(r"[^\w.-]+", "--", f"{repo}/{file}")


def _choose(repo: str, files: list[str]) -> str:
    ggufs = sorted(f for f in files if f.lower().endswith(".gguf") and "mmproj" not in f.lower() and "-of-0" not in f)
    if not ggufs:
        raise WeightsError(f"{repo} has no GGUF in one piece; name another repository.")
    for mark in _PREFERRED:
        for file in ggufs:
            if mark in file.lower():
                return file
    return ggufs[0]


def _list_files(repo: str) -> list[str]:
    from huggingface_hub import HfApi

    with _Sentences(repo):
        return HfApi().list_repo_files(repo)


def _download(repo: str, name: str, folder: Path, progress: Callable[[int], None]) -> Path:
    """Run the hub's own client; while it works, report the growing file. A partial file is resumed by the client."""
    import huggingface_hub
    from huggingface_hub.utils import disable_progress_bars

    client: Any = huggingface_hub  # its types leave parts unknown

    disable_progress_bars()
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_POLL_SECONDS):
            progress(largest_file(folder))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        with _Sentences(f"{repo}:{name}"):
            return Path(client.hf_hub_download(repo, name, local_dir=folder))
    finally:
        ended.set()
        watcher.join()


class _Sentences:
    """Turns the hub client's exceptions into one sentence, and keeps its retry warnings off the terminal."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        from huggingface_hub.utils import logging

        self._level = logging.get_verbosity()
        logging.set_verbosity_error()

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        from huggingface_hub import errors
        from huggingface_hub.utils import logging

        logging.set_verbosity(self._level)
        if error is None or not isinstance(error, Exception):
            return
        match error:
            case errors.GatedRepoError():
                words = "the hub asks for your consent first: accept the model's terms there and set HF_TOKEN"
            case errors.RepositoryNotFoundError() | errors.HFValidationError():
                words = "the hub has no such repository; check the id (a private one needs HF_TOKEN)"
            case errors.EntryNotFoundError() if not isinstance(error, errors.LocalEntryNotFoundError):
                words = "the repository has no such file"
            case OSError() if error.errno == 28:
                words = "the disk is full; free some space and pull again"
            case _:
                words = "the model hub cannot be reached; check the network, or set HF_ENDPOINT to a mirror"
                raise HubUnreachable(f"{self._what}: {words}.") from error
        raise WeightsError(f"{self._what}: {words}.") from error
