"""Runs a recogniser's two graphs: sound to what can be attended to, and texts written token by token.

`Texts` holds texts that are written side by side, each on a sound of its own; a row's keys and values lie where the
graph reads and writes them. Nothing here knows what a token means.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from skills.decoder import session_options
from skills.speech_graph import DECODER, ENCODER
from skills.speech_shape import SpeechShape

Floats = npt.NDArray[np.float32]
_FAR = np.float32(-1e9)


@dataclass(frozen=True, slots=True)
class Encoded:
    """What the decoder's layers attend to in one sound: keys (1, heads, head width, positions) and values."""

    values: tuple[Floats, ...] = field(repr=False)

    @property
    def positions(self) -> int:
        """How many, 20 ms each."""
        return int(self.values[0].shape[3])


@dataclass(frozen=True, slots=True)
class Said:
    """What the model says after the last token of each row. `logits`: float32 (rows, vocabulary); `first`: the same
    after the token that was asked for at the beginning; `aligned`: (rows, heads, tokens, positions)."""

    logits: Floats
    aligned: Floats
    first: Floats | None = None


class SpeechEngine:
    """A loaded model; used by one thread at a time."""

    def __init__(self, folder: Path, shape: SpeechShape, threads: int = 1) -> None:
        import onnxruntime

        def session(name: str) -> Any:
            path = str(folder / f"{name}.onnx")
            return onnxruntime.InferenceSession(path, session_options(threads), providers=["CPUExecutionProvider"])

        self.shape = shape
        self._encoder, self._decoder = session(ENCODER), session(DECODER)
        self._crossed = [f"cross_{part}{n}" for n in range(shape.n_text_layer) for part in ("key", "value")]

    def encode(self, mel: Floats) -> Encoded:
        """Hear a log-mel, float32 (bands, an even number of columns)."""
        return Encoded(tuple(self._encoder.run(self._crossed, {"mel": mel[None]})))

    def open(self, sounds: Sequence[Encoded], room: int) -> Texts:
        """Begin a text for each sound, of up to `room` tokens."""
        return Texts(self._decoder, self.shape, _side_by_side(sounds, self._crossed), room)


class Texts:
    """Texts under way."""

    def __init__(self, session: Any, shape: SpeechShape, crossed: dict[str, Floats], room: int) -> None:
        self._session, self._shape, self._crossed = session, shape, crossed
        rows, heads = len(crossed["mask"]), shape.n_text_head
        self._past = np.zeros((shape.n_text_layer, 2, rows, heads, room, shape.n_text_state // heads), np.float32)
        self._lengths = np.zeros(rows, np.int64)
        self._step: _Step | None = None

    def begin(self, prompts: Sequence[Sequence[int]], first: Sequence[int] = ()) -> Said:
        """Read the beginnings of all texts; `first` are the places in them after which logits are wanted as well."""
        lengths = np.array([len(prompt) for prompt in prompts])
        step = self._prepared(int(lengths.max()), [*zip(range(len(prompts)), lengths - 1, strict=True)], first)
        for row, prompt in enumerate(prompts):
            step.ids[row, : len(prompt)] = prompt
        step.places[:] = np.arange(step.ids.shape[1])
        said = self._run(step, lengths)
        if not first:
            return said
        rows = len(prompts)
        return Said(said.logits[:rows], said.aligned, said.logits[rows:])

    def go_on(self, tokens: Sequence[int]) -> Said:
        """One more token of each."""
        if self._step is None:
            self._step = self._prepared(1, [(row, 0) for row in range(len(self._lengths))], ())
        self._step.ids[:, 0] = tokens
        self._step.places[:, 0] = self._lengths
        return self._run(self._step, self._lengths + 1)

    def pick(self, rows: Sequence[int]) -> None:
        """Go on with these rows only, in this order; one may be taken more than once."""
        if list(rows) == list(range(len(self._lengths))):
            return
        chosen = np.array(rows)
        used = int(self._lengths.max())
        past = np.zeros((*self._past.shape[:2], len(chosen), *self._past.shape[3:]), np.float32)
        past[..., :used, :] = self._past[:, :, chosen, :, :used]
        self._past, self._lengths, self._step = past, self._lengths[chosen], None
        self._crossed = {name: value[chosen] for name, value in self._crossed.items()}

    def _run(self, step: _Step, lengths: npt.NDArray[np.int64]) -> Said:
        step.ends[:] = lengths - 1
        step.total[0] = lengths.max()
        self._session.run_with_iobinding(step.binding)
        self._lengths = lengths
        # Copies, as the next run writes into the same memory.
        logits, aligned = (value.numpy().copy() for value in step.binding.get_outputs()[-2:])
        return Said(logits, aligned)

    def _prepared(self, tokens: int, last: Sequence[tuple[int, int]], first: Sequence[int]) -> _Step:
        """A run of the graph; what is not changed later is bound where it lies."""
        import onnxruntime

        def value(array: npt.NDArray[Any]) -> Any:
            return onnxruntime.OrtValue.ortvalue_from_numpy(array)

        rows, binding = len(self._lengths), self._session.io_binding()
        picks = np.array([*last, *enumerate(first)], np.int64)
        ids, places = np.zeros((rows, tokens), np.int64), np.zeros((rows, tokens), np.int64)
        step = _Step(binding, ids, places, picks, np.zeros(rows, np.int32), np.zeros(1, np.int32))
        given: dict[str, npt.NDArray[Any]] = {"ids": ids, "places": places, "picks": picks, **self._crossed}
        given |= {"ends": step.ends, "total": step.total}
        for name, array in given.items():
            binding.bind_ortvalue_input(name, value(array))
        for n in range(len(self._past)):
            for half, kind in enumerate(("key", "value")):
                past = value(self._past[n, half])
                binding.bind_ortvalue_input(f"{kind}{n}", past)
                binding.bind_ortvalue_output(f"{kind}{n}.out", past)
        binding.bind_output("logits")
        binding.bind_output("aligned")
        return step


@dataclass(frozen=True, slots=True)
class _Step:
    """A run of the graph that is prepared: what goes in is written into the arrays, which it keeps alive."""

    binding: Any
    ids: npt.NDArray[np.int64]
    places: npt.NDArray[np.int64]
    picks: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int32]
    total: npt.NDArray[np.int32]


def _side_by_side(sounds: Sequence[Encoded], names: Sequence[str]) -> dict[str, Floats]:
    """Sounds of different lengths as one: shorter ones are filled up, and the mask hides what was filled."""
    longest = max(sound.positions for sound in sounds)
    mask = np.zeros((len(sounds), 1, 1, longest), np.float32)
    found = {"mask": mask}
    for row, sound in enumerate(sounds):
        mask[row, ..., sound.positions :] = _FAR
    for n, name in enumerate(names):
        if len(sounds) == 1:
            found[name] = sounds[0].values[n]
            continue
        axis = 3 if "key" in name else 2
        size = list(sounds[0].values[n].shape)
        size[0], size[axis] = len(sounds), longest
        joined = np.zeros(size, np.float32)
        for row, sound in enumerate(sounds):
            part = joined[row, ..., : sound.positions] if axis == 3 else joined[row, :, : sound.positions]
            part[:] = sound.values[n][0]
        found[name] = joined
    return found
