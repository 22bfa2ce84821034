"""Music from words: ``compose`` writes a score, ``render`` plays it, ``ComposerEngine`` is the local engine."""

from openpollen.engines.music.composer import compose
from openpollen.engines.music.engine import ComposerEngine
from openpollen.engines.music.render import RATE, render

__all__ = ["RATE", "ComposerEngine", "compose", "render"]
