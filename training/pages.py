"""What a log says about which pages of the knowledge base answer which wishes: what the query projection learns from.

Three witnesses, each weaker than the one before:

1. a passage that was shown, and that a customer or a rule says was right (`training.passages`);
2. an answer that a customer liked, a colleague gave or a reviewer wrote, whose words are plainly those of a page. So
   the log of another bot, which cites nothing, teaches too;
3. what others say who want the same: where answers of a wish (an intent that no flow begins with) are confirmed, the
   pages that it is usually answered from are known, by those answers and by what the search finds for most messages
   with that wish. For each such message the passage nearest to it is taken for its answer, of these pages only, with
   half the weight: what is found rightly stays, what strays comes back.

So a correction of a wish makes its answers better too. What is held out is held out here as well: conversations and
words that measure intents measure pages, and a message counts as answered by any page that answers its wish.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bot.core.events import Hit
from bot.core.program import Program
from bot.core.protocols import Hits, Query, Retriever
from bot.manifest import DataSet
from training.data import data_set
from training.examples import NOWHERE, OOS, IntentExample, Origin, PassageExample
from training.gate.measured import Judged
from training.harvest import Harvest
from training.labels import ENOUGH, Label
from training.passages import DEPTH, Passages, passages
from training.privacy import natural
from training.recipes.projection import Pair
from training.rows import Row
from training.signals.rule import OUTSIDE
from training.split import key

ENOUGH_PAIRS = 40
_PLAINLY = 0.7
"""The score from which an answer's words are those of a page."""
_WISH = 0.5
"""The weight of what only others with the same wish show."""
_CONFIRMED = 5.0
"""How many messages, found by the search alone, a confirmed answer counts."""
_USUAL = 0.15
"""The share of a wish's answers from which a page is one of its pages."""
_DEEP = 50


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that measures, and the documents that answer it."""

    text: str
    documents: tuple[str, ...]
    lang: str = "en"
    where: str = ""
    origin: Origin = NOWHERE


@dataclass(frozen=True, slots=True)
class Pages:
    """Pairs that teach, questions that measure, `strange` ones that no page answers, the pages of each wish, and the
    conversations that the pairs are of."""

    pairs: tuple[Pair, ...] = ()
    asked: tuple[Asked, ...] = ()
    strange: tuple[str, ...] = ()
    wishes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    seen: frozenset[str] = frozenset()

    @property
    def enough(self) -> bool:
        """Whether a projection can be fitted and judged."""
        return len(self.pairs) >= ENOUGH_PAIRS and bool(self.asked)

    def described(self) -> DataSet:
        """For the manifest."""
        return data_set("pages of the log", [PassageExample(pair.text, pair.chunk, "") for pair in self.pairs])


@dataclass(frozen=True, slots=True)
class _Answer:
    """A message, the passage that answered it, its wish and side."""

    row: PassageExample
    wish: str
    teaches: bool


def learn_pages(found: Harvest, retriever: Retriever, documents: Mapping[str, str], program: Program) -> Pages:
    """The pages of a log. `documents` are those of the index, by the ids of their chunks."""
    sides = _Sides(found)
    cited = passages(found.signals, documents)
    answers = _answers(found, retriever, program, sides)
    wanted = [row for row in found.rows if row.intent and row.intent not in OUTSIDE | {OOS}]
    pages = _Wishes([answer for answer in answers if answer.teaches], wanted, retriever)
    taught = [pair for row in wanted if row.side == "train" for pair in pages.pairs(row)]
    direct = [*_cited(cited, sides), *(_pair(answer.row) for answer in answers if answer.teaches)]
    told = [*answers, *(_Answer(row, "", sides.teaches(row.origin.group, row.text)) for row in cited.held_out)]
    asked = [*_asked(told), *(one for row in wanted if row.side in ("test", "time") for one in pages.asked(row))]
    return Pages(
        pairs=(*direct, *taught),
        asked=tuple({(one.text, one.documents): one for one in asked}.values()),
        strange=tuple(natural(row.text).text for row in found.rows if row.intent in OUTSIDE),
        wishes={wish: tuple(sorted(own)) for wish, own in sorted(pages.confirmed.items())},
        seen=frozenset(row.conversation for row in wanted if row.conversation)
        | {row.origin.group for row in cited.train},
    )


def judged(retriever: Retriever, rows: Sequence[Asked]) -> list[Judged]:
    """The reciprocal rank of the first right document for each question; 0 where none is among the first `DEPTH`."""
    found = retriever.search([Query(text=row.text, top=4 * DEPTH) for row in rows])
    return [_judged(row, hits) for row, hits in zip(rows, found, strict=True)]


def refused(retriever: Retriever, texts: Sequence[str]) -> float:
    """The share of texts for which nothing is found that may be used as an answer; 1 without texts."""
    found = retriever.search([Query(text=text) for text in texts])
    return sum(not (hits.hits and hits.hits[0].score >= hits.floor) for hits in found) / max(1, len(found))


def _judged(row: Asked, hits: Hits) -> Judged:
    names = list(dict.fromkeys(hit.document for hit in hits.hits))[:DEPTH]
    rank = next((rank for rank, name in enumerate(names, 1) if name in row.documents), 0)
    return Judged(
        text=row.text,
        right=" or ".join(row.documents),
        said=names[0] if names else "",
        score=1 / rank if rank else 0.0,
        sureness=hits.hits[0].score if hits.hits else 0.0,
        lang=row.lang,
        where=row.where,
        origin=row.origin,
    )


class _Sides:
    """Which conversations and words measure."""

    def __init__(self, found: Harvest) -> None:
        measure = [row for row in found.rows if row.side in ("test", "time")]
        self._talks = {row.conversation for row in measure if row.conversation}
        self._words = {key(row.text) for row in measure}

    def teaches(self, conversation: str, text: str) -> bool:
        """Whether a message may teach."""
        return conversation not in self._talks and key(text) not in self._words


class _Wishes:
    """Which pages answer which wish."""

    def __init__(self, answers: Iterable[_Answer], rows: Sequence[Row], retriever: Retriever) -> None:
        confirmed: dict[str, Counter[str]] = defaultdict(Counter)
        for answer in answers:
            confirmed[answer.wish][answer.row.document] += 1
        known = [row for row in rows if row.intent in confirmed]
        found = retriever.search([Query(text=natural(row.text).text, top=_DEEP) for row in known])
        self._hits = {row.id: hits for row, hits in zip(known, found, strict=True)}
        self.usual = self._usual(confirmed, known)
        self.confirmed = {
            wish: {page for page in counts if page in self.usual[wish]} for wish, counts in confirmed.items()
        }

    def _usual(self, confirmed: Mapping[str, Counter[str]], rows: Iterable[Row]) -> dict[str, set[str]]:
        """The pages that a fair part of a wish's messages are answered from: by confirmed answers and by the search."""
        weights = {wish: Counter({page: _CONFIRMED * n for page, n in own.items()}) for wish, own in confirmed.items()}
        shares: dict[str, dict[str, float]] = {wish: dict(own) for wish, own in weights.items()}
        for row in rows:
            hits = self._hits[row.id]
            best = _best(hits)
            if row.side == "train" and best is not None and best.score >= hits.floor:
                shares[row.intent][best.document] = shares[row.intent].get(best.document, 0.0) + best.score
        return {
            wish: {page for page, weight in own.items() if weight >= _USUAL * sum(own.values())}
            for wish, own in shares.items()
        }

    def pairs(self, row: Row) -> Iterable[Pair]:
        """The message with the nearest passage of the pages that its wish is usually answered from."""
        pages, hits = self.usual.get(row.intent, set()), self._hits.get(row.id)
        near = next((hit for hit in hits.hits if hit.document in pages), None) if hits is not None else None
        if near is not None:
            text = natural(row.text).text
            yield Pair(text, near.chunk, _WISH * min(row.weight, 1.0), key(text))

    def asked(self, row: Row) -> Iterable[Asked]:
        """The message with all pages that its wish is usually answered from."""
        if row.intent in self.usual:
            text, pages = natural(row.text).text, tuple(sorted(self.usual[row.intent]))
            yield Asked(text, pages, row.lang, row.where, row.origin())


