"""Whether somebody speaks, frame by frame: silero's voice activity model on onnxruntime.

The model's file comes with the package `silero-vad` and is read as data; its code, and torch, are never imported. A
frame is 32 ms. Every call has its own state; the frames of several calls go through the model together.

Rules of the file: sound of any length is taken, what does not fill a frame waits for the next; samples that are no
numbers are silence, so that one bad packet cannot spoil a call.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bot.core.errors import InputError, IntegrityError, NotFound
from bot.core.hearing import Frame
from skills.digests import sha256_of

Floats = npt.NDArray[np.float32]
PACKAGE, FILE = "silero-vad", "silero_vad/data/silero_vad.onnx"
SHA256 = "1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3"
"""The file of silero-vad 6.2.3, MIT licence."""
FRAME_MS = 32.0
QUIETEST = -90.0
"""Level, in dBFS, that silence is given."""
_CONTEXT_MS = 4
_RATES = (8_000, 16_000)


class Ear:
    """One call's sound on its way through the model. Make it by `VoiceActivity.open`; not for several threads."""

    def __init__(self, activity: VoiceActivity, rate: int) -> None:
        if rate not in _RATES:
            raise InputError(f"voice activity: expected 8,000 or 16,000 samples a second, found {rate}; resample first")
        self.activity, self.rate = activity, rate
        self.frame = int(rate * FRAME_MS / 1000)
        self.state, self.speech = np.zeros((2, 1, 128), np.float32), 0.0
        self.waiting: Floats = np.zeros(rate * _CONTEXT_MS // 1000, np.float32)
        """The end of the last frame, which the model sees again, and what does not fill a frame yet."""

    def feed(self, samples: npt.ArrayLike) -> list[Frame]:
        """The frames that these samples complete, with `ms`, `speech` and `level`."""
        return self.activity.run([(self, samples)])[0]

    def take(self, samples: npt.ArrayLike) -> list[Floats]:
        """The windows that these samples complete: each a frame and the end of the one before."""
        new = np.asarray(samples, np.float32).reshape(-1)
        held = np.concatenate([self.waiting, np.clip(np.nan_to_num(new, posinf=0.0, neginf=0.0), -1.0, 1.0)])
        context = self.rate * _CONTEXT_MS // 1000
        count = (held.size - context) // self.frame
        self.waiting = held[count * self.frame :]
        return [held[at * self.frame : (at + 1) * self.frame + context] for at in range(count)]


class VoiceActivity:
    """A `Skill` from pairs (an ear, its new samples) to the frames that they complete."""

    name = "voice-activity"

    def __init__(self, session: Any) -> None:
        self._session = session

    @classmethod
    def load(cls, path: Path | None = None, sha256: str = SHA256) -> VoiceActivity:
        """Open the model: silero's ONNX file, from its package unless `path` says where.

        Raises:
            NotFound: the package or the file is not there.
            IntegrityError: the file is another one than was measured.
        """
        import onnxruntime

        file = path or _installed()
        if sha256_of(file) != sha256:
            raise IntegrityError(str(file), "expected the model of silero-vad 6.2.3; install that")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        return cls(onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"]))

    def open(self, rate: int = 16_000) -> Ear:
        """A new call of 8,000 or 16,000 samples a second."""
        return Ear(self, rate)

    def run(self, batch: Sequence[tuple[Ear, npt.ArrayLike]]) -> list[list[Frame]]:
        """The frames that each ear's samples complete. An ear may stand in a batch once."""
        windows = [ear.take(samples) for ear, samples in batch]
        found: list[list[Frame]] = [[] for _ in batch]
        for at in range(max(map(len, windows), default=0)):
            for rate in _RATES:
                rows = [n for n, (ear, _) in enumerate(batch) if ear.rate == rate and at < len(windows[n])]
                if rows:
                    self._step([batch[row][0] for row in rows], [windows[row][at] for row in rows], rate)
                    for row in rows:
                        found[row].append(_frame(batch[row][0], windows[row][at]))
        return found

    def share(self, samples: npt.ArrayLike, at: float = 0.5) -> float:
        """The share of a sound's frames, at 16,000 samples a second, in which somebody speaks; 0 for a short one."""
        frames = self.open().feed(samples)
        return sum(frame.speech >= at for frame in frames) / max(1, len(frames))

    def _step(self, ears: Sequence[Ear], windows: Sequence[Floats], rate: int) -> None:
        feed = {
            "input": np.stack(windows),
            "state": np.concatenate([ear.state for ear in ears], 1),
            "sr": np.array(rate, np.int64),
        }
        speech, state = self._session.run(None, feed)
        for row, ear in enumerate(ears):
            ear.state, ear.speech = state[:, row : row + 1], float(speech[row, 0])


def _frame(ear: Ear, window: Floats) -> Frame:
    return Frame(FRAME_MS, ear.speech, level_of(window[-ear.frame :]))


def level_of(samples: Floats) -> float:
    """The level of a sound in dBFS: 0 for a full square wave, `QUIETEST` for silence."""
    power = float(np.dot(samples, samples)) / max(1, samples.size)
    return max(QUIETEST, 10 * float(np.log10(power + 1e-12)))


def _installed() -> Path:
    """The model's file among those that the package has installed; its code is not imported."""
    try:
        file = Path(str(metadata.distribution(PACKAGE).locate_file(FILE)))
    except metadata.PackageNotFoundError:
        raise NotFound(f"voice activity: the package {PACKAGE} is missing; pip install {PACKAGE}") from None
    if not file.is_file():
        raise NotFound(
            f"voice activity: {PACKAGE} is installed without {FILE}; pip install --force-reinstall {PACKAGE}"
        )
    return file
