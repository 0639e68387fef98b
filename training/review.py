"""The review queue: which logged turns a person should look at next, and all that they need to see to judge one.

A turn can be asked about if a user said it in their own words, it got its outcome, nobody has judged it, and its author
did not refuse. Strategies weigh the turns (`training.draws` turns weights into one draw with known probabilities):

- margin: the model in use can hardly decide, between two intents or between an intent and none;
- diverse: one turn from each cluster of sentence vectors, the uncertain ones first;
- disagreement: a candidate bundle answers otherwise than the one in use;
- implicit: labelling rules (`training.signals`) say that the turn went wrong;
- audit: uniformly at random, whatever the turn looks like.

What says the same as another turn, or as a labelled example, has no weight but that of the audit. What signs tell of a
turn's intent need not be asked: its weight falls by how far they are believed. Of turns that were settled for the
bundle in use (`training.settling`) it has learned what they meant, so its own opinion of them is no witness: they count
by how doubtful their meaning was.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from pydantic import JsonValue

from bot.core.events import Corrected, Recorded, Scored
from bot.core.protocols import Understanding
from skills.intent import has_words
from training.draws import SHARES, Drawn, Flags, Floats, Reason, by_rank, draw, spread, within
from training.examples import OOS
from training.judgements import Judged, Place, judged
from training.labels import RuleBook, merge
from training.review_items import Guess, Item, Neighbour, Said
from training.sides import fraction
from training.signals import RULES, Candidate, LoggedTurn, candidates, conversations, of_vectors, turns
from training.split import normalise

Read = Callable[[Sequence[str]], Sequence[Understanding]]
"""Understands texts, with their vectors."""
Vectors = Callable[[Sequence[str]], npt.NDArray[np.float32]]

FRAME = 5000
"""The newest turns among which is drawn; reading more would take minutes."""
GUESSES, NEIGHBOURS, BEFORE, AFTER = 3, 3, 4, 2
TWICE = 0.1
"""The share of turns that a second person judges too."""
SHUFFLED = 0.1
"""The share of turns whose guesses are shown in random order and without probabilities."""
_HANDED = 0.3
"""What a hand-off says against the answer before it."""
_SLOTS = frozenset(("continue_flow", "correct_slot", "stay"))
"""Routes of turns that answer a question of the bot: their intent means nothing."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What reviewing needs. `read` is the bundle in use, `spans` the same with entities, `candidate` a newer bundle.

    `vectors` gives unit sentence vectors, float32 (texts, dimension). `labels` are the project's intents with their
    names for people, `examples` labelled texts with their intents, `outside` the intent of what is none of ours,
    `settled` how sure the meanings were that were settled for the bundle in use.
    """

    read: Read
    vectors: Vectors
    spans: Read
    labels: Mapping[str, str]
    examples: Sequence[tuple[str, str]] = ()
    candidate: Read | None = None
    book: RuleBook = field(default_factory=RuleBook)
    outside: str = OOS
    settled: Mapping[Place, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Kept:
    """A turn that the audit hit and that was judged before: its answer counts for the audit too."""

    conversation: str
    turn: int
    intent: str
    place: int
    metadata: Mapping[str, JsonValue]

    def fact(self, by: str) -> Corrected:
        """The answer again, now as one about a turn drawn at random."""
        return Corrected(target=self.turn, intent=self.intent, audit=True, by=by, metadata=dict(self.metadata))


@dataclass(frozen=True, slots=True)
class Batch:
    """What one person is asked, in order, and what need not be asked. `open` turns could be asked about at all."""

    id: str
    items: tuple[Item, ...]
    kept: tuple[Kept, ...]
    open: int
    judged: int


def queue(history: Sequence[Recorded], desk: Desk, by: str, budget: int) -> Batch:
    """Draw what `by` is asked next. The same log, bundles and person give the same batch.

    `history` holds the facts of the whole log in order, without what must not be learned from.
    """
    logged, known = turns(history), judged(history)
    batch = _batch_id(history, by)
    frame = _frame(logged, known)
    talks = _Talks(logged, frame, desk)
    open_ = np.array([turn_place(turn) not in known for turn in frame], bool)
    seconds = _seconds(frame, known, by, budget)
    drawn = _drawn(frame, open_, talks, budget, int(batch, 16))
    drawn += [Drawn(n, "second", TWICE) for n in seconds]
    drawn = sorted(drawn, key=lambda one: fraction(f"{batch}/{one.index}", "order"))
    items, kept, of = list[Item](), list[Kept](), sum(bool(open_[one.index]) or one.reason == "second" for one in drawn)
    for one in drawn:
        turn = frame[one.index]
        item = talks.item(turn, one, (batch, len(items) + 1, of))
        if open_[one.index] or one.reason == "second":
            items.append(item)
        elif label := known[turn_place(turn)].label:
            told: dict[str, JsonValue] = {**item.metadata(), "kept": True}
            kept.append(Kept(turn.conversation, turn.turn, label, len(items), told))
    return Batch(batch, tuple(items), tuple(kept), int(open_.sum()), len(known))


def turn_place(turn: LoggedTurn) -> Place:
    """Conversation and turn."""
    return turn.conversation, turn.turn


def usable(turn: LoggedTurn) -> bool:
    """Whether a person could say what the turn's intent is."""
    answers = any(action.action in _SLOTS for action in turn.actions if not action.policy)
    return turn.said and bool(turn.outcome) and not turn.beside_person and not answers and has_words(turn.text)


