"""Animated scenes as MP4 films."""

from openpollen.engines.video.engine import SceneVideoEngine

__all__ = ["SceneVideoEngine"]
