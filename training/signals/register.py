"""All labelling rules, with their versions and what they are believed at the start (docs/decisions say why)."""

from __future__ import annotations

from collections.abc import Iterable

from training.signals.clicks import chose_first_guess, chose_none, chose_other_guess, quick_reply
from training.signals.outcomes import (
    answer_accepted,
    closed_resolved,
    corrected_by_agent,
    corrected_by_reviewer,
    handoff_resolved,
    task_completed,
    thumb_down,
    thumb_up,
)
from training.signals.retries import escalation, repeated_question, rephrase_handoff, rephrase_success, silence
from training.signals.rule import Candidate, Rule, Task
from training.signals.similarity import Alike
from training.signals.turns import LoggedTurn, conversations

_INTENT: frozenset[Task] = frozenset({"intent"})
_REPLY: frozenset[Task] = frozenset({"reply"})

RULES: tuple[Rule, ...] = (
    Rule("corrected_by_reviewer", 1, 0.97, corrected_by_reviewer, human=True),
    Rule("corrected_by_agent", 1, 0.97, corrected_by_agent, human=True),
    Rule("chose_other_guess", 1, 0.92, chose_other_guess),
    Rule("chose_first_guess", 1, 0.88, chose_first_guess),
    Rule("chose_none", 1, 0.85, chose_none),
    Rule("quick_reply", 1, 0.9, quick_reply),
    Rule("task_completed", 2, 0.85, task_completed),
    Rule("answer_accepted", 2, 0.8, answer_accepted),
    Rule("closed_resolved", 1, 0.7, closed_resolved),
    Rule("handoff_resolved", 1, 0.85, handoff_resolved),
    Rule("rephrase_success", 1, 0.75, rephrase_success),
    Rule("rephrase_handoff", 1, 0.6, rephrase_handoff),
    Rule("thumb_up", 1, 0.7, thumb_up),
    Rule("thumb_down", 1, 0.6, thumb_down, _INTENT),
    Rule("repeated_question", 1, 0.5, repeated_question, _REPLY),
    Rule("escalation", 1, 0.5, escalation, _REPLY),
    Rule("silence", 1, 0.5, silence, _REPLY),
)
"""The rules; where two speak, their order does not matter."""

RULES_BY_NAME = {rule.name: rule for rule in RULES}


def candidates(found: Iterable[LoggedTurn], alike: Alike, rules: Iterable[Rule] = RULES) -> list[Candidate]:
    """What the rules say about turns of any conversations, in a fixed order."""
    wanted = tuple(rules)
    return [said for talk in conversations(found).values() for rule in wanted for said in rule.run(talk, alike)]
