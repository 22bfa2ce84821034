"""Whole figures for drawings that are only a face or a bust: a body in the same soft look is put under them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from .icons import body, icons
from .svg import Sketch, darker, hexed, lighter, unhex

# faces whose whole figure is another drawing of the pack
WHOLE = {
    "cat-face": "cat",
    "dog-face": "dog",
    "tiger-face": "tiger",
    "horse-face": "horse",
    "cow-face": "cow",
    "pig-face": "pig",
    "monkey-face": "monkey",
    "mouse-face": "mouse",
    "rabbit-face": "rabbit",
    "dragon-face": "dragon",
    "man": "man-standing",
    "woman": "woman-standing",
    "person": "person-standing",
}


@dataclass(frozen=True)
class Coat:
    """Colours of an animal's body, and its tail: "bushy", "tuft", "ringed", "stub" or ""."""

    fur: str
    belly: str
    paws: str
    tail: str = ""
    tip: str = ""


_SITTING = {
    "fox": Coat("f5812f", "fff0dc", "5b4048", "bushy", "fff4e6"),
    "wolf": Coat("93939d", "dcdae4", "6f6d7c", "bushy", "dcdae4"),
    "lion": Coat("f0a54a", "ffd391", "e08f3a", "tuft", "6d4a48"),
    "raccoon": Coat("9a98a3", "d5d2dd", "5f5c69", "ringed", "4b4856"),
}
_TEDDY = {
    "bear": Coat("8c5d4b", "c99a76", "6f4539", "stub"),
    "polar-bear": Coat("efeef6", "ffffff", "d6d2e6", "stub"),
    "panda": Coat("ece6fa", "fbf8ff", "544a70", ""),
    "koala": Coat("a3a1ad", "dcdae4", "8a8794", ""),
    "hamster": Coat("fba77c", "ffe3cd", "f4868a", ""),
    "frog": Coat("45d09a", "ffd766", "38b98a", ""),
    "ogre": Coat("b0244e", "d9486b", "7a3a8c", ""),
    "alien": Coat("5cdb5c", "8df08a", "43b84c", ""),
    "clown-face": Coat("f2315f", "ffd95a", "3f7df0", ""),
    "goblin": Coat("e8203f", "ff6a6a", "8f1d3a", ""),
}
_HEADS = {  # clothes and trousers of people of whom the pack has the head only
    "boy": ("3f8ef5", "56608a"),
    "girl": ("f05a9b", "7a5fc0"),
    "child": ("37b88a", "56608a"),
    "baby": ("a9d8ff", "a9d8ff"),
    "baby-angel": ("f6f2ff", "f6f2ff"),
    "old-man": ("7d8796", "5c5560"),
    "old-woman": ("a06fc0", "5c5570"),
    "older-person": ("6f9b8a", "5c5560"),
    **dict.fromkeys(("santa-claus", "mrs-claus", "mx-claus"), ("e8324a", "e8324a")),
    "cowboy-hat-face": ("b5713c", "4a6fb5"),
    "skull": ("efecf5", "d9d4e4"),
    "man-wearing-turban": ("3f8ef5", "56608a"),
    "woman-wearing-turban": ("9a6ff0", "56608a"),
    "person-wearing-turban": ("f08a3c", "56608a"),
}
_HEAD_GROUPS = ("-bald", "-beard", "-blonde-hair", "-curly-hair", "-red-hair", "-white-hair")
_PROFILE = {  # side views that face left: coat and tail, feet
    "unicorn": ("d9c2fb", "e36bf2", "8b6fd0"),
    "moose": ("7f5648", "6a463c", "4a3a3e"),
    "boar": ("8a5d52", "6f463f", "54403f"),
}
_ROBED = ("mage", "judge", "princess", "vampire", "student", "genie", "with-veil", "with-headscarf", "elf")
_NOT_BUSTS = frozenset(
    [
        "person-in-bed",
        "person-taking-bath",
        "person-in-lotus-position",
        "person-in-suit-levitating",
        "people-hugging",
        "person-deaf",
        "breast-feeding",
    ]
)


