"""The event parser against a plain reading of the standard, however the bytes are split."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openpollen.outbound.sse import Event, SseParser


def parse(pieces: list[bytes]) -> list[Event]:
    parser = SseParser()
    events = [event for piece in pieces for event in parser.feed(piece)]
    return events + parser.end()


def reference(text: bytes) -> list[Event]:
    """The whole text at once, line by line, as the standard's algorithm is written."""
    events: list[Event] = []
    data: list[bytes] = []
    name = b""
    lines = re.split(rb"\r\n|\n|\r", text.removeprefix(b"\xef\xbb\xbf"))
    for line in [*lines, b""]:
        if not line:
            if data:
                events.append(Event(b"\n".join(data), name))
            data, name = [], b""
        elif not line.startswith(b":"):
            field, _, value = line.partition(b":")
            value = value[1:] if value.startswith(b" ") else value
            if field == b"data":
                data.append(value)
            elif field == b"event":
                name = value
    return events


LINES = st.sampled_from(
    [
        b"data: {}", b"data:x", b"data", b"data:  two", b": note", b":", b"event: ping", b"id: 7", b"retry: 10", b"",
        b"data: \xc5\xbe", b"\xef\xbb\xbfdata: b", b"dat", b"data: a: b",
    ]
)  # fmt: skip
ENDINGS = st.sampled_from([b"\n", b"\r\n", b"\r"])


@given(st.lists(st.tuples(LINES, ENDINGS), max_size=30), st.booleans(), st.lists(st.integers(0, 400), max_size=20))
def test_any_split_gives_the_same_events(lines: list[tuple[bytes, bytes]], bom: bool, cuts: list[int]) -> None:
    text = (b"\xef\xbb\xbf" if bom else b"") + b"".join(line + ending for line, ending in lines)
    places = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    pieces = [text[start:stop] for start, stop in pairwise(places)]
    expected = reference(text)
    assert parse(pieces) == expected
    assert parse([text[i : i + 1] for i in range(len(text))]) == expected
    parser = SseParser()
    data = [data for piece in pieces for data in parser.feed_data(piece)] + [event.data for event in parser.end()]
    assert data == [event.data for event in expected]


def test_events_come_out_with_their_blank_line() -> None:
    parser = SseParser()
    assert parser.feed(b"data: one\n") == []
    assert parser.feed(b"\ndata: two\n\ndata: thr") == [Event(b"one"), Event(b"two")]
    assert parser.feed(b"ee\r") == []
    assert parser.feed(b"\n\r\n") == [Event(b"three")]
    assert parser.end() == []


def test_an_event_without_its_blank_line_is_given_at_the_end() -> None:
    assert parse([b"data: [DONE]"]) == [Event(b"[DONE]")]


def test_an_endless_event_is_refused() -> None:
    parser = SseParser(limit=100)
    with pytest.raises(ValueError, match="100 bytes"):
        parser.feed(b"data: " + b"x" * 200)
