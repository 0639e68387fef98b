"""Keys of programs that use the bot as a model: `bot keys add`, `list`, `revoke`.

A key is 256 random bits, shown once; the file `keys.json` in the state folder holds its digest and never the key. A
plain sha256 is enough: nobody can try out 2^256 keys, so there is nothing that a slow digest would protect. A server
sees a new or a revoked key with the next request.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from bot.core.errors import InputError, IntegrityError, NotFound
from connectors.openai_api_quota import Client
from connectors.texts import PRINTABLE

FILE = "keys.json"
PREFIX = "us-"
"""Keys begin so, for those who search for leaked ones."""
Name = Annotated[str, StringConstraints(min_length=1, max_length=80, pattern=PRINTABLE)]
PerMinute = Annotated[int, Field(ge=1, le=1_000_000_000)]


class Key(BaseModel):
    """What is kept of a key. Times are ISO 8601 UTC; `revoked` is "" while it works."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    name: Name
    sha256: str
    created: str
    revoked: str = ""
    requests_per_minute: PerMinute | None = None
    tokens_per_minute: PerMinute | None = None


_KEYS: TypeAdapter[tuple[Key, ...]] = TypeAdapter(tuple[Key, ...])
_Stamp = tuple[int, int, int]


class Keys:
    """The keys of a project, as a `KeyRing`."""

    def __init__(self, state: Path) -> None:
        self._path = state / FILE
        self._stamp: _Stamp | None = None
        self._clients: dict[str, Client] = {}

    def list(self) -> Sequence[Key]:
        """All keys, revoked ones too, oldest first.

        Raises:
            IntegrityError: the file is not what we wrote.
        """
        try:
            return _KEYS.validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return ()
        except ValidationError:
            raise IntegrityError(str(self._path), "this is no list of keys; delete it and add the keys again") from None

    def add(self, name: str, requests: int | None = None, tokens: int | None = None) -> tuple[Key, str]:
        """A new key, and the secret that only its holder will know.

        Raises:
            InputError: the name cannot be used, or is in use.
        """
        known = self.list()
        if any(key.name == name and not key.revoked for key in known):
            raise InputError(f"there is a key named {name!r}; revoke it first, or choose another name")
        secret = PREFIX + secrets.token_urlsafe(32)
        try:
            key = Key(
                id=secrets.token_hex(4),
                name=name,
                sha256=_digest(secret),
                created=_now(),
                requests_per_minute=requests,
                tokens_per_minute=tokens,
            )
        except ValidationError:
            raise InputError("a name has 1 to 80 printable characters; quotas are whole numbers from 1 on") from None
        self._write((*known, key))
        return key, secret

    def revoke(self, which: str) -> Key:
        """Let a key, by its id or name, work no more.

        Raises:
            NotFound: there is no such key that works.
        """
        known = self.list()
        found = next((key for key in known if which in (key.id, key.name) and not key.revoked), None)
        if found is None:
            raise NotFound(f"there is no working key {which!r}; bot keys list shows them")
        ended = found.model_copy(update={"revoked": _now()})
        self._write([ended if key is found else key for key in known])
        return ended

    def known(self) -> bool:
        """See `KeyRing.known`."""
        return bool(self._working())

    def find(self, secret: str) -> Client | None:
        """See `KeyRing.find`. Comparing digests tells nothing of a key by the time it takes."""
        return self._working().get(_digest(secret))

    def _working(self) -> dict[str, Client]:
        """The keys that work, by digest; read again when the file has changed."""
        try:
            state = self._path.stat()
        except FileNotFoundError:
            return {}
        stamp = (state.st_mtime_ns, state.st_size, state.st_ino)
        if stamp != self._stamp:
            self._clients = {
                key.sha256: Client(key.id, key.name, key.requests_per_minute, key.tokens_per_minute)
                for key in self.list()
                if not key.revoked
            }
            self._stamp = stamp
        return self._clients

    def _write(self, keys: Sequence[Key]) -> None:
        """Replace the file at once; only its owner may read it."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        beside = self._path.with_name(f".{FILE}.{secrets.token_hex(4)}")
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(_KEYS.dump_json(tuple(keys), indent=1) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)


def _digest(secret: str) -> str:
    return sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
