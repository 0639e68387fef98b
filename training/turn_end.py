"""Fit the end-of-turn head: on synthesised turns, and on what calls have shown since.

    python -m training.turn_end --out skills/turn_end.json [--times 6] [--rows FILE.jsonl] [--seed 1]

Rows of calls are JSON lines `{"features": [...], "over": true|false}`, as a session logs them: a turn that was
cut off is a pause that was not over, dead air after a turn is one that was. They count `--weight` times as much as
synthesised ones, which stay in the fit so that a few calls cannot unlearn a language. Needs espeak-ng and flite.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from bot.core.errors import InputError
from bot.core.thresholds import Thresholds
from skills.turn_end import BASE, FEATURES, TurnEnd
from skills.voice_activity import VoiceActivity
from training.turns.calls import Asked, Ears, heard_frames, play
from training.turns.clips import Clip, clips, read

SENTENCES = Path(__file__).parent / "turns" / "sentences.txt"
PATIENT = Thresholds(default_ms=3000.0, longest_ms=3000.0)
"""Waits long enough to see every pause of a turn."""
ERRORS = (0.0, 0.05, 0.15)
"""Shares of wrong words that the recogniser is given while rows are made, in turn."""


@dataclass(frozen=True)
class Row:
    """What the head saw at a pause, whether the turn was over, and how much the row counts."""

    features: Sequence[float]
    over: bool
    weight: float = 1.0


def fit(rows: Sequence[Row], strength: float = 1.0) -> TurnEnd:
    """A head by logistic regression; `strength` is the inverse of the penalty on large weights.

    Raises:
        InputError: there are not both kinds of pauses.
    """
    seen = np.array([row.features for row in rows], np.float64)
    over = np.array([row.over for row in rows])
    if over.all() or not over.any():
        raise InputError(f"end-of-turn head: expected pauses of both kinds, found {len(rows)} of one; give more rows")
    mean, scale = seen.mean(0), np.where(seen.std(0) > 1e-6, seen.std(0), 1.0)
    found = LogisticRegression(C=strength, max_iter=2000)
    found.fit((seen - mean) / scale, over, [row.weight for row in rows])
    weights = found.coef_[0] / scale
    bias = float(found.intercept_[0] - weights @ mean)
    return TurnEnd(dict(zip(FEATURES, weights.tolist(), strict=True)), bias)


def rows_of(asked: Sequence[Asked]) -> list[Row]:
    """Rows of synthesised pauses. A pause that is over before anybody could answer counts little."""
    return [Row(item.row, item.over, 1.0 if item.over or item.left > 400 else 0.3) for item in asked]


def asked_in(turns: Sequence[Clip], activity: VoiceActivity, seed: int) -> list[list[Asked]]:
    """The pauses of each turn as the listener asks about them."""
    dice, found = random.Random(seed), []
    for number, (clip, frames) in enumerate(
        zip(turns, heard_frames(activity, [clip.samples for clip in turns]), strict=True)
    ):
        ears = Ears(wrong=ERRORS[number % len(ERRORS)], silent=dice.random() < 0.1)
        found.append(play(clip, frames, None, PATIENT, ears, dice).asked)
    return found


def logged(path: Path) -> list[Row]:
    """Rows that calls have left.

    Raises:
        InputError: a line is no such row.
    """
    rows = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        try:
            found = json.loads(line)
            row = Row([float(value) for value in found["features"]], bool(found["over"]))
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}:{number}: expected {{features, over}}, found {error!r}") from error
        if len(row.features) != len(FEATURES):
            raise InputError(f"{path}:{number}: expected {len(FEATURES)} features, found {len(row.features)}")
        rows.append(row)
    return rows


def losses(head: TurnEnd, rows: Sequence[Row]) -> dict[str, float]:
    """How well a head tells: area under the curve, and the mean logarithmic loss."""
    likely = np.array([head.of(row.features) for row in rows])
    over = np.array([row.over for row in rows])
    right = likely[over][:, None] - likely[~over][None]
    loss = -np.log(np.clip(np.where(over, likely, 1 - likely), 1e-9, 1))
    return {"auroc": float((right > 0).mean() + 0.5 * (right == 0).mean()), "loss": float(loss.mean())}


def main() -> int:
    """Fit and write a head; print how well it tells sentences that it was not fitted on."""
    parser = argparse.ArgumentParser(prog="python -m training.turn_end", description=__doc__)
    parser.add_argument("--out", type=Path, default=BASE)
    parser.add_argument("--times", type=int, default=6, help="voices per sentence")
    parser.add_argument("--rows", type=Path, help="rows that calls have left")
    parser.add_argument("--weight", type=float, default=5.0, help="how much a row of a call counts")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    own = [Row(row.features, row.over, options.weight) for row in (logged(options.rows) if options.rows else [])]
    turns = list(clips(read(SENTENCES), options.times, options.seed))
    asked = asked_in(turns, VoiceActivity.load(), options.seed)
    parts = [rows_of(item) for item in asked]
    left = [row for number, part in enumerate(parts) if number // options.times % 5 == 0 for row in part]
    kept = [row for number, part in enumerate(parts) if number // options.times % 5 for row in part]
    told = losses(fit([*kept, *own]), left)
    rows = [row for part in parts for row in part]
    fit([*rows, *own]).save(options.out, {"pauses": len(rows), "of calls": len(own), "held-out sentences": told})
    print(json.dumps({"pauses": len(rows), **told}))  # noqa: T201
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
