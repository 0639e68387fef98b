"""What a message means: language, intents, entities, vector, from one encoder pass for the whole batch.

The composite that a running bot and every evaluation call. Heads read the same forward; an entity head tells which
layers it needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from bot.core.events import Entity, Scored
from bot.core.program import Program
from bot.core.protocols import Understanding, Utterance
from skills.encoder import Encoder, Encoding
from skills.encoder_recent import LONGEST
from skills.entities import EntityExtractor
from skills.gibberish import is_gibberish
from skills.intent import IntentHead
from skills.language import LanguageIdentification

INTENT, ENTITIES = "intent", "entities"
"""Folders of the heads in a bundle."""
RANKING = 10
"""How many intents of the ranking are passed on."""
MAX_CHARACTERS = 8000
"""What is read of a long message. Offsets stay valid: it is the beginning."""


class Entities(Protocol):
    """Finds entities in encoded messages, as `skills.entities.EntityExtractor` does."""

    @property
    def layers(self) -> tuple[int, ...]:
        """The encoder layers whose states it needs."""
        ...

    def warm_up(self) -> None:
        """Load what is loaded on first use."""
        ...

    def day(self, utterance: Utterance) -> date | None:
        """The day that the entities of a message depend on; None if it has the same whenever it is said."""
        ...

    def run(self, utterances: Sequence[Utterance], encodings: Sequence[Encoding]) -> list[tuple[Entity, ...]]:
        """The entities of each message."""
        ...


class Understander:
    """A `Skill` from `Utterance` to `Understanding`. `run` may be called from one thread at a time."""

    name = "understanding"

    def __init__(
        self,
        encoder: Encoder,
        intent: IntentHead | None,
        entities: Entities | None,
        language: LanguageIdentification,
        bundle: str = "",
    ) -> None:
        self.encoder = encoder
        self.intent = intent
        self.entities = entities
        self.language = language
        self.bundle = bundle

    @classmethod
    def load(cls, folder: Path, encoder: Encoder, program: Program | None = None, bundle: str = "") -> Understander:
        """The heads in a bundle's folder; a head that the bundle does not have is left out.

        Raises:
            IntegrityError: a head's file is missing or damaged, or the head was trained on another encoder.
        """
        intent = IntentHead.load(folder / INTENT, encoder.identity) if (folder / INTENT).is_dir() else None
        entities = EntityExtractor.load(folder / ENTITIES) if (folder / ENTITIES).is_dir() else None
        languages = program.behaviour.languages if program is not None else ("en",)
        return cls(encoder, intent, entities, LanguageIdentification(languages), bundle)

    def warm_up(self) -> None:
        """Load what only some messages need: language models and the library of dates; from any thread."""
        self.language.warm_up()
        if self.entities is not None:
            self.entities.warm_up()

    def sameness(self, item: Utterance) -> tuple[str, date | None] | None:
        """What the result for a short message depends on: equal messages mean the same. None for a long one."""
        if len(item.text) > LONGEST:
            return None
        return item.text, None if self.entities is None else self.entities.day(item)

    def run(self, batch: Sequence[Utterance]) -> list[Understanding]:
        """One result per message, in order. A blank message has no intents, no entities and no vector."""
        batch = [_shortened(item) for item in batch]
        spoken = [item for item in batch if item.text.strip()]
        found = iter(self._understand(spoken)) if spoken else iter(())
        return [next(found) if item.text.strip() else self._nothing(item.text) for item in batch]

    def _understand(self, batch: Sequence[Utterance]) -> list[Understanding]:
        texts = [item.text for item in batch]
        encodings = self.encoder.run(texts, self._layers)
        rankings = self._intents(texts, encodings)
        entities = [()] * len(batch) if self.entities is None else self.entities.run(batch, encodings)
        return [
            Understanding(
                text=text,
                language=language,
                supported=language in self.language.languages,
                intents=ranking,
                in_scope=0.0 if self._is_noise(text, encoding) else in_scope,
                threshold=self._threshold,
                entities=spans,
                bundle=self.bundle,
                vector=encoding.vector,
            )
            for text, language, (ranking, in_scope), spans, encoding in zip(
                texts, self.language.run(texts), rankings, entities, encodings, strict=True
            )
        ]

    def _is_noise(self, text: str, encoding: Encoding) -> bool:
        """Whether somebody hit keys at random; what an author gave as an example is meant, however it looks."""
        known = self.intent is not None and self.intent.examples.find(text) is not None
        return not known and is_gibberish(text, encoding.offsets)

    @property
    def _layers(self) -> tuple[int, ...]:
        """The encoder layers whose states the heads need."""
        intent = () if self.intent is None else self.intent.layers
        return tuple(sorted({*intent, *(() if self.entities is None else self.entities.layers)}))

    def _intents(self, texts: Sequence[str], encodings: Sequence[Encoding]) -> list[tuple[tuple[Scored, ...], float]]:
        """Ranking and in-scope probability of each text."""
        if self.intent is None:
            return [((), 0.0)] * len(texts)
        scores = self.intent.run(texts, np.stack([encoding.vector for encoding in encodings]), encodings)
        return [
            (self._ranked(row), float(share)) for row, share in zip(scores.probabilities, scores.in_scope, strict=True)
        ]

    def _ranked(self, probabilities: npt.NDArray[np.float32]) -> tuple[Scored, ...]:
        assert self.intent is not None
        best = np.argsort(-probabilities, kind="stable")[:RANKING]
        ranked = zip(best.tolist(), probabilities[best].tolist(), strict=True)
        return tuple(Scored(name=self.intent.intents[n], score=score) for n, score in ranked)

    @property
    def _threshold(self) -> float:
        return 0.5 if self.intent is None else self.intent.threshold

    def _nothing(self, text: str) -> Understanding:
        return Understanding(
            text=text,
            language=self.language.languages[0],
            supported=True,
            intents=(),
            in_scope=0.0,
            threshold=self._threshold,
            entities=(),
            bundle=self.bundle,
        )


def _shortened(item: Utterance) -> Utterance:
    if len(item.text) <= MAX_CHARACTERS:
        return item
    return Utterance(item.text[:MAX_CHARACTERS], item.now, item.context)
