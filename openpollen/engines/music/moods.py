"""The moods that the composer knows: how each bends a style."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mood:
    """How a mood bends a style: ``mode`` it asks for, tempo factor, loudness and brightness of playing (0 to 1 around
    0.5), register shift of the melody in semitones, and whether it quiets the drums."""

    words: tuple[str, ...]
    mode: str = ""
    tempo: float = 1.0
    force: float = 0.5
    register: int = 0
    density: float = 0.0
    soft_drums: bool = False
    pad: str = ""


MOODS: dict[str, Mood] = {
    "happy": Mood(
        ("happy", "joyful", "cheerful", "sunny", "uplifting", "fun", "playful", "bright", "joy"),
        "major",
        1.06,
        0.6,
        3,
        0.08,
    ),
    "sad": Mood(
        ("sad", "melancholy", "melancholic", "sorrow", "heartbreak", "lonely", "somber", "sombre", "grief", "crying"),
        "minor",
        0.84,
        0.32,
        -2,
        -0.15,
        True,
    ),
    "dark": Mood(
        ("dark", "sinister", "evil", "horror", "scary", "spooky", "halloween", "ominous", "gothic", "haunted"),
        "minor",
        0.92,
        0.5,
        -8,
        -0.1,
        pad="choir",
    ),
    "epic": Mood(
        ("epic", "heroic", "powerful", "triumphant", "majestic", "grand", "massive"),
        "",
        1.0,
        0.85,
        2,
        0.05,
        pad="strings",
    ),
    "calm": Mood(
        ("calm", "peaceful", "relaxing", "gentle", "soft", "soothing", "quiet", "tranquil", "serene", "slow"),
        "",
        0.86,
        0.25,
        0,
        -0.15,
        True,
    ),
    "tense": Mood(
        ("tense", "suspense", "suspenseful", "thriller", "anxious", "chase", "dramatic", "urgent"),
        "harmonic minor",
        1.06,
        0.65,
        -3,
        0.05,
    ),
    "energetic": Mood(
        ("energetic", "intense", "driving", "fast", "hype", "workout", "powerful", "wild", "aggressive"),
        "",
        1.1,
        0.8,
        2,
        0.12,
    ),
    "dreamy": Mood(
        ("dreamy", "ethereal", "floating", "magical", "wonder", "starry", "space", "cosmic"),
        "lydian",
        0.9,
        0.35,
        4,
        -0.12,
        True,
        pad="halo pad",
    ),
    "romantic": Mood(("romantic", "love", "tender", "warm", "wedding", "sensual"), "major", 0.9, 0.4, 0, -0.05, True),
    "mysterious": Mood(
        ("mysterious", "mystery", "detective", "enigmatic", "strange", "noir"), "dorian", 0.94, 0.4, -4, -0.1
    ),
    "nostalgic": Mood(("nostalgic", "memories", "bittersweet", "longing", "rainy", "autumn"), "", 0.92, 0.38, 0, -0.08),
    "hopeful": Mood(
        ("hopeful", "inspiring", "inspirational", "motivational", "optimistic", "positive"), "major", 1.0, 0.55, 2, 0.0
    ),
}

#: No mood named.
NEUTRAL = Mood(())
