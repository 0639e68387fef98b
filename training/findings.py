"""What a round of learning found, put into a lesson's words and numbers."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bot.core import events as ev
from bot.core.events import Recorded
from training.gate.evidence import Tests
from training.gate.verdict import Comparison, Turn, Verdict
from training.harvest import LOG, Harvest, by_conversation
from training.lesson import Change, Figure, Heard, Learned, Month, Outcome, Quote, RuleLine, Tested
from training.privacy import VERSION
from training.rows import Row
from training.settling import SETTLED
from training.signals.register import RULES
from training.train import TrainResult

_SHOWN = 12
_OF_SEARCH = ("pages are searched as before", "retrieval: ")
_QUOTES = 3
_TITLES = {
    "intent": "All messages kept aside, customers' and your own examples",
    "entities": "Details in messages (numbers, names, dates)",
    "ranking": "Next steps in conversations kept aside",
    "retrieval": "Questions to the knowledge base",
    "generator": "Answers that people of the team worded",
}
_MEANINGS = {
    "entities": "how well they are found; 100 % is all of them and nothing else",
    "ranking": "how many are chosen as people said they should be",
    "retrieval": "how near the right page is to the top; 100 % is always first, 50 % is second",
    "generator": "how near its words come to theirs; 100 % is the same words",
}
_FOUND = {
    "worse": "surely worse than now",
    "inconclusive": "it cannot be told whether this is worse than now",
    "below floor": "hardly better than guessing",
}
_AGAINST = {
    "flips": "Too many messages that are understood now would not be any more",
    "critical": "A message of those that must never get worse would be understood worse",
    "slices": "Some customers would be worse off",
    "calibration": "It would know less well when it may be wrong",
    "scope": "It would answer more of what is none of its business, or less of what is",
    "noise": "Mistyped, shouted or misheard messages would be understood less well",
    "labels": "What it would learn contradicts what is known for sure",
    "size": "It is too large",
    "latency": "It is too slow",
    "tests": "Test conversations that go well now would not any more",
    "improvement": "Nothing would be better",
    "voice": "It would word answers less like people of the team do",
    "forgetting": "It would forget too much of its language",
    "support": "It would say more that no passage says",
    "silence": "It would answer more where no passage holds the answer",
}
_UNDERSTOOD = "how many are understood"
CUSTOMERS = "Those of them that customers sent"
"""The name of the figure on messages of the log."""


def heard(history: Sequence[Recorded], found: Harvest, imported: int) -> dict[str, Any]:
    """The log in numbers."""
    talks = by_conversation(history)
    events = [recorded.event for recorded in history]
    ratings = [event.score for event in events if isinstance(event, ev.Rated)]
    return {
        "heard": Heard(
            conversations=len(talks),
            turns=sum(isinstance(event, ev.Received) for event in events),
            imported=imported,
            refused=found.refused,
            thumbs_up=sum(score > 0 for score in ratings),
            thumbs_down=sum(score < 0 for score in ratings),
            corrections=sum(isinstance(event, ev.Corrected) for event in events),
            months=_months(talks),
        )
    }


def _months(talks: Mapping[str, Sequence[Recorded]]) -> tuple[Month, ...]:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for talk in talks.values():
        month = f"{datetime.fromtimestamp(talk[0].at, UTC):%Y-%m}"
        counts[month][_ended(talk)] += 1
    return tuple(Month(month=month, **counts[month]) for month in sorted(counts))


def _ended(talk: Sequence[Recorded]) -> str:
    if any(isinstance(item.event, ev.HandedOff) for item in talk):
        return "handed_off"
    ends = [item.event.reason for item in talk if isinstance(item.event, ev.Ended)]
    return "resolved" if ends and ends[-1] == "resolved" else "open"


def labelled(found: Harvest) -> dict[str, Any]:
    """The labels in numbers: by rule, by intent, by what they are for."""
    rows = found.logged
    votes = Counter(mark.rule for row in rows for mark in row.marks)
    standings = found.signals.book.standings()
    lines = tuple(
        RuleLine(
            rule=rule.name,
            meaning=rule.meaning,
            labels=votes[rule.name],
            accuracy=standings[rule.name].accuracy,
            human=rule.human,
            on=standings[rule.name].on,
            why=standings[rule.name].why,
        )
        for rule in RULES
    )
    return {
        "rules": tuple(sorted((*lines, *_settled(rows)), key=lambda line: -line.labels)),
        "labels": len(rows),
        "taught": sum(row.side == "train" for row in rows),
        "measured": sum(row.side in ("test", "time") for row in rows),
        "learned": _learned(rows),
        "leakage": found.leakage,
        "masked": found.masked,
        "masker": VERSION,
    }


def _settled(rows: Iterable[Row]) -> tuple[RuleLine, ...]:
    """What was settled from words and endings together, and how sure that is on average."""
    sure = [mark.confidence for row in rows if row.side == "train" for mark in row.marks if mark.rule == SETTLED]
    if not sure:
        return ()
    meaning = "The words, and what happened after them, say together what was meant."
    mean = round(sum(sure) / len(sure), 4)
    return (RuleLine(rule=SETTLED, meaning=meaning, labels=len(sure), accuracy=mean, human=False),)


def _learned(rows: Iterable[Row]) -> tuple[Learned, ...]:
    by_intent: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row.intent and row.side != "out":
            by_intent[row.intent].append(row)
    found = []
    for intent, members in by_intent.items():
        taught = [row for row in members if row.side == "train"]
        quotes = tuple(Quote(text=row.text, conversation=row.conversation) for row in taught[:_QUOTES])
        found.append(Learned(intent=intent, taught=len(taught), measured=len(members) - len(taught), quotes=quotes))
    return tuple(sorted(found, key=lambda item: (-item.taught, item.intent)))


def judged(result: TrainResult, plays: Sequence[Tests | None], folder: Path) -> dict[str, Any]:
    """What the gate found. `plays` are the tests with the candidate and with the bundle that was in use."""
    verdict = result.verdict
    return {
        "bundle": result.bundle.id,
        "replaced": verdict.current,
        "figures": _figures(verdict),
        "tests": _tested(plays),
        "better": _changes(verdict.gains),
        "worse": _changes(verdict.flips),
        "search": next((note for note in result.notes if note.startswith(_OF_SEARCH)), ""),
        "gate_page": "" if result.page is None else os.path.relpath(result.page, folder),
    }


def _figures(verdict: Verdict) -> tuple[Figure, ...]:
    found = []
    for part in verdict.slices:
        if (part.kind, part.name) == ("source", LOG):
            change = part.change
            found.append(
                Figure(
                    name=CUSTOMERS,
                    meaning=_UNDERSTOOD,
                    before=part.before,
                    after=part.after,
                    rows=part.rows,
                    low=change.low,
                    high=change.high,
                )
            )
    skills = [_figure(item) for item in verdict.comparisons if item.candidate is not None]
    return (*skills[:1], *found, *skills[1:])


def _figure(item: Comparison) -> Figure:
    assert item.candidate is not None
    before = None if item.current is None else item.current.value
    name, change = _TITLES.get(item.skill, item.skill), item.change
    return Figure(
        name=name,
        meaning=_MEANINGS.get(item.skill, _UNDERSTOOD),
        before=before,
        after=item.candidate.value,
        rows=item.candidate.n,
        low=None if change is None else change.low,
        high=None if change is None else change.high,
        main=item.skill == "intent",
    )


def _tested(plays: Sequence[Tests | None]) -> Tested | None:
    if not plays or plays[0] is None:
        return None
    after, before = plays[0], plays[1] if len(plays) > 1 else None
    known = before or {}
    return Tested(
        before=None if before is None else sum(before.values()),
        after=sum(after.values()),
        total=len(after),
        won=tuple(sorted(name for name, passed in after.items() if passed and not known.get(name, True))),
        lost=tuple(sorted(name for name, passed in after.items() if known.get(name, False) and not passed)),
    )


def _changes(turns: Iterable[Turn]) -> tuple[Change, ...]:
    """The customers' first, then the surest; some of each skill."""
    ordered = sorted(turns, key=lambda turn: (turn.source != LOG, -turn.sureness, turn.text))
    skills = dict.fromkeys(turn.skill for turn in ordered)
    shown = [turn for skill in skills for turn in [one for one in ordered if one.skill == skill][:_SHOWN]]
    return tuple(
        Change(
            skill=turn.skill,
            text=turn.text,
            conversation=turn.conversation,
            right=turn.right,
            before=turn.before,
            after=turn.after,
        )
        for turn in shown
    )


