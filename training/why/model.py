"""The classifiers of a bundle, asked anew: without their known examples, with one more example, on other words."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

from bot.core import events as ev
from bot.core.program import Program
from bot.core.protocols import Understanding, Utterance
from skills.encoder import Encoder
from skills.intent import NO_EXAMPLES, Examples, IntentHead, IntentScores
from skills.understanding import Understander


class Model:
    """A bundle's understanding; `judge` is for `training.why.words`."""

    def __init__(self, served: Understander, encoder: Encoder, head: IntentHead) -> None:
        self.served, self.encoder, self.head = served, encoder, head
        self.intents, self.threshold = head.intents, head.threshold
        self._bare = copy.copy(head)
        self._bare.examples = NO_EXAMPLES

    @classmethod
    def load(cls, folder: Path, encoder: Encoder, program: Program | None, bundle: str) -> Model | None:
        """The bundle in a folder; None when it has no intents.

        Raises:
            IntegrityError: a file is damaged, or the bundle was trained on another encoder.
        """
        served = Understander.load(folder, encoder, program, bundle)
        return cls(served, encoder, served.intent) if served.intent is not None else None

    def judge(self, texts: Sequence[str]) -> IntentScores:
        """Score texts by their words and vectors alone."""
        return self._bare.read(texts, self.encoder)

    def understand(self, text: str, like: ev.Understood) -> ev.Understood:
        """What the bundle says of a text, as a fact."""
        return _fact(self.served.run([Utterance(text=text, now=0.0)])[0], like)

    def taught(self, text: str, intent: str, like: ev.Understood) -> ev.Understood | None:
        """What it says of the text once it is an example of the intent; None for an intent that it does not know.

        An example is known by its words from the next training on; what else that training moves is not told.
        """
        if intent not in self.intents:
            return None
        head = copy.copy(self.head)
        head.examples = Examples.of([text], [self.intents.index(intent)])
        served = copy.copy(self.served)
        served.intent = head
        return _fact(served.run([Utterance(text=text, now=0.0)])[0], like)


def _fact(found: Understanding, like: ev.Understood) -> ev.Understood:
    """As the manager notes it. For the same words the entities are those of the log: dates depend on the day."""
    entities = like.entities if found.text == like.text else found.entities
    return found.as_fact().model_copy(update={"text": like.text, "entities": entities})
