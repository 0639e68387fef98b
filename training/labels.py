"""Labels from what rules say, with their confidence and where they come from.

Rules that speak about the same (conversation, turn, task) are merged with a one-coin Dawid-Skene model (Dawid and
Skene 1979, with one accuracy for an annotator instead of a confusion matrix), fitted by EM. A rule's accuracy starts at
its posterior in the `RuleBook` and moves where rules meet. People are voters too, near-certain ones. Their accuracy
does not move, and the turns that they judged move nobody's: the random ones among them are in the book already, and the
others were chosen because they looked wrong. The truth of a turn is one of the values that were proposed for it, or
something else: wrong votes are not spread evenly over all intents, they meet on the one that the bot had chosen, so
with more alternatives every agreement would look like proof.

A lone vote gets the rule's accuracy as its confidence. What only speaks against a value, or only supports one, makes no
label of an intent. Every label keeps all votes on its turn, for and against.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from bot.core.events import Recorded
from training.data import nfc
from training.examples import OOS, IntentExample, Origin
from training.signals.book import RuleBook as RuleBook
from training.signals.book import agreement, audits
from training.signals.register import RULES, candidates
from training.signals.rule import Candidate, Rule, Task
from training.signals.similarity import Alike, lexical
from training.signals.turns import LoggedTurn, turns

RULES_FILE = "learn/rules.json"
"""Where the rule book is kept, below the project's state folder."""
ENOUGH = 0.7
"""The confidence from which a label teaches."""
_LIKELY = 0.5
_SURE = 0.99
"""A rule's word never weighs as much as a person's."""
_ROUNDS = 100
_STILL = 1e-7
_EDGE = 1e-3
_JUDGED: frozenset[Task] = frozenset({"reply", "passage"})
"""Tasks in which a value that is wrong is worth knowing too."""

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Item = tuple[str, int, Task]


@dataclass(frozen=True, slots=True)
class Provenance:
    """A vote behind a label: what the rule said, the facts that it saw, and how far it was believed.

    `human`: it is the word of a person who knew that it is a label.
    """

    rule: str
    version: int
    events: tuple[int, ...]
    confidence: float
    value: str
    polarity: int
    human: bool = False


@dataclass(frozen=True, slots=True)
class Label:
    """What a turn means, or what judged it. `confidence` is the probability that `value` is right.

    Of intents and scope only values that are more likely right than not are given; a reply or a passage that was judged
    wrong is a label with a low confidence.
    """

    conversation: str
    turn: int
    task: Task
    value: str
    confidence: float
    provenance: tuple[Provenance, ...]

    def __post_init__(self) -> None:
        """Refuse what nobody said."""
        if not self.provenance:
            raise ValueError(f"a label for {self.conversation!r}, turn {self.turn}, without provenance")

    @property
    def human(self) -> bool:
        """Whether a person gave it, knowing that it is a label."""
        return any(vote.human for vote in self.behind)

    @property
    def behind(self) -> tuple[Provenance, ...]:
        """The votes for the value."""
        return tuple(p for p in self.provenance if p.value == self.value and p.polarity > 0)


@dataclass(frozen=True, slots=True)
class Signals:
    """All that was read from a log: turns, what rules said, how rules stand, and the labels."""

    turns: tuple[LoggedTurn, ...]
    candidates: tuple[Candidate, ...]
    book: RuleBook
    labels: tuple[Label, ...]

    def agreement(self) -> dict[str, tuple[int, int]]:
        """See `training.signals.book.agreement`."""
        return agreement(self.candidates, self.turns)


def read_signals(
    history: Iterable[Recorded], book: RuleBook | None = None, alike: Alike = lexical, rules: Sequence[Rule] = RULES
) -> Signals:
    """From a log to labels: the turns, the candidates, the rules judged by the audit, and the merge."""
    found = turns(history)
    said = candidates(found, alike, rules)
    judged = (book or RuleBook()).judge(said, audits(found))
    return Signals(tuple(found), tuple(said), judged, tuple(merge(said, judged, rules)))


