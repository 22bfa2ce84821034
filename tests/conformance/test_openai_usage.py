"""Token counts of the OpenAI wire become units: nothing twice, nothing below zero, unknown is never zero."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openpollen.core.model import Provider
from openpollen.core.usage import Usage
from tests.conformance.lab import adapter


@pytest.mark.parametrize(
    ("reported", "usage"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 5}, Usage(input_tokens=10, output_tokens=5)),
        ({"prompt_tokens": 10, "completion_tokens": 0}, Usage(input_tokens=10)),
        (
            {
                "prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150,
                "prompt_tokens_details": {"cached_tokens": 60, "audio_tokens": 5, "image_tokens": 7, "cache_write_tokens": 8},
                "completion_tokens_details": {"reasoning_tokens": 30, "audio_tokens": 4},
            },
            Usage(
                input_tokens=20, cached_input_tokens=60, cache_write_tokens=8, input_audio_tokens=5, input_image_tokens=7,
                output_tokens=16, reasoning_tokens=30, output_audio_tokens=4,
            ),
        ),
        (  # parts larger than the whole are cut, nothing goes below zero
            {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 90, "audio_tokens": 3}},
            Usage(cached_input_tokens=10, output_tokens=5),
        ),
        (  # reasoning reported on top of the completion
            {
                "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 45,
                "completion_tokens_details": {"reasoning_tokens": 30},
            },
            Usage(input_tokens=10, output_tokens=5, reasoning_tokens=30),
        ),
        (  # all parts on top
            {
                "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 65,
                "prompt_tokens_details": {"cached_tokens": 20}, "completion_tokens_details": {"reasoning_tokens": 30},
            },
            Usage(input_tokens=10, cached_input_tokens=20, output_tokens=5, reasoning_tokens=30),
        ),
        (
            {"prompt_tokens": 10, "completion_tokens": 5, "prompt_cache_hit_tokens": 4, "prompt_cache_miss_tokens": 6},
            Usage(input_tokens=6, cached_input_tokens=4, output_tokens=5),
        ),
        ({"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": None}, Usage(input_tokens=10, output_tokens=5)),
        ({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, None),
        ({"total_tokens": 19}, None),
        ({"prompt_tokens": 10}, Usage(input_tokens=10)),  # half a report: whoever measures counts the rest
        ({"completion_tokens": 5}, Usage(output_tokens=5)),
        ({"prompt_tokens": 10, "completion_tokens": None, "total_tokens": 15}, Usage(input_tokens=10, output_tokens=5)),
        ({"completion_tokens": 5, "total_tokens": 15}, Usage(input_tokens=10, output_tokens=5)),
        ({"prompt_tokens": 10.0, "completion_tokens": "5"}, Usage(input_tokens=10, output_tokens=5)),
        ({"prompt_tokens": "ten", "completion_tokens": 5}, None),
        ({}, None),
        (None, None),
        ("unknown", None),
    ],
)  # fmt: skip
def test_usage_is_split_into_units_without_double_counting(reported: Any, usage: Usage | None) -> None:
    body = json.dumps({"choices": [{"message": {"content": "x"}}], "usage": reported}).encode()
    assert adapter.decode_chat(200, {}, body, Provider("p", "w", "http://h")).usage == usage


COUNTS = st.none() | st.integers(0, 1000)


@given(
    st.integers(0, 1000), st.integers(1, 1000), COUNTS,
    st.fixed_dictionaries(
        {"cached_tokens": COUNTS, "audio_tokens": COUNTS, "image_tokens": COUNTS, "cache_write_tokens": COUNTS}
    ),
    st.fixed_dictionaries({"reasoning_tokens": COUNTS, "audio_tokens": COUNTS}),
)  # fmt: skip
def test_units_always_add_up_to_what_was_reported(prompt: int, done: int, total: Any, into: Any, out: Any) -> None:
    reported = {"prompt_tokens": prompt, "completion_tokens": done, "total_tokens": total}
    reported |= {"prompt_tokens_details": into, "completion_tokens_details": out}
    body = json.dumps({"choices": [{}], "usage": reported}).encode()
    usage = adapter.decode_chat(200, {}, body, Provider("p", "w", "http://h")).usage
    assert usage is not None
    counts = [
        usage.input_tokens, usage.cached_input_tokens, usage.cache_write_tokens, usage.input_audio_tokens,
        usage.input_image_tokens, usage.output_tokens, usage.reasoning_tokens, usage.output_audio_tokens,
    ]  # fmt: skip
    assert min(counts) >= 0
    assert sum(counts) in (prompt + done, max(prompt + done, total or 0))
