"""Rules about buttons that users press."""

from __future__ import annotations

from collections.abc import Iterator

from training.signals.rule import Candidate, Talk, says
from training.signals.signs import accepted
from training.signals.similarity import Alike
from training.signals.turns import LoggedTurn


def chose_first_guess(talk: Talk, alike: Alike) -> Iterator[Candidate]:
    """The user was asked "did you mean" and pressed the first button: the words before meant that.

    Trap: what stands first is pressed more often, whatever it says. Therefore this is a rule of its own, and the audit
    finds how far the first place can be believed.
    """
    yield from _clarified(talk, first=True)


def chose_other_guess(talk: Talk, alike: Alike) -> Iterator[Candidate]:
    """The user was asked "did you mean" and pressed a button that was not the first: the words before meant that.

    Trap: none of the buttons may have been right, and one was the nearest.
    """
    yield from _clarified(talk, first=False)


def chose_none(talk: Talk, alike: Alike) -> Iterator[Candidate]:
    """The user was asked "did you mean" and pressed none of the guesses: each of them is wrong.

    Trap: somebody in a hurry presses the last button too. It says what was not meant; never what was.
    """
    for turn, doubtful in _presses(talk):
        if doubtful.clarified and not _guessed(turn, doubtful):
            offered = {choice.payload.removeprefix("/") for choice in doubtful.offered}
            for candidate in doubtful.candidates:
                if candidate.name in offered:
                    yield says(doubtful, "intent", candidate.name, _seen(turn, doubtful), -1)


def quick_reply(talk: Talk, alike: Alike) -> Iterator[Candidate]:
    """The bot had not understood and showed buttons; the user pressed one at once: the words before meant that.

    Trap: buttons under an answer lead to the next wish, which the words before did not mean. So only turns that the bot
    did not understand count, and no button that calls a person.
    """
    for turn, before in _presses(talk):
        lost = not accepted(before) and not before.clarified
        if lost and before.said and turn.turn == before.turn + 1 and turn.intent and not turn.handed_off:
            yield says(before, "intent", turn.intent, _seen(turn, before))


def _clarified(talk: Talk, first: bool) -> Iterator[Candidate]:
    for turn, doubtful in _presses(talk):
        chose = doubtful.clarified and doubtful.said and _guessed(turn, doubtful)
        if chose and (turn.pressed == doubtful.offered[0]) == first:
            yield says(doubtful, "intent", turn.intent, _seen(turn, doubtful))


def _presses(talk: Talk) -> Iterator[tuple[LoggedTurn, LoggedTurn]]:
    """Turns that pressed a button, with the turn that showed it."""
    by_number = {turn.turn: turn for turn in talk}
    for turn in talk:
        if turn.pressed is not None and turn.pressed_in in by_number:
            yield turn, by_number[turn.pressed_in]


def _guessed(turn: LoggedTurn, doubtful: LoggedTurn) -> bool:
    """Whether the button stood for an intent that had been a candidate."""
    return bool(turn.intent) and turn.intent in {candidate.name for candidate in doubtful.candidates}


def _seen(turn: LoggedTurn, shown_in: LoggedTurn) -> tuple[int, ...]:
    return (*shown_in.evidence("understood", "replied"), *turn.evidence("understood"))
