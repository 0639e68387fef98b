"""Runs a decoder's graph: many texts written at once, and what was read before is not read again.

Each text being written has a place, a row of the memory of keys and values. A step reads a piece of one new prompt,
then writes one token of every text whose prompt is read (continuous batching, Yu et al. 2022, "Orca"). When a text is
done, the keys and values of its beginning are kept while there is room, and a prompt that begins like one of them
starts behind the part that they share: a turn of a conversation pays for its new tokens only.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bot.core.errors import InputError, Overloaded
from skills.decoder_shape import DecoderShape

Floats = npt.NDArray[np.float32]
Choose = Callable[[Floats, Sequence[int]], int]
"""Given the logits, (vocabulary,), and the tokens written so far, the next token. The logits are overwritten later."""

PIECE = 128
"""Tokens of a prompt that are read in one step, while others wait for their next token."""
_LIKELY = 1024
"""Tokens among which a drawn one is looked for first; all others only if these do not hold enough of the odds."""


@dataclass(slots=True, eq=False)
class Writing:
    """A text under way. `tokens`: prompt and what was written; `read`: how many of them are in memory; `stable`: how
    many of the first are worth keeping; `broken`: the model gave something that is no number; it cannot go on."""

    tokens: list[int]
    choose: Choose
    prompt: int
    place: int
    stable: int
    read: int = 0
    broken: bool = False

    @property
    def written(self) -> list[int]:
        """The tokens after the prompt."""
        return self.tokens[self.prompt :]


@dataclass(frozen=True, slots=True)
class Limits:
    """`places`: texts at a time; `room`: tokens of a text, prompt included; `kept`: bytes for beginnings of texts that
    are done."""

    places: int = 16
    room: int = 1536
    kept: int = 128 << 20
    threads: int = 1


@dataclass(frozen=True, slots=True)
class _Kept:
    """Keys and values of a text's beginning: float32 (layers, 2, kv heads, tokens, head width)."""

    tokens: npt.NDArray[np.int64]
    past: Floats = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Step:
    """A run of the graph that is prepared: what goes in is written into the arrays, the logits are found in theirs."""

    binding: Any
    ids: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int32]
    total: npt.NDArray[np.int32]
    logits: Floats | None


