"""Built things, drawn as SVG with shaded faces: street furniture, furniture, farm and country buildings."""

from __future__ import annotations

from ..noise import Rng
from ..types import Array
from .canvas import svg
from .plants import Direction

_BOOKS = ("c0392b", "2f6fae", "e0a030", "3d8b57", "7a4a9c", "d8d0c0", "34495e", "cf6f4a")


def _fade(name: str, left: str, right: str, upright: bool = False) -> str:
    """A linear gradient definition."""
    axis = 'x2="0" y2="1"' if upright else 'x2="1" y2="0"'
    return (
        f'<linearGradient id="{name}" x1="0" y1="0" {axis}><stop offset="0" stop-color="#{left}"/>'
        f'<stop offset="1" stop-color="#{right}"/></linearGradient>'
    )


def _glow(name: str, color: str, strength: float = 0.9) -> str:
    return (
        f'<radialGradient id="{name}"><stop offset="0" stop-color="#{color}" stop-opacity="{strength}"/>'
        f'<stop offset="1" stop-color="#{color}" stop-opacity="0"/></radialGradient>'
    )


def _sides(light: Direction, dark: str, pale: str) -> tuple[str, str]:
    return (pale, dark) if light[0] < 0 else (dark, pale)


def _box(x: float, y: float, w: float, h: float, fill: str, r: float = 0) -> str:
    return f'<rect x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}" rx="{r:g}" fill="{fill}"/>'


def lamp_post(height: int, rng: Rng, light: Direction) -> Array:
    """A street lamp with a lit lantern."""
    left, right = _sides(light, "14181f", "4d5866")
    body = (
        f"<defs>{_fade('m', left, right)}{_glow('g', 'ffd98a', 0.85)}{_fade('l', 'fff6d6', 'ffc860', True)}</defs>"
        '<circle cx="50" cy="42" r="42" fill="url(#g)"/>'
        '<path d="M45 300 L47 84 h6 L55 300z" fill="url(#m)"/><path d="M36 300 q2 -26 10 -30 h8 q8 4 10 30z" fill="url(#m)"/>'
        '<rect x="42" y="232" width="16" height="6" rx="3" fill="url(#m)"/><path d="M40 84 h20 l-4 -8 h-12z" fill="url(#m)"/>'
        '<path d="M38 34 L42 76 h16 L62 34z" fill="url(#l)"/><path d="M38 34 L42 76 h16 L62 34z M50 34 V76" fill="none" '
        'stroke="#1c222b" stroke-width="2.5"/>'
        '<path d="M32 35 Q50 6 68 35z" fill="url(#m)"/><circle cx="50" cy="14" r="4" fill="#2b323c"/>'
    )
    return svg(body, (100, 300), height)


def street_lamp(height: int, rng: Rng, light: Direction) -> Array:
    """A tall modern street light with a curved arm."""
    body = (
        f"<defs>{_fade('m', *_sides(light, '1b2028', '5b6672'))}{_glow('g', 'ffe0a0', 0.9)}</defs>"
        '<path d="M20 300 L22 60 Q24 16 70 14 L92 16 v6 L70 20 Q30 22 28 62 L30 300z" fill="url(#m)"/>'
        '<path d="M16 300 l2 -26 h14 l2 26z" fill="url(#m)"/><path d="M66 12 h34 q4 6 0 12 h-30z" fill="#2a313b"/>'
        '<ellipse cx="84" cy="25" rx="15" ry="4.5" fill="#fff1c8"/><circle cx="84" cy="28" r="30" fill="url(#g)"/>'
    )
    return svg(body, (116, 300), height)


def bench(height: int, rng: Rng, light: Direction) -> Array:
    """A park bench."""
    slats = "".join(_box(10, y, 200, 11, "url(#w)", 4) for y in (12, 27, 42))
    seat = "".join(_box(4, y, 212, 8, "url(#w)", 4) for y in (64, 73))
    body = (
        f"<defs>{_fade('w', 'b07a46', '7a4d29', True)}{_fade('m', '4a525c', '20252c')}</defs>"
        '<path d="M24 120 L30 8 h10 L36 120z M184 120 L180 8 h10 L196 120z" fill="url(#m)"/>'
        f'{slats}{seat}<path d="M12 82 h12 v38 h-12z M196 82 h12 v38 h-12z" fill="url(#m)"/>'
    )
    return svg(body, (220, 120), height)


