"""Which conversations a bundle has learned from or was measured on, beside the bundles and not in them.

    STATE/seen/<bundle id>.json     the conversations' ids, sorted

A bundle never changes, and a person may want to be forgotten: so it is noted here, where it can be taken out again.
What a bundle took over from the one before it, that one has seen.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from pathlib import Path

from bot.manifest import ID

FOLDER = "seen"


class Seen:
    """The notes of the bundles below `models`, in the folder beside it."""

    def __init__(self, models: Path) -> None:
        self.folder = models.parent / FOLDER

    def note(self, bundle: str, conversations: Iterable[str], before: str | None = None) -> None:
        """Note what a bundle has seen; with `before`, also what that bundle had seen."""
        self._write(self.folder / f"{bundle}.json", {*conversations, *(self._read(before) if before else ())})

    def knows(self, bundle: str) -> bool:
        """Whether there is a note of this bundle; older versions wrote none."""
        return (self.folder / f"{bundle}.json").exists()

    def by(self, conversations: Collection[str]) -> tuple[str, ...]:
        """The bundles that have seen any of these conversations, oldest first."""
        wanted = set(conversations)
        return tuple(bundle for bundle in self._bundles() if wanted & self._read(bundle))

    def forget(self, conversations: Collection[str]) -> tuple[str, ...]:
        """Take conversations out of all notes; the bundles that have seen them."""
        found = self.by(conversations)
        for bundle in found:
            self._write(self.folder / f"{bundle}.json", self._read(bundle) - set(conversations))
        return found

    def _bundles(self) -> list[str]:
        return sorted(path.stem for path in self.folder.glob("*.json") if ID.fullmatch(path.stem))

    def _read(self, bundle: str) -> set[str]:
        try:
            return set(json.loads((self.folder / f"{bundle}.json").read_text("utf-8")))
        except FileNotFoundError:
            return set()

    def _write(self, path: Path, conversations: Iterable[str]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.new")
        fresh.write_text(json.dumps(sorted(conversations)), encoding="utf-8")
        fresh.replace(path)
