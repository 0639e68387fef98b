"""How often each rule is right: a Beta posterior per rule, updated by audit answers only.

An audit answer is a person's word about a turn that was drawn uniformly at random, so it says how often a rule is right
where it fires. Other corrections are about turns that somebody found suspicious; counting them would make every rule
look worse, or better, than it is. A rule begins with its starting confidence, worth ten answers. It is judged by its
latest answers only, so one that was good for years and turns bad is noticed. A rule whose 90 % interval reaches below
one half is off: weak signs have to prove themselves first.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scipy.special import betaincinv

from bot.core.errors import IntegrityError
from training.signals.register import RULES
from training.signals.rule import OUTSIDE, Candidate, Rule, Task
from training.signals.turns import LoggedTurn

PRIOR = 10.0
"""How many answers the starting confidence is worth."""
WINDOW = 50
"""The latest answers that count."""
INTERVAL = 0.9
HALF = 0.5
_FORMAT = 1
_ORDER: tuple[Task, ...] = ("intent", "scope", "reply")


@dataclass(frozen=True, slots=True)
class Audit:
    """A person's word about a turn that was drawn at random. `predicted` and `answer` are what the bot made of it."""

    conversation: str
    turn: int
    intent: str
    predicted: str = ""
    answer: str = ""
    better: str | None = None
    event: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether a rule was right about an audited turn; `key` names the turn without telling it, `at` orders answers."""

    key: str
    right: bool
    at: int = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """How a rule stands: Beta(a, b) over its accuracy, the interval's ends, and what follows."""

    rule: str
    version: int
    start: float
    right: int
    wrong: int

    @property
    def a(self) -> float:
        """Right answers, those of the prior among them."""
        return self.start * PRIOR + self.right

    @property
    def b(self) -> float:
        """Wrong answers, those of the prior among them."""
        return (1 - self.start) * PRIOR + self.wrong

    @property
    def accuracy(self) -> float:
        """The posterior's mean: the rule's weight."""
        return self.a / (self.a + self.b)

    @property
    def low(self) -> float:
        """The lower end of the 90 % interval."""
        return float(betaincinv(self.a, self.b, (1 - INTERVAL) / 2))

    @property
    def high(self) -> float:
        """The upper end of the 90 % interval."""
        return float(betaincinv(self.a, self.b, (1 + INTERVAL) / 2))

    @property
    def on(self) -> bool:
        """Whether the rule is used."""
        return self.low >= HALF

    @property
    def why(self) -> str:
        """Why it is off, or "" when it is on."""
        if self.on:
            return ""
        if self.accuracy > HALF or self.right >= self.wrong:
            return "not proven yet: its interval reaches below one half"
        return f"wrong in {self.wrong} of {self.right + self.wrong} audited turns"


