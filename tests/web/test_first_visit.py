"""The way of a newcomer in a browser, on the built-in engines: sign up, make a key, call, play, see what it cost."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.gateway import Account, Gateway
from tests.web.browser import violations, watched

SETTINGS = """
[signin]
signup = "open"
[accounts]
signup_grant = "2"
"""


@pytest.fixture(scope="module")
def server(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("first")
    config = folder / "openpollen.toml"
    config.write_text(SETTINGS)
    with Gateway(folder / "data", config) as running:
        yield running
    assert "Traceback" not in running.output


def play(page: Page, tab: str, prompt: str, model: str = "") -> str:
    """Runs a prompt in a tab of the playground and returns the line that tells what it cost."""
    page.goto(f"/play/{tab}")
    if model:
        page.get_by_label("Model", exact=True).select_option(model)
    page.locator("#prompt").fill(prompt)
    expect(page.locator("#estimate")).to_have_text(re.compile("free|pollen"))
    page.keyboard.press("Control+Enter")
    line = page.locator(".play-cost").first
    line.wait_for(timeout=60_000)
    return line.inner_text()


def test_from_the_front_door_to_what_it_cost(browser: Browser, server: Gateway) -> None:
    with watched(browser, server.url) as watch:
        watch.context.set_default_timeout(20_000)
        page = watch.page()
        page.goto("/")
        page.get_by_role("link", name="Make an account").first.click()
        page.get_by_label("User name").fill("Ada")
        page.get_by_label("Password").fill("a few words in a row")
        page.get_by_role("button", name="Make my account").click()
        expect(page.get_by_role("heading", name="Hello, Ada")).to_be_visible()

        page.get_by_role("link", name="Keys", exact=True).first.click()
        page.get_by_label("Name", exact=True).fill("My first")
        page.get_by_role("button", name="Make the key").click()
        key = Account(server, "", page.locator("code.secret").inner_text(), "")
        reply = key.chat("openai", "Say hello.", max_tokens=8)
        assert (reply.status, reply.json["choices"][0]["message"]["content"] != "") == (200, True)

        told = play(page, "chat", "Hello! Who are you?")
        assert "made by" in told
        assert page.locator(".play-message.assistant .play-text").inner_text().strip()
        # An engine of this machine that stands in for a model costs what the engine costs, which is nothing.
        told = play(page, "image", "a red fox in the snow", "flux")
        assert "made by scene · free" in told
        assert page.locator(".play-result img").first.evaluate("image => image.naturalWidth") > 200
        told = play(page, "speech", "Good morning, garden.")
        assert "made by kokoro · free" in told
        assert page.locator(".play-result audio").first.evaluate("sound => sound.duration || 0") > 0.5
        assert violations(page) == []

        page.get_by_role("link", name="Usage", exact=True).first.click()
        bills = page.locator(".bills > li")
        expect(bills).to_have_count(4)
        assert page.locator(".bills").inner_text().count("Playground") == 3
        assert "My first" in page.locator(".bills").inner_text()
