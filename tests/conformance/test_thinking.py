"""Thoughts between ``<think>`` and ``</think>`` go to ``reasoning_content``, however the text is cut."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openpollen.core.chat import ChatAnswer
from openpollen.generation.thinking import SplitFrames, Splitter, whole
from openpollen.providers.openai_chat import OpenAIFrames

CASES = [
    ("<think>Bees fly.</think>\n\nYes.", "Bees fly.", "Yes."),
    ("\n<think>\nHm < 3</th ink>, </thin\n</think>Yes </think> no", "\nHm < 3</th ink>, </thin\n", "Yes </think> no"),
    ("<think>never ends </thi", "never ends </thi", ""),
    ("<think></think>", "", ""),
    ("<thinking aloud> is no tag", "", "<thinking aloud> is no tag"),
    ("<thi", "", "<thi"),
    ("It says <think>x</think> later", "", "It says <think>x</think> later"),
    ("", "", ""),
]


def parts(pieces: list[str]) -> tuple[str, str]:
    splitter = Splitter()
    told = [splitter.feed(piece) for piece in pieces] + [splitter.end()]
    return "".join(thoughts for thoughts, _ in told), "".join(answer for _, answer in told)


@pytest.mark.parametrize(("text", "thoughts", "answer"), CASES)
def test_every_cut_gives_the_same(text: str, thoughts: str, answer: str) -> None:
    assert parts([text]) == (thoughts, answer)
    assert parts(list(text)) == (thoughts, answer)
    for cut in range(len(text)):
        assert parts([text[:cut], text[cut:]]) == (thoughts, answer)


@given(st.lists(st.sampled_from(["<think>", "</think>", "<", "/", "think", ">", "a", " ", "\n"]), max_size=12))
def test_pieces_say_what_the_whole_says(pieces: list[str]) -> None:
    text = "".join(pieces)
    begun, tag, rest = text.lstrip().partition("<think>")
    thoughts, _, answer = rest.partition("</think>")
    assert parts(pieces) == ((thoughts, answer.lstrip()) if tag and not begun else ("", text))


def events(text: str, size: int) -> bytes:
    chunks: list[Any] = [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    chunks += [{"index": 0, "delta": {"content": piece}, "finish_reason": None} for piece in pieces]
    chunks.append({"index": 0, "delta": {}, "finish_reason": "stop"})
    lines = [b"data: " + json.dumps({"id": "c", "choices": [chunk]}).encode() + b"\n\n" for chunk in chunks]
    return b"".join(lines) + b"data: [DONE]\n\n"


@pytest.mark.parametrize(("text", "thoughts", "answer"), CASES)
@pytest.mark.parametrize("size", [1, 3, 100])
def test_whole_and_streamed_agree(text: str, thoughts: str, answer: str, size: int) -> None:
    frames = SplitFrames(OpenAIFrames())
    got = [*frames.feed(events(text, size)), *frames.end()]
    assert got[-1].done
    deltas = [json.loads(frame.data)["choices"][0]["delta"] for frame in got[:-1]]
    assert "".join(delta.get("reasoning_content", "") for delta in deltas) == thoughts
    assert "".join(delta.get("content") or "" for delta in deltas) == answer
    assert sum(frame.text for frame in got) == len(text)  # what is counted when no usage comes
    body = json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}).encode()
    message = json.loads(whole(ChatAnswer(body)).body)["choices"][0]["message"]
    assert (message.get("reasoning_content", ""), message["content"]) == (thoughts, answer)


def test_tools_pictures_and_other_choices_pass() -> None:
    choices: list[Any] = [
        {"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": "{}"}}]}},
        {"index": 1, "delta": {"content": "<think>b</think>two"}},
    ]
    (frame,) = SplitFrames(OpenAIFrames()).feed(b"data: " + json.dumps({"choices": choices}).encode() + b"\n\n")
    first, second = json.loads(frame.data)["choices"]
    assert first == choices[0]
    assert second["delta"] == {"content": "two", "reasoning_content": "b"}
