"""What a round of learning is asked to do: where things are, what may be done with the result, what is told besides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bot.bundles import Bundle
from training.gate.evidence import Play
from training.gate.verdict import Past, Policy
from training.lesson import Ask, Stage
from training.sides import SplitOptions
from training.workshop import FitOptions

if TYPE_CHECKING:
    from bot.project import Project
    from retrieval.search import KnowledgeIndex
    from training.clusters import Vectors
    from training.speaking import Speaking


@dataclass(frozen=True, slots=True)
class LearnRequest:
    """What to learn from, and what to do with the result.

    `state` is the project's folder for log, models and the rest; `log` the log's file, `models` the bundles' folder.
    `logs` are files of logged conversations that are imported first, if they are not in the log yet. With `dry_run` the
    candidate is made and judged, and not put to use; with `trial` somebody else tries it on a part of the conversations
    if it has proved itself. `vectors` gives unit vectors of texts, for near-duplicates. `index` is the knowledge
    index in use: which of its pages answer what is learned too. `speaking` gives the generator that is to learn how
    people word answers, once the log is complete (None: there is none). `past` plays past conversations with a
    candidate; `review` chooses what people are asked next; `before` is what was done ahead of the round.
    """

    project: Project
    state: Path
    log: Path
    models: Path
    logs: tuple[Path, ...] = ()
    dry_run: bool = False
    trial: bool = False
    fit: FitOptions = field(default_factory=FitOptions)
    split: SplitOptions = field(default_factory=SplitOptions)
    policy: Policy = field(default_factory=Policy)
    play: Play | None = None
    vectors: Vectors | None = None
    index: KnowledgeIndex | None = None
    speaking: Callable[[], Speaking | None] | None = None
    past: Callable[[Bundle], Past] | None = None
    review: Review | None = None
    before: tuple[Stage, ...] = ()
    by: str = ""


@dataclass(frozen=True, slots=True)
class Review:
    """What a person is asked at the end of a round: `draw` gives the turns, `command` asks them."""

    draw: Callable[[], Sequence[Ask]]
    command: str
