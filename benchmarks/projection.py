"""The query projection on streams of clicks: where it is promoted, and where the gate keeps the search as it is.

    python -m benchmarks.projection             # the table of docs/benchmarks/projection.md, about 3 minutes alone
    python -m benchmarks.projection "clicks"    # one stream

Questions of a set's training split come in over 26 weeks. For each the search that is served shows five documents. A
customer looks at the place r with probability r to the power of -0.7, takes the right document for right with
probability 0.9 and a wrong one with 0.1, and presses the first that convinces them. Of those who press nothing every
third asks a person, who cites the right document. What was pressed or cited teaches, whether right or wrong.

The newest weeks and a fifth of the customers measure (`training.passages.by_weeks`: no customer and no near-duplicate
on both sides), with the document that is really right, whether anybody pressed it or not. The gate's own comparison
decides, and a projection is promoted only if it finds it better.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.retrieval import WORK, prepare, rows
from bot.core.protocols import Query
from retrieval.projection import QueryProjection
from retrieval.search import KnowledgeIndex
from skills.encoder import Encoder, EncoderSettings
from training.examples import Origin, PassageExample
from training.gate.compare import compare
from training.gate.measured import measured_scores
from training.gate.verdict import Comparison
from training.passages import ENOUGH_PAIRS, Passages, by_weeks, judged
from training.recipes.projection import FittedProjection, Pair, fit_projection
from training.split import key

WEEK = 7 * 86_400.0
WEEKS, A_WEEK = 26, 100
SHOWN = 5
BIAS, CONVINCED, FOOLED, CITED = 0.7, 0.9, 0.1, 1 / 3
FOREIGN = "banking77"

Draw = Callable[[str, Sequence[str]], str | None]
"""Which of the documents shown is pressed, or else cited, given the right one."""


@dataclass(frozen=True)
class Case:
    """A stream: a set, how many questions of it, and what is pressed. `unseen`: documents nobody asks for in the weeks
    that teach."""

    name: str
    source: str
    most: int = WEEKS * A_WEEK
    pressed: str = "with bias and errors"
    unseen: bool = False


CASES = (
    Case("clicks", "chitchat"),
    Case("clicks, 300 questions", "chitchat", 300),
    Case("clicks, half of the documents never asked for", "chitchat", unseen=True),
    Case("too few clicks", "chitchat", 45),
    Case("clicks by place alone", "chitchat", pressed="by place alone"),
    Case("clicks at random", "chitchat", pressed="at random"),
    Case("nothing to gain", "stackfaq"),
    Case("each document asked for once", "qed_nq"),
)


class Customers:
    """People who press: seeded."""

    def __init__(self, how: str, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.how = how

    def press(self, right: str, shown: Sequence[str]) -> str | None:
        """What one of them presses or gets cited."""
        if self.how == "at random":
            return shown[int(self.random.integers(len(shown)))]
        for place, name in enumerate(shown, 1):
            looks = self.random.random() < place**-BIAS
            likes = CONVINCED if name == right else FOOLED
            if looks and self.random.random() < (0.5 if self.how == "by place alone" else likes):
                return name
        return right if self.how == "with bias and errors" and self.random.random() < CITED else None


def stream(case: Case, index: KnowledgeIndex) -> list[PassageExample]:
    """The questions of a set with their right documents, in time; three to a customer."""
    first = {chunk.document.split("#", 1)[1]: chunk for chunk in reversed(index.chunks)}
    asked = [_question(row) for row in rows(f"{_folder(case.source)}/{case.source}.train.jsonl")]
    random = np.random.default_rng(1)
    chosen = [asked[n] for n in random.permutation(len(asked)) if asked[n][1] in first][: case.most]
    found = []
    for number, (text, name) in enumerate(chosen):
        origin = Origin(group=f"talk {number}", user=f"customer {random.integers(max(1, len(chosen) // 3))}")
        at = 1 + WEEKS * WEEK * number / len(chosen)
        chunk = first[name]
        found.append(PassageExample(text, chunk.id, chunk.document, "en", f"talk {number}", origin, 1.0, at))
    return found


def _folder(source: str) -> str:
    return "qa" if source == "qed_nq" else "faq"


def _question(row: dict[str, object]) -> tuple[str, str]:
    return str(row.get("query") or row["question"]), str(row.get("id") if "query" in row else row["context_id"])


def taught(sides: Passages, case: Case, index: KnowledgeIndex) -> list[Pair]:
    """What was pressed or cited in the weeks that teach."""
    customers, chunks = Customers(case.pressed), {chunk.document: chunk.id for chunk in reversed(index.chunks)}
    ordered = sorted(sides.train, key=lambda row: row.at)
    hits = index.search([Query(row.text, top=20 * SHOWN) for row in ordered])
    pairs = []
    for row, one in zip(ordered, hits, strict=True):
        shown = list(dict.fromkeys(hit.document for hit in one.hits))[:SHOWN]
        pressed = customers.press(row.document, shown)
        if pressed is not None:
            pairs.append(Pair(row.text, chunks[pressed], 1.0, key(row.text)))
    return pairs


def hide(sides: Passages) -> tuple[Passages, Passages]:
    """Without the questions for every second document in the weeks that teach; and the held-out ones for those."""
    names = sorted({row.document for row in (*sides.train, *sides.held_out)})[::2]
    train = tuple(row for row in sides.train if row.document not in names)
    return replace(sides, train=train), replace(
        sides, held_out=tuple(row for row in sides.held_out if row.document in names)
    )


def judge(index: KnowledgeIndex, turn: QueryProjection, asked: Sequence[PassageExample]) -> Comparison:
    """The gate's comparison of the search with and without the turn."""
    sides = [measured_scores("retrieval", "mrr", judged(one, asked)) for one in (index.projected(turn), index)]
    return compare(sides[0], sides[1])