def fence(height: int, rng: Rng, light: Direction) -> Array:
    """A length of wooden fence."""
    posts = "".join(
        f'<path d="M{x} 100 V14 l9 -10 l9 10 V100z" fill="url(#p)"/><path d="M{x + 13} 100 V9 l5 5 V100z" fill="#000" '
        'fill-opacity=".18"/>'
        for x in range(6, 300, 34)
    )
    rails = _box(0, 30, 320, 11, "url(#r)", 3) + _box(0, 66, 320, 11, "url(#r)", 3)
    body = f"<defs>{_fade('p', 'fdf8ee', 'cfc4b2', True)}{_fade('r', 'e8dfd0', 'b0a490', True)}</defs>{rails}{posts}"
    return svg(body, (320, 100), height)


def table(height: int, rng: Rng, light: Direction) -> Array:
    """A wooden table seen slightly from above; things stand on its top, the upper third."""
    legs = "".join(f'<path d="M{x} 58 h20 l-4 102 h-12z" fill="url(#l)"/>' for x in (30, 270))
    back = "".join(f'<path d="M{x} 44 h13 l-3 86 h-8z" fill="#5c3a20"/>' for x in (66, 242))
    grain = "".join(
        f'<path d="M{20 + 6 * i} {14 + 6 * i} H{300 - 6 * i}" stroke="#7a4d29" stroke-opacity=".35"/>' for i in range(4)
    )
    body = (
        f"<defs>{_fade('t', 'c98d55', '9c6536', True)}{_fade('l', *_sides(light, '6b4324', 'a06c3d'))}"
        f"{_fade('e', '8a5830', '6a4020', True)}</defs>"
        f'{back}<path d="M44 6 H276 L314 44 H6z" fill="url(#t)"/>{grain}'
        '<path d="M6 44 H314 v13 q0 4 -4 4 H10 q-4 0 -4 -4z" fill="url(#e)"/><path d="M6 44 H314" stroke="#e2ad78" '
        f'stroke-width="2"/>{legs}'
    )
    return svg(body, (320, 160), height)


def sofa(height: int, rng: Rng, light: Direction) -> Array:
    """A two-seat sofa with cushions."""
    dark, mid, pale = (("2f5d73", "437f9a", "6fabc2"), ("7d3c3c", "a85454", "cf8079"), ("4d5a3c", "6f8254", "9fb07c"))[
        int(rng.integers(3))
    ]
    body = (
        f"<defs>{_fade('b', pale, mid, True)}{_fade('s', mid, dark, True)}{_fade('c', pale, mid, True)}</defs>"
        '<rect x="34" y="10" width="252" height="96" rx="26" fill="url(#b)"/><path d="M160 16 V92" stroke="#000" '
        'stroke-opacity=".15" stroke-width="3"/>'
        '<rect x="40" y="74" width="118" height="46" rx="14" fill="url(#c)"/><rect x="162" y="74" width="118" '
        'height="46" rx="14" fill="url(#c)"/>'
        '<rect x="36" y="108" width="248" height="38" rx="10" fill="url(#s)"/>'
        '<rect x="10" y="52" width="46" height="96" rx="20" fill="url(#b)"/><rect x="264" y="52" width="46" height="96" '
        'rx="20" fill="url(#b)"/>'
        '<rect x="62" y="52" width="46" height="42" rx="9" fill="#f2d9a6" transform="rotate(-8 85 73)"/>'
        '<path d="M30 146 h14 l-3 14 h-8z M276 146 h14 l-3 14 h-8z" fill="#4a2f1b"/>'
    )
    return svg(body, (320, 160), height)


