"""A transcript in each of the response formats: json, text, verbose_json, srt (SubRip) and vtt (WebVTT)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from openpollen.core.assets import Segment, Transcript


def to_json(transcript: Transcript) -> dict[str, Any]:
    return {"text": transcript.text}


def to_text(transcript: Transcript) -> str:
    """The plain text, ended by a line break."""
    return transcript.text + "\n"


def to_verbose_json(transcript: Transcript, task: str = "transcribe", wanted: Sequence[str] = ()) -> dict[str, Any]:
    """OpenAI's shape: times in seconds, ``language`` a code or ``unknown``. Of the times only the ``wanted`` ones, of
    ``word`` and ``segment``; both when nothing is said."""
    body: dict[str, Any] = {
        "task": task,
        "language": transcript.language or "unknown",
        "duration": transcript.duration,
        "text": transcript.text,
    }
    if "word" in wanted or not wanted:
        body["words"] = [{"word": word.word, "start": word.start, "end": word.end} for word in transcript.words]
    if "segment" in wanted or not wanted:
        body["segments"] = [
            {"id": segment.id, "start": segment.start, "end": segment.end, "text": segment.text}
            for segment in _segments(transcript)
        ]
    return body


def to_srt(transcript: Transcript) -> str:
    """SubRip: numbered from 1, times as ``00:00:01,500``. Empty for silence."""
    return "".join(
        f"{number}\n{_clock(segment.start, ',')} --> {_clock(segment.end, ',')}\n{_line(segment)}\n\n"
        for number, segment in enumerate(_segments(transcript), start=1)
    )


def to_vtt(transcript: Transcript) -> str:
    """WebVTT (https://www.w3.org/TR/webvtt1/): times as ``00:00:01.500``, markup characters of the text escaped."""
    cues = (
        f"{_clock(segment.start, '.')} --> {_clock(segment.end, '.')}\n{_escaped(_line(segment))}\n\n"
        for segment in _segments(transcript)
    )
    return "WEBVTT\n\n" + "".join(cues)


def _segments(transcript: Transcript) -> tuple[Segment, ...]:
    """The segments, or one that spans everything where a provider gave a text without any."""
    if transcript.segments or not transcript.text.strip():
        return transcript.segments
    return (Segment(0, 0.0, transcript.duration, transcript.text.strip()),)


def _line(segment: Segment) -> str:
    """On one line: an empty line inside would end the subtitle."""
    return " ".join(segment.text.split())


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _clock(seconds: float, point: str) -> str:
    total, milliseconds = divmod(round(max(0.0, seconds) * 1000), 1000)
    minutes, second = divmod(total, 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour:02}:{minute:02}:{second:02}{point}{milliseconds:03}"