def merge(said: Iterable[Candidate], book: RuleBook, rules: Sequence[Rule] = RULES) -> list[Label]:
    """The labels that rules in use agree on, in a fixed order; the order of the candidates does not matter."""
    known = {rule.name: rule for rule in rules if book.standing(rule).on}
    votes = _votes(candidate for candidate in said if candidate.rule in known)
    if not votes:
        return []
    ballot = _ballot(votes, {name for name, rule in known.items() if rule.human})
    accuracy = _fit(ballot, [known[name] for name in ballot.names], book)
    shares, _ = ballot.shares(accuracy)
    by_item: dict[Item, list[int]] = {}
    for number, vote in enumerate(votes):
        by_item.setdefault(_item(vote), []).append(number)
    return [
        label
        for numbers in by_item.values()
        for label in _labels([(votes[n], shares[ballot.option[n]], accuracy[ballot.voter[n]]) for n in numbers], known)
    ]


def examples(signals: Signals, at_least: float = ENOUGH) -> tuple[IntentExample, ...]:
    """What teaches intents though no person labelled it: rows that weigh as much as they are believed.

    Turns that a person judged are left out, and of two turns with the same words and different labels both.
    """
    by_place = {(turn.conversation, turn.turn): turn for turn in signals.turns}
    judged = {(label.conversation, label.turn) for label in signals.labels if label.human and label.task == "intent"}
    best: dict[tuple[str, int], Label] = {}
    for label in signals.labels:
        place = label.conversation, label.turn
        usable = label.task in ("intent", "scope") and label.confidence >= at_least and place not in judged
        if usable and (place not in best or label.confidence > best[place].confidence):
            best[place] = label
    rows = [_example(label, by_place[place]) for place, label in best.items()]
    meant: dict[str, set[str]] = {}
    for row in rows:
        meant.setdefault(row.text.casefold(), set()).add(row.intent)
    return tuple(row for row in rows if len(meant[row.text.casefold()]) == 1)


def evened(rows: Sequence[IntentExample]) -> tuple[IntentExample, ...]:
    """The same rows, where what signs say of an intent weighs no more, all together, than of the median intent.

    Signs come where a bot asks much or is liked, not where an intent is said often; left alone, the intents that give
    many would take the others' words.
    """
    sums: dict[str, float] = {}
    for row in rows:
        if row.weight < 1:
            sums[row.intent] = sums.get(row.intent, 0.0) + row.weight
    most = float(np.median(list(sums.values()))) if sums else 0.0
    shares = {intent: min(1.0, most / weight) for intent, weight in sums.items()}
    return tuple(row if row.weight >= 1 else replace(row, weight=row.weight * shares[row.intent]) for row in rows)


def _example(label: Label, turn: LoggedTurn) -> IntentExample:
    rules = ", ".join(sorted({f"{vote.rule} {vote.version}" for vote in label.behind}))
    where = f"{turn.conversation}, turn {turn.turn} ({rules})"
    origin = Origin(turn.conversation, turn.channel, f"{datetime.fromtimestamp(turn.at, UTC):%Y-%m}", user=turn.user)
    intent = OOS if label.task == "scope" else label.value
    return IntentExample(nfc(turn.text), intent, turn.language or "en", where, origin, min(label.confidence, _SURE))


def _votes(said: Iterable[Candidate]) -> list[Candidate]:
    """Each rule's word on an item and value once, with all the facts behind it, in a fixed order."""
    found: dict[tuple[Item, str, str, int], Candidate] = {}
    for candidate in said:
        key = _item(candidate), candidate.rule, candidate.value, candidate.polarity
        events = {*candidate.events, *(found[key].events if key in found else ())}
        found[key] = replace(candidate, events=tuple(sorted(events)))
    return [found[key] for key in sorted(found)]


def _item(vote: Candidate) -> Item:
    return vote.conversation, vote.turn, vote.task


