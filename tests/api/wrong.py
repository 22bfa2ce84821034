"""What callers get wrong: bodies, addresses, and bytes that are no JSON, each with a word that the message must have."""

from __future__ import annotations

import base64
from typing import Any

from tests.fakewire import picture

CHAT, IMAGES, EDITS = "/v1/chat/completions", "/v1/images/generations", "/v1/images/edits"
SPEECH, EARS = "/v1/audio/speech", "/v1/audio/transcriptions"
HELLO = [{"role": "user", "content": "Hello!"}]
URI = "data:image/png;base64," + base64.b64encode(picture(8, 8)).decode()


def chat(**fields: Any) -> dict[str, Any]:
    return {"model": "lab-chat", "messages": HELLO, **fields}


def image(**fields: Any) -> dict[str, Any]:
    return {"model": "lab-image", "prompt": "a cat", **fields}


def local(**fields: Any) -> dict[str, Any]:
    return {"model": "smollm2", "messages": HELLO, **fields}


def schema(value: dict[str, Any]) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": value}}


def tool(parameters: dict[str, Any]) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "look", "parameters": {"type": "object", **parameters}}}


#: Path, JSON body, and a word that the message must have.
BODIES: list[tuple[str, Any, str]] = [
    (CHAT, chat(messages=None), "messages"),
    (CHAT, chat(messages=[]), "messages"),
    (CHAT, chat(messages="Hello"), "messages"),
    (CHAT, chat(messages=["Hello"]), "messages"),
    (CHAT, chat(messages=[{"content": "a"}]), "messages[0].role"),
    (CHAT, chat(messages=[{"role": "robot", "content": "a"}]), "robot"),
    (CHAT, chat(messages=[{"role": "user", "content": 5}]), "content"),
    (CHAT, chat(messages=[{"role": "user", "content": []}]), "content"),
    (CHAT, chat(messages=[{"role": "user", "content": None}]), "messages[0].content"),
    (CHAT, chat(messages=[*HELLO, {"role": "user"}]), "messages[1].content"),
    (CHAT, chat(messages=[{"role": "user", "content": [{"type": "text"}]}]), "messages[0].content[0].text"),
    (CHAT, local(response_format=schema({"$ref": "#/$defs/none"})), "#/$defs/none"),
    (CHAT, local(tools=[tool({"properties": {"a": {"$ref": "#/$defs/none"}}})], tool_choice="required"), "/none"),
    (CHAT, local(tool_choice="sometimes"), "tool_choice: "),
    (CHAT, local(top_logprobs=3), "top_logprobs: "),
    (CHAT, chat(model=5), "model"),
    (CHAT, chat(model=["lab-chat"]), "model"),
    (CHAT, chat(model="no-such-model"), "no-such-model"),
    (CHAT, chat(model="x" * 5000), "There is no model"),
    (CHAT, chat(temperature=2.1), "temperature"),
    (CHAT, chat(temperature=-0.1), "temperature"),
    (CHAT, chat(temperature="warm"), "temperature"),
    (CHAT, chat(temperature=[1]), "temperature"),
    (CHAT, chat(top_p=1.5), "top_p"),
    (CHAT, chat(presence_penalty=3), "presence_penalty"),
    (CHAT, chat(max_tokens=0), "max_tokens"),
    (CHAT, chat(max_tokens=-5), "max_tokens"),
    (CHAT, chat(max_tokens=1.5), "max_tokens"),
    (CHAT, chat(seed=-2), "seed"),
    (CHAT, chat(seed=2**31), "seed"),
    (CHAT, chat(seed="x"), "seed"),
    (CHAT, chat(n=2), "n:"),
    (CHAT, chat(stream="perhaps"), "stream"),
    (CHAT, chat(stop=[]), "stop"),
    (CHAT, chat(stop=""), "stop"),
    (CHAT, chat(stop=["a", ""]), "stop"),
    (CHAT, chat(stop=["a", "b", "c", "d", "e"]), "stop"),
    (CHAT, chat(tools="all"), "tools"),
    (CHAT, chat(tool_choice=7), "tool_choice"),
    (CHAT, chat(response_format="json"), "response_format"),
    (CHAT, chat(modalities=["smell"]), "modalities"),
    (CHAT, chat(top_logprobs=21), "top_logprobs"),
    (CHAT, chat(max_cost="much"), "max_cost"),
    (CHAT, chat(max_cost=-1), "max_cost"),
    (CHAT, chat(max_cost=""), "max_cost"),
    (CHAT, chat(max_cost=" 5 "), "max_cost"),
    (CHAT, chat(max_cost="1_000"), "max_cost"),
    (CHAT, chat(max_cost="\u0665"), "max_cost"),
    (CHAT, chat(safe="perhaps"), "safe"),
    (CHAT, [HELLO], "object"),
    (CHAT, "Hello", "object"),
    (IMAGES, {"model": "lab-image"}, "prompt"),
    (IMAGES, image(prompt=""), "prompt"),
    (IMAGES, image(prompt="   "), "prompt"),
    (IMAGES, image(prompt="\u202e\x00"), "prompt"),
    (IMAGES, image(prompt="a" * 32_001), "32,000"),
    (IMAGES, image(prompt=["a"]), "prompt"),
    (IMAGES, image(n=0), "n:"),
    (IMAGES, image(n=2), "n:"),
    (IMAGES, image(size="big"), "WIDTHxHEIGHT"),
    (IMAGES, image(size="100"), "WIDTHxHEIGHT"),
    (IMAGES, image(size="-5x100"), "WIDTHxHEIGHT"),
    (IMAGES, image(model="scene", size="0x0"), "scene"),
    (IMAGES, image(model="scene", size="63x64"), "64 to 2048"),
    (IMAGES, image(model="scene", size="99999x64"), "64 to 2048"),
    (IMAGES, image(quality="best"), "quality"),
    (IMAGES, image(response_format="png"), "response_format"),
    (IMAGES, image(output_format="webp"), "output_format"),
    (IMAGES, image(seed=1.5), "seed"),
    (IMAGES, image(transparent="maybe"), "transparent"),
    (IMAGES, image(stream=True), "stream"),
    (IMAGES, image(partial_images=2), "partial_images"),
    (IMAGES, image(output_compression=50), "output_compression"),
    (IMAGES, image(transparent=True, output_format="jpeg"), "output_format"),
    (IMAGES, image(background="transparent", output_format="jpeg"), "output_format"),
    (EDITS, image(image=URI, stream=True), "stream"),
    (EDITS, image(image=URI, mask="mask.png"), "mask"),
    (EDITS, image(image=URI, mask="data:text/plain;base64,SGVsbG8="), "mask"),
    (EDITS, image(images=[{"file_id": "file-1"}]), "image_url"),
    (EDITS, image(), "image"),
    (EDITS, image(image=5), "image"),
    (EDITS, image(image="cat.png"), "image"),
    (EDITS, image(image="ftp://example.org/cat.png"), "image"),
    (EDITS, image(image="data:image/png;base64,####"), "base64"),
    (EDITS, image(image="data:image/png;base64,"), "image"),
    (EDITS, image(image="data:text/plain;base64,SGVsbG8="), "picture"),
    (EDITS, image(image=[URI] * 17), "16"),
    (EDITS, image(image="http://127.0.0.1:1/cat.png"), "public"),
    (EDITS, image(image="http://localhost/cat.png"), "public"),
    (EDITS, image(image="http://169.254.169.254/latest/meta-data/"), "public"),
    (EDITS, image(image="http://[::1]/cat.png"), "public"),
    (EDITS, image(image="http://[::ffff:10.0.0.1]/cat.png"), "public"),
    (EDITS, image(image="http://10.1.2.3/cat.png"), "public"),
    (EDITS, image(image="http://2130706433/cat.png"), "IP address"),
    (EDITS, image(image="https://user:password@example.org/cat.png"), "user"),
    (SPEECH, {"model": "lab-speech"}, "input"),
    (SPEECH, {"model": "lab-speech", "input": ""}, "input"),
    (SPEECH, {"model": "lab-speech", "input": "\x00\x1b"}, "input"),
    (SPEECH, {"model": "lab-speech", "input": 0.5, "speed": 0}, "speed"),
    (SPEECH, {"model": "lab-speech", "input": "a", "speed": 5}, "speed"),
    (SPEECH, {"model": "lab-speech", "input": "a", "speed": "fast"}, "speed"),
    (SPEECH, {"model": "lab-speech", "input": "a", "response_format": "midi"}, "response_format"),
    (SPEECH, {"model": "lab-speech", "input": "a", "voice": 7.5}, "voice"),
    (SPEECH, {"model": "lab-speech", "input": "a", "voice": "alloy\r\nX-Evil: 1"}, "voice"),
    (SPEECH, {"model": "lab-speech", "input": "a", "voice": "\x00"}, "voice"),
    (SPEECH, {"model": "lab-speech", "input": "a", "voice": "a" * 101}, "voice"),
    (SPEECH, {"model": "lab-speech", "input": "a", "stream_format": "sse"}, "stream_format"),
    (SPEECH, {"input": "a", "voice": "darth"}, "alloy"),
    (SPEECH, {"input": "a", "duration": -1, "model": "elevenmusic"}, "duration"),
    (SPEECH, {"input": "a", "duration": 9999, "model": "elevenmusic"}, "duration"),
    ("/v1/videos", {"model": "lab-video", "prompt": "a", "seconds": "-1"}, "seconds"),
    ("/v1/videos", {"model": "lab-video", "prompt": "a", "seconds": "long"}, "seconds"),
    ("/v1/videos", {"model": "lab-video"}, "prompt"),
    ("/v1/videos", {"model": "lab-video", "prompt": "a", "n": 2}, "n:"),
    ("/v1/videos", {"model": "lab-video", "prompt": "a", "stream": True}, "stream"),
    ("/v1/videos", {"model": "lab-video", "prompt": "a", "size": "0x0"}, "each side is 1 to"),
    ("/v1/videos", {"model": "lab-video", "prompt": "a", "size": "1x99999"}, "each side is 1 to"),
    ("/v1/videos", {"model": "lab-video", "prompt": "a", "size": "-5x100"}, "WIDTHxHEIGHT"),
    ("/v1/videos", {"model": "scene-video", "prompt": "a", "size": "0x720"}, "each side is"),
    ("/v1/videos", {"model": "lab-video", "prompt": "a", "input_reference": "cat.png"}, "input_reference"),
    ("/v1/videos", {"model": "flux", "prompt": "a"}, "flux"),
    ("/v1/estimate", {"endpoint": "tea", "request": {}}, "endpoint"),
    ("/v1/estimate", {"request": {}}, "endpoint"),
    ("/v1/estimate", {"endpoint": "image", "request": []}, "request"),
]

