"""Short ways to write down logged conversations: imported ones line by line, live ones through the real core."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bot.core import events as ev
from training.import_rows import Talk as Imported
from training.importer import history_of
from training.signals import RULES_BY_NAME, Candidate, LoggedTurn, candidates, lexical, turns

Line = dict[str, Any]


def user(text: str, intent: str | None = None, at: str = "", correction: str | None = None) -> Line:
    line: Line = {"speaker": "user", "text": text, "intent": intent}
    return line | ({"at": at} if at else {}) | ({"correction": {"intent": correction}} if correction else {})


def bot(text: str, rating: int | None = None) -> Line:
    return {"speaker": "bot", "text": text, "rating": rating}


def agent(text: str) -> Line:
    return {"speaker": "agent", "text": text}


def past(*lines: Line, outcome: str | None = None, name: str = "c") -> list[ev.Recorded]:
    """An imported conversation; lines without a time follow each other by a second."""
    started = "2026-03-01T10:00:00Z"
    talk = {"id": name, "channel": "web", "started_at": started, "turns": list(lines), "outcome": outcome}
    return list(history_of(Imported.model_validate(talk)))


def more(history: Sequence[ev.Recorded], *events: ev.Event, later: float = 1.0) -> list[ev.Recorded]:
    """The history with facts that came afterwards."""
    result = list(history)
    for event in events:
        last = result[-1]
        result.append(last.model_copy(update={"seq": last.seq + 1, "at": last.at + later, "event": event}))
    return result


def said(rule: str, history: Sequence[ev.Recorded]) -> list[tuple[int, str, str, int]]:
    """What a rule says of a history, told short: turn, task, value, polarity."""
    return [(c.turn, c.task, c.value, c.polarity) for c in found(rule, turns(history))]


def found(rule: str, talk: Sequence[LoggedTurn]) -> list[Candidate]:
    return candidates(talk, lexical, [RULES_BY_NAME[rule]])
