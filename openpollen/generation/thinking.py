"""Thoughts that a model writes into its answer, between ``<think>`` and ``</think>`` at its beginning, moved to where clients
look for them: ``reasoning_content``. Perplexity's sonar-reasoning and MiniMax answer so, and many models that people host
themselves. Pure.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import structs

from openpollen.core.chat import ChatAnswer, ChatFrame
from openpollen.providers.adapter import FrameDecoder

_OPEN, _CLOSE = "<think>", "</think>"
_decode, _encode = msgspec.json.decode, msgspec.json.encode


class Splitter:
    """Takes the text of one choice as it comes, cut anywhere, and tells thoughts from answer."""

    def __init__(self) -> None:
        self._kept = ""
        self._state = "before"

    def feed(self, text: str) -> tuple[str, str]:
        """The thoughts and the answer that are certain by now; a tag that may have begun is kept back."""
        self._kept += text
        thoughts = answer = ""
        if self._state == "before":
            start = self._kept.lstrip()
            if start.startswith(_OPEN):
                self._state, self._kept = "within", start[len(_OPEN) :]
            elif not _OPEN.startswith(start):
                self._state = "after"
        if self._state == "within":
            thoughts, tag, rest = self._kept.partition(_CLOSE)
            if tag:
                self._state, self._kept = "gap", rest
            else:
                thoughts, self._kept = _without_beginning(thoughts)
        if self._state == "gap":  # the blank lines between
            self._kept = self._kept.lstrip()
            if self._kept:
                self._state = "after"
        if self._state == "after":
            answer, self._kept = self._kept, ""
        return thoughts, answer

    def end(self) -> tuple[str, str]:
        """What was kept back, where nothing more comes."""
        kept, self._kept = self._kept, ""
        return (kept, "") if self._state == "within" else ("", "" if self._state == "gap" else kept)


def _without_beginning(text: str) -> tuple[str, str]:
    """A text and what at its end may be the beginning of the closing tag."""
    for length in range(min(len(text), len(_CLOSE) - 1), 0, -1):
        if _CLOSE.startswith(text[-length:]):
            return text[:-length], text[-length:]
    return text, ""


def whole(made: ChatAnswer) -> ChatAnswer:
    """An answer with its thoughts apart."""
    body: dict[str, Any] = _decode(made.body, type=dict[str, Any])
    for choice in body.get("choices", ()):
        message: dict[str, Any] = choice.get("message") or {}
        if isinstance(content := message.get("content"), str):
            splitter = Splitter()
            (thoughts, answer), (more, rest) = splitter.feed(content), splitter.end()
            _set(message, thoughts + more, answer + rest)
    return structs.replace(made, body=_encode(body))


class SplitFrames:
    """The frames of a stream with their thoughts apart. Counts of characters are those of the frames as they came."""

    def __init__(self, frames: FrameDecoder) -> None:
        self._frames = frames
        self._splitters: dict[int, Splitter] = {}

    def feed(self, data: bytes) -> list[ChatFrame]:
        return [self._split(frame) for frame in self._frames.feed(data)]

    def end(self) -> list[ChatFrame]:
        return [self._split(frame) for frame in self._frames.end()]

    def _split(self, frame: ChatFrame) -> ChatFrame:
        if frame.done or frame.error is not None:
            return frame
        chunk: dict[str, Any] = _decode(frame.data, type=dict[str, Any])
        changed = False
        for choice in chunk.get("choices") or ():
            changed = self._part(choice) or changed
        return structs.replace(frame, data=_encode(chunk)) if changed else frame

    def _part(self, choice: dict[str, Any]) -> bool:
        splitter = self._splitters.setdefault(choice.get("index") or 0, Splitter())
        delta: dict[str, Any] = choice.get("delta") or {}
        content = delta.get("content")
        over = choice.get("finish_reason") is not None
        if not isinstance(content, str) and not over:
            return False
        thoughts, answer = splitter.feed(content if isinstance(content, str) else "")
        if over:
            more, rest = splitter.end()
            thoughts, answer = thoughts + more, answer + rest
        _set(delta, thoughts, answer)
        choice["delta"] = delta
        return True


def _set(place: dict[str, Any], thoughts: str, answer: str) -> None:
    if thoughts:
        place["reasoning_content"] = thoughts
    if answer or "content" in place:
        place["content"] = answer
