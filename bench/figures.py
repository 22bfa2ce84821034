#!/usr/bin/env python3
"""Measures the README's table on this machine, by running the real ``polli serve`` on a fresh data folder.

    .venv/bin/python bench/figures.py            # everything but the download
    .venv/bin/python bench/figures.py --pull     # also fetches the default models into an empty folder (about 300 MB)

Prints Markdown. Times in CPU seconds hardly move with the load of the machine; wall times do, so the load is printed.
Linux only: memory and CPU time are read from /proc. Needs the default models (``polli models pull``).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
SAID = (
    "The harbour was quiet when the ferry came in. Lamps stood along the quay, and behind them the town went up the "
    "hill in rows of white houses. Nobody was waiting but a dog and a boy who had promised his sister to be there."
)


@dataclass(frozen=True)
class Figure:
    """A line of the table."""

    what: str
    measured: str
    goal: str = ""


@dataclass(frozen=True)
class Server:
    """A running server: its address, a key, and the process tree's root. ``start_s`` is spawn to ready."""

    url: str
    key: str
    pid: int
    start_s: float

    def get(self, path: str, **query: object) -> bytes:
        text = urllib.parse.urlencode({**query, "key": self.key})
        with urllib.request.urlopen(f"{self.url}{path}?{text}", timeout=300) as answer:
            return answer.read()

    def first_piece(self, body: dict[str, object]) -> float:
        """Seconds from the request to the first text of a streamed chat."""
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        data = json.dumps({**body, "stream": True}).encode()
        began = time.monotonic()
        with urllib.request.urlopen(
            urllib.request.Request(f"{self.url}/v1/chat/completions", data, headers), timeout=300
        ) as answer:
            for line in answer:
                choices = json.loads(line[6:])["choices"] if line.startswith(b"data: {") else []
                if choices and choices[0]["delta"].get("content"):
                    return time.monotonic() - began
        raise RuntimeError("the stream held no text")


@contextmanager
def serving(data: Path, key: str = "") -> Iterator[Server]:
    """``polli serve`` on a free port. The first start of a data folder prints the key, later ones are given it."""
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "openpollen", "serve", "--port", "0", "--data", str(data)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        state = data / "server.json"
        url = ""
        while not url:
            if process.poll() is not None:
                raise RuntimeError("polli serve ended before it was ready")
            if state.exists():
                url = json.loads(state.read_text("utf-8"))["url"]
                with urllib.request.urlopen(f"{url}/health/ready", timeout=30) as answer:
                    answer.read()
            else:
                time.sleep(0.005)
        ready = time.monotonic() - began
        yield Server(url, key or _printed_key(process), process.pid, ready)
    finally:
        process.terminate()
        process.wait(30)


