"""Measures a skill on rows, through the very call that serves customers, and gives one JSON-ready dict.

    {"skill", "bundle", "data", "rows", "metrics": {name: {"value","low","high","n"}}, "notes",
     "per_class", "confusions", "worst", "reliability", "risk_coverage"}

`bundle` is what `evaluate` runs: for `intent` and `entities` anything that turns utterances into `Understanding`s, for
`retrieval` a `Retriever` over the rows' knowledge base. Names of metrics are those of the literature. Confidence is the
probability of the best intent. Out-of-scope rows (`intent` "oos") count in the out-of-scope figures only.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from bot.core.errors import InputError
from bot.core.events import Entity
from bot.core.protocols import Hits, Query, Retriever, Skill, Understanding, Utterance
from bot.manifest import DataSet, Metric
from skills.entities_head import kind_name
from training import metrics as m
from training.data import data_set
from training.examples import OOS, FaqExample, IntentExample, SlotExample
from training.progress import Progress, silent

SkillName = Literal["intent", "entities", "retrieval", "ranking"]
Understander = Skill[Utterance, Understanding]
Report = dict[str, Any]

_BATCH = 64
_WORST = 50
_CONFUSIONS = 40
_NOTHING = "(none)"
BORDER = " (other border)"
"""Ends the predicted kind of a span that has the right kind and a wrong border."""


@dataclass(frozen=True, slots=True)
class IntentResult:
    """One row and what the bundle made of it."""

    row: IntentExample
    predicted: str
    score: float
    in_scope: float
    accepted: bool
    supported: bool

    @property
    def right(self) -> bool:
        """Whether the best intent is the gold one."""
        return self.predicted == self.row.intent


@dataclass(frozen=True, slots=True)
class SlotResult:
    """One row with gold and predicted slots as (start, end, kind) in characters, and the lowest confidence."""

    row: SlotExample
    gold: frozenset[m.Span]
    predicted: frozenset[m.Span]
    score: float


def evaluate_intent(bundle: Understander, rows: Sequence[IntentExample], progress: Progress = silent) -> Report:
    """Accuracy, F1, calibration and out-of-scope figures. Raises InputError without rows."""
    return intent_report(intent_results(bundle, rows, progress), data_set("intents", rows))


def evaluate_entities(bundle: Understander, rows: Sequence[SlotExample], progress: Progress = silent) -> Report:
    """Slot F1 over whole slots, and intent accuracy where the rows have intents. Raises InputError without rows."""
    return slot_report(slot_results(bundle, rows, progress), data_set("slots", rows))


def evaluate_retrieval(retriever: Retriever, rows: Sequence[FaqExample], progress: Progress = silent) -> Report:
    """Recall and reciprocal rank of the entry that answers, by document id. Raises InputError without rows."""
    _need(rows)
    found: list[Hits] = []
    for batch in _batches(rows, progress):
        found += retriever.search([Query(text=row.text, top=20) for row in batch])
    return retrieval_report(list(zip(rows, found, strict=True)), data_set("queries", rows))


def intent_results(
    bundle: Understander, rows: Sequence[IntentExample], progress: Progress = silent
) -> list[IntentResult]:
    """Run the bundle over the rows."""
    _need(rows)
    understood = _understand(bundle, [row.text for row in rows], progress)
    return [_intent_result(row, found) for row, found in zip(rows, understood, strict=True)]


def slot_results(bundle: Understander, rows: Sequence[SlotExample], progress: Progress = silent) -> list[SlotResult]:
    """Run the bundle over the rows."""
    _need(rows)
    understood = _understand(bundle, [row.text for row in rows], progress)
    kinds = {tag[2:] for row in rows for tag in row.tags if "-" in tag}
    return [_slot_result(row, found, kinds) for row, found in zip(rows, understood, strict=True)]


def intent_report(results: Sequence[IntentResult], data: DataSet) -> Report:
    """The report on rows that were run."""
    inside = [result for result in results if result.row.intent != OOS]
    report = _report("intent", data)
    report["metrics"] = _dump(_intent_metrics(inside) | _scope_metrics(results))
    if inside:
        gold, predicted = [result.row.intent for result in inside], [result.predicted for result in inside]
        confidence, right = [result.score for result in inside], [result.right for result in inside]
        report |= _classes(gold, predicted, [result.row.text for result in inside])
        report["reliability"] = [asdict(item) for item in m.reliability(confidence, right)]
        report["risk_coverage"] = _curve(confidence, right)
    report["worst"] = _worst_intents(results)
    report["notes"] = _notes(results)
    return report


def slot_report(results: Sequence[SlotResult], data: DataSet) -> Report:
    """The report on rows that were run."""
    report = _report("entities", data)
    gold, predicted = [result.gold for result in results], [result.predicted for result in results]
    exact = sum(result.gold == result.predicted for result in results)
    report["metrics"] = _dump(
        {"slot_f1": m.bootstrap(m.span_f1(gold, predicted), len(results)), "exact_match": m.wilson(exact, len(results))}
    )
    report["per_class"] = [_class_row(score) for score in m.per_kind(gold, predicted)]
    report["confusions"] = _confusions(*_paired_spans(results))
    wrong = sorted((result for result in results if result.gold != result.predicted), key=lambda item: -item.score)
    report["worst"] = [_worst_slot(result) for result in wrong[:_WORST]]
    return report


def retrieval_report(pairs: Sequence[tuple[FaqExample, Hits]], data: DataSet) -> Report:
    """The report on queries that were run. Queries that no entry answers count for the floor only."""
    report = _report("retrieval", data)
    answered = [(row, hits) for row, hits in pairs if row.id is not None]
    ranks = [_rank(row.id, hits) for row, hits in answered]
    figures: dict[str, Metric] = {}
    if answered:
        figures = {f"recall@{k}": m.recall_at(ranks, k) for k in (1, 5, 10)} | {"mrr": m.mrr(ranks)}
        kept = sum(_above_floor(hits) for _, hits in answered)
        figures["answered"] = m.wilson(kept, len(answered))
    unanswerable = [hits for row, hits in pairs if row.id is None]
    if unanswerable:
        figures["refused"] = m.wilson(sum(not _above_floor(hits) for hits in unanswerable), len(unanswerable))
    report["metrics"] = _dump(figures)
    missed = [(row, hits, rank) for (row, hits), rank in zip(answered, ranks, strict=True) if rank != 1]
    missed.sort(key=lambda item: -item[2] if item[2] else -1000)
    report["worst"] = [_worst_query(row, hits, rank) for row, hits, rank in missed[:_WORST]]
    return report


@dataclass(frozen=True, slots=True)
class Unseen:
    """Actions that models gave for stories they were not trained on, each with the right one.

    `known` tells that the right action is in other stories too; `sure` is the probability of the action given; `where`
    names the story and the state.
    """

    gold: tuple[str, ...] = ()
    given: tuple[str, ...] = ()
    known: tuple[bool, ...] = ()
    sure: tuple[float, ...] = ()
    where: tuple[str, ...] = ()


def ranking_report(found: Unseen, data: DataSet) -> Report:
    """The report on stories that were left out of training. `known_accuracy` counts actions that can be known."""
    report = _report("ranking", data)
    right = [one == other for one, other in zip(found.gold, found.given, strict=True)]
    figures = {"accuracy": m.accuracy(found.gold, found.given)}
    if any(found.known):
        hits = sum(hit and known for hit, known in zip(right, found.known, strict=True))
        figures["known_accuracy"] = m.wilson(hits, sum(found.known))
    report["metrics"] = _dump(figures | {"ece": m.ece(found.sure, right)})
    report |= _classes(found.gold, found.given, found.where)
    report["reliability"] = [asdict(item) for item in m.reliability(found.sure, right)]
    report["risk_coverage"] = _curve(found.sure, right)
    rows = zip(found.where, found.gold, found.given, found.sure, strict=True)
    wrong = sorted((row for row in rows if row[1] != row[2]), key=lambda row: -row[3])
    names = ("where", "gold", "predicted", "score")
    report["worst"] = [dict(zip(names, row, strict=True), text=row[0]) for row in wrong[:_WORST]]
    return report


def _intent_metrics(inside: Sequence[IntentResult]) -> dict[str, Metric]:
    if not inside:
        return {}
    gold, predicted = [result.row.intent for result in inside], [result.predicted for result in inside]
    confidence, right = [result.score for result in inside], [result.right for result in inside]
    return {
        "accuracy": m.accuracy(gold, predicted),
        "macro_f1": m.macro_f1(gold, predicted),
        "ece": m.ece(confidence, right),
        "brier": m.brier(confidence, right),
        "in_scope_acceptance": m.wilson(sum(result.accepted for result in inside), len(inside)),
    }


def _scope_metrics(results: Sequence[IntentResult]) -> dict[str, Metric]:
    """`oos_recall` at the bundle's own threshold, `oos_recall@0.97` at 97 % acceptance of the in-scope rows."""
    inside = [result.row.intent != OOS for result in results]
    if all(inside):
        return {}
    outside = [result for result in results if result.row.intent == OOS]
    figures = {"oos_recall": m.wilson(sum(not result.accepted for result in outside), len(outside))}
    if any(inside):
        scores = [result.in_scope for result in results]
        figures |= {"oos_recall@0.97": m.oos_recall(inside, scores), "oos_auroc": m.auroc(inside, scores)}
    return figures


