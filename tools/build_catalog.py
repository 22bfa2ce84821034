"""Writes the shipped model files from a file of facts: python tools/build_catalog.py FACTS.json OUT_DIR

This is how ``openpollen/catalog/data/models`` was first made. The files are edited by hand since; running it again
over them undoes that. What the facts say in words (fees, thresholds, ranges) is stated below as data, each beside
the words it is from.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

Facts = dict[str, Any]

AS_OF = "2026-04-20"
SOURCE = (
    "public registry of pollinations/pollinations of about this date; max_output_tokens from the litellm 1.109.1 table"
)

#: Price dimension of the facts -> price unit.
UNITS = {
    "prompt_text_token": "input_token",
    "prompt_cached_token": "cached_input_token",
    "prompt_audio_token": "input_audio_token",
    "prompt_image_token": "input_image_token",
    "completion_text_token": "output_token",
    "completion_audio_token": "output_audio_token",
    "completion_image_token": "output_image_token",
    "image": "image",
    "video_second": "second",
    "video_token": "video_token",
    "audio_second": "second",
    "input_audio_second": "second",
    "character": "character",
}
PER_MILLION = {unit for unit in UNITS.values() if unit.endswith("_token") or unit == "character"}

#: Adapter of the facts -> provider, where it is not the provider of the facts itself (one provider speaks one wire).
PROVIDERS: dict[tuple[str, str], str] = {
    ("dashscope", "dashscope-multimodal"): "dashscope-media",
    ("dashscope", "dashscope-video-task"): "dashscope-media",
    ("bedrock", "bedrock-async(nova-reel)"): "bedrock-video",
    ("xai", "xai-images"): "xai-media",
    ("xai", "xai-video"): "xai-media",
    ("vertex", "anthropic-messages(vertex)"): "vertex-anthropic",
    ("self-hosted", "openai-audio"): "self-hosted-audio",
    ("self-hosted", "acestep"): "acestep",
    ("self-hosted", "comfyui"): "comfyui",
    ("self-hosted", "http worker"): "comfyui",
    ("self-hosted", "enqueue/status/result worker"): "comfyui",
}

#: Adapter -> operation, where one provider has several.
OPERATIONS = {
    "bedrock-converse": "converse",
    "bedrock-invoke(nova-canvas)": "nova-canvas",
    "bedrock-async(nova-reel)": "nova-reel",
    "gemini-generate-content": "generate-content",
    "gemini-generate-content(image)": "generate-content",
    "veo-long-running": "veo",
    "ark-images": "images",
    "ark-content-task": "content-task",
}

#: Routes that lead to another model than the one named (model of ours, model of theirs).
SUBSTITUTES = {
    ("elevenlabs", "gpt-4o-mini-tts"),
    ("nova-fast", "amazon.nova-lite-v1:0"),
    ("qwen-vision", "accounts/fireworks/models/qwen3-vl-30b-a3b-thinking"),
    ("qwen-image", "qwen/qwen-image"),
    ("wan-fast", "fal-ai/wan/v2.2-a14b/text-to-video/turbo"),
    ("wan-fast", "fal-ai/wan/v2.2-a14b/image-to-video/turbo"),
    ("ltx-2", "ltx-2-fast"),
    ("ltx-2", "fal-ai/ltx-2/text-to-video/fast"),
    ("acestep", "fal-ai/ace-step"),
}

#: Rates that a note states beside the table: unit -> amount (tokens per million), with the words of the note.
MORE_RATES: dict[str, dict[str, str]] = {
    # "grounded search is billed per query by Google on top (0.014 USD ...)"; the 2.5 family 0.035 for each grounded
    # prompt
    "gemini": {"search": "0.014"},
    "gemini-flash-lite-3.1": {"search": "0.014"},
    "gemini-large": {"search": "0.014"},
    "gemini-fast": {"search": "0.035"},
    # an agent; ours is a persona over the local chat model, at an explicit price of 0
    "polly": {"input_token": "0", "output_token": "0", "search": "0"},
    # "... which the registry covers by a raised token cost"
    "gemini-search": {"search": "0"},
    # "provider also bills a request fee by search_context_size: low 0.005 ..."; searches are part of it
    "perplexity-fast": {"request": "0.005", "search": "0"},
    "perplexity-reasoning": {"request": "0.006", "search": "0"},
}

#: Variants that a note states: conditions and the rates that then count.
VARIANTS: dict[str, list[tuple[dict[str, Any], dict[str, str]]]] = {
    # "price doubles above 272k prompt tokens"
    "openai-large": [
        ({"above_input_tokens": 272_000}, {"input_token": "5", "cached_input_token": "0.5", "output_token": "30"})
    ],
    # "above 200k prompt tokens the provider's rate is 4 / 18 USD per million (cached 0.4)"
    "gemini-large": [
        ({"above_input_tokens": 200_000}, {"input_token": "4", "cached_input_token": "0.4", "output_token": "18"})
    ],
    # "<=32k 0.2/1.6, <=128k 0.3/2.4, <=256k 0.6/4.8"
    "qwen-vision": [
        ({"above_input_tokens": 32_000}, {"input_token": "0.3", "output_token": "2.4"}),
        ({"above_input_tokens": 128_000}, {"input_token": "0.6", "output_token": "4.8"}),
    ],
    # search_context_size, which stands in `quality`: "low 0.005, medium 0.008, high 0.012"
    "perplexity-fast": [({"quality": "medium"}, {"request": "0.008"}), ({"quality": "high"}, {"request": "0.012"})],
    "perplexity-reasoning": [
        ({"quality": "medium"}, {"request": "0.010"}),
        ({"quality": "high"}, {"request": "0.014"}),
    ],
    # "0.04 standard / 0.06 premium up to 1024x1024, 0.06 / 0.08 up to 2048x2048"
    "nova-canvas": [
        ({"quality": "high"}, {"image": "0.06"}),
        ({"resolution": "2k"}, {"image": "0.06"}),
        ({"resolution": "2k", "quality": "high"}, {"image": "0.08"}),
    ],
    # "audio is split out as a second dimension so that silent output is cheaper": 0.075 + 0.075
    "wan": [({"audio": True}, {"second": "0.15"})],
}

#: Ranges in the words of ``limits``.
LIMITS: dict[str, dict[str, Any]] = {
    "kontext": {"max_reference_images": 1},
    "nanobanana": {"image_tokens": 1290, "max_reference_images": 3},
    "nanobanana-2": {"image_tokens": 2520, "max_reference_images": 14},
    "nanobanana-pro": {"image_tokens": 2000, "max_reference_images": 14},
    "seedream5": {"max_reference_images": 10},
    # largest count of OpenAI's table: high quality, 1536x1024
    "gptimage": {"image_tokens": 6240, "max_reference_images": 16},
    "gptimage-large": {"image_tokens": 6240, "max_reference_images": 16},
    "wan-image": {"min_size": 768, "max_pixels": 4_194_304, "max_reference_images": 9},
    "wan-image-pro": {"min_size": 768, "max_pixels": 16_777_216, "max_reference_images": 9},
    "qwen-image": {
        "sizes": ["1664x928", "1472x1104", "1328x1328", "1104x1472", "928x1664"],
        "max_reference_images": 3,
    },
    "klein": {"max_reference_images": 10},
    "p-image": {"sizes": ["1024x1024", "1184x896", "896x1184", "1376x768", "768x1376", "1248x832", "832x1248"]},
    "p-image-edit": {"max_reference_images": 5},
    "nova-canvas": {"min_size": 320, "max_size": 4096, "max_pixels": 4_194_304, "max_reference_images": 5},
    "veo": {
        "durations": [4, 6, 8],
        "default_duration": 4,
        "aspect_ratios": ["16:9", "9:16"],
        "resolutions": ["720p", "1080p"],
        "max_reference_images": 2,
        "audio": "optional",
    },
    "seedance": {"range": (2, 12), "resolutions": ["480p", "720p", "1080p"], "max_reference_images": 1},
    "seedance-pro": {"range": (2, 12), "max_reference_images": 1},
    "wan": {"range": (2, 15), "resolutions": ["720p", "1080p"], "max_reference_images": 1, "audio": "always"},
    "wan-fast": {"durations": [5], "resolutions": ["480p"], "max_reference_images": 1, "audio": "never"},
    "grok-video-pro": {
        "range": (1, 15),
        "aspect_ratios": ["1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3"],
        "resolutions": ["480p", "720p"],
        "max_reference_images": 1,
    },
    # 9 to 241 frames at 24 a second
    "ltx-2": {"range": (1, 10), "max_pixels": 1_048_576, "max_reference_images": 0},
    "p-video": {
        "range": (1, 10),
        "aspect_ratios": ["16:9", "9:16", "4:3", "3:4", "3:2", "2:3", "1:1"],
        "resolutions": ["720p", "1080p"],
        "max_reference_images": 1,
    },
    "nova-reel": {
        "range": (6, 60),
        "duration_step": 6,
        "default_duration": 6,
        "aspect_ratios": ["16:9"],
        "resolutions": ["720p"],
        "max_reference_images": 1,
        "audio": "never",
    },
    "elevenlabs": {"max_input_characters": 4096},
    "elevenmusic": {"range": (3, 300), "max_input_characters": 10_000},
    "acestep": {"range": (10, 600)},
}


def main(facts_path: str, out: str) -> None:
    facts = json.loads(Path(facts_path).read_text("utf-8"), parse_float=Decimal)
    for kind in ("text", "image", "video", "audio"):
        models = [model for model in facts["models"] if model["kind"] == kind]
        head = (
            f'# Models of kind {kind}. Amounts are pollen (1 pollen = 1 USD).\nas_of = "{AS_OF}"\nsource = "{SOURCE}"\n'
        )
        text = head + "".join(f"\n{write_model(model, facts['voices'])}" for model in models)
        Path(out, f"{kind}.toml").write_text(text, "utf-8")


def write_model(model: Facts, voices: Facts) -> str:
    title, _, claim = model["title"].partition(" - ")
    lines = ["[[models]]"]
    fields: dict[str, Any] = {
        "name": model["id"],
        "title": title,
        "description": claim,
        "aliases": model["aliases"],
        "successor_aliases": model.get("successor_aliases", []),
        "capabilities": capabilities(model),
        "input_modalities": model["input_modalities"],
        "output_modalities": model["output_modalities"],
        "paid_only": model["paid"],
        "alpha": model["alpha"],
        "context_length": model["context_window"],
        "max_output_tokens": max_output(model),
        "voices": voices_of(model, voices),
    }
    lines += [f"{key} = {toml(value)}" for key, value in fields.items() if value not in ([], None, False, "")]
    lines.append(f"price = {price(model_rates(model))}")
    if limits := LIMITS.get(model["id"]):
        lines.append(f"limits = {inline(spread(limits))}")
    for conditions, rates in VARIANTS.get(model["id"], []):
        lines += ["[[models.variants]]", *(f"{key} = {toml(value)}" for key, value in conditions.items())]
        lines.append(f"price = {price(rates)}")
    for route in routes(model):
        lines += ["[[models.routes]]", *route]
    return "\n".join(lines) + "\n"


def capabilities(model: Facts) -> list[str]:
    has, inputs = model["capabilities"], model["input_modalities"]
    words: list[str] = []
    if model["kind"] == "text":
        words = ["chat", *(word for word in ("tools", "reasoning", "search", "code_exec") if has[word])]
        words += ["vision"] * ("image" in inputs) + ["audio_in"] * ("audio" in inputs)
        words += ["audio_out"] * ("audio" in model["output_modalities"])
    elif model["kind"] == "image":
        words = ["image"] * (model["id"] != "p-image-edit") + ["edit"] * ("image" in inputs)
    elif model["kind"] == "video":
        words = ["video"]
    elif "text" in model["output_modalities"]:
        words = ["transcription"]
    else:
        words = ["speech" if "character" in model["public_price_usd"] else "music"]
    return words


def max_output(model: Facts) -> int | None:
    """The maximum of the first route that the table has, which is the primary one where it is there."""
    checks: list[Facts] = model.get("litellm_check") or []
    if model["kind"] != "text":
        return None
    return next((check["max_output_tokens"] for check in checks if check.get("max_output_tokens")), None)


def voices_of(model: Facts, voices: Facts) -> list[str]:
    if model["id"] == "elevenlabs":
        return list(voices["elevenlabs_ids"])
    return voices["gpt_audio"] if model["id"].startswith("openai-audio") else []


def model_rates(model: Facts) -> dict[str, str]:
    rates: dict[str, str] = {}
    for dimension, amount in model["public_price_usd"].items():
        if dimension != "video_audio_second":  # a variant, above
            unit = UNITS[dimension]
            rates[unit] = plain(Decimal(amount) * (1_000_000 if unit in PER_MILLION else 1))
    return rates | MORE_RATES.get(model["id"], {})


def price(rates: Mapping[str, str]) -> str:
    pairs: dict[str, Any] = dict(rates)
    if PER_MILLION & pairs.keys():
        pairs["per"] = 1_000_000
    return inline(pairs)


def routes(model: Facts) -> Iterator[list[str]]:
    if model["id"] == "polly":
        yield ['provider = "local"', 'model = "smollm2"', 'operation = "persona"']
        return
    for fact in (model["route"]["primary"], *model["route"].get("alternates", [])):
        for provider, adapter in hosts(fact):
            for upstream, operation in upstreams(fact["upstream_model"], model["kind"]):
                lines = [f"provider = {toml(provider)}", f"model = {toml(upstream)}"]
                if operation := operation or OPERATIONS.get(adapter, ""):
                    lines.append(f"operation = {toml(operation)}")
                if provider == "azure-openai" and upstream.startswith("gpt-") and model["kind"] == "text":
                    lines.append('params = ["max_completion_tokens"]')
                if (model["id"], upstream) in SUBSTITUTES:
                    lines.append("substitute = true")
                if not fact.get("id_verified"):
                    lines[1] += "  # id not verified"
                yield lines


def hosts(fact: Facts) -> Iterator[tuple[str, str]]:
    """Who serves a route, each once: what the facts call a worker is a ComfyUI here."""
    name: str = fact["provider"]
    found = {PROVIDERS.get((name, adapter), name): adapter for adapter in reversed(fact["adapter"].split(" | "))}
    yield from reversed(found.items())


def upstreams(names: str, kind: str) -> list[tuple[str, str]]:
    """``a | b`` is the model without and the model with a given picture; a short second name replaces the first's
    end."""
    first, _, second = names.partition(" | ")
    if not second:
        return [(first, "")]
    if first.startswith("ltx-"):
        return [(first, "text-to-video"), (second, "text-to-video")]
    if second.startswith("image-to-video"):
        second = first[: first.index("text-to-video")] + second
    return (
        [(first, "text-to-video"), (second, "image-to-video")]
        if kind == "video"
        else [(first, "generate"), (second, "edit")]
    )


def spread(limits: Mapping[str, Any]) -> dict[str, Any]:
    out = dict(limits)
    if "range" in out:
        low, high = out.pop("range")
        out = {"min_duration": low, "max_duration": high, **out}
    return out


def plain(amount: Decimal) -> str:
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def inline(pairs: Mapping[str, Any]) -> str:
    return "{ " + ", ".join(f"{key} = {toml(value)}" for key, value in pairs.items()) + " }"


def toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:_}"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return "[" + ", ".join(toml(item) for item in value) + "]"


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