def _printed_key(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip().startswith("sk_"):
            return line.strip()
    raise RuntimeError("the first start printed no key")


def measure(data: Path) -> Iterator[Figure]:
    """Every figure that needs a server."""
    with serving(data) as server:
        key = server.key
    starts = []
    for _ in range(3):
        with serving(data, key) as server:
            starts.append(server.start_s)
    yield Figure("Start to ready, engines unloaded (median of 3)", f"{statistics.median(starts):.1f} s", "2 s")
    with serving(data, key) as server:
        yield from _memory(server)
        yield from _chat(server)
        yield from _picture(server)
        yield from _video(server)
        yield from _speech(server)
        rss = sum(_kb(pid, "status", "VmRSS:") for pid in _tree(server.pid) if pid in _engine_hosts(server.pid))
        yield Figure("Engine host after all of this, RSS", f"{rss / 1024:.0f} MB")


def _memory(server: Server) -> Iterator[Figure]:
    server.get("/v1/models")
    workers = [pid for pid in _tree(server.pid) if pid != server.pid and pid not in _engine_hosts(server.pid)]
    rss = max(_kb(pid, "status", "VmRSS:") for pid in workers) / 1024
    pss = max(_kb(pid, "smaps_rollup", "Pss:") for pid in workers) / 1024
    yield Figure("Gateway process after first requests, RSS (PSS)", f"{rss:.0f} MB ({pss:.0f} MB)", "120 MB")


def _chat(server: Server) -> Iterator[Figure]:
    body: dict[str, object] = {"model": "smollm2", "messages": [{"role": "user", "content": "Name three colours."}]}
    first = server.first_piece(body)
    again = statistics.median(server.first_piece(body) for _ in range(3))
    yield Figure("First token of the local chat, load included", f"{first:.1f} s")
    yield Figure("First token of the local chat, once loaded (median of 3)", f"{again:.2f} s", "2 s")


def _picture(server: Server) -> Iterator[Figure]:
    prompts = (
        "a cat in space",
        "a red house on a hill at sunset",
        "a fox in a forest",
        "a robot in a neon city in the rain",
    )
    server.get("/image/a%20tree", model="scene", width=64, height=64)
    used = []
    for prompt in prompts:
        before = _cpu(server.pid)
        server.get(f"/image/{urllib.parse.quote(prompt)}", model="scene", width=768, height=768)
        used.append(_cpu(server.pid) - before)
    shown = f"{statistics.median(used):.1f} s ({min(used):.1f} to {max(used):.1f})"
    yield Figure(f"CPU time of a 768x768 picture (median of {len(prompts)})", shown, "1.5 s")


def _video(server: Server) -> Iterator[Figure]:
    shape: dict[str, object] = {"model": "scene-video", "width": 640, "height": 360, "duration": 3, "audio": "true"}
    used = []
    for prompt in ("a%20sailboat%20at%20sunset", "a%20fox%20in%20a%20forest", "a%20red%20car%20in%20a%20city"):
        before = _cpu(server.pid)
        server.get(f"/video/{prompt}", **shape)
        used.append(_cpu(server.pid) - before)
    shown = f"{statistics.median(used):.1f} s ({min(used):.1f} to {max(used):.1f})"
    yield Figure("CPU time of 3 s of 640x360 video with sound (median of 3)", shown, "4 s")


def _speech(server: Server) -> Iterator[Figure]:
    for voice, goal in (("alloy", "5 times"), ("nova", "")):
        server.get("/audio/Good%20day", voice=voice)
        before, began = _cpu(server.pid), time.monotonic()
        spoken = server.get(f"/audio/{urllib.parse.quote(SAID)}", voice=voice, response_format="pcm", seed=7)
        wall, cpu = time.monotonic() - began, _cpu(server.pid) - before
        seconds = len(spoken) / 2 / 24_000
        shown = (
            f"{seconds / cpu:.1f} times per CPU second, {seconds / wall:.1f} by the clock ({seconds:.1f} s of speech)"
        )
        yield Figure(f"Speech against real time, voice {voice}", shown, goal)


def download() -> Figure:
    """What ``polli models pull`` fetches into an empty folder, and how long it takes."""
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "OPENPOLLEN_MODELS": folder}
        began = time.monotonic()
        subprocess.run([sys.executable, "-m", "openpollen", "models", "pull", "--quiet"], env=env, check=True)
        took = time.monotonic() - began
    return Figure("Download of the default models", f"{_default_download():.0f} MB in {took:.0f} s")


def _default_download() -> float:
    from openpollen.engines import weights

    return sum(model.download_size for model in weights.status() if model.default) / 1e6


# -- /proc ---------------------------------------------------------------------------------------------------------------


def _tree(pid: int) -> list[int]:
    """A process and all its descendants."""
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        found.append(one)
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            todo += map(int, task.read_text().split())
    return found


def _engine_hosts(pid: int) -> set[int]:
    lines = {one: Path(f"/proc/{one}/cmdline").read_bytes() for one in _tree(pid)}
    hosts = {one for one, line in lines.items() if b"openpollen.engines" in line}
    return {below for host in hosts for below in _tree(host)}


def _cpu(pid: int) -> float:
    """CPU seconds of the tree so far, those of its ended children included."""
    used = 0
    for one in _tree(pid):
        fields = Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()
        used += sum(map(int, fields[11:15]))
    return used / TICK


def _kb(pid: int, file: str, name: str) -> int:
    lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith(name)), 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pull", action="store_true", help="fetch the default models into an empty folder too")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    print(f"Measured {datetime.now(UTC):%d %B %Y} by `bench/figures.py`: {os.cpu_count()} cores, load {load:.1f}.\n")
    print("| What | Measured | Goal |\n| --- | --- | --- |", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for figure in measure(Path(folder) / "data"):
            print(f"| {figure.what} | {figure.measured} | {figure.goal} |", flush=True)
    if options.pull:
        figure = download()
        print(f"| {figure.what} | {figure.measured} | {figure.goal} |")


if __name__ == "__main__":
    main()
