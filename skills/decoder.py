"""Runs a decoder's graph: many texts written at once, and what was read before is not read again.

Each text being written has a place, a row of the memory of keys and values. A step reads a piece of one new prompt,
then writes one token of every text whose prompt is read (continuous batching, Yu et al. 2022, "Orca"). When a text is
done, its keys and values are kept while there is room, and a prompt that begins like one of them starts behind the part
that they share: a turn of a conversation pays for its new tokens only.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bot.core.errors import InputError, Overloaded
from skills.decoder_graph import DecoderShape

if TYPE_CHECKING:
    import onnxruntime

Floats = npt.NDArray[np.float32]
Choose = Callable[[Floats, Sequence[int]], int]
"""Given the logits, (vocabulary,), and the tokens written so far, the next token."""

PIECE = 128
"""Tokens of a prompt that are read in one step, while others wait for their next token."""


@dataclass(slots=True, eq=False)
class Writing:
    """A text under way. `tokens`: prompt and what was written; `read`: how many of them are in memory."""

    tokens: list[int]
    choose: Choose
    prompt: int
    place: int
    read: int = 0

    @property
    def written(self) -> list[int]:
        """The tokens after the prompt."""
        return self.tokens[self.prompt :]


@dataclass(frozen=True, slots=True)
class Limits:
    """`places`: texts at a time; `room`: tokens of a text, prompt included; `kept`: bytes for texts that are done."""

    places: int = 16
    room: int = 1024
    kept: int = 256 << 20
    threads: int = 1


@dataclass(frozen=True, slots=True)
class _Kept:
    """Keys and values of a text's beginning: float32 (layers, 2, kv heads, tokens, head width)."""

    tokens: npt.NDArray[np.int64]
    past: Floats = field(repr=False)


class Decoder:
    """A loaded model; used by one thread at a time."""

    def __init__(self, graph: bytes, shape: DecoderShape, limits: Limits | None = None) -> None:
        import onnxruntime

        self.limits = limits or Limits()
        room = min(self.limits.room, shape.length)
        options = session_options(self.limits.threads)
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        # (layer, key or value) first, so that some places of one of them are one piece of memory.
        self._past = np.zeros((shape.layers, 2, self.limits.places, shape.kv_heads, room, shape.head_width), np.float32)
        self._texts: list[Writing] = []
        self._kept: OrderedDict[int, _Kept] = OrderedDict()
        self._bound: dict[tuple[int, int], list[tuple[str, onnxruntime.OrtValue]]] = {}
        self._count = 0

    @property
    def busy(self) -> bool:
        """Whether a text is under way."""
        return bool(self._texts)

    @property
    def room(self) -> int:
        """The most tokens of a text, prompt included."""
        return int(self._past.shape[4])

    def open(self, prompt: Sequence[int], choose: Choose) -> Writing:
        """Begin a text.

        Raises:
            InputError: the prompt is empty or leaves no room to write.
            Overloaded: all places are taken.
        """
        if not 0 < len(prompt) < self.room:
            raise InputError(f"a prompt of {len(prompt)} tokens; from 1 to {self.room - 1} fit")
        if len(self._texts) >= self.limits.places:
            raise Overloaded(f"{len(self._texts)} texts are being written already; try again in a moment")
        writing = Writing(list(prompt), choose, len(prompt), len(self._texts))
        writing.read = self._recall(writing)
        self._texts.append(writing)
        return writing

    def step(self) -> list[tuple[Writing, int]]:
        """Go on a little; the tokens that were written now. A text whose room is used up writes no more."""
        fresh = []
        new = next((text for text in self._texts if len(text.tokens) - text.read > 1), None)
        if new is not None and (token := self._read(new)) is not None:
            fresh.append((new, token))
        ready = [text for text in self._texts if len(text.tokens) - text.read == 1 and text.read < self.room]
        ready = [text for text in ready if not fresh or text is not new]
        return [*fresh, *self._write(ready)] if ready else fresh

    def close(self, writing: Writing) -> None:
        """End a text and keep what was read of it."""
        if writing not in self._texts:
            return
        self._keep(writing)
        last = self._texts.pop()
        if last is not writing:
            self._past[:, :, writing.place, :, : last.read] = self._past[:, :, last.place, :, : last.read]
            last.place = writing.place
            self._texts[last.place] = last

    def _read(self, text: Writing) -> int | None:
        """Read a piece of a prompt; the first token written, if that was all."""
        piece = text.tokens[text.read : text.read + PIECE]
        ids = np.array([piece], np.int64)
        logits = self._run(ids, np.array([text.read + len(piece) - 1], np.int32), text.place)
        text.read += len(piece)
        return self._chosen(text, logits[0, -1]) if text.read == len(text.tokens) else None

    def _write(self, ready: list[Writing]) -> list[tuple[Writing, int]]:
        """One more token of each. All places run, so that they are one piece of memory.

        A text that is not ready reads its next token too, and reads it again when its turn comes.
        """
        places = [min(text.read, self.room - 1) for text in self._texts]
        ids = np.array([[text.tokens[place]] for text, place in zip(self._texts, places, strict=True)], np.int64)
        logits = self._run(ids, np.array(places, np.int32), 0)
        for text in ready:
            text.read += 1
        return [(text, self._chosen(text, logits[text.place, -1])) for text in ready]

    def _chosen(self, text: Writing, logits: Floats) -> int:
        token = text.choose(logits, text.written)
        text.tokens.append(token)
        return token

    def _run(self, ids: npt.NDArray[np.int64], ends: npt.NDArray[np.int32], first: int) -> Floats:
        binding = self._session.io_binding()
        binding.bind_cpu_input("ids", ids)
        binding.bind_cpu_input("ends", ends)
        binding.bind_cpu_input("total", ends.max(keepdims=True) + np.int32(1))
        for name, value in self._memory(first, len(ids)):
            binding.bind_ortvalue_input(name, value)
            binding.bind_ortvalue_output(f"{name}.out", value)
        binding.bind_output("logits")
        self._session.run_with_iobinding(binding)
        logits: Floats = binding.get_outputs()[-1].numpy()
        return logits

    def _memory(self, first: int, count: int) -> list[tuple[str, onnxruntime.OrtValue]]:
        """The keys and values of some places, by name, as onnxruntime takes them, without a copy."""
        if (first, count) not in self._bound:
            import onnxruntime

            self._bound[first, count] = [
                (f"{kind}{n}", onnxruntime.OrtValue.ortvalue_from_numpy(self._past[n, half, first : first + count]))
                for n in range(len(self._past))
                for half, kind in enumerate(("key", "value"))
            ]
        return self._bound[first, count]

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
        tokens = np.array(writing.tokens[: writing.read], np.int64)
        for number in [n for n, kept in self._kept.items() if _common(kept.tokens, tokens) == len(kept.tokens)]:
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
        scaled = logits.astype(np.float64) / temperature
        odds = np.exp(scaled - scaled.max())
        order = np.argsort(-odds, kind="stable")
        shares = odds[order] / odds.sum()
        inside = order[: int(np.searchsorted(np.cumsum(shares), top_p)) + 1]
        return int(draws.choice(inside, p=odds[inside] / odds[inside].sum()))

    return choose


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
