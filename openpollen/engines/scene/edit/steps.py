"""What an instruction asks for: a list of steps this engine can do, or the reason why it cannot."""

from __future__ import annotations

import re
from dataclasses import replace

from openpollen.core.errors import UnprocessableEntity

from ..denial import denial_of
from ..lexicon import colors
from ..match import default_matcher
from ..plan import make_plan
from ..reading import Piece, read
from ..staging import could_not_letter
from ..types import Plan
from ..wording import SAYING, fitting
from .clauses import additions, clauses_of, marked, spoken, unquoted
from .phrases import by_phrase
from .related import SAYS, related
from .step import Step
from .unused import judge, leftover, means_nothing

MAX_TITLE = 400  # characters lettered over a picture
CAN = (
    "It can restyle (oil, watercolor, pixel art, sketch, neon, vintage, noir, comic, pastel, clay, stained glass), "
    "relight (night, sunset, dawn, fog, snow, rain), grade colours, add things it can draw, add text in quotes, "
    "blur, sharpen, upscale, crop, rotate and flip."
)


_OF_THE_SKY = frozenset({"stars", "moon", "sun", "lightning"})  # what relighting draws and can leave out
_BEFORE_ADDITIONS = frozenset({"blur background", "background", "cutout"})
_REMOVE = re.compile(r"\b(?:remove|erase|delete|get rid of|take (?:out|away)|cut out|clean up|wipe)\b")
_REPLACE = re.compile(r"\b(?:replace|swap|substitute|exchange)\b|\bchange the background\b|\bnew background\b")
_INTO = re.compile(
    r"\b(?:turn|change|transform|make|convert)\s+(?:the|this|that|his|her|its)\s+(?P<what>[\w' -]+?)\s+(?:in)?to\s+(?P<to>.+)"
)
_THERE = re.compile(
    r"\b(?:next to|beside|near|by|behind|in front of|on top of|on|above|over|under|below|to|beneath|"
    r"with|at|along|around|between)\s+"
    r"(?:the|this|that|his|her|its|their|it|him|them)\b.*$"
)
_WHOLE = re.compile(
    r"^(?:whole |entire |full )?(?:image|picture|photo|photograph|scene|drawing|painting|thing|it|"
    r"sky|everything|colou?rs?|time|weather|style|lighting|mood|light)s?$"
)
_ADD = re.compile(
    r"\b(?:add|insert|include|put|place|draw|paint in|give (?:it|him|her|them|me))\b\s*(?:in\s+)?(?P<what>.*)"
)
_TEXT = re.compile(r"\b(?:text|words?|caption|title|writing|written|write|label|says?|saying|letters)\b")
_PLACES = (
    ("left", r"\b(?:on|to|at|in)?\s*(?:the\s+)?(?:far\s+)?left(?:[- ]hand)?(?:\s+(?:side|part|half|corner|edge))?\b"),
    ("right", r"\b(?:on|to|at|in)?\s*(?:the\s+)?(?:far\s+)?right(?:[- ]hand)?(?:\s+(?:side|part|half|corner|edge))?\b"),
    ("sky", r"\b(?:in|into|to|across|up in)\s+the\s+(?:sky|air)\b|\b(?:at|to|near|on|in)\s+the\s+top\b|\boverhead\b"),
    ("front", r"\bin\s+the\s+foreground\b|\b(?:at|to|near|on|in)\s+the\s+bottom\b|\bin front\b"),
    ("back", r"\bin\s+the\s+(?:background|distance)\b"),
    ("centre", r"\b(?:in|at|on)\s+the\s+(?:centre|center|middle)\b"),
)
_HAS_PLACE = re.compile("|".join(pattern for _, pattern in _PLACES) + "|" + _THERE.pattern)
_IMPERATIVE = re.compile(
    r"^(?:please |also |and |then )*(?:make|turn|change|give|let|have|add|put|draw|paint|colou?r|move|open|close|shrink|"
    r"grow|enlarge|raise|lower|set|fix|repair|show|dress|undress|cover|fill|extend|expand|outpaint)\b"
)
_RESHAPED = re.compile(r"\b(?:make|turn|change|transform|convert|move|dress)\s+(?!it\b|a\b|an\b)")
_SLIGHT = re.compile(r"\b(?:slightly|a (?:little|bit)|somewhat|subtl[ey]|gently|a touch)\b")
_STRONG = re.compile(r"\b(?:much|very|a lot|strongly|far|way|extremely|really|heavily|super|more and more)\b")
_THING = (
    r"(?:it|this|that|everything|all|(?:the |this |my )?(?:whole |entire )?(?:image|picture|photo|"
    r"photograph|scene|colou?rs?|thing|shot))"
)

