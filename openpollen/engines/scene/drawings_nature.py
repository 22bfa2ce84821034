"""Natural things that the icon pack lacks, drawn in its look."""

from __future__ import annotations

import math
from collections.abc import Callable

from .icons import body
from .svg import Sketch, darker, lighter, unhex


def _starfish() -> Sketch:
    s = Sketch(32, 32)
    points: list[str] = []
    for i in range(10):
        angle, r = math.pi * (i / 5 - 0.5), 15 if i % 2 == 0 else 6.4
        points.append(f"{16 + r * math.cos(angle):.2f} {17 + r * math.sin(angle):.2f}")
    fill = s.soft(unhex("ff8a4f"), 0.3, 0.4)
    s.shapes.append(
        f'<path d="M{"L".join(points)}Z" fill="{fill}" stroke="{fill}" stroke-width="4" stroke-linejoin="round"/>'
    )
    for i in range(5):
        angle = math.pi * (2 * i / 5 - 0.5)
        for r in (4, 7.4, 10.6):
            s.ellipse(round(16 + r * math.cos(angle), 2), round(17 + r * math.sin(angle), 2), 0.8, 0.8, "#ffd9b0")
    return s


def _dragonfly() -> Sketch:
    s = Sketch(40, 30)
    for x, y, turn in ((12, 9, 24), (28, 9, -24), (13, 16, -14), (27, 16, 14)):
        s.ellipse(x, y, 9.4, 2.6, s.soft(unhex("bfeaff"), 0.5, 0.15), turn)
    s.rect(18.6, 8, 2.8, 21, s.linear([(0, unhex("1fa8a0")), (1, unhex("1f5fb0"))]), 1.4)
    s.ellipse(20, 10, 2.8, 4, s.soft(unhex("27c0a8")))
    for x in (18.2, 21.8):
        s.ellipse(x, 5, 1.9, 1.9, s.soft(unhex("7a4fe0")))
    return s


def _campfire() -> Sketch:
    s = Sketch(36, 34)
    wood = unhex("8a5a3f")
    s.icon(body("fire"), 4.6, -1.4, 0.84, "f")
    for turn in (-16, 16):
        fill = s.linear([(0, lighter(wood, 0.2)), (1, darker(wood, 0.5))])
        s.rect(4, 26, 28, 4.6, fill, 2.2, turn)
    for x in (5.6, 31):
        s.ellipse(x, 31.4, 3.6, 2.4, s.soft(unhex("a9a3b8")))
    for x in (12, 18, 24):
        s.ellipse(x, 32, 3.4, 2, s.soft(unhex("958fa6")))
    return s


def _sandcastle() -> Sketch:
    s = Sketch(48, 40)
    sand = unhex("f0c27a")
    s.path("M0 40C4 33 12 34 24 34S44 33 48 40Z", s.soft(sand, 0.2, 0.35))
    for x, y, w in ((6, 18, 10), (32, 18, 10), (17, 8, 14)):
        fill = s.linear([(0, lighter(sand, 0.25)), (0.4, sand), (1, darker(sand, 0.4))], down=False)
        s.rect(x, y, w, 37 - y, fill, 0.6)
        for i in range(3):
            s.rect(x + i * (w - 2.6) / 2, y - 2.6, 2.6, 3, fill, 0.4)
    s.path("M20.6 37V30C20.6 25.4 27.4 25.4 27.4 30V37Z", s.soft(darker(sand, 0.55)))
    s.line("M24 5.4V0.8", unhex("7a4a33"), 0.8)
    s.path("M24.3 0.6L31 2.6L24.3 4.8Z", s.soft(unhex("e23b4e")))
    return s


def _islet() -> Sketch:
    s = Sketch(80, 22)
    stone, grass = unhex("8f8aa0"), unhex("6cb85a")
    s.path("M2 22C4 16 9 13 16 11C22 6 34 4 44 4.6C56 4 66 8 70 12C75 14 78 18 79 22Z", s.soft(stone, 0.3, 0.6))
    s.path(
        "M12 12.6C18 6.4 30 3.4 42 3.6C56 3.2 66 7.4 69 11.6C62 10.4 58 13 50 11.6C42 10.4 36 13.4 28 12C22 11 17 13.4 12 12.6Z",
        s.soft(grass, 0.3, 0.4),
    )
    for x, y, w in ((14, 16, 7), (30, 17.4, 9), (50, 16, 8), (65, 17.6, 6)):
        s.line(f"M{x} {y}L{x + w / 2} {y + 1.6}L{x + w} {y + 0.6}", darker(stone, 0.45), 0.5)
    return s


def _branch() -> Sketch:
    s = Sketch(64, 60)
    bark, leaf = unhex("8f6648"), unhex("63b04f")
    for x, y, turn in ((3, 5, 40), (8, 2.6, -10), (15, 3, 24), (20, 6, 50), (24, 10, -30), (1.6, 11, -50)):
        s.ellipse(x, y, 4.6, 2.3, s.soft(darker(leaf, 0.15), 0.3, 0.4), turn)
    s.path(
        "M2 60C5.6 47 6 34 6.4 24C6 17 3.6 12 3.4 7L5.6 6C7 10 8.6 13 10.6 15C11 11 12.4 8 15.4 5L17.4 6.4C15 10 14.4 15 14.6 20"
        "C15.4 24 17 26.4 19.6 27C32 25.6 46 26 61 21C63 21 63.4 23.4 61.6 24.4C49 30.6 34 32 20.6 34C17 42 18.6 52 22 60Z",
        s.soft(bark, 0.24, 0.45),
    )
    for d in ("M9.4 26C9 36 8.6 46 7 56", "M13.6 36C12.6 44 14 50 14.8 57", "M22 29.6C32 28.8 42 28.4 53 25.6"):
        s.line(d, darker(bark, 0.3), 0.7)
    for x, y, turn in (
        (60, 18.6, -34), (62, 25, 30), (55, 28, 62), (47, 31, 40), (37, 33, 70), (28, 35, 44), (50, 33, 84), (33, 36, 20),
    ):  # fmt: skip
        s.ellipse(x, y, 4.6, 2.2, s.soft(leaf, 0.35, 0.35), turn)
    return s


NATURE: dict[str, Callable[[], Sketch]] = {
    "starfish": _starfish,
    "dragonfly": _dragonfly,
    "campfire": _campfire,
    "sandcastle": _sandcastle,
    "islet": _islet,
    "branch": _branch,
}
