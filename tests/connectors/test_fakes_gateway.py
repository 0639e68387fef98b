from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bot.core.protocols import Gateway
from tests.connectors.fakes_gateway import MemoryGateway
from tests.contracts import GatewayContract


class TestMemoryGateway(GatewayContract):
    @pytest.fixture
    async def gateway(self) -> AsyncIterator[Gateway]:
        gateway = MemoryGateway()
        yield gateway
        await gateway.close()