def _batch_id(history: Sequence[Recorded], by: str) -> str:
    end = history[-1].position if history else 0
    return hashlib.sha256(f"{end}\n{len(history)}\n{by}".encode()).hexdigest()[:12]


def _frame(logged: Sequence[LoggedTurn], known: Mapping[Place, Judged]) -> list[LoggedTurn]:
    """The newest usable turns, the latest first. What was judged "not usable" counts as judged."""
    found = [turn for turn in logged if usable(turn) or turn_place(turn) in known]
    return sorted(found, key=lambda turn: (-turn.at, turn.conversation, turn.turn))[:FRAME]


def _seconds(frame: Sequence[LoggedTurn], known: Mapping[Place, Judged], by: str, budget: int) -> list[int]:
    """Turns that one other reviewer judged and that belong to the tenth which is judged twice."""
    found = []
    for number, turn in enumerate(frame):
        said = known.get(turn_place(turn))
        people = {name for name, event in said.by.items() if event.source == "reviewer"} if said else set[str]()
        twice = fraction(f"{turn.conversation}/{turn.turn}", "twice") < TWICE
        if len(people) == 1 and by not in people and twice:
            found.append(number)
    return found[: max(1, round(TWICE * budget))]


def _drawn(frame: Sequence[LoggedTurn], open_: Flags, talks: _Talks, budget: int, seed: int) -> list[Drawn]:
    if not open_.any():
        return []
    readings = [talks.readings[turn.text] for turn in frame]
    vectors = np.stack([_vector(reading) for reading in readings])
    settled = talks.desk.settled
    doubt = np.array(
        [1.0 if turn_place(turn) in settled else uncertainty(one) for turn, one in zip(frame, readings, strict=True)]
    )
    fresh = np.where(_first_of_kind(frame, open_, talks.desk), 1.0, 1e-9)
    fresh *= np.array([1 - talks.told(turn) for turn in frame])
    picks = {reason: share * budget for reason, share in SHARES.items()}
    margin = np.where(open_, by_rank(doubt * fresh, picks["margin"]) * fresh, 0.0)
    clusters = spread(vectors, doubt * fresh * open_, max(1, round(picks["diverse"])), seed)
    weights: dict[Reason, Floats] = {
        "margin": margin,
        "diverse": within(clusters, doubt * fresh * open_),
        "disagreement": _disagreement(frame, readings, talks.desk) * fresh,
        "implicit": np.array([talks.blame(turn) for turn in frame]) * fresh,
    }
    return draw(weights, np.argsort(clusters, kind="stable"), open_, budget, seed)


