"""Speech to text with a Whisper model, made for short utterances on a CPU.

Only the sound that is there is encoded, not 30 s, and texts of many calls are written in one batch. If a text is not to
be believed, the whole window is encoded after all, then tokens are drawn at rising temperatures; if it still is not,
nothing was heard. A sound longer than a window is cut at its quietest places.

With `context="full"` and `times=True` a window's text is openai-whisper's own (benchmarks/recognition.py).
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from bot.core.errors import InputError
from bot.core.speech import RATE, Heard, Utterance, Word
from skills.speech_bias import WordTree
from skills.speech_decode import Draft, Task, Writer
from skills.speech_engine import Encoded, SpeechEngine
from skills.speech_files import FILTERS, RANKS, Precision, SpeechFiles, find_model
from skills.speech_guard import Bounds, Voiced, failed, silent, spoken
from skills.speech_mel import LogMel, checked
from skills.speech_rules import Rules
from skills.speech_tokens import SpeechTokens
from skills.speech_words import starts

Floats = npt.NDArray[np.float32]
_POSITION = RATE // 50
_ROUND = 25
"""Positions of a short context are a multiple of this: half a second."""
_LEAST = 50
_SEARCHED = 5.0
"""Seconds at the end of a window in which a quiet place to cut is looked for."""
_PUNCTUATION = "\"'.。,，!！?？:：”)]}、“¿([{-…"


@dataclass(frozen=True, slots=True)
class SpeechOptions:
    """How a recogniser works. What must be true of a sound and a text is in `bounds`.

    `precision`: int8, float32, or int8 where it says what float32 says. `sha256`: the checkpoint must have it. `state`:
    where converted models are kept. `context`: encode the sound with `margin` seconds of silence behind it (`short`), a
    whole window (`full`), or a whole window only if the short one failed (`auto`). `beams`: texts that are followed
    side by side; `biased_beams` when there are likely words, each token of which is worth `boost` nats.
    `temperatures`: tried one after the other. `times`: let the model write times, as openai-whisper does by default.
    `words`: tell when each word was said. `prompt_words`: also name the likely words before the text. `voiced` tells
    the share of voice in a sound. `batch`: windows at a time. `longest`: seconds of one sound.
    """

    precision: Precision = "auto"
    threads: int = 1
    sha256: str = ""
    state: Path | None = None
    context: Literal["short", "full", "auto"] = "auto"
    margin: float = 0.5
    beams: int = 1
    biased_beams: int = 4
    boost: float = 1.5
    temperatures: tuple[float, ...] = (0.0, 0.4, 0.8)
    times: bool = False
    words: bool = True
    prompt_words: bool = False
    voiced: Voiced | None = None
    bounds: Bounds = field(default_factory=Bounds)
    batch: int = 16
    longest: float = 3600.0

    def __post_init__(self) -> None:
        """Raises InputError for what cannot be."""
        if not self.temperatures or min(self.temperatures) < 0:
            raise InputError(f"temperatures are to be 0 or more, found {self.temperatures}")
        if min(self.beams, self.biased_beams, self.batch, self.threads) < 1:
            raise InputError("beams, biased_beams, batch and threads are to be 1 or more")
        if self.margin < 0 or self.longest <= 0:
            raise InputError("margin and longest are to be no less than 0 seconds")


@dataclass(slots=True, eq=False)
class _Window:
    """A piece of a sound that is recognised at once. `begin`: where it lies, in samples."""

    owner: int
    begin: int
    samples: Floats = field(repr=False)
    utterance: Utterance = field(repr=False)
    language: str = ""
    sound: Encoded | None = None
    draft: Draft = field(default_factory=Draft)
    text: str = ""


class Whisper:
    """A recogniser (`bot.core.speech.Recogniser`). Safe to use from several threads; one works at a time."""

    def __init__(self, files: SpeechFiles, options: SpeechOptions) -> None:
        self.options, self.files = options, files
        self.name = f"whisper-{files.digest[:12]}-{files.precision}"
        self.tokens = SpeechTokens.load(files.folder / RANKS, files.shape)
        self._engine = SpeechEngine(files.folder, files.shape, options.threads)
        self._mel = LogMel.load(files.folder / FILTERS)
        self._lock = threading.Lock()
        self._prepare()

    def _prepare(self) -> None:
        rules = Rules(self.tokens, times=self.options.times)
        self._writer = Writer(self._engine, rules, self.tokens.end, self.tokens.mark("nospeech"))
        self._positions = self.files.shape.n_audio_ctx
        self._room = self._positions * _POSITION

    def with_options(self, options: SpeechOptions) -> Whisper:
        """The same model, working in another way; nothing is loaded again, and the two take turns.

        Precision, threads and files stay as they are.
        """
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.options = options
        other._prepare()
        return other

    @property
    def quick(self) -> Whisper:
        """For partial transcripts: one try, one text, no word times."""
        return self.with_options(
            replace(self.options, context="short", temperatures=(0.0,), beams=1, biased_beams=1, words=False)
        )

    def run(self, batch: Sequence[Utterance]) -> list[Heard]:
        """What was said in each, in order.

        Raises:
            InputError: a sound is none (see `check`), or its language is not known to the model.
        """
        sounds = [self.check(utterance) for utterance in batch]
        windows = [window for n, sound in enumerate(sounds) for window in self._windows(n, sound, batch[n])]
        with self._lock:
            for first in range(0, len(windows), self.options.batch):
                self._hear(windows[first : first + self.options.batch])
        return [self._heard([window for window in windows if window.owner == n], batch[n]) for n in range(len(batch))]

    def check(self, utterance: Utterance) -> Floats:
        """The samples of an utterance that can be taken.

        Raises:
            InputError: they are no float32 array of shape (n,) within [-1, 1], hold NaN, or are too long; or the
                language is not known to the model.
        """
        if utterance.language:
            self.tokens.known(utterance.language)
        return checked(utterance.samples, self.options.longest)

    def _windows(self, owner: int, sound: Floats, utterance: Utterance) -> list[_Window]:
        """The pieces of a sound in which somebody may speak."""
        found = [_Window(owner, begin, sound[begin:end], utterance) for begin, end in cuts(sound, self._room)]
        return [window for window in found if spoken(window.samples, self.options.bounds, self.options.voiced)]

    def _hear(self, windows: list[_Window]) -> None:
        """Fill in the texts, trying again where one is not to be believed."""
        for window in windows:
            window.sound = self._encode(window, full=self.options.context == "full")
        self._tell_languages(windows)
        self._write(windows, self.options.temperatures[0], 0)
        doubted = [window for window in windows if self._doubted(window)]
        if self.options.context == "auto":
            short = [window for window in doubted if window.sound and window.sound.positions < self._positions]
            for window in short:
                window.sound = self._encode(window, full=True)
            self._write(short, self.options.temperatures[0], 0)
        for seed, temperature in enumerate(self.options.temperatures[1:], 1):
            doubted = [window for window in doubted if self._doubted(window)]
            self._write(doubted, temperature, seed)
        for window in windows:
            window.sound = None
            if silent(window.draft, self.options.bounds) or self._doubted(window):
                window.text = ""

    def _doubted(self, window: _Window) -> bool:
        """Whether a text is to be tried again: not where nobody spoke."""
        bounds = self.options.bounds
        return failed(window.draft, window.text, bounds) and not silent(window.draft, bounds)

    def _encode(self, window: _Window, *, full: bool) -> Encoded:
        positions = self._positions
        if not full:
            needed = len(window.samples) / _POSITION + self.options.margin * 50
            positions = min(max(math.ceil(needed / _ROUND) * _ROUND, _LEAST), positions)
        return self._engine.encode(self._mel.run(window.samples, positions * _POSITION))

    def _tell_languages(self, windows: list[_Window]) -> None:
        """A sound's language is what its beginning says."""
        told: dict[int, str] = {}
        unknown = []
        for window in windows:
            window.language = window.utterance.language and self.tokens.known(window.utterance.language)
            if not window.language and not self.files.shape.multilingual:
                window.language = "en"
            if not window.language:
                unknown.append(window)
        sounds = [window.sound for window in unknown if window.sound is not None]
        if sounds:
            start = self.tokens.start
            for window, (n, _) in zip(
                unknown, self._writer.languages(sounds, start, self.tokens.language_tokens), strict=True
            ):
                window.language = told.setdefault(window.owner, self.tokens.languages[n])

    def _write(self, windows: list[_Window], temperature: float, seed: int) -> None:
        plain = [window for window in windows if temperature or self._beams(window) == 1]
        searched = [window for window in windows if window not in plain]
        groups = [(plain, 1)]
        for beams in {*map(self._beams, searched)}:
            groups.append(([window for window in searched if self._beams(window) == beams], beams))
        for group, beams in groups:
            if not group:
                continue
            tasks = [self._task(window, searching=beams > 1) for window in group]
            drafts = self._writer.single(tasks, temperature, seed) if beams == 1 else self._writer.search(tasks, beams)
            for window, draft in zip(group, drafts, strict=True):
                window.draft, window.text = draft, self.tokens.decode(draft.tokens).strip()

    def _beams(self, window: _Window) -> int:
        return max(self.options.beams, self.options.biased_beams if window.utterance.words else 1)

    def _task(self, window: _Window, *, searching: bool) -> Task:
        assert window.sound is not None
        begin = self.tokens.beginning(window.language, times=self.options.times)
        before = self._before(window.utterance)
        room = self.files.shape.n_text_ctx
        most = room // 2
        if window.sound.positions < self._positions:
            most = min(most, 16 + 20 * window.sound.positions // 50)
        prompt = (*before, *begin)
        words = window.utterance.words
        tree = WordTree(words, self.tokens, self.options.boost) if words and searching else None
        return Task(window.sound, prompt, len(before), min(most, room + 1 - len(prompt)), tree)

    def _before(self, utterance: Utterance) -> list[int]:
        """The mark and the text that stand before what is written: as much as fits, the latest of it."""
        text = utterance.prompt.strip()
        if self.options.prompt_words and utterance.words:
            text = f"{', '.join(utterance.words)}. {text}".strip()
        if not text:
            return []
        return [
            self.tokens.mark("startofprev"),
            *self.tokens.encode(f" {text}")[-(self.files.shape.n_text_ctx // 2 - 1) :],
        ]

    def _heard(self, windows: list[_Window], utterance: Utterance) -> Heard:
        """One result from the windows of a sound."""
        language = next((window.language for window in windows), utterance.language)
        said = [window for window in windows if window.text]
        if not said:
            silence = min((window.draft.silence for window in windows), default=1.0)
            return Heard("", language, 0.0, silence, (), self.name)
        count = sum(len(window.draft.odds) for window in said)
        mean = sum(window.draft.total for window in said) / count
        words = tuple(word for window in said for word in self._words(window)) if self.options.words else ()
        text = ("" if language in ("zh", "ja", "yue", "th") else " ").join(window.text for window in said)
        silence = min(window.draft.silence for window in said)
        return Heard(text, language, min(math.exp(mean), 1.0), silence, words, self.name)

    def _words(self, window: _Window) -> list[Word]:
        """The words of a window's text with their times; signs belong to the word beside them."""
        draft = window.draft
        tokens = [token for token in draft.tokens if token < self.tokens.end]
        positions = math.ceil(len(window.samples) / _POSITION)
        if self.options.times or len(draft.aligned) < len(draft.tokens) + 1 or not tokens:
            return []
        begins = starts(draft.aligned, len(draft.tokens), positions)
        found: list[Word] = []
        place, offset = 0, window.begin / RATE
        for piece in self.tokens.words(tokens, window.language):
            text, end = self.tokens.decode(piece), place + len(piece)
            odds = float(np.exp(np.mean(draft.odds[place:end])))
            start, stop = float(offset + begins[place]), float(offset + begins[end])
            word = Word(text.strip(), start, max(stop, start + 0.02), min(odds, 1.0))
            place = end
            if found and text.strip() and all(sign in _PUNCTUATION for sign in text.strip()):
                last = found.pop()
                word = Word(last.text + word.text, last.start, last.end, last.probability)
            if word.text:
                found.append(word)
        return found


def cuts(sound: Floats, room: int) -> list[tuple[int, int]]:
    """Where a sound is cut, as (begin, end) in samples: into pieces of at most `room`, in the middle of the quietest
    200 ms near the end of each, the latest of them."""
    found, begin = [], 0
    while len(sound) - begin > room:
        searched = min(int(_SEARCHED * RATE), room // 2)
        first = begin + room - searched
        sums = np.concatenate([[0.0], np.cumsum(np.square(sound[first : begin + room], dtype=np.float64))])
        width = RATE // 5
        quiet = (sums[width:] - sums[:-width])[::-1]
        end = first + len(quiet) - 1 - int(quiet.argmin()) + width // 2
        found.append((begin, end))
        begin = end
    return [*found, (begin, len(sound))] if begin < len(sound) else found


def open_recogniser(source: str, options: SpeechOptions | None = None) -> Whisper:
    """A recogniser from a checkpoint of openai-whisper: the path of a `.pt` file, or a published model's name.

    The first time it is converted, which takes seconds to minutes; then the converted files are used.

    Raises:
        NotFound: there is no such file, or it could not be downloaded.
        InputError: the file is no checkpoint of a Whisper model.
        IntegrityError: it is damaged, or not the one that `sha256` says.
        StorageUnavailable: the converted files cannot be written.
    """
    chosen = options or SpeechOptions()
    return Whisper(find_model(source, chosen.precision, chosen.sha256, chosen.state), chosen)
