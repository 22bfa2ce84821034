"""The contract's Quick Start, word for word but for host and key."""

from __future__ import annotations

import base64
import io
import subprocess
import urllib.request
from pathlib import Path

from openai import OpenAI
from PIL import Image

from tests.gateway import Account


def test_the_text_sample_whose_base_url_has_no_v1(user: Account) -> None:
    client = OpenAI(base_url=user.gateway.url, api_key=user.key)
    response = client.chat.completions.create(model="openai", messages=[{"role": "user", "content": "Hello!"}])
    assert response.choices[0].message.content
    assert response.usage is not None
    assert response.usage.completion_tokens > 0


def test_the_image_address_opened_with_a_key_in_the_query(user: Account) -> None:
    with urllib.request.urlopen(f"{user.gateway.url}/image/a%20cat%20in%20space?model=flux&key={user.key}") as answer:
        assert answer.headers["content-type"] == "image/jpeg"
        picture = Image.open(io.BytesIO(answer.read()))
    assert (picture.format, picture.size) == ("JPEG", (1024, 1024))


def test_the_image_sample_prints_an_address_that_anyone_can_open(user: Account) -> None:
    client = OpenAI(base_url=f"{user.gateway.url}/v1", api_key=user.key)
    response = client.images.generate(model="flux", prompt="a cat in space", size="1024x1024")
    assert response.data is not None
    address, encoded = response.data[0].url, response.data[0].b64_json
    assert address is not None
    assert encoded is not None
    with urllib.request.urlopen(address) as answer:
        data = answer.read()
    assert data == base64.b64decode(encoded)
    assert Image.open(io.BytesIO(data)).size == (1024, 1024)


def test_the_audio_sample_with_curl(user: Account, tmp_path: Path) -> None:
    speech = tmp_path / "speech.mp3"
    address = f"{user.gateway.url}/audio/Hello%20world?voice=nova"
    words = ["curl", "--silent", "--fail", address, "-H", f"Authorization: Bearer {user.key}", "-o", str(speech)]
    subprocess.run(words, check=True)
    data = speech.read_bytes()
    assert data[:3] == b"ID3" or data[0] == 0xFF
    assert len(data) > 2000
