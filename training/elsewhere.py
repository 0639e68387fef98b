"""Pages with people's words that were written where somebody wished: noted, so that erasing finds them.

    STATE/elsewhere.jsonl       one page a line: its absolute path, and the conversation that it is of, if it is of one

A page can be made again at any time, so erasing removes the pages of a person's conversations, and others that quote
them. A page that was moved or copied afterwards is not found.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from pathlib import Path

FILE = "elsewhere.jsonl"


def write(state: Path, path: Path, text: str, conversation: str = "") -> None:
    """Write a page and note where it is."""
    line = {"path": str(path.resolve()), "conversation": conversation}
    state.mkdir(parents=True, exist_ok=True)
    if line not in _lines(state):
        with (state / FILE).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
    path.write_text(text, encoding="utf-8")


def forget(state: Path, conversations: Collection[str], quotes: Callable[[bytes], bool]) -> tuple[Path, ...]:
    """Remove the pages of some conversations, and those whose bytes `quotes` them; which they were."""
    lines, gone = _lines(state), list[Path]()
    for line in lines:
        path = Path(line["path"])
        if path.is_file() and (line["conversation"] in conversations or quotes(path.read_bytes())):
            path.unlink()
            gone.append(path)
    left = [line for line in lines if Path(line["path"]).is_file() and line["conversation"] not in conversations]
    if left != lines:
        fresh = state / f".{FILE}.new"
        fresh.write_text("".join(json.dumps(line) + "\n" for line in left), encoding="utf-8")
        fresh.replace(state / FILE)
    return tuple(gone)


def _lines(state: Path) -> list[dict[str, str]]:
    try:
        return [json.loads(line) for line in (state / FILE).read_text("utf-8").splitlines()]
    except FileNotFoundError:
        return []