def shelf(height: int, rng: Rng, light: Direction) -> Array:
    """A bookcase with books and ornaments."""
    rows: list[str] = []
    for i in range(4):
        y = 12 + i * 58
        x = 16.0
        while x < 148:
            wide, tall = 7 + 8 * rng.random(), 32 + 16 * rng.random()
            if rng.random() < 0.1:
                rows.append(f'<circle cx="{x + 12:g}" cy="{y + 39:g}" r="10" fill="#d9b26a"/>')
                x += 27
                continue
            color = _BOOKS[int(rng.integers(len(_BOOKS)))]
            rows.append(
                _box(x, y + 50 - tall, wide, tall, f"#{color}", 1)
                + _box(x + wide * 0.2, y + 56 - tall, wide * 0.6, 3, "#fff6dc")
            )
            x += wide + 0.6
        rows.append(
            _box(10, y + 50, 148, 8, "url(#w)")
            + _box(14, y, 140, 7, "#000000", 0).replace("/>", ' fill-opacity=".28"/>')
        )
    body = (
        f"<defs>{_fade('w', 'a8713f', '7c5029', True)}{_fade('s', *_sides(light, '6b4222', '9a6838'))}</defs>"
        '<rect x="2" y="2" width="164" height="256" rx="3" fill="url(#s)"/><rect x="12" y="10" width="144" height="236" '
        'fill="#3e2716"/>' + "".join(rows)
    )
    return svg(body, (168, 258), height)


def floor_lamp(height: int, rng: Rng, light: Direction) -> Array:
    """A lit floor lamp."""
    body = (
        f"<defs>{_glow('g', 'ffd890', 0.75)}{_fade('s', 'fff3cf', 'ffc874', True)}{_fade('m', '8b6a3c', '4d3a20')}</defs>"
        '<circle cx="70" cy="64" r="70" fill="url(#g)"/><rect x="67" y="92" width="6" height="202" fill="url(#m)"/>'
        '<ellipse cx="70" cy="294" rx="30" ry="7" fill="#3a2b18"/><path d="M44 24 h52 l18 70 h-88z" fill="url(#s)"/>'
        '<path d="M26 94 q44 10 88 0" fill="none" stroke="#e0a04c" stroke-width="3"/>'
    )
    return svg(body, (140, 302), height)


def rug(height: int, rng: Rng, light: Direction) -> Array:
    """An oval rug lying on the floor."""
    tones = (("8f2f3b", "e4c590", "b85a4a"), ("2f5d7a", "e9ddc0", "5c93ad"), ("5a6b3c", "eadfbd", "8a9c5c"))[
        int(rng.integers(3))
    ]
    body = "".join(
        f'<ellipse cx="200" cy="50" rx="{198 * k:g}" ry="{48 * k:g}" fill="#{tones[i % 3]}"/>'
        for i, k in enumerate((1.0, 0.93, 0.86, 0.68, 0.62, 0.3))
    )
    return svg(body, (400, 100), height)


def fireplace(height: int, rng: Rng, light: Direction) -> Array:
    """A brick fireplace with a fire burning."""
    bricks = "".join(
        _box(14 + (x * 30 - 15 * (y % 2)), 34 + y * 15, 28, 13, ("#a4553f", "#b5634a", "#944a37")[(x + y * 2) % 3], 2)
        for y in range(11)
        for x in range(9)
    )
    body = (
        f"<defs>{_glow('g', 'ff9a3c', 0.9)}{_fade('f', 'ffe08a', 'ff5a1e', True)}<clipPath id='k'><rect x='14' y='30' "
        "width='232' height='170'/></clipPath></defs>"
        f'<rect x="14" y="30" width="232" height="170" fill="#7a3c2c"/><g clip-path="url(#k)">{bricks}</g>'
        '<path d="M70 200 V110 q60 -46 120 0 V200z" fill="#1b0f0b"/><ellipse cx="130" cy="176" rx="64" ry="48" fill="url(#g)"/>'
        '<path d="M92 190 q-8 -34 16 -52 q0 18 12 22 q4 -34 22 -46 q-2 28 16 40 q6 10 2 36z" fill="url(#f)"/>'
        '<path d="M112 190 q-2 -20 14 -32 q10 14 16 32z" fill="#fff3b8"/>'
        '<path d="M84 186 l92 8 v8 l-92 -8z M176 184 l-92 10 v8 l92 -10z" fill="#4d2c18"/><rect x="2" y="16" '
        'width="256" height="18" rx="4" fill="#8a5c34"/>'
    )
    return svg(body, (260, 202), height)


