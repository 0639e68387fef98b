"""A small knowledge base of questions and answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from retrieval.ingest import ingest
from retrieval.search import KnowledgeIndex
from tests.retrieval.embedder import BagOfWords


def faq_index(folder: Path, entries: Mapping[str, tuple[str, str]]) -> KnowledgeIndex:
    """The index of entries, each a question and its answer, by id; its files lie in the folder."""
    rows = [{"id": name, "question": asked, "answer": told} for name, (asked, told) in entries.items()]
    (folder / "faq.jsonl").write_text("\n".join(map(json.dumps, rows)))
    ingest([folder / "faq.jsonl"], folder / "index", BagOfWords())
    return KnowledgeIndex.open(folder / "index", BagOfWords())
