"""Messages of ``application/vnd.amazon.eventstream``: binary frames with typed headers and two checksums. Pure.

A frame is its length and the length of its headers (four bytes each, big-endian), a CRC-32 of these eight bytes, the
headers, the payload, and a CRC-32 of all before it.
Source: https://smithy.io/2.0/aws/amazon-eventstream.html
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from msgspec import Struct

#: Bytes of a frame that the format allows: headers of 128 KiB and a payload of 24 MiB.
_LONGEST = 25 * 1024 * 1024
_LONGEST_HEADERS = 128 * 1024
_PRELUDE, _CRC = 12, 4
#: Length of a value by its type; types 6 and 7 tell their own, 0 and 1 are the values true and false.
_FIXED = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
_BYTES, _TEXT = 6, 7


class Event(Struct, frozen=True):
    """One message. ``headers`` are those whose value is text; those of other types have no meaning here."""

    headers: dict[str, str]
    payload: bytes


class EventStream:
    """Takes bytes in pieces of any size and gives whole messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def pending(self) -> bool:
        """Whether the bytes so far end in the middle of a message."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> Iterator[Event]:
        """The messages that ``data`` completes. Raises ValueError, after those before it, for bytes that are none: a length
        out of range or a wrong checksum; what follows them cannot be read."""
        self._buffer += data
        return self._whole()

    def _whole(self) -> Iterator[Event]:
        while (length := self._length()) and len(self._buffer) >= length:
            frame = bytes(self._buffer[:length])
            del self._buffer[:length]
            yield _event(frame)

    def _length(self) -> int:
        """The length of the next message, 0 until its prelude is here."""
        if len(self._buffer) < _PRELUDE:
            return 0
        length, headers, crc = struct.unpack_from(">III", self._buffer)
        if zlib.crc32(self._buffer[:8]) != crc:
            raise ValueError("the checksum of a message's prelude is wrong")
        if headers > _LONGEST_HEADERS or not _PRELUDE + headers + _CRC <= length <= _LONGEST:
            raise ValueError("a message's length is out of range")
        return length


def _event(frame: bytes) -> Event:
    if zlib.crc32(frame[:-_CRC]) != struct.unpack_from(">I", frame, len(frame) - _CRC)[0]:
        raise ValueError("the checksum of a message is wrong")
    end = _PRELUDE + struct.unpack_from(">I", frame, 4)[0]
    try:
        return Event(_headers(frame[_PRELUDE:end]), frame[end:-_CRC])
    except (IndexError, struct.error, UnicodeDecodeError):
        raise ValueError("a message's headers cannot be read") from None


def _headers(data: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    at = 0
    while at < len(data):
        name = _slice(data, at + 1, data[at])
        at += 1 + len(name)
        kind = data[at]
        at += 1
        if kind in (_BYTES, _TEXT):
            value = _slice(data, at + 2, struct.unpack_from(">H", data, at)[0])
            at += 2 + len(value)
            if kind == _TEXT:
                found[name.decode()] = value.decode()
        elif kind in _FIXED:
            at += len(_slice(data, at, _FIXED[kind]))
        else:
            raise ValueError("a message's header has an unknown type")
    return found


def _slice(data: bytes, start: int, length: int) -> bytes:
    if start + length > len(data):
        raise IndexError
    return data[start : start + length]