_COMBINE = re.compile(
    r"\b(?:collage|side[- ]by[- ]side|next to each other|combine|merge|join|grid|stack|montage|"
    r"together|diptych|above each other|before and after)\b"
)
_BLEND = re.compile(r"\b(?:blend|double exposure|overlay|mix|superimpose|cross-?fade)\b")
_STICK = re.compile(
    r"\b(?:put|place|add|paste|insert)\b.*\b(?:second|other|2nd|sticker|logo|first)\b|\bfrom the (?:second|other)\b"
)


def steps_of(prompt: str, images: int, masked: bool = False) -> tuple[list[Step], list[str]]:
    """The steps an instruction asks for, and sentences on its words that no step uses.

    UnprocessableEntity says what it does not know how to do.
    """
    if not prompt.strip():
        raise UnprocessableEntity(f"The instruction is empty. {CAN}", reason="nothing_to_do")
    clauses, said = clauses_of(prompt)
    joining = _combining(" ; ".join(unquoted(c.text) for c in clauses)) if images > 1 else []
    steps, told, unclear = list(joining), list[str](), list[str]()
    for clause in clauses:
        text = _COMBINE.sub(" ", clause.text) if joining else clause.text
        found, notes, wish = _read_clause(text.strip(), said, bool(joining), masked)
        steps += found
        told += notes
        unclear += [wish] if wish else []
    denied = [what for clause in clauses for what in clause.denied]
    without = [what for clause in clauses for what in clause.without]
    if denied or without:
        steps, notes = denying(steps, denied, without)
        told += notes
    if not steps or any(_IMPERATIVE.search(wish) for wish in unclear):
        raise _why_not(prompt, unclear, denied + without, said)
    first = [step for step in steps if step.kind in _BEFORE_ADDITIONS]
    if first and any(step.kind == "add" for step in steps):  # the background is what is there before anything is added
        steps = first + [step for step in steps if step not in first]
    steps.sort(key=lambda step: step.kind == "text")  # last, so that no change of light makes the letters dim
    return steps, told + [f"not used: {wish}" for wish in unclear]


def _why_not(prompt: str, unclear: list[str], denied: list[str], said: list[str]) -> UnprocessableEntity:
    if denied and not unclear:
        only = ", ".join(f"“{spoken(what, said)}”" for what in denied[:4])
        return UnprocessableEntity(
            f"The instruction tells only what is not wanted ({only}), and that is not done; say what to change as well. {CAN}",
            reason="only_denied",
        )
    wish = "; ".join(spoken(text, said) for text in unclear) or prompt.strip()[:200]
    return UnprocessableEntity(
        f"The scene engine does not know how to do this to a picture: {wish!r}. {CAN}", reason="cannot_edit"
    )


def _read_clause(text: str, said: list[str], joins: bool, masked: bool) -> tuple[list[Step], list[str], str]:
    """The steps of one clause, what to tell of its other words, and the clause itself when it is not understood."""
    told: list[str] = []
    steps: list[Step] = []
    lettered: set[int] = set()
    for part in additions(text, _HAS_PLACE) or [text]:
        found, rest = _clause_steps(part, said) if len(part) > 1 else ([], "")
        # "put them side by side": with images to join, "put" is no wish for a drawing
        found = [s for s in found if s.kind != "add"] if joins else found
        lettered |= set(marked(part)) if any(s.kind == "add" for s in found) else set()
        written = [said[n] for n in marked(part) if n not in lettered]
        bare = " ".join(SAYS.sub(" ", unquoted(part)).split()) if marked(part) else part
        if found or joins or (written and not _RESHAPED.search(bare)):
            told += _told(bare, SAYS.sub(" ", unquoted(rest)) if marked(rest) else rest, found, joins, masked)
        elif not means_nothing(bare):
            return steps, told, bare
        for step in found:
            over_it = default_plan(step.value).text if step.kind == "add" else ""
            written += [over_it] if over_it else []
        if written:
            words, lost = _words(" ".join(written), MAX_TITLE)
            told += lost
            found = [*found, Step("text", words, place=_place(bare))]
        steps += found
    return steps, told, ""


