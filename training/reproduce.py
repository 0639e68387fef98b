"""The gate's first test: a fresh process loads the bundle and predicts the same.

Run as `python -m training.reproduce MODULE:FUNCTION FOLDER`: texts come as a JSON list on standard input, predictions
go to standard output. The function takes the bundle's folder and gives what answers customers.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from bot.core.errors import IntegrityError
from bot.core.protocols import Utterance
from training.evaluate import Understander
from training.verdict import Integrity

Prediction = tuple[str, float, float, list[list[object]]]
"""Best intent, its probability, the probability of being in scope, and the entities as [type, start, end]."""

_SECONDS = 120
_SAME = 0.999
_TOLERANCE = 1e-4


def predictions(bundle: Understander, texts: Sequence[str]) -> list[Prediction]:
    """What the bundle makes of each text, as plain values."""
    return [
        (
            found.intents[0].name if found.intents else "",
            float(found.intents[0].score) if found.intents else 0.0,
            float(found.in_scope),
            [[entity.type, entity.start, entity.end] for entity in found.entities],
        )
        for found in bundle.run([Utterance(text=text) for text in texts])
    ]


def reproduce(folder: Path, loader: str, texts: Sequence[str], expected: Sequence[Prediction]) -> Integrity:
    """Predict in a fresh process and compare: 99.9 % of the rows equal, no score off by more than 0.0001.

    Raises:
        IntegrityError: the process could not load the bundle; quotes the end of what it said.
    """
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(  # noqa: S603 - our own module, by our own interpreter
        [sys.executable, "-m", "training.reproduce", loader, str(folder)],
        input=json.dumps(texts).encode(),
        capture_output=True,
        timeout=_SECONDS,
        env=environment,
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["nothing"]
        raise IntegrityError(str(folder), f"a fresh process cannot load the new bundle; it said: {said[0]}")
    return compared(expected, json.loads(done.stdout))


def compared(expected: Sequence[Prediction], found: Sequence[Prediction]) -> Integrity:
    """How far two runs over the same texts agree."""
    pairs = list(zip(expected, found, strict=True))
    same = sum((one[0], one[3]) == (other[0], other[3]) for one, other in pairs)
    change = max((abs(a - b) for one, other in pairs for a, b in zip(one[1:3], other[1:3], strict=True)), default=0.0)
    agreement = same / len(pairs) if pairs else 1.0
    passed = agreement >= _SAME and change <= _TOLERANCE
    return Integrity(passed=passed, rows=len(pairs), agreement=agreement, largest_change=change)


def _load(name: str) -> Callable[[Path], Understander]:
    module, _, function = name.partition(":")
    found: Callable[[Path], Understander] = getattr(import_module(module), function)
    return found


if __name__ == "__main__":
    answers = predictions(_load(sys.argv[1])(Path(sys.argv[2])), json.load(sys.stdin))
    json.dump(answers, sys.stdout)