def plant(height: int, rng: Rng, light: Direction) -> Array:
    """A leafy house plant in a pot."""
    leaves = "".join(
        f'<g transform="rotate({a:g} 60 116)"><path d="M60 116 Q{38 - 4 * (i % 2)} {70 - 8 * (i % 3)} 60 '
        f'{26 + 8 * (i % 3)} Q{82 + 4 * (i % 2)} {70 - 8 * (i % 3)} 60 116z" '
        f'fill="#{("3f8f4f", "2f7442", "5aa85a")[i % 3]}"/><path d="M60 112 V40" stroke="#8fd07a" stroke-width="1.5" '
        'stroke-opacity=".6"/></g>'
        for i, a in enumerate((-62, 58, -40, 36, -18, 16, 0))
    )
    body = (
        f"<defs>{_fade('p', *_sides(light, 'a04f30', 'e08a5c'))}</defs>{leaves}"
        '<path d="M34 112 H86 L80 176 q-20 6 -40 0z" fill="url(#p)"/><rect x="30" y="106" width="60" height="14" rx="4" '
        'fill="url(#p)"/>'
    )
    return svg(body, (120, 180), height)


def barn(height: int, rng: Rng, light: Direction) -> Array:
    """A red barn with a gambrel roof and a silo."""
    planks = "".join(f'<path d="M{x} 92 V200" stroke="#000" stroke-opacity=".13"/>' for x in range(30, 216, 9))
    body = (
        f"<defs>{_fade('r', *_sides(light, '8e2320', 'c93c33'))}{_fade('t', '6a6f7c', '454955', True)}"
        f"{_fade('s', *_sides(light, '8d939c', 'e3e6ea'))}</defs>"
        '<path d="M222 200 V64 q24 -34 48 0 V200z" fill="url(#s)"/><path d="M222 64 q24 -36 48 0z" fill="#b9382f"/>'
        '<path d="M24 200 V96 L56 46 L120 16 L184 46 L216 96 V200z" fill="url(#r)"/>'
        + planks
        + '<path d="M12 104 L50 42 L120 8 L190 42 L228 104 l-14 4 L180 52 L120 24 L60 52 L26 108z" fill="url(#t)"/>'
        '<rect x="76" y="118" width="88" height="82" fill="#7a1f1c"/><path d="M76 118 h88 v82 h-88z M76 118 l44 82 M120 '
        '118 l44 82 M120 118 V200 M120 118 L76 200 M164 118 L120 200" fill="none" stroke="#fff4e6" stroke-width="4"/>'
        '<rect x="102" y="58" width="36" height="34" fill="#3b1512" stroke="#fff4e6" stroke-width="4"/>'
    )
    return svg(body, (274, 200), height)


def windmill(height: int, rng: Rng, light: Direction) -> Array:
    """A tower windmill with lattice sails."""
    turn = 12 + 30 * rng.random()
    sail = (
        '<path d="M0 0 V-96" stroke="#5b4028" stroke-width="4"/><path d="M3 -26 h20 v-68 h-20z" fill="#f7f1e3"/>'
        + "".join(f'<path d="M3 {y} h20" stroke="#8a6a48" stroke-width="1.6"/>' for y in range(-94, -22, 10))
    )
    sails = "".join(f'<g transform="translate(110 92) rotate({turn + 90 * i:g})">{sail}</g>' for i in range(4))
    body = (
        f"<defs>{_fade('t', *_sides(light, 'b8a58c', 'fbf3e2'))}{_fade('c', *_sides(light, '6b3a26', 'a9603c'))}</defs>"
        '<path d="M80 100 H140 L158 280 H62z" fill="url(#t)"/><path d="M74 104 Q110 46 146 104z" fill="url(#c)"/>'
        '<rect x="98" y="236" width="24" height="44" rx="12" fill="#5a3a22"/><rect x="102" y="150" width="16" '
        'height="22" rx="8" fill="#41525f"/><rect x="102" y="194" width="16" height="22" rx="8" fill="#41525f"/>'
        f'{sails}<circle cx="110" cy="92" r="8" fill="#4a3020"/>'
    )
    return svg(body, (220, 280), height)