def _is_bust(key: str) -> bool:
    icon = icons().get(key)
    if icon is None or key in _NOT_BUSTS:
        return False
    if key in _BUSTS:
        return True
    stem = key.split("-", 1)[-1]
    return key.startswith(("man-", "woman-", "person-")) and stem in _BUST_STEMS


_BUST_STEMS = frozenset(
    [
        "artist",
        "astronaut",
        "construction-worker",
        "cook",
        "detective",
        "elf",
        "factory-worker",
        "farmer",
        "firefighter",
        "genie",
        "guard",
        "health-worker",
        "in-tuxedo",
        "judge",
        "mage",
        "mechanic",
        "office-worker",
        "pilot",
        "police-officer",
        "scientist",
        "singer",
        "student",
        "superhero",
        "supervillain",
        "technologist",
        "vampire",
        "zombie",
        "with-veil",
        "with-crown",
        "with-skullcap",
        "with-headscarf",
        "frowning",
        "gesturing-no",
        "gesturing-ok",
        "facepalming",
        "pouting",
        "raising-hand",
        "shrugging",
        "tipping-hand",
        "juggling",
        "getting-haircut",
        "getting-massage",
    ]
)
_BUSTS = frozenset(
    [
        "artist",
        "astronaut",
        "construction-worker",
        "cook",
        "detective",
        "factory-worker",
        "farmer",
        "firefighter",
        "guard",
        "health-worker",
        "judge",
        "mechanic",
        "ninja",
        "office-worker",
        "pilot",
        "police-officer",
        "prince",
        "princess",
        "scientist",
        "singer",
        "student",
        "technologist",
        "troll",
    ]
)


@lru_cache(maxsize=128)
def whole_figure(key: str) -> Sketch | None:
    """The drawing of `key` with a body under it; None when the icon is whole as it is."""
    maker: Callable[[str], Sketch] | None = None
    if key in _SITTING:
        maker = _sitting
    elif key in _TEDDY:
        maker = _teddy
    elif key in _PROFILE:
        maker = _profile
    elif key in _HEADS or (key.endswith(_HEAD_GROUPS) and key in icons()):
        maker = _child
    elif key == "robot":
        maker = _robot
    elif key == "chicken":
        maker = _hen
    elif _is_bust(key):
        maker = _standing
    return maker(key) if maker else None


def _tail(s: Sketch, coat: Coat) -> None:
    fur, tip = unhex(coat.fur), unhex(coat.tip or coat.fur)
    if coat.tail == "bushy":
        s.path("M20 40C27 43 34 37 32.6 29C32 25.4 29.6 24.4 28.6 26.4C26.6 30 25 34 19 35Z", s.soft(fur, 0.15, 0.6))
        s.path(
            "M32.7 30C32.3 25.4 29.7 24.3 28.6 26.4C28 27.6 27.5 28.8 26.9 29.8C29 29 31 31.6 32.7 30Z",
            s.soft(tip),
        )
    elif coat.tail == "tuft":
        s.line("M22 39C29 40 31 35 29.6 30", darker(fur, 0.25), 1.7)
        s.ellipse(29.4, 28.6, 2.1, 2.9, s.soft(tip), -8)
    elif coat.tail == "ringed":
        s.line("M21 39C28 41 32 35 30 28", fur, 4.4)
        for x, y in ((26.6, 38.6), (29.9, 35), (30.6, 30.8)):
            s.ellipse(x, y, 2.25, 1.2, hexed(tip), 55 if y > 36 else 15 if y > 33 else -10)
    elif coat.tail == "stub":
        s.ellipse(25, 36, 2.6, 2.4, s.soft(fur, 0.1, 0.6))


