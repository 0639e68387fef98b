"""Keeping what was taught: a story and examples, added at the end of files that people may have edited.

Files are added to as text, so comments and order stay as they are; what comes out is read again, and when it does not
hold all that was there and all that is new, a new file is made instead.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from bot.core.errors import ProjectError
from bot.core.events import Recorded
from bot.core.rasa.stories import HEADER, Line, annotate, scalar, sessions, write_stories
from bot.core.script import NLU_FALLBACK, Heard
from bot.project import NluData
from bot.yaml import parse_yaml, read_text

STORIES, EXAMPLES = "interactive_stories", "interactive_nlu"
_ITEM = re.compile(r"^( *)- ", re.MULTILINE)


def told(history: Iterable[Recorded]) -> tuple[Line, ...]:
    """The story of a talk, all its sessions one after another."""
    return tuple(line for session in sessions(history) for line in session)


def keep_story(folder: Path, name: str, lines: Sequence[Line]) -> Path:
    """Add a story to the folder's stories; the file it is in. Entities stand as in training stories."""
    return _add(folder, STORIES, "stories", HEADER, write_stories([(name, lines)], test=False, header=False))


def new_examples(lines: Iterable[Line], known: NluData) -> dict[str, list[str]]:
    """The messages by intent, marked up, that the project does not know yet; payloads are none."""
    seen = {(example.intent, _plain(example.text)) for example in known.examples}
    found: dict[str, list[str]] = {}
    for line in lines:
        intent = line.step.intent if isinstance(line.step, Heard) else None
        text = " ".join(line.text.split())
        if not intent or intent == NLU_FALLBACK or not text or text.startswith("/"):
            continue
        if (intent, _plain(text)) not in seen:
            seen.add((intent, _plain(text)))
            marked = annotate(line.text, line.entities) if text == line.text else text
            found.setdefault(intent, []).append(marked)
    return found


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def keep_examples(folder: Path, examples: Mapping[str, Sequence[str]], name: str = EXAMPLES) -> Path:
    """Add examples to the folder's own, in the file of this name (without .yml); the file they are in."""
    blocks = [
        f"- intent: {scalar(intent)}\n  examples: |\n" + "".join(f"    - {text}\n" for text in texts)
        for intent, texts in examples.items()
    ]
    return _add(folder, name, "nlu", 'version: "3.1"\nnlu:\n', "".join(blocks))


def _add(folder: Path, name: str, section: str, header: str, items: str) -> Path:
    """Add items to the end of a section: in the file of this name, or in one with a number."""
    folder.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        path = folder / (f"{name}.yml" if number == 1 else f"{name}_{number}.yml")
        text = _joined(path, section, items) if path.exists() else header + items
        if text is not None:
            path.write_text(text, encoding="utf-8")
            return path
        number += 1


def _joined(path: Path, section: str, items: str) -> str | None:
    """The file's text with the items at its end; None if they would not be part of the section then."""
    before = read_text(path, path.name)
    indents = _ITEM.findall(before.partition(f"{section}:")[2])
    indented = textwrap.indent(items, indents[0] if indents else "")
    after = before + ("" if before.endswith("\n") or not before else "\n") + indented
    try:
        old, new = (parse_yaml(text, path.name).map.get(section) for text in (before, after))
        added = parse_yaml(items, path.name).plain()
    except ProjectError:
        return None
    kept = [item.plain() for item in old.items] if old else []
    assert isinstance(added, list)
    return after if new is not None and [item.plain() for item in new.items] == kept + added else None
