"""Sound files: six formats that are what they say, lengths measured on the bytes, and words for what cannot be read."""

from __future__ import annotations

import io
import struct
import wave
from typing import Any, cast

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openpollen.core.assets import AudioFormat
from openpollen.core.errors import BadRequest
from openpollen.engines import codec

RATE = 24_000
#: Format -> the first bytes, FFmpeg's container and codec names.
FORMATS: dict[AudioFormat, tuple[bytes, str, str]] = {
    "mp3": (b"ID3", "mp3", "mp3float"),
    "opus": (b"OggS", "ogg", "opus"),
    "aac": (b"\xff\xf1", "aac", "aac"),
    "flac": (b"fLaC", "flac", "flac"),
    "wav": (b"RIFF", "wav", "pcm_s16le"),
}


def tone(seconds: float, pitch: float = 440, rate: int = RATE) -> codec.Samples:
    return (0.4 * np.sin(2 * np.pi * pitch * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def muxed(samples: codec.Samples, container: str, encoder: str, rate: int) -> bytes:
    """A file as other programs make them: m4a, webm, mkv."""
    out = io.BytesIO()
    with av.open(out, "w", format=container) as file:
        stream: Any = file.add_stream(encoder, rate=rate)
        stream.layout = "mono"
        resampler = av.AudioResampler(format=stream.codec_context.format or "fltp", layout="mono", rate=rate)
        frame = av.AudioFrame.from_ndarray(samples[None], "flt", "mono")
        frame.sample_rate = RATE
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            file.mux(stream.encode(part))
        file.mux(stream.encode(None))
    return out.getvalue()


def pitch_of(samples: codec.Samples, rate: int) -> float:
    mono = samples if samples.ndim == 1 else samples[:, 0]
    return float(np.argmax(np.abs(np.fft.rfft(mono * np.hanning(len(mono))))) * rate / len(mono))


@pytest.mark.parametrize("audio_format", FORMATS)
@pytest.mark.parametrize("channels", [1, 2])
def test_format_is_what_it_says_and_keeps_the_sound(audio_format: AudioFormat, channels: int) -> None:
    left = tone(1.3)
    samples = left if channels == 1 else np.stack([left, tone(1.3, 880)], axis=1)
    data = codec.encode(samples, RATE, audio_format)
    magic, container, codec_name = FORMATS[audio_format]
    assert data.startswith(magic)
    with av.open(io.BytesIO(data)) as file:
        assert (file.format.name, file.streams.audio[0].codec_context.name) == (container, codec_name)
        assert file.streams.audio[0].channels == channels
    back, rate = codec.decode(data)
    assert back.shape[1:] == samples.shape[1:]
    assert len(back) / rate == pytest.approx(1.3, abs=0.09)  # ADTS cannot say how much of its first frame is padding
    assert pitch_of(back, rate) == pytest.approx(440, abs=3)
    assert float(np.abs(back).max()) == pytest.approx(0.4, abs=0.08)


@pytest.mark.parametrize("audio_format", FORMATS)
def test_same_samples_give_the_same_bytes(audio_format: AudioFormat) -> None:
    assert codec.encode(tone(0.5), RATE, audio_format) == codec.encode(tone(0.5), RATE, audio_format)


def test_flac_is_lossless() -> None:
    back, rate = codec.decode(codec.encode(tone(0.7), RATE, "flac"))
    assert rate == RATE
    np.testing.assert_allclose(back, tone(0.7), atol=1 / 32_768)


def test_wav_header_has_the_right_sizes() -> None:
    data = codec.encode(np.stack([tone(0.5)] * 2, axis=1), 44_100, "wav")
    assert struct.unpack("<I", data[4:8])[0] == len(data) - 8
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getnchannels(), file.getframerate(), file.getnframes()) == (2, 44_100, 12_000)


def test_pcm_is_24_khz_mono_whatever_came_in() -> None:
    data = codec.encode(np.stack([tone(1.0, rate=48_000)] * 2, axis=1), 48_000, "pcm")
    samples = np.frombuffer(data, "<i2").astype(np.float32) / 32_768
    assert len(samples) == pytest.approx(24_000, abs=50)
    assert pitch_of(samples, 24_000) == pytest.approx(440, abs=3)


def test_loud_samples_are_limited_and_not_wrapped() -> None:
    back, _ = codec.decode(codec.encode(tone(0.2) * 10, RATE, "wav"))
    assert back.max() > 0.99
    assert back.min() < -0.99
    assert float(np.abs(np.diff(back)).max()) < 1.2


def test_samples_of_another_shape_are_a_mistake_of_the_program() -> None:
    with pytest.raises(ValueError, match="frames"):
        codec.encode(np.zeros((2, 400), np.float32), RATE, "mp3")


@pytest.mark.parametrize(
    ("name", "seconds"), [(name, seconds) for name in [*FORMATS, "m4a", "webm"] for seconds in (0.4, 7.123)]
)
def test_duration_agrees_with_what_is_decoded(name: str, seconds: float) -> None:
    samples = tone(seconds)
    if name == "m4a":
        data = muxed(samples, "ipod", "aac", RATE)
    elif name == "webm":
        data = muxed(samples, "webm", "libopus", 48_000)
    else:
        data = codec.encode(samples, RATE, cast("AudioFormat", name))
    decoded, rate = codec.decode(data)
    assert codec.duration(data) == pytest.approx(len(decoded) / rate, abs=0.05)
    assert codec.duration(data) == pytest.approx(seconds, abs=0.1)


def test_duration_does_not_believe_timestamps_that_are_too_short() -> None:
    """Every block of a WebM says when it plays; here all say within the first fraction of a second."""
    data = muxed(tone(6.0), "webm", "libopus", 48_000)
    honest = codec.duration(data)
    forged = bytearray()
    with av.open(io.BytesIO(data)) as source:
        out = io.BytesIO()
        stream = source.streams.audio[0]
        with av.open(out, "w", format="webm") as file:
            copy = file.add_stream_from_template(stream)
            for index, packet in enumerate(packet for packet in source.demux(stream) if packet.size):
                packet.stream, packet.pts, packet.dts, packet.duration = copy, index, index, 1
                file.mux(packet)
        forged += out.getvalue()
    assert codec.duration(bytes(forged)) == pytest.approx(honest, abs=0.1)


def test_duration_of_a_video_and_of_the_sound_in_it() -> None:
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as file:
        pictures: Any = file.add_stream("libx264", rate=10)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 64, "yuv420p"
        for _ in range(25):
            frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), "rgb24")
            file.mux(pictures.encode(frame))
        file.mux(pictures.encode(None))
    assert codec.duration(out.getvalue(), "video") == pytest.approx(2.5, abs=0.01)
    with pytest.raises(BadRequest, match="no audio track"):
        codec.duration(out.getvalue())
    with pytest.raises(BadRequest, match="no audio track"):
        codec.decode(out.getvalue())
    with pytest.raises(BadRequest, match="no video track"):
        codec.duration(codec.encode(tone(0.2), RATE, "mp3"), "video")