def _notes(results: Sequence[IntentResult]) -> list[str]:
    notes = []
    foreign = sum(not result.supported for result in results)
    if foreign:
        notes.append(f"{foreign} of {len(results)} rows were taken for a language that the bot does not speak")
    known = {result.predicted for result in results}
    unseen = sorted({result.row.intent for result in results} - known - {OOS})
    if unseen:
        notes.append(f"never predicted: {', '.join(unseen)}")
    return notes


def _intent_result(row: IntentExample, found: Understanding) -> IntentResult:
    best = found.intents[0] if found.intents else None
    accepted = best is not None and found.in_scope >= found.threshold
    name, score = (best.name, best.score) if best else (_NOTHING, 0.0)
    return IntentResult(row, name, score, found.in_scope, accepted, found.supported)


def _slot_result(row: SlotExample, found: Understanding, kinds: set[str]) -> SlotResult:
    """Built-in extractors find dates and the like that rows may not label: for them only the rows' own kinds count."""
    entities = [item for item in found.entities if item.extractor == "head" or kind_name(item) in kinds]
    gold = frozenset((row.offsets[first][0], row.offsets[last - 1][1], kind) for first, last, kind in m.spans(row.tags))
    predicted = frozenset((item.start, item.end, kind_name(item)) for item in entities)
    return SlotResult(row, gold, predicted, _lowest(entities))


