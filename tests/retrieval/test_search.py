"""Searching: ranking, filters, scores against the floor, and an index that nobody has touched."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bot.core.errors import InputError, IntegrityError, NotFound
from bot.core.protocols import Query, Retriever
from retrieval.index import read_index
from retrieval.ingest import ingest
from retrieval.projection import QueryProjection
from retrieval.search import KnowledgeIndex, Searcher, build_graph, lexical_weight
from tests.retrieval.embedder import BagOfWords

ROWS = [
    {
        "id": "pay",
        "question": "How can I pay?",
        "answer": "By card, transfer or invoice.",
        "shop": "ghent",
        "lang": "en",
    },
    {"id": "hours", "question": "When are you open?", "answer": "From nine to five.", "shop": "ghent", "lang": "en"},
    {"id": "open", "question": "When are you open?", "answer": "Only on Mondays.", "shop": "antwerp", "lang": "en"},
    {"id": "zahlen", "question": "Wie kann ich zahlen?", "answer": "Mit Karte.", "shop": "ghent", "lang": "de"},
    {
        "id": "return",
        "question": "How do I send a kettle back?",
        "answer": "Print a label.",
        "url": "https://k.example/r",
    },
]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("search")
    (folder / "faq.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    ingest([folder / "faq.jsonl"], folder / "index", BagOfWords())
    return folder / "index"


@pytest.fixture
def knowledge(root: Path) -> KnowledgeIndex:
    return KnowledgeIndex.open(root, BagOfWords())


def found(knowledge: KnowledgeIndex, text: str, **filters: str) -> list[str]:
    (hits,) = knowledge.search([Query(text, filters=filters)])
    return [hit.document.removeprefix("faq#") for hit in hits.hits]


def test_it_is_a_retriever(knowledge: KnowledgeIndex) -> None:
    assert isinstance(knowledge, Retriever)


def test_the_best_passage_comes_first_with_its_answer_and_source(knowledge: KnowledgeIndex) -> None:
    (hits,) = knowledge.search([Query("how do I send my kettle back")])
    best = hits.hits[0]
    assert (best.document, best.answer, best.url) == ("faq#return", "Print a label.", "https://k.example/r")
    assert hits.index == knowledge.id


def test_scores_are_probabilities_in_descending_order(knowledge: KnowledgeIndex) -> None:
    (hits,) = knowledge.search([Query("when are you open")])
    scores = [hit.score for hit in hits.hits]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)


def test_queries_are_answered_in_their_order(knowledge: KnowledgeIndex) -> None:
    texts = ["how can I pay", "send the kettle back", "wie kann ich zahlen"]
    batch = knowledge.search([Query(text) for text in texts])
    assert [hits.hits[0].document for hits in batch] == ["faq#pay", "faq#return", "faq#zahlen"]
    assert batch == [knowledge.search([Query(text)])[0] for text in texts]


def test_a_vector_that_is_given_is_not_computed_again(root: Path) -> None:
    embedder = BagOfWords()
    knowledge = KnowledgeIndex.open(root, embedder)
    vector = embedder.run(["how can I pay"])[0].vector
    assert knowledge.search([Query("how can I pay", vector)]) == knowledge.search([Query("how can I pay")])
    assert embedder.texts == 2


def test_a_vector_of_another_dimension_is_refused(knowledge: KnowledgeIndex) -> None:
    with pytest.raises(InputError, match=r"expected vectors of shape \(64,\), found \(3,\)"):
        knowledge.search([Query("pay", np.zeros(3, np.float32))])


def test_filters_keep_everything_else_out(knowledge: KnowledgeIndex) -> None:
    assert found(knowledge, "when are you open", shop="antwerp") == ["open"]
    assert set(found(knowledge, "when are you open", shop="ghent")) == {"hours", "pay", "zahlen"}
    assert found(knowledge, "when are you open", shop="ghent", lang="de") == ["zahlen"]
    assert found(knowledge, "when are you open", shop="brussels") == []


def test_no_more_hits_than_asked_for(knowledge: KnowledgeIndex) -> None:
    (hits,) = knowledge.search([Query("when are you open", top=2)])
    assert len(hits.hits) == 2


@pytest.mark.parametrize("text", ["", " ", "\u0000", "?!", "🫖" * 50, "a" * 100_000, "\ud800"])
def test_strange_queries_are_answered_below_the_floor(knowledge: KnowledgeIndex, text: str) -> None:
    (hits,) = knowledge.search([Query(text)])
    assert all(hit.score < hits.floor for hit in hits.hits)


def test_a_missing_index_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="bot ingest"):
        KnowledgeIndex.open(tmp_path, BagOfWords())


def test_an_index_of_another_encoder_is_refused(root: Path) -> None:
    other = BagOfWords(fingerprint={"model": "bag of words", "weights": "2"})
    with pytest.raises(IntegrityError, match=r"fingerprint.json.*weights: index '1', encoder '2'"):
        KnowledgeIndex.open(root, other)


def test_an_index_of_another_dimension_is_refused(root: Path) -> None:
    with pytest.raises(IntegrityError, match="dimension"):
        KnowledgeIndex.open(root, BagOfWords(dimension=32))


FILES = (
    "chunks.jsonl",
    "vectors.safetensors",
    "lexical.safetensors",
    "vocabulary.json",
    "sources.json",
    "fingerprint.json",
    "relevance.json",
    "manifest.json",
)


@pytest.fixture
def copied(root: Path, tmp_path: Path) -> Path:
    """A copy of the index to damage; the folder of the current one."""
    index = (root / "CURRENT").read_text()
    (tmp_path / index).mkdir()
    for path in (root / index).iterdir():
        (tmp_path / index / path.name).write_bytes(path.read_bytes())
    (tmp_path / "CURRENT").write_text(index)
    return tmp_path / index


def test_the_list_of_files_is_complete(copied: Path) -> None:
    assert {path.name for path in copied.iterdir()} == set(FILES)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", [0, 0.5, -1])
def test_a_changed_byte_is_refused_with_the_file_named(copied: Path, name: str, place: float) -> None:
    data = bytearray((copied / name).read_bytes())
    data[int(place * len(data)) if place > 0 else int(place)] ^= 1
    (copied / name).write_bytes(data)
    with pytest.raises(IntegrityError, match=name):
        KnowledgeIndex.open(copied.parent, BagOfWords())


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_refused_with_its_name(copied: Path, name: str) -> None:
    (copied / name).unlink()
    with pytest.raises(IntegrityError, match=name):
        KnowledgeIndex.open(copied.parent, BagOfWords())


@pytest.mark.parametrize("pointer", ["", "0" * 16, "../index", "x"])
def test_a_pointer_to_nowhere_is_refused(copied: Path, pointer: str) -> None:
    (copied.parent / "CURRENT").write_text(pointer)
    with pytest.raises(IntegrityError, match="CURRENT"):
        KnowledgeIndex.open(copied.parent, BagOfWords())


@pytest.mark.slow
def test_the_graph_finds_what_the_flat_search_finds() -> None:
    """HNSW against flat on 12,000 clustered vectors: at least 95 % of the flat search's ten best."""
    import faiss

    random = np.random.default_rng(0)
    centres = random.normal(size=(200, 64))
    vectors = centres[random.integers(0, 200, 12_000)] + 0.7 * random.normal(size=(12_000, 64))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    graph = faiss.deserialize_index(np.frombuffer(build_graph(vectors), np.uint8))
    flat = faiss.IndexFlatIP(64)
    flat.add(vectors)
    graph.hnsw.efSearch = 128
    queries = vectors[:200]
    agree = [set(a) & set(b) for a, b in zip(flat.search(queries, 10)[1], graph.search(queries, 10)[1], strict=True)]
    assert np.mean([len(both) for both in agree]) >= 9.5