def test_decode_at_another_rate_and_as_mono() -> None:
    data = codec.encode(np.stack([tone(1.0), tone(1.0)], axis=1), RATE, "flac")
    samples, rate = codec.decode(data, rate=16_000, channels=1)
    assert (samples.ndim, rate) == (1, 16_000)
    assert len(samples) == pytest.approx(16_000, abs=20)
    assert pitch_of(samples, rate) == pytest.approx(440, abs=3)


def test_decode_stops_at_the_limit() -> None:
    with pytest.raises(BadRequest, match="longer than 2 s"):
        codec.decode(codec.encode(tone(3.0), RATE, "mp3"), max_seconds=2.0)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x",
        b"just some words, no sound at all",
        b"\x89PNG\r\n\x1a\n" + bytes(64),
        b"RIFF\x00\x00\x00\x00WAVE",
        b"OggS" + bytes(200),
        b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:///etc/hostname\n",
    ],
)
def test_what_is_no_sound_is_refused_in_words(data: bytes) -> None:
    with pytest.raises(BadRequest, match=r"audio|damaged"):
        codec.decode(data)
    with pytest.raises(BadRequest, match=r"audio|damaged"):
        codec.duration(data)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([*FORMATS]), st.floats(0, 1), st.binary(max_size=40))
def test_damaged_files_are_read_or_refused_but_never_crash(
    audio_format: AudioFormat, place: float, junk: bytes
) -> None:
    data = codec.encode(tone(0.3), RATE, audio_format)
    cut = int(place * len(data))
    for broken in (data[:cut], data[:cut] + junk + data[cut + len(junk) :]):
        try:
            samples, rate = codec.decode(broken)
            seconds = codec.duration(broken)
        except BadRequest:
            continue
        assert rate > 0
        assert np.isfinite(samples).all()
        assert 0 <= seconds < 60