def _sitting(key: str) -> Sketch:
    """A four-legged animal that sits and looks at us."""
    coat = _SITTING[key]
    fur, belly, paws = unhex(coat.fur), unhex(coat.belly), unhex(coat.paws)
    s = Sketch(36, 44)
    _tail(s, coat)
    s.ellipse(10.2, 37.2, 5.4, 5.2, s.soft(fur, 0.1, 0.55), 12)
    s.ellipse(21.8, 37.2, 5.4, 5.2, s.soft(fur, 0.05, 0.62), -12)
    for x in (8.4, 23.6):
        s.ellipse(x, 41.4, 3.6, 1.9, s.soft(paws, 0.2, 0.4))
    s.path("M9.6 24C8.4 29 7.8 36 9.6 40.6H22.4C24.2 36 23.6 29 22.4 24Z", s.soft(fur, 0.12, 0.5))
    s.path("M11.2 24C11.4 30.5 13 34.4 16 36.2C19 34.4 20.6 30.5 20.8 24Z", s.soft(belly, 0.3, 0.22))
    for x in (12.9, 19.1):
        s.rect(x - 2, 30.5, 4, 11.4, s.linear([(0, fur), (0.45, fur), (0.75, paws), (1, darker(paws, 0.2))]), 2)
        s.ellipse(x, 41.5, 2.7, 1.7, s.soft(paws, 0.25, 0.4))
    s.ellipse(16, 25.4, 7, 2.4, hexed(darker(fur, 0.45)) + "55")
    s.icon(body(key), 2.2, -0.6, 0.86)
    return s


def _teddy(key: str) -> Sketch:
    """An upright, plush-like body."""
    coat = _TEDDY[key]
    fur, belly, paws = unhex(coat.fur), unhex(coat.belly), unhex(coat.paws)
    s = Sketch(32, 44)
    _tail(s, coat)
    limb = paws if key == "panda" else fur
    s.ellipse(7.2, 30, 2.7, 5.6, s.soft(limb, 0.2, 0.5), 28)
    s.ellipse(24.8, 30, 2.7, 5.6, s.soft(limb, 0.1, 0.6), -28)
    s.ellipse(16, 33, 9.4, 9, s.soft(fur, 0.2, 0.55))
    s.ellipse(16, 34.4, 6.2, 6.2, s.soft(belly, 0.3, 0.25))
    for x, turn in ((10.6, -8), (21.4, 8)):
        s.ellipse(x, 40.6, 4.2, 3, s.soft(limb, 0.18, 0.45), turn)
        s.ellipse(x, 41, 2.4, 1.6, s.soft(lighter(paws, 0.25), 0.2, 0.2), turn)
    s.ellipse(16, 26, 7, 2, hexed(darker(fur, 0.45)) + "4c")
    if key == "clown-face":
        for y in (31, 35.2):
            s.ellipse(16, y, 1.2, 1.2, s.soft(paws))
    s.icon(body(key), 2.4, -0.4, 0.85)
    return s


