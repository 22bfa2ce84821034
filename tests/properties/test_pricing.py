"""Prices: exact, rounded once, never free by accident, and never above what was held."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openpollen.catalog.load import load_catalog
from openpollen.core.model import Capability, Price, Unit, Variant
from openpollen.core.money import NANO
from openpollen.core.usage import Usage
from openpollen.ledger import ceiling
from openpollen.ledger.pricing import (
    UNLIMITED_TOKENS,
    Ceiling,
    Charge,
    PriceFacts,
    UnpricedUsage,
    affordable_tokens,
    charge,
    upper_bound,
)

#: A busy machine is no fault of ours.
relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

INPUTS = ("input_tokens", "cached_input_tokens", "cache_write_tokens", "input_audio_tokens", "input_image_tokens")
OUTPUTS = ("output_tokens", "reasoning_tokens", "output_audio_tokens")
MODELS = {model.name: model for model in load_catalog().models}


def million(**rates: str) -> Price:
    """A price per million tokens; flat units as they are."""
    per = {name: 1 if name in ("image", "second", "request", "search") else 1_000_000 for name in rates}
    return Price({Unit(name): Fraction(amount) * NANO / per[name] for name, amount in rates.items()})


CHAT = million(input_token="2", cached_input_token="0.5", output_token="8")


def counts(fields: tuple[str, ...]) -> st.SearchStrategy[dict[str, int]]:
    return st.fixed_dictionaries({name: st.integers(0, 500_000) for name in fields})


usages = st.builds(
    lambda tokens, rest: Usage(**tokens, **rest),
    counts((*INPUTS, *OUTPUTS, "output_image_tokens")),
    st.fixed_dictionaries(
        {
            "characters": st.integers(0, 5_000),
            "images": st.integers(0, 9),
            "audio_ms": st.integers(0, 400_000),
            "input_audio_ms": st.integers(0, 400_000),
            "video_ms": st.integers(0, 60_000),
            "video_tokens": st.integers(0, 900_000),
            "searches": st.integers(0, 5),
            "requests": st.integers(0, 2),
        }
    ),
)
sparse_usages = st.builds(
    lambda found: Usage(**found),
    st.dictionaries(
        st.sampled_from([*INPUTS, *OUTPUTS, "output_image_tokens", "characters", "images", "audio_ms", "video_ms"]),
        st.integers(1, 1_000_000),
        max_size=3,
    ),
)
amounts = st.fractions(min_value=0, max_value=10**7, max_denominator=10**9)
facts = st.builds(
    PriceFacts,
    quality=st.sampled_from([None, "low", "high"]),
    resolution=st.sampled_from([None, "1080p", "2k"]),
    audio=st.sampled_from([None, True, False]),
)
variants = st.builds(
    Variant,
    rates=st.dictionaries(st.sampled_from(list(Unit)), amounts, min_size=1, max_size=4),
    above_input_tokens=st.sampled_from([None, 1, 1_000, 200_000]),
    quality=st.sampled_from([None, "low", "high"]),
    resolution=st.sampled_from([None, "1080p"]),
    audio=st.sampled_from([None, True]),
)
full_prices = st.builds(
    lambda rates, more: Price(rates, tuple(more)),
    st.fixed_dictionaries(dict.fromkeys(Unit, amounts)),
    st.lists(variants, max_size=3),
)
partial_prices = st.builds(
    lambda rates, more: Price(rates, tuple(more)),
    st.dictionaries(st.sampled_from(list(Unit)), amounts, min_size=4),
    st.lists(variants, max_size=3),
)


def within(usage: Usage, slack: int = 0) -> Ceiling:
    """The smallest ceiling over a usage, plus slack on every count."""
    return Ceiling(
        input_tokens=sum(getattr(usage, name) for name in INPUTS) + slack,
        output_tokens=sum(getattr(usage, name) for name in OUTPUTS) + slack,
        output_image_tokens=usage.output_image_tokens + slack,
        images=usage.images + slack,
        characters=usage.characters + slack,
        ms=max(usage.audio_ms, usage.input_audio_ms, usage.video_ms) + slack,
        video_tokens=usage.video_tokens + slack,
        searches=usage.searches + slack,
        requests=usage.requests + slack,
    )


def told(usage: Usage, known: PriceFacts) -> PriceFacts:
    return msgspec.structs.replace(known, input_tokens_total=sum(getattr(usage, name) for name in INPUTS))


@relaxed
@given(usages, full_prices, facts, st.integers(0, 3))
def test_a_charge_is_never_above_what_was_held(usage: Usage, price: Price, known: PriceFacts, slack: int) -> None:
    assert charge(usage, price, told(usage, known)).total <= upper_bound(within(usage, slack), price, known)


@relaxed
@given(sparse_usages, partial_prices, facts)
def test_any_usage_is_billed_within_the_hold_or_refused(usage: Usage, price: Price, known: PriceFacts) -> None:
    try:
        total = charge(usage, price, told(usage, known)).total
    except UnpricedUsage as caught:
        refused = caught.units
    else:
        assert 0 <= total <= upper_bound(within(usage), price, known)
        return
    assert refused
    assert price.rates.keys().isdisjoint(refused)


@relaxed
@given(usages, full_prices)
def test_the_sum_is_exact_and_rounded_half_up_once(usage: Usage, price: Price) -> None:
    price = Price({unit: Fraction(round(rate * 1000), 1000) for unit, rate in price.rates.items()})
    bill = charge(usage, price)
    exact = sum(
        (
            Decimal(line.count.numerator) / line.count.denominator * line.rate.numerator / line.rate.denominator
            for line in bill.lines
        ),
        Decimal(0),
    )
    assert bill.total == int(exact.quantize(Decimal(1), ROUND_HALF_UP))


@relaxed
@given(counts(INPUTS), counts(OUTPUTS), full_prices)
def test_tokens_add_up(reading: dict[str, int], writing: dict[str, int], price: Price) -> None:
    price = Price({unit: rate for unit, rate in price.rates.items() if unit is not Unit.REQUEST})
    apart = charge(Usage(**reading), price).exact + charge(Usage(**writing), price).exact
    assert charge(Usage(**reading, **writing), price).exact == apart


@relaxed
@given(st.integers(0, 10**9), full_prices, st.integers(0, 10**6))
def test_affordable_tokens_fit_and_one_more_does_not(available: int, price: Price, reading: int) -> None:
    most = Ceiling(input_tokens=reading)
    tokens = affordable_tokens(available, price, most)

    def cost(count: int) -> int:
        return upper_bound(msgspec.structs.replace(most, output_tokens=count), price)

    assert tokens == 0 or cost(tokens) <= available
    assert tokens == UNLIMITED_TOKENS or cost(tokens + 1) > available


def test_details_are_paid_once_at_their_own_rate() -> None:
    usage = Usage(input_tokens=700, cached_input_tokens=300, output_tokens=40, reasoning_tokens=60)
    assert charge(usage, CHAT).total == 700 * 2000 + 300 * 500 + 100 * 8000


@pytest.mark.parametrize("name", [*INPUTS, *OUTPUTS, "output_image_tokens"])
def test_a_kind_of_token_without_a_rate_is_paid_as_text(name: str) -> None:
    price = million(input_token="2", output_token="8")
    expected = 2000 if name in INPUTS else 8000
    assert charge(Usage(**{name: 1}), price).total == expected


@pytest.mark.parametrize(
    ("usage", "rates", "total"),
    [
        ({"images": 3}, {"image": "0.04"}, 120_000_000),
        ({"images": 1, "input_tokens": 9, "output_image_tokens": 1290}, {"image": "0.04"}, 40_000_000),
        ({"images": 1, "output_image_tokens": 1290}, {"output_image_token": "30"}, 38_700_000),
        ({"output_tokens": 12, "output_image_tokens": 1290}, {"output_image_token": "30"}, 38_700_000),
        ({"video_ms": 5_000, "audio_ms": 5_000}, {"second": "0.08"}, 400_000_000),
        ({"video_ms": 5_000, "video_tokens": 100}, {"video_token": "1000"}, 100_000_000),
        ({"video_ms": 5_000, "video_tokens": 100}, {"second": "0.08"}, 400_000_000),
        ({"audio_ms": 1_001}, {"second": "0.001"}, 1_001_000),
        ({"input_audio_ms": 333}, {"second": "0.0000445"}, 14_819),
        ({"characters": 5, "audio_ms": 900}, {"character": "270"}, 1_350_000),
        ({"searches": 2}, {"search": "0.014"}, 28_000_000),
        ({"searches": 2}, {"request": "0.014"}, 14_000_000),
        ({"input_tokens": 1}, {"input_token": "1", "request": "0.005"}, 5_001_000),
        ({}, {"input_token": "1", "output_token": "1"}, 0),
    ],
)
def test_units(usage: dict[str, int], rates: dict[str, str], total: int) -> None:
    assert charge(Usage(**usage), million(**rates)).total == total


@pytest.mark.parametrize(
    ("usage", "rates", "unit"),
    [
        ({"images": 1}, {"output_image_token": "30"}, Unit.IMAGE),
        ({"output_tokens": 1}, {"input_token": "1"}, Unit.OUTPUT_TOKEN),
        ({"input_tokens": 1}, {"output_token": "1"}, Unit.INPUT_TOKEN),
        ({"video_ms": 1}, {"image": "1"}, Unit.SECOND),
        ({"audio_ms": 1, "input_tokens": 5}, {"input_token": "1"}, Unit.SECOND),
        ({"characters": 1}, {}, Unit.CHARACTER),
        ({"searches": 1, "input_tokens": 1}, {"input_token": "1"}, Unit.SEARCH),
    ],
)
def test_work_that_no_rate_covers_is_never_free(usage: dict[str, Any], rates: dict[str, str], unit: Unit) -> None:
    with pytest.raises(UnpricedUsage) as caught:
        charge(Usage(**usage), million(**rates))
    assert caught.value.units == (unit,)


def test_a_half_is_rounded_up() -> None:
    assert charge(Usage(input_tokens=1), Price({Unit.INPUT_TOKEN: Fraction(1, 2)})).total == 1
    assert charge(Usage(input_tokens=1), Price({Unit.INPUT_TOKEN: Fraction(49, 100)})).total == 0
    assert upper_bound(Ceiling(input_tokens=1), Price({Unit.INPUT_TOKEN: Fraction(1, 100)})) == 1


def test_a_threshold_counts_when_it_is_passed_and_is_held_when_it_can_be() -> None:
    price = MODELS["openai-large"].price

    def bill(total: int) -> Charge:
        return charge(Usage(output_tokens=1), price, PriceFacts(input_tokens_total=total))

    assert (bill(272_000).total, bill(272_001).total) == (15_000, 30_000)
    assert upper_bound(Ceiling(input_tokens=272_000, output_tokens=1), price) == 272_000 * 2500 + 15_000
    assert upper_bound(Ceiling(input_tokens=272_001, output_tokens=1), price) == 272_001 * 5000 + 30_000


def test_the_last_of_several_variants_counts() -> None:
    price = MODELS["nova-canvas"].price

    def bill(**known: str) -> int:
        return charge(Usage(images=1), price, PriceFacts(**known)).total

    assert bill(quality="medium", resolution="1k") == 40_000_000
    assert bill(quality="high", resolution="1k") == 60_000_000
    assert bill(quality="medium", resolution="2k") == 60_000_000
    assert bill(quality="high", resolution="2k") == 80_000_000


def test_sound_is_paid_where_it_is_apart() -> None:
    price = MODELS["wan"].price
    usage = Usage(video_ms=5_000, audio_ms=5_000)
    assert charge(usage, price, PriceFacts(audio=True)).total == 750_000_000
    assert charge(usage, price, PriceFacts(audio=False)).total == 375_000_000


def test_free_models_bill_nothing_and_hold_nothing() -> None:
    price = MODELS["smollm2"].price
    assert charge(Usage(input_tokens=10, output_tokens=10), price).total == 0
    assert upper_bound(ceiling.chat_ceiling(text_bytes=10**6, messages=9, max_tokens=10**6), price) == 0
    assert affordable_tokens(0, price, Ceiling(input_tokens=100)) == UNLIMITED_TOKENS


@relaxed
@given(st.lists(st.text(max_size=60), min_size=1, max_size=6), st.booleans())
def test_a_chat_is_bounded_by_its_bytes(texts: list[str], tools: bool) -> None:
    """The worst a byte-level vocabulary can do is a token for each byte; escapes in JSON only make the text longer."""
    raw = msgspec.json.encode(texts)
    most = ceiling.chat_ceiling(text_bytes=len(raw), messages=len(texts), max_tokens=7, tools=tools)
    assert most.input_tokens >= sum(len(text.encode()) for text in texts) + 8 * len(texts)
    assert most.output_tokens == 7


@settings(relaxed, max_examples=30)
@given(st.floats(0.5, 60), st.sampled_from([(640, 360), (1280, 720), (1920, 1080)]), st.integers(1, 48))
def test_a_video_is_bounded_by_its_length_and_size(seconds: float, size: tuple[int, int], fps: int) -> None:
    most = ceiling.video_ceiling(seconds=seconds, width=size[0], height=size[1], fps=fps)
    made = Usage(video_ms=int(seconds * 1000), video_tokens=int(size[0] * size[1] * fps * seconds / 1024))
    for name in ("seedance", "veo", "nova-reel"):
        price = MODELS[name].price
        assert charge(made, price).total <= upper_bound(most, price)


def test_each_kind_of_request_has_a_ceiling() -> None:
    images = ceiling.image_ceiling(prompt_bytes=20, n=2, references=1, image_tokens=6240)
    price = MODELS["gptimage"].price
    made = Usage(images=2, input_tokens=40, input_image_tokens=8_000, output_image_tokens=2 * 6240)
    assert charge(made, price).total <= upper_bound(images, price)
    speech = ceiling.speech_ceiling(text="Hello 世界")
    assert speech.characters == 8
    assert upper_bound(speech, MODELS["elevenlabs"].price) == 8 * 270_000
    music = ceiling.music_ceiling(seconds=30, prompt="rain")
    assert upper_bound(music, MODELS["elevenmusic"].price) == 30 * 7_500_000
    heard = ceiling.transcription_ceiling(ms=60_000)
    assert upper_bound(heard, MODELS["whisper"].price) == 60 * 44_500
    tiers = [ceiling.image_resolution(*size) for size in ((512, 512), (1024, 1024), (1536, 1024), (4096, 4096))]
    assert tiers == ["1k", "1k", "2k", "4k"]


@pytest.mark.parametrize("name", [name for name, model in MODELS.items() if model.can(Capability.CHAT)])
def test_every_chat_model_can_be_held_and_charged(name: str) -> None:
    price = MODELS[name].price
    usage = Usage(**dict.fromkeys((*INPUTS, *OUTPUTS), 11))
    assert charge(usage, price).total <= upper_bound(within(usage), price)
