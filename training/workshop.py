"""Where heads are made and bundles opened: the one seam between `train_project` and the model families.

`training.standard` has the one that uses the shared encoder and the recipes; tests bring a small one of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from pydantic import JsonValue

from training.evaluate import Report, Understander
from training.examples import IntentExample, SlotExample
from training.gate.measured import Judged
from training.gate.verdict import Integrity
from training.progress import Progress
from training.ranking_rows import Choice, RankingData
from training.reproduce import Prediction

if TYPE_CHECKING:
    from bot.project import Project

IntentMethod = Literal["auto", "frozen", "few-shot", "late-branch", "lora", "full"]
Rows = Sequence[IntentExample] | Sequence[SlotExample]


@dataclass(frozen=True, slots=True)
class FitOptions:
    """`entities` is the method of the entity head: "frozen" trains in seconds, "late" in minutes and better.

    `intent` is that of the intent head, see `IntentOptions`; `tensorboard` a folder for its curves, empty for none.
    """

    seed: int = 0
    intent: IntentMethod = "frozen"
    tensorboard: str = ""
    entities: Literal["frozen", "late"] = "frozen"


@dataclass(frozen=True, slots=True)
class Made:
    """What was fitted and saved: its labels, and how for the manifest; `report` is what fitting measured."""

    method: str
    labels: tuple[str, ...]
    hyper_parameters: Mapping[str, JsonValue] = field(default_factory=dict)
    report: Report | None = None


class Workshop(Protocol):
    """Makes the skills of a bundle.

    `base` names the encoder, `fingerprint` what its vectors depend on.
    """

    base: str
    fingerprint: str

    def make(
        self, skill: str, folder: Path, rows: Rows, project: Project | None, options: FitOptions, progress: Progress
    ) -> Made:
        """Fit a skill ("intent" or "entities") on rows and save it in a folder. Entities may come without rows."""
        ...

    def rank(self, folder: Path, data: RankingData, options: FitOptions, progress: Progress) -> Made:
        """Fit the learned ranking of a script's actions and save it in a folder."""
        ...

    def chosen(self, folder: Path, choices: Sequence[Choice]) -> Sequence[Judged]:
        """What the ranking in a bundle's folder would have done, for each choice of the log."""
        ...

    def load(self, folder: Path) -> Understander:
        """Open the skills in a bundle's folder, to be measured."""
        ...

    def finish(
        self, folder: Path, examples: Sequence[IntentExample], slots: Sequence[SlotExample] = ()
    ) -> Understander:
        """Add what needs no measuring, the examples themselves, to the skills that were made; open it as it serves."""
        ...

    def reproduce(self, folder: Path, texts: Sequence[str], expected: Sequence[Prediction]) -> Integrity:
        """Open the folder in a fresh process and compare its predictions; see `training.reproduce`."""
        ...
