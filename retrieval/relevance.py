"""stub"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from retrieval.lexical import Floats


@dataclass(frozen=True, slots=True)
class Relevance:
    dense: float = 12.0
    lexical: float = 5.0
    bias: float = -7.0
    floor: float = 0.5

    def probability(self, dense: Floats, lexical: Floats) -> Floats:
        return (1 / (1 + np.exp(-(self.dense * dense + self.lexical * lexical + self.bias)))).astype(np.float32)
