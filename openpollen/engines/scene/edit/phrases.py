"""Fixed phrases of an instruction and the steps they ask for: turn, crop, blur, grade."""

from __future__ import annotations

import re

from ..lexicon import colors
from .step import Step
from .unused import passed_over

# pattern -> step; the first group, where there is one, becomes the step's value
_PATTERNS: tuple[tuple[str, str], ...] = (
    (r"\bupside[- ]down\b", "rotate:180"),
    (r"\brotat\w*\b[^,;]*?\b(-?\d{1,3})\b", "rotate"),
    (
        r"\b(?:rotat\w*|turn)\b.*\b(counter[- ]?clockwise|anti[- ]?clockwise|to the left|left|clockwise|to the right|right)\b",
        "rotate",
    ),
    (r"\brotat\w*\b", "rotate:90"),
    (r"\b(?:flip|mirror|reflect)\w*\b.*\bvertical\w*\b|\bvertical(?:ly)? flip\b", "flip:vertical"),
    (r"\b(?:flip|mirror)\w*\b", "flip:horizontal"),
    (r"\bcrop\w*\b.*?\b(square|\d{1,5}\s*[x×:]\s*\d{1,5}|portrait|landscape)\b", "crop"),
    (r"\b(?:resiz\w*|scale|size)\b.*?\b(\d{1,5}\s*[x×]\s*\d{1,5})\b", "resize"),
    (
        r"\b(?:up-?scal\w*|enlarge|super[- ]?resol\w*|double|increase|higher|"
        r"improve)\b.*?\b([2-4](?:\.\d)?)\s*(?:x|×|times)(?!\w)",
        "upscale",
    ),
    (r"(?<!\w)([2-4])\s*(?:x|×|times)(?!\w)\s*(?:up-?scal\w*|larger|bigger|the (?:size|resolution))", "upscale"),
    (r"\b(?:quadruple)\b", "upscale:4"),
    (
        r"\b(?:up-?scal\w*|enlarge|super[- ]?resolution|(?:higher|increase (?:the )?|improve (?:the )?|"
        r"double (?:the )?)\s*(?:resolution|size))\b",
        "upscale:2",
    ),
    (r"\bzoom\w*\s+in\b", "zoom"),
    (
        r"\b(?:blur\w*|defocus\w*|out of focus)\b.*\b(?:background|backdrop|behind|surroundings|edges)\b|"
        r"\b(?:background|backdrop)\b.*\bblur\w*\b|\bbokeh\b|\bportrait mode\b|\bshallow depth of field\b",
        "blur background",
    ),
    (r"\b(?:blur\w*|out of focus|softer focus)\b", "blur"),
    (r"\b(?:sharp\w*|crisp\w*|unsharp)\b", "sharpen"),
    (r"\b(?:de-?nois\w*|smooth\w*|remove (?:the )?(?:noise|grain))\b", "smooth"),
    (r"\bvignette\b", "vignette"),
    (r"\b(?:border|frame)\b", "border"),
    (r"\b(?:invert\w*|negative)\b", "invert"),
    (
        r"\b(?:black[- ](?:and|&)[- ]white|gr[ea]yscale|monochrome|remove (?:the |all )?colou?rs?|b\s?&\s?w|no colou?rs?)\b",
        "grey",
    ),
    (r"\b(?:warm\w*)\b", "warmer"),
    (r"\b(?:cool|cooler|colder|cold)\b", "cooler"),
    (r"\b(?:dark\w*|dim\w*|less bright|under-?expos\w*)\b(?!\s+(?:blue|green|red|brown|gr[ea]y|purple))", "darker"),
    (r"\b(?:bright\w*|light(?:er|en)\w*|more exposure|less dark)\b(?!\s+(?:blue|green))", "brighter"),
    (
        r"\b(?:more|higher|increase\w*|add|boost\w*|stronger|raise)\b[\w ]*\bcontrast\b|\bpunch\w*\b|\bcontrasty\b",
        "more contrast",
    ),
    (r"\b(?:less|lower|reduce\w*|decrease\w*|softer)\b[\w ]*\bcontrast\b|\bmatte\b|\bfaded\b", "less contrast"),
    (
        r"\b(?:more|increase\w*|boost\w*|higher)\b[\w ]*\b(?:saturat\w*|colou?rful|colou?rs?|vibran\w*|"
        r"vivid)\b|\b(?:vivid|vibrant|saturated|colou?rful)\b",
        "more colour",
    ),
    (
        r"\b(?:less|reduce\w*|decrease\w*|lower)\b[\w ]*\b(?:saturat\w*|colou?rful|colou?rs?|"
        r"vibran\w*)\b|\bdesaturat\w*\b|\bmuted\b",
        "less colour",
    ),
    (r"\b(?:grain|grainy|film grain)\b", "grain"),
    (r"\b(?:glow\w*|bloom|dreamy)\b", "glow"),
    (r"\bpixelat\w*\b", "style:pixel"),
    (r"\blow[- ]?poly\b", "style:stained-glass"),
    (r"\bgolden hour\b|\bgolden light\b", "time:sunset"),
    (r"\b(?:transparent background|cut out the background)\b", "cutout"),
)
_COMPILED = tuple((re.compile(pattern), step) for pattern, step in _PATTERNS)


def by_phrase(clause: str, amount: float) -> tuple[list[Step], str]:
    """The steps that fixed phrases name, and the clause without these phrases."""
    found: list[Step] = []
    rest = clause
    for pattern, step in _COMPILED:
        match = pattern.search(rest)
        if not match or (
            step.startswith(("darker", "brighter"))
            and re.search(r"\b(?:dark|bright|light) ?(?:forest|room|sky)\b", rest)
        ):
            continue
        kind, _, value = step.partition(":")
        if not value and match.groups():
            value = match[1].replace(" ", "").replace("×", "x")
        if kind == "border":
            value = next((name for name in colors() if re.search(rf"\b{name}\b", clause)), "white")
        found.append(Step(kind, value, amount))
        rest = rest[: match.start()] + f" {passed_over(pattern, match[0])} " + rest[match.end() :]
    return found, rest
