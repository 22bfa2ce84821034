"""People that the icon pack lacks, drawn in its look: a samurai and a pirate."""

from __future__ import annotations

from collections.abc import Callable

from .icons import body
from .svg import Sketch, darker, hexed, lighter, unhex
from .types import Rgb

STEEL, GOLD, IRON = unhex("cfd3e6"), unhex("ffc73d"), unhex("3c3a52")


def _limbs(s: Sketch, sleeve: Rgb, trousers: Rgb, shoe: Rgb) -> None:
    """Legs, feet, arms and hands; the trunk goes over them."""
    for x in (12.4, 19.6):
        fill = s.linear([(0, darker(trousers, 0.25)), (0.5, trousers), (1, darker(trousers, 0.2))])
        s.rect(x - 3, 38, 6, 11.5, fill, 1.6)
        s.path(f"M{x - 3.6} 51C{x - 3.8} 48.4 {x - 2} 47.8 {x} 47.8S{x + 3.6} 48.4 {x + 3.6} 51Z", s.soft(shoe))
    for x, turn in ((6.2, 20), (25.8, -20)):
        s.ellipse(x - 0.1 * turn / 6, 38, 2.1, 2.2, s.soft(unhex("ffc83d")))
        s.ellipse(x, 33, 2.8, 5.6, s.soft(sleeve, 0.2, 0.5), turn)


def _blade(s: Sketch, curve: float) -> None:
    """A sword held out to the left, pointing up."""
    s.path(f"M3.4 37C{1.2 - curve} 30 {0.4 - curve} 22 1.6 15C{3.4 - curve} 22 {4 - curve} 30 5.6 36.4Z", s.soft(STEEL))
    s.line("M2.2 37.4L7 36.2", GOLD, 1.3)
    s.line("M4.8 38L5.8 41", IRON, 1.7)


def _samurai() -> Sketch:
    red, cloth = unhex("b8283c"), unhex("3d4a78")
    s = Sketch(34, 52)
    _limbs(s, cloth, cloth, IRON)
    _blade(s, 0.6)
    s.path("M9.6 27C8.2 31 8 37 8.6 41.4C13 43 19 43 23.4 41.4C24 37 23.8 31 22.4 27Z", s.soft(red, 0.22, 0.55))
    for y in (30.6, 34, 37.4):
        s.line(f"M9.4 {y}Q16 {y + 1.8} 22.6 {y}", darker(red, 0.55), 0.7)
    s.rect(8.6, 36, 14.8, 2, s.soft(GOLD), 0.6)
    for x in (7.4, 24.6):
        s.rect(
            x - 3, 26.6, 6, 7, s.linear([(0, lighter(red, 0.15)), (1, darker(red, 0.5))]), 1.4, 12 if x < 16 else -12
        )
    s.icon(body("man"), 2.6, 1.4, 0.84)
    s.path("M5.4 15.6C4.6 19 3.8 22 3.2 25L8.2 23.4L9 15Z", s.soft(IRON))
    s.path("M26.6 15.6C27.4 19 28.2 22 28.8 25L23.8 23.4L23 15Z", s.soft(IRON))
    s.path("M5 15.4C5.2 7.6 10 3.6 16 3.6S26.8 7.6 27 15.4Q16 11 5 15.4Z", s.soft(IRON, 0.35, 0.4))
    s.path("M3.8 16.6Q16 10.6 28.2 16.6L27 13.8Q16 8.6 5 13.8Z", s.soft(red))
    s.path(
        "M16 9.4C12 8.6 9.4 5.4 9 0.8C11 4 13.4 5.8 16 6.2C18.6 5.8 21 4 23 0.8C22.6 5.4 20 8.6 16 9.4Z", s.soft(GOLD)
    )
    return s


def _pirate() -> Sketch:
    coat, dark = unhex("a8283a"), unhex("33303f")
    s = Sketch(34, 52)
    _limbs(s, coat, unhex("4f4a63"), dark)
    _blade(s, 1.6)
    s.path("M9.8 27C8.4 32 8 38 8 42.6H24C24 38 23.6 32 22.2 27Z", s.soft(coat, 0.2, 0.5))
    s.path("M13.4 27L14 42.6H18L18.6 27Z", hexed(unhex("f4f0fa")))
    for y in (30, 32.6, 35.2):
        s.line(f"M13.6 {y}H18.4", unhex("4b78c8"), 0.9)
    s.rect(8, 37.4, 16, 2.6, s.soft(dark), 0.6)
    s.rect(14.4, 36.9, 3.2, 3.6, s.soft(GOLD), 0.6)
    s.icon(body("man-beard"), 2.6, 1.4, 0.84)
    s.line("M7 13.2L24.6 17.2", dark, 0.8)
    s.ellipse(19.4, 16.2, 2.5, 2.3, s.soft(dark))
    s.path(
        "M2.6 13.6C4 6.6 9 2.2 16 2.2S28 6.6 29.4 13.6C25 10.6 21 9.6 16 9.6S7 10.6 2.6 13.6Z", s.soft(dark, 0.3, 0.4)
    )
    s.line("M3.4 13C8 9.6 24 9.6 28.6 13", GOLD, 0.8)
    s.icon(body("skull"), 12.6, 2.9, 0.21)
    return s


PEOPLE: dict[str, Callable[[], Sketch]] = {"samurai": _samurai, "pirate": _pirate}