def _labels(votes: Sequence[tuple[Candidate, float, float]], known: Mapping[str, Rule]) -> Iterator[Label]:
    """The labels of one item from its votes, the share of each vote's value and the accuracy of its rule."""
    first = votes[0][0]
    provenance = tuple(
        Provenance(
            vote.rule,
            vote.version,
            vote.events,
            round(float(right), 4),
            vote.value,
            vote.polarity,
            known[vote.rule].human,
        )
        for vote, _, right in votes
    )
    by_value: dict[str, float] = {}
    for vote, share, _ in votes:
        makes = first.task in _JUDGED or vote.polarity > 0
        if makes and first.task not in known[vote.rule].supports:
            by_value[vote.value] = float(share)
    if first.task not in _JUDGED:
        best = max(sorted(by_value), key=by_value.__getitem__, default="")
        by_value = {best: by_value[best]} if by_value.get(best, 0.0) >= _LIKELY else {}
    for value, share in sorted(by_value.items()):
        yield Label(first.conversation, first.turn, first.task, value, round(share, 4), provenance)


@dataclass(frozen=True)
class _Ballot:
    """Votes as arrays. An option is a value that was proposed for an item; besides, there is "something else".

    `voter`, `option` and `positive` are by vote; `owner` is the item of each option, `choices` how many truths each
    item has, `met` tells which votes are on items where several rules met and no person.
    """

    names: Sequence[str]
    voter: Indices
    option: Indices
    positive: npt.NDArray[np.bool_]
    owner: Indices
    choices: Indices
    met: npt.NDArray[np.bool_]

    def shares(self, accuracy: Floats) -> tuple[Floats, Floats]:
        """The probability of each option, and for each vote that it is right, given the accuracy of each voter."""
        right, wrong = np.log(accuracy[self.voter]), np.log1p(-accuracy[self.voter])
        item = self.owner[self.option]
        elsewhere = np.where(self.positive, wrong - np.log(self.choices[item] - 1), right)
        here = np.where(self.positive, right, wrong)
        other = np.bincount(item, elsewhere, len(self.choices))
        scores = other[self.owner] + np.bincount(self.option, here - elsewhere, len(self.owner))
        top = other.copy()
        np.maximum.at(top, self.owner, scores)
        weights = np.exp(scores - top[self.owner])
        total = np.bincount(self.owner, weights, len(self.choices)) + np.exp(other - top)
        shares = weights / total[self.owner]
        return shares, np.where(self.positive, shares[self.option], 1 - shares[self.option])


def _ballot(votes: Sequence[Candidate], people: Set[str]) -> _Ballot:
    names = sorted({vote.rule for vote in votes})
    items = {item: number for number, item in enumerate(dict.fromkeys(map(_item, votes)))}
    options = {key: number for number, key in enumerate(dict.fromkeys((_item(v), v.value) for v in votes))}
    voters: dict[Item, set[str]] = {}
    for vote in votes:
        voters.setdefault(_item(vote), set()).add(vote.rule)
    owner = np.array([items[item] for item, _ in options], np.int64)
    return _Ballot(
        names=names,
        voter=np.array([names.index(vote.rule) for vote in votes], np.int64),
        option=np.array([options[_item(vote), vote.value] for vote in votes], np.int64),
        positive=np.array([vote.polarity > 0 for vote in votes]),
        owner=owner,
        choices=np.bincount(owner, minlength=len(items)) + 1,
        met=np.array([len(voters[_item(vote)]) > 1 and not voters[_item(vote)] & people for vote in votes]),
    )


def _fit(ballot: _Ballot, rules: Sequence[Rule], book: RuleBook) -> Floats:
    """The accuracy of each voter. Only items on which rules met tell anything; the book's posterior is the prior, so
    who met nobody keeps it."""
    a = np.array([book.standing(rule).a for rule in rules])
    b = np.array([book.standing(rule).b for rule in rules])
    start = np.clip(a / (a + b), _EDGE, 1 - _EDGE)
    count = np.bincount(ballot.voter, ballot.met, len(rules))
    accuracy: Floats = start
    for _ in range(_ROUNDS):
        _, right = ballot.shares(accuracy)
        correct = np.bincount(ballot.voter, right * ballot.met, len(rules))
        found = np.clip((a + correct) / (a + b + count), _EDGE, 1 - _EDGE)
        moved, accuracy = float(np.abs(found - accuracy).max()), found
        if moved < _STILL:
            break
    return accuracy
