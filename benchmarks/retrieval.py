"""Retrieval quality: dense alone, BM25 alone, and the two fused, on public question sets; and what the floor does.

    python -m benchmarks.retrieval                # the tables of docs/benchmarks/retrieval.md
    python -m benchmarks.retrieval --tune         # the fusions compared, on training splits only; long
    python -m benchmarks.retrieval stackfaq       # one set

Each knowledge base is written as JSON Lines and goes through `retrieval.ingest`, so what is measured is what is served.
"Hybrid" is `Searcher.rank` itself. The indexes are kept in build/benchmarks/retrieval; a second run encodes nothing.
A rank counts distinct documents; beyond 20 it counts as not found. Intervals: bootstrap over queries, 95 %.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from retrieval.index import Contents, read_index
from retrieval.ingest import ingest
from retrieval.search import ORDER_WEIGHT, Searcher, blend, lexical_scores, lexical_weight
from skills.encoder import Encoder

DATA = Path(os.environ.get("UNDERSTUDY_DATA", Path(__file__).parents[2] / "shared/data"))
WORK = Path(__file__).parents[1] / "build/benchmarks/retrieval"
DEPTH = 20
MOST_QUERIES = 600
ENGLISH = (
    "chitchat",
    "stackfaq",
    "covid_faq",
    "covid_user_queries",
    "medquad",
    "dstc",
    "policyqa",
    "qed_nq",
    "covidqa",
)
FOREIGN = ("covid_faq_de", "cmrc2018")
TUNED_ON = ("chitchat", "stackfaq", "medquad", "policyqa", "qed_nq", "covidqa", "cmrc2018")
RELATED = ({"covid_faq", "covid_user_queries", "medquad", "covidqa"}, {"covid_faq_de"}, {"cmrc2018"})
WEIGHTS = (0.1, 0.3, 0.6, 1.0)

Floats = npt.NDArray[np.float32]
Row = dict[str, object]


@dataclass(frozen=True)
class Ask:
    text: str
    gold: str
    filters: dict[str, str]


@dataclass(frozen=True)
class Bench:
    """A set with its index opened and its queries encoded."""

    name: str
    contents: Contents
    searcher: Searcher
    asks: list[Ask]
    vectors: Floats

    @property
    def documents(self) -> npt.NDArray[np.str_]:
        return np.array([chunk.document.split("#", 1)[1] for chunk in self.contents.chunks])


def rows(name: str) -> list[Row]:
    return [json.loads(line) for line in (DATA / name).open(encoding="utf-8")]


def knowledge(name: str) -> list[Row]:
    """The rows that are ingested."""
    if name.startswith("covid_faq"):
        language = "de" if name.endswith("_de") else "en"
        return [row for row in rows("faq/covid_faq.kb.jsonl") if row["lang"] == language]
    if name == "medquad":  # the rows are entries without paraphrases: the question is held back and asked
        return [
            {"id": f"{part}{n}", "text": row["answer"]}
            for part in ("train", "dev")
            for n, row in enumerate(rows(f"faq/medquad.{part}.jsonl"))
        ]
    if name == "dstc":
        return [{**row, "title": row["entity"]} for row in rows("faq/dstc_knowledge.kb.jsonl")]
    if name == "policyqa":  # the questions are asked of one given site
        return [{**row, "site": row["title"]} for row in rows("qa/policyqa.passages.jsonl")]
    if name == "covid_user_queries":
        return rows(f"eval_only/faq/{name}.kb.jsonl")
    return rows(f"faq/{name}.kb.jsonl") if name in ("chitchat", "stackfaq") else rows(f"qa/{name}.passages.jsonl")


def asks(name: str, part: str) -> list[Ask]:
    if name.startswith("covid_faq"):
        language = "de" if name.endswith("_de") else "en"
        found = [
            Ask(str(r["query"]), str(r["id"]), {}) for r in rows("faq/covid_faq.dev.jsonl") if r["lang"] == language
        ]
    elif name == "medquad":
        found = [Ask(str(r["question"]), f"{part}{n}", {}) for n, r in enumerate(rows(f"faq/medquad.{part}.jsonl"))]
    elif name == "dstc":  # spoken turns; the last 300 characters of the dialogue name the place
        found = [
            Ask(" ".join(t["text"] for t in r["context"])[-300:] + f" {r['query']}", str(r["id"]), {})  # type: ignore[attr-defined]
            for r in rows("faq/dstc_knowledge.dev.jsonl")
            if r["id"]
        ]
    elif name == "covid_user_queries":
        found = [Ask(str(r["query"]), str(r["id"]), {}) for r in rows(f"eval_only/faq/{name}.{part}.jsonl")]
    elif name in ("chitchat", "stackfaq"):
        found = [Ask(str(r["query"]), str(r["id"]), {}) for r in rows(f"faq/{name}.{part}.jsonl")]
    else:
        sites = {r["id"]: {"site": str(r["title"])} for r in rows(f"qa/{name}.passages.jsonl")}
        narrow = name == "policyqa"
        found = [
            Ask(str(r["question"]), str(r["context_id"]), sites[r["context_id"]] if narrow else {})
            for r in rows(f"qa/{name}.{part}.jsonl")
        ]
    picked = np.random.default_rng(0).permutation(len(found))[:MOST_QUERIES]
    return [found[number] for number in sorted(picked)]


def prepare(name: str, part: str, encoder: Encoder) -> Bench:
    folder = WORK / name
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "kb.jsonl"
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in knowledge(name)), "utf-8")
    ingest([file], folder / "index", encoder)
    _, contents = read_index(folder / "index")
    asked = asks(name, part)
    return Bench(name, contents, Searcher(contents), asked, encoder.vectors([ask.text for ask in asked]))


def scores(bench: Bench, number: int) -> tuple[Floats, Floats, Floats]:
    """Exact scores of all chunks for one query: dense, BM25 over words, and the lexical score that is served.

    Those that the filters exclude are far below.
    """
    contents, ask = bench.contents, bench.asks[number]
    likeness = contents.vectors @ bench.vectors[number]
    starts = np.searchsorted(contents.owners, np.arange(len(contents.chunks)))
    passage = likeness[starts]
    several = np.diff([*starts, len(likeness)]) > 1
    likeness[starts[several]] = -np.inf
    dense = blend(passage, np.maximum.reduceat(likeness, starts))
    shares = contents.lexical.shares(ask.text)
    found = dense, shares.words.copy(), lexical_scores(shares)
    if ask.filters:
        out = np.array([any(c.metadata.get(k) != v for k, v in ask.filters.items()) for c in contents.chunks])
        for score in found:
            score[out] = -9.0
    return found


def rank_of(gold: str, documents: Sequence[str]) -> float:
    """1 for the first distinct document; infinite if it is not among the first `DEPTH`."""
    distinct = list(dict.fromkeys(documents))[:DEPTH]
    return distinct.index(gold) + 1 if gold in distinct else np.inf


def ranks(bench: Bench) -> dict[str, npt.NDArray[np.float64]]:
    """For each system the rank of the right document for each query."""
    names = bench.documents
    found: dict[str, list[float]] = {"dense": [], "BM25": [], "hybrid": []}
    for number, ask in enumerate(bench.asks):
        dense, words, _ = scores(bench, number)
        for system, score in (("dense", dense), ("BM25", words)):
            found[system].append(rank_of(ask.gold, names[np.argsort(-score, kind="stable")[: DEPTH * 8]].tolist()))
        ranked = bench.searcher.rank(ask.text, bench.vectors[number], ask.filters, DEPTH * 8)
        found["hybrid"].append(rank_of(ask.gold, names[ranked.chunks].tolist()))
    return {system: np.array(values) for system, values in found.items()}


MEASURES: dict[str, Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]] = {
    "recall@5": lambda rank: (rank <= 5).astype(np.float64),
    "MRR": lambda rank: 1.0 / rank,
}


def interval(samples: Sequence[npt.NDArray[np.float64]], rounds: int = 2000) -> tuple[float, float, float]:
    """Mean over sets of the means over queries, with its 95 % bootstrap interval."""
    random = np.random.default_rng(0)
    means = np.mean([random.choice(s, (rounds, len(s))).mean(axis=1) for s in samples], axis=0)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(np.mean([s.mean() for s in samples])), float(low), float(high)


def cell(samples: Sequence[npt.NDArray[np.float64]]) -> str:
    mean, low, high = interval(samples)
    return f"{mean:.3f} ({low:.3f}-{high:.3f})"


def table(found: dict[str, dict[str, npt.NDArray[np.float64]]], title: str, *, single: bool = True) -> None:
    """One row a set and measure (unless not `single`), and one of all sets."""
    if not found:
        return
    print(f"\n| {title} | queries | measure | dense | BM25 | hybrid | hybrid - better of the two |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    groups = ({name: [name] for name in found} if single else {}) | (
        {"**all, each set alike**": list(found)} if len(found) > 1 else {}
    )
    for title, names in groups.items():
        for measure, of in MEASURES.items():
            systems = {s: [of(found[name][s]) for name in names] for s in ("dense", "BM25", "hybrid")}
            best = max(("dense", "BM25"), key=lambda s: float(np.mean([x.mean() for x in systems[s]])))
            gain = cell([h - b for h, b in zip(systems["hybrid"], systems[best], strict=True)])
            count = sum(len(s) for s in systems["hybrid"])
            cells = " | ".join(cell(systems[s]) for s in systems)
            print(f"| {title} | {count} | {measure} | {cells} | {gain} |", flush=True)


def floor_row(bench: Bench, others: Sequence[Bench]) -> str:
    """What the floor does to questions with an answer, to the same when it is taken away, and to foreign ones."""
    relevance, names = bench.contents.relevance, bench.documents
    answered, right, near, far = [], [], [], []
    for ask, vector in zip(bench.asks, bench.vectors, strict=True):
        ranked = bench.searcher.rank(ask.text, vector, ask.filters, DEPTH)
        above = relevance.probability(ranked.evidence) >= relevance.floor
        top = names[ranked.chunks]
        answered.append(bool(above[:1].any()))
        right.append(bool(above[:1].any() and top[0] == ask.gold))
        near.append(bool(above[top != ask.gold][:1].any()))
    for other in others:
        for ask, vector in list(zip(other.asks, other.vectors, strict=True))[:60]:
            ranked = bench.searcher.rank(ask.text, vector, top=1)
            far.append(bool((relevance.probability(ranked.evidence) >= relevance.floor).any()))
    precision = sum(right) / max(sum(answered) + np.mean(far) * len(answered), 1)
    figures = (np.mean(answered), sum(right) / max(sum(answered), 1), np.mean(far), precision, np.mean(near))
    return (
        f"| {bench.name} | {relevance.slope:.1f}, {relevance.bias:.1f} | {relevance.trust:.1f} | "
        + " | ".join(f"{x:.3f}" for x in figures)
        + " |"
    )


def tune(benches: Sequence[Bench]) -> None:
    """Fusions compared on training splits, over all chunks: one weight, the gap's weight, reciprocal ranks."""
    print("\n| fusion | mean recall@5 | mean MRR | " + " | ".join(bench.name for bench in benches) + " |")
    print("| --- | --- | --- |" + " --- |" * len(benches))
    found: dict[str, list[list[float]]] = {}
    for place, bench in enumerate(benches):
        names = bench.documents
        for number, ask in enumerate(bench.asks):
            for name, score in fusions(*scores(bench, number), bench.contents.relevance.trust).items():
                order = np.argsort(-score, kind="stable")[: DEPTH * 8]
                found.setdefault(name, [[] for _ in benches])[place].append(rank_of(ask.gold, names[order].tolist()))
    for name, sets in found.items():
        means = [[float(of(np.array(values)).mean()) for of in MEASURES.values()] for values in sets]
        overall = " | ".join(f"{mean:.4f}" for mean in np.mean(means, axis=0))
        print(f"| {name} | {overall} | " + " | ".join(f"{one:.3f} {two:.3f}" for one, two in means) + " |", flush=True)