def verdict(
    result: TrainResult, plays: Sequence[Tests | None], dry_run: bool, trial: bool
) -> tuple[Outcome, str, tuple[str, ...]]:
    """How it ended, in a sentence a support lead understands, and why."""
    found, said = result.verdict, f"{_said(_figures(result.verdict))}{_went(_tested(plays))}"
    against = against_of(found)
    if result.promoted:
        return "promoted", f"A better bot is in use. {said}", ()
    if dry_run:
        may = "It could be put to use" if found.promote else "The gate would not let it be used"
        return "tried", f"Only tried: {may.lower()}. {said}", against
    if trial and found.promote:
        return "on trial", f"A better bot is tried on a part of the conversations. {said}", ()
    return "kept back", f"The bot stays as it is: the new one has not proved itself. {said}", against


def _went(tests: Tested | None) -> str:
    if tests is None:
        return ""
    before = "" if tests.before is None else f"; {tests.before} did before"
    return f" Of {tests.total} test conversations, {tests.after} go as they should{before}."


def _said(figures: Sequence[Figure]) -> str:
    main = next((figure for figure in figures if figure.main), figures[0] if figures else None)
    if main is None:
        return "Nothing could be measured."
    right = round(main.after * main.rows)
    what = "messages kept aside for measuring"
    if main.before is None:
        return f"Of {main.rows} {what}, {right} are understood."
    return f"Of {main.rows} {what}, {right} are understood; {round(main.before * main.rows)} were before."


def against_of(found: Verdict) -> tuple[str, ...]:
    """What stopped a candidate, as the gate says it."""
    reasons = [] if found.integrity.passed else ["a fresh process does not reproduce its predictions"]
    reasons += [
        f"{_TITLES.get(item.skill, item.skill)}: {_FOUND[item.finding]} ({item.skill} {item.finding})"
        for item in found.comparisons
        if item.finding in _FOUND
    ]
    failed = [check for check in found.checks if check.state == "failed"]
    return (*reasons, *(f"{_AGAINST.get(check.name, check.name)} ({check.sentence})" for check in failed))
