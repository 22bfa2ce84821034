"""The pages ``docs/reference/settings.md`` and ``prices.md``, written from the lists that the program itself reads."""

from __future__ import annotations

from typing import Any, Literal, cast, get_args, get_origin

from msgspec import Meta

from openpollen.catalog.parse import PER_UNITS
from openpollen.catalog.validate import BILLED_IN
from openpollen.core.model import Unit
from openpollen.core.money import format_pollen
from openpollen.settings import Pollen
from openpollen.settings.reading import SETTINGS, Setting

#: Unit, what it counts, dimension of the public registry, header that reports it.
_UNITS: tuple[tuple[Unit, str, str, str], ...] = (
    (Unit.INPUT_TOKEN, "text token read", "`prompt_text_token`", "`x-usage-prompt-text-tokens`"),
    (
        Unit.CACHED_INPUT_TOKEN,
        "token read from the provider's cache",
        "`prompt_cached_token`",
        "`x-usage-prompt-cached-tokens`",
    ),
    (Unit.CACHE_WRITE_TOKEN, "token written to the provider's cache", "-", "`x-usage-prompt-cache-write-tokens`"),
    (Unit.INPUT_AUDIO_TOKEN, "audio token read", "`prompt_audio_token`", "`x-usage-prompt-audio-tokens`"),
    (Unit.INPUT_IMAGE_TOKEN, "image token read", "`prompt_image_token`", "`x-usage-prompt-image-tokens`"),
    (
        Unit.OUTPUT_TOKEN,
        "text token written, reasoning included",
        "`completion_text_token`",
        "`x-usage-completion-text-tokens`, `x-usage-completion-reasoning-tokens`",
    ),
    (Unit.OUTPUT_AUDIO_TOKEN, "audio token made", "`completion_audio_token`", "`x-usage-completion-audio-tokens`"),
    (Unit.OUTPUT_IMAGE_TOKEN, "image token made", "`completion_image_token`", "`x-usage-completion-image-tokens`"),
    (
        Unit.VIDEO_TOKEN,
        "video token: width x height x frames per second x seconds / 1024",
        "`video_token`",
        "`x-usage-completion-video-tokens`",
    ),
    (Unit.CHARACTER, "character spoken", "`character`", "`x-usage-completion-audio-tokens`"),
    (Unit.IMAGE, "picture made", "`image`", "`x-usage-completion-image-tokens`"),
    (
        Unit.SECOND,
        "second of video or sound made, or of sound heard (transcription)",
        "`video_second`, `audio_second`, `input_audio_second`; `video_audio_second` as a variant with `audio = true`",
        "`x-usage-completion-video-seconds`, `x-usage-completion-audio-seconds`, `x-usage-prompt-audio-seconds`",
    ),
    (Unit.REQUEST, "call", "-", "-"),
    (Unit.SEARCH, "web search made for a chat", "-", "-"),
)


def prices_reference() -> str:
    """The page ``docs/reference/prices.md``."""
    rows = [
        f"| `{unit}` | {what} | {'yes' if unit in PER_UNITS else 'no'} | {dimension} | {header} |"
        for unit, what, dimension, header in _UNITS
    ]
    needs = [
        f"| `{capability}` | {' or '.join(' and '.join(f'`{u}`' for u in sorted(choice)) for choice in choices)} |"
        for capability, choices in BILLED_IN.items()
    ]
    return _PRICES_PAGE.format(units="\n".join(rows), needs="\n".join(needs))


_PRICES_PAGE = """# Prices

Amounts are pollen, written as decimal text; 1 pollen is 1 USD. A price belongs to the model: callers pay it
whichever route serves. `per` divides the amounts of token and character units only.

```toml
price = {{ input_token = "1.00", cached_input_token = "0.10", output_token = "5.00", image = "0.04", per = 1_000_000 }}
```

## Units

| Unit | For one | Divided by `per` | In the public registry | Reported in |
| --- | --- | --- | --- | --- |
{units}

A kind of token without a rate of its own is paid at the text rate of its direction: cached, cache-write, audio and
image input at `input_token`; reasoning, audio and image output at `output_token`. Units that describe the same work
twice, such as a picture and its tokens, are paid by whichever has a rate, and by both when both have one. Usage that
no rate covers is an error in the server's log, never a free call.

## What must be priced

A model is refused at start unless it states a price for what it is billed in. An explicit `"0"` is a price.

| Capability | Needs |
| --- | --- |
{needs}

## Variants

Rates that replace the base rates when all conditions given hold; of several that hold, the last one counts.

```toml
[[models.variants]]
above_input_tokens = 272_000        # input tokens of every kind, together
price = {{ input_token = "5.00", output_token = "30.00", per = 1_000_000 }}
```

| Condition | Holds |
| --- | --- |
| `above_input_tokens` | when the call has more input tokens than this |
| `quality` | for `low`, `medium` or `high`; for a chat that searches it is `search_context_size` |
| `resolution` | `480p`, `720p`, `1080p` of a video; of a picture `1k` (to 1024 x 1024), `2k` (to 2048 x 2048), `4k` |
| `audio` | when the video has sound (`true`) or none (`false`) |

## Sums

A price is summed exactly and rounded half up once, to a billionth of a pollen. What is held before a call is the
most that the call can cost, rounded up: text counts as one token for each of its UTF-8 bytes, since no token stands
for less, and thresholds count as reached when they can be.
"""

_SETTINGS_HEAD = """# Settings

Options stand in `openpollen.toml` (`--config`, `OPENPOLLEN_CONFIG`), in the environment, or on the command line; the
later wins. The file is checked as a whole at start and by `polli admin catalog check`. Hosts and models are added in
the same file: see [prices](prices.md). This page is written by `make docs`.
"""


def settings_reference() -> str:
    """The page ``docs/reference/settings.md``."""
    lines = [_SETTINGS_HEAD]
    for table in dict.fromkeys(setting.table for setting in SETTINGS):
        lines += [f"## {f'[{table}]' if table else 'Top level'}", "", "| Key | Default | Variable | Meaning |"]
        lines.append("| --- | --- | --- | --- |")
        for setting in SETTINGS:
            if setting.table == table:
                key = setting.name.rpartition(".")[2]
                lines.append(
                    f"| `{key}` | {_default(setting.default)} | `{setting.env}` | {setting.help}{_range(setting)} |"
                )
        lines.append("")
    return "\n".join(lines)


def _default(value: Any) -> str:
    match value:
        case Pollen():
            return f'`"{format_pollen(value)}"`'
        case bool():
            return f"`{str(value).lower()}`"
        case dict():
            return ", ".join(f"{k} `{format_pollen(v)}`" for k, v in cast("dict[str, int]", value).items())
        case tuple():
            return "`[]`"
        case "":
            return '`""`'
        case _:
            return f"`{value}`"


def _range(setting: Setting) -> str:
    plain = get_args(setting.type)[0]
    if get_origin(plain) is Literal:
        return " One of " + ", ".join(f"`{word}`" for word in get_args(plain)) + "."
    for meta in get_args(setting.type)[1:]:
        if isinstance(meta, Meta) and meta.le is not None:
            low = f"{meta.ge}" if meta.ge is not None else f"above {meta.gt}"
            return f" From {low} to {meta.le}."
    return ""
