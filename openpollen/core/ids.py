"""Identifiers, hashes and the key format (rule 31: ``sk_`` + 32, ``pk_`` + 16 alphanumerics, the last 6 a checksum)."""

from __future__ import annotations

import base64
import hashlib
import random
import secrets
import time
import zlib
from typing import Literal

KeyType = Literal["secret", "publishable"]

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_CHECKSUM = 6
_numbers = random.Random(secrets.randbits(256))
_BODY: dict[str, int] = {"sk_": 26, "pk_": 10}


def new_id(prefix: str) -> str:
    """A sortable identifier: prefix, milliseconds in base 36 (9 characters), 12 random characters."""
    return f"{prefix}_{_base(int(time.time() * 1000), 36, 9)}{random_text(12)}"


def request_id() -> str:
    """An identifier of one request: milliseconds, then 52 random bits. Unique, but no secret.

    Ids that rise with time land side by side in the indexes of the ledger, and need no call to the system each."""
    return f"req_{int(time.time() * 1000):011x}{_numbers.getrandbits(52):013x}"


def random_text(length: int) -> str:
    """Unbiased random alphanumerics."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def new_key(key_type: KeyType) -> str:
    """A fresh API key with its checksum."""
    prefix = "sk_" if key_type == "secret" else "pk_"
    body = random_text(_BODY[prefix])
    return prefix + body + _checksum(prefix + body)


def is_key(value: str) -> bool:
    """Whether ``value`` has the form and checksum of a key; spares the database a look-up of typing errors."""
    prefix, body = value[:3], value[3:]
    length = _BODY.get(prefix)
    if length is None or len(body) != length + _CHECKSUM or not body.isascii() or not body.isalnum():
        return False
    return secrets.compare_digest(_checksum(value[:-_CHECKSUM]), value[-_CHECKSUM:])


def hash_key(value: str) -> str:
    """What is stored of a key: SHA-256, base64url without padding. Keys are random, so no salt or stretching is needed."""
    return base64.urlsafe_b64encode(hashlib.sha256(value.encode()).digest()).rstrip(b"=").decode()


def _checksum(text: str) -> str:
    return _base(zlib.crc32(text.encode()), 62, _CHECKSUM)


def _base(number: int, base: int, length: int) -> str:
    digits = ""
    for _ in range(length):
        number, rest = divmod(number, base)
        digits = _ALPHABET[rest] + digits
    return digits