def _child(key: str) -> Sketch:
    """Head, shirt, arms, trousers and shoes."""
    shirt_code, trousers_code = _HEADS.get(key, ("4f8fd8", "56608a"))
    shirt, trousers, skin = unhex(shirt_code), unhex(trousers_code), unhex("ffc83d")
    if key == "skull":
        skin = shirt
    s = Sketch(32, 50)
    for x in (12.6, 19.4):
        s.rect(
            x - 2.4,
            36,
            4.8,
            11.5,
            s.linear([(0, darker(trousers, 0.25)), (0.5, trousers), (1, darker(trousers, 0.2))]),
            2,
        )
        s.path(
            f"M{x - 3.6} 49C{x - 3.8} 46.4 {x - 2} 45.8 {x} 45.8S{x + 3.6} 46.4 {x + 3.6} 49Z", s.soft(unhex("6b4a4a"))
        )
    for x, turn in ((6.6, 24), (25.4, -24)):
        s.ellipse(x - (0.1 * turn / 6), 36.2, 2, 2.1, s.soft(skin))
        s.ellipse(x, 31.4, 2.5, 5.4, s.soft(shirt, 0.2, 0.5), turn)
    s.path(
        "M9.8 26C8.4 30 8.2 36 8.8 39.4C13 40.8 19 40.8 23.2 39.4C23.8 36 23.6 30 22.2 26Z", s.soft(shirt, 0.22, 0.5)
    )
    s.ellipse(16, 26.6, 5.4, 1.8, hexed(darker(shirt, 0.5)) + "66")
    if "claus" in key:
        s.rect(8.4, 35, 15.2, 2.4, hexed(unhex("4a3a44")), 0.6)
        s.rect(14.2, 34.6, 3.6, 3.2, s.soft(unhex("ffc83d")), 0.6)
        s.rect(8.4, 38.6, 15.2, 2.6, s.soft(unhex("fbf8ff")), 1.3)
    s.icon(body(key), 2.6, -0.6, 0.84)
    return s


def _profile(key: str) -> Sketch:
    """A four-legged animal from the side, facing left, under its head and neck."""
    coat, tail, feet = (unhex(code) for code in _PROFILE[key])
    s = Sketch(42, 40)
    s.path("M36 20C42 19 42 27 39.4 33C38.6 34.6 37 34 37.4 32C38.4 27 37 25 34 25Z", s.soft(tail, 0.25, 0.3))
    far = darker(coat, 0.28)
    for x in (14.6, 30.6):
        s.rect(x, 26, 3.6, 12, s.linear([(0, far), (0.7, far), (0.72, feet), (1, feet)]), 1.6)
    s.icon(body(key), 0, 0, 0.72)
    s.path(
        "M9.4 20C12 17.4 17 18.4 22 18.2C28 18 36.4 16.6 37.6 22.4C38.6 27.4 36 30.6 31.4 30.8C25 31 19 31.6 14 30.8"
        "C9.2 30 7.6 24 9.4 20Z",
        s.soft(coat, 0.25, 0.5),
    )
    for x in (10.6, 32.8):
        s.rect(x, 26.4, 4, 12.6, s.linear([(0, coat), (0.72, coat), (0.74, feet), (1, darker(feet, 0.2))]), 1.8)
    return s


def _hen(key: str) -> Sketch:
    white, orange = unhex("e9e3f2"), unhex("f59a2e")
    s = Sketch(38, 38)
    for x in (18.5, 23.5):
        s.line(f"M{x} 31V36.4M{x - 2.6} 37L{x} 35.8L{x + 1.4} 37", orange, 1.3)
    s.path("M28 20C33 17 37.6 11 37 17C36.6 22 34 27 28 29Z", s.soft(white, 0.2, 0.45))
    s.icon(body(key), 0.5, 0, 0.66)
    s.path(
        "M8.6 19C9 17.6 20 18.6 24 19.4C31 19.6 34.4 22 33 26C31.4 31 26.6 33.4 20.6 33.2C12.6 33 7 27 8.6 19Z",
        s.soft(white, 0.35, 0.38),
    )
    s.path(
        "M19 23C23 21.6 29 22.6 29.6 24.6C29.4 28 25 29.6 21.6 28.4C19 27.4 17.6 24.6 19 23Z",
        s.soft(darker(white, 0.1), 0.3, 0.3),
    )
    return s


