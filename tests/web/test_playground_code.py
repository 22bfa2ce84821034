"""Copy as code: what the playground offers runs as it stands, in each language, and makes what the page makes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright._impl._driver import compute_driver_executable
from playwright.sync_api import Browser, Page

from tests.fakeprovider import TEXT
from tests.fakewire import picture, tone
from tests.web.browser import watched
from tests.web.test_playground import Lab, lab

__all__ = ["lab"]

NODE = shutil.which("node") or compute_driver_executable()[0]  # playwright brings one
PROMPT = "It's 5 o'clock: \"tea\" \\ $HOME `id` 🐝"
RUNS: dict[str, Callable[[str], list[str]]] = {
    "curl": lambda text: ["bash", "-euc", text],
    "python": lambda text: [sys.executable, "-c", text],
    "javascript": lambda text: [str(NODE), "--input-type=module", "-e", text],
}


def _offered(page: Page, language: str) -> str:
    page.get_by_role("button", name="Copy as code").click()
    page.locator(f"[data-language={language}]").click()
    text = page.locator("#code-text").inner_text()
    page.locator("#code-close").click()
    return text


@pytest.mark.parametrize("language", RUNS)
def test_offered_code_runs(browser: Browser, lab: Lab, tmp_path: Path, language: str) -> None:
    account, cookie = lab.account()
    made: dict[str, tuple[str, str]] = {}
    with watched(browser, lab.gateway.url, cookie=cookie) as watch:
        watch.context.set_default_timeout(8000)
        page = watch.page()

        def offer(name: str, tab: str, model: str, makes: str, prompt: str = PROMPT, file: str = "") -> None:
            page.goto(f"/play/{tab}")
            page.get_by_label("Model", exact=True).select_option(model)
            if prompt:
                page.locator("#prompt").fill(prompt)
            if file:
                page.locator("#files").set_input_files(tmp_path / file)
            made[name] = (_offered(page, language), makes)

        (tmp_path / "a bee.png").write_bytes(picture(8, 8))
        (tmp_path / "note.wav").write_bytes(tone(2))
        offer("chat", "chat", "lab-chat", "")
        offer("chat with a picture", "chat", "lab-chat", "", file="a bee.png")
        offer("image", "image", "lab-image", "bees.png", "bees")
        offer("edit", "image", "lab-image", "blue.png", "blue", file="a bee.png")
        offer("speech", "speech", "lab-speech", "good-morning.mp3", "Good morning!")
        offer("video", "video", "lab-video", "waves.mp4", "waves")
        offer("transcription", "transcribe", "lab-ears", "", "", file="note.wav")
    environment = {**os.environ, "OPENPOLLEN_KEY": account.key}
    for name, (text, makes) in made.items():
        assert account.key not in text
        run = subprocess.run(RUNS[language](text), cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert run.returncode == 0, (name, text, run.stdout, run.stderr)
        if makes:
            assert (tmp_path / makes).stat().st_size > 0, name
        elif name.startswith("chat"):
            assert TEXT in run.stdout, (name, run.stdout)
            sent = lab.provider.requests[-1].json["messages"][0]["content"]
            assert sent == PROMPT or sent[0]["text"] == PROMPT
        else:
            assert run.stdout.strip(), name
    assert (tmp_path / "bees.png").read_bytes()[:4] == b"\x89PNG"
    seen = next(part for part in lab.provider.requests if b"image_url" in part.body)
    assert "data:image/png;base64,iVBOR" in seen.body.decode()


@pytest.mark.parametrize("language", RUNS)
def test_code_without_money_ends_with_the_servers_words(
    browser: Browser, lab: Lab, tmp_path: Path, language: str
) -> None:
    account, cookie = lab.account(pack="0.001")
    with watched(browser, lab.gateway.url, cookie=cookie) as watch:
        page = watch.page()
        page.goto("/play/speech")
        page.get_by_label("Model", exact=True).select_option("lab-speech")
        page.locator("#prompt").fill("a" * 200)
        text = _offered(page, language)
    environment = {**os.environ, "OPENPOLLEN_KEY": account.key}
    run = subprocess.run(RUNS[language](text), cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert run.returncode != 0
    said = run.stdout + run.stderr + "".join(entry.read_text("utf-8", "replace") for entry in tmp_path.iterdir())
    assert "PAYMENT_REQUIRED" in said
