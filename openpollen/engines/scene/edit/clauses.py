"""An instruction cut into clauses: one wish each, what it denies apart, the things of a list each with its place."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..reading import quoted, quotes_replaced

_ENDS = re.compile(r"[.;\n!]+")
_CLAUSES = re.compile(
    r",\s*(?:and\s+|then\s+)?|\bbut\s+(?=(?:please\s+)?(?:do not|don't|dont|never|keep|leave|make)\b)|\b(?:and\s+)?then\b|"
    r"\band\s+(?=(?:please\s+)?(?:also\s+)?(?:make|turn|add|put|insert|place|"
    r"rotate|flip|mirror|crop|resize|upscale|enlarge|blur|sharpen|invert|tint|give|apply|convert|"
    r"darken|brighten|lighten|change|set|remove|do not|don't|"
    r"replace|more|less|warmer|cooler|darker|brighter|increase|decrease|reduce|write)\b)"
)
_LETTERING = r"(?:words?|text|caption|title|lettering|letters|label|slogan|writing)"
_MARK = re.compile(r"\bquote(\d+)quote\b")
_TITLED = re.compile(
    rf"(?:,|\band\b|\bplus\b)\s*(?:also\s+)?(?:with\s+)?(?:the\s+|a\s+)?{_LETTERING}\s*:?\s*(?:that (?:says|reads)\s+|"
    r"saying\s+|reading\s+)?(?=quote\d+quote)"
)
_CARRYING = re.compile(rf"\bwith\s+(?:the\s+|a\s+)?{_LETTERING}\s*:?\s*(?=quote\d+quote)")
_COUNTS = r"an?|another|some|one|two|three|four|five|six|seven|eight|nine|ten|\d+|several|many|more|few"
_TEXT_FIRST = re.compile(
    rf"\b(add|put|insert|place|include)\s+(?:the\s+|a\s+)?{_LETTERING}\s*:?\s*(quote\d+quote)\s*(?:,\s*and\b|,|\band\b)\s*"
    rf"(?=(?:{_COUNTS})\s)"
)
_LISTED = re.compile(rf"^(?:also\s+)?(?:(?:{_COUNTS})\b|quote\d+quote)")
_NEXT = re.compile(rf"\s*(?:,\s*(?:and\s+)?|\band\s+)(?=(?:also\s+)?(?:{_COUNTS})\s+)")
_ADDING = re.compile(r"^(?:please\s+)?(?:also\s+)?(?:add|insert|include|put|place|draw)\s+(?:in\s+)?(?=\S)")
_DENYING = re.compile(
    r"^(?:please\s+|but\s+|and\s+|just\s+)*(?:do\s+not|don't|dont|never|avoid|without|no\s+need\s+to|not)\b\s*"
    r"(?P<what>.*?)(?:\s*\b(?:but|just|only|instead|rather)\b\s*(?P<rest>.*))?$"
)
_WITHOUT = re.compile(
    r"\s*\b(?:but\s+)?(?:without|with\s+no|but\s+no|but\s+not|and\s+no|minus|^no)\s+(?:any\s+|the\s+|an?\s+)?"
    r"(?!colou?rs?\b|background\b|saturation\b|noise\b|grain\b)(?P<what>[\w' -]+?)(?=$|\s+but\b|\s+and\s+\w+\s+(?:it|the)\b)"
)


@dataclass(frozen=True)
class Clause:
    """A wish in lower case without quotation marks; what is not to be done, and what the picture is to be without.
    `quote0quote` stands for the first words in quotes."""

    text: str
    denied: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


def clauses_of(prompt: str) -> tuple[list[Clause], list[str]]:
    """The clauses of an instruction, and the words in quotes."""
    said: list[str] = []

    def keep(words: str) -> str:
        said.append(words)
        return f" quote{len(said) - 1}quote "

    prompt = re.sub(r"(?i)quote(?=\d+quote\b)", "quote ", prompt)  # nobody's own words are taken for a mark
    bare = " ".join(quotes_replaced(quoted(prompt), keep).replace("’", "'").lower().split(" "))
    bare = _TEXT_FIRST.sub(r"write \2 ; \1 ", bare)
    bare = _CARRYING.sub("saying ", _TITLED.sub(" ; write ", bare))
    out: list[Clause] = []
    for sentence in _ENDS.split(bare):
        out += [_without_denials(text) for text in _rejoined(sentence)]
    return out, said


def marked(text: str) -> list[int]:
    """Which of the words in quotes a text speaks of."""
    return [int(number) for number in _MARK.findall(text)]


def spoken(text: str, said: list[str]) -> str:
    """A text with the words in quotes in their places."""
    return _MARK.sub(lambda m: f"“{said[int(m[1])]}”", text)


def unquoted(text: str) -> str:
    """A text without the words in quotes."""
    return _MARK.sub(" ", text)


def _rejoined(sentence: str) -> list[str]:
    """The clauses of a sentence; what goes on with a list of things to add stays with it."""
    out: list[str] = []
    for part in (" ".join(c.split()) for c in _CLAUSES.split(sentence)):
        if out and _LISTED.match(part) and _ADDING.match(out[-1]):
            out[-1] = f"{out[-1]}, {part}"
        elif part:
            out.append(part)
    return out


def _without_denials(text: str) -> Clause:
    """A clause without what it does not want. What is added says itself what it is without: "a house without windows"."""
    denying = _DENYING.match(text)
    if denying:
        return Clause((denying["rest"] or "").strip(), tuple(filter(None, [denying["what"].strip()])))
    if _ADDING.match(text):
        return Clause(text)
    named = [m["what"].strip() for m in _WITHOUT.finditer(text)]
    deeds = tuple(what for what in named if what.split(" ")[0].endswith("ing"))  # "without blurring the cat"
    without = tuple(what for what in named if what not in deeds)
    return Clause(" ".join(_WITHOUT.sub(" ", text).split()), deeds, without)


def additions(text: str, has_place: re.Pattern[str]) -> list[str]:
    """The clauses "add ..." that a clause with a list of things in several places stands for; [] when it is no such list.

    A place is that of the things before it: "add a cat and a dog on the left and two birds in the sky".
    """
    verb = _ADDING.match(text)
    if not verb:
        return []
    groups: list[str] = []
    waiting: list[str] = []
    for item in _NEXT.split(text[verb.end() :]):
        waiting.append(item)
        if has_place.search(item):
            groups.append(" and ".join(waiting))
            waiting = []
    if not groups or (len(groups) == 1 and not waiting):
        return []
    return [f"add {group}" for group in [*groups, *([" and ".join(waiting)] if waiting else [])]]
