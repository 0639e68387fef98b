"""Load projects and say what is in them: `python benchmarks/projects.py [FOLDER]...`.

Without folders: the demo projects and the public Rasa projects in UNDERSTUDY_DATA/rasa. Prints one line a project
(time of the best of three loads, counts) and its warnings; exit 1 when one does not load.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from bot.core.errors import UserError
from bot.project import Project, load_project

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("UNDERSTUDY_DATA", ROOT.parent / "shared" / "data"))


def timed(folder: Path) -> tuple[Project, float]:
    """The project and the seconds of the fastest of three loads."""
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        project = load_project(folder)
        seconds.append(time.perf_counter() - started)
    return project, min(seconds)


def main() -> int:
    """Load every project."""
    given = [Path(name) for name in sys.argv[1:]]
    folders = given or sorted([*(ROOT / "examples").glob("*/"), *(DATA / "rasa").glob("*/")])
    failed = 0
    for folder in folders:
        try:
            project, seconds = timed(folder)
        except UserError as error:
            failed += 1
            print(f"{folder.name}: {error}")
            continue
        program = project.program
        counts = f"{len(project.nlu.examples)} examples, {len(program.intents)} intents, {len(program.flows)} flows"
        print(f"{folder.name}: {seconds * 1000:.0f} ms, {counts}, {len(project.warnings)} warnings")
        for warning in project.warnings:
            print(f"  {warning}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
