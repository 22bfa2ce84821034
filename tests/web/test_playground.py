"""The playground in a browser: everything that can be made, with its price before, its cost after, and its faults in words."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import av
import pytest
from playwright.sync_api import Browser, FilePayload, Page, expect

from tests import labconfig
from tests.fakeprovider import TEXT, FakeProvider
from tests.fakewire import picture, tone
from tests.gateway import Account, Gateway
from tests.labserver import lab_server
from tests.web.browser import Watched, violations, watched
from tests.web.house import SETTINGS, sign_in

TABS = ("chat", "image", "video", "speech", "music", "transcribe")
MOST_BYTES = 100 * 1024


@dataclass(frozen=True)
class Lab:
    """A server over the fake provider."""

    gateway: Gateway
    provider: FakeProvider

    def account(self, pack: str = "1") -> tuple[Account, str]:
        """Somebody with credit, and the cookie of their browser."""
        account = self.gateway.account(pack=pack)
        return account, sign_in(self.gateway, account.get("/api/account/profile").json["name"])


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("play")
    with lab_server(folder, SETTINGS) as (running, provider):
        provider.film = film()
        yield Lab(running, provider)


@dataclass(frozen=True)
class Player:
    """Somebody at the playground."""

    account: Account
    watch: Watched
    page: Page
    provider: FakeProvider

    def open(self, tab: str, model: str) -> Page:
        self.page.goto(f"/play/{tab}")
        self.page.get_by_label("Model", exact=True).select_option(model)
        return self.page

    def run(self, prompt: str) -> None:
        self.page.locator("#prompt").fill(prompt)
        self.page.keyboard.press("Control+Enter")

    @property
    def cost(self) -> str:
        """The line under the newest result."""
        line = self.page.locator(".play-cost").first
        line.wait_for()
        return line.inner_text()


@pytest.fixture
def player(browser: Browser, lab: Lab) -> Iterator[Player]:
    account, cookie = lab.account()
    with watched(browser, lab.gateway.url, cookie=cookie) as watch:
        watch.context.set_default_timeout(8000)
        yield Player(account, watch, watch.page(), lab.provider)


@pytest.mark.parametrize(("phone", "dark"), [(False, False), (True, True)], ids=["desktop-light", "phone-dark"])
def test_every_page_is_readable_small_and_quiet(browser: Browser, lab: Lab, phone: bool, dark: bool) -> None:
    _, cookie = lab.account()
    with watched(browser, lab.gateway.url, cookie=cookie, phone=phone, dark=dark) as watch:
        page = watch.page()
        for tab in TABS:
            answer = page.goto(f"/play/{tab}")
            assert answer is not None
            assert (tab, answer.status) == (tab, 200)
            assert len(answer.body()) < MOST_BYTES
            assert violations(page) == [], tab
            wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wide <= 0, f"{tab} scrolls sideways"


def test_chat_streams_tells_its_price_before_and_its_cost_after(player: Player) -> None:
    page = player.open("chat", "lab-chat")
    page.locator("#prompt").fill("Hello, bees")
    expect(page.locator("#estimate")).to_have_text(re.compile(r"about 0\.\d+ pollen, at most 0\.\d+ pollen"))
    page.keyboard.press("Control+Enter")
    assert "made by lab-chat" in player.cost
    assert labconfig.ANSWER == 52_000
    assert "cost 0.000052 pollen" in player.cost
    expect(page.locator(".play-message.assistant .play-text")).to_have_text(TEXT)
    expect(page.locator("#say")).to_have_text(f"Answer: {TEXT}")
    expect(page.locator("#balance")).to_have_text("0.9999")
    assert player.account.rows(1)[0]["api_key"] == "Playground"
    player.run("And again")
    page.locator(".play-cost").nth(1).wait_for()
    sent = player.provider.requests[-1].json["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "user"]
    assert violations(page) == []


def test_chat_stops_where_the_user_says_and_that_part_is_paid(player: Player) -> None:
    page = player.open("chat", "lab-slow-stream")
    player.run("Tell me everything")
    expect(page.locator(".play-message.assistant .play-text")).to_contain_text("This is")
    page.get_by_role("button", name="Stop").click()
    assert "stopped: what was written is paid" in player.cost
    assert page.locator(".play-message.assistant .play-text").inner_text() != TEXT
    (row,) = player.account.rows(1)
    assert row["partial"]
    assert f"cost {row['cost_usd']:.9f}".rstrip("0") in player.cost
    assert page.get_by_role("button", name="Stop").is_hidden()


def test_chat_takes_pictures_and_a_system_prompt(player: Player) -> None:
    page = player.open("chat", "lab-chat")
    page.get_by_label("System prompt").fill("You are a bee.")
    page.locator("#files").set_input_files(_file("bee.png", "image/png", picture(8, 8)))
    player.run("What is this?")
    assert "made by" in player.cost
    system, asked = player.provider.requests[-1].json["messages"]
    assert system == {"role": "system", "content": "You are a bee."}
    assert asked["content"][1]["image_url"]["url"].startswith("data:image/png;base64,")
    assert page.locator("#given li").count() == 0


def test_what_a_model_says_never_becomes_html(player: Player) -> None:
    page = player.open("chat", "lab-chat")
    said = (
        "# Title <img src=x onerror=alert(1)>\n\n<script>alert(2)</script> **bold** [bad](javascript:alert(3)) "
        "[good](https://example.org/a) https://example.org/b\n\n- one\n- two\n\n```js\nalert('<b>')\n```\n\n|a|b|\n|-|-|\n"
        "|<i>|2|\n"
    )
    found = page.evaluate(
        """async (said) => {
            const { markdown } = await import("/static/play-markdown.js");
            const place = document.createElement("div");
            place.append(markdown(said));
            const tags = [...new Set([...place.querySelectorAll("*")].map((one) => one.localName))].sort();
            const links = [...place.querySelectorAll("a")].map((one) => one.getAttribute("href"));
            return { tags, links, text: place.textContent };
        }""",
        said,
    )
    assert not {"img", "script", "b", "i"} & set(found["tags"])
    assert {"strong", "li", "pre", "table"} <= set(found["tags"])
    assert found["links"] == ["https://example.org/a", "https://example.org/b"]
    assert "<script>alert(2)</script>" in found["text"]


def test_a_picture_is_drawn_and_then_changed(player: Player) -> None:
    page = player.open("image", "lab-image")
    page.get_by_label("Style").select_option("watercolour")
    page.locator("#prompt").fill("a bee")
    expect(page.locator("#estimate")).to_have_text("costs 0.03 pollen")
    page.get_by_role("button", name="Draw").click()
    assert "made by lab-image · cost 0.03 pollen" in player.cost
    assert player.provider.requests[-1].json["prompt"] == "a bee, watercolour"
    page.get_by_role("button", name="Edit this").click()
    expect(page.get_by_role("button", name="Change it")).to_be_visible()
    player.run("make it blue")
    page.locator(".play-result .play-cost").nth(1).wait_for()
    edit = player.provider.requests[-1]
    assert edit.path.endswith("/images/edits")
    assert [part.name for part in edit.form if part.filename] in (["image"], ["image[]"])
    assert violations(page) == []
    with page.expect_download() as saved:
        page.get_by_role("link", name="Download").first.click()
    assert saved.value.suggested_filename == "make-it-blue-watercolour.png"


def test_a_model_that_cannot_change_pictures_is_exchanged_and_that_is_said(player: Player) -> None:
    page = player.open("image", "lab-image-tiers")
    page.locator("#files").set_input_files(_file("bee.png", "image/png", picture(8, 8)))
    expect(page.get_by_label("Model", exact=True)).not_to_have_value("lab-image-tiers")
    expect(page.locator("#say")).to_contain_text("That model takes no pictures")


def test_a_video_shows_its_progress_and_its_cost(player: Player) -> None:
    page = player.open("video", "lab-video")
    page.get_by_label("Seconds").select_option("2")
    player.run("waves")
    expect(page.get_by_role("progressbar")).to_be_visible()
    assert "made by lab-video · cost 0.0" in player.cost
    ready = "document.querySelector('.play-result video').readyState >= 1"
    page.wait_for_function(ready)
    assert violations(page) == []


def test_a_video_is_found_again_after_a_reload(player: Player) -> None:
    page = player.open("video", "lab-step-video")
    player.run("waves")
    expect(page.get_by_role("progressbar")).to_be_visible()
    page.reload()
    expect(page.get_by_role("progressbar")).to_be_visible()
    player.provider.finish(list(player.provider.jobs)[-1])
    assert "made by lab-step-video" in player.cost
    assert len(player.account.get("/v1/videos").json["data"]) == 1


def test_a_video_that_fails_says_why_and_costs_nothing(player: Player) -> None:
    page = player.open("video", "lab-video-fails")
    player.run("waves")
    expect(page.get_by_role("alert")).to_contain_text("You were not charged")
    expect(page.locator("#balance")).to_have_text("1")


def test_speech_is_played_and_paid_by_the_character(player: Player) -> None:
    page = player.open("speech", "lab-speech")
    page.locator("#prompt").fill("Good morning")
    expect(page.locator("#estimate")).to_have_text("costs 0.00012 pollen")
    page.get_by_role("button", name="Speak").click()
    assert "made by lab-speech · cost 0.00012 pollen" in player.cost
    assert page.locator(".play-result audio").get_attribute("aria-label") == "Good morning"
    assert violations(page) == []


def test_a_file_is_written_down(player: Player) -> None:
    page = player.open("transcribe", "lab-ears")
    page.locator("#files").set_input_files(_file("note.wav", "audio/wav", tone(3)))
    expect(page.locator("#estimate")).to_have_text("costs 0.0003 pollen")
    page.get_by_role("button", name="Write it down").click()
    assert "made by lab-ears · cost 0.0003 pollen" in player.cost
    assert page.locator(".play-heard").inner_text() != ""
    assert violations(page) == []


def test_the_microphone_is_written_down(player: Player) -> None:
    page = player.open("transcribe", "lab-ears")
    page.get_by_role("button", name="Record with the microphone").click()
    expect(page.get_by_role("timer")).to_have_text(re.compile("1 s"))
    page.get_by_role("button", name="Stop recording").click()
    expect(page.locator("#given")).to_contain_text("recording.webm")
    page.get_by_role("button", name="Write it down").click()
    assert "made by lab-ears" in player.cost


def test_who_has_too_little_is_told_what_is_missing_and_loses_nothing(browser: Browser, lab: Lab) -> None:
    account, cookie = lab.account(pack="0.01")
    with watched(browser, lab.gateway.url, cookie=cookie) as watch:
        watch.expected.add("402")
        player = Player(account, watch, watch.page(), lab.provider)
        page = player.open("image", "lab-image")
        player.run("a bee")
        fault = page.get_by_role("alert")
        expect(fault).to_contain_text("This may cost up to 0.03 pollen, and you have 0.01 pollen.")
        expect(fault).to_contain_text("choose a free model")
        assert page.locator("#prompt").input_value() == "a bee"
        assert page.locator(".play-result").count() == 0
        assert account.rows(0) == []


def test_who_is_signed_out_meanwhile_is_sent_to_sign_in_and_loses_nothing(player: Player) -> None:
    player.watch.expected.add("401")
    page = player.open("chat", "lab-chat")
    page.locator("#prompt").fill("Hello")
    player.watch.context.clear_cookies()
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("link", name="Sign in").first).to_have_attribute("href", "/login?next=%2Fplay%2Fchat")
    assert page.locator("#prompt").input_value() == "Hello"


def test_a_wrong_field_is_told_beside_it(player: Player) -> None:
    page = player.open("image", "lab-image")
    page.get_by_label("Seed").fill("many")
    player.run("a bee")
    assert page.locator("#seed-fault").inner_text() == "Seed: a whole number from -1 to 2147483647."
    assert page.get_by_label("Seed").get_attribute("aria-invalid") == "true"
    assert violations(page) == []
    page.get_by_label("Seed").fill("7")
    player.run("a bee")
    assert "made by" in player.cost
    assert page.locator("#seed-fault").count() == 0


def test_a_fault_goes_with_the_field_that_is_put_right(player: Player) -> None:
    """Also while another field is wrong, which is looked at first."""
    page = player.open("chat", "lab-chat")
    page.evaluate("for (const one of document.querySelectorAll('main details')) one.open = true")
    hot, long = page.locator("#temperature"), page.locator("#max_tokens")
    long.fill("0")
    expect(page.locator("#max_tokens-fault")).to_be_visible()
    hot.fill("9")
    page.locator("#prompt").fill("Hello")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#fault")).to_contain_text("Temperature: a number from 0 to 2")
    long.fill("100")
    expect(page.locator("#max_tokens-fault")).to_have_count(0)
    expect(long).not_to_have_attribute("aria-invalid", "true")
    expect(page.locator("#temperature-fault")).to_be_visible()
    hot.fill("0.5")
    expect(page.locator("#temperature-fault")).to_have_count(0)
    expect(page.locator("#fault")).to_be_empty()


def test_drafts_stay_in_the_tab_and_no_secret_is_stored(player: Player) -> None:
    page = player.open("chat", "lab-chat")
    page.locator("#prompt").fill("Half a thought")
    page.reload()
    expect(page.locator("#prompt")).to_have_value("Half a thought")
    expect(page.get_by_label("Model", exact=True)).to_have_value("lab-chat")
    stored = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
    assert stored.startswith("[{},")
    token = page.locator("#play").get_attribute("data-csrf")
    assert token
    assert token not in stored
    assert "sk_" not in stored


def _file(name: str, kind: str, data: bytes) -> FilePayload:
    return {"name": name, "mimeType": kind, "buffer": data}


def film() -> bytes:
    """Two seconds of green, as a browser plays it."""
    out = io.BytesIO()
    container: Any = av.open(out, "w", format="mp4")
    with container as file:
        stream = file.add_stream("libx264", rate=8)
        stream.width, stream.height, stream.pix_fmt = 64, 36, "yuv420p"
        for _ in range(16):
            file.mux(stream.encode(av.VideoFrame(64, 36, "yuv420p")))
        file.mux(stream.encode(None))
    return out.getvalue()
