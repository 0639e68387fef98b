from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.connectors.voice.served import Served, serving


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serving("plain thing", "split up") as running:
        yield running
