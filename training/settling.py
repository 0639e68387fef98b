"""What the turns of a log meant, from two witnesses: a reader of their words, and what happened after them.

Signs alone come from turns that the bot understood anyway, and a wrong one confirms the bot's own confusion; most turns
give none. So every turn is read by a head that was fitted on other conversations, and what it says is weighed with what
happened: how much more often that happens after a turn that was understood than after one that was not. Nobody knows
this beforehand; it is found in the log itself by EM (as in Raykar et al. 2010, "Learning From Crowds"), held to the
truth by turns that were drawn at random and judged by a person. That nothing happened is a sign as well. What became
of each guess of "did you mean" - pressed, or another one, or none - is weighed in the same way. What a person who took
over noted counts with the accuracy of its rule. And who says it again in other words means the same both times: what
the one wording tells, and what a person said of it, is believed of the other.

People's labels are never touched. A turn whose meaning stays doubtful teaches nothing. Small logs are left as they are:
they are too short to tell what is worth what.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.examples import OOS
from training.labels import Signals
from training.recipes.intent import Known, opinions
from training.review import usable
from training.rows import Mark, Row
from training.sides import fraction
from training.signals import RULES, Candidate, LoggedTurn, conversations
from training.signals.book import audits
from training.signals.signs import accepted, said_again
from training.signals.similarity import Alike

SETTLED = "settled"
"""The rule of labels that are found here."""
LEAST_TURNS = 500
"""Turns that the bot acted on, below which nothing is settled."""
LEAST = 0.5
"""How sure a meaning must be to teach."""
MOST = 0.97
"""The most that such a label weighs: less than a person's."""
DOUBTFUL = "what it meant stays doubtful"
_PARTS, _ROUNDS = 4, 2
_STEPS = 30
_ELSE = 4.0
"""Among how many intents a wrong button or note falls: those that look alike."""
_SAME = 0.9
"""How often somebody who says it again soon, in similar words, means the same."""
_CHOSE = ("chose_first_guess", "chose_other_guess")
_WEIGHED = frozenset((*_CHOSE, "chose_none", "rephrase_success"))
"""Rules whose facts are weighed here in another way."""
_RARE = 2.0
"""How many turns of average luck are added to each kind of ending, so that rare ones say little."""

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Vectors = Callable[[Sequence[str]], npt.NDArray[np.float32]]
Place = tuple[str, int]


def settled(rows: Sequence[Row], signals: Signals, vectors: Vectors, alike: Alike) -> list[Row]:
    """The same rows, those of turns that no person labelled with what they most likely meant.

    `rows` have their sides; turns that nothing labels are among them with an empty intent. What stays doubtful is left
    out (side "out"), with how sure its meaning is. `vectors` gives unit vectors of texts, `alike` their cosine.
    """
    turns = {(turn.conversation, turn.turn): turn for turn in signals.turns}
    known = [row for row in rows if row.side == "train" and row.human and row.intent not in ("", OOS)]
    intents = sorted({row.intent for row in known})
    open_ = [n for n, row in enumerate(rows) if _open(row, intents) and (row.conversation, row.turn) in turns]
    if len(intents) < 2 or sum(accepted(_turn(turns, rows[n])) for n in open_) < LEAST_TURNS:
        return list(rows)
    mine = [rows[n] for n in open_]
    said = {(row.conversation, row.turn): intents.index(row.intent) for row in known if row.conversation}
    readers, log = _Readers.of(mine, known, intents, vectors), _Log(signals, turns, intents, said, alike)
    owners = np.array([intents.index(row.intent) if row.intent else -1 for row in mine], np.int64)
    sure = np.array([row.weight for row in mine])
    for _ in range(_ROUNDS):
        shares = log.weigh(mine, readers.read(owners, sure))
        best, sure = shares.argmax(axis=1), shares.max(axis=1)
        owners = np.where(sure >= LEAST, best, -1)
    found = list(rows)
    for place, intent, share in zip(open_, best.tolist(), sure.tolist(), strict=True):
        found[place] = _labelled(rows[place], intents[intent], share)
    return found


def _turn(turns: Mapping[Place, LoggedTurn], row: Row) -> LoggedTurn:
    return turns[row.conversation, row.turn]


def _open(row: Row, intents: Sequence[str]) -> bool:
    """Whether it is a turn that teaches and that no person labelled; what is out of scope stays so."""
    return row.side == "train" and not row.human and (row.intent == "" or row.intent in intents)


def _labelled(row: Row, intent: str, share: float) -> Row:
    marks = row.marks if row.intent == intent else ()
    mark = Mark(
        rule=SETTLED, confidence=round(share, 4), events=tuple(sorted({e for m in row.marks for e in m.events}))
    )
    told = {"intent": intent, "marks": (*marks, mark), "weight": round(min(share, 1.0) * MOST, 4)}
    return row.model_copy(update=told if share >= LEAST else told | {"side": "out", "why": DOUBTFUL})


