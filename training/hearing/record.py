"""Records spoken sentences from a list, for examples and tests: `python -m training.hearing.record FOLDER`.

`FOLDER/sentences.tsv` has a line for each: file, voice (as `Voice` writes itself), intent, what is said. The voices are
of those that training never hears; the sentences are of those that it leaves out.
"""

from __future__ import annotations

import argparse
import sys
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bot.core.errors import BotError, InputError
from bot.core.speech import RATE
from training.hearing.corpus import Clip
from training.hearing.score import with_silence
from training.hearing.voices import Sound, Voice, say

LIST = "sentences.tsv"


@dataclass(frozen=True)
class Line:
    """A sentence to record."""

    file: str
    voice: Voice
    intent: str
    text: str


def listed(folder: Path) -> list[Line]:
    """The lines of a folder's list.

    Raises:
        InputError: a line has not the four columns.
    """
    path = folder / LIST
    if not path.exists():
        raise InputError(f"{path} is not there; it lists what to record: file, voice, intent and words, by tabs")
    rows = path.read_text("utf-8").splitlines()[1:]
    return [_line(path, number, row) for number, row in enumerate(rows, 2)]


def record(folder: Path) -> list[Path]:
    """Record what a folder's list says, as WAV files of 16 kHz beside it."""
    made = []
    for line in listed(folder):
        clip = with_silence(Clip(say(f"{line.text}.", line.voice), line.text, str(line.voice)), before=0.1, after=0.2)
        made.append(folder / line.file)
        _write(made[-1], clip.samples)
    return made


def _line(path: Path, number: int, row: str) -> Line:
    cells = row.split("\t")
    voice = cells[1].split() if len(cells) == 4 else []
    if len(voice) != 4:
        raise InputError(f"{path}, line {number}: expected file, voice, intent and words, apart by tabs; found {row!r}")
    return Line(cells[0], Voice(voice[0], voice[1], int(voice[2]), int(voice[3])), cells[2], cells[3])


def _write(path: Path, samples: Sound) -> None:
    loud = 0.7 / max(0.01, float(np.max(np.abs(samples))))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(np.round(samples * loud * 32767).astype("<i2").tobytes())


def main(arguments: list[str] | None = None) -> int:
    """Record a folder's list; 0, or 2 with one line when something is missing."""
    parser = argparse.ArgumentParser(prog="python -m training.hearing.record", description="Record spoken sentences.")
    parser.add_argument("folder", type=Path, help=f"holds {LIST}; the recordings go there")
    try:
        made = record(parser.parse_args(arguments).folder)
    except BotError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"{len(made)} recordings, {sum(path.stat().st_size for path in made)} bytes\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
