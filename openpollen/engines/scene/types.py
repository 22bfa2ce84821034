"""The values that pass between the parts of the scene engine.

A prompt becomes a `Plan`; a backdrop painter turns the plan into a `Stage`; composition turns plan and stage into
`Sprite`s. Images are float32, 0..1, in display values (sRGB, not linear light), height x width x channels, row 0 at the
top. RGBA images are premultiplied: colour is already multiplied by alpha.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.floating[Any]]  # float32 wherever a picture is meant
Rgb: TypeAlias = tuple[float, float, float]

Setting = Literal[
    "space",
    "underwater",
    "sea",
    "beach",
    "city",
    "forest",
    "desert",
    "mountain",
    "snow",
    "meadow",
    "room",
    "sky",
    "jungle",
    "farm",
    "stage",
    "kitchen",
    "plain",
]
TimeOfDay = Literal["day", "dawn", "sunset", "dusk", "night"]
Weather = Literal["clear", "cloudy", "rain", "storm", "snow", "fog", "wind"]
Style = Literal[
    "default",
    "oil",
    "watercolor",
    "pixel",
    "sketch",
    "neon",
    "vintage",
    "noir",
    "comic",
    "pastel",
    "clay",
    "stained-glass",
]
RelationKind = Literal[
    "on",
    "above",
    "beside",
    "under",
    "in",
    "riding",
    "behind",
    "in_front",
    "held",
    "facing",
    "close",
    "chasing",
    "between",
    "left",
    "right",
]
Part = Literal["sky", "clouds", "sun", "moon", "water", "ground"]


@dataclass(frozen=True)
class Tint:
    """A named colour, channels 0..1."""

    name: str
    rgb: Rgb


@dataclass(frozen=True)
class Subject:
    """A thing to draw `count` times. `key` is an icon id ("cat"), or a prop id ("tree") when `prop` is true."""

    key: str
    noun: str
    count: int = 1
    tint: Tint | None = None
    size: float = 1.0
    grounded: bool = True
    flies: bool = False
    swims: bool = False
    floats: bool = False
    prop: bool = False
    texts: tuple[str, ...] = ()  # written on the copies, one each; a single one is on every copy
    ink: Tint | None = None  # of the texts
    aligned: bool = False  # the copies stand in one row


@dataclass(frozen=True)
class Relation:
    """`plan.subjects[subject]` stands in relation `kind` to `plan.subjects[target]`.

    When both are the same subject, its copies do it to each other.
    """

    subject: int
    kind: RelationKind
    target: int


@dataclass(frozen=True)
class Plan:
    """What a prompt asks for, in words the painters know."""

    prompt: str
    setting: Setting = "meadow"
    setting_named: bool = False
    time: TimeOfDay = "day"
    weather: Weather = "clear"
    style: Style = "default"
    subjects: tuple[Subject, ...] = ()
    relations: tuple[Relation, ...] = ()
    text: str = ""  # a title across the picture
    palette: tuple[Tint, ...] = ()
    washes: tuple[tuple[Part, Tint], ...] = ()  # parts of the backdrop in a colour that was asked for
    moon: bool = False
    sun: bool = False
    sky_side: int = 0  # where sun or moon stands: -1 left, 1 right, 0 anywhere
    extra: frozenset[str] = frozenset()
    unknown: tuple[str, ...] = ()
    denied: frozenset[str] = frozenset()  # what must not be there, as `denial` writes it

    @property
    def snowy(self) -> bool:
        """Whether snow lies on the ground and the trees."""
        return self.weather == "snow" or "snow" in self.extra


@dataclass(frozen=True)
class Light:
    """`direction` is a unit vector from the scene towards the light, x right, y up. `sun_xy` is 0..1 from top left."""

    direction: tuple[float, float]
    color: Rgb
    ambient: Rgb
    strength: float
    rim: Rgb | None = None
    sun_xy: tuple[float, float] | None = None


@dataclass(frozen=True)
class Layer:
    """One RGBA plane of a backdrop; `depth` 0 is the farthest, 1 the nearest."""

    rgba: Array
    depth: float
    name: str = ""


@dataclass
class Stage:
    """What a backdrop painter returns: a finished picture without the subjects, and what is needed to put them in."""

    image: Array
    horizon: float  # 0..1 of the height
    ground: Array  # length W: y in pixels of the walkable ground's far (upper) edge per column
    ground_band: tuple[float, float]  # 0..1 of the height, far then near, where feet of grounded subjects may stand
    water: Array | None  # H x W mask, 0..1, of water that reflects
    light: Light
    haze: tuple[Rgb, float]  # colour and strength of the air at the far end
    layers: tuple[Layer, ...] = ()  # back to front; `image` is their composite
    foreground: Array | None = None  # RGBA drawn after the subjects: grass tips, rain, falling snow


@dataclass
class Sprite:
    """One drawn copy of a subject. `x`, `y` are the pixel of its anchor, the middle of its bottom edge."""

    rgba: Array
    x: float
    y: float
    depth: float  # 0 far .. 1 near; sprites are drawn in this order
    subject: int
    grounded: bool = True
    on: int = -1  # index of the sprite that carries this one, or -1
    glow: Rgb | None = None  # light it casts on its surroundings
    data: dict[str, Any] = field(default_factory=dict[str, Any])
