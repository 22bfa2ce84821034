"""Places and their parts as a prompt names them: which one is painted, in which colours, and what of them is not shown."""

from __future__ import annotations

from collections.abc import Iterable

from .atmosphere import OVERCAST
from .draft import Draft, Place
from .reading import Piece
from .types import Part, Plan, Tint

_SKY_WORDS = frozenset({"sky", "skies", "blue sky", "clouds"})
_CLOUDS = frozenset({"cloud", "clouds"})
#: Settings whose painters lay snow on the ground and on trees.
SNOWED = frozenset({"city", "forest", "jungle", "mountain", "meadow", "farm", "desert", "beach", "sea"})
_AIRLESS = frozenset({"space", "underwater", "stage", "plain"})  # no weather is seen here, and no hour
_SEASONAL = frozenset({"meadow", "forest", "farm", "city", "mountain"})
_SEASONS = frozenset({"autumn", "spring"})
_WITH = {"storm": {"rain", "wind"}, "rain": {"cloudy"}, "snow": {"cloudy", "wind"}, "fog": {"cloudy"}}
_UNDER_SKY = frozenset({"sea", "beach", "city", "desert", "mountain", "snow", "meadow", "sky", "farm"})
_WITH_GROUND = frozenset({"beach", "city", "desert", "mountain", "snow", "meadow", "farm", "forest", "jungle"})
_WITH_LAKE = frozenset({"meadow", "mountain", "desert", "snow", "sea"})
_LAKE = frozenset({"lake", "river"})
#: Setting that is painted -> settings that can be seen in it as well.
_SEEN_IN: dict[str, frozenset[str]] = {
    **dict.fromkeys(_UNDER_SKY, frozenset({"sky"})),
    "beach": frozenset({"sky", "sea"}),
    "snow": frozenset({"sky", "mountain"}),
    "desert": frozenset({"sky", "mountain"}),
    "farm": frozenset({"sky", "meadow"}),
    "jungle": frozenset({"forest"}),
}
_PART_OF_SETTING: dict[str, Part] = {
    "sea": "water",
    "sky": "sky",
    **dict.fromkeys(("beach", "desert", "mountain", "snow", "meadow", "farm"), "ground"),
}
_ROADS = frozenset({"street", "city street", "road", "highway", "avenue", "alley", "sidewalk"})


def place_of(piece: Piece, tint: Tint | None) -> Place:
    """A piece of scenery as a place, or as a part of one."""
    setting = piece.of("setting")
    flag = piece.of("flag")
    part: Part | None = "sun" if flag == "sun" else "moon" if flag == "moon" else _PART_OF_SETTING.get(setting)
    part = part or ("sky" if piece.of("time") else None)
    if piece.text in _CLOUDS:
        part = "clouds"
    if piece.text in _ROADS:
        part = "ground"
    extras = frozenset(m.value for m in piece.meanings if m.kind == "extra")
    return Place(piece.text, setting, extras, part, tint)


def main_setting(settings: Iterable[str], places: Iterable[Place]) -> str | None:
    """The setting that is painted: the first that was named, but a sky over another place and snow that lies on one are no
    places of their own."""
    named = list(dict.fromkeys(settings))
    skies = [place for place in places if place.setting == "sky"]
    lake = any(place.extras & _LAKE for place in places)
    if "snow" in named and any(s in SNOWED and not (s == "sea" and lake) for s in named):
        named.remove("snow")
    if named[:1] == ["sky"] and len(named) > 1 and all(place.word in _SKY_WORDS for place in skies):
        named = named[1:]
    return named[0] if named else None


def washes_of(places: Iterable[Place], plan: Plan) -> tuple[tuple[Part, Tint], ...]:
    """The parts of a plan's backdrop that are painted in a colour that was asked for."""
    return tuple(
        (place.part, place.tint)
        for place in places
        if place.tint is not None and place.part is not None and _is_seen(place, plan)
    )


def tell_places(draft: Draft, plan: Plan) -> None:
    """Note the places of a plan that are not painted, and the colours that nothing takes."""
    for place in draft.places:
        if not _is_shown(place, plan) and place.setting not in draft.denied:
            draft.unplaced.append(f"{place.tint.name} {place.word}" if place.tint else place.word)
        elif place.tint is not None and not _is_painted(place, place.tint, plan):
            draft.uncolored.append(f"{place.tint.name} {place.word}")
    _tell_air(draft, plan)
    if plan.setting != "plain" and not plan.text:
        draft.uncolored += [tint.name for tint in draft.loose]


def _tell_air(draft: Draft, plan: Plan) -> None:
    """Note the weather, hour and season that are not painted: a second one, and those that a place has not."""
    shown = {plan.weather, plan.time, *_WITH.get(plan.weather, ())} if plan.setting not in _AIRLESS else set[str]()
    shown |= {"snow"} if plan.snowy or plan.setting == "snow" else set()
    shown |= plan.extra & _SEASONS if plan.setting in _SEASONAL else set()
    shown |= {"spring"} if "petals" in plan.extra and plan.setting not in _AIRLESS else set()
    for meaning in draft.scenery:
        air = meaning.kind == "weather" and meaning.value != "clear"
        hour = meaning.kind == "time" and meaning.value != "day" and plan.setting not in _AIRLESS
        season = meaning.kind == "extra" and meaning.value in _SEASONS
        if (air or hour or season) and meaning.value not in shown and meaning.value not in draft.denied:
            draft.undone.append(meaning.value)


def _is_shown(place: Place, plan: Plan) -> bool:
    setting = place.setting
    return (
        setting in ("", plan.setting, "plain")
        or setting in _SEEN_IN.get(plan.setting, ())
        or (setting == "snow" and plan.snowy and "ice" not in place.extras)
        or (bool(place.extras & _LAKE) and plan.setting in _WITH_LAKE)
    )


def _is_painted(place: Place, tint: Tint, plan: Plan) -> bool:
    green = tint.name.endswith("green") and place.setting in ("forest", "jungle")
    return green or plan.setting == "plain" or (place.part, tint) in plan.washes


def _is_seen(place: Place, plan: Plan) -> bool:
    """Whether a coloured part is seen in the plan's backdrop."""
    clear_sky = plan.setting in _UNDER_SKY and OVERCAST[plan.weather] < 0.5
    match place.part:
        case "sky":
            return plan.setting in _UNDER_SKY
        case "clouds":
            return plan.setting in _UNDER_SKY and OVERCAST[plan.weather] < 0.6
        case "sun":
            return clear_sky and plan.time in ("day", "dawn", "sunset")
        case "moon":
            return clear_sky and plan.time in ("dusk", "night")
        case "water":
            return plan.setting in ("sea", "beach") or (bool(place.extras & _LAKE) and plan.setting in _WITH_LAKE)
        case _:
            return plan.setting in _WITH_GROUND and place.setting == plan.setting
