"""Subjects that the icon pack lacks, drawn here in its look: signs, furniture, a lighthouse, a knight, a monster."""

from __future__ import annotations

from collections.abc import Callable

from .drawings_nature import NATURE
from .drawings_people import PEOPLE
from .icons import body
from .svg import Sketch, darker, hexed, lighter, unhex
from .types import Rgb

WOOD, DARK_WOOD, STONE = unhex("b5743f"), unhex("7a4a33"), unhex("a9a3b8")
RED, GOLD, WHITE = unhex("e23b4e"), unhex("ffc73d"), unhex("f4f0fa")

# where a drawing carries lettering: left, top, right, bottom as fractions of its canvas


def own_drawing(key: str) -> Sketch | None:
    """The drawing of that id; None when it is not one of ours."""
    maker = _MAKERS.get(key)
    return maker() if maker else None


def _plank(s: Sketch, x: float, y: float, w: float, h: float, color: Rgb = WOOD, round_by: float = 0.8) -> None:
    s.rect(x, y, w, h, s.linear([(0, lighter(color, 0.25)), (0.25, color), (1, darker(color, 0.5))]), round_by)


def _post(s: Sketch, x: float, y: float, w: float, h: float, color: Rgb = WOOD, round_by: float = 0.8) -> None:
    fill = s.linear([(0, lighter(color, 0.2)), (0.35, color), (1, darker(color, 0.55))], down=False)
    s.rect(x, y, w, h, fill, round_by)


def _desk() -> Sketch:
    s = Sketch(56, 30)
    _post(s, 3, 5, 3.4, 25, WOOD)
    _post(s, 34, 5, 18, 25, WOOD, 1.4)
    for y in (8, 15.4, 22.8):
        _plank(s, 35.6, y, 14.8, 6.2, lighter(WOOD, 0.12), 0.8)
        s.ellipse(43, y + 3.1, 1.1, 1.1, s.soft(GOLD))
    _plank(s, 0.5, 1, 55, 4.6, WOOD, 1.6)
    return s


def _lamp() -> Sketch:
    s = Sketch(26, 36)
    s.ellipse(13, 34, 7, 2, s.soft(unhex("7a5a8c")))
    _post(s, 12, 13, 2, 21, GOLD, 0.8)
    s.ellipse(13, 28, 3.6, 4.6, s.soft(unhex("39b8d0")))
    s.path(
        "M7.4 2H18.6L24.6 16.4Q13 19.6 1.4 16.4Z", s.linear([(0, unhex("ffd98a")), (0.6, unhex("fff3c4")), (1, GOLD)])
    )
    return s


def _lantern() -> Sketch:
    s = Sketch(22, 36)
    iron = unhex("4d4660")
    s.line("M6 9C6 1 16 1 16 9", iron, 1.3)
    s.path("M4 12L7 7.4H15L18 12Z", s.soft(iron))
    s.rect(4.6, 12, 12.8, 19, s.linear([(0, unhex("ffe28a")), (0.6, unhex("ffb43d")), (1, unhex("f5812f"))]), 1)
    s.path("M11 17C14.4 21 14 26.6 11 27.4C8 26.6 7.6 21 11 17Z", "#fffbe0")
    for x in (4, 10.4, 16.8):
        _post(s, x, 11.6, 1.2, 20, iron, 0.3)
    s.rect(2.6, 31, 16.8, 3.4, s.soft(iron), 1.2)
    return s


def _sign() -> Sketch:
    s = Sketch(44, 44)
    _post(s, 20, 16, 4, 28, DARK_WOOD, 1)
    _plank(s, 2, 3, 40, 20, WOOD, 2.4)
    s.rect(3.6, 4.6, 36.8, 16.8, hexed(lighter(WOOD, 0.3)), 1.6)
    return s


def _neon_sign() -> Sketch:
    s = Sketch(60, 46)
    for x in (12, 44.4):
        _post(s, x, 28, 3.6, 18, unhex("4a475e"), 0.8)
    s.rect(1, 1, 58, 30, s.soft(unhex("2a2440")), 4)
    for inset, color, width in ((3.4, unhex("8f1f66"), 2.4), (3.4, unhex("ff4fa8"), 1.3), (3.4, unhex("ffd3ea"), 0.45)):
        x1, y1 = 60 - inset, 32 - inset
        s.line(
            f"M{inset + 2} {inset}H{x1 - 2}Q{x1} {inset} {x1} {inset + 2}V{y1 - 2}Q{x1} {y1} {x1 - 2} {y1}H{inset + 2}"
            f"Q{inset} {y1} {inset} {y1 - 2}V{inset + 2}Q{inset} {inset} {inset + 2} {inset}Z",
            color,
            width,
        )
    return s


