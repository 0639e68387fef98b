"""What a test imports from a project is forgotten after it."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def own_modules() -> Iterator[None]:
    path = list(sys.path)
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] in ("actions", "mine")]:
        del sys.modules[name]
    sys.path[:] = path
