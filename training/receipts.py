"""Receipts of erasures: what was done, without saying to whom, signed.

    STATE/keys/receipts.key     32 random bytes, readable by the owner only
    STATE/receipts/<id>.json    a receipt

People and conversations stand there as HMAC-SHA256 of their ids under the key, so a receipt says nothing to who finds
it, while the operator can show that this person's erasure is the one it speaks of. The signature is an HMAC-SHA256 of
the receipt's canonical JSON under the same key: it shows the operator that nobody changed it (decision 0119).
"""

from __future__ import annotations

import contextlib
import hmac
import json
import os
import secrets
from pathlib import Path

from pydantic import ValidationError

from bot.core.errors import IntegrityError, NotFound
from bot.core.messages import Value

KEY, FOLDER = Path("keys") / "receipts.key", "receipts"


class Receipt(Value):
    """What an erasure did.

    `person` and `conversations` are pseudonyms; `events` counts deleted facts, `rows` those to learn from. `snapshots`
    are (old id, id of what took its place). `bundles` had learned from the person or were measured on them; their
    files hold no text. `remaining` are files that still hold the person's words, for somebody to look at.
    """

    version: int = 1
    id: str
    at: str
    person: str
    conversations: tuple[str, ...]
    events: int = 0
    rows: int = 0
    reminders: int = 0
    snapshots: tuple[tuple[str, str], ...] = ()
    bundles: tuple[str, ...] = ()
    bundle_in_use: str = ""
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    remaining: tuple[str, ...] = ()
    signature: str = ""

    @property
    def retrain(self) -> bool:
        """Whether the bundle in use has seen the person."""
        return self.bundle_in_use in self.bundles


class Receipts:
    """The receipts and the key below a state folder."""

    def __init__(self, state: Path) -> None:
        self.folder, self._key_file = state / FOLDER, state / KEY

    def pseudonym(self, name: str) -> str:
        """What stands for a person or a conversation in receipts: 32 hex digits."""
        return hmac.digest(self._key(), f"name\n{name}".encode(), "sha256").hex()[:32]

    def issue(self, receipt: Receipt) -> tuple[Receipt, Path]:
        """Sign a receipt and keep it; the signed one and its file."""
        signed = receipt.model_copy(update={"signature": self._signature(receipt)})
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{signed.id}.json"
        with path.open("x", encoding="utf-8") as file:
            file.write(signed.model_dump_json(indent=1) + "\n")
            file.flush()
            os.fsync(file.fileno())
        return signed, path

    def check(self, path: Path) -> Receipt:
        """The receipt in a file.

        Raises:
            NotFound: there is no such file.
            IntegrityError: it is no receipt, or was changed, or was signed with another key.
        """
        try:
            receipt = Receipt.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            raise NotFound(f"there is no receipt {path}") from None
        except ValidationError as error:
            raise IntegrityError(str(path), f"is not a receipt ({error.errors()[0]['msg']})") from error
        if not hmac.compare_digest(receipt.signature, self._signature(receipt)):
            raise IntegrityError(str(path), "the signature is not ours: it was changed, or signed with another key")
        return receipt

    def _signature(self, receipt: Receipt) -> str:
        plain = receipt.model_dump(mode="json", exclude={"signature"})
        content = json.dumps(plain, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hmac.digest(self._key(), f"receipt\n{content}".encode(), "sha256").hex()

    def _key(self) -> bytes:
        try:
            return self._key_file.read_bytes()
        except FileNotFoundError:
            self._key_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._make_key()
            return self._key_file.read_bytes()

    def _make_key(self) -> None:
        """Written aside and linked: whoever comes second finds the whole key of the first."""
        fresh = self._key_file.with_name(f".{secrets.token_hex(6)}")
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(32))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            self._key_file.hardlink_to(fresh)
        fresh.unlink()