def uncertainty(reading: Understanding) -> float:
    """1 where the model cannot decide, 0 where it is sure: between the two best intents, and whether any fits."""
    if not reading.intents:
        return 1.0
    threshold = min(max(reading.threshold, 1e-6), 1 - 1e-6)
    above = reading.in_scope >= threshold
    scope = (reading.in_scope - threshold) / (1 - threshold) if above else 1 - reading.in_scope / threshold
    best, second = reading.intents[0].score, reading.intents[1].score if len(reading.intents) > 1 else 0.0
    return 1 - min(scope, best - second) if above else 1 - scope


def _first_of_kind(frame: Sequence[LoggedTurn], open_: Flags, desk: Desk) -> Flags:
    """Turns that no labelled example, no judged turn and no earlier open turn says in the same words."""
    seen = {normalise(text) for text, _ in desk.examples}
    seen |= {normalise(turn.text) for turn, asked in zip(frame, open_, strict=True) if not asked}
    first = np.zeros(len(frame), bool)
    for number, turn in enumerate(frame):
        words = normalise(turn.text)
        first[number] = bool(open_[number]) and words not in seen
        seen.add(words)
    return first


def _disagreement(frame: Sequence[LoggedTurn], readings: Sequence[Understanding], desk: Desk) -> Floats:
    """How sure both are, where the candidate answers otherwise; 0 elsewhere."""
    if desk.candidate is None:
        return np.zeros(len(frame))
    others = _read(desk.candidate, frame)
    pairs = [(mine, others[turn.text]) for turn, mine in zip(frame, readings, strict=True)]
    return np.array([(_sure(a) + _sure(b)) / 2 if _answer(a) != _answer(b) else 0.0 for a, b in pairs])


def _read(read: Read, frame: Sequence[LoggedTurn]) -> dict[str, Understanding]:
    """What a model makes of the turns' texts; each is read once."""
    texts = list(dict.fromkeys(turn.text for turn in frame))
    return dict(zip(texts, read(texts), strict=True))


def _answer(reading: Understanding) -> str:
    accepted = reading.intents and reading.in_scope >= reading.threshold
    return reading.intents[0].name if accepted else ""


def _sure(reading: Understanding) -> float:
    return max(1 - uncertainty(reading), 0.05)


def _vector(reading: Understanding) -> npt.NDArray[np.float32]:
    return np.asarray(reading.vector, np.float32)