def _robot(key: str) -> Sketch:
    shell, joint, dark = unhex("ded6f2"), unhex("f03d78"), unhex("6c5f8c")
    s = Sketch(32, 52)
    for x in (12, 20):
        s.rect(x - 1.7, 39, 3.4, 8.5, s.linear([(0, dark), (0.5, lighter(dark, 0.3)), (1, dark)], down=False), 1.2)
        s.ellipse(x, 43.2, 2.1, 1.5, s.soft(joint))
        s.path(f"M{x - 4} 51C{x - 4} 47.4 {x - 2} 46.8 {x} 46.8S{x + 4} 47.4 {x + 4} 51Z", s.soft(shell, 0.35, 0.5))
    for x, turn in ((4.8, 14), (27.2, -14)):
        s.rect(
            x - 1.5, 28.6, 3, 9.5, s.linear([(0, dark), (0.5, lighter(dark, 0.35)), (1, dark)], down=False), 1.5, turn
        )
        s.ellipse(x - turn / 9, 38.6, 2.5, 2.5, s.soft(shell, 0.4, 0.5))
        s.ellipse(x - turn / 9, 39.4, 1.1, 1.3, s.soft(joint))
        s.ellipse(x + turn / 14, 28.8, 2.3, 2.3, s.soft(joint))
    s.rect(14, 24, 4, 4, s.linear([(0, dark), (0.5, lighter(dark, 0.35)), (1, dark)], down=False), 0.6)
    s.rect(7, 26.6, 18, 14.4, s.soft(shell, 0.4, 0.55), 5)
    s.rect(10, 29.4, 12, 7.4, s.linear([(0, unhex("3b2e58")), (1, unhex("57477f"))]), 2.2)
    s.ellipse(13, 32, 1.15, 1.15, s.soft(unhex("ff4f8b")))
    s.ellipse(16, 32, 1.15, 1.15, s.soft(unhex("ffc63d")))
    s.ellipse(19, 32, 1.15, 1.15, s.soft(unhex("39d0ff")))
    s.line("M12.4 34.8H19.6", unhex("39d0ff"), 0.8)
    s.icon(body(key), 2.6, -1, 0.84)
    return s


def _standing(key: str) -> Sketch:
    """Lower half of a person of whom the pack has a bust: the bust's clothes go on down to a hem or a robe's end."""
    from .art import bottom_edge

    left, right, colors = bottom_edge(key)
    scale, drop = 0.9, 29.9 * 0.9
    x0, x1 = left * scale + 1.6, right * scale + 1.6
    mid = (x0 + x1) / 2
    clothes = [(i / (len(colors) - 1), c) for i, c in enumerate(colors)]
    main = colors[len(colors) // 2]
    robed = any(word in key for word in _ROBED)
    s = Sketch(32, 44 if robed else 45)
    shoe = unhex("5a4450")
    if robed:
        for x in (mid - 3.6, mid + 3.6):
            s.ellipse(x, 42.6, 3, 1.3, s.soft(shoe))
        s.path(
            f"M{x0} {drop - 0.3}C{x0} {drop + 6} {x0 - 1.6} 38 {x0 - 2} 41.4Q{mid} 44.6 {x1 + 2} 41.4"
            f"C{x1 + 1.6} 38 {x1} {drop + 6} {x1} {drop - 0.3}Z",
            s.linear(clothes, down=False),
        )
    else:
        trousers = darker(main, 0.42) if sum(main) < 2.1 else unhex("bdb6cf")
        for x in (mid - 3.4, mid + 3.4):
            s.rect(
                x - 2.9,
                31,
                5.8,
                11.6,
                s.linear([(0, darker(trousers, 0.3)), (0.4, trousers), (1, darker(trousers, 0.25))]),
                1.6,
            )
            s.path(
                f"M{x - 4} 44.4C{x - 4.2} 41.6 {x - 2} 41 {x} 41S{x + 4} 41.6 {x + 4} 44.4Z", s.soft(shoe, 0.25, 0.4)
            )
        s.path(
            f"M{x0} {drop - 0.3}V{drop + 2}C{x0} {drop + 5} {x0 + 2} 33.6 {x0 + 4} 34H{x1 - 4}"
            f"C{x1 - 2} 33.6 {x1} {drop + 5} {x1} {drop + 2}V{drop - 0.3}Z",
            s.linear(clothes, down=False),
        )
    s.icon(body(key), 1.6, 0, scale)
    return s