def _mug() -> Sketch:
    s = Sketch(46, 40)
    clay = unhex("f3eef8")
    s.line("M31 12C44 9 45 29 30.6 29.6", darker(clay, 0.25), 4.6)
    s.line("M31 12C43 9.4 44 28.4 30.6 29.4", darker(clay, 0.06), 2.8)
    s.path(
        "M2 7H33L31.4 36C31.2 38.6 29.6 39.6 27 39.6H8C5.4 39.6 3.8 38.6 3.6 36Z",
        s.linear([(0, darker(clay, 0.12)), (0.3, lighter(clay, 0.3)), (1, darker(clay, 0.22))], down=False),
    )
    s.ellipse(17.5, 7, 15.5, 3.6, hexed(darker(clay, 0.1)))
    s.ellipse(17.5, 7.3, 13.6, 2.7, s.soft(unhex("6b4a3a")))
    return s


def _billboard() -> Sketch:
    s = Sketch(60, 52)
    for x in (14, 42):
        _post(s, x, 26, 4, 26, unhex("6c6a80"), 0.6)
    s.rect(1, 1, 58, 29, s.soft(unhex("575470")), 2)
    s.rect(3, 3, 54, 25, s.linear([(0, unhex("fdfbff")), (1, unhex("e6e0f2"))]), 1)
    return s


def _banner() -> Sketch:
    s = Sketch(64, 48)
    for x in (3, 58.4):
        _post(s, x, 3, 2.6, 45, DARK_WOOD, 1)
        s.ellipse(x + 1.3, 3, 2.1, 2.1, s.soft(GOLD))
    s.path("M4 6C20 10 44 10 60 6V22C44 26.4 20 26.4 4 22Z", s.linear([(0, lighter(RED, 0.1)), (1, darker(RED, 0.3))]))
    s.line("M4.6 7.6C20 11.4 44 11.4 59.4 7.6", GOLD, 0.6)
    s.line("M4.6 20.4C20 24.6 44 24.6 59.4 20.4", GOLD, 0.6)
    return s


def _lighthouse() -> Sketch:
    s = Sketch(36, 72)
    s.path("M3 72C3 66 8 64 18 64S33 66 33 72Z", s.soft(unhex("8a8498")))
    s.path("M11.6 20H24.4L28 66H8Z", s.linear([(0, WHITE), (0.4, WHITE), (1, unhex("b7adc9"))], down=False))
    for top, bottom in ((27, 36), (45, 55)):
        a, b = (3.6 * (top - 20) / 46, 3.6 * (bottom - 20) / 46)
        s.path(
            f"M{11.6 - a} {top}H{24.4 + a}L{24.4 + b} {bottom}H{11.6 - b}Z",
            s.linear([(0, lighter(RED, 0.1)), (0.4, RED), (1, darker(RED, 0.5))], down=False),
        )
    s.rect(8.6, 18, 18.8, 2.6, s.soft(unhex("4b4a63")), 0.8)
    s.rect(12.4, 9.4, 11.2, 8.8, s.linear([(0, unhex("fffbe0")), (1, unhex("ffd061"))]), 0.8)
    for x in (12, 17.5, 23):
        s.rect(x, 9.2, 1, 9, hexed(unhex("4b4a63")))
    s.path("M9.6 10C11 5 16 4 18 1C20 4 25 5 26.4 10Z", s.soft(RED))
    s.path("M15 66V59.6C15 56 21 56 21 59.6V66Z", s.soft(unhex("5a4450")))
    for y in (39, 23):
        s.rect(16.6, y, 2.8, 3.8, hexed(unhex("5d6aa0")), 1.2)
    return s


def _treasure_chest() -> Sketch:
    s = Sketch(40, 34)
    s.path("M4 14C4 3 36 3 36 14V18H4Z", s.linear([(0, lighter(WOOD, 0.1)), (1, darker(WOOD, 0.45))]))
    s.rect(5, 12.6, 30, 6, s.soft(unhex("5a3326")), 1)
    for i, x in enumerate((8, 12, 16.4, 20.6, 24.8, 29, 32)):
        s.ellipse(x, 14.4 - (i % 3), 3, 2.4, s.soft(GOLD, 0.4, 0.35))
    s.ellipse(14, 11, 1.7, 1.7, s.soft(RED))
    s.ellipse(25, 10.8, 1.7, 1.7, s.soft(unhex("39b8ff")))
    _plank(s, 3, 16, 34, 18, WOOD, 2)
    for x in (3, 33.4):
        _post(s, x, 16, 3.6, 18, GOLD, 1)
    s.rect(3, 16, 34, 2.4, s.soft(GOLD), 0.6)
    s.rect(16.6, 17, 6.8, 7.4, s.soft(GOLD), 1.4)
    s.ellipse(20, 20.4, 1.2, 1.5, "#4a2a3a")
    return s


