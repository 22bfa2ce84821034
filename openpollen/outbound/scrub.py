"""Takes secrets out of words that others wrote, before they are shown or logged."""

from __future__ import annotations

import re
from collections.abc import Iterable

HIDDEN = "[hidden]"
#: Characters of a secret in a row that are hidden wherever they stand.
_PART = 8

#: Shapes of credentials: named ones first, so that the name stays readable and only the value goes.
_PATTERNS = (
    re.compile(r"(?i)\b(bearer|basic)(\s+)[A-Za-z0-9+/._~=-]{12,}"),
    re.compile(r"(?i)\b(token|key)(\s+)(?=\S*\d)[A-Za-z0-9+/._~=-]{12,}"),
    re.compile(
        r"(?i)((?:api[-_ ]?key|x-goog-api-key|xi-api-key|authorization|access[-_]?token|client[-_]?secret|secret"
        r"|password|signature|[?&](?:key|sig|token|x-amz-[a-z-]+))[\"']?\s*[:=]\s*[\"']?)(?!\[hidden\])[^\s\"'&,;}\])<>]{4,}"
    ),
    re.compile(r"()\b(?:sk|pk|rk|xai|gsk|fw|hf|r8|pplx|nvapi|glpat|ghp|gho|ghs|csk|tgp|dapi)[-_][A-Za-z0-9*_.-]{8,}"),
    re.compile(r"()\bAIza[A-Za-z0-9_-]{20,}"),
    re.compile(r"()\b(?:AKIA|ASIA)[A-Z0-9]{12,}"),
    re.compile(r"()\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?"),
)
_USERINFO = re.compile(r"(://)[^/@\s]+@")


def scrub(text: str, secrets: Iterable[str] = ()) -> str:
    """``text`` without the ``secrets`` given, and without anything that has the shape of a credential.

    Of a known secret every part of eight characters is hidden: providers like to echo its beginning, its end or its middle.
    """
    known = sorted({secret for secret in secrets if len(secret) >= 4}, key=len, reverse=True)
    for secret in known:
        text = text.replace(secret, HIDDEN)
    text = _USERINFO.sub(rf"\1{HIDDEN}@", text)
    for pattern in _PATTERNS:
        text = pattern.sub(_hide, text)
    for secret in known:
        if len(secret) >= 2 * _PART:
            text = _without_parts(text, secret)
    return text


def _without_parts(text: str, secret: str) -> str:
    parts = {secret[at : at + _PART] for at in range(len(secret) - _PART + 1)}
    if not any(part in text for part in parts):
        return text
    out: list[str] = []
    at = 0
    while at < len(text):
        end = at + _PART
        if text[at:end] not in parts:
            out.append(text[at])
            at += 1
            continue
        while end < len(text) and text[at : end + 1] in secret:
            end += 1
        out.append(HIDDEN)
        at = end
    return "".join(out)


def _hide(match: re.Match[str]) -> str:
    kept = "".join(group for group in match.groups() if group)
    return kept + HIDDEN