def _lowest(entities: Sequence[Entity]) -> float:
    return min((entity.confidence for entity in entities), default=0.0)


def _paired_spans(results: Sequence[SlotResult]) -> tuple[list[str], list[str], list[str]]:
    """Gold and predicted kinds of spans that overlap, with the text around them; what has no partner meets `(none)`."""
    gold: list[str] = []
    predicted: list[str] = []
    texts: list[str] = []
    for result in results:
        for one, other in _partners(result):
            gold.append(one)
            predicted.append(other)
            texts.append(result.row.text)
    return gold, predicted, texts


def _partners(result: SlotResult) -> Iterator[tuple[str, str]]:
    met: set[m.Span] = set()
    for start, end, kind in sorted(result.gold):
        over = [span for span in result.predicted if span[0] < end and start < span[1]]
        met |= set(over)
        same = next((span for span in over if span == (start, end, kind)), None)
        other = same or (over[0] if over else None)
        name = other[2] if other else _NOTHING
        yield kind, f"{name}{BORDER}" if other and name == kind and not same else name
    for span in sorted(result.predicted - met):
        yield _NOTHING, span[2]


def _classes(gold: Sequence[str], predicted: Sequence[str], texts: Sequence[str]) -> Report:
    per_class = [_class_row(score) for score in m.per_class(gold, predicted)]
    return {"per_class": per_class, "confusions": _confusions(gold, predicted, texts)}


