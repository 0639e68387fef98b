"""What holds for every run: only files with tests of the asked kind are loaded, and memory of theirs is not swept."""

from __future__ import annotations

import gc
import re
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("ours", deadline=None)  # a busy machine is no mistake
settings.load_profile("ours")

ALL_SLOW = re.compile(r"^pytestmark = pytest\.mark\.slow$", re.MULTILINE)
SOME_SLOW = "pytest.mark.slow"


def pytest_configure() -> None:
    gc.disable()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Loading a file costs more than most of its tests, so marks of slow tests are looked for in its text."""
    kind = config.option.markexpr
    if collection_path.suffix != ".py" or kind not in ("slow", "not slow"):
        return None
    text = collection_path.read_text("utf-8")
    unwanted = SOME_SLOW not in text if kind == "slow" else ALL_SLOW.search(text)
    return True if unwanted else None


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()
