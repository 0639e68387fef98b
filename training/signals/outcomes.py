"""Rules about how it ended, and about what people said on purpose."""

from __future__ import annotations

from collections.abc import Iterator

from training.examples import OOS
from training.signals.rule import OUTSIDE, Candidate, Talk, says
from training.signals.signs import accepted, escalates, proof, resolved, said_again, troubled
from training.signals.similarity import Alike
from training.signals.turns import Correction, LoggedTurn

_LONG = 900.0
"""Seconds after which a hand-off has nothing to do with the question before it."""
_BACK = 3
"""How many turns before a hand-off its question may be."""
_A_FEW, _WORDY = 3, 20
"""Words that a question has, or letters where words are not spaced."""


def thumb_up(talk: Talk, alike: Alike) -> Iterator[Candidate]:
    """The user liked the answer: the reply and its passage were right.

    Trap: few users rate at all, and not the average ones. What is liked is the answer: alone it says nothing of the
    intent.
    """
    yield from _thumbs(talk, 1)


def thumb_down(talk: Talk, alike: Alike) -> Iterator[Candidate]:
    """The user disliked the answer: the reply and its passage were wrong.

    Trap: people vote down the parcel that is late, and the angry vote more. It lowers the intent, and names no other.
    """
    yield from _thumbs(talk, -1)


def task_completed(talk: Talk, alike: Alike) -> Iterator[Candidate]:
    """A flow or form began with these words and the user went through with it: the intent was right.

    Trap: only those who were understood get that far, so this adds easy examples; and a task that asks nothing is
    completed whatever was meant. So only tasks in which the user answered a question count, none that a hand-off
    closed, and none in which the user said the same again: no answer, though the task may have taken it as one.
    """
    for at, turn in enumerate(talk):
        ends = [number for number, later in enumerate(talk) if later.turn in turn.completed.values()]
        fine = ends and not any(troubled(talk, number) for number in (at, *ends))
        if turn.said and turn.intent and fine and said_again(talk, at, alike) is None:
            kind = "flow_entered" if "flow_entered" in turn.events else "loop_changed"
            yield says(turn, "intent", turn.intent, proof(talk, at, kind))


def answer_accepted(talk: Talk, alike: Alike) -> Iterator[Candidate]:
    """The user liked the answer, nothing went wrong from there on, and the conversation was closed as resolved: intent
    and answer were right.

    For bots that answer questions it is what a completed task is for others. Trap: only those who were understood get
    that far, so this adds easy examples; and some like an answer for its tone.
    """
    for at, turn in enumerate(talk):
        liked = any(rating.by == "user" and rating.score > 0 for rating in turn.ratings)
        if turn.said and liked and not turn.completed and accepted(turn) and resolved(talk, at):
            events = (*turn.evidence("understood", "rated"), *proof(talk, at, "ended"))
            yield says(turn, "intent", turn.intent, events)
            shown = dict.fromkeys(name for reply in turn.replies for name in reply.passages)
            yield from (says(turn, "passage", name, events) for name in shown)
            if turn.answer and not shown:
                yield says(turn, "reply", turn.answer, events)


def closed_resolved(talk: Talk, alike: Alike) -> Iterator[Candidate]:
    """The bot did something at once, nothing went wrong, and the conversation was closed as resolved: so it was right.

    Trap: what "resolved" is worth depends on who says so; some systems close everything that way. So it begins as a
    weak sign, and the audit has to prove it first. Conversations about several things do not count.
    """
    asked = [at for at, turn in enumerate(talk) if turn.said and turn.began]
    others = [turn for turn in talk if turn.said and not turn.began]
    if len(asked) != 1 or not accepted(talk[asked[0]]) or any(turn.clarified for turn in talk):
        return
    turn = talk[asked[0]]
    answers = turn.completed.values()
    if resolved(talk, asked[0]) and all(turn.turn < other.turn <= max(answers, default=0) for other in others):
        yield says(turn, "intent", turn.intent, (*turn.evidence("understood"), *proof(talk, asked[0], "ended")))