def _words(said: str, most: int) -> tuple[str, list[str]]:
    """What of the words in quotes is lettered, and what to tell of the rest."""
    words, lost = fitting(said, most)
    if said and not words:
        raise UnprocessableEntity(
            f"The scene engine has no letters for {said[:60]!r}. Its fonts have Latin, Greek, Cyrillic, Arabic, Hebrew, "
            "Chinese, Japanese and Korean.",
            reason="cannot_letter",
        )
    return words, [could_not_letter(lost)] if lost else []


def _told(clause: str, rest: str, found: list[Step], joins: bool, masked: bool) -> list[str]:
    """What to tell of the words of a clause that its steps leave over; UnprocessableEntity when they ask for more."""
    joining = ("add", "combine") if joins else ()
    kinds = frozenset([*(step.kind for step in found), *joining]) or frozenset(["text"])
    used = {step.value for step in found}
    for step in found:
        if step.kind in ("add", "background"):
            plan = default_plan(step.value)
            used |= {other.value for other in scenery_of(step.value)} | set(plan.unknown)
            drawn = SAYING.union(*(s.noun.split() for s in plan.subjects))
            used |= drawn if step.kind == "add" else {plan.setting, plan.time, plan.weather}
    if kinds & {"add", "text"}:
        for _, pattern in _PLACES:
            rest = re.sub(pattern, " ", rest)
    return judge(leftover(rest, kinds, frozenset(used)), kinds, masked)


def _combining(bare: str) -> list[Step]:
    if _BLEND.search(bare):
        return [Step("combine", "blend")]
    if _STICK.search(bare):
        return [Step("combine", "sticker", place=_place(bare))]
    if _COMBINE.search(bare):
        tall = re.search(r"\b(?:stack|above each other|vertical\w*)\b", bare)
        return [Step("combine", "column" if tall else "row")]
    return []


def _clause_steps(clause: str, said: list[str]) -> tuple[list[Step], str]:
    """The steps of one clause, and the clause without the commands that became steps."""
    amount = 0.5 if _SLIGHT.search(clause) else 1.6 if _STRONG.search(clause) else 1.0
    to = related(clause, said)
    if to is not None:
        return [Step("add", spoken(to.what, said), relation=to.relation, target=to.who)], to.rest
    found, rest = by_phrase(clause, amount)
    if any(step.kind in ("cutout", "smooth", "grey") for step in found):
        return found, rest
    _refuse(clause)
    added = _ADD.search(rest)
    if added and (not found or default_plan(added["what"]).subjects):
        things = [replace(s, value=spoken(s.value, said)) for s in _adding(added["what"].strip())]
        if things:
            return [*found, *(s for s in scenery_of(clause) if s.kind in ("style", "time")), *things], rest
        if not found:
            return [], rest
    tint = _tint(rest)
    if tint:
        return [*found, Step("tint", tint, amount)], rest
    scenery = scenery_of(clause)
    known = {(s.kind, s.value) for s in found}
    if any(s.kind == "style" for s in scenery):  # "dark oil painting" is one wish, not two
        return [*(s for s in found if s.kind in ("rotate", "flip", "upscale", "crop", "resize")), *scenery], rest
    return found + [s for s in scenery if (s.kind, s.value) not in known], rest


def _refuse(clause: str) -> None:
    """Raise for what would need to know what is where in the picture."""
    if _REPLACE.search(clause) and "background" in clause:
        return
    if _REMOVE.search(clause):
        if "background" in clause:
            return
        raise UnprocessableEntity(
            "The scene engine cannot remove things from a picture: it does not know what lies behind them. "
            "Crop them away, or choose an image model that edits by itself.",
            reason="cannot_remove",
        )
    if _REPLACE.search(clause):
        raise UnprocessableEntity(
            "The scene engine cannot replace things in a picture. It can add a new thing (“add a dog on the left”), "
            "restyle or relight the whole picture, or fill a masked background (“replace the background with a beach”).",
            reason="cannot_replace",
        )
    into = _INTO.search(clause)
    if into and not _WHOLE.match(into["what"].strip()) and not scenery_of(into["to"]):
        raise UnprocessableEntity(
            f"The scene engine cannot change {into['what'].strip()!r} into something else. {CAN}",
            reason="cannot_change_object",
        )