def _confusions(gold: Sequence[str], predicted: Sequence[str], texts: Sequence[str]) -> list[Report]:
    counts = Counter((one, other) for one, other in zip(gold, predicted, strict=True) if one != other)
    examples: dict[tuple[str, str], list[str]] = defaultdict(list)
    for one, other, text in zip(gold, predicted, texts, strict=True):
        if one != other and len(examples[one, other]) < 3:
            examples[one, other].append(text)
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [
        {"gold": pair[0], "predicted": pair[1], "count": count, "examples": examples[pair]}
        for pair, count in ranked[:_CONFUSIONS]
    ]


def _worst_intents(results: Sequence[IntentResult]) -> list[Report]:
    """The most confident errors first: wrong intents, and out-of-scope rows that were accepted."""
    wrong = [item for item in results if (item.accepted if item.row.intent == OOS else not item.right)]
    wrong.sort(key=lambda item: -item.score)
    return [
        {
            "text": item.row.text,
            "gold": item.row.intent,
            "predicted": item.predicted,
            "score": round(item.score, 4),
            "in_scope": round(item.in_scope, 4),
            "where": item.row.where,
        }
        for item in wrong[:_WORST]
    ]


def _worst_slot(result: SlotResult) -> Report:
    return {
        "text": result.row.text,
        "gold": spelled(result.row.text, result.gold),
        "predicted": spelled(result.row.text, result.predicted),
        "score": round(result.score, 4),
        "where": result.row.where,
    }


def spelled(text: str, slots: frozenset[m.Span]) -> str:
    return ", ".join(f"{kind}={text[start:end]!r}" for start, end, kind in sorted(slots)) or _NOTHING


def _worst_query(row: FaqExample, hits: Hits, rank: int | None) -> Report:
    best = hits.hits[0] if hits.hits else None
    found = (best.document, round(best.score, 4)) if best else (_NOTHING, 0.0)
    return {
        "text": row.text,
        "gold": row.id,
        "predicted": found[0],
        "score": found[1],
        "rank": rank,
        "where": row.where,
    }


def _rank(answer: str | None, hits: Hits) -> int | None:
    """The rank of a document by its id; rows of an ingested file are named `file#id`, and `id` alone will do."""
    documents = list(dict.fromkeys(hit.document for hit in hits.hits))
    return next((rank for rank, name in enumerate(documents, 1) if answer in (name, name.partition("#")[2])), None)


def _above_floor(hits: Hits) -> bool:
    return bool(hits.hits) and hits.hits[0].score >= hits.floor


def _curve(confidence: Sequence[float], right: Sequence[bool]) -> list[Report]:
    """At most 101 points of the risk-coverage curve."""
    coverage, risk = m.risk_coverage(confidence, right)
    points = np.unique(np.linspace(0, len(risk) - 1, 101).astype(int))
    return [{"coverage": float(coverage[point]), "risk": float(risk[point])} for point in points]


def _class_row(score: m.ClassScore) -> Report:
    figures = {"precision": score.precision, "recall": score.recall, "f1": score.f1}
    return {"label": score.label, "support": score.support, **_dump(figures)}


def _report(skill: SkillName, data: DataSet) -> Report:
    empty: dict[str, list[Any]] = {name: [] for name in _LISTS}
    return {"skill": skill, "bundle": "", "data": data.model_dump(), "rows": data.rows, "metrics": {}, **empty}


_LISTS = ("notes", "per_class", "confusions", "worst", "reliability", "risk_coverage")


def _dump(figures: Mapping[str, Metric]) -> dict[str, dict[str, float]]:
    return {
        name: {
            key: round(value, 5) if isinstance(value, float) else value for key, value in figure.model_dump().items()
        }
        for name, figure in figures.items()
    }


def _understand(bundle: Understander, texts: Sequence[str], progress: Progress) -> list[Understanding]:
    found: list[Understanding] = []
    for batch in _batches(texts, progress):
        found += bundle.run([Utterance(text=text) for text in batch])
    return found


def _batches(rows: Sequence[Any], progress: Progress) -> Iterator[Sequence[Any]]:
    for first in range(0, len(rows), _BATCH):
        progress(first / len(rows), "measuring")
        yield rows[first : first + _BATCH]
    progress(1.0, "measuring")


def _need(rows: Sequence[object]) -> None:
    if not rows:
        raise InputError("expected at least one row to measure on, found none")
