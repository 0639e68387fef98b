"""One file in, documents out: Markdown, text, HTML, PDF, DOCX, and FAQ rows as CSV or JSON Lines.

Rules of this file:

* It is imported by the child process of `retrieval.sandbox`, which limits memory, time and output; limits that can be
  stated in advance (archive sizes, pages, tags) are checked here before anything is unpacked or parsed.
* Each reader takes the bytes of one file and its `Source`, and returns documents or raises `InputError` saying what
  was expected, what was found and what to do. Names of files are added by the caller.
* Third-party parsers are imported when the first file of their kind comes.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from bot.core.errors import InputError
from retrieval.corpus import Document, Section

MAX_TAGS = 200_000
MAX_PAGES = 2_000
MAX_FRONT_MATTER = 65_536
VERSION = 1
"""Raise it when a reader gives other documents than before: it makes `ingest` read unchanged files again."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a file stands in the knowledge folder: `id` is its path there without suffix, with forward slashes."""

    id: str

    @property
    def name(self) -> str:
        """A title made from the file's name, for files that have none."""
        return re.sub(r"[-_\s]+", " ", self.id.rsplit("/", 1)[-1]).strip().capitalize()


def read(suffix: str, data: bytes, source: Source) -> list[Document]:
    """The documents of a file.

    Raises:
        InputError: the file cannot be read; the message tells why and what to do.
    """
    documents = READERS[suffix.lower()](data, source)
    if not any(document.answer or document.sections for document in documents):
        raise InputError("expected text, found none; remove the file or give it some text")
    return documents


def decode(data: bytes) -> str:
    """UTF-8 (with or without byte order mark) or UTF-16 with one."""
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        found = data[error.start : error.start + 1].hex()
        raise InputError(f"expected UTF-8 text, found byte 0x{found} at {error.start}; save it as UTF-8") from None
    if "\x00" in text:
        raise InputError("expected text, found NUL bytes; is it another kind of file with this suffix?")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_markdown(data: bytes, source: Source) -> list[Document]:
    """Markdown, with optional YAML front matter: `title`, `url`, `questions`; other fields become metadata."""
    front, text = _front_matter(decode(data))
    title, sections = _markdown_sections(text)
    questions = front.pop("questions", [])
    if not isinstance(questions, list):
        raise InputError(f"expected a list under 'questions' of the front matter, found {questions!r}; write - lines")
    metadata = {str(key): _scalar(key, value) for key, value in front.items() if key not in ("title", "url")}
    title = str(front.get("title") or title or source.name)
    url = str(front["url"]) if front.get("url") else None
    return [Document(source.id, title, sections, tuple(map(str, questions)), None, url, metadata)]


def read_text(data: bytes, source: Source) -> list[Document]:
    """Paragraphs divided by empty lines."""
    return [Document(source.id, source.name, _one_section(re.split(r"\n\s*\n", decode(data))))]


def read_html(data: bytes, source: Source) -> list[Document]:
    """The main text of a page; menus and footers are left out (trafilatura)."""
    if (tags := data.count(b"<")) > MAX_TAGS:
        raise InputError(f"expected at most {MAX_TAGS} tags, found {tags}; split the page")
    import trafilatura

    text = trafilatura.extract(data, output_format="markdown", include_tables=True, favor_recall=True)
    page = trafilatura.extract_metadata(data)
    heading, sections = _markdown_sections(text or "")
    title = (page.title if page else None) or heading or source.name
    return [Document(source.id, str(title), sections, url=page.url if page else None)]


