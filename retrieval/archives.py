"""Limits of an archive (a DOCX file is one), checked from its directory before anything is unpacked.

The sizes that a zip directory declares can be trusted as upper bounds, because `zipfile` reads no more of an entry than
was declared. XML with a document type is refused: entities defined there can grow without limit or fetch files.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from typing import NoReturn
from xml.parsers import expat

from bot.core.errors import InputError

MAX_ENTRIES = 1_000
MAX_TOTAL = 100 * 2**20
MAX_RATIO = 100


def check_archive(data: bytes) -> None:
    """Accept a zip archive within the limits, whose XML has no document types.

    Raises:
        InputError: the archive is damaged, too large, encrypted, or names a path outside itself.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check_directory(archive.infolist())
            for entry in archive.infolist():
                if entry.filename.lower().endswith((".xml", ".rels")):
                    _check_xml(archive.read(entry), entry.filename)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError) as error:
        raise InputError(f"expected a zip archive, found a damaged one ({error}); save the file again") from error


def _check_directory(entries: list[zipfile.ZipInfo]) -> None:
    total = sum(entry.file_size for entry in entries)
    packed = sum(entry.compress_size for entry in entries)
    _limit("entries", len(entries), MAX_ENTRIES)
    _limit("bytes unpacked", total, MAX_TOTAL)
    _limit("times its packed size", total // max(packed, 1), MAX_RATIO)
    for entry in entries:
        parts = entry.filename.replace("\\", "/").split("/")
        if parts[0] in ("",) or ":" in parts[0] or ".." in parts:
            raise InputError(f"expected names inside the archive, found {entry.filename!r}; do not trust this file")
        if entry.flag_bits & 1:
            raise InputError(f"expected an open archive, found {entry.filename!r} encrypted; save it without password")


def _limit(what: str, found: int, limit: int) -> None:
    if found > limit:
        raise InputError(f"expected an archive of at most {limit} {what}, found {found}; split the file")


def _check_xml(data: bytes, name: str) -> None:
    def refuse(*_: object) -> NoReturn:
        raise InputError(f"expected plain XML in {name!r}, found a document type; do not trust this file")

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise InputError(f"expected XML in {name!r}, found {error}; save the file again") from error