@dataclass(frozen=True)
class RuleBook:
    """The audit answers of every rule, oldest first, at most `WINDOW` each. Frozen: `judge` gives a new one.

    `versions` tells for which version of a rule its answers are; a rule with a new version begins anew.
    """

    answers: Mapping[str, tuple[Answer, ...]] = field(default_factory=dict)
    versions: Mapping[str, int] = field(default_factory=dict)

    def standing(self, rule: Rule) -> Standing:
        """How a rule stands. People's own words stand as they began: an audit that differs from somebody's label judges
        neither, and a bad batch of labels must not silence the good ones. Batches are the gate's matter.
        """
        known = not rule.human and self.versions.get(rule.name) == rule.version
        found = self.answers.get(rule.name, ()) if known else ()
        right = sum(answer.right for answer in found)
        return Standing(rule.name, rule.version, rule.start, right, len(found) - right)

    def standings(self, rules: Iterable[Rule] = RULES) -> dict[str, Standing]:
        """All of them, by name."""
        return {rule.name: self.standing(rule) for rule in rules}

    def judge(self, said: Iterable[Candidate], audits: Iterable[Audit]) -> RuleBook:
        """With what audited turns say about candidates. Judging the same again changes nothing.

        Each rule is judged once a turn, by what it said of the intent if it did. A rule is never judged by a fact that
        it was read from.
        """
        by_turn = {(audit.conversation, audit.turn): audit for audit in audits}
        order = {place: number for number, place in enumerate(by_turn)}
        found: dict[tuple[str, tuple[str, int]], list[Candidate]] = {}
        for candidate in said:
            place = candidate.conversation, candidate.turn
            if place in by_turn and by_turn[place].event not in candidate.events:
                found.setdefault((candidate.rule, place), []).append(candidate)
        answers, versions = dict(self.answers), dict(self.versions)
        for (name, place), candidates in sorted(found.items(), key=lambda item: (item[0][0], order[item[0][1]])):
            right = _right(candidates, by_turn[place])
            if right is None:
                continue
            version = candidates[0].version
            before = answers.get(name, ()) if versions.get(name) == version else ()
            answers[name], versions[name] = _with(before, Answer(_key(*place), right, by_turn[place].event)), version
        return RuleBook(answers, versions)

    def save(self, path: Path) -> None:
        """Write it as JSON, whole or not at all."""
        rules = {
            name: {"version": self.versions[name], "answers": [[item.key, item.right, item.at] for item in found]}
            for name, found in sorted(self.answers.items())
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part")
        part.write_text(json.dumps({"format": _FORMAT, "rules": rules}, indent=1) + "\n", encoding="utf-8")
        part.replace(path)

    @classmethod
    def load(cls, path: Path) -> RuleBook:
        """Read it; an empty one where there is no file yet.

        Raises:
            IntegrityError: the file is not ours or damaged.
        """
        if not path.exists():
            return cls()
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            if found["format"] != _FORMAT:
                raise ValueError(f"format {found['format']}")
            answers = {
                name: tuple(Answer(str(key), bool(right), int(at)) for key, right, at in item["answers"])
                for name, item in found["rules"].items()
            }
            versions = {name: int(item["version"]) for name, item in found["rules"].items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise IntegrityError(
                str(path), f"is no list of rules ({error}); delete it, and the audit begins anew"
            ) from error
        return cls(answers, versions)


def audits(found: Iterable[LoggedTurn]) -> list[Audit]:
    """What people answered about turns drawn at random, in the order in which they answered; the last word counts."""
    result = []
    for turn in found:
        given = [item for item in turn.corrections if item.audit and item.intent is not None]
        if given:
            last = given[-1]
            result.append(
                Audit(
                    turn.conversation,
                    turn.turn,
                    last.intent or "",
                    turn.intent,
                    turn.answer,
                    last.reply,
                    last.event,
                )
            )
    return sorted(result, key=lambda audit: audit.event)


def agreement(said: Iterable[Candidate], found: Iterable[LoggedTurn]) -> dict[str, tuple[int, int]]:
    """By rule, how many of its words agree with people's corrections, and how many were compared.

    Not an accuracy: people correct what they find suspicious.
    """
    people = {}
    for turn in found:
        given = [item for item in turn.corrections if item.intent is not None and item.source != "click"]
        if given:
            last = given[-1]
            audit = Audit(turn.conversation, turn.turn, last.intent or "", turn.intent, turn.answer, last.reply)
            people[turn.conversation, turn.turn] = audit
    told: dict[tuple[str, str, int], list[Candidate]] = {}
    own = {rule.name for rule in RULES if rule.human}
    for candidate in said:
        if (candidate.conversation, candidate.turn) in people and candidate.rule not in own:
            told.setdefault((candidate.rule, candidate.conversation, candidate.turn), []).append(candidate)
    counts: dict[str, tuple[int, int]] = {}
    for (rule, *_), candidates in told.items():
        right = _right(candidates, people[candidates[0].conversation, candidates[0].turn])
        if right is not None:
            agreed, compared = counts.get(rule, (0, 0))
            counts[rule] = (agreed + right, compared + 1)
    return counts


def _right(candidates: Sequence[Candidate], audit: Audit) -> bool | None:
    """Whether what a rule said of a turn was right; None where the answer does not tell."""
    for task in _ORDER:
        for candidate in candidates:
            if candidate.task == task and (true := _true(candidate, audit)) is not None:
                return true == (candidate.polarity > 0)
    return None


def _true(candidate: Candidate, audit: Audit) -> bool | None:
    """Whether a candidate's value is right. A reply was right if the bot had understood and nobody wrote a better one;
    what somebody else wrote is not known."""
    if candidate.task == "intent":
        return candidate.value == audit.intent
    if candidate.task == "scope":
        return audit.intent in OUTSIDE
    if candidate.value != audit.answer:
        return None
    return audit.better is None and audit.predicted == audit.intent


def _with(before: tuple[Answer, ...], answer: Answer) -> tuple[Answer, ...]:
    """The latest answers, with one more; a second answer about the same turn replaces the first."""
    others = [item for item in before if item.key != answer.key]
    return tuple(sorted([*others, answer], key=lambda item: item.at)[-WINDOW:])


def _key(conversation: str, turn: int) -> str:
    return hashlib.sha256(f"{conversation}\n{turn}".encode()).hexdigest()[:16]
