"""Real people: the recordings of the data folder whose licence lets a model learn from them.

`fsdd` (spoken digits, CC BY-SA 4.0) is also strung together to numbers of one speaker, as order numbers are said;
`speechocean762` (read sentences, free for any use) is taken as it is. Their dev parts are for measuring alone.
"""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bot.core.errors import NotFound
from bot.core.speech import RATE
from training.hearing.corpus import Clip
from training.hearing.voices import at_rate


def recordings(data: Path, name: str, split: str) -> list[Clip]:
    """The recordings of a set; `text` is "" where there is no transcript.

    Raises:
        NotFound: the set is not in the folder.
    """
    listed = data / "speech" / f"{name}.{split}.jsonl"
    if not listed.exists():
        raise NotFound(f"{listed} is not there; --data wants the folder that holds speech/")
    rows = [json.loads(line) for line in listed.read_text("utf-8").splitlines()]
    with zipfile.ZipFile(listed.with_suffix(".zip")) as archive:
        return [_clip(archive.read(row["path"]), row) for row in rows if row["lang"] == "en"]


def human(data: Path, seed: int) -> list[Clip]:
    """What is trained on: sentences, single digits, and twice as many strings of digits."""
    spoken_digits = recordings(data, "fsdd", "train")
    strings = list(strung(spoken_digits, 2 * len(spoken_digits), random.Random(seed)))
    return [*recordings(data, "speechocean762", "train"), *spoken_digits, *strings]


def strung(clips: list[Clip], count: int, dice: random.Random) -> Iterator[Clip]:
    """Strings of two to six clips of one speaker, a breath apart."""
    speakers = sorted({clip.voice for clip in clips})
    for _ in range(count):
        speaker = dice.choice(speakers)
        chosen = dice.choices([clip for clip in clips if clip.voice == speaker], k=dice.randrange(2, 7))
        apart = np.zeros(int(dice.uniform(0.02, 0.25) * RATE), np.float32)
        sound = np.concatenate([piece for clip in chosen for piece in (clip.samples, apart)])
        yield Clip(sound, " ".join(clip.text for clip in chosen), speaker)


def _clip(data: bytes, row: dict[str, object]) -> Clip:
    import soundfile

    samples, rate = soundfile.read(io.BytesIO(data), dtype="float32")
    return Clip(at_rate(samples, rate), str(row["text"] or "").lower(), f"human {row['speaker']}")
