"""What a bundle states about itself, and the check that it is true.

`manifest.json` lists every file with size and sha256. Its `content` digest covers everything but the time of making,
and is part of the id; the file must be, byte for byte, what `encode` writes. So no byte of a bundle changes unseen.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from pydantic import Field, JsonValue, ValidationError

from bot.core.errors import IntegrityError
from bot.core.messages import Value

FORMAT = 1
"""Version of the manifest's form."""

MANIFEST = "manifest.json"
ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{12}")
_CHUNK = 1 << 20


class Metric(Value):
    """A measured figure with its 95 % interval; `n` is the number of rows behind it."""

    value: float = Field(allow_inf_nan=False)
    low: float = Field(allow_inf_nan=False)
    high: float = Field(allow_inf_nan=False)
    n: int


class DataSet(Value):
    """What a skill was trained or measured on. `sha256` is of the rows in canonical form, `rows` their number."""

    name: str
    sha256: str
    rows: int


class SkillCard(Value):
    """How a skill in the bundle came about. `labels_sha` is the sha256 of its sorted labels, joined by line feeds."""

    base: str
    method: str
    labels: tuple[str, ...] = ()
    labels_sha: str = ""
    data: tuple[DataSet, ...] = ()
    held_out: DataSet | None = None
    hyper_parameters: dict[str, JsonValue] = {}
    metrics: dict[str, Metric] = {}
    note: str = ""


class Draft(Value):
    """What the maker of a bundle states about it; the store adds the rest.

    `code` is our version, `lock` the sha256 of the constraints file, `program` the id of the Program, `encoder` the
    fingerprint that vectors depend on, `details` what only this kind of artefact has.
    """

    kind: str
    parent: str | None = None
    code: str = ""
    lock: str = ""
    seeds: dict[str, int] = {}
    skills: dict[str, SkillCard] = {}
    thresholds: dict[str, float] = {}
    licence: str = "Apache-2.0"
    program: str = ""
    encoder: str = ""
    details: dict[str, JsonValue] = {}


class StoredFile(Value):
    """A file of a bundle: path below the bundle with forward slashes, sha256 in hex, size in bytes."""

    path: str
    sha256: str
    bytes: int


class Manifest(Draft):
    """A draft with what makes it checkable. `content` is the same whenever and wherever the same bundle is made."""

    format: int = FORMAT
    id: str
    created: str
    content: str
    files: tuple[StoredFile, ...]


def made(draft: Draft, files: Sequence[StoredFile], at: float) -> Manifest:
    """The manifest of a bundle made at `at`, seconds since 1970."""
    created, content = datetime.fromtimestamp(int(at), UTC), _content(draft, files)
    return Manifest(
        **draft.model_dump(),
        id=_name(created, content),
        created=created.isoformat(),
        content=content,
        files=tuple(files),
    )


def encode(manifest: Manifest) -> bytes:
    """The only bytes that a manifest may be stored as."""
    text = json.dumps(manifest.model_dump(mode="json"), ensure_ascii=False, allow_nan=False, indent=1, sort_keys=True)
    return f"{text}\n".encode()


def read_manifest(bundle: Path) -> Manifest:
    """The manifest in a bundle's directory, checked against itself and the directory's name.

    Raises:
        IntegrityError: it is missing, of another form, or not what was written.
    """
    path = bundle / MANIFEST
    try:
        raw = path.read_bytes()
        manifest = Manifest.model_validate_json(raw)
    except FileNotFoundError:
        raise IntegrityError(str(path), "is missing; the bundle is not complete") from None
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise IntegrityError(str(path), f"is not a manifest of format {FORMAT} ({field}: {first['msg']})") from error
    if manifest.format != FORMAT:
        raise IntegrityError(
            str(path), f"has format {manifest.format}, expected {FORMAT}; use the version that made it"
        )
    if encode(manifest) != raw or manifest.id != bundle.name or not _consistent(manifest):
        raise IntegrityError(str(path), "is not what was written; use another bundle, or train again")
    return manifest


def verify(bundle: Path, manifest: Manifest) -> None:
    """Compare every file with the manifest.

    Raises:
        IntegrityError: the first file that differs, is missing or is unknown.
    """
    known = {file.path: file for file in manifest.files}
    for path in plain_files(bundle):
        name = path.relative_to(bundle).as_posix()
        if name not in known and name != MANIFEST:
            raise IntegrityError(str(path), "is not in the manifest; remove it")
    for name, expected in known.items():
        path = bundle / name
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise IntegrityError(str(bundle / MANIFEST), f"names a file outside the bundle: {name!r}")
        if not path.is_file():
            raise IntegrityError(str(path), "is missing; use another bundle, or train again")
        if stored(bundle, path) != expected:
            raise IntegrityError(
                str(path), "differs from its sha256 in the manifest; use another bundle, or train again"
            )


def plain_files(directory: Path) -> tuple[Path, ...]:
    """All files below a directory, sorted by path.

    Raises:
        IntegrityError: something is neither a file nor a directory.
    """
    found = sorted(path for path in directory.rglob("*") if path.is_symlink() or not path.is_dir())
    for path in found:
        if path.is_symlink() or not path.is_file():
            raise IntegrityError(str(path), "is not a plain file; a bundle holds nothing else")
    return tuple(found)


def stored(bundle: Path, path: Path) -> StoredFile:
    """The manifest's line for a file."""
    return StoredFile(path=path.relative_to(bundle).as_posix(), sha256=sha256(path), bytes=path.stat().st_size)


def _content(draft: Draft, files: Sequence[StoredFile]) -> str:
    fields = {name: getattr(draft, name) for name in Draft.model_fields}
    plain = Draft(**fields).model_dump(mode="json")
    plain["files"] = [file.model_dump() for file in files]
    return hashlib.sha256(json.dumps(plain, sort_keys=True, allow_nan=False).encode()).hexdigest()


def _name(created: datetime, content: str) -> str:
    return f"{created:%Y%m%d-%H%M%S}-{content[:12]}"


def _consistent(manifest: Manifest) -> bool:
    try:
        created = datetime.strptime(manifest.id[:15], "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return False
    content = _content(manifest, manifest.files)
    return (content, created.isoformat(), _name(created, content)) == (manifest.content, manifest.created, manifest.id)


def sha256(path: Path) -> str:
    """The sha256 of a file, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
