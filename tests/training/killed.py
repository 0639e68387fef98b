"""A trainer to kill: `python -m tests.training.killed DIR` trains the toy workshop with a pause before each step.

It writes "begun" when it starts to train.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tests.training.toy import ToyUnderstander, ToyWorkshop
from training.examples import IntentExample, SlotExample
from training.gather import Sources
from training.runs import Runs
from training.train import TrainRequest, train_project
from training.workshop import FitOptions, Made, Rows

if TYPE_CHECKING:
    from bot.project import Project
    from training.progress import Progress

PAUSE = 0.1


class SlowWorkshop(ToyWorkshop):
    """Writes half a file, waits, and writes the rest."""

    def make(
        self, skill: str, folder: Path, rows: Rows, project: Project | None, options: FitOptions, progress: Progress
    ) -> Made:
        folder.mkdir(parents=True)
        (folder / "half").write_text("half of it")
        time.sleep(PAUSE)
        (folder / "half").unlink()
        folder.rmdir()
        return super().make(skill, folder, rows, project, options, progress)

    def finish(
        self, folder: Path, examples: Sequence[IntentExample], slots: Sequence[SlotExample] = ()
    ) -> ToyUnderstander:
        time.sleep(PAUSE)
        return super().finish(folder, examples, slots)


def main(folder: Path) -> None:
    """Train once, resuming what an earlier run left."""
    data = [folder / "intents.jsonl", folder / "slots.jsonl"]
    request = TrainRequest(
        folder / "models", Sources(intents=(data[0],), slots=(data[1],)), runs=Runs(folder / "runs", patience=30)
    )
    sys.stdout.write("begun\n")
    sys.stdout.flush()
    train_project(request, SlowWorkshop())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
