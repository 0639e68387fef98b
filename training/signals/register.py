"""All labelling rules, with their versions and what they are believed at the start (docs/decisions say why)."""

from __future__ import annotations

from collections.abc import Iterable

from training.signals import clicks, outcomes, retries
from training.signals.rule import Candidate, Rule, Task
from training.signals.similarity import Alike
from training.signals.turns import LoggedTurn, conversations

_INTENT: frozenset[Task] = frozenset({"intent"})
_REPLY: frozenset[Task] = frozenset({"reply"})

RULES: tuple[Rule, ...] = (
    Rule("corrected_by_reviewer", 1, 0.97, outcomes.corrected_by_reviewer, human=True),
    Rule("corrected_by_agent", 1, 0.97, outcomes.corrected_by_agent, human=True),
    Rule("chose_other_guess", 1, 0.92, clicks.chose_other_guess),
    Rule("chose_first_guess", 1, 0.88, clicks.chose_first_guess),
    Rule("chose_none", 1, 0.85, clicks.chose_none),
    Rule("quick_reply", 1, 0.9, clicks.quick_reply),
    Rule("task_completed", 1, 0.85, outcomes.task_completed),
    Rule("answer_accepted", 1, 0.8, outcomes.answer_accepted),
    Rule("handoff_resolved", 1, 0.85, outcomes.handoff_resolved),
    Rule("rephrase_success", 1, 0.75, retries.rephrase_success),
    Rule("rephrase_handoff", 1, 0.6, retries.rephrase_handoff),
    Rule("thumb_up", 1, 0.7, outcomes.thumb_up),
    Rule("thumb_down", 1, 0.6, outcomes.thumb_down, _INTENT),
    Rule("repeated_question", 1, 0.5, retries.repeated_question, _REPLY),
    Rule("escalation", 1, 0.5, retries.escalation, _REPLY),
    Rule("silence", 1, 0.5, retries.silence, _REPLY),
)
"""The rules; where two speak, their order does not matter."""

RULES_BY_NAME = {rule.name: rule for rule in RULES}


def candidates(found: Iterable[LoggedTurn], alike: Alike, rules: Iterable[Rule] = RULES) -> list[Candidate]:
    """What the rules say about turns of any conversations, in a fixed order."""
    wanted = tuple(rules)
    return [said for talk in conversations(found).values() for rule in wanted for said in rule.run(talk, alike)]
