"""Rules about users who say it again, get angry, or say nothing more."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from training.examples import OOS
from training.signals.rule import Candidate, Talk, says
from training.signals.signs import accepted, escalates, proof, said_again, succeeded
from training.signals.similarity import Alike

REPEATED = 0.9
"""Cosine from which a question is the same question."""
PATIENCE = 1800.0
"""Seconds after which somebody who was asked something has left."""
_AFTER = 2
"""Turns after a rephrase in which a hand-off belongs to it."""


def rephrase_success(talk: Talk, alike: Alike) -> Iterator[Candidate]:
    """The user said it again in other words soon, was understood otherwise, and was helped: both meant the same.

    The first turn gets the intent of the second, and the passage that answered it. Trap: the user may have changed
    their mind; so the two must be alike, close in time, and the second must have succeeded.
    """
    for at, turn in enumerate(talk):
        again = said_again(talk, at, alike)
        kind = succeeded(talk, again) if again is not None else None
        if again is None or kind is None or succeeded(talk, at) in ("rated", "flow_entered", "loop_changed"):
            continue
        second = talk[again]
        if second.intent == turn.intent:
            continue
        events = (*turn.evidence("understood"), *proof(talk, again, kind))
        yield says(turn, "intent", second.intent, events)
        passages = dict.fromkeys(name for reply in second.replies for name in reply.passages)
        yield from (says(turn, "passage", name, events) for name in passages)


def rephrase_handoff(talk: Talk, alike: Alike) -> Iterator[Candidate]:
    """The user said it again in other words, and then a person took over: what was understood was wrong both times.

    It may also be something that the bot knows nothing about. Trap: some users want a person whatever the bot says.
    """
    for at, turn in enumerate(talk):
        again = said_again(talk, at, alike)
        if again is None or succeeded(talk, at) or succeeded(talk, again):
            continue
        taken = next((later for later in talk[again : again + 1 + _AFTER] if later.handed_off), None)
        if taken is None:
            continue
        events = (*turn.evidence("understood"), *talk[again].evidence("understood"), *taken.evidence("handed_off"))
        for wrong in (turn, talk[again]):
            if wrong.intent and not (wrong is taken and wrong.intent != turn.intent):
                yield says(wrong, "intent", wrong.intent, events, -1)
        yield says(turn, "scope", OOS, events)


def repeated_question(talk: Talk, alike: Alike) -> Iterator[Candidate]:
    """The user asked the same thing in the same words again: the first answer did not help.

    Trap: people repeat themselves when a page is slow, and greet twice. A weak sign, never used alone.
    """
    for at, turn in enumerate(talk):
        if not turn.said or not turn.answer or succeeded(talk, at) == "rated":
            continue
        for later in talk[at + 1 :]:
            if later.said and alike(turn.text, later.text) >= REPEATED:
                yield says(turn, "reply", turn.answer, (*turn.evidence("replied"), *later.evidence()), -1)
                break


def escalation(talk: Talk, alike: Alike) -> Iterator[Candidate]:
    """The next words are those of somebody who has had enough: the answer before did not help.

    Trap: people are angry about a parcel as well as about an answer. A weak sign, never used alone.
    """
    for before, turn in pairwise(talk):
        if before.answer and turn.said and escalates(turn.text) and not before.handed_off:
            yield says(before, "reply", before.answer, (*before.evidence("replied"), *turn.evidence()), -1)


def silence(talk: Talk, alike: Alike) -> Iterator[Candidate]:
    """The bot did not understand, or asked something, and the user never came back: the answer did not help.

    Trap: a user who has what they wanted leaves as well. A weak sign, never used alone.
    """
    turn = talk[-1]
    left = turn.ended == "abandoned" or (not turn.ended and turn.quiet >= PATIENCE)
    waited = turn.asked or turn.clarified or not accepted(turn) or turn.ended == "abandoned"
    if left and waited and turn.answer and turn.judgement <= 0 and not turn.handed_off and not turn.beside_person:
        yield says(turn, "reply", turn.answer, turn.evidence("replied", "ended"), -1)