def answered(index: KnowledgeIndex, texts: Sequence[str]) -> float:
    """The share of texts that are answered."""
    found = index.search([Query(text) for text in texts])
    return float(np.mean([bool(hits.hits) and hits.hits[0].score >= hits.floor for hits in found]))


def run(case: Case, encoder: Encoder, foreign: Sequence[str]) -> None:
    """One row of the table."""
    prepare(case.source, "train", encoder)
    index = KnowledgeIndex.open(WORK / case.source / "index", encoder)
    sides = by_weeks(stream(case, index), encoder.vectors)
    sides, hidden = hide(sides) if case.unseen else (sides, sides)
    pairs = taught(sides, case, index)
    head = f"| {case.name} | {case.source} | {len(pairs)} | {_right(pairs, sides, index):.2f} | {len(sides.held_out)} |"
    if len(pairs) < ENOUGH_PAIRS:
        print(f"{head} not fitted | | | too few pairs | **kept as it was** | |", flush=True)
        return
    started = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    fitted = fit_projection(pairs, index.contents, encoder)
    spent = resource.getrusage(resource.RUSAGE_SELF).ru_utime - started
    print(f"{head} {_told(judge(index, fitted.projection, sides.held_out), fitted)} | {spent:.1f} |", flush=True)
    if case.unseen:
        alone = judge(index, fitted.projection, hidden.held_out)
        print(f"<!-- of these, documents never asked for: {_told(alone, fitted)} -->", flush=True)
    turned = index.projected(fitted.projection)
    if fitted.share:
        strange = [answered(one, foreign) for one in (index, turned)]
        known = [answered(one, [row.text for row in sides.held_out]) for one in (index, turned)]
        print(f"<!-- {case.name}: answered {known}, foreign {strange}, {_cost(index, turned, sides)} -->", flush=True)


def _right(pairs: Sequence[Pair], sides: Passages, index: KnowledgeIndex) -> float:
    """The share of pairs with the right document."""
    gold, documents = {row.text: row.document for row in sides.train}, {c.id: c.document for c in index.chunks}
    return float(np.mean([gold[pair.text] == documents[pair.chunk] for pair in pairs]))


def _told(found: Comparison, fitted: FittedProjection) -> str:
    assert found.candidate is not None
    assert found.current is not None
    assert found.change is not None
    change = f"{found.change.value:+.3f} ({found.change.low:+.3f} to {found.change.high:+.3f})"
    kept = "**promoted**" if found.finding == "better" else "**kept as it was**"
    means = f"{found.current.value:.3f} | {found.candidate.value:.3f} | {change}"
    return f"{fitted.share:.2f} | {means} | {found.finding} | {kept}"


def _cost(index: KnowledgeIndex, turned: KnowledgeIndex, sides: Passages) -> str:
    """Processor time of a search with its vector given, in milliseconds."""
    queries = [Query(row.text, vector=vector) for row, vector in _encoded(index, sides.held_out[:300])]
    times = []
    for one in (index, turned) * 3:
        started = time.process_time()
        one.search(queries)
        times.append((time.process_time() - started) / len(queries) * 1000)
    return f"ms {min(times[::2]):.3f} and {min(times[1::2]):.3f}"


def _encoded(index: KnowledgeIndex, asked: Sequence[PassageExample]) -> Sequence[tuple[PassageExample, np.ndarray]]:
    return list(zip(asked, [e.vector for e in index.embedder.run([row.text for row in asked])], strict=True))


def main(wanted: Sequence[str]) -> None:
    encoder = Encoder.load(settings=EncoderSettings(recent_bytes=256 << 20))
    foreign = [str(row["text"]) for row in rows(f"intents/{FOREIGN}.dev.jsonl")][:400]
    print(f"{time.strftime('%Y-%m-%d')}\n")
    print(
        "| stream | set | pairs | of these right | held out | share of the turn | MRR before | after | change "
        "| the gate says | the bundle's search is | s to fit |"
    )
    print("| --- |" + " --- |" * 11)
    for case in CASES:
        if not wanted or case.name in wanted:
            run(case, encoder, foreign)


if __name__ == "__main__":
    main(sys.argv[1:])
