"""The gate's first test: a fresh process loads the bundle and predicts the same.

Run as `python -m training.reproduce MODULE:FUNCTION FOLDER`: texts and what the function needs to know come as JSON on
standard input, predictions go to standard output. The function takes the bundle's folder and that knowledge, and gives
what answers customers.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from pydantic import JsonValue

from bot.core.errors import IntegrityError
from bot.core.protocols import Utterance
from training.evaluate import Understander
from training.gate.verdict import Integrity

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


@dataclass(frozen=True, slots=True)
class Loader:
    """How another process opens a bundle: `function` is `module:name`, called with the folder and `knowledge`."""

    function: str
    knowledge: JsonValue = None


def reproduce(folder: Path, loader: Loader, texts: Sequence[str], expected: Sequence[Prediction]) -> Integrity:
    """Predict in a fresh process and compare: 99.9 % of the rows equal, no score off by more than 0.0001.

    Raises:
        IntegrityError: the process could not load the bundle; quotes the end of what it said.
    """
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(  # noqa: S603 - our own module, by our own interpreter
        [sys.executable, "-m", "training.reproduce", loader.function, str(folder)],
        input=json.dumps({"texts": list(texts), "knowledge": loader.knowledge}).encode(),
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


def _load(name: str) -> Callable[[Path, JsonValue], Understander]:
    module, _, function = name.partition(":")
    found: Callable[[Path, JsonValue], Understander] = getattr(import_module(module), function)
    return found


def _answer() -> None:
    asked = json.load(sys.stdin)
    bundle = _load(sys.argv[1])(Path(sys.argv[2]), asked["knowledge"])
    json.dump(predictions(bundle, asked["texts"]), sys.stdout)


if __name__ == "__main__":
    _answer()
