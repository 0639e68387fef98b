"""Adam with decoupled weight decay (Loshchilov and Hutter, 2019) on one vector, in numpy."""

from __future__ import annotations

import numpy as np

from skills.encoder import Floats

_MEAN_DECAY, _SQUARE_DECAY, _TINY = 0.9, 0.999, 1e-8


class Adam:
    """Moves `flat`, a float32 vector, in place."""

    def __init__(self, flat: Floats) -> None:
        self._flat = flat
        self._mean, self._square, self._steps = np.zeros_like(flat), np.zeros_like(flat), 0

    def step(self, gradient: Floats, rate: float, decay: float = 0.0) -> None:
        """Move against the gradient, whose length counts as 1 at most; the gradient is used up."""
        gradient /= max(1.0, float(np.linalg.norm(gradient)))
        self._steps += 1
        self._mean += (1 - _MEAN_DECAY) * (gradient - self._mean)
        self._square += (1 - _SQUARE_DECAY) * (gradient * gradient - self._square)
        scale = np.sqrt(self._square / np.float32(1 - _SQUARE_DECAY**self._steps)) + np.float32(_TINY)
        self._flat *= np.float32(1 - rate * decay)
        self._flat -= np.float32(rate / (1 - _MEAN_DECAY**self._steps)) * self._mean / scale
