"""Looks for a person's words in the files of a project, and takes out what can be taken out.

The log, snapshots and pages are erased by those that keep them; this is for everything else that may have been derived,
copied or imported from there, and the proof afterwards. What is searched for:

1. the person's conversations and user ids, where a row says that it belongs to one;
2. what they said and nobody else did, in every form that we write (plain, masked, escaped for JSON and HTML).

Lines of .jsonl and rows of .csv files are taken out and the rest is kept as it was. Other files are removed where they
are derived (`DERIVED`). A file of the author, a model or an index is never changed: it is named.
"""

from __future__ import annotations

import csv
import gzip
import html
import io
import json
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from training.pii import find
from training.privacy import PLACEHOLDER, Masker, Memory, natural

_FEWEST, _FEWEST_OF_VALUE, _FEWEST_WORDS = 12, 5, 5
"""What can be recognised: bytes of a text, characters of a number or an address, words of a text without them."""
_SKIPPED = frozenset((".git", ".hg", ".svn", ".venv", "venv", "node_modules", "__pycache__"))
_OWNERS = ("id", "conversation", "conversation_id", "sender", "sender_id", "user", "user_id", "group")
DERIVED = ("learn", "reports", "runs", "rejects", "review", "results")
"""Folders of the state folder whose files can be made again; `results` is also what `bot test` writes beside it."""
_MOST = 512 << 20
"""Larger files are not read; they are named."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is searched for: ids that rows name, and a pattern over bytes (None: nothing that could be told apart)."""

    ids: frozenset[str]
    pattern: re.Pattern[bytes] | None

    @classmethod
    def of(cls, ids: Collection[str], said: Iterable[str], others: Iterable[str], masker: Masker) -> Wanted:
        """`said` are the person's texts, `others` what other people and the author say: that tells nobody apart."""
        memory, forms, common = Memory(), set[str](), "\n".join(others)
        for text in said:
            plain = text.strip()
            masked = masker.mask(plain, memory).text
            values = {plain[item.start : item.end] for item in find(plain, masker.regions)}
            forms |= {value for value in values if len(value) >= _FEWEST_OF_VALUE}
            if len(plain.encode()) >= _FEWEST:
                forms.add(plain)
            if masked != plain and len(PLACEHOLDER.sub("", masked).split()) >= _FEWEST_WORDS:
                forms |= {masked, natural(masked).text}
        ways = {way for form in forms if form not in common for way in _written(form)}
        pattern = b"|".join(re.escape(way) for way in sorted(ways, key=len, reverse=True))
        bounded = rb"(?<![A-Za-z0-9])(?:" + pattern + rb")(?![A-Za-z0-9])"
        return cls(frozenset(ids), re.compile(bounded) if ways else None)

    def within(self, content: bytes) -> bool:
        """Whether any of the texts is in there."""
        return self.pattern is not None and self.pattern.search(content) is not None

    def owns(self, row: object) -> bool:
        """Whether a row says that it belongs to the person."""
        return isinstance(row, dict) and any(str(row.get(name)) in self.ids for name in _OWNERS if name in row)


def _written(form: str) -> Iterator[bytes]:
    """The bytes that a text may stand as in a file."""
    for text in (form, html.escape(form), html.escape(form, quote=False), form.replace("\n", "\\n")):
        yield text.encode("utf-8", "replace")
    yield html.escape(form).replace("&#x27;", "&#39;").replace("&quot;", "&#34;").encode("utf-8", "replace")
    for ascii_only in (True, False):
        yield json.dumps(form, ensure_ascii=ascii_only)[1:-1].encode("utf-8", "replace")


@dataclass(slots=True)
class Swept:
    """Files that were changed or removed, and files that still hold something and were left alone."""

    changed: list[Path]
    removed: list[Path]
    remaining: list[Path]


def sweep(root: Path, state: Path, kept: Collection[Path], sealed: Collection[Path], wanted: Wanted) -> Swept:
    """Search all files below `root` and `state`.

    `kept` are files that look after themselves (the log); `sealed` are folders in which nothing may change.
    """
    swept = Swept([], [], [])
    for path in _files(root, state):
        if path in kept:
            continue
        if path.stat().st_size > _MOST:
            swept.remaining.append(path)
            continue
        fixed = any(path.is_relative_to(folder) for folder in sealed)
        _look(path, wanted, fixed, _is_derived(path, root, state), swept)
    return swept


def _files(root: Path, state: Path) -> Iterator[Path]:
    for folder in dict.fromkeys((root, state)):
        for path in sorted(folder.rglob("*")):
            inside = path.relative_to(folder).parts
            if path.is_file() and not path.is_symlink() and not _SKIPPED.intersection(inside):
                if folder == root and path.is_relative_to(state):
                    continue
                yield path


def _is_derived(path: Path, root: Path, state: Path) -> bool:
    if path.is_relative_to(state):
        return path.relative_to(state).parts[0] in DERIVED
    return path.relative_to(root).parts[0] == "results"


def _look(path: Path, wanted: Wanted, fixed: bool, derived: bool, swept: Swept) -> None:
    content = path.read_bytes()
    by_rows = path.suffix in (".jsonl", ".csv") and not fixed
    if by_rows:
        left = _without_lines(content, wanted) if path.suffix == ".jsonl" else _without_rows(content, wanted)
        if left != content:
            _replace(path, left)
            swept.changed.append(path)
        if wanted.within(left):
            swept.remaining.append(path)
    elif wanted.within(_unpacked(path, content)):
        if derived and not fixed:
            path.unlink()
            swept.removed.append(path)
        else:
            swept.remaining.append(path)


def _unpacked(path: Path, content: bytes) -> bytes:
    if path.suffix != ".gz":
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError):
        return content


def _without_lines(content: bytes, wanted: Wanted) -> bytes:
    return b"".join(line for line in content.splitlines(keepends=True) if not _is_theirs(line, wanted))


def _is_theirs(line: bytes, wanted: Wanted) -> bool:
    if wanted.within(line):
        return True
    try:
        return wanted.owns(json.loads(line))
    except ValueError:
        return False


def _without_rows(content: bytes, wanted: Wanted) -> bytes:
    """The CSV file without rows of the person; as it was, if none is."""
    try:
        text = content.decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        rows = list(reader)
    except (UnicodeDecodeError, csv.Error):
        return content
    left = [row for row in rows if not wanted.owns(row) and not wanted.within("\n".join(_cells(row)).encode())]
    if len(left) == len(rows):
        return content
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, reader.fieldnames or [], extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(left)
    return out.getvalue().encode()


def _cells(row: dict[str, str]) -> list[str]:
    return [cell for cell in row.values() if isinstance(cell, str)]


def _replace(path: Path, content: bytes) -> None:
    """Write aside and move, so that a file is never half there."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_bytes(content)
    fresh.chmod(path.stat().st_mode & 0o777)
    fresh.replace(path)