def default_plan(what: str) -> Plan:
    """What can be drawn of the things named in a phrase."""
    return make_plan(what, "", default_matcher())[0]


def _place(text: str) -> str:
    return next((name for name, pattern in _PLACES if re.search(pattern, text)), "")


def _adding(what: str) -> list[Step]:
    if _TEXT.search(SAYS.sub(" ", unquoted(what))) or not unquoted(what).strip():
        return []
    parts = re.split(r"\band\b|,", what) if len([1 for _, p in _PLACES if re.search(p, what)]) > 1 else [what]
    out: list[Step] = []
    for part in parts:
        place = _place(part)
        bare = part
        for _, pattern in _PLACES:
            bare = re.sub(pattern, " ", bare)
        bare = re.sub(r"\b(?:to|in|into|on) (?:it|this|the (?:image|picture|photo|scene))\b", " ", bare)
        over_it = re.search(r"\b(?:above|over)\s+(?:the|it|this|him|her)\b", bare)
        bare = _THERE.sub(" ", bare)  # what is already in the picture must not be drawn a second time
        place = place or ("sky" if over_it else "")
        out.append(Step("add", bare.strip(), place=place))
    return [s for s in out if s.value]


def _tint(clause: str) -> str:
    names = "|".join(sorted((re.escape(n) for n in colors()), key=len, reverse=True))
    match = (
        re.search(rf"\b(?:tint|tone|wash|colou?ri[sz]e|colou?r)\w*\b.*?\b({names})\b", clause)
        or re.search(rf"\b(?:make|turn|paint)\s+{_THING}\s+(?:look\s+)?(?:more\s+)?({names})\b", clause)
        or re.search(rf"\b({names})\s+(?:tint|tone|hue|cast|wash|filter|light)\b", clause)
    )
    return match[1] if match else ""


def scenery_of(clause: str) -> list[Step]:
    """Styles, times of day, weather and shows named in a clause, in any language the word lists know."""
    background = re.search(r"\bbackground\b", clause) and (
        _REPLACE.search(clause) or _REMOVE.search(clause) or "different" in clause
    )
    if background:
        to = re.search(r"\b(?:with|by|to|into|for)\b\s+(?P<to>.+)", clause)
        return [Step("background", to["to"])] if to else [Step("cutout")]
    out: list[Step] = []
    for piece in read(clause).pieces:
        for meaning in piece.meanings[:3]:
            if meaning.kind in ("style", "time", "weather") and meaning.value != "clear":
                out.append(Step(meaning.kind, meaning.value))
            elif meaning.kind == "extra" and meaning.value in SHOWS:
                out.append(Step("show", meaning.value))
            elif meaning.kind == "setting" and meaning.value == "snow":
                out.append(Step("weather", "snow"))
    first: dict[str, Step] = {}
    for step in out:
        first.setdefault(step.kind, step)
    if "time" in first and first.get("show") and first["show"].value == "stars":
        del first["show"]
    return list(first.values())


def denying(steps: list[Step], denied: list[str], without: list[str]) -> tuple[list[Step], list[str]]:
    """The steps with what they are to leave out of what they draw, and what to tell of what is none of theirs."""
    gone = frozenset[str]().union(*(denial_of(piece, None) for piece in _pieces_of(denied + without)))
    drawn = _OF_THE_SKY if any(s.kind in ("time", "weather", "show") for s in steps) else frozenset[str]()
    idle = [p.text for p in _pieces_of(without) if _is_thing(p) and not denial_of(p, None) & drawn]
    told = ["nothing was taken out of the picture: " + ", ".join(dict.fromkeys(idle))] if idle else []
    return [replace(step, denied=gone) for step in steps], told


def _pieces_of(phrases: list[str]) -> list[Piece]:
    return [piece for phrase in phrases for piece in read(phrase).pieces if not means_nothing(piece.text)]


def _is_thing(piece: Piece) -> bool:
    return piece.kind == "unknown" or any(piece.of(kind) for kind in ("noun", "extra", "expansion"))


SHOWS = frozenset(
    {"rainbow", "fireworks", "aurora", "stars", "lightning", "snowfall", "lanterns", "petals", "fireflies"}
)
