"""The media type of bytes, read from the bytes themselves; nobody's word for it is taken."""

from __future__ import annotations

import re

UNKNOWN = "application/octet-stream"

#: Types that a browser may show in place; everything else is a download. No markup of any kind is among them.
INLINE = frozenset(
    {
        "image/png",
        "image/jpeg",
        "image/gif",
        "image/webp",
        "image/avif",
        "image/bmp",
        "video/mp4",
        "video/webm",
        "video/quicktime",
        "audio/mpeg",
        "audio/wav",
        "audio/ogg",
        "audio/flac",
        "audio/aac",
        "audio/mp4",
        "application/pdf",
        "text/plain",
    }
)

_EXTENSIONS = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/gif": "gif",
    "image/webp": "webp",
    "image/avif": "avif",
    "image/bmp": "bmp",
    "video/mp4": "mp4",
    "video/webm": "webm",
    "video/quicktime": "mov",
    "audio/mpeg": "mp3",
    "audio/wav": "wav",
    "audio/ogg": "ogg",
    "audio/flac": "flac",
    "audio/aac": "aac",
    "audio/mp4": "m4a",
    "application/pdf": "pdf",
    "text/plain": "txt",
}

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"\x1a\x45\xdf\xa3", "video/webm"),
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),
    (b"ID3", "audio/mpeg"),
    (b"%PDF-", "application/pdf"),
)
#: Brands of the ISO base media file format. An unknown brand is taken for MP4.
_BRANDS = {
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"M4A ": "audio/mp4",
    b"M4B ": "audio/mp4",
    b"qt  ": "video/quicktime",
}
_UNSHOWN_BRANDS = frozenset({b"heic", b"heix", b"mif1", b"msf1", b"crx "})
_TEXT_SAMPLE = 65_536
_MARKUP_SAMPLE = 1_024
#: The beginning of HTML, SVG and XML, behind a byte order mark, white space and comments.
_MARKUP = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<!--.*?-->\s*)*<(?:!doctype|\?xml|html|head|body|svg|script)\b", re.I | re.S
)
#: Control characters that plain text does not have.
_CONTROLS = frozenset(range(32)) - {9, 10, 12, 13, 27}


def sniff(data: bytes) -> str:
    """The media type of bytes by their signature: pictures, video, sound, PDF, UTF-8 text; else octet-stream."""
    for magic, media_type in _MAGIC:
        if data.startswith(magic):
            return media_type
    if data[:4] == b"RIFF" and len(data) >= 12:
        return {b"WEBP": "image/webp", b"WAVE": "audio/wav"}.get(data[8:12], UNKNOWN)
    if data[4:8] == b"ftyp" and len(data) >= 12:
        return _iso_media(data)
    if data[:2] == b"BM" and len(data) >= 26 and int.from_bytes(data[2:6], "little") == len(data):
        return "image/bmp"
    if len(data) >= 4 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0:
        return _mpeg_audio(data)
    if _MARKUP.match(data[:_MARKUP_SAMPLE]):
        return UNKNOWN  # what a browser could run is handed out as a file to keep, never shown
    return "text/plain" if _is_text(data) else UNKNOWN


def is_inline(media_type: str) -> bool:
    """Whether files of this type are shown in place."""
    return media_type.partition(";")[0] in INLINE


def extension(media_type: str) -> str:
    """A file name's ending for a type, without the dot."""
    return _EXTENSIONS.get(media_type, "bin")


def _iso_media(data: bytes) -> str:
    brand = data[8:12]
    if brand in _UNSHOWN_BRANDS:
        # Some AVIF files have a general brand first and name AVIF among the compatible ones.
        size = min(int.from_bytes(data[:4], "big"), 256)
        return "image/avif" if b"avif" in data[16:size] else UNKNOWN
    return _BRANDS.get(brand, "video/mp4")


def _mpeg_audio(data: bytes) -> str:
    layer = data[1] >> 1 & 0b11
    if layer == 0 and data[1] & 0xF6 == 0xF0:
        return "audio/aac"
    version, bitrate, rate = data[1] >> 3 & 0b11, data[2] >> 4, data[2] >> 2 & 0b11
    return "audio/mpeg" if layer and version != 1 and 0 < bitrate < 15 and rate != 3 else UNKNOWN


def _is_text(data: bytes) -> bool:
    sample = data[:_TEXT_SAMPLE]
    if not sample or not _CONTROLS.isdisjoint(sample):
        return False
    try:
        sample.decode()
    except UnicodeDecodeError as error:
        # A character cut by the end of the sample is no fault of the text.
        return len(data) > _TEXT_SAMPLE and error.start >= _TEXT_SAMPLE - 3
    return True
