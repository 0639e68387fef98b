"""A file that breaks a limit costs one error; the next file is read as if nothing had happened."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from pypdf import PdfWriter
from pypdf.generic import ArrayObject, DictionaryObject, NameObject, NumberObject

from bot.core.errors import InputError
from retrieval.sandbox import Limits, Reader

GOOD = b"# Returns\n\nThirty days.\n"


@pytest.fixture
def reader() -> Iterator[Reader]:
    with Reader(Limits(cpu=1, wall=20.0, text=2_000_000)) as reader:
        yield reader


def reads_on(reader: Reader) -> bool:
    return reader.read(GOOD, ".md", "returns")[0].title == "Returns"


def looping_pdf() -> bytes:
    """A PDF whose page tree contains itself."""
    writer = PdfWriter()
    writer.add_blank_page(100, 100)
    tree = cast(DictionaryObject, writer.root_object["/Pages"].get_object())
    tree[NameObject("/Kids")] = ArrayObject([tree.indirect_reference])
    tree[NameObject("/Count")] = NumberObject(1)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def test_documents_come_back_from_the_child(reader: Reader) -> None:
    (document,) = reader.read(GOOD, ".md", "help/returns")
    assert (document.id, document.sections[0].paragraphs) == ("help/returns", ("Thirty days.",))


def test_an_error_of_a_reader_comes_back_and_the_child_stays(reader: Reader) -> None:
    with pytest.raises(InputError, match="expected UTF-8"):
        reader.read(b"\xff\xfa", ".txt", "x")
    assert reads_on(reader)


def test_a_page_tree_that_contains_itself_is_one_error(reader: Reader) -> None:
    with pytest.raises(InputError, match=r"expected .*found"):
        reader.read(looping_pdf(), ".pdf", "x")
    assert reads_on(reader)


@pytest.mark.slow
def test_a_file_that_takes_too_much_time_is_stopped(reader: Reader) -> None:
    slow = b"- a *b* [c](d)\n" * 300_000
    with pytest.raises(InputError, match="takes longer"):
        reader.read(slow, ".md", "x")
    assert reads_on(reader)


@pytest.mark.slow
def test_a_file_that_needs_too_much_memory_is_stopped() -> None:
    with Reader(Limits(memory=150 * 2**20)) as reader:
        assert reads_on(reader)
        with pytest.raises(InputError, match="150 MiB"):
            reader.read(b"a b\n\n" * 8_000_000, ".txt", "x")
        assert reads_on(reader)


def test_time_limits_count_for_each_file_alone(reader: Reader) -> None:
    for _ in range(3):
        assert reader.read(b"word. " * 150_000, ".txt", "x")


def test_an_answer_that_is_too_long_is_not_taken(reader: Reader) -> None:
    with pytest.raises(InputError, match="at most 2000000 bytes of text"):
        reader.read(b"word " * 600_000, ".txt", "x")
    assert reads_on(reader)


def test_a_file_over_the_size_limit_is_not_sent() -> None:
    with Reader(Limits(file=10)) as reader, pytest.raises(InputError, match="at most 10 bytes, found 24"):
        reader.read(GOOD, ".md", "x")


def test_the_child_cannot_write_files_and_sees_no_secrets(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "s3cret")
    assert reads_on(reader)
    assert reader._child is not None
    environment = Path(f"/proc/{reader._child.pid}/environ")
    limits = Path(f"/proc/{reader._child.pid}/limits")
    if not environment.exists():
        pytest.skip("needs /proc (Linux)")
    assert b"s3cret" not in environment.read_bytes()
    sizes = next(line for line in limits.read_text().splitlines() if line.startswith("Max file size"))
    assert sizes.split()[3] == "0"


def test_a_child_that_was_killed_is_replaced(reader: Reader) -> None:
    assert reads_on(reader)
    assert reader._child is not None
    os.kill(reader._child.pid, 9)
    reader._child.wait()
    assert reads_on(reader)


def test_closing_ends_the_child() -> None:
    with Reader() as reader:
        reads_on(reader)
        child = reader._child
    assert child is not None
    assert child.poll() is not None
