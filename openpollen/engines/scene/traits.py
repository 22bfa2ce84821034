"""What each subject is by nature: how big, and whether it stands, flies, swims or floats."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Literal, TypeVar

from .icons import icons
from .types import Rgb, Subject

V = TypeVar("V")
TINY, SMALL, BIG, GIANT = 0.45, 0.68, 1.35, 1.9  # what words of size make of a subject
Habit = Literal["stands", "flies", "swims", "floats", "hangs"]


@dataclass(frozen=True)
class Trait:
    """`size` is about 1 for a grown person; `home` is the setting a subject suggests by itself, "" for none."""

    size: float = 0.55
    habit: Habit = "stands"
    home: str = ""
    glow: Rgb | None = None


WEARABLE = frozenset(
    [
        "top-hat", "womans-hat", "party-hat", "witch-hat", "billed-cap", "crown", "glasses", "sunglasses",
        "scarf", "graduation-cap", "goggles", "rescue-workers-helmet", "military-helmet", "headphone",
    ]
)  # fmt: skip
HANDHELD = frozenset(
    ["umbrella", "balloon", "lantern", "red-paper-lantern", "magic-wand", "bouquet", "dagger", "sparkler", "flashlight",
     "briefcase", "kite", "guitar", "violin", "microphone", "camera", "rose", "wrapped-gift", "paintbrush"]
)  # fmt: skip
# where the rim of an open container is, as a fraction of its height from the top
CONTAINERS = {
    "basket": 0.37,
    "bowl-with-spoon": 0.4,
    "box": 0.2,
    "bucket": 0.08,
    "bathtub": 0.45,
    "wastebasket": 0.1,
    "hot-beverage": 0.5,
    "teacup-without-handle": 0.3,
}
SHALLOW = frozenset({"bowl-with-spoon", "hot-beverage"})  # seen from above: what lies in it hides its back wall
BEARS = {"knight": frozenset({"shield", "dagger"})}  # what a drawing holds already
_ALIVE = ("animal", "person", "face-costume", "monkey-face", "cat-face")
_LIVELY = frozenset({"knight", "samurai", "pirate", "monster", "robot", "snowman", "teddy-bear", "ghost", "genie"})

_GROUPS: dict[str, Trait] = {
    "animal-mammal": Trait(0.85),
    "animal-bird": Trait(0.55),
    "animal-amphibian": Trait(0.45),
    "animal-reptile": Trait(0.7),
    "animal-marine": Trait(0.8, "swims", "underwater"),
    "animal-bug": Trait(0.4),
    "plant-flower": Trait(0.5),
    "plant-other": Trait(0.8),
    "place-building": Trait(2.0),
    "place-religious": Trait(2.1),
    "place-other": Trait(1.6),
    "place-geographic": Trait(2.2),
    "place-map": Trait(1.2),
    "transport-ground": Trait(1.35),
    "transport-water": Trait(1.6, "floats", "sea"),
    "transport-air": Trait(1.3, "flies", "sky"),
    "sky-weather": Trait(0.9, "hangs", "sky"),
    "heart": Trait(0.7, "hangs"),
    "emotion": Trait(0.6, "hangs"),
    "dishware": Trait(0.5, home="room"),
    "drink": Trait(0.34, home="room"),
    "household": Trait(0.7, home="room"),
    "computer": Trait(0.6, home="room"),
    "book-paper": Trait(0.4, home="room"),
    "phone": Trait(0.5, home="room"),
    "musical-instrument": Trait(0.7, home="stage"),
}
_PREFIXES: dict[str, Trait] = {
    "person": Trait(1.0),
    "face": Trait(0.9),
    "food": Trait(0.42, home="kitchen"),
}

# size of single subjects, where the group's would mislead
_SIZES: dict[float, str] = {
    0.22: """
        ant microbe lady-beetle fly mosquito coin key ring button chestnut pill game-die cherries
    """,
    0.3: """
        soccer-ball basketball baseball softball volleyball tennis rugby-football american-football pool-8-ball
        flying-disc yo-yo chess-pawn hourglass-not-done watch old-key pencil pen spoon toothbrush yarn soap
        sponge dagger magic-wand crystal-ball gem-stone alarm-clock mobile-phone telephone glasses sunglasses
        bell
    """,
    0.35: """
        mouse butterfly honeybee beetle cricket spider cockroach worm snail bug frog baby-chick hamster
        hatching-chick candle light-bulb lantern crab starfish dragonfly
    """,
    0.5: """
        teddy-bear backpack guitar rat owl rabbit chipmunk hedgehog bird blackbird dove parrot lizard mushroom
        seedling witch-hat party-hat top-hat
    """,
    0.62: """
        cat black-cat duck rooster chicken raccoon skunk badger otter turtle poodle baby lamp vase box
        jack-o-lantern mug
    """,
    0.72: """
        dog fox rock penguin monkey goose koala beaver eagle child girl boy treasure-chest bush campfire
        sandcastle chair
    """,
    0.95: """
        wolf goat ewe ram pig guide-dog service-dog swan flamingo kangaroo desk couch-and-lamp sofa fence well
        sign bench
    """,
    1.2: """
        table bear polar-bear lion tiger panda gorilla horse donkey cow ox deer moose leopard crocodile unicorn
        zebra throne camel two-hump-camel shelf fireplace telescope monster knight robot samurai pirate
    """,
    1.6: """
        elephant rhinoceros hippopotamus giraffe mammoth bison shark tent neon-sign branch lamp-post locomotive bus fire-engine
        bullet-train water-buffalo tram-car delivery-truck articulated-lorry billboard banner statue-of-liberty
        hut ringed-planet planet
    """,
    1.9: """
        deciduous-tree evergreen-tree palm-tree cherry-tree christmas-tree snowy-tree bare-tree autumn-tree
        dragon t-rex sauropod whale spouting-whale squid house derelict-house barn ship passenger-ship ferry
        hot-air-balloon rocket pyramid bridge cactus galleon
    """,
    2.5: """
        castle japanese-castle tower lighthouse windmill ferris-wheel church roller-coaster tokyo-tower
        circus-tent houses office-building stadium department-store hotel hospital school factory
    """,
    3.2: "mountain mount-fuji snow-capped-mountain volcano",
}
_HABITS: dict[Habit, str] = {
    "flies": """
        bird bat butterfly honeybee eagle dove dragon phoenix-bird parrot person-fairy man-fairy woman-fairy fly
        mosquito dragonfly ghost superhero kite balloon hot-air-balloon comet baby-angel flying-disc
        witch-on-broom rocket mirror-ball parachute satellite flying-saucer aerial-tramway mountain-cableway
        suspension-railway person-in-suit-levitating
    """,
    "hangs": """
        ringed-planet planet globe-showing-americas globe-showing-europe-africa globe-showing-asia-australia
        star glowing-star snowflake musical-note musical-notes speech-balloon thought-balloon bubbles sparkles
        full-moon crescent-moon sun rainbow shooting-star dizzy zzz cloud red-paper-lantern left-speech-bubble
    """,
    "swims": """
        fish tropical-fish blowfish shark dolphin whale spouting-whale octopus squid jellyfish seal
        woman-merpeople man-merpeople person-merpeople
    """,
    "floats": """
        duck swan galleon canoe lotus person-rowing-boat man-rowing-boat woman-rowing-boat ring-buoy
    """,
    "stands": """
        crab lobster shrimp coral starfish spiral-shell oyster anchor airplane-departure airplane-arrival seat
        fuel-pump snowman snowman-without-snow umbrella-on-ground fire umbrella collision droplet
        satellite-antenna
    """,
}
_HOMES: dict[str, str] = {
    "space": """
        astronaut rocket ringed-planet planet alien alien-monster flying-saucer satellite comet milky-way
        man-astronaut woman-astronaut globe-showing-americas full-moon-face
    """,
    "desert": "camel two-hump-camel cactus scorpion pyramid snake cowboy-hat-face lizard",
    "snow": """
        penguin polar-bear snowman snowman-without-snow seal sled skier snowboarder skis ice-skate santa-claus
        mammoth mrs-claus mx-claus
    """,
    "underwater": "coral starfish diving-mask crab lobster",
    "beach": """
        umbrella-on-ground spiral-shell palm-tree sandcastle desert-island person-surfing man-surfing
        woman-surfing bikini coconut beach-with-umbrella
    """,
    "forest": """
        branch fox bear deer wolf owl mushroom hedgehog raccoon badger moose chipmunk evergreen-tree beaver boar
        person-elf man-mage woman-mage camping tent campfire
    """,
    "jungle": """
        monkey gorilla orangutan tiger leopard parrot sloth t-rex sauropod frog crocodile toucan
    """,
    "farm": """
        cow pig ewe ram rooster chicken tractor barn goat horse farmer sheaf-of-rice turkey donkey windmill
    """,
    "city": """
        neon-sign automobile taxi bus motorcycle motor-scooter police-car ambulance fire-engine tram-car robot
        delivery-truck bicycle office-building racing-car lamp-post person-superhero woman-superhero
        man-superhero police-officer billboard skateboard
    """,
    "mountain": """
        eagle goat mount-fuji snow-capped-mountain castle dragon mountain volcano ram llama person-climbing
    """,
    "meadow": "umbrella kite bench",
    "sea": "lighthouse galleon swan duck canoe anchor dolphin whale spouting-whale",
    "sky": "hot-air-balloon kite eagle parachute baby-angel",
    "room": """
        open-book teddy-bear lamp candle vase desk table shelf sofa couch-and-lamp chair bed fireplace rug
        telephone yarn desktop-computer television crystal-ball piano potted-plant
    """,
    "kitchen": "mug cook cooking birthday-cake teapot hot-beverage",
    "stage": """
        singer microphone woman-dancing man-dancing guitar drum mirror-ball saxophone trumpet violin
        performing-arts clown-face studio-microphone musical-keyboard
    """,
}
_GLOWS: dict[Rgb, str] = {
    (
        1.0,
        0.62,
        0.22,
    ): """
        fire campfire candle jack-o-lantern lantern red-paper-lantern diya-lamp fireplace phoenix-bird volcano
    """,
    (
        1.0,
        0.84,
        0.5,
    ): """
        lamp-post lamp light-bulb lighthouse star glowing-star sparkler flashlight crescent-moon full-moon sun
    """,
    (0.5, 0.95, 0.75): "flying-saucer ghost person-fairy man-fairy woman-fairy",
    (0.7, 0.55, 1.0): "crystal-ball magic-wand",
    (1.0, 0.3, 0.66): "neon-sign",
}


def _by_name(source: dict[V, str]) -> dict[str, V]:
    return {name: value for value, names in source.items() for name in names.split()}


_SIZE = _by_name(_SIZES)
_HABIT = _by_name(_HABITS)
_HOME = _by_name(_HOMES)
_GLOW = _by_name(_GLOWS)


@cache
def trait(key: str) -> Trait:
    """The traits of a subject by its id; of an unknown id, those of a middling thing that stands."""
    icon = icons().get(key)
    group = icon.group if icon else ""
    base = _GROUPS.get(group) or _PREFIXES.get(group.split("-")[0]) or Trait()
    return Trait(
        size=_SIZE.get(key, base.size),
        habit=_HABIT.get(key, base.habit),
        home=_HOME.get(key, base.home),
        glow=_GLOW.get(key),
    )


def compared(subject: Subject, other: Subject, *, larger: bool) -> Subject:
    """`subject` clearly larger or smaller than `other`."""
    share = (trait(other.key).size / trait(subject.key).size) ** 0.72 * other.size
    size = max(subject.size, 1.5 * share) if larger else min(subject.size, 0.6 * share)
    return replace(subject, size=min(max(size, 0.08), 6.0))


def clear_sizes(subjects: list[Subject]) -> list[Subject]:
    """Subjects as large as they are called: "a giant mouse" is larger than "a small elephant", and than any plain dog."""
    out = list(subjects)
    for a, large in enumerate(subjects):
        for other in subjects:
            alive = animate(large.key) and animate(other.key)
            if large.size >= BIG and (other.size <= SMALL or (large.size >= GIANT and alive and other.size < BIG)):
                out[a] = compared(out[a], other, larger=True)
            elif large.size <= SMALL and alive and SMALL < other.size < BIG and large.size <= TINY:
                out[a] = compared(out[a], other, larger=False)
    return out


def animate(key: str) -> bool:
    """Whether a subject can do something to another: an animal, a person, a robot."""
    icon = icons().get(key)
    return key in _LIVELY or (icon is not None and icon.group.startswith(_ALIVE))
