"""Folders become an index; what has not changed is not done again; bad files cost one error each."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bot.core.errors import InputError
from bot.core.protocols import Query
from retrieval.ingest import IngestResult, ingest
from retrieval.search import KnowledgeIndex
from tests.retrieval.embedder import BagOfWords


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "knowledge"
    (root / "shipping").mkdir(parents=True)
    (root / "returns-window.md").write_text("# Returns\n\nYou may return a kettle within thirty days.\n")
    (root / "shipping" / "express.txt").write_text("Express parcels arrive on the next working day.")
    (root / "faq.csv").write_text("question,answer\nHow can I pay?,By card or invoice.\nIs there a shop?,No.\n")
    return root


@pytest.fixture
def embedder() -> BagOfWords:
    return BagOfWords()


def index(folder: Path, embedder: BagOfWords) -> IngestResult:
    return ingest([folder], folder.parent / "index", embedder)


def documents(folder: Path, embedder: BagOfWords) -> set[str]:
    return {chunk.document for chunk in KnowledgeIndex.open(folder.parent / "index", embedder).chunks}


def test_documents_are_named_by_their_place_in_the_folder(folder: Path, embedder: BagOfWords) -> None:
    result = index(folder, embedder)
    assert (result.documents, result.chunks, result.skipped, result.errors) == (4, 4, 0, ())
    assert documents(folder, embedder) == {"returns-window", "shipping/express", "faq#2", "faq#3"}


def test_a_second_run_reads_and_encodes_nothing(folder: Path, embedder: BagOfWords) -> None:
    first = index(folder, embedder)
    second = index(folder, embedder)
    assert (second.skipped, second.encoded, second.index) == (3, 0, first.index)


def test_only_what_changed_is_done_again(folder: Path, embedder: BagOfWords) -> None:
    index(folder, embedder)
    (folder / "faq.csv").write_text("question,answer\nHow can I pay?,By card or invoice.\nIs there a shop?,In Ghent.\n")
    result = index(folder, embedder)
    assert (result.skipped, result.encoded) == (2, 1)


def test_a_file_that_is_gone_is_gone_from_the_index(folder: Path, embedder: BagOfWords) -> None:
    index(folder, embedder)
    (folder / "faq.csv").unlink()
    index(folder, embedder)
    assert documents(folder, embedder) == {"returns-window", "shipping/express"}


def test_another_encoder_encodes_everything_again(folder: Path, embedder: BagOfWords) -> None:
    total = index(folder, embedder).encoded
    result = index(folder, BagOfWords(fingerprint={"model": "another"}))
    assert (result.skipped, result.encoded) == (3, total)


@pytest.mark.slow
def test_a_damaged_index_is_built_again_from_the_files(folder: Path, embedder: BagOfWords) -> None:
    result = index(folder, embedder)
    path = folder.parent / "index" / result.index / "vectors.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    again = index(folder, embedder)
    assert (again.skipped, again.index) == (0, result.index)
    assert documents(folder, embedder)


def test_bad_files_are_named_and_the_others_go_on(folder: Path, embedder: BagOfWords) -> None:
    (folder / "broken.pdf").write_bytes(b"%PDF nonsense")
    (folder / "latin.txt").write_bytes(b"Gr\xf6\xdfe")
    result = index(folder, embedder)
    assert result.documents == 4
    assert [Path(error.path).name for error in result.errors] == ["broken.pdf", "latin.txt"]
    assert all("expected" in error.message and "found" in error.message for error in result.errors)


def test_unknown_kinds_and_hidden_files_are_left_alone(folder: Path, embedder: BagOfWords) -> None:
    (folder / "logo.png").write_bytes(b"\x89PNG")
    (folder / ".secret.md").write_text("hidden")
    (folder / ".git").mkdir()
    (folder / ".git" / "a.md").write_text("hidden")
    result = index(folder, embedder)
    assert [Path(name).name for name in result.ignored] == ["logo.png"]
    assert (result.documents, result.errors) == (4, ())


@pytest.mark.parametrize("target", ["../outside.md", "/etc/hostname", ".."])
def test_links_that_leave_the_folder_are_refused(folder: Path, embedder: BagOfWords, target: str) -> None:
    (folder.parent / "outside.md").write_text("private words")
    (folder / "link.md").symlink_to(target)
    (error,) = index(folder, embedder).errors
    assert "leaves it" in error.message
    assert len(documents(folder, embedder)) == 4


def test_two_files_for_one_document_are_refused(folder: Path, embedder: BagOfWords) -> None:
    (folder / "returns-window.txt").write_text("Other words.")
    (error,) = index(folder, embedder).errors
    assert "rename one" in error.message


def test_a_pipe_in_the_folder_does_not_block(folder: Path, embedder: BagOfWords) -> None:
    os.mkfifo(folder / "pipe.md")
    (error,) = index(folder, embedder).errors
    assert "regular file" in error.message


def test_paths_that_are_missing_or_of_other_kinds_are_errors(folder: Path, embedder: BagOfWords) -> None:
    (folder / "logo.png").write_bytes(b"\x89PNG")
    paths = [folder, folder / "nothing.md", folder / "logo.png"]
    result = ingest(paths, folder.parent / "index", embedder)
    assert ["found nothing" in error.message or "'.png'" in error.message for error in result.errors] == [True, True]


def test_nothing_to_read_is_an_error_and_the_old_index_stays(folder: Path, embedder: BagOfWords) -> None:
    index(folder, embedder)
    (folder.parent / "empty").mkdir()
    with pytest.raises(InputError, match="expected documents"):
        ingest([folder.parent / "empty"], folder.parent / "index", embedder)
    assert len(documents(folder, embedder)) == 4


def test_one_ingest_at_a_time(folder: Path, embedder: BagOfWords) -> None:
    def again(stage: str, done: int, total: int) -> None:
        index(folder, embedder)

    with pytest.raises(InputError, match="another ingest"):
        ingest([folder], folder.parent / "index", embedder, again)


def test_progress_counts_up_to_the_total_in_each_stage(folder: Path, embedder: BagOfWords) -> None:
    calls: list[tuple[str, int, int]] = []
    ingest([folder], folder.parent / "index", embedder, lambda *call: calls.append(call))
    last = {stage: (done, total) for stage, done, total in calls}
    assert list(last) == ["read", "encode", "calibrate"]
    assert all(done == total > 0 for done, total in last.values())


@pytest.mark.slow
def test_old_indexes_are_kept_to_go_back_to_but_not_for_ever(folder: Path, embedder: BagOfWords) -> None:
    for number in range(5):
        (folder / "news.txt").write_text(f"News number {number}.")
        result = index(folder, embedder)
    kept = [path.name for path in (folder.parent / "index").iterdir() if path.is_dir()]
    assert len(kept) == 3
    assert result.index in kept


def test_what_was_ingested_is_found(folder: Path, embedder: BagOfWords) -> None:
    index(folder, embedder)
    (hits,) = KnowledgeIndex.open(folder.parent / "index", embedder).search([Query("how can I pay")])
    assert (hits.hits[0].document, hits.hits[0].answer) == ("faq#2", "By card or invoice.")