def tower(height: int, rng: Rng, light: Direction) -> Array:
    """A round stone tower with a pointed roof."""
    stones = "".join(
        _box(40 + (x * 22 - 11 * (y % 2)), 96 + y * 14, 18, 10, "#000000", 2).replace(
            "/>", f' fill-opacity="{0.05 + 0.05 * ((x * 3 + y * 5) % 3)}"/>'
        )
        for y in range(14)
        for x in range(5)
    )
    body = (
        f"<defs>{_fade('s', *_sides(light, '6d6c78', 'd5d0c6'))}{_fade('r', *_sides(light, '3a2c6b', '7d63c9'))}"
        "<clipPath id='k'><path d='M44 90 H116 L122 290 H38z'/></clipPath></defs>"
        f'<path d="M44 90 H116 L122 290 H38z" fill="url(#s)"/><g clip-path="url(#k)">{stones}</g>'
        '<path d="M34 96 V78 h12 v8 h12 v-8 h14 v8 h16 v-8 h14 v8 h12 v-8 h12 V96 q-46 10 -92 0z" fill="url(#s)"/><path '
        'd="M80 2 L122 80 H38z" fill="url(#r)"/>'
        '<path d="M70 290 v-34 q10 -14 20 0 v34z" fill="#4a3020"/><path d="M72 150 v-18 q8 -10 16 0 v18z M72 206 v-18 '
        'q8 -10 16 0 v18z" fill="#ffd98a"/>'
    )
    return svg(body, (160, 290), height)


def well(height: int, rng: Rng, light: Direction) -> Array:
    """A roofed stone well."""
    body = (
        f"<defs>{_fade('s', *_sides(light, '6e6b70', 'bdb8b2'))}{_fade('r', 'b4583c', '7c3624', True)}</defs>"
        '<path d="M36 50 h10 v82 h-10z M134 50 h10 v82 h-10z" fill="#6b4426"/><path d="M10 58 L90 4 L170 58z" fill="url(#r)"/>'
        '<path d="M90 54 V100" stroke="#d8c49a" stroke-width="3"/><path d="M78 98 h24 l-4 20 h-16z" fill="#7b5230"/>'
        '<path d="M22 126 H158 L150 190 H30z" fill="url(#s)"/><ellipse cx="90" cy="126" rx="68" ry="13" '
        'fill="#8f8b88"/><ellipse cx="90" cy="127" rx="54" ry="9" fill="#1d2733"/>'
        + "".join(
            _box(30 + 24 * x - 10 * (y % 2), 140 + 16 * y, 20, 12, "none", 3).replace(
                "/>", ' stroke="#000" stroke-opacity=".22"/>'
            )
            for y in range(3)
            for x in range(6)
        )
    )
    return svg(body, (180, 190), height)


def bridge(height: int, rng: Rng, light: Direction) -> Array:
    """An arched stone bridge."""
    body = (
        f"<defs>{_fade('s', 'cfc5b4', '857b70', True)}</defs>"
        '<path d="M0 140 V70 Q160 -20 320 70 V140 H262 Q250 74 160 70 Q70 74 58 140z" fill="url(#s)"/>'
        '<path d="M0 70 Q160 -20 320 70" fill="none" stroke="#efe6d6" stroke-width="12"/><path d="M58 140 Q70 74 160 70 '
        'Q250 74 262 140" fill="none" stroke="#6b6259" stroke-width="6"/>'
    )
    return svg(body, (320, 140), height)


def pyramid(height: int, rng: Rng, light: Direction) -> Array:
    """A stepped stone pyramid with a lit and a shaded face."""
    courses = "".join(
        f'<path d="M{160 - 160 * y / 200:g} {y} L{160 + 40 * y / 200:g} {y}" stroke="#000" stroke-opacity=".09" '
        'stroke-width="2"/>'
        for y in range(16, 200, 12)
    )
    first, second = _sides(light, "a97c46", "f0cf92")
    body = f'<path d="M160 0 L0 200 H200z" fill="#{first}"/><path d="M160 0 L200 200 H320z" fill="#{second}"/>{courses}'
    return svg(body, (320, 200), height)
