"""What one round of learning found and decided, as values: written as `verdict.json`, `verdict.md` and `page.html`.

Messages of customers are quoted masked, as they were trained on, and with their conversation, so that a lesson can
forget a person: `forget` takes their words out and draws the page again.
"""

from __future__ import annotations

import os
from collections.abc import Set
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from bot.core.errors import IntegrityError
from bot.core.messages import Value

Outcome = Literal["promoted", "on trial", "kept back", "tried", "nothing new", "nothing to learn", "failed"]
"""`on trial`: a part of the conversations gets it. `tried`: a dry run. `kept back`: the gate said no, the bundle in use
stays. `failed`: it broke; `reasons` say how."""
VERDICT, TEXT, PAGE = "verdict.json", "verdict.md", "page.html"


class Month(Value):
    """Conversations that began in a month, by how they ended."""

    month: str
    resolved: int = 0
    handed_off: int = 0
    open: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.resolved + self.handed_off + self.open


class Heard(Value):
    """What was in the log. `imported` conversations came in with this round; `refused` ones may not be learned from."""

    conversations: int = 0
    turns: int = 0
    imported: int = 0
    refused: int = 0
    thumbs_up: int = 0
    thumbs_down: int = 0
    corrections: int = 0
    months: tuple[Month, ...] = ()


class RuleLine(Value):
    """A labelling rule in this round: how many labels rest on it, and how far it is believed."""

    rule: str
    meaning: str
    labels: int
    accuracy: float
    human: bool
    on: bool = True
    why: str = ""


class Quote(Value):
    """Words of a customer, masked."""

    text: str
    conversation: str


class Learned(Value):
    """What was learned about one intent from the log: rows that teach and rows that measure."""

    intent: str
    taught: int
    measured: int
    quotes: tuple[Quote, ...] = ()


class Change(Value):
    """A message that was kept aside: what it means, and what the bot took and takes it for.

    With `skill` "retrieval": the page that answers it, and the pages that it was and is answered from.
    """

    skill: str = "intent"
    text: str
    conversation: str
    right: str
    before: str
    after: str


class Figure(Value):
    """A measured share before and after, on rows that neither bundle was trained on; the change's 95 % interval.

    `meaning` tells people what the share is of.
    """

    name: str
    meaning: str = ""
    before: float | None
    after: float
    rows: int
    low: float | None = None
    high: float | None = None
    main: bool = False


class Leakage(Value):
    """What could flatter the figures, counted on the rows as they are used. The first four must be 0.

    The others say what was done: `dropped` rows by reason, and since when the newest weeks only measure.
    """

    same_words: int = 0
    near_duplicates: int = 0
    conversations: int = 0
    customers: int = 0
    dropped: dict[str, int] = {}
    unreviewed: int = 0
    since: str = ""

    @property
    def clean(self) -> bool:
        """Whether no row that measures has its like among those that teach, and people labelled them all."""
        return not (self.same_words or self.near_duplicates or self.conversations or self.customers or self.unreviewed)


class Ask(Value):
    """A turn that a person should look at next, masked, and why it was drawn."""

    conversation: str
    turn: int
    text: str
    reason: str


class Tested(Value):
    """The project's test conversations: how many pass, and whose result changed."""

    before: int | None
    after: int
    total: int
    won: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()


class Stage(Value):
    """A step of the round, in a few words, and how long it took."""

    name: str
    said: str
    seconds: float


class Lesson(Value):
    """A round of learning. `inputs` is the digest of all that could change its result.

    `asks` are the turns that a person should look at next, `review` the command that asks them, `place` the project's
    folder as commands name it. `search` tells what became of a learned turn of questions.
    """

    version: int = 1
    at: str
    outcome: Outcome
    headline: str
    reasons: tuple[str, ...] = ()
    inputs: str = ""
    name: str = ""
    since: str = ""
    bundle: str = ""
    replaced: str | None = None
    snapshot: str = ""
    position: int = 0
    heard: Heard = Heard()
    masker: str = "none"
    masked: dict[str, int] = {}
    rules: tuple[RuleLine, ...] = ()
    labels: int = 0
    taught: int = 0
    measured: int = 0
    learned: tuple[Learned, ...] = ()
    leakage: Leakage = Leakage()
    figures: tuple[Figure, ...] = ()
    tests: Tested | None = None
    better: tuple[Change, ...] = ()
    worse: tuple[Change, ...] = ()
    stages: tuple[Stage, ...] = ()
    gate_page: str = ""
    asks: tuple[Ask, ...] = ()
    review: str = ""
    place: str = ""
    search: str = ""

    @property
    def seconds(self) -> float:
        """How long the round took."""
        return sum(stage.seconds for stage in self.stages)


def write(folder: Path, lesson: Lesson) -> Path:
    """Write the three files, the verdict last; the path of the page."""
    from training.lesson_page import render, told

    folder.mkdir(parents=True, exist_ok=True)
    (folder / PAGE).write_text(render(lesson, folder), encoding="utf-8")
    (folder / TEXT).write_text(told(lesson), encoding="utf-8")
    part = folder / f".{VERDICT}.{os.getpid()}"
    part.write_text(lesson.model_dump_json(indent=1) + "\n", encoding="utf-8")
    part.replace(folder / VERDICT)
    return folder / PAGE


def lessons(root: Path) -> list[tuple[Path, Lesson]]:
    """All rounds below a folder with their folders, the oldest first.

    Raises:
        IntegrityError: a verdict is not ours.
    """
    found = []
    for path in sorted(root.glob(f"*/{VERDICT}")):
        try:
            found.append((path.parent, Lesson.model_validate_json(path.read_bytes())))
        except ValidationError as error:
            raise IntegrityError(str(path), "is not a verdict of this version; move the folder away") from error
    return found


def forget(root: Path, conversations: Set[str]) -> tuple[Path, ...]:
    """Take some conversations' words out of all lessons below a folder; the pages that were drawn again."""
    changed = []
    for folder, lesson in lessons(root):
        left = _without(lesson, conversations)
        if left != lesson:
            changed.append(write(folder, left))
    return tuple(changed)


def _without(lesson: Lesson, conversations: Set[str]) -> Lesson:
    def kept(found: tuple[Change, ...]) -> tuple[Change, ...]:
        return tuple(item for item in found if item.conversation not in conversations)

    learned = tuple(
        item.model_copy(update={"quotes": tuple(q for q in item.quotes if q.conversation not in conversations)})
        for item in lesson.learned
    )
    asks = tuple(item for item in lesson.asks if item.conversation not in conversations)
    less = {"better": kept(lesson.better), "worse": kept(lesson.worse), "learned": learned, "asks": asks}
    return lesson.model_copy(update=less)


def stamp(at: float) -> str:
    """A time as verdicts tell it."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
