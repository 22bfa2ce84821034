"""The illustrated scene engine: pictures composed from vector art by what the prompt says."""

from __future__ import annotations

from .engine import SceneEngine

__all__ = ["SceneEngine"]
