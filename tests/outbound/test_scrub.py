"""No credential survives in words that are shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openpollen.outbound.scrub import HIDDEN, scrub

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Incorrect API key provided: sk-proj-abc123DEF456ghi789.", "abc123DEF456ghi789"),
        ("Incorrect API key provided: sk-proj-********wxyz. Check it", "wxyz"),
        ("Authorization: Bearer abcdefghijklmnop", "abcdefghijklmnop"),
        ("header was 'authorization': 'Basic dXNlcjpwYXNzd29yZA=='", "dXNlcjpwYXNzd29yZA"),
        ("https://user:hunter22@example.com/x failed", "hunter22"),
        ("GET https://example.com/v1?key=AbCdEf123456&x=1", "AbCdEf123456"),
        ("api_key=zz99zz99zz99 is wrong", "zz99zz99zz99"),
        ('{"api-key": "azurekey0123456789"}', "azurekey0123456789"),
        ("key AIzaSyA1234567890abcdefghijklmnopqrstu is blocked", "AIzaSyA1234567890"),
        ("AKIAIOSFODNN7EXAMPLE is not authorised", "AKIAIOSFODNN7EXAMPLE"),
        ("token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abc expired", "eyJzdWIi"),
        ("hf_abcdefghijklmnop has no access", "hf_abcdefghijklmnop"),
    ],
)
def test_credentials_by_their_shape(text: str, secret: str) -> None:
    assert secret not in scrub(text)
    assert HIDDEN in scrub(text)


@pytest.mark.parametrize(
    "text",
    [
        "The model gpt-5 does not exist",
        "max_tokens is too large: 40000. This model supports at most 16384 completion tokens",
        "Rate limit reached for tokens per minute",
        "Invalid value: 'squirrel'. Supported values are: 'system', 'user'.",
        "invalid key: messages[0].content",
        "Unknown key frequency_penalty",
        "Unexpected token response_format.json_schema",
        "key_budget_exhausted",
        "https://example.com/path?size=10 is no image",
    ],
)
def test_plain_words_stay(text: str) -> None:
    assert scrub(text, ["sk-something-else-entirely"]) == text


@given(st.text(), st.text(), st.text(ALPHABET, min_size=16, max_size=60))
def test_a_known_secret_never_survives(before: str, after: str, secret: str) -> None:
    shown = scrub(f"{before}{secret}{after}", [secret])
    assert secret not in shown


@given(st.text(ALPHABET, min_size=24, max_size=60))
def test_head_and_tail_of_a_known_secret_are_hidden(secret: str) -> None:
    shown = scrub(f"You sent {secret[:8]}...{secret[-8:]}", [secret])
    assert secret[:8] not in shown
    assert secret[-8:] not in shown


@pytest.mark.parametrize("echo", ["****ecret-PLUMTREE****", "PLUMTREE", "lab-secret-PL...", "(...TREE-of-the-lab)"])
def test_any_part_of_a_known_secret_is_hidden(echo: str) -> None:
    shown = scrub(f"Incorrect key: {echo} is none of ours", ["lab-secret-PLUMTREE-of-the-lab"])
    assert HIDDEN in shown
    assert not any(part in shown for part in ("PLUM", "TREE", "ecret"))
    assert shown.endswith("is none of ours")


def test_empty_secrets_hide_nothing() -> None:
    assert scrub("nothing to hide", ["", "a"]) == "nothing to hide"
