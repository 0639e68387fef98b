"""Each reader on a small real file of its kind."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable

import docx
import pytest
from pypdf import PdfWriter
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

from bot.core.errors import InputError
from retrieval.corpus import Document
from retrieval.readers import MAX_TAGS, Source, read

HTML = """<html><head><title>Shipping | Kettle &amp; Co</title></head><body><nav><a href="/">Home</a></nav>
<article><h1>Shipping</h1><p>We ship within two working days to all countries of the European Union.</p>
<h2>Express</h2><p>Express delivery costs nine euros and arrives on the next working day.</p></article>
<footer>Imprint</footer></body></html>"""


def one(suffix: str, data: bytes, name: str = "help/returns-window") -> Document:
    (document,) = read(suffix, data, Source(name))
    return document


def pdf(*lines: str) -> bytes:
    """A real one-page PDF whose text layer holds these lines."""
    writer = PdfWriter()
    page = writer.add_blank_page(300, 300)
    font = {"/Type": "/Font", "/Subtype": "/Type1", "/BaseFont": "/Helvetica"}
    entry = DictionaryObject({NameObject(key): NameObject(value) for key, value in font.items()})
    fonts = DictionaryObject({NameObject("/F1"): writer._add_object(entry)})
    page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
    stream = DecodedStreamObject()
    stream.set_data(("BT /F1 12 Tf 20 250 Td 14 TL " + " ".join(f"({line}) Tj T*" for line in lines) + " ET").encode())
    page[NameObject("/Contents")] = writer._add_object(stream)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def word(fill: Callable[[docx.document.Document], object]) -> bytes:
    document = docx.Document()
    fill(document)
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def test_markdown_takes_title_url_and_metadata_from_its_front_matter() -> None:
    text = b"---\ntitle: Returns\nurl: https://shop.example/r\nlang: en\nvip: true\n---\n# Ignored\n\nThirty days.\n"
    document = one(".md", text)
    assert (document.id, document.title, document.url) == ("help/returns-window", "Returns", "https://shop.example/r")
    assert document.metadata == {"lang": "en", "vip": "true"}


def test_markdown_headings_make_sections_and_code_is_left_alone() -> None:
    document = one(
        ".md", b"# Returns\n\nIntro.\n\n## Sale\n\n- a\n- b\n\n```\n# no heading\n```\n\n### Online\n\nText.\n"
    )
    assert [section.headings for section in document.sections] == [(), ("Sale",), ("Sale", "Online")]
    assert document.sections[1].paragraphs == ("- a\n- b", "```\n# no heading\n```")
    assert document.title == "Returns"


def test_a_markdown_file_without_title_is_named_after_its_file() -> None:
    assert one(".md", b"Thirty days.").title == "Returns window"


def test_text_is_cut_at_empty_lines() -> None:
    assert one(".txt", b"One.\r\n\r\nTwo\r\nlines.").sections[0].paragraphs == ("One.", "Two\nlines.")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_unicode_encodings_are_read(encoding: str) -> None:
    assert "Größe" in one(".txt", "Größe: 水壶".encode(encoding)).sections[0].paragraphs[0]


def test_html_gives_the_article_without_menus() -> None:
    document = one(".html", HTML.encode())
    text = " ".join(paragraph for section in document.sections for paragraph in section.paragraphs)
    assert "nine euros" in text
    assert "Imprint" not in text
    assert ("Express",) in [section.headings for section in document.sections]


def test_pdf_text_is_read() -> None:
    document = one(".pdf", pdf("The warranty lasts for two full years after", "the purchase.", "Keep the receipt."))
    text = " ".join(document.sections[0].paragraphs)
    assert "two full years after the purchase." in text


def test_docx_headings_lists_and_tables_are_read_in_order() -> None:
    def fill(document: docx.document.Document) -> None:
        document.add_heading("Warranty", 0)
        document.add_paragraph("Two years.")
        document.add_heading("Kettles", 1)
        table = document.add_table(1, 2)
        table.rows[0].cells[0].text, table.rows[0].cells[1].text = "Steel", "5 years"

    document = one(".docx", word(fill))
    assert document.title == "Warranty"
    assert [section.headings for section in document.sections] == [(), ("Kettles",)]
    assert document.sections[1].paragraphs == ("Steel | 5 years",)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_rows_are_faq_documents(delimiter: str) -> None:
    lines = ("Question", "Answer", "id", "topic"), ("How long?", '"Two days\nor more."', "ship", "delivery")
    data = "\n".join(delimiter.join(line) for line in lines).encode()
    document = one(".csv", data, "faq")
    assert (document.id, document.questions, document.answer) == ("faq#ship", ("How long?",), "Two days\nor more.")
    assert document.metadata == {"topic": "delivery"}


def test_a_further_question_may_stand_in_a_column_of_its_own() -> None:
    assert one(".csv", b"question,questions,answer\nWhy?,How come?,So.\n", "faq").questions == ("Why?", "How come?")


def test_jsonl_rows_are_faq_entries_or_passages() -> None:
    rows = [{"question": "Why?", "questions": ["How come?"], "answer": "So."}, {"title": "T", "text": "Body."}]
    faq, passage = read(".jsonl", "\n".join(map(json.dumps, rows)).encode(), Source("kb"))
    assert (faq.id, faq.questions) == ("kb#1", ("Why?", "How come?"))
    assert (passage.id, passage.title, passage.sections[0].paragraphs) == ("kb#2", "T", ("Body.",))


def zipped(**entries: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return out.getvalue()


DOCTYPE = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><x>&b;</x>'

BAD: dict[str, tuple[str, bytes | Callable[[], bytes], str]] = {
    "latin-1": (".txt", b"Gr\xf6\xdfe", "UTF-8"),
    "binary": (".md", b"\x00\x01", "NUL"),
    "empty": (".md", b"", "found none"),
    "front matter": (".md", b"---\na: [\n---\nx", "YAML"),
    "front matter list": (".md", b"---\n- a\n---\nx", "field: value"),
    "nested metadata": (".md", b"---\na: {b: c}\n---\nx", "one value for 'a'"),
    "no columns": (".csv", b"frage,antwort\na,b\n", "line 2: expected 'question' and 'answer'"),
    "no answer": (".csv", b"question,answer\na,\n", "line 2"),
    "broken json": (".jsonl", b'{"question": "a", "answer": "b"}\n{"question"', "line 2: expected a JSON object"),
    "json list": (".jsonl", b"[1]", "one row on each line"),
    "deep json": (".jsonl", b"[" * 100_000, "line 1: expected a JSON object"),
    "not a pdf": (".pdf", b"hello", "whole PDF"),
    "scanned pdf": (".pdf", pdf, "OCR"),
    "not a zip": (".docx", b"PK hello", "zip archive"),
    "other zip": (".docx", lambda: zipped(a=b"b"), "Word document"),
    "tags": (".html", b"<p>" * (MAX_TAGS + 1), "tags"),
    "many entries": (".docx", lambda: zipped(**{f"f{n}": b"" for n in range(1001)}), "1000 entries"),
    "ratio": (".docx", lambda: zipped(bomb=b"0" * 10_000_000), "times its packed size"),
    "total": (".docx", lambda: zipped(**{f"f{n}": b"0" * 2_000_000 for n in range(60)}), "bytes unpacked"),
    "traversal": (".docx", lambda: zipped(**{"../../evil": b"x"}), "inside the archive"),
    "absolute": (".docx", lambda: zipped(**{"/etc/evil": b"x"}), "inside the archive"),
    "entities": (".docx", lambda: zipped(**{"word/document.xml": DOCTYPE}), "document type"),
    "entities in utf-16": (".docx", lambda: zipped(**{"a.xml": DOCTYPE.decode().encode("utf-16")}), "document type"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_refused_with_what_was_expected_and_found(case: str) -> None:
    suffix, data, told = BAD[case]
    with pytest.raises(InputError, match=r"expected .*found") as caught:
        read(suffix, data() if callable(data) else data, Source("x"))
    assert told in str(caught.value)


def test_an_encrypted_pdf_is_refused() -> None:
    writer = PdfWriter(io.BytesIO(pdf("secret")))
    writer.encrypt("password", algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    with pytest.raises(InputError, match="encrypted"):
        read(".pdf", out.getvalue(), Source("x"))