#: GET targets that are wrong, and a word that the message must have.
TARGETS: list[tuple[str, str]] = [
    ("/image/a?width=ten", "width"),
    ("/image/a?width=-1", "width"),
    ("/image/a?width=0", "width"),
    ("/image/a?width=1e400", "width"),
    ("/image/a?seed=abc", "seed"),
    ("/image/a?seed=-7", "seed"),
    ("/image/a?transparent=perhaps", "transparent"),
    ("/image/a?quality=ultra", "quality"),
    ("/image/a?image=not-an-address", "image"),
    ("/image/a?model=kontext&image=http://192.168.0.1/a.png", "public"),
    ("/image/%20", "prompt"),
    ("/image/%ff%fe", "UTF-8"),
    ("/image/%zz", "percent"),
    ("/image/a%", "percent"),
    ("/image/a?prompt=%ff", "UTF-8"),
    ("/text/%e2%82", "UTF-8"),
    ("/text/%00", "prompt"),
    ("/text/a?temperature=nan", "temperature"),
    ("/text/a?temperature=inf", "temperature"),
    ("/text/a?max_tokens=0", "max_tokens"),
    ("/text/a?stream=perhaps", "stream"),
    ("/audio/%20", "input"),
    ("/audio/a?speed=nan", "speed"),
    ("/audio/a?response_format=midi", "response_format"),
    ("/audio/a?voice=darth", "voice"),
    ("/video/a?model=scene-video&duration=-5", "duration"),
    ("/video/a?width=129&height=131", "even sides"),
    ("/video/a?model=scene-video&duration=nan", "duration"),
    ("/video/a?model=scene-video&duration=61", "duration"),
    ("/video/a?model=scene-video&aspectRatio=wide", "aspectRatio: "),
    ("/video/a?model=scene-video&resolution=8k", "resolution: "),
    ("/video/a?model=scene-video&size=0x0", "each side is"),
    ("/video/a?model=scene-video&size=1x99999", "each side is"),
    ("/image/a?stream=true", "stream"),
    ("/v1/videos?limit=0", "limit"),
    ("/v1/videos?order=random", "order"),
    ("/v1/videos/video_none/content?variant=bogus", "variant"),
    ("/v1/videos/video_none/content?variant=spritesheet", "variant"),
]

#: Bodies that are no JSON object at all.
RAW: list[tuple[bytes, str]] = [
    (b"", "JSON"),
    (b"{", "JSON"),
    (b"null", "object"),
    (b"\xff\xfe{}", "UTF-8"),
    (b'{"model": "lab-chat", "messages": [{"role": "user", "content": "\xff"}]}', "UTF-8"),
    (b'{"model": "lab-chat", "messages": [{"role": "user", "content": "a"}], "temperature": NaN}', "JSON"),
    (
        b'{"model": "lab-chat", "messages": [{"role": "user", "content": "a"}], "temperature": 1e999}',
        "temperature: number out",
    ),
    (b"{'model': 'lab-chat'}", "JSON"),
    (b'{"model": "lab-chat"} trailing', "JSON"),
    (b"[" * 100_000, "JSON"),
    (b'{"a":' * 5000 + b"1" + b"}" * 5000, "nested"),
    (b'{"model": "lab-chat", "messages": ' + b"[" * 5000 + b"]" * 5000 + b"}", "nested"),
    (b"model=lab-chat&prompt=a", "JSON"),
]
