"""The engine host as a process: killed, stopped, orphaned, idle, and short of memory; with the real chat model."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

from openpollen.engines import weights
from openpollen.engines.weights_store import write_stamp
from tests.engines.host_process import TOKEN, Client, host_program, listener

WAIT = 20


def test_a_killed_host_can_be_started_again_on_the_same_socket(models_dir: Path) -> None:
    with listener() as socket:
        client = Client(socket.getsockname()[1])
        with host_program(socket, models_dir) as process:
            first = client.chat("Name a colour.", seed=4, max_tokens=8)
            process.kill()
            assert process.wait(WAIT) == -9
        with host_program(socket, models_dir) as process:
            again = client.chat("Name a colour.", seed=4, max_tokens=8)
            assert again.json["choices"][0]["message"] == first.json["choices"][0]["message"]
            process.terminate()
            assert process.wait(5) == 0


def test_leaving_a_stream_stops_the_model_and_frees_its_place(models_dir: Path) -> None:
    with listener() as socket, host_program(socket, models_dir, threads=1, queue=0):
        client = Client(socket.getsockname()[1])
        story = {"model": "smollm2", "messages": [{"role": "user", "content": "Tell a very long story."}]}
        connection = client.open("POST", "/v1/chat/completions", {**story, "stream": True, "max_tokens": 4000})
        response = connection.getresponse()
        assert response.readline().startswith(b"data: ")
        assert client.chat("Hi").status == 429
        response.close()
        connection.close()
        client.until("running", 0, seconds=3)
        long = {"model": "smollm2", "messages": [{"role": "user", "content": "word " * 6000}]}
        connection = client.open("POST", "/v1/chat/completions", long)  # a minute of reading before the first token
        client.until("running", 1)
        connection.close()
        client.until("running", 0, seconds=10)
        assert client.chat("Hi", max_tokens=2).status == 200


def test_sigterm_cuts_what_still_runs(models_dir: Path) -> None:
    with listener() as socket, host_program(socket, models_dir) as process:
        story = {"model": "smollm2", "messages": [{"role": "user", "content": "Tell a very long story."}]}
        body = {**story, "stream": True, "max_tokens": 8000}
        connection = Client(socket.getsockname()[1]).open("POST", "/v1/chat/completions", body)
        response = connection.getresponse()
        assert response.readline().startswith(b"data: ")
        process.terminate()
        assert process.wait(8) == 0
        connection.close()


def test_an_idle_model_gives_its_memory_back_and_the_same_text_when_loaded_again(models_dir: Path) -> None:
    with listener() as socket, host_program(socket, models_dir, idle_s=1) as process:
        client = Client(socket.getsockname()[1])
        texts: list[str] = []
        for _ in range(2):
            texts.append(client.chat("Name a fruit.", seed=8, max_tokens=8).json["choices"][0]["message"]["content"])
            loaded = resident_mb(process.pid)
            client.until("loaded", [])
            assert resident_mb(process.pid) < loaded - 150
        assert texts[0] == texts[1]


def test_a_model_pulled_from_the_hub_serves_under_its_own_name(models_dir: Path, tmp_path: Path) -> None:
    weights_file = weights.model_path("smollm2")
    hub_file(tmp_path, "Org--Tiny", "Tiny-Chat.gguf").symlink_to(weights_file)
    hub_file(tmp_path, "Org--Broken", "Broken.gguf").write_bytes(weights_file.read_bytes()[: 8 << 20])
    for folder, file in (("Org--Tiny", "Tiny-Chat.gguf"), ("Org--Broken", "Broken.gguf")):
        write_stamp(tmp_path / "hub" / folder, {file: "0" * 64}, f"Org/Repo:{file}")
    with listener() as socket, host_program(socket, tmp_path):
        client = Client(socket.getsockname()[1])
        listed = {model["id"]: model for model in client.ask("GET", "/v1/models").json["data"]}
        assert listed["tiny-chat"]["kind"] == "chat"
        assert listed["smollm2"]["status"] == "missing"
        answer = client.chat("Hi", model="tiny-chat", max_tokens=4).json
        assert answer["model"] == "tiny-chat"
        assert answer["usage"]["completion_tokens"] == 4
        assert "polli models pull" in client.chat("Hi").json["error"]["message"]
        broken = client.chat("Hi", model="broken")
        assert broken.status == 503
        assert "cannot be loaded" in broken.json["error"]["message"]


def test_a_budget_smaller_than_the_model_is_503(models_dir: Path) -> None:
    with listener() as socket, host_program(socket, models_dir, memory_mb=50):
        answer = Client(socket.getsockname()[1]).chat("Hi")
        assert answer.status == 503
        assert "50 MB" in answer.json["error"]["message"]


def test_a_host_ends_when_its_parent_dies(models_dir: Path) -> None:
    """A parent that starts a host and is killed leaves nobody listening."""
    parent_code = (
        "import subprocess, sys; fd = int(sys.argv[1]);"
        "host = subprocess.Popen([sys.executable, '-m', 'openpollen.engines.host', '--fd', str(fd)], pass_fds=[fd]);"
        "print(host.pid, flush=True); host.wait()"
    )
    with listener() as socket:
        environ = {**os.environ, "OPENPOLLEN_ENGINE_TOKEN": TOKEN, "OPENPOLLEN_MODELS": str(models_dir)}
        fd = socket.fileno()
        parent = subprocess.Popen(
            [sys.executable, "-c", parent_code, str(fd)], pass_fds=[fd], env=environ, stdout=subprocess.PIPE
        )
        assert parent.stdout is not None
        with parent, parent.stdout:
            pid = int(parent.stdout.readline())
            ended = os.pidfd_open(pid)
            assert Client(socket.getsockname()[1]).ask("GET", "/health").json["pid"] == pid
            parent.kill()
            parent.wait()
        assert readable(ended, WAIT)
        os.close(ended)


def test_a_host_without_a_secret_or_with_a_wrong_setting_says_so(models_dir: Path) -> None:
    for change, word in (({"OPENPOLLEN_ENGINE_TOKEN": ""}, "TOKEN"), ({"OPENPOLLEN_ENGINE_QUEUE": "many"}, "QUEUE")):
        with listener() as socket:
            environ = {**os.environ, "OPENPOLLEN_ENGINE_TOKEN": TOKEN, **change}
            command = [sys.executable, "-m", "openpollen.engines.host", "--fd", str(socket.fileno())]
            ran = subprocess.run(command, pass_fds=[socket.fileno()], env=environ, capture_output=True, check=False)
            assert ran.returncode == 1
            assert word in ran.stderr.decode()


def hub_file(models: Path, folder: str, name: str) -> Path:
    path = models / "hub" / folder / name
    path.parent.mkdir(parents=True)
    return path


def resident_mb(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20


def readable(descriptor: int, seconds: float) -> bool:
    return bool(select.select([descriptor], [], [], seconds)[0])