class Decoder:
    """A loaded model; used by one thread at a time."""

    def __init__(self, graph: Path, shape: DecoderShape, limits: Limits | None = None) -> None:
        import onnxruntime

        self.limits, self._shape = limits or Limits(), shape
        options = session_options(self.limits.threads)
        self._session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
        # (layer, key or value) first, so that some places of one of them are one piece of memory.
        self._past = np.zeros(_past_size(shape, self.limits), np.float32)
        self._texts: list[Writing] = []
        self._kept: OrderedDict[int, _Kept] = OrderedDict()
        self._steps: dict[int, _Step] = {}
        self._count = 0
        self.read = self.recalled = self.written = 0
        """Tokens since the start: of prompts read, of prompts kept from before, and written."""

    @property
    def busy(self) -> bool:
        """Whether a text is under way."""
        return bool(self._texts)

    @property
    def room(self) -> int:
        """The most tokens of a text, prompt included."""
        return int(self._past.shape[4])

    def open(self, prompt: Sequence[int], choose: Choose, stable: int | None = None) -> Writing:
        """Begin a text. The first `stable` tokens are likely to begin another one; all of them if not said.

        Raises:
            InputError: the prompt is empty or leaves no room to write.
            Overloaded: all places are taken.
        """
        if not 0 < len(prompt) < self.room:
            raise InputError(f"a prompt of {len(prompt)} tokens; from 1 to {self.room - 1} fit")
        if len(self._texts) >= self.limits.places:
            raise Overloaded(f"{len(self._texts)} texts are being written already; try again in a moment")
        most = self.room if stable is None else stable
        writing = Writing(list(prompt), choose, len(prompt), len(self._texts), most)
        writing.read = self._recall(writing)
        self.recalled += writing.read
        self._texts.append(writing)
        return writing

    def step(self) -> list[tuple[Writing, int]]:
        """Go on a little; the tokens that were written now. A text whose room is used up, or that is broken, writes no
        more."""
        fresh = []
        new = next((text for text in self._texts if len(text.tokens) - text.read > 1), None)
        if new is not None:
            fresh = self._read(new)
        ready = [text for text in self._texts if len(text.tokens) - text.read == 1 and text.read < self.room]
        ready = [text for text in ready if not text.broken and not (fresh and text is new)]
        return [*fresh, *self._write(ready)] if ready else fresh

    def close(self, writing: Writing) -> None:
        """End a text and keep its beginning."""
        if writing not in self._texts:
            return
        if not writing.broken:
            self._keep(writing)
        last = self._texts.pop()
        if last is not writing:
            self._past[:, :, writing.place, :, : last.read] = self._past[:, :, last.place, :, : last.read]
            last.place = writing.place
            self._texts[last.place] = last

    def forget(self) -> None:
        """Keep nothing of what was read."""
        self._kept.clear()

    def _read(self, text: Writing) -> list[tuple[Writing, int]]:
        """Read a piece of a prompt; the first token written, if that was all."""
        piece = text.tokens[text.read : text.read + PIECE]
        step = self._prepared(text.place, 1, len(piece))
        step.ids[0] = piece
        step.ends[0] = text.read + len(piece) - 1
        logits = self._run(step)
        text.read += len(piece)
        self.read += len(piece)
        return self._chosen([(text, logits[0, -1])]) if text.read == len(text.tokens) else []

    def _write(self, ready: list[Writing]) -> list[tuple[Writing, int]]:
        """One more token of each. All places run, so that they are one piece of memory.

        A text that is not ready reads its next token too, and reads it again when its turn comes.
        """
        count = len(self._texts)
        if count not in self._steps:
            self._steps[count] = self._prepared(0, count, 1)
        step = self._steps[count]
        for text in self._texts:
            step.ends[text.place] = place = min(text.read, len(text.tokens) - 1, self.room - 1)
            step.ids[text.place] = text.tokens[place]
        logits = self._run(step)
        for text in ready:
            text.read += 1
        return self._chosen([(text, logits[text.place, -1]) for text in ready])

    def _chosen(self, found: list[tuple[Writing, Floats]]) -> list[tuple[Writing, int]]:
        fresh = []
        for text, logits in found:
            if not np.isfinite(logits.max()):
                text.broken = True
                continue
            token = text.choose(logits, text.written)
            text.tokens.append(token)
            self.written += 1
            fresh.append((text, token))
        return fresh

    def _run(self, step: _Step) -> Floats:
        """The logits, (texts, tokens, vocabulary)."""
        step.total[0] = step.ends.max() + 1
        self._session.run_with_iobinding(step.binding)
        logits: Floats = step.binding.get_outputs()[-1].numpy() if step.logits is None else step.logits
        return logits

    def _prepared(self, first: int, count: int, length: int) -> _Step:
        """A run over some places. Keys and values are read and written where they are, without a copy."""
        import onnxruntime

        def value(array: npt.NDArray[Any]) -> Any:
            return onnxruntime.OrtValue.ortvalue_from_numpy(array)

        binding = self._session.io_binding()
        ids, ends, total = np.zeros((count, length), np.int64), np.zeros(count, np.int32), np.zeros(1, np.int32)
        for name, array in (("ids", ids), ("ends", ends), ("total", total)):
            binding.bind_ortvalue_input(name, value(array))
        for n in range(len(self._past)):
            for half, kind in enumerate(("key", "value")):
                past = value(self._past[n, half, first : first + count])
                binding.bind_ortvalue_input(f"{kind}{n}", past)
                binding.bind_ortvalue_output(f"{kind}{n}.out", past)
        if length > 1:
            binding.bind_output("logits")
            return _Step(binding, ids, ends, total, None)
        logits = np.empty((count, 1, self._shape.vocabulary), np.float32)
        binding.bind_ortvalue_output("logits", value(logits))
        return _Step(binding, ids, ends, total, logits)

    def _recall(self, writing: Writing) -> int:
        """Put the longest kept beginning of a prompt into its place; how many tokens. The last is always read anew."""
        prompt = np.array(writing.tokens[:-1], np.int64)
        best, shared = None, 0
        for number, kept in self._kept.items():
            common = _common(kept.tokens, prompt)
            if common > shared:
                best, shared = number, common
        if best is not None:
            self._kept.move_to_end(best)
            self._past[:, :, writing.place, :, :shared] = self._kept[best].past[:, :, :, :shared]
        return shared

    def _keep(self, writing: Writing) -> None:
        tokens = np.array(writing.tokens[: min(writing.read, writing.stable)], np.int64)
        common = {number: _common(kept.tokens, tokens) for number, kept in self._kept.items()}
        if any(shared == len(tokens) for shared in common.values()):
            return  # one that is kept begins like it
        for number in [number for number, shared in common.items() if shared == len(self._kept[number].tokens)]:
            del self._kept[number]  # this one begins like it and goes on
        self._count += 1
        self._kept[self._count] = _Kept(tokens, self._past[:, :, writing.place, :, : len(tokens)].copy())
        while sum(kept.past.nbytes for kept in self._kept.values()) > self.limits.kept:
            self._kept.popitem(last=False)


def greedy(logits: Floats, written: Sequence[int]) -> int:
    """The most likely token."""
    return int(logits.argmax())


def sampled(temperature: float, top_p: float, seed: int) -> Choose:
    """Tokens drawn from the smallest set that holds `top_p` of the probability (Holtzman et al. 2020).

    The same seed gives the same text.
    """
    draws = np.random.default_rng(seed)

    def choose(logits: Floats, written: Sequence[int]) -> int:
        odds = np.exp((logits - logits.max()) / np.float32(temperature)).astype(np.float64)
        likely = np.argpartition(-odds, _LIKELY)[:_LIKELY] if len(odds) > 2 * _LIKELY else np.arange(len(odds))
        if odds[likely].sum() < top_p * odds.sum():
            likely = np.arange(len(odds))
        order = likely[np.lexsort((likely, -odds[likely]))]
        inside = order[: int(np.searchsorted(np.cumsum(odds[order]), top_p * odds.sum())) + 1]
        return int(draws.choice(inside, p=odds[inside] / odds[inside].sum()))

    return choose


def memory_of(shape: DecoderShape, limits: Limits) -> int:
    """Bytes of the places' keys and values."""
    return 4 * math.prod(_past_size(shape, limits))


def _past_size(shape: DecoderShape, limits: Limits) -> tuple[int, ...]:
    return shape.layers, 2, limits.places, shape.kv_heads, min(limits.room, shape.length), shape.head_width


def empty_past(shape: DecoderShape, room: int) -> dict[str, Floats]:
    """Memory for one text that keeps nothing."""
    zeros = np.zeros((1, shape.kv_heads, room, shape.head_width), np.float32)
    return {f"{kind}{n}": zeros for n in range(shape.layers) for kind in ("key", "value")}


def session_options(threads: int = 1) -> Any:
    """onnxruntime's settings: few threads, none of them spinning while it waits."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _common(one: npt.NDArray[np.int64], other: npt.NDArray[np.int64]) -> int:
    length = min(len(one), len(other))
    differ = np.flatnonzero(one[:length] != other[:length])
    return int(differ[0]) if len(differ) else length
