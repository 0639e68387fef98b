"""The voices: espeak-ng's accents, variants, speeds and pitches, and flite's recorded ones.

Both are programs of their own (`apt-get install espeak-ng flite`), called once a sentence. Voices that are held out
share no variant with those of training, nor a variant's relatives (iven, iven2 and so on are one family).
Beware: espeak-ng speaks its base voice when it does not know what stands before the "+": "en", not "en-gb".
"""

from __future__ import annotations

import io
import random
import re
import shutil
import subprocess
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from bot.core.errors import NotFound, SkillError
from bot.core.speech import RATE

Sound = NDArray[np.float32]

ACCENTS = ("en", "en-us", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-us-nyc")
HELD_OUT = ("f2", "m3", "Andrea", "Denis", "iven2", "steph")
TRAINED: Sequence[str] = re.findall(
    r"\w+",
    "m1 m2 m4 m5 m6 m7 m8 f1 f3 f4 f5 Alex Alicia Andy Annie anika aunty adam belinda benjamin boris caleb david Diogo "
    "ed edward edward2 Gene Gene2 grandma grandpa gustave Henrique Hugo Jacky john kaukovalta klatt2 klatt3 klatt4 Lee "
    "linda marcelo Marco Mario max Michael michel Mike Nguyen norbert pablo paul pedro quincy rob robert sandro shelby "
    "travis Tweaky victor zac croak",
)
RECORDED, RECORDED_HELD_OUT = ("slt", "awb", "kal16"), ("rms",)
"""flite's voices."""


@dataclass(frozen=True)
class Voice:
    """How a sentence is said. `program` is espeak-ng or flite; `speed` is words a minute, `pitch` 0 to 99."""

    program: str
    name: str
    speed: int
    pitch: int

    def __str__(self) -> str:
        return f"{self.program} {self.name} {self.speed} {self.pitch}"


def any_voice(dice: random.Random, held_out: bool = False, recorded: float = 0.2) -> Voice:
    """A voice by chance: of those for training, or of those that are held out; `recorded` is flite's share."""
    speed, pitch = dice.randrange(125, 215), dice.randrange(20, 80)
    if dice.random() < recorded:
        return Voice("flite", dice.choice(RECORDED_HELD_OUT if held_out else RECORDED), speed, pitch)
    variant = dice.choice(HELD_OUT if held_out else TRAINED)
    return Voice("espeak-ng", f"{dice.choice(ACCENTS)}+{variant}", speed, pitch)


def say(text: str, voice: Voice) -> Sound:
    """The text as sound at `RATE`, without the silence around it.

    Raises:
        NotFound: the program is not installed.
        SkillError: it said nothing.
    """
    if shutil.which(voice.program) is None:
        raise NotFound(f"{voice.program} is not installed; run: apt-get install espeak-ng flite")
    done = subprocess.run(_command(text, voice), capture_output=True, check=False, timeout=60)  # noqa: S603
    samples = _trimmed(_samples(done.stdout))
    if not len(samples):
        raise SkillError(
            "synthesis", f"{voice} said nothing for {text!r}: {done.stderr.decode(errors='replace').strip()}"
        )
    return samples


def _command(text: str, voice: Voice) -> list[str]:
    if voice.program == "espeak-ng":
        named = ["-v", voice.name, "-s", str(voice.speed), "-p", str(voice.pitch)]
        return ["espeak-ng", *named, "--stdout", "--", text]
    stretch = f"duration_stretch={165 / voice.speed:.2f}"
    lift = f"int_f0_target_mean={(165 if voice.name == 'slt' else 105) * (0.75 + voice.pitch / 200):.0f}"
    return ["flite", "-voice", voice.name, "--setf", stretch, "--setf", lift, "-t", text, "-o", "/dev/stdout"]


def _samples(data: bytes) -> Sound:
    """Programs that write to a pipe do not know the length that the header tells; what is there counts."""
    if len(data) < 45:
        return np.zeros(0, np.float32)
    with wave.open(io.BytesIO(data)) as file:
        rate, at = file.getframerate(), data.index(b"data") + 8
    raw = np.frombuffer(data[at : len(data) - (len(data) - at) % 2], "<i2").astype(np.float32) / 32768
    return at_rate(raw, rate)


def at_rate(samples: Any, rate: int) -> Sound:
    """Sound of another rate as sound at `RATE`."""
    if rate == RATE:
        return np.asarray(samples, np.float32)
    both = gcd(rate, RATE)
    return np.asarray(resample_poly(samples, RATE // both, rate // both), np.float32)


def _trimmed(samples: Sound, floor: float = 0.004) -> Sound:
    loud = np.flatnonzero(np.abs(samples) > floor)
    return samples[loud[0] : loud[-1] + 1] if len(loud) else samples[:0]
