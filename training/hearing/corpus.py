"""What is trained on: sentences spoken once and kept, with the recordings whose licence allows it.

The folder holds parts of a thousand utterances: `speech-000.i16` (samples one after another) and `speech-000.json`
(what each says, who says it and how long it is). A part is written whole or not at all, so that a build that was broken
off goes on. Which voice says a sentence depends on the seed and the part alone.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bot.core.speech import RATE
from training.hearing.sentences import Sentence
from training.hearing.voices import Sound, Voice, any_voice, say

PART = 1000


@dataclass(frozen=True)
class Clip:
    """An utterance: its samples in [-1, 1] at `RATE`, what is said ("" for nothing), and by whom."""

    samples: Sound
    text: str
    voice: str


@dataclass(frozen=True)
class Corpus:
    """Utterances on disk. `sounds` are the parts' samples, mapped; `rows` say part, offset, length, text and voice."""

    sounds: tuple[NDArray[np.int16], ...]
    rows: tuple[tuple[int, int, int, str, str], ...]

    def __len__(self) -> int:
        return len(self.rows)

    def clip(self, row: int) -> Clip:
        """One utterance."""
        part, at, count, text, voice = self.rows[row]
        return Clip(self.sounds[part][at : at + count].astype(np.float32) / np.float32(32768), text, voice)

    def seconds(self, row: int) -> float:
        """How long an utterance is."""
        return self.rows[row][2] / RATE


def speak(folder: Path, sentences: Sequence[Sentence], part: int, seed: int, recorded: float = 0.2) -> Path:
    """Let machines say a part of the sentences, where they have not done so before; the part's path without ending.

    `recorded` is the share that flite says; without any, espeak-ng is enough.

    Raises:
        NotFound: espeak-ng or flite is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"speech-{part:03}"
    if not path.with_suffix(".json").exists():
        mine = sentences[part * PART : (part + 1) * PART]
        store(path, spoken(mine, random.Random(f"{seed} {part}"), recorded=recorded))
    return path


def spoken(
    sentences: Sequence[Sentence], dice: random.Random, held_out: bool = False, recorded: float = 0.2
) -> Iterator[Clip]:
    """Each sentence by a voice of its own, in order."""
    voices = [any_voice(dice, held_out, recorded) for _ in sentences]
    with ThreadPoolExecutor(4) as pool:
        yield from pool.map(_said, sentences, voices)


def _said(sentence: Sentence, voice: Voice) -> Clip:
    return Clip(say(sentence.spoken, voice), sentence.written, str(voice))


def store(path: Path, clips: Iterator[Clip] | Sequence[Clip]) -> None:
    """Keep clips as `path`.i16 and `path`.json."""
    rows = []
    with path.with_suffix(".new").open("wb") as file:
        for clip in clips:
            file.write(np.clip(np.round(clip.samples * 32767), -32768, 32767).astype("<i2").tobytes())
            rows.append([len(clip.samples), clip.text, clip.voice])
    path.with_suffix(".new").replace(path.with_suffix(".i16"))
    path.with_suffix(".json").write_text(json.dumps(rows))


def opened(paths: Sequence[Path]) -> Corpus:
    """The utterances that were kept at paths without ending, in their order."""
    sounds, rows = [], []
    for number, path in enumerate(paths):
        sounds.append(np.memmap(path.with_suffix(".i16"), np.int16, "r"))
        at = 0
        for count, text, voice in json.loads(path.with_suffix(".json").read_text()):
            rows.append((number, at, count, text, voice))
            at += count
    return Corpus(tuple(sounds), tuple(rows))
