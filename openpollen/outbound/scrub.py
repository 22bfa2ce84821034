"""Takes secrets out of words that others wrote, before they are shown or logged."""

from __future__ import annotations

import re
from collections.abc import Iterable

HIDDEN = "[hidden]"

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

    Of a known secret also its first and its last eight characters are hidden, as providers like to echo those.
    """
    known = sorted({secret for secret in secrets if len(secret) >= 4}, key=len, reverse=True)
    for secret in known:
        text = text.replace(secret, HIDDEN)
    text = _USERINFO.sub(rf"\1{HIDDEN}@", text)
    for pattern in _PATTERNS:
        text = pattern.sub(_hide, text)
    for secret in known:
        if len(secret) >= 16:
            text = text.replace(secret[:8], HIDDEN).replace(secret[-8:], HIDDEN)
    return text


def _hide(match: re.Match[str]) -> str:
    kept = "".join(group for group in match.groups() if group)
    return kept + HIDDEN
