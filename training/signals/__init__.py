"""What people show in passing: readable logged turns, and the named rules that read labels from them.

`turns` gives the turns of a log, `candidates` what the rules say about them. How far a rule is believed, and what
follows when rules speak about the same turn, is `training.labels`.
"""

from training.signals.register import RULES, RULES_BY_NAME, candidates
from training.signals.rule import Candidate, Rule, Task
from training.signals.similarity import Alike, lexical, of_vectors
from training.signals.turns import LoggedTurn, conversations, turns

__all__ = [
    "RULES",
    "RULES_BY_NAME",
    "Alike",
    "Candidate",
    "LoggedTurn",
    "Rule",
    "Task",
    "candidates",
    "conversations",
    "lexical",
    "of_vectors",
    "turns",
]
