"""A server in a process of its own, for the tests of signals: prints its address, then "taken" for each slow turn.

A slow turn ends half a second after it was taken.
"""

from __future__ import annotations

import asyncio

from bot.core.messages import Inbound
from bot.core.protocols import Receipt
from bot.server.app import build_app, find_channels
from bot.server.routes import Services
from bot.server.run import run, serve
from bot.server.settings import ServerSettings
from bot.telemetry import configure_logging
from tests.connectors.fakes_gateway import MemoryGateway


class Announcing(MemoryGateway):
    async def submit(self, inbound: Inbound) -> Receipt:
        receipt = await super().submit(inbound)
        print("taken", flush=True)  # noqa: T201
        asyncio.get_running_loop().call_later(0.5, self.slow.set)
        return receipt


async def main() -> None:
    configure_logging("error")
    settings = ServerSettings(port=0)
    app = build_app(Services(Announcing(), {}), settings, find_channels(settings.limits))
    await serve(app, started=lambda url: print(url, flush=True))  # noqa: T201


if __name__ == "__main__":
    run(main())
