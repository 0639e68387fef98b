"""A turn as a person judges it: its conversation, what the bot did, what the model thinks now, and why it is asked."""

from __future__ import annotations

from pydantic import JsonValue

from bot.core.events import Entity
from bot.core.messages import Value
from training.draws import Reason
from training.judgements import Place


class Said(Value):
    """A line of the conversation."""

    speaker: str
    text: str


class Guess(Value):
    """An intent, how likely the model finds it, and its name for people."""

    intent: str
    label: str
    probability: float


class Neighbour(Value):
    """A labelled text, and how alike it is (cosine)."""

    text: str
    intent: str
    alike: float


class Item(Value):
    """A turn to judge. `understood` is the intent that the bot acted on, "" if none; `accepts` what "accept" means.

    `guesses` are in the order in which to show them. `signs` are rules that speak about the turn. `probability` is that
    with which the draw takes this turn; `second`: somebody else has judged it and this is to measure agreement.
    """

    conversation: str
    turn: int
    at: float
    channel: str
    text: str
    language: str
    before: tuple[Said, ...]
    after: tuple[Said, ...]
    replies: tuple[Said, ...]
    understood: str
    accepts: str
    guesses: tuple[Guess, ...]
    shuffled: bool
    in_scope: float
    entities: tuple[Entity, ...]
    neighbours: tuple[Neighbour, ...]
    signs: tuple[str, ...]
    reason: Reason
    probability: float
    batch: str
    place: int
    of: int

    @property
    def where(self) -> Place:
        """Conversation and turn."""
        return self.conversation, self.turn

    def metadata(self) -> dict[str, JsonValue]:
        """What a judgement has to tell of how it came about."""
        best = max(self.guesses, key=lambda guess: guess.probability, default=None)
        return {
            "reason": self.reason,
            "probability": round(self.probability, 6),
            "batch": self.batch,
            "place": self.place,
            "of": self.of,
            "best": best.intent if best else "",
            "shown": [guess.intent for guess in self.guesses],
            "shuffled": self.shuffled,
        }