def fusions(dense: Floats, words: Floats, lexical: Floats, trust: float) -> dict[str, Floats]:
    """All chunks scored in the ways that are compared."""
    best = dense[dense > -1]
    gap = float(lexical_weight(best))
    return {
        "dense": dense,
        "BM25, words": words,
        "words and pairs": lexical,
        **{f"dense + {w} words": dense + np.float32(w) * words for w in WEIGHTS},
        "dense + 0.3 words and pairs": dense + np.float32(0.3) * lexical,
        "reciprocal ranks, k = 10": _reciprocal(dense, words, 10),
        "reciprocal ranks, k = 60": _reciprocal(dense, words, 60),
        "by the gap, words alone": dense + np.float32(gap) * words,
        **{
            f"by the gap, words and pairs, {w}": dense + np.float32(gap * w / ORDER_WEIGHT) * lexical
            for w in (0.09, 0.12, 0.18, 0.25)
        },
        "by the gap, words and pairs, 0.15": dense + np.float32(gap) * lexical,
        "as served (also by trust)": dense + np.float32(gap / trust) * lexical,
    }


def _reciprocal(dense: Floats, lexical: Floats, k: int) -> Floats:
    places = [np.argsort(np.argsort(-score, kind="stable"), kind="stable") for score in (dense, lexical)]
    return np.asarray(1 / (k + 1 + places[0]) + (lexical > 0) / (k + 1 + places[1]), np.float32)