def _answers(found: Harvest, retriever: Retriever, program: Program, sides: _Sides) -> list[_Answer]:
    """Messages with answers that are plainly from a page."""
    turns = {(turn.conversation, turn.turn): turn for turn in found.signals.turns}
    meant = {(row.conversation, row.turn): row.intent for row in found.logged}
    labels = [item for item in found.signals.labels if item.task == "reply" and item.confidence >= ENOUGH]
    hits = retriever.search([Query(text=label.value) for label in labels])
    answers = []
    for label, one in zip(labels, hits, strict=True):
        turn, best = turns[label.conversation, label.turn], _best(one)
        wish = meant.get((label.conversation, label.turn), turn.intent)
        plain = best is not None and best.score >= max(_PLAINLY, one.floor)
        if best is None or not plain or not wish or not turn.said or wish in program.flow_for or wish in OUTSIDE:
            continue
        text = natural(turn.text).text
        row = PassageExample(
            text, best.chunk, best.document, turn.language or "en", _place(label), _origin(label), label.confidence
        )
        answers.append(_Answer(row, wish, sides.teaches(label.conversation, text)))
    return answers


def _best(hits: Hits) -> Hit | None:
    return hits.hits[0] if hits.hits else None


def _place(label: Label) -> str:
    return f"{label.conversation}, turn {label.turn}"


def _origin(label: Label) -> Origin:
    return Origin(group=label.conversation, source="log")


def _cited(found: Passages, sides: _Sides) -> list[Pair]:
    rows = (*found.train, *found.held_out)
    return [_pair(row) for row in rows if sides.teaches(row.origin.group, row.text)]


def _pair(row: PassageExample) -> Pair:
    return Pair(row.text, row.chunk, row.weight, key(row.text))


def _asked(answers: Iterable[_Answer]) -> Iterable[Asked]:
    for answer in answers:
        if not answer.teaches:
            row = answer.row
            yield Asked(row.text, (row.document,), row.lang, row.where, row.origin)


def as_example(row: Asked) -> IntentExample:
    """The question as rows are described in manifests."""
    return IntentExample(row.text, " or ".join(row.documents), row.lang, row.where, row.origin)