@dataclass(frozen=True)
class _Readers:
    """Heads that read one part of the log, having learned from people and from labels of the other parts."""

    texts: Sequence[str]
    vectors: npt.NDArray[np.float32]
    part: Indices
    known: Known
    count: int

    @classmethod
    def of(cls, open_: Sequence[Row], known: Sequence[Row], intents: Sequence[str], vectors: Vectors) -> _Readers:
        """For open turns; `known` are rows that people labelled."""
        texts, taught = [row.text for row in open_], [row.text for row in known]
        owners = np.array([intents.index(row.intent) for row in known], np.int64)
        part = np.array([int(fraction(row.conversation, SETTLED) * _PARTS) for row in open_], np.int64)
        by_people = Known(taught, vectors(taught), owners, np.ones(len(known), np.float32))
        return cls(texts, vectors(texts), part, by_people, len(intents))

    def read(self, owners: Indices, sure: Floats) -> Floats:
        """Probabilities (turns, intents). `owners`: labels of the turns so far, -1 for none; `sure`: how sure."""
        found = np.zeros((len(self.texts), self.count))
        for one in range(_PARTS):
            mine = np.flatnonzero(self.part == one)
            others = np.flatnonzero((self.part != one) & (owners >= 0))
            if len(mine):
                taught = self._with(others, owners[others], sure[others])
                found[mine] = opinions(taught, self.count, [self.texts[n] for n in mine.tolist()], self.vectors[mine])
        return found

    def _with(self, others: Indices, owners: Indices, sure: Floats) -> Known:
        """What people labelled, and some of the turns; no intent's turns weigh more than those of the median one."""
        sums = np.bincount(owners, sure, self.count)
        most = float(np.median(sums[sums > 0])) if (sums > 0).any() else 0.0
        weights = sure * np.minimum(1.0, most / np.maximum(sums, 1e-9))[owners] * MOST
        return Known(
            [*self.known.texts, *(self.texts[n] for n in others.tolist())],
            np.concatenate([self.known.vectors, self.vectors[others]]),
            np.concatenate([self.known.owners, owners]),
            np.concatenate([self.known.weights, weights.astype(np.float32)]),
        )


