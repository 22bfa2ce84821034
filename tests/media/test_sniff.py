"""Types are read from real files, made here by real encoders where there is one."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import av
import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from openpollen.media.sniff import INLINE, UNKNOWN, extension, is_inline, sniff


def picture(kind: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(out, kind)
    return out.getvalue()


def sound(container: str, codec: str, folder: Path) -> bytes:
    path = folder / f"sound.{container}"
    with av.open(str(path), "w", format=container) as out:
        stream = out.add_stream(codec, rate=48000, layout="mono")
        frame_size = stream.codec_context.frame_size or 1024
        for index in range(20):
            samples = numpy.zeros((1, frame_size), dtype="float32")
            frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 48000, index * frame_size
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path.read_bytes()


def film(container: str, codec: str, folder: Path) -> bytes:
    path = folder / f"film.{container}"
    with av.open(str(path), "w", format=container) as out:
        stream = out.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for _ in range(3):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(numpy.zeros((64, 64, 3), dtype="uint8"))))
        out.mux(stream.encode(None))
    return path.read_bytes()


@pytest.mark.parametrize("kind", ["png", "jpeg", "gif", "webp", "avif", "bmp"])
def test_pictures(kind: str) -> None:
    assert sniff(picture(kind)) == f"image/{kind}"


@pytest.mark.parametrize(
    ("container", "codec", "media_type"),
    [
        ("mp3", "libmp3lame", "audio/mpeg"),
        ("ogg", "libopus", "audio/ogg"),
        ("flac", "flac", "audio/flac"),
        ("adts", "aac", "audio/aac"),
        ("ipod", "aac", "audio/mp4"),
    ],
)
def test_sounds(container: str, codec: str, media_type: str, tmp_path: Path) -> None:
    data = sound(container, codec, tmp_path)
    assert sniff(data) == media_type


def test_an_mp3_without_a_tag_is_an_mp3(tmp_path: Path) -> None:
    data = sound("mp3", "libmp3lame", tmp_path)
    assert sniff(data[data.index(b"\xff\xfb") :]) == "audio/mpeg"


def test_wav() -> None:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setparams((1, 2, 24000, 0, "NONE", ""))
        file.writeframes(bytes(100))
    assert sniff(out.getvalue()) == "audio/wav"


@pytest.mark.parametrize(
    ("container", "codec", "media_type"),
    [("mp4", "libx264", "video/mp4"), ("webm", "libvpx", "video/webm"), ("mov", "libx264", "video/quicktime")],
)
def test_films(container: str, codec: str, media_type: str, tmp_path: Path) -> None:
    assert sniff(film(container, codec, tmp_path)) == media_type


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (b"%PDF-1.7\n", "application/pdf"),
        ("Grüße, 世界\n".encode(), "text/plain"),
        ("é".encode() * 40_000, "text/plain"),
        (b"x" + "é".encode() * 40_000, "text/plain"),
        (b"\xff\xfe\x00\x00", UNKNOWN),
        (b"\x00\x01\x02", UNKNOWN),
        (b"caf\xe9", UNKNOWN),
        (b"", UNKNOWN),
        (b"PK\x03\x04\x00", UNKNOWN),
    ],
)
def test_text_documents_and_the_rest(data: bytes, media_type: str) -> None:
    assert sniff(data) == media_type


@pytest.mark.parametrize(
    "markup", [b"<!DOCTYPE html><script>alert(1)</script>", b"<svg xmlns='http://www.w3.org/2000/svg'/>"]
)
def test_markup_is_a_file_to_keep(markup: bytes) -> None:
    assert sniff(markup) == UNKNOWN
    assert not INLINE & {"text/html", "image/svg+xml", "application/xml"}


def test_inline_types_have_an_extension_and_others_are_downloads() -> None:
    assert all(extension(media_type) != "bin" for media_type in INLINE)
    assert is_inline("text/plain; charset=utf-8")
    assert not is_inline(UNKNOWN)
    assert extension(UNKNOWN) == "bin"


@given(
    st.binary(max_size=64) | st.sampled_from([b"RIFF", b"\xff\xf1", b"\x00\x00\x00\x1cftyp", b"BM"]).map(lambda b: b)
)
def test_any_bytes_have_a_type(data: bytes) -> None:
    assert sniff(data) in INLINE | {UNKNOWN}
