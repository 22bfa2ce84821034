"""Server-sent events from bytes, split anywhere: LF, CRLF and CR lines, comments, data over several lines.

Data stays bytes, so a character split over two reads needs no care: whole events are whole text again.
"""

from __future__ import annotations

from msgspec import Struct

_BOM = b"\xef\xbb\xbf"


class Event(Struct, frozen=True):
    """One event. ``data`` are its data lines joined by LF; ``name`` is its type, empty when none was given."""

    data: bytes
    name: bytes = b""


class SseParser:
    """Feed it what arrives; it gives back the events that are complete. Comments, ids and retry times are skipped."""

    def __init__(self, limit: int = 64 * 1024 * 1024) -> None:
        self._rest = b""
        self._after_cr = False
        self._first = True
        self._limit = limit

    def feed(self, data: bytes) -> list[Event]:
        """The events completed by ``data``. Raises ValueError when one event is larger than the limit (bytes)."""
        return [event for block in self._blocks(data) if (event := _parse(block)) is not None]

    def feed_data(self, data: bytes) -> list[bytes]:
        """Like ``feed``, but only the data of the events: for streams whose events have no names."""
        blocks = self._blocks(data)
        plain = [block[6:] for block in blocks if block.startswith(b"data: ") and b"\n" not in block]
        if len(plain) == len(blocks):  # nearly every event of nearly every provider is one line of data
            return plain
        return [event.data for block in blocks if (event := _parse(block)) is not None]

    def end(self) -> list[Event]:
        """The event that the end of the stream cut off before its blank line, if there is one."""
        block, self._rest = self._rest, b""
        event = _parse(block)
        return [] if event is None else [event]

    def _blocks(self, data: bytes) -> list[bytes]:
        if self._first:
            data, self._rest = self._rest + data, b""
            if len(data) < len(_BOM) and _BOM.startswith(data):
                self._rest = data
                return []
            self._first = False
            data = data.removeprefix(_BOM)
        if self._after_cr and data:
            self._after_cr = False
            data = data.removeprefix(b"\n")
        if b"\r" in data:
            # A CR at the end already ends the line; if an LF follows in the next bytes it is part of the same ending.
            self._after_cr = data.endswith(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        blocks = (self._rest + data).split(b"\n\n") if self._rest else data.split(b"\n\n")
        self._rest = blocks.pop()
        if len(self._rest) > self._limit:
            raise ValueError(f"a server-sent event is larger than {self._limit} bytes")
        return blocks


def _parse(block: bytes) -> Event | None:
    data: list[bytes] = []
    name = b""
    for line in block.split(b"\n"):
        field, _, value = line.partition(b":")
        if field == b"data":
            data.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.removeprefix(b" ")
    return Event(b"\n".join(data), name) if data else None