@dataclass(frozen=True)
class _Log:
    """What rules said of the turns of a log. `people`: the intents, by number, of turns that a person labelled."""

    signals: Signals
    turns: Mapping[Place, LoggedTurn]
    intents: Sequence[str]
    people: Mapping[Place, int]
    alike: Alike

    def weigh(self, rows: Sequence[Row], prior: Floats) -> Floats:
        """The prior of each turn, weighed with what happened; (turns, intents), rows sum to 1."""
        number = {intent: n for n, intent in enumerate(self.intents)}
        said = self._said()
        places = [(row.conversation, row.turn) for row in rows]
        acted = np.array([number.get(self._acted(place), -1) for place in places])
        shares = prior.copy()
        on = np.flatnonzero(acted >= 0)
        endings = self._endings(said)
        judged = self._judged(said, endings)
        worth = _worth([endings[places[n]] for n in on], prior[on, acted[on]], judged)
        shares[on, acted[on]] *= worth
        guesses = [
            (row, number[name], kind)
            for row, place in enumerate(places)
            for name, kind in self._guesses(place, said)
            if name in number
        ]
        if guesses:
            own, guessed = (np.array([guess[n] for guess in guesses]) for n in (0, 1))
            judged = self._judged_guesses(said)
            shares[own, guessed] *= _worth([kind for _, _, kind in guesses], prior[own, guessed], judged)
        for row, place in enumerate(places):
            for intent, factor in self._named(place, said.get(place, ())):
                if intent in number:
                    shares[row, number[intent]] *= factor
        return self._again(_normal(shares), {place: row for row, place in enumerate(places)})

    def _again(self, shares: Floats, rows: Mapping[Place, int]) -> Floats:
        """With what is known of the other wording, where somebody said it twice."""
        sure, found = np.eye(len(self.intents)) * MOST, shares.copy()
        for talk in conversations(self.signals.turns).values():
            for at, turn in enumerate(talk):
                again = said_again(talk, at, self.alike) if len(talk) > at + 1 else None
                if again is None:
                    continue
                pair = (turn.conversation, turn.turn), (talk[again].conversation, talk[again].turn)
                for one, other in (pair, pair[::-1]):
                    if one not in rows or (other not in rows and other not in self.people):
                        continue
                    told = shares[rows[other]] if other in rows else sure[self.people[other]]
                    found[rows[one]] *= _SAME * told + (1 - _SAME) / len(self.intents)
        return _normal(found)

    def _said(self) -> dict[Place, list[Candidate]]:
        people = {rule.name for rule in RULES if rule.human}
        found: dict[Place, list[Candidate]] = defaultdict(list)
        for one in self.signals.candidates:
            if one.rule not in people:
                found[one.conversation, one.turn].append(one)
        return found

    def _acted(self, place: Place) -> str:
        turn = self.turns[place]
        return turn.intent if accepted(turn) else ""

    def _endings(self, said: Mapping[Place, Sequence[Candidate]]) -> dict[Place, tuple[str, ...]]:
        """What happened after each turn, as names: rules that spoke for or against the bot, and a few plain facts."""
        found = {}
        for talk in conversations(self.signals.turns).values():
            for at, turn in enumerate(talk):
                place = turn.conversation, turn.turn
                words = {f"{one.rule} {'for' if _agrees(one, turn) else 'against'}" for one in said.get(place, ())}
                later = talk[at + 1 :]
                again = any(usable(other) for other in later)
                facts = {"asks": turn.asked, "goes on": again, "person": any(t.handed_off for t in (turn, *later))}
                found[place] = (*sorted(words), *(name for name, holds in facts.items() if holds))
        return found

    def _judged(
        self, said: Mapping[Place, Sequence[Candidate]], endings: Mapping[Place, tuple[str, ...]]
    ) -> list[tuple[tuple[str, ...], bool]]:
        """Endings of turns that were drawn at random and judged by a person, and whether the bot had been right."""
        found = []
        for audit in audits(self.signals.turns):
            acted = self._acted((audit.conversation, audit.turn))
            if acted:
                found.append((endings[audit.conversation, audit.turn], acted == audit.intent))
        return found

    def _guesses(
        self, place: Place, said: Mapping[Place, Sequence[Candidate]]
    ) -> Iterator[tuple[str, tuple[str, ...]]]:
        """The intents that "did you mean" offered after a turn, with what became of each."""
        turn, told = self.turns[place], said.get(place, ())
        if not turn.clarified:
            return
        pressed = {one.value for one in told if one.rule in _CHOSE}
        otherwise = "another" if pressed else "none" if any(one.rule == "chose_none" for one in told) else "nothing"
        known = {candidate.name for candidate in turn.candidates}
        names = [choice.payload.removeprefix("/") for choice in turn.offered]
        for rank, name in enumerate(name for name in names if name in known):
            yield name, ("first" if rank == 0 else "later", "pressed" if name in pressed else otherwise)

    def _judged_guesses(self, said: Mapping[Place, Sequence[Candidate]]) -> list[tuple[tuple[str, ...], bool]]:
        """The same of turns that were drawn at random and judged by a person, and whether the guess was right."""
        return [
            (kind, name == audit.intent)
            for audit in audits(self.signals.turns)
            for name, kind in self._guesses((audit.conversation, audit.turn), said)
        ]

    def _named(self, place: Place, said: Iterable[Candidate]) -> Iterator[tuple[str, float]]:
        """Factors of intents that a note or a button under another answer named, or that were refused."""
        acted = self._acted(place)
        by_name = {rule.name: rule for rule in RULES}
        for one in said:
            standing = self.signals.book.standing(by_name[one.rule])
            if one.rule not in _WEIGHED and one.task == "intent" and one.value != acted and standing.on:
                odds = standing.accuracy / (1 - standing.accuracy)
                yield one.value, odds * _ELSE if one.polarity > 0 else 1 / odds


def _normal(shares: Floats) -> Floats:
    """Rows that sum to 1."""
    found: Floats = shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-12)
    return found


def _agrees(one: Candidate, turn: LoggedTurn) -> bool:
    """Whether what a rule said speaks for what the bot made of the turn."""
    return one.polarity > 0 and (one.task == "passage" or one.value in (turn.intent, turn.answer))


def _worth(endings: Sequence[tuple[str, ...]], prior: Floats, judged: Sequence[tuple[tuple[str, ...], bool]]) -> Floats:
    """How much more often each turn's ending comes where the bot was right than where it was wrong; by EM."""
    kinds = {kind: n for n, kind in enumerate(sorted({*endings, *(kind for kind, _ in judged)}))}
    own = np.array([kinds[kind] for kind in endings], np.int64)
    sure = np.zeros((2, len(kinds)))
    for kind, right in judged:
        sure[int(right), kinds[kind]] += 1
    chance, worth = prior.copy(), np.ones(len(prior))
    for _ in range(_STEPS):
        fine = np.bincount(own, chance, len(kinds)) + sure[1]
        bad = np.bincount(own, 1 - chance, len(kinds)) + sure[0]
        share = fine.sum() / (fine.sum() + bad.sum())
        fine, bad = fine + _RARE * share, bad + _RARE * (1 - share)
        ratio = (fine / fine.sum()) / np.maximum(bad / bad.sum(), 1e-9)
        worth = ratio[own]
        chance = prior * worth / (prior * worth + 1 - prior)
    return worth