def _vase() -> Sketch:
    s = Sketch(28, 40)
    for x, y, code in ((8, 9, "f05a9b"), (20, 8.4, "ffc73d"), (14, 5, "e23b4e")):
        s.line(f"M14 22Q{(x + 14) / 2} 16 {x} {y}", unhex("3f9d54"), 1)
        for dx, dy in ((-2.4, 0), (2.4, 0), (0, -2.4), (0, 2.4)):
            s.ellipse(x + dx, y + dy, 2, 2, s.soft(unhex(code)))
        s.ellipse(x, y, 1.5, 1.5, s.soft(unhex("fff0b0")))
    s.path(
        "M9.6 18H18.4C17.6 22 24 24 23 31C22.4 37 19 39.6 14 39.6S5.6 37 5 31C4 24 10.4 22 9.6 18Z",
        s.soft(unhex("39a8d8"), 0.4, 0.5),
    )
    return s


def _throne() -> Sketch:
    s = Sketch(36, 52)
    s.path("M6 30V8C10 6 14 2 18 1C22 2 26 6 30 8V30Z", s.soft(GOLD, 0.3, 0.5))
    s.path("M9 30V11C12 9 15 6 18 5C21 6 24 9 27 11V30Z", s.soft(unhex("b5283f"), 0.2, 0.5))
    for x in (3, 28.4):
        _post(s, x, 26, 4.6, 26, GOLD, 1.4)
        s.ellipse(x + 2.3, 26, 3, 2.6, s.soft(GOLD))
    s.rect(6.6, 32, 22.8, 6, s.soft(unhex("b5283f"), 0.3, 0.5), 2.4)
    s.rect(6.6, 37.4, 22.8, 10, s.soft(GOLD, 0.15, 0.6), 1)
    return s


def _box() -> Sketch:
    s = Sketch(40, 32)
    card = unhex("c99a66")
    s.path("M4 10H36V32H4Z", s.linear([(0, darker(card, 0.12)), (0.2, card), (1, darker(card, 0.35))]))
    s.path("M4 10L0.6 3H16L20 10Z", s.soft(lighter(card, 0.2), 0.2, 0.3))
    s.path("M36 10L39.4 3H24L20 10Z", s.soft(lighter(card, 0.12), 0.2, 0.3))
    s.rect(17.6, 10, 4.8, 8, hexed(lighter(card, 0.35)))
    return s


def _planet() -> Sketch:
    s = Sketch(40, 40)
    base = unhex("5a8cf0")
    s.ellipse(20, 20, 19.4, 19.4, s.soft(base, 0.35, 0.75))
    for y, rx, h, code in (
        (10, 16, 2, "8fb8ff"),
        (17, 19, 2.6, "7ad0e8"),
        (25, 18.6, 2.2, "8fb8ff"),
        (31, 15, 1.6, "4a6ad0"),
    ):
        s.ellipse(20, y, rx - 0.6, h, hexed(unhex(code)) + "66", -8)
    s.ellipse(27, 26, 4, 2.2, hexed(unhex("f2a2c8")) + "aa", -8)
    return s


def _hot_air_balloon() -> Sketch:
    s = Sketch(44, 62)
    stripes = ("e23b4e", "ffc73d", "3f8ef5", "ffc73d", "e23b4e")
    s.path(
        "M22 1C35 1 43 10 43 21C43 32 33 40 27 47H17C11 40 1 32 1 21C1 10 9 1 22 1Z",
        s.soft(unhex(stripes[0]), 0.25, 0.5),
    )
    s.path(
        "M22 1C31 1 35.6 10 35.6 21C35.6 32 29 41 25.4 47H18.6C15 41 8.4 32 8.4 21C8.4 10 13 1 22 1Z",
        s.soft(unhex(stripes[1]), 0.3, 0.45),
    )
    s.path(
        "M22 1C26.6 1 28.4 10 28.4 21C28.4 32 25.4 41 23.6 47H20.4C18.6 41 15.6 32 15.6 21C15.6 10 17.4 1 22 1Z",
        s.soft(unhex(stripes[2]), 0.3, 0.5),
    )
    s.line("M17.4 47L18.6 54M26.6 47L25.4 54", unhex("6b4a4a"), 0.6)
    s.rect(17, 53, 10, 8.4, s.linear([(0, lighter(WOOD, 0.2)), (1, darker(WOOD, 0.4))]), 2)
    s.rect(16.4, 52.6, 11.2, 2, s.soft(DARK_WOOD), 1)
    return s


