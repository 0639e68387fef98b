"""Writes down what was heard, token by token: the likeliest at each step, drawn ones, or several texts side by side.

Texts of many sounds are written at once; one that is done leaves the batch. The search over several texts is
openai-whisper's (beam search with patience 1), with what likely words have earned added to a text's score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from skills.speech_bias import Path, WordTree
from skills.speech_engine import Encoded, Said, SpeechEngine, Texts
from skills.speech_rules import Rules, log_odds

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Task:
    """A sound and what stands before its text. `start` is the place of the mark that begins a text, `most` how many
    tokens may be written."""

    sound: Encoded
    prompt: tuple[int, ...]
    start: int
    most: int
    tree: WordTree | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """What was written. `odds`: each token's log-probability, the end's behind them if it was reached.

    `aligned`: the attention rows (heads, positions) from the mark on that begins a text: one for each token that was
    read. `silence` is how likely nobody spoke: the probability of the mark for that, or of ending at once.
    """

    tokens: tuple[int, ...] = ()
    odds: tuple[float, ...] = ()
    aligned: tuple[Floats, ...] = field(default=(), repr=False)
    silence: float = 0.0
    path: Path = field(default=Path(), repr=False)
    ended: bool = False

    @property
    def total(self) -> float:
        """The text's log-probability."""
        return float(sum(self.odds))

    @property
    def score(self) -> float:
        """The same with what likely words have earned."""
        return self.total + self.path.credit

    @property
    def mean(self) -> float:
        """Log-probability per token, the end counted."""
        return self.total / (len(self.tokens) + 1)

    def add(self, token: int, odds: float, ended: bool, seen: Floats, path: Path) -> Draft:
        """With one more token. `seen` is the attention from which it was told."""
        tokens = self.tokens if ended else (*self.tokens, token)
        return replace(
            self, tokens=tokens, odds=(*self.odds, odds), aligned=(*self.aligned, seen), path=path, ended=ended
        )


class Writer:
    """Writes texts with a model by its rules."""

    def __init__(self, engine: SpeechEngine, rules: Rules, end: int, nobody: int) -> None:
        """`end`: the token that ends a text; `nobody`: the mark that says that nobody spoke."""
        self._engine, self._rules, self._end, self._nobody = engine, rules, end, nobody

    def single(self, tasks: Sequence[Task], temperature: float = 0.0, seed: int = 0) -> list[Draft]:
        """One text for each sound: the likeliest token at each step, or one drawn at a temperature.

        The same seed gives the same text, whatever else is in the batch.
        """
        draws = [np.random.default_rng(seed) for _ in tasks]
        texts, drafts, said = self._begin(tasks)
        rows = list(range(len(tasks)))
        while True:
            going = []
            for place, row in enumerate(rows):
                draft, odds = drafts[row], self._rules.allow(said.logits[place], drafts[row].tokens)
                if temperature:
                    noise = draws[row].gumbel(size=len(odds)).astype(np.float32)
                    token = int((odds / np.float32(temperature) + noise).argmax())
                else:
                    token = int(odds.argmax())
                seen = said.aligned[place, :, -1] if draft.tokens else _last(said, place, tasks[row])
                drafts[row] = draft.add(token, float(odds[token]), token == self._end, seen, draft.path)
                if not drafts[row].ended and len(drafts[row].tokens) < tasks[row].most:
                    going.append(place)
            if not going:
                return drafts
            texts.pick(going)
            rows = [rows[place] for place in going]
            said = texts.go_on([drafts[row].tokens[-1] for row in rows])

    def search(self, tasks: Sequence[Task], beams: int) -> list[Draft]:
        """The best of several texts for each sound."""
        texts, begun, said = self._begin(tasks)
        going: list[tuple[int, Draft]] = list(enumerate(begun))
        done: list[list[Draft]] = [[] for _ in tasks]
        while True:
            found: list[tuple[int, int, Draft]] = []
            for task in dict.fromkeys(number for number, _ in going):
                rows = [(place, draft) for place, (number, draft) in enumerate(going) if number == task]
                kept, ended = self._best(rows, said, tasks[task], beams)
                done[task] += ended[: beams - len(done[task])]
                if kept and len(done[task]) < beams and len(kept[0][1].tokens) < tasks[task].most:
                    found += [(place, task, draft) for place, draft in kept]
                else:
                    done[task] += [draft for _, draft in kept][: beams - len(done[task])]
            if not found:
                return [max(drafts, key=lambda draft: draft.score / max(len(draft.tokens), 1)) for drafts in done]
            texts.pick([place for place, _, _ in found])
            going = [(task, draft) for _, task, draft in found]
            said = texts.go_on([draft.tokens[-1] for _, draft in going])

    def languages(self, sounds: Sequence[Encoded], start: int, languages: range) -> list[tuple[int, float]]:
        """The likeliest language of each sound, by its number, and how likely it is among them."""
        said = self._engine.open(sounds, 2).begin([[start]] * len(sounds))
        found = []
        for logits in said.logits:
            odds = np.exp(log_odds(logits[languages.start : languages.stop]))
            found.append((int(odds.argmax()), float(odds.max())))
        return found

    def _begin(self, tasks: Sequence[Task]) -> tuple[Texts, list[Draft], Said]:
        """Read what stands before the texts."""
        room = min(max(len(task.prompt) + task.most for task in tasks), self._engine.shape.n_text_ctx)
        texts = self._engine.open([task.sound for task in tasks], room)
        said = texts.begin([task.prompt for task in tasks], [task.start for task in tasks])
        assert said.first is not None
        drafts = []
        for row, task in enumerate(tasks):
            nobody = float(np.exp(log_odds(said.first[row]))[self._nobody])
            at_once = float(np.exp(log_odds(said.logits[row]))[self._end])
            before = said.aligned[row, :, task.start : len(task.prompt) - 1]
            rows = tuple(np.ascontiguousarray(before[:, n]) for n in range(before.shape[1]))
            drafts.append(Draft(silence=max(nobody, at_once), aligned=rows))
        return texts, drafts, said

    def _best(
        self, rows: Sequence[tuple[int, Draft]], said: Said, task: Task, beams: int
    ) -> tuple[list[tuple[int, Draft]], list[Draft]]:
        """The texts of one sound that are followed on, with the rows that they come from, and those that ended."""
        found: list[tuple[int, Draft]] = []
        for place, draft in rows:
            odds = self._rules.allow(said.logits[place], draft.tokens)
            boosted = odds
            if task.tree is not None:
                boosted = odds.copy()
                for token, gain in task.tree.boosts(draft.path).items():
                    boosted[token] += gain
            seen = said.aligned[place, :, -1] if draft.tokens else _last(said, place, task)
            for token in np.argpartition(-boosted, beams)[: beams + 1]:
                path = task.tree.step(draft.path, int(token)) if task.tree is not None else draft.path
                ended = int(token) == self._end
                found.append((place, draft.add(int(token), float(odds[token]), ended, seen, path)))
        found = [pair for pair in found if np.isfinite(pair[1].total)] or found
        found.sort(key=lambda pair: -pair[1].score)
        kept: list[tuple[int, Draft]] = []
        ended_ones = []
        for place, draft in found:
            if draft.ended:
                ended_ones.append(draft)
            elif len(kept) < beams:
                kept.append((place, draft))
            if len(kept) == beams:
                break
        return kept, ended_ones


def _last(said: Said, place: int, task: Task) -> Floats:
    """The attention of the prompt's last token; behind it the row may be filled up."""
    seen: Floats = said.aligned[place, :, len(task.prompt) - 1]
    return seen