class _Talks:
    """The log's conversations, with what models and rules say of them."""

    def __init__(self, logged: Sequence[LoggedTurn], frame: Sequence[LoggedTurn], desk: Desk) -> None:
        self.desk, self.readings = desk, _read(desk.read, frame)
        self._talks = conversations(logged)
        texts = list(dict.fromkeys(turn.text for talk in self._talks.values() if len(talk) > 1 for turn in talk))
        self._said: dict[Place, list[Candidate]] = {}
        rules = [rule for rule in RULES if not rule.human]
        said = candidates(logged, of_vectors(self._vectors, [text for text in texts if text.strip()]), rules)
        for found in said:
            self._said.setdefault((found.conversation, found.turn), []).append(found)
        labels = [label for label in merge(said, desk.book, rules) if label.task == "intent"]
        self._told = {(label.conversation, label.turn): label.confidence for label in labels}
        self._trust = {name: standing.accuracy for name, standing in desk.book.standings(rules).items()}
        self._examples: npt.NDArray[np.float32] | None = None

    def _vectors(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        known = {text: _vector(self.readings[text]) for text in texts if text in self.readings}
        fresh = [text for text in texts if text not in known]
        known.update(zip(fresh, self.desk.vectors(fresh) if fresh else (), strict=True))
        return np.stack([known[text] for text in texts])

    def told(self, turn: LoggedTurn) -> float:
        """How sure the turn's intent is without asking: as it was settled, or as signs say; 0 if nothing does."""
        place = turn_place(turn)
        return self.desk.settled.get(place, self._told.get(place, 0.0))

    def blame(self, turn: LoggedTurn) -> float:
        """How likely the turn went wrong, from what rules say of it."""
        fine = 1.0 - (_HANDED if turn.handed_off and turn.intent else 0.0)
        for rule in {found.rule for found in self._said.get(turn_place(turn), ()) if _blames(found, turn)}:
            fine *= 1 - self._trust[rule]
        return 1 - fine

    def item(self, turn: LoggedTurn, one: Drawn, place: tuple[str, int, int]) -> Item:
        """All that a person needs to see."""
        reading = self.readings[turn.text]
        talk = self._talks[turn.conversation]
        at = talk.index(turn)
        shuffled = fraction(f"{turn.conversation}/{turn.turn}", "shuffled") < SHUFFLED
        return Item(
            conversation=turn.conversation,
            turn=turn.turn,
            at=turn.at,
            channel=turn.channel,
            text=turn.text,
            language=turn.language or reading.language,
            before=tuple(line for before in talk[max(0, at - BEFORE) : at] for line in _lines(before)),
            after=tuple(line for later in talk[at + 1 : at + 1 + AFTER] for line in _lines(later)),
            replies=_lines(turn)[1:],
            understood=turn.intent,
            accepts=self._accepts(turn),
            guesses=self._guesses(reading.intents[:GUESSES], place[0] if shuffled else ""),
            shuffled=shuffled,
            in_scope=reading.in_scope,
            entities=self.desk.spans([turn.text])[0].entities,
            neighbours=self._neighbours(reading),
            signs=tuple(dict.fromkeys(found.rule for found in self._said.get(turn_place(turn), ()))),
            reason=one.reason,
            probability=one.probability,
            batch=place[0],
            place=place[1],
            of=place[2],
        )

    def _accepts(self, turn: LoggedTurn) -> str:
        """The intent that is right if the bot was; "" if the project has it no more, or no classifier was asked."""
        if turn.intent:
            return turn.intent if turn.intent in self.desk.labels else ""
        return self.desk.outside if turn.source else ""

    def _guesses(self, ranked: Sequence[Scored], salt: str) -> tuple[Guess, ...]:
        names = self.desk.labels
        found = [Guess(intent=one.name, label=names.get(one.name, one.name), probability=one.score) for one in ranked]
        return tuple(sorted(found, key=lambda guess: fraction(f"{salt}/{guess.intent}", "guess")) if salt else found)

    def _neighbours(self, reading: Understanding) -> tuple[Neighbour, ...]:
        examples = self.desk.examples
        if not examples:
            return ()
        if self._examples is None:
            self._examples = self.desk.vectors([text for text, _ in examples])
        cosines = self._examples @ _vector(reading)
        best = np.argsort(-cosines, kind="stable")[:NEIGHBOURS]
        return tuple(
            Neighbour(text=examples[n][0], intent=examples[n][1], alike=float(cosines[n])) for n in best.tolist()
        )


def _blames(found: Candidate, turn: LoggedTurn) -> bool:
    """Whether a rule says that what the bot made of the turn was wrong."""
    if found.task == "intent":
        return found.polarity < 0 or found.value != turn.intent
    return found.polarity < 0 if found.task == "reply" else found.task == "scope" and bool(turn.intent)


def _lines(turn: LoggedTurn) -> tuple[Said, ...]:
    """A turn as lines of a talk; the user's comes first."""
    replies = (Said(speaker="person" if one.by_person else "bot", text=one.text) for one in turn.replies)
    pressed = f"[{turn.pressed.title}]" if turn.pressed is not None else turn.text
    return (Said(speaker="user", text=pressed), *(line for line in replies if line.text))
