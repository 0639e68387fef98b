"""How well a recogniser hears: word error rates, and words that it invents where nobody speaks.

    python -m benchmarks.hearing skills/hearing_base/model.pt    # writes docs/benchmarks/hearing.md
    python -m benchmarks.hearing base                             # any checkpoint of openai-whisper
    python -m benchmarks.hearing MODEL --show                     # what was said and heard

Machines: 160 sentences of our grammar and 40 written by hand, none of them trained on, by voices that training never
hears, clean and over the telephone (300 to 3,400 Hz, 8,000 samples a second, mu-law). People: the dev recordings of
UNDERSTUDY_DATA/speech. Nobody: 200 clips of silence, noise and music, half of kinds that training does not hear. A rate
is all words replaced, left out or added, of all words said, without capitals and punctuation; its interval is the 95 %
of 1,000 bootstrap draws of utterances. Coffee orders have no transcripts: the share of their slots' words
that was heard. Needs espeak-ng and flite; about five minutes of one core.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from bot.core.speech import RATE, Recogniser, Utterance
from skills.speech import open_recogniser
from training.hearing.corpus import Clip
from training.hearing.recordings import recordings
from training.hearing.score import distance, held_out, over_the_telephone, wordless, words

HERE = Path(__file__).parents[1]
DATA = Path(os.environ.get("UNDERSTUDY_DATA", HERE.parent / "shared/data"))
PAGE = HERE / "docs/benchmarks/hearing.md"
PEOPLE = {
    "fsdd": "single digits",
    "speechocean762": "read sentences, speakers of Mandarin",
    "sentences": "books, a speech",
}


@dataclass(frozen=True)
class Line:
    """One line of the table. `limit` is what was aimed at, None for nothing."""

    what: str
    clips: int
    said: int
    rate: float
    low: float
    high: float
    limit: float | None = None


def main() -> int:
    """Measure a checkpoint, print the table and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", help="the path of a .pt file, or a name that openai-whisper knows")
    parser.add_argument("--show", action="store_true", help="print what was said and heard")
    parser.add_argument("--page", type=Path, default=PAGE)
    given = parser.parse_args()
    recogniser, began = open_recogniser(given.model), time.process_time()
    lines = [rates(what, clips, recogniser, limit, given.show) for what, clips, limit in sets()]
    nobody = list(wordless(200, 1))
    heard = hear(recogniser, nobody)
    found = {
        "model": given.model,
        "invented": [text for text in heard if text],
        "slots": slots(recogniser),
        "cpu_seconds": round(time.process_time() - began),
    }
    text = page(lines, found)
    print(text)
    print(json.dumps({**found, "lines": [vars(line) for line in lines]}))
    given.page.write_text(text)
    return 0


def sets() -> list[tuple[str, list[Clip], float | None]]:
    """What is measured, with what was aimed at."""
    machines, by_hand = held_out(160, seed=1), held_out(0, seed=2, by_hand=True)
    people = [(f"people, {name}: {what}", _short(name), None) for name, what in PEOPLE.items()]
    both = [*machines, *by_hand]
    return [
        ("machines, held-out sentences and voices", both, 0.12),
        ("the same over the telephone", over_the_telephone(both), 0.18),
        ("of these, sentences of the grammar", machines, None),
        ("of these, sentences written by hand", by_hand, None),
        *people,
    ]


def hear(recogniser: Recogniser, clips: Sequence[Clip], size: int = 8) -> list[str]:
    """What is heard in clips, those of like length together."""
    order = sorted(range(len(clips)), key=lambda row: len(clips[row].samples))
    heard = [""] * len(clips)
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        found = recogniser.run([Utterance(clips[row].samples, "en") for row in rows])
        for row, one in zip(rows, found, strict=True):
            heard[row] = one.text
    return heard


def rates(what: str, clips: Sequence[Clip], recogniser: Recogniser, limit: float | None, show: bool) -> Line:
    """The word error rate of a set."""
    heard = hear(recogniser, clips)
    pairs = [(words(clip.text), words(text)) for clip, text in zip(clips, heard, strict=True)]
    wrong, said = np.array([distance(*pair) for pair in pairs]), np.array([len(one) for one, _ in pairs])
    if show:
        for clip, text in zip(clips, heard, strict=True):
            print(f"{clip.voice:32} {clip.text}\n{'':32} {text}")
    drawn = np.random.default_rng(0).integers(0, len(clips), (1000, len(clips)))
    spread = wrong[drawn].sum(1) / said[drawn].sum(1)
    low, high = np.quantile(spread, (0.025, 0.975))
    return Line(what, len(clips), int(said.sum()), wrong.sum() / said.sum(), low, high, limit)


def slots(recogniser: Recogniser) -> float:
    """The share of the words of the coffee orders' slots that was heard."""
    listed = (DATA / "speech/picovoice_barista.dev.jsonl").read_text("utf-8").splitlines()
    heard = hear(recogniser, recordings(DATA, "picovoice_barista", "dev"))
    wanted = [words(" ".join(json.loads(row)["slots"].values())) for row in listed]
    hits = sum(word in words(text) for ours, text in zip(wanted, heard, strict=True) for word in ours)
    return hits / sum(map(len, wanted))


def page(lines: Sequence[Line], found: dict[str, object]) -> str:
    """The page of the figures."""
    rows = [
        f"| {one.what} | {one.clips} | {one.said} | {one.rate:.1%} ({one.low:.1%} to {one.high:.1%}) "
        f"| {'' if one.limit is None else f'≤ {one.limit:.0%}'} |"
        for one in lines
    ]
    invented = found["invented"]
    assert isinstance(invented, list)
    return (
        "# Hearing\n\n"
        f"`python -m benchmarks.hearing {found['model']}`, {datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, "
        f"{os.cpu_count()} cores, {found['cpu_seconds']} s of processor time. Method: the head of "
        "`benchmarks/hearing.py`.\n\n"
        "| what | clips | words | word error rate (95 % interval) | aimed at |\n| --- | ---: | ---: | ---: | ---: |\n"
        + "\n".join(rows)
        + f"\n\nSilence, noise and music: {len(invented)} of 200 clips became words (aimed at: 0).\n"
        f"Coffee orders: {found['slots']:.0%} of the words of their slots were heard.\n"
    )


def _short(name: str) -> list[Clip]:
    return [clip for clip in recordings(DATA, name, "dev") if len(clip.samples) < 30 * RATE]


if __name__ == "__main__":
    raise SystemExit(main())
