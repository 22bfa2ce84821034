"""The manifest of weights: which archives make which model, and what the result must hash to."""

from __future__ import annotations

import os
import re
import tomllib
from functools import lru_cache
from pathlib import Path, PurePosixPath

import msgspec
from msgspec import Struct

_MODEL_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")


class WeightsError(Exception):
    """Weights could not be brought or are not what they should be. The message is a sentence for the user."""


class HubUnreachable(WeightsError):
    """The model hub did not answer after several tries: there is no use in asking it for the next file."""


class Archive(Struct, frozen=True, forbid_unknown_fields=True):
    """One pinned wheel: exact version, size in bytes and sha256 of the whole file."""

    package: str
    version: str
    size: int
    sha256: str

    @property
    def filename(self) -> str:
        return f"{self.package}-{self.version}.whl"


class WeightFile(Struct, frozen=True, forbid_unknown_fields=True):
    """One file of a model: ``parts`` ("package:member") joined in order, or ``hub`` ("org/repo:file") whole."""

    name: str
    size: int
    sha256: str
    parts: tuple[str, ...]
    hub: str = ""

    def members(self) -> list[tuple[str, str]]:
        """``(package, member)`` of each part, in the order they are joined."""
        return [(package, member) for package, _, member in (part.partition(":") for part in self.parts)]


class WeightModel(Struct, frozen=True, forbid_unknown_fields=True):
    """A model of the manifest. ``path`` is what engines open, relative to the model's folder ("." is the folder)."""

    kind: str
    purpose: str
    default: bool
    licence: str
    path: str
    archives: tuple[Archive, ...]
    files: tuple[WeightFile, ...]

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)

    @property
    def download_size(self) -> int:
        return sum(archive.size for archive in self.archives)


class _Manifest(Struct, frozen=True, forbid_unknown_fields=True):
    models: dict[str, WeightModel]


def manifest_path() -> Path:
    """``OPENPOLLEN_WEIGHTS_MANIFEST`` (a site's own, for archives of its own), else the shipped one."""
    given = os.environ.get("OPENPOLLEN_WEIGHTS_MANIFEST")
    return Path(given) if given else Path(__file__).with_name("weights.toml")


def read_manifest() -> dict[str, WeightModel]:
    """The models by name. Raises ``WeightsError`` when the manifest is missing, malformed or names unsafe paths."""
    return _read(manifest_path())


@lru_cache(maxsize=8)
def _read(path: Path) -> dict[str, WeightModel]:
    try:
        models = msgspec.convert(tomllib.loads(path.read_text("utf-8")), _Manifest).models
    except (OSError, ValueError) as error:  # msgspec's and tomllib's errors are ValueErrors
        raise WeightsError(f"The manifest of weights {path} cannot be read: {error}") from error
    for name, model in models.items():
        _check(name, model)
    return models


def _check(name: str, model: WeightModel) -> None:
    if not _MODEL_NAME.fullmatch(name) or name == "hub":
        raise WeightsError(f"The manifest of weights has the unusable model name {name!r}.")
    packages = {archive.package for archive in model.archives}
    for path in (model.path, *(file.name for file in model.files)):
        if not is_inside(path):
            raise WeightsError(f"The manifest of weights names {path!r} for {name}, which leaves the model's folder.")
    for file in model.files:
        if unknown := {package for package, _ in file.members()} - packages:
            raise WeightsError(f"The manifest of weights joins {file.name} of {name} from unlisted {sorted(unknown)}.")


def is_inside(path: str) -> bool:
    """Whether a relative path stays in its folder on every platform."""
    pure = PurePosixPath(path)
    return not pure.is_absolute() and ".." not in pure.parts and not set(path) & {"\\", ":", "\0"}