def speed(bench: Bench) -> None:
    """Processor milliseconds of one search, the query's vector given."""
    for ask, vector in zip(bench.asks, bench.vectors, strict=True):
        bench.searcher.rank(ask.text, vector, ask.filters)
    started = time.process_time()
    for _ in range(5):
        for ask, vector in zip(bench.asks, bench.vectors, strict=True):
            bench.searcher.rank(ask.text, vector, ask.filters)
    spent = (time.process_time() - started) / 5 / len(bench.asks) * 1000
    kind = "flat" if bench.contents.graph is None else "HNSW"
    sizes = f"{len(bench.contents.chunks)} | {len(bench.contents.vectors)} | {kind}"
    print(f"| {bench.name} | {sizes} | {spent:.2f} |", flush=True)


def main(arguments: Sequence[str]) -> None:
    encoder = Encoder.load()
    wanted = [name for name in arguments if not name.startswith("-")]
    print(f"{time.strftime('%Y-%m-%d')}, {platform.processor() or platform.machine()}, encoder {encoder.fingerprint}")
    if "--tune" in arguments:
        tune([prepare(name, "train", encoder) for name in wanted or TUNED_ON])
        return
    benches = {name: prepare(name, "dev", encoder) for name in wanted or (*ENGLISH, *FOREIGN)}
    found = {name: ranks(bench) for name, bench in benches.items()}
    table({name: found[name] for name in benches if name in ENGLISH}, "English set")
    table({name: found[name] for name in benches if name in FOREIGN}, "foreign set, English encoder")
    if set(FOREIGN) < set(benches):
        table(found, "all sets", single=False)
    print(
        "\n| set | fitted | trust | answered | of these right | foreign questions answered | precision, half foreign | "
        "answered without its document |\n| --- | --- | --- | --- | --- | --- | --- | --- |"
    )
    for name, bench in benches.items():
        related = next((group for group in RELATED if name in group), {name})
        print(floor_row(bench, [b for other, b in benches.items() if other in ENGLISH and other not in related]))
    print("\n| set | chunks | vectors | search | ms per query |\n| --- | --- | --- | --- | --- |")
    for bench in benches.values():
        speed(bench)


if __name__ == "__main__":
    main(sys.argv[1:])