def handoff_resolved(talk: Talk, alike: Alike) -> Iterator[Candidate]:
    """A person took over and settled it: their answer, and the intent they noted, belong to the question before.

    Trap: the person saw more than the words of one turn. The note on "give me a person" speaks of the question before
    it, not of those words.
    """
    for at, turn in enumerate(talk):
        if not turn.handed_off:
            continue
        asked = _question(talk, at)
        if asked is None:
            continue
        events = (*asked.evidence("understood"), *turn.evidence("handed_off"))
        noted = _last(turn, "agent")
        if noted is not None and noted.intent and asked is not turn and _calls_person(turn):
            yield says(asked, "intent", noted.intent, (*events, noted.event))
        answer = next((r for later in talk[at:] for r in later.replies if r.by_person and r.text.strip()), None)
        if answer is not None:
            yield says(asked, "reply", answer.text, (*events, answer.event))


def corrected_by_reviewer(talk: Talk, alike: Alike) -> Iterator[Candidate]:
    """A reviewer said what would have been right, or that it was right; or the old bot's log came with a correction.

    Trap: reviewers err too, most of all where two intents overlap; have some turns judged twice. Of corrections that
    were imported nobody knows how carefully they were made.
    """
    for turn in talk:
        found = _last(turn, "reviewer", "import")
        if found is not None:
            yield from _corrected(turn, found)
        approved = [rating for rating in turn.ratings if rating.by == "reviewer"]
        if (found is None or found.intent is None) and approved and approved[-1].score > 0 and turn.intent:
            yield says(turn, "intent", turn.intent, (*turn.evidence("understood"), approved[-1].event))


def corrected_by_agent(talk: Talk, alike: Alike) -> Iterator[Candidate]:
    """The person who took over noted what was meant, or wrote a better answer.

    Trap: agents tag coarsely, and often the turn in which they were called. That turn is left to `handoff_resolved`.
    """
    for turn in talk:
        found = _last(turn, "agent")
        if found is not None and not (turn.handed_off and _calls_person(turn)):
            yield from _corrected(turn, found)


def _thumbs(talk: Talk, sign: int) -> Iterator[Candidate]:
    for turn in talk:
        given = [rating for rating in turn.ratings if rating.by == "user" and rating.score]
        if not given or given[-1].score * sign <= 0:
            continue
        events = (*turn.evidence("understood", "replied"), given[-1].event)
        if turn.answer:
            yield says(turn, "reply", turn.answer, events, sign)
        passages = dict.fromkeys(name for reply in turn.replies for name in reply.passages)
        yield from (says(turn, "passage", name, events, sign) for name in passages)
        if sign < 0 and turn.said and turn.intent:
            yield says(turn, "intent", turn.intent, events, sign)


def _question(talk: Talk, at: int) -> LoggedTurn | None:
    """What the hand-off of turn `at` was about: the turn itself, or a question before it if that one called a person.

    Of the turns before, one whose answer was disliked comes first, then the latest one with a few words.
    """
    turn = talk[at]
    if not _calls_person(turn):
        return turn if turn.said else None
    near = [t for t in talk[max(0, at - _BACK) : at] if turn.at - t.answered_at <= _LONG]
    asked = [t for t in near if t.said and not t.completed and not escalates(t.text)]
    ranked = sorted(
        asked, key=lambda t: (t.judgement < 0, len(t.text.split()) >= _A_FEW or len(t.text) > _WORDY, t.turn)
    )
    return ranked[-1] if ranked else None


def _calls_person(turn: LoggedTurn) -> bool:
    """Whether the turn asked for a person. What another bot did is not known; there it is taken for granted."""
    routes = [action for action in turn.actions if not action.policy]
    return not routes or any(action.action == "handoff" for action in routes)


def _last(turn: LoggedTurn, *sources: str) -> Correction | None:
    """The last word of these sources; what it leaves open is filled by what was said before."""
    found: Correction | None = None
    for item in turn.corrections:
        if item.source in sources:
            earlier = found or item
            intent = earlier.intent if item.intent is None else item.intent
            reply = earlier.reply if item.reply is None else item.reply
            found = Correction(intent, reply, item.source, item.audit or earlier.audit, item.event)
    return found


def _corrected(turn: LoggedTurn, found: Correction) -> Iterator[Candidate]:
    events = (*turn.evidence("understood"), found.event)
    if found.intent and turn.said:
        yield says(turn, "intent", found.intent, events)
        if found.intent in OUTSIDE:
            yield says(turn, "scope", OOS, events)
    if found.reply:
        yield says(turn, "reply", found.reply, events)
