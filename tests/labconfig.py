"""An operator's file that puts the fake provider behind names of its own, with prices that make errors visible."""

from __future__ import annotations

from collections.abc import Iterable

from tests.fakeprovider import MODES, PROMPT_TOKENS, Charge
from tests.fakewire import WORDS

KEY = "lab-secret-4711"
#: Price of the lab's chat in nano-pollen for each token: 1 and 5 pollen a million.
INPUT, OUTPUT = 1_000, 5_000
#: What one whole answer of the lab's chat costs, in nano-pollen.
ANSWER = PROMPT_TOKENS * INPUT + len(WORDS) * OUTPUT
IMAGE, SECOND, HEARD, CHARACTER = 30_000_000, 20_000_000, 100_000, 10_000

#: Modes that ``lab-step-MODE`` goes through step by step.
STEPPED = ("ok", "no-usage", "zero-usage", "late-usage", "double-usage", "words")

_CHAT = '{ input_token = "1.00", output_token = "5.00", per = 1_000_000 }'

#: Other prices for cause: what is asked for decides between them.
_TIERS = """
[[models.variants]]
quality = "high"
price = { image = "0.05" }
[[models.variants]]
resolution = "2k"
price = { image = "0.06" }
"""


def chat_model(name: str, upstream: str, extra: str = "", price: str = _CHAT) -> str:
    return model(name, '"chat", "tools"', upstream, price, f"max_output_tokens = 1000\n{extra}")


def model(name: str, capabilities: str, upstream: str, price: str, extra: str = "", route: str = "") -> str:
    return f"""
[[models]]
name = "{name}"
capabilities = [{capabilities}]
{extra}
[[models.routes]]
provider = "lab"
model = "{upstream}"
price = {price}
{route}
"""


def owed(bill: Iterable[Charge]) -> int:
    """What the pretended host's bill comes to, in nano-pollen."""
    units = {"images": IMAGE, "edits": IMAGE, "speech": CHARACTER, "transcriptions": HEARD, "videos": SECOND, "chat": 0}
    return sum(c.input_tokens * INPUT + c.output_tokens * OUTPUT + round(c.units * units[c.operation]) for c in bill)


def operator_file(base_url: str, settings: str = "") -> str:
    """The file. ``lab-NAME`` leads to the fake provider's mode of that name; see ``tests.fakeprovider.MODES``."""
    parts = [
        settings,
        f'[providers.lab]\nwire = "openai_compatible"\nbase_url = "{base_url}"\nkey = "env:LAB_KEY"\n',
        '[providers.gone]\nwire = "openai_compatible"\nbase_url = "http://127.0.0.1:9/v1"\n',
        chat_model("lab-chat", "ok", 'aliases = ["lab-alias"]'),
        chat_model("lab-paid", "ok", "paid_only = true"),
        chat_model("lab-zero", "ok", price='{ input_token = "0", output_token = "0" }'),
        chat_model("lab-zero-paid", "ok", "paid_only = true", price='{ input_token = "0", output_token = "0" }'),
        model("lab-image", '"image", "edit"', "picture", '{ image = "0.03" }'),
        model("lab-image-tiers", '"image"', "picture", '{ image = "0.03" }', route=_TIERS),
        model("lab-video", '"video"', "film", '{ second = "0.02" }'),
        model("lab-speech", '"speech"', "voice", '{ character = "10.00", per = 1_000_000 }'),
        model("lab-ears", '"transcription"', "ears", '{ second = "0.0001" }'),
        model("lab-video-fails", '"video"', "job-fails", '{ second = "0.02" }'),
        model("lab-video-refused", '"video"', "job-refused", '{ second = "0.02" }'),
        model("lab-video-withheld", '"video"', "job-withheld", '{ second = "0.02" }'),
        model("lab-image-refused", '"image"', "content-policy", '{ image = "0.03" }'),
        model("lab-image-slow", '"image"', "slow", '{ image = "0.03" }'),
        model("lab-image-url-gone", '"image"', "url-gone", '{ image = "0.03" }'),
        model("lab-step-image", '"image", "edit"', "step-picture", '{ image = "0.03" }'),
        model("lab-step-speech", '"speech"', "step-voice", '{ character = "10.00", per = 1_000_000 }'),
        model("lab-step-ears", '"transcription"', "step-ears", '{ second = "0.0001" }'),
        model("lab-step-video", '"video"', "step-film", '{ second = "0.02" }'),
        model("lab-image-fails", '"image"', "error-500", '{ image = "0.03" }'),
    ]
    modes = [mode for mode in MODES if not mode.startswith(("error-N", "job-", "picture-", "step"))]
    errors = [f"error-{status}" for status in (400, 401, 402, 403, 404, 408, 409, 413, 415, 422, 429, 500, 503, 504)]
    parts += [chat_model(f"lab-{mode}", mode) for mode in [*modes, *errors]]
    parts.append(
        chat_model("lab-thinks-apart", "thinks") + "inline_thinking = true\nparams = ['-temperature', '-tools']\n"
    )
    parts += [chat_model(f"lab-step-{mode}", f"step-{mode}") for mode in STEPPED]
    parts.append(_two_routes("lab-vain-first", "lab", "ok", first_model="garbage"))
    parts.append(_two_routes("lab-second-chance", "gone", "ok"))
    parts.append(_two_routes("lab-falls-back", "lab", "ok", first_model="error-500"))
    for mode in ("role-error", "role-overloaded", "role-refused", "role-cut", "role-silent"):
        parts.append(_two_routes(f"lab-{mode}-first", "lab", "ok", first_model=mode))
    parts.append(_two_routes("lab-no-way-back", "lab", "ok", first_model="content-policy"))
    return "\n".join(parts)


def _two_routes(name: str, first: str, second_model: str, first_model: str = "ok") -> str:
    return f"""
[[models]]
name = "{name}"
capabilities = ["chat"]
max_output_tokens = 1000
[[models.routes]]
provider = "{first}"
model = "{first_model}"
price = {_CHAT}
[[models.routes]]
provider = "lab"
model = "{second_model}"
"""
