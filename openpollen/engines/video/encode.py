"""Frames and sound to an MP4 file (H.264 4:2:0, AAC), one frame at a time, through PyAV."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

RATE = 44_100
_SOUND_BLOCK = 1024  # samples in one AAC frame
_THREADS = 2  # fixed, because the encoder's output depends on it and the same seed must give the same file


class FilmWriter:
    """Writes a film to `path`. Call `picture` once for each frame, then `close`."""

    def __init__(
        self, path: Path, width: int, height: int, fps: int, sound: NDArray[np.float32] | None, facts: dict[str, str]
    ) -> None:
        import av

        self._av: Any = av
        self._file: Any = av.open(str(path), "w", format="mp4", options={"movflags": "+faststart+use_metadata_tags"})
        for name, text in facts.items():
            self._file.metadata[name] = text
        self._video: Any = self._file.add_stream("libx264", rate=fps)
        self._video.width, self._video.height, self._video.pix_fmt = width, height, "yuv420p"
        self._video.options = {
            "preset": "superfast",  # at this crf the size and the quality of "veryfast" at 20, in two thirds of the time
            "crf": "22",
            "threads": str(_THREADS),
            "x264-params": "mbtree=0",  # its assembly reads memory it has not set when the rows do not fill its blocks
        }
        self._video.codec_context.time_base = Fraction(1, fps)
        self._audio: Any = None
        if sound is not None:
            self._audio = self._file.add_stream("aac", rate=RATE, layout="stereo")
            self._audio.bit_rate = 160_000
            self._audio.options = {"aac_coder": "fast"}  # half the time of the default, no difference at this rate
        self._sound = sound
        self._fps = fps
        self._frames = 0
        self._heard = 0

    def picture(self, frame: NDArray[np.uint8]) -> None:
        """Append one frame, height x width x 3 bytes, and the sound that goes with it."""
        image = self._av.VideoFrame.from_ndarray(frame, format="rgb24")
        image.pts = self._frames
        image.time_base = Fraction(1, self._fps)
        self._frames += 1
        self._file.mux(self._video.encode(image))
        self._sound_until(self._frames / self._fps)

    def close(self) -> None:
        """Write what the encoders still hold and finish the file."""
        self._file.mux(self._video.encode(None))
        if self._audio is not None and self._sound is not None:
            self._sound_until(len(self._sound) / RATE + 1)
            self._file.mux(self._audio.encode(None))
        self._file.close()

    def abandon(self) -> None:
        """Close the file unfinished."""
        self._file.close()

    def _sound_until(self, seconds: float) -> None:
        if self._sound is None:
            return
        end = min(len(self._sound), int(seconds * RATE))
        while self._heard < end:
            stop = min(self._heard + _SOUND_BLOCK, len(self._sound))
            if stop > end and end < len(self._sound):
                return
            block = np.ascontiguousarray(self._sound[self._heard : stop].T)
            frame = self._av.AudioFrame.from_ndarray(block, format="fltp", layout="stereo")
            frame.sample_rate, frame.pts, frame.time_base = RATE, self._heard, Fraction(1, RATE)
            self._file.mux(self._audio.encode(frame))
            self._heard = stop
