"""Results of long benchmarks, each in a file as soon as it is there: a run that was stopped goes on.

Each result names the code that it was measured with, as a digest of the files that matter. What other code measured
stays in the file, and is measured anew by whoever wants it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
Line = dict[str, Any]


def digest(patterns: Iterable[str]) -> str:
    """Of files of the project, named by patterns."""
    files = sorted(path for pattern in patterns for path in ROOT.glob(pattern))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]


class Stored:
    """Results by name, in a JSON file, one a line; `code` is the digest of what measures now."""

    def __init__(self, path: Path, code: str) -> None:
        self._path, self._code = path, code
        self._lines: dict[str, Line] = json.loads(path.read_text("utf-8")) if path.exists() else {}

    def __contains__(self, name: str) -> bool:
        return name in self._lines

    def __getitem__(self, name: str) -> Line:
        return self._lines[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)

    def current(self, name: str) -> bool:
        """Whether it was measured with the code that is here now."""
        return name in self and self[name]["code"] == self._code

    def put(self, name: str, result: Mapping[str, object]) -> None:
        """Keep a result, in the file too."""
        self._lines[name] = {**result, "code": self._code}
        told = [f"{json.dumps(one)}: {json.dumps(self._lines[one])}" for one in sorted(self._lines)]
        fresh = self._path.with_suffix(".new")
        fresh.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text("{\n" + ",\n".join(told) + "\n}\n", "utf-8")
        fresh.replace(self._path)