def _knight() -> Sketch:
    s = Sketch(40, 54)
    steel, cloth = unhex("b4b9c9"), unhex("3f6fd0")
    for x in (15.6, 24.4):
        _post(s, x - 2.6, 38, 5.2, 12, steel, 1.6)
        s.path(f"M{x - 3.8} 53C{x - 4} 49.6 {x - 2} 49 {x} 49S{x + 4} 49.6 {x + 3.8} 53Z", s.soft(darker(steel, 0.3)))
    s.ellipse(10, 32, 3, 6.4, s.soft(steel), 24)
    s.ellipse(30, 32, 3, 6.4, s.soft(steel, 0.2, 0.6), -24)
    s.path("M11.6 26C10 32 10 40 11 43.4C16 45 24 45 29 43.4C30 40 30 32 28.4 26Z", s.soft(cloth, 0.25, 0.5))
    s.path("M18.6 30H21.4V33H24.4V35.8H21.4V40H18.6V35.8H15.6V33H18.6Z", hexed(GOLD))
    s.rect(11, 41, 18, 2.4, s.soft(DARK_WOOD), 1)
    s.path("M20 5C14 5 9.6 9 9.6 16C9.6 22 12 27 20 27S30.4 22 30.4 16C30.4 9 26 5 20 5Z", s.soft(steel, 0.45, 0.55))
    s.path("M11.6 14.6H28.4C28.4 17 27.8 18.6 27.2 19.4H12.8C12.2 18.6 11.6 17 11.6 14.6Z", hexed(unhex("2d2a40")))
    s.rect(19.2, 12, 1.6, 13.6, s.soft(darker(steel, 0.15)), 0.6)
    for x in (14.6, 17, 22.2, 24.6):
        s.ellipse(x + 0.1, 23, 0.6, 0.6, hexed(darker(steel, 0.6)))
    s.path("M20 6C18 1 24 -1 32 3C28 3.4 25 4.6 22.6 7Z", s.soft(RED))
    s.icon(body("shield"), 0, 27, 0.5, "s")
    s.icon(body("dagger"), 25, 16, 0.6, "d", turn=90)
    return s


def _monster() -> Sketch:
    s = Sketch(40, 42)
    fur, eye = unhex("8a5ae0"), unhex("fdfbff")
    for x, turn in ((11, -24), (29, 24)):
        s.path(
            f"M{x - 3} 9C{x - 4 + turn / 12} 4 {x + turn / 6} 1 {x + turn / 5} 0.6C{x + 3} 4 {x + 4} 7 {x + 3} 10Z",
            s.soft(GOLD),
        )
    s.ellipse(5, 26, 3, 6, s.soft(fur), 30)
    s.ellipse(35, 26, 3, 6, s.soft(fur, 0.1, 0.6), -30)
    s.path("M20 5C32 5 35 16 35 27C35 37 30 40.6 20 40.6S5 37 5 27C5 16 8 5 20 5Z", s.soft(fur, 0.3, 0.55))
    s.ellipse(20, 30, 8.6, 8, s.soft(lighter(fur, 0.35), 0.3, 0.2))
    for x in (13, 27):
        s.ellipse(x, 40, 4.6, 2, s.soft(darker(fur, 0.2)))
    s.ellipse(20, 15, 6, 6, s.soft(eye, 0.1, 0.18))
    s.ellipse(20.4, 15.6, 3, 3, s.soft(unhex("37b88a")))
    s.ellipse(20.4, 15.6, 1.6, 1.6, "#1c1230")
    s.ellipse(19.4, 14.2, 0.9, 0.9, "#ffffff")
    s.path("M13.6 24C16 28.4 24 28.4 26.4 24Q20 25.6 13.6 24Z", "#3a1440")
    s.path("M16 24.9L17 27L18 25.2ZM22 25.2L23 27L24 24.9Z", "#ffffff")
    return s


