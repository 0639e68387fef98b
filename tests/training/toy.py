"""A whole little workshop: word counts instead of an encoder, JSON instead of weights. Fits in milliseconds."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.core.errors import IntegrityError
from bot.core.events import Entity, Scored
from bot.core.protocols import Understanding, Utterance
from skills.entities_rules import words
from training.evaluate import Unseen, ranking_report
from training.examples import OOS, OUTSIDE, IntentExample, SlotExample
from training.gate.measured import Judged
from training.gate.verdict import Integrity
from training.progress import Progress
from training.ranking_rows import Choice, RankingData
from training.reproduce import Loader, Prediction, compared, predictions, reproduce
from training.workshop import FitOptions, Made, Rows

if TYPE_CHECKING:
    from bot.project import Project

THRESHOLD = 0.3


class ToyUnderstander:
    """The intent whose training words the text shares most; entities are words that were tagged in training."""

    name = "toy"

    def __init__(self, intents: dict[str, dict[str, float]], slots: dict[str, str]) -> None:
        self.intents, self.slots = intents, slots

    def run(self, batch: Sequence[Utterance]) -> list[Understanding]:
        return [self._one(item.text) for item in batch]

    def _one(self, text: str) -> Understanding:
        tokens = words(text)
        scores = {name: sum(known.get(word, 0.0) for word, _, _ in tokens) ** 8 for name, known in self.intents.items()}
        total = sum(scores.values()) or 1.0
        ranked = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
        known = sum(any(word in table for table in self.intents.values()) for word, _, _ in tokens)
        entities = tuple(
            Entity(type=self.slots[word], value=word, text=text[start:end], start=start, end=end, extractor="head")
            for word, start, end in tokens
            if word in self.slots
        )
        intents = tuple(Scored(name=name, score=score / total) for name, score in ranked)
        scope = known / max(1, len(tokens))
        return Understanding(text, "en", True, intents, scope, THRESHOLD, entities, "toy")


class ToyWorkshop:
    """`ignore` are intents that it learns nothing about. With a `loader`, a new process checks the bundle."""

    base, fingerprint = "toy", "toy-1"

    def __init__(self, ignore: Sequence[str] = (), loader: str = "") -> None:
        self.ignore, self.loader = ignore, loader

    def make(
        self, skill: str, folder: Path, rows: Rows, project: Project | None, options: FitOptions, progress: Progress
    ) -> Made:
        folder.mkdir()
        if skill == "intent":
            table = _intents([row for row in rows if isinstance(row, IntentExample)])
            labels = sorted(table)
            table = {name: {} if name in self.ignore else counts for name, counts in table.items()}
            (folder / "toy.json").write_text(json.dumps(table, sort_keys=True))
        else:
            slots = _slots([row for row in rows if isinstance(row, SlotExample)])
            labels = sorted(set(slots.values()))
            (folder / "toy.json").write_text(json.dumps(slots, sort_keys=True))
        progress(1.0, "fitting")
        return Made("counts", tuple(labels), {"seed": options.seed})

    def rank(self, folder: Path, data: RankingData, options: FitOptions, progress: Progress) -> Made:
        folder.mkdir()
        actions = tuple(sorted({cell.action for story in data.stories for cell in story.cells}))
        (folder / "toy.json").write_text(json.dumps(actions))
        count = len(actions)
        unseen = Unseen(gold=actions, given=actions, known=(True,) * count, sure=(1.0,) * count, where=actions)
        return Made("counts", actions, {}, ranking_report(unseen, data.described()))

    def chosen(self, folder: Path, choices: Sequence[Choice]) -> Sequence[Judged]:
        return ()

    def load(self, folder: Path) -> ToyUnderstander:
        return load(folder)

    def finish(
        self, folder: Path, examples: Sequence[IntentExample], slots: Sequence[SlotExample] = ()
    ) -> ToyUnderstander:
        return load(folder)

    def reproduce(self, folder: Path, texts: Sequence[str], expected: Sequence[Prediction]) -> Integrity:
        if self.loader:
            return reproduce(folder, Loader(self.loader), texts, expected)
        return compared(expected, predictions(load(folder), texts))


def load(folder: Path, knowledge: object = None) -> ToyUnderstander:
    return ToyUnderstander(_read(folder / "intent"), _read(folder / "entities"))


def load_forgetful(folder: Path, knowledge: object) -> ToyUnderstander:
    """A loader that loses the head, as the field's best-known bug does."""
    return ToyUnderstander({"a": {}, "b": {}}, {})


def _read(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        return {}
    try:
        table: dict[str, Any] = json.loads((folder / "toy.json").read_text())
    except ValueError as error:
        raise IntegrityError(str(folder), "is damaged") from error
    return table


def _intents(rows: Sequence[IntentExample]) -> dict[str, dict[str, float]]:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    spread: Counter[str] = Counter()
    for row in rows:
        if row.intent != OOS:
            counts[row.intent].update(word for word, _, _ in words(row.text))
    for known in counts.values():
        spread.update(known.keys())
    return {name: {word: 1.0 / spread[word] ** 2 for word in known} for name, known in counts.items()}


def _slots(rows: Sequence[SlotExample]) -> dict[str, str]:
    pairs = [
        (token, tag[2:]) for row in rows for token, tag in zip(row.tokens, row.tags, strict=True) if tag != OUTSIDE
    ]
    return dict(pairs)
