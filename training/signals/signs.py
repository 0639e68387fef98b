"""Signs that several rules look for. None of them looks at corrections: rules are judged by those."""

from __future__ import annotations

import re

from bot.core.conversation import FAILED
from bot.core.script import LISTEN
from training.signals.rule import Talk
from training.signals.similarity import Alike
from training.signals.turns import LoggedTurn

SOON = 60.0
"""Seconds within which somebody who says it again means the same thing."""
SAME = 0.5
"""Cosine from which two sentences may mean the same. Of two questions of one bank (BANKING77), 4 in 100 with different
intents are as alike, and 7 in 10 with the same; see docs/decisions/0110-labels-from-signals.md."""

_ESCALATES = re.compile(
    r"\b(useless|stupid|idiot\w*|ridiculous|terrible|rubbish|nonsense|unacceptable|fed up|waste of time|worst"
    r"|manager|supervisor|lawyer|real person|human being|(speak|talk) to (a|some)\w*"
    r"|unm\u00f6glich|unversch\u00e4mt\w*|nutzlos|mitarbeiter|inutile|n'importe quoi|une personne"
    r"|in\u00fatil|una persona)\b"
    r"|[!?]{3,}|\u4eba\u5de5|\u6295\u8bc9|\u5783\u573e|\u6ca1\u7528",
    re.IGNORECASE,
)


def escalates(text: str) -> bool:
    """Whether the words are those of somebody who has had enough or wants a person."""
    letters = [char for char in text if char.isalpha()]
    shouted = len(letters) >= 12 and sum(char.isupper() for char in letters) > 0.8 * len(letters)
    return shouted or _ESCALATES.search(text) is not None


def accepted(turn: LoggedTurn) -> bool:
    """Whether the bot acted on an intent rather than say that it did not understand."""
    unsure = ("no_answer", "rephrase", "stay", "clarify")
    return bool(turn.intent) and not any(
        action.action in unsure or (action.policy.endswith("Fallback") and action.action != LISTEN)
        for action in turn.actions
    )


def soon(earlier: LoggedTurn, later: LoggedTurn) -> bool:
    """Whether the later message came soon after the earlier one was answered."""
    return later.at - earlier.answered_at <= SOON


def said_again(talk: Talk, at: int, alike: Alike) -> int | None:
    """Where the user says soon, in other words, what turn `at` said; one other remark may stand between."""
    first = talk[at]
    if not first.said:
        return None
    for number in (at + 1, at + 2):
        if number >= len(talk) or not soon(talk[number - 1], talk[number]):
            return None
        if talk[number].said and alike(first.text, talk[number].text) >= SAME:
            return number
    return None


def troubled(talk: Talk, at: int) -> bool:
    """Whether something speaks against the answer of turn `at`: a thumb down, a failure, a person who took over."""
    turn = talk[at]
    broke = turn.outcome in ("failed", "unanswered") or any(action.action == FAILED for action in turn.actions)
    return turn.judgement < 0 or broke or turn.handed_off or turn.beside_person


def succeeded(talk: Talk, at: int) -> str | None:
    """The kind of fact that shows that turn `at` was answered well, or None where nothing shows it.

    A thumb up, a task completed, or a conversation that was closed as resolved with no trouble from there on.
    """
    turn = talk[at]
    if troubled(talk, at) or not accepted(turn):
        return None
    if turn.judgement > 0:
        return "rated"
    if turn.completed:
        return "flow_entered" if "flow_entered" in turn.events else "loop_changed"
    return "ended" if resolved(talk, at) else None


def resolved(talk: Talk, at: int) -> bool:
    """Whether the conversation was closed as resolved, with no trouble from turn `at` on."""
    closed = any(later.ended == "resolved" for later in talk[at:])
    return closed and not any(troubled(talk, number) for number in range(at, len(talk)))


def proof(talk: Talk, at: int, kind: str) -> tuple[int, ...]:
    """The positions of the facts that show the success of turn `at`; see `succeeded`."""
    found = set(talk[at].evidence("understood", kind))
    for later in talk[at:]:
        if kind == "ended" and later.ended == "resolved":
            found |= {later.events["ended"]}
    for end in talk[at].completed.values():
        found |= {place for later in talk if later.turn == end for place in later.evidence("flow_left", "loop_changed")}
    return tuple(found)
