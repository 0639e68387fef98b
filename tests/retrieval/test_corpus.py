"""Chunks follow a document's structure, never cut a sentence, and are named by their content."""

from __future__ import annotations

import pytest

from retrieval.corpus import LONGEST, TARGET, Chunk, Document, Section, chunks_of, plain, sentences, size


def article(*sections: Section, **fields: object) -> Document:
    return Document("returns", "Returns", sections, **fields)  # type: ignore[arg-type]


def test_each_section_is_a_chunk_titled_by_its_headings() -> None:
    document = article(Section((), ("Thirty days.",)), Section(("Sale items", "Online"), ("No return.",)))
    assert [chunk.title for chunk in chunks_of(document)] == ["Returns", "Returns › Sale items › Online"]


def test_a_heading_that_repeats_the_title_is_not_said_twice() -> None:
    assert chunks_of(article(Section(("RETURNS",), ("Thirty days.",))))[0].title == "Returns"


def test_short_paragraphs_share_a_chunk() -> None:
    (chunk,) = chunks_of(article(Section((), ("One.", "Two.", "- a\n- b"))))
    assert chunk.text == "One.\n\nTwo.\n\n- a\n- b"


def test_a_long_paragraph_is_cut_between_sentences() -> None:
    text = "".join(f"Kettle {n} boils two litres of water in about three minutes. " for n in range(40))
    chunks = chunks_of(article(Section((), (text,))))
    assert len(chunks) > 1
    assert all(size(chunk.text) <= TARGET and chunk.text.endswith("minutes.") for chunk in chunks)


def test_chinese_text_is_cut_between_sentences() -> None:
    text = "".join(f"水壶{n}可以在三十天内退货，请保留包装。" for n in range(20))
    chunks = chunks_of(article(Section((), (text,))))
    assert len(chunks) > 2
    assert all(size(chunk.text) <= TARGET and chunk.text.endswith("。") for chunk in chunks)


def test_text_without_sentence_ends_is_cut_at_words() -> None:
    chunks = chunks_of(article(Section((), (" ".join(f"word{n}" for n in range(LONGEST + 10)),))))
    assert [size(chunk.text) for chunk in chunks] == [LONGEST, 10]


def test_no_word_is_lost_by_cutting() -> None:
    text = " ".join(f"Sentence number {n} is here, Mr. Example said." for n in range(60))
    joined = " ".join(chunk.text for chunk in chunks_of(article(Section((), (text,)))))
    assert joined.split() == text.split()


@pytest.mark.parametrize("text", ["Call Dr. Green e.g. today.", "Version 2.5 is out", "J. Smith wrote it"])
def test_abbreviations_and_numbers_do_not_end_sentences(text: str) -> None:
    assert sentences(text) == [text]


def test_an_faq_row_is_one_chunk_with_its_questions() -> None:
    document = Document("faq#1", "Can I pay later?", (), ("Can I pay later?", "Invoice?"), "Yes, in 14 days.")
    (chunk,) = chunks_of(document)
    assert (chunk.answer, chunk.questions) == ("Yes, in 14 days.", ("Can I pay later?", "Invoice?"))
    assert chunk.passage == "Can I pay later?\nYes, in 14 days."


def test_a_heading_that_asks_is_a_question_of_its_first_chunk() -> None:
    long = "".join(f"Parcel {n} takes three working days to arrive at your door. " for n in range(20))
    first, second, *_ = chunks_of(article(Section(("How long does it take?",), (long,))))
    assert (first.questions, second.questions) == (("How long does it take?",), ())


def test_the_same_content_has_the_same_id_and_other_content_another() -> None:
    one, again = (chunks_of(article(Section((), ("Thirty days.",))))[0] for _ in range(2))
    other = chunks_of(article(Section((), ("Thirty days.",)), metadata={"lang": "en"}))[0]
    assert one == again
    assert one.id != other.id


def test_chunks_and_documents_survive_json() -> None:
    document = article(Section(("A",), ("b",)), questions=("c?",), url="https://shop.example/r", metadata={"k": "v"})
    assert Document.from_json(document.to_json()) == document
    chunk = chunks_of(document)[0]
    assert Chunk.from_json({**chunk.to_json(), "questions": list(chunk.questions)}) == chunk


def test_a_document_without_words_has_no_chunks() -> None:
    assert chunks_of(article(Section((), ("---", "  ")))) == ()


def test_plain_text_keeps_words_and_drops_marks() -> None:
    assert plain("## See **[our page](https://x.example 'T')** and `code`") == "See our page and code"