@pytest.mark.slow
def test_equal_vectors_give_equal_graphs() -> None:
    vectors = np.random.default_rng(0).normal(size=(2_000, 32)).astype(np.float32)
    assert build_graph(vectors) == build_graph(vectors)


@pytest.mark.parametrize("shop", ["ghent", "antwerp", None])
def test_ranking_through_a_graph_respects_filters_too(root: Path, shop: str | None) -> None:
    from dataclasses import replace

    _, contents = read_index(root)
    vector = BagOfWords().run(["when are you open"])[0].vector
    filters = {"shop": shop} if shop else {}
    exact = Searcher(contents).rank("when are you open", vector, filters)
    through = Searcher(replace(contents, graph=build_graph(contents.vectors))).rank(
        "when are you open", vector, filters
    )
    assert exact.chunks.tolist() == through.chunks.tolist()


def test_words_count_more_where_vectors_tell_candidates_less_apart() -> None:
    clear, blurred = np.linspace(0.9, 0.1, 30, dtype=np.float32), np.linspace(0.5, 0.4, 30, dtype=np.float32)
    assert lexical_weight(blurred) > lexical_weight(clear) > 0
    assert lexical_weight(clear, 0.1) > lexical_weight(blurred)
    assert lexical_weight(clear[:0]) == 0


def test_no_hit_is_surer_than_one_before_it(knowledge: KnowledgeIndex) -> None:
    for row in ROWS:
        (hits,) = knowledge.search([Query(row["question"])])
        scores = [hit.score for hit in hits.hits]
        assert scores == sorted(scores, reverse=True)


def turn(dimension: int = 64) -> QueryProjection:
    random = np.random.default_rng(0)
    down, up = (random.standard_normal(shape).astype(np.float32) for shape in ((4, dimension), (dimension, 4)))
    return QueryProjection(down, up, np.empty((0, dimension), np.float32))  # all questions turn


def test_a_projection_turns_questions_and_leaves_the_index_alone(knowledge: KnowledgeIndex) -> None:
    turned = knowledge.projected(turn(knowledge.embedder.dimension))
    query = Query("How can I pay?")
    assert turned.search([query]) != knowledge.search([query])
    assert turned.projected(None).search([query]) == knowledge.search([query])


def test_a_projection_of_another_dimension_is_refused(knowledge: KnowledgeIndex) -> None:
    with pytest.raises(InputError, match="expected a projection of"):
        knowledge.projected(turn(knowledge.embedder.dimension + 1))