def _galleon() -> Sketch:
    s = Sketch(72, 70)
    canvas = unhex("f3e6c8")
    for x, top in ((20, 14), (38, 6), (55, 18)):
        _post(s, x, top, 1.8, 46 - top + 6, DARK_WOOD, 0.6)
    s.line("M57 42L71 33", DARK_WOOD, 1.4)
    for x, y, w, h in (
        (9, 17, 22, 13),
        (11, 31.6, 19, 12),
        (26, 10, 25, 15),
        (28, 26.6, 22, 15),
        (47, 22, 17, 11),
        (48.6, 34, 14, 9),
    ):
        s.path(
            f"M{x + 1} {y}H{x + w - 1}C{x + w + 2.4} {y + h * 0.5} {x + w + 1} {y + h * 0.8} {x + w} {y + h}"
            f"Q{x + w / 2} {y + h * 0.8} {x} {y + h}C{x + 2.6} {y + h * 0.7} {x + 2.6} {y + h * 0.3} {x + 1} {y}Z",
            s.soft(canvas, 0.35, 0.3),
        )
    s.path("M39.8 1L50 3.4L39.8 7Z", s.soft(unhex("2d2a40")))
    s.icon(body("skull"), 33.8, 12.6, 0.3, "k")
    s.path(
        "M3 44C5 45 8 47 12 47.4H56C60 47 65 44 69 41C68 52 63 61 57 66H16C9 61 4.6 53 3 44Z", s.soft(WOOD, 0.15, 0.6)
    )
    s.path("M2 37H16V47.6C10 48 5 46 2 43Z", s.soft(DARK_WOOD, 0.25, 0.5))
    for y in (51, 55.6, 60.4):
        s.line(f"M{5.4 + (y - 51) * 0.55} {y}H{66 - (y - 51) * 0.7}", darker(WOOD, 0.5), 0.5)
    for x in (20, 29, 38, 47, 55):
        s.rect(x, 51.8, 4, 3.4, hexed(unhex("3a2030")), 0.5)
    s.line("M3 44.6C5 46 8 47.6 12 47.8H56C60 47.4 65 44.6 69 41.6", GOLD, 1)
    for x in (4.6, 9.6):
        s.rect(x, 39.4, 3, 3, s.soft(unhex("ffd061")), 0.5)
    return s


def _party_hat() -> Sketch:
    s = Sketch(24, 32)
    s.path("M12 3L22 31Q12 34 2 31Z", s.soft(unhex("f05a9b"), 0.3, 0.5))
    for x, y in ((11, 12), (8, 20), (15, 18), (12, 26), (18, 27), (6, 28)):
        s.ellipse(x, y, 1.3, 1.3, hexed(GOLD))
    s.ellipse(12, 3.4, 3, 3, s.soft(GOLD))
    return s


def _witch_hat() -> Sketch:
    s = Sketch(36, 32)
    cloth = unhex("4b3a78")
    s.path("M10 26C12 18 14 8 24 1.4C22 6 24 9 22.6 10C25 16 25.6 22 26.4 26Z", s.soft(cloth, 0.3, 0.5))
    s.ellipse(18, 27, 17, 4.4, s.soft(cloth, 0.25, 0.5))
    s.path("M10.2 24.6C14 27 22 27 26.2 24.6L25.6 21C21 23.4 15 23.4 11 21Z", s.soft(unhex("f5812f")))
    s.rect(16, 22, 5, 4.4, s.soft(GOLD), 0.8)
    return s


def _cauldron() -> Sketch:
    s = Sketch(40, 36)
    iron = unhex("4b4860")
    for x in (10, 27):
        s.rect(x, 30, 3.4, 6, s.soft(iron), 1.4)
    s.ellipse(20, 21, 16.6, 13, s.soft(iron, 0.3, 0.6))
    s.ellipse(20, 10.6, 15.4, 3.8, s.soft(iron))
    s.ellipse(20, 10.4, 13, 2.7, s.soft(unhex("5cdb5c"), 0.4, 0.3))
    for x, y, r in ((15, 8.6, 2.2), (21, 7.4, 2.8), (26.4, 9, 1.7), (18, 3.4, 1.4), (24, 2.6, 1)):
        s.ellipse(x, y, r, r, s.soft(unhex("8df08a"), 0.5, 0.2))
    return s


_MAKERS: dict[str, Callable[[], Sketch]] = (
    NATURE
    | PEOPLE
    | {
        "desk": _desk,
        "lamp": _lamp,
        "lantern": _lantern,
        "sign": _sign,
        "neon-sign": _neon_sign,
        "mug": _mug,
        "billboard": _billboard,
        "banner": _banner,
        "lighthouse": _lighthouse,
        "treasure-chest": _treasure_chest,
        "vase": _vase,
        "throne": _throne,
        "box": _box,
        "planet": _planet,
        "hot-air-balloon": _hot_air_balloon,
        "knight": _knight,
        "monster": _monster,
        "galleon": _galleon,
        "party-hat": _party_hat,
        "witch-hat": _witch_hat,
        "cauldron": _cauldron,
    }
)
OWN_KEYS = frozenset(_MAKERS)
