"""Kokoro-82M (int8 ONNX): phonemes and a style vector in, 24 kHz sound out. The vectors are package assets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openpollen.engines.voices import Voice

VOICE_FILE = Path(__file__).parent / "assets" / "voices" / "kokoro-voices.npz"
STYLE_ROWS, STYLE_WIDTH = 256, 256


class Kokoro:
    """The loaded model. ``vocabulary`` maps phoneme characters (misaki's alphabet) to the model's token ids."""

    def __init__(self, weights: Path, vocabulary: dict[str, int], threads: int) -> None:
        import onnxruntime

        ort: Any = onnxruntime  # its session classes are untyped
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session: Any = ort.InferenceSession(str(weights), options, providers=["CPUExecutionProvider"])
        self._vocabulary = vocabulary
        self._styles: dict[str, NDArray[np.float32]] = {}

    def speak(self, phonemes: str, voice: Voice, speed: float) -> NDArray[np.float32]:
        """One piece of at most ``STYLE_ROWS - 1`` phonemes; ``speed`` is the model's own, sound between 0.5 and 2."""
        ids = [self._vocabulary[symbol] for symbol in phonemes if symbol in self._vocabulary]
        feed = {
            "tokens": np.array([[0, *ids, 0]], np.int64),
            "style": self._style(voice)[len(ids)][None],
            "speed": np.array([speed], np.float32),
        }
        return np.asarray(self._session.run(None, feed)[0], np.float32).reshape(-1)

    def _style(self, voice: Voice) -> NDArray[np.float32]:
        if voice.name not in self._styles:
            self._styles[voice.name] = style(voice)
        return self._styles[voice.name]


def style(voice: Voice) -> NDArray[np.float32]:
    """The style table of a voice, ``(STYLE_ROWS, STYLE_WIDTH)``; row n is for a piece of n phonemes."""
    with np.load(VOICE_FILE) as pack:
        tables = np.stack([pack[name] for name, _ in voice.blend]).astype(np.float32)
    weights = np.array([weight for _, weight in voice.blend], np.float32)
    return np.einsum("v,vrw->rw", weights, tables)
