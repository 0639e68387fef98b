"""What a log says of how people word answers: the rows that a generator is fine-tuned on.

A row is a question with the talk before it, the passages that were at hand, and the reply. Three kinds of replies
count: what a reviewer or a colleague wrote in place of the bot's answer, what a colleague wrote who had the
conversation, and answers of the bot that were liked. What was disliked never counts.

1. At hand is what the turn itself retrieved; for conversations with another bot, or with people alone, it is what the
   index in use finds for the question, as it would when the bot serves. People know more pages than a search finds: if
   the reply rests on a passage that is found by its own words, that one was at hand as well.
2. A reply must not teach to make things up. It is kept as far as its passages support it, sentence by sentence; from
   the first sentence that they do not support it is cut off, and a reply of which nothing is left is dropped.
3. To some questions a second row is made without the passages that hold the answer: there the right reply is none.

Everything is read from masked facts of people who let us learn. Rows are dealt to sides like all rows of the log: the
newest weeks measure, customers and near-duplicates stay on one side.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from bot.core import events as ev
from bot.core.protocols import Hits, Query, Retriever
from bot.manifest import DataSet
from skills.support import sentences, unsupported
from skills.support_words import language, meaning
from skills.values import find
from training.clusters import Vectors, clusters
from training.data import nfc
from training.privacy import natural
from training.rows import Mark, Row, row_id
from training.runs import digest_of
from training.sides import Place, SplitOptions, fraction, newest, pseudonym, sides
from training.signals.turns import LoggedTurn, conversations, turns
from training.split import key

ENOUGH = 40
"""Rows that teach, below which nothing is fitted: a handful would be learned by heart."""
ENOUGH_HELD_OUT = 10
PASSAGES = 3
"""The most passages that an answer is worded from, as when the bot serves."""
WRITTEN, CORRECTED, LIKED, NONE = "written by a colleague", "corrected reply", "liked answer", "passages taken away"
"""The rules of rows: where a reply comes from. `NONE` rows have no reply."""
_LOOKED_AT = 8
_TALK = 6
_TALKS, _REPLAYED = 100, 400
_ABSTAIN = 0.2
_CONTENT = 2
"""Words with a meaning, and values, that a reply must have to be more than politeness."""


@dataclass(frozen=True, slots=True)
class Replies:
    """Rows on their sides. `counts` tells what became of the replies that were found; `since` is when the newest weeks
    begin, that only measure (None: the log is too short). `talks` are what customers said in some conversations: no
    reply is in them, so they tell how much of its language a model forgets. `replayed` are those of others,
    by conversation: learned beside the replies, they keep it."""

    rows: tuple[Row, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    since: float | None = None
    talks: tuple[tuple[str, ...], ...] = ()
    replayed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def train(self) -> tuple[Row, ...]:
        """The rows that teach, the oldest first."""
        return tuple(sorted((row for row in self.rows if row.side == "train"), key=lambda row: (row.at, row.id)))

    @property
    def held_out(self) -> tuple[Row, ...]:
        """The rows that measure, the oldest first."""
        held = (row for row in self.rows if row.side in ("time", "test"))
        return tuple(sorted(held, key=lambda row: (row.at, row.id)))

    @property
    def enough(self) -> bool:
        """Whether an adapter can be fitted and judged."""
        measuring = sum(bool(row.reply) for row in self.held_out)
        return len(self.train) >= ENOUGH and measuring >= ENOUGH_HELD_OUT

    @property
    def seen(self) -> frozenset[str]:
        """The conversations that taught or measured."""
        return frozenset(row.conversation for row in self.rows) | self.replayed.keys()

    def described(self) -> DataSet:
        """For the manifest."""
        return DataSet(name="replies of the log", sha256=digest_of(self.train), rows=len(self.train))

    def told(self) -> str:
        """What was found and what was dropped, in a sentence."""
        parts = (f"{count} {what}" for what, count in sorted(self.counts.items()))
        return f"replies of people: {', '.join(parts) or 'none'}"


@dataclass(frozen=True, slots=True)
class Found:
    """A reply that was found, with the talk up to the question."""

    turn: LoggedTurn
    talk: tuple[tuple[str, str], ...]
    text: str
    rule: str


def replies(
    history: Sequence[ev.Recorded],
    retriever: Retriever,
    split: SplitOptions,
    taught: AbstractSet[str] = frozenset(),
    vectors: Vectors | None = None,
) -> Replies:
    """The rows of a log that was cleared (see `training.consent`). `taught` are ids of rows that the generator in use
    was trained on: they teach again and never measure."""
    found = list(_found(history))
    counts: Counter[str] = Counter()
    rows: list[Row] = []
    asked = _for_questions(history, found, retriever)
    own = retriever.search([Query(text=natural(reply.text).text, top=_LOOKED_AT) for reply in found]) if found else ()
    for reply, hits, known in zip(found, asked, own, strict=True):
        rows += _rows(reply, hits, _above(known), counts)
    names = clusters([row.text for row in rows], vectors)
    places = [
        Place(row.user or key(row.text), name, "", author=False, human=row.human, taught=row.id in taught, at=row.at)
        for row, name in zip(rows, names, strict=True)
    ]
    since = newest(places)
    settled = sides(places, split, since)
    done = (row.model_copy(update={"side": one.side, "why": one.why}) for row, one in zip(rows, settled, strict=True))
    talks = _talks(history)
    measuring, teaching = talks[:_TALKS], talks[_TALKS : _TALKS + _REPLAYED]
    return Replies(tuple(done), dict(counts), since, tuple(said for _, said in measuring), dict(teaching))


def _talks(history: Iterable[ev.Recorded]) -> list[tuple[str, tuple[str, ...]]]:
    """What customers said, by conversation, in an order of its own."""
    talks = {name: tuple(nfc(turn.text) for turn in talk if turn.said) for name, talk in _talk_of(history)}
    chosen = sorted((name for name, said in talks.items() if said), key=lambda name: fraction(name, "talk"))
    return [(name, tuple(natural(text).text for text in talks[name])) for name in chosen]


def _talk_of(history: Iterable[ev.Recorded]) -> Iterable[tuple[str, list[LoggedTurn]]]:
    return conversations(turns(history)).items()


def _found(history: Iterable[ev.Recorded]) -> Iterator[Found]:
    for _, talk in _talk_of(history):
        said: list[tuple[str, str]] = []
        for turn in talk:
            said.append(("user", nfc(turn.text)))
            text, rule = _reply_of(turn)
            if turn.said and text:
                yield Found(turn, tuple(said[-_TALK:]), nfc(text), rule)
            said += [("bot", nfc(reply.text)) for reply in turn.replies if reply.text.strip()]


def _reply_of(turn: LoggedTurn) -> tuple[str, str]:
    """The reply that one should learn from, and the rule that says so; empty where there is none."""
    corrected = [one.reply for one in turn.corrections if one.reply]
    if corrected:
        return corrected[-1], CORRECTED
    if any(rating.score < 0 for rating in turn.ratings):
        return "", ""
    written = " ".join(reply.text.strip() for reply in turn.replies if reply.by_person and reply.text.strip())
    if written:
        return written, WRITTEN
    return (turn.answer, LIKED) if turn.judgement > 0 and turn.answer else ("", "")


def judged_answers(history: Iterable[ev.Recorded]) -> Iterator[tuple[Found, bool]]:
    """Answers of the bot that somebody rated, and whether they were liked; the last word counts."""
    for reply, judgement in _answers(history):
        if judgement:
            yield reply, judgement > 0


def _answers(history: Iterable[ev.Recorded]) -> Iterator[tuple[Found, float]]:
    for _, talk in _talk_of(history):
        said: list[tuple[str, str]] = []
        for turn in talk:
            said.append(("user", nfc(turn.text)))
            if turn.said and turn.answer:
                yield Found(turn, tuple(said[-_TALK:]), nfc(turn.answer), LIKED), turn.judgement
            said += [("bot", nfc(reply.text)) for reply in turn.replies if reply.text.strip()]


def at_hand(found: Sequence[Found], history: Iterable[ev.Recorded], retriever: Retriever) -> Iterator[Row]:
    """Replies as rows, with the passages that were found for their questions."""
    for reply, hits in zip(found, _for_questions(history, found, retriever), strict=True):
        near = _above(hits)[:PASSAGES]
        yield _row("judged", reply, [hit.words for hit in near], reply.text)


def _for_questions(
    history: Iterable[ev.Recorded], found: Sequence[Found], retriever: Retriever
) -> Iterator[Hits | ev.Retrieved]:
    """For each reply what was found for its question then, or is found now."""
    kept = {(item.conversation, item.turn): item.event for item in history if isinstance(item.event, ev.Retrieved)}
    places = [(reply.turn.conversation, reply.turn.turn) for reply in found]
    missing = [reply for reply, place in zip(found, places, strict=True) if place not in kept]
    asked = [Query(text=natural(reply.turn.text).text, top=_LOOKED_AT) for reply in missing]
    searched = iter(retriever.search(asked) if asked else ())
    return (kept[place] if place in kept else next(searched) for place in places)


def _above(found: Hits | ev.Retrieved) -> list[ev.Hit]:
    """The passages that may be used as an answer, the best first."""
    return [hit for hit in found.hits if hit.score >= found.floor]


def _rows(reply: Found, found: Hits | ev.Retrieved, own: Sequence[ev.Hit], counts: Counter[str]) -> Iterator[Row]:
    near, text = _at_hand(reply, _above(found)[:PASSAGES], own)
    fate = _fate(reply, near, text)
    if reply.rule != LIKED or fate == "kept":  # what a bot says in a task rests on no page, and nobody asked it to
        counts[fate] += 1
    if fate not in ("kept", "cut short"):
        return
    yield _row("reply", reply, [hit.words for hit in near], text)
    if fraction(reply.turn.conversation, "abstain") < _ABSTAIN and (rest := _without(text, near, found.hits)):
        yield _row("abstain", reply, rest, "")


def _without(text: str, near: Sequence[ev.Hit], hits: Sequence[ev.Hit]) -> list[str]:
    """Passages that were found and do not hold the answer, none of a document that does."""
    holds = {hit.chunk for hit in (*near, *hits) if not unsupported(text, [_source(hit)])}
    gone = {hit.document for hit in (*near, *hits) if hit.chunk in holds}
    return [hit.words for hit in hits if hit.document not in gone][: PASSAGES - 1]


def _at_hand(reply: Found, near: Sequence[ev.Hit], own: Sequence[ev.Hit]) -> tuple[Sequence[ev.Hit], str]:
    """The passages that the reply is worded from, and what of it they support."""
    text = _supported(reply.text, [_source(hit) for hit in near])
    if reply.rule == LIKED or len(text) >= len(_joined(reply.text)):
        return near, text
    for hit in own:
        more = (hit, *(other for other in near if other.chunk != hit.chunk))[:PASSAGES]
        supported = _supported(reply.text, [_source(one) for one in more])
        if len(supported) > len(text):
            near, text = more, supported
    return near, text


def _fate(reply: Found, near: Sequence[ev.Hit], text: str) -> str:
    if not near:
        return "without a passage"
    if not text:
        return "not supported by the passages"
    if text in (near[0].answer, near[0].text):
        return "that are the passage itself"
    return "kept" if len(text) >= len(_joined(reply.text)) else "cut short"


def _joined(text: str) -> str:
    return " ".join(sentences(text))


def _supported(reply: str, sources: Sequence[str]) -> str:
    """The beginning of a reply up to the first sentence that its sources do not support; "" if that says nothing."""
    kept: list[str] = []
    for sentence in sentences(reply):
        if unsupported(sentence, sources):
            break
        kept.append(sentence)
    text = " ".join(kept)
    content = len(set(meaning(text, language(text)))) + sum(1 for _ in find(text))
    return text if content >= _CONTENT else ""


def _source(hit: ev.Hit) -> str:
    return f"{hit.title}\n{hit.text}\n{hit.answer or ''}"


def _row(kind: str, reply: Found, passages: Sequence[str], text: str) -> Row:
    turn = reply.turn
    place = f"{turn.conversation}, turn {turn.turn}"
    return Row(
        id=row_id(kind, turn.conversation, turn.turn),
        text=nfc(turn.text),
        lang=turn.language or "en",
        source="log",
        where=place,
        conversation=turn.conversation,
        turn=turn.turn,
        user=pseudonym(turn.user or turn.conversation),
        at=turn.at,
        channel=turn.channel,
        marks=(Mark(rule=reply.rule if text else NONE, events=turn.evidence("replied")),),
        human=reply.rule != LIKED,
        talk=reply.talk,
        passages=tuple(passages),
        reply=text,
    )
