"""Instructions that put one thing to another: "put a hat on the cat", "give him glasses", "add a dog next to the house"."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..match import default_matcher
from ..plan import make_plan
from ..reading import read
from .attach import wearable
from .clauses import spoken
from .known import PRONOUNS

_POINTED = r"(?:the|this|that|these|those|his|her|its|their|my|your)\s+[\w' -]+?"
_WHO = rf"(?P<who>{_POINTED}|it|him|her|them)"
_PUT = re.compile(
    rf"^(?:please\s+)?(?:also\s+)?(?:put|place|add|set|draw|stick|insert)\s+(?P<what>.+?)\s+(?P<how>on top of|onto|on|over|"
    rf"above|next to|close to|beside|near|by|in front of|under|below|beneath|to|around)\s+{_WHO}$"
)
_GIVE = re.compile(rf"^(?:please\s+)?(?:also\s+)?give\s+{_WHO}\s+(?P<what>(?:an?|some|two|three|\w+)\s+.+)$")
_WEAR = re.compile(rf"^(?:please\s+)?(?:make|let|have)\s+{_WHO}\s+(?:wear|wearing|put on)\s+(?P<what>.+)$")
_BODY = re.compile(r"(?:'s)?\s+(?:head|face|eyes|neck|ears)$|^(?:his|her|its|their)\s+(?:head|face|eyes|neck|ears)$")
_RELATIONS = {
    **dict.fromkeys(("on top of", "onto", "on"), "on"),
    **dict.fromkeys(("over", "above"), "above"),
    **dict.fromkeys(("next to", "close to", "beside", "near", "by"), "beside"),
    **dict.fromkeys(("under", "below", "beneath"), "under"),
    "in front of": "in_front",
}
SAYS = re.compile(
    r"\b(?:that |which )?(?:says?|saying|reads?|reading|with (?:the )?(?:words?|text|title|letters|lettering))"
    r"(?=\s*$|\s+(?:on|in|at|to|and|or)\b)",
    re.M,
)


@dataclass(frozen=True)
class Related:
    """`what` is to go to `who` in a relation ("wear" for hats); `rest` is the clause without where it goes."""

    what: str
    relation: str
    who: str
    rest: str


def related(clause: str, said: list[str]) -> Related | None:
    """The one thing a clause wants put to another, when it says no more than that."""
    clause = clause.strip()
    found = _PUT.match(clause) or _GIVE.match(clause) or _WEAR.match(clause)
    if not found:
        return None
    how = found.groupdict().get("how")
    who = _BODY.sub("", found["who"]) or "it"
    worn = wearable(found["what"])
    if not (PRONOUNS & set(who.split()) if worn else False) and not _names_something(who):
        return None
    if worn:
        return Related(found["what"], "wear", who, f"add {found['what']}")
    drawn = make_plan(spoken(found["what"], said), "", default_matcher())[0].subjects
    if how is None or how not in _RELATIONS or not drawn:
        return None
    return Related(found["what"], _RELATIONS[how], who, f"add {found['what']}")


def _names_something(who: str) -> bool:
    return any(piece.of("noun") for piece in read(who).pieces)
