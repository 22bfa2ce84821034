"""Faster or slower at the same pitch: waveform-similarity overlap-add.

Source: W. Verhelst and M. Roelands, "An overlap-add technique based on waveform similarity (WSOLA) for high quality
time-scale modification of speech", ICASSP 1993.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_WINDOW_SECONDS = 0.030
_SEARCH_SECONDS = 0.010


def stretch(samples: NDArray[np.float32], factor: float, rate: int) -> NDArray[np.float32]:
    """Mono ``samples`` at ``rate`` Hz played ``factor`` times as fast: the result is ``1 / factor`` as long."""
    hop = int(_WINDOW_SECONDS * rate / 2)
    window, reach = 2 * hop, int(_SEARCH_SECONDS * rate)
    length = round(len(samples) / factor)
    if abs(factor - 1.0) < 1e-3 or len(samples) < window:
        return samples
    weight = np.hanning(window + 1)[:-1].astype(np.float32)
    padded = np.pad(samples, (reach + hop, reach + 3 * window))
    out = np.zeros(length + 2 * window, np.float32)
    place = reach  # where in ``padded`` the frame is taken from; the first is centred on the first sample
    for at in range(0, length + hop, hop):
        if at:
            ideal = reach + round(at * factor)
            following = padded[place + hop : place + hop + window]
            near = padded[ideal - reach : ideal + reach + window]
            place = ideal - reach + _best_match(near, following)
        out[at : at + window] += weight * padded[place : place + window]
    return out[hop : hop + length]


def _best_match(near: NDArray[np.float32], wanted: NDArray[np.float32]) -> int:
    """Offset in ``near`` where it is most like ``wanted`` (normalised cross-correlation)."""
    likeness = np.correlate(near, wanted, mode="valid")
    power = np.cumsum(np.concatenate(([0.0], near.astype(np.float64) ** 2)))
    energy = power[len(wanted) :] - power[: -len(wanted)]
    return int(np.argmax(likeness / np.sqrt(energy + 1e-6)))