def read_pdf(data: bytes, source: Source) -> list[Document]:
    """The text layer of a PDF (pypdf). Lines become paragraphs at empty lines and short last lines."""
    import pypdf
    from pypdf.errors import PyPdfError

    try:
        pdf = pypdf.PdfReader(io.BytesIO(data))
        if pdf.is_encrypted and not pdf.decrypt(""):
            raise InputError("expected a PDF that opens without password, found an encrypted one; save it without")
        if (pages := len(pdf.pages)) > MAX_PAGES:
            raise InputError(f"expected at most {MAX_PAGES} pages, found {pages}; split the file")
        text = "\n".join(page.extract_text() for page in pdf.pages)
        title = str((pdf.metadata and pdf.metadata.title) or "").strip()
    except (PyPdfError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise InputError(f"expected a whole PDF, found a damaged one ({error}); print it to PDF again") from error
    if not text.strip():
        raise InputError("expected a PDF with text, found only images; run text recognition (OCR) on it first")
    return [Document(source.id, title or source.name, _one_section(_paragraphs(text.splitlines())))]


def read_docx(data: bytes, source: Source) -> list[Document]:
    """A Word document (python-docx): headings, paragraphs, lists and tables in their order."""
    from retrieval.archives import check_archive

    check_archive(data)
    import docx
    from docx.table import Table

    try:
        word = docx.Document(io.BytesIO(data))
        blocks = [
            (0, _table(block)) if isinstance(block, Table) else (_level(block), block.text)
            for block in word.iter_inner_content()
        ]
    except (KeyError, ValueError, AttributeError) as error:
        raise InputError(f"expected a Word document, found something else ({error}); save it as .docx again") from error
    title, sections = _outline(blocks)
    return [Document(source.id, word.core_properties.title or title or source.name, sections)]


def read_csv(data: bytes, source: Source) -> list[Document]:
    """An FAQ: columns `question` and `answer`; `id`, `title` and `url` if wanted; others become metadata."""
    text = decode(data)
    head = text.split("\n", 1)[0]
    try:
        rows = list(csv.DictReader(io.StringIO(text), delimiter=max(",;\t", key=head.count), strict=True))
    except csv.Error as error:
        raise InputError(f"expected CSV with quoted commas, found {error}; export the file again") from error
    return [_row({str(k).strip().lower(): v for k, v in row.items()}, n, source) for n, row in enumerate(rows, 2)]


def read_jsonl(data: bytes, source: Source) -> list[Document]:
    """An FAQ or passages: a JSON object a line with `question` (or `questions`) and `answer`, or `title` and `text`."""
    documents = []
    for number, line in enumerate(decode(data).split("\n"), 1):
        if line.strip():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise InputError(f"line {number}: expected a JSON object, found {line[:60]!r} ({error})") from None
            if not isinstance(row, dict):
                raise InputError(
                    f"line {number}: expected a JSON object, found {line[:60]!r}; put one row on each line"
                )
            documents.append(_row(row, number, source))
    return documents


READERS: dict[str, Callable[[bytes, Source], list[Document]]] = {
    ".md": read_markdown,
    ".markdown": read_markdown,
    ".txt": read_text,
    ".html": read_html,
    ".htm": read_html,
    ".pdf": read_pdf,
    ".docx": read_docx,
    ".csv": read_csv,
    ".jsonl": read_jsonl,
}


def _front_matter(text: str) -> tuple[dict[Any, Any], str]:
    found = re.match(r"---[ \t]*\n(.*?)^---[ \t]*$\n?", text, re.S | re.M)
    if not found:
        return {}, text
    if len(found.group(1)) > MAX_FRONT_MATTER:
        raise InputError(f"expected front matter of at most {MAX_FRONT_MATTER} characters, found {len(found.group(1))}")
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        front = YAML(typ="safe", pure=True).load(found.group(1)) or {}
    except YAMLError as error:
        raise InputError(
            f"expected YAML between the --- lines, found {error}; quote values that hold a colon"
        ) from error
    if not isinstance(front, dict):
        raise InputError(f"expected 'field: value' lines between the --- lines, found {front!r}")
    return front, text[found.end() :]


def _scalar(key: object, value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (dict, list)):
        raise InputError(f"expected one value for {key!r} of the metadata, found {type(value).__name__}; write one")
    return "" if value is None else str(value)


def _markdown_sections(text: str) -> tuple[str, tuple[Section, ...]]:
    """Blocks of Markdown keep their source; only headings are taken apart (CommonMark by markdown-it-py)."""
    from markdown_it import MarkdownIt

    lines = text.split("\n")
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    blocks: list[tuple[int, str]] = []
    for place, token in enumerate(tokens):
        if token.type == "heading_open" and token.level == 0:
            blocks.append((int(token.tag[1]), tokens[place + 1].content))
        elif token.level == 0 and token.map and token.nesting >= 0 and token.type != "html_block":
            blocks.append((0, "\n".join(lines[slice(*token.map)])))
    return _outline(blocks)


def _outline(blocks: Iterable[tuple[int, str]]) -> tuple[str, tuple[Section, ...]]:
    """The title (a first heading of level 1) and the sections of blocks (heading level or 0, text)."""
    title, path, sections, held = "", dict[int, str](), list[Section](), list[str]()

    def close() -> None:
        if held:
            sections.append(Section(tuple(path[level] for level in sorted(path)), tuple(held)))
            held.clear()

    for level, text in blocks:
        text = text.strip()
        if not level:
            held.extend([text] if text else [])
        elif level == 1 and not title and not sections and not held:
            title = text
        else:
            close()
            path = {above: name for above, name in path.items() if above < level} | {level: text}
    close()
    return title, tuple(sections)


def _one_section(paragraphs: Iterable[str]) -> tuple[Section, ...]:
    kept = tuple(paragraph.strip() for paragraph in paragraphs if paragraph.strip())
    return (Section((), kept),) if kept else ()


def _paragraphs(lines: list[str]) -> Iterator[str]:
    """Printed lines joined to paragraphs: one ends at an empty line, or at a sentence's end well before the margin."""
    margin = max(map(len, lines), default=0)
    held = ""
    for line in (*map(str.strip, lines), ""):
        held = held[:-1] + line if held.endswith("-") and line[:1].islower() else f"{held} {line}".strip()
        if held and (not line or (len(line) < 0.7 * margin and line.endswith((".", "!", "?", "。", "！", "？", ":")))):
            yield held
            held = ""


def _level(paragraph: Any) -> int:
    """1 for a title, 1-9 for a heading, 0 for text. Word keeps these style names in every language."""
    name = str(paragraph.style.name) if paragraph.style is not None else ""
    heading = re.fullmatch(r"Heading (\d)", name)
    return 1 if name == "Title" else int(heading.group(1)) if heading else 0


def _table(table: Any) -> str:
    return "\n".join(" | ".join(cell.text.strip() for cell in row.cells) for row in table.rows)


def _row(row: dict[str, Any], number: int, source: Source) -> Document:
    """One row as a document named `file#id`, or `file#line` if the row has no id."""
    others = row.pop("questions", None) or []
    questions = [row.pop("question", None), *(others if isinstance(others, list) else [others])]
    asked = tuple(str(question).strip() for question in questions if question and str(question).strip())
    answer, text, title, url = (str(row.pop(key, None) or "").strip() for key in ("answer", "text", "title", "url"))
    if not (asked and answer) and not text:
        found = ", ".join(key for key, value in row.items() if value) or "nothing else"
        raise InputError(f"line {number}: expected 'question' and 'answer', or 'text', found {found}; fill them in")
    name = f"{source.id}#{row.pop('id', None) or number}"
    metadata = {
        str(key): str(value) for key, value in row.items() if isinstance(value, (str, int, float)) and value != ""
    }
    if answer:
        return Document(name, title or asked[0], (), asked, answer, url or None, metadata)
    return Document(name, title, _one_section(re.split(r"\n\s*\n", text)), asked, None, url or None, metadata)
