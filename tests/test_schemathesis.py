"""Generated requests against the description: no 5xx, every answer as described.

`make test` runs 1,000 cases, `make fuzz` (or UNDERSTUDY_FUZZ=N) as many as are asked for.

Half of the cases are valid by the schema and must be taken, half break it and must be refused. The turns behind them
are answered by the in-memory gateway, so what is tested is the server and its channels.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import requests
import schemathesis
from aiohttp import web
from hypothesis.strategies import SearchStrategy
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    positive_data_acceptance,
    response_schema_conformance,
    status_code_conformance,
)

from bot.core.messages import Inbound
from bot.core.protocols import Receipt
from bot.server.app import build_app, find_channels
from bot.server.routes import Services
from bot.server.run import make_runner
from bot.server.settings import ServerSettings
from tests.connectors.fakes_gateway import MemoryGateway
from tests.connectors.openai_live import KEY, openai_channel
from tests.server.served import understand

pytestmark = pytest.mark.slow
CASES = int(os.environ.get("UNDERSTUDY_FUZZ", "1000"))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
    positive_data_acceptance,
]
GENEROUS = {"body_bytes": 1_000_000, "messages_burst": 1_000_000, "new_conversations_per_minute": 1e9}
"""Without these, long bodies and many requests would be refused before the description is tried."""


class Forgetful(MemoryGateway):
    """Short conversations only: generated ids repeat, and long histories would make each answer slow to check."""

    async def submit(self, inbound: Inbound) -> Receipt:
        if len(self.logs.get(inbound.address.conversation, ())) > 40:
            del self.logs[inbound.address.conversation]
        return await super().submit(inbound)


async def _serve(ready: threading.Event, stop: asyncio.Event, address: list[str]) -> None:
    settings = ServerSettings.model_validate({"limits": GENEROUS})
    services = Services(Forgetful(), {}, understand)
    channels = *find_channels(settings.limits), openai_channel(settings.limits)
    runner = make_runner(build_app(services, settings, channels))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    address.append(f"http://127.0.0.1:{runner.addresses[0][1]}")
    ready.set()
    await stop.wait()
    await runner.cleanup()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A server in a thread of its own."""
    loop, stop, ready, address = asyncio.new_event_loop(), asyncio.Event(), threading.Event(), list[str]()
    thread = threading.Thread(target=lambda: loop.run_until_complete(_serve(ready, stop, address)))
    thread.start()
    assert ready.wait(10)
    yield address[0]
    loop.call_soon_threadsafe(stop.set)
    thread.join(20)
    loop.close()


def test_generated_requests_meet_the_description(server: str) -> None:
    schema = schemathesis.openapi.from_url(f"{server}/openapi.json")
    found = [each.ok() for each in schema.get_all_operations() if isinstance(each, Ok)]
    operations = [one for one in found if not one.path.endswith("/ws")]  # that one speaks another protocol
    varied = [one for one in operations if one.body or one.path_parameters or one.query or one.headers]
    asked: Counter[int] = Counter()
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {KEY}"
        for operation in operations:
            cases = CASES // (2 * len(varied)) + 10 if operation in varied else 1
            modes = GenerationMode if operation in varied else [GenerationMode.POSITIVE]
            for mode in modes:
                _try(operation.as_strategy(generation_mode=mode), cases, session, asked)
    assert sum(asked.values()) >= CASES
    assert {200, 201, 202, 400, 404} <= set(asked)


def _checks(path: str) -> list[Any]:
    """A request to the OpenAI-compatible server may have the right shape and still ask for what no bot can do."""
    return [check for check in CHECKS if check is not positive_data_acceptance or not path.startswith("/v1/")]


def _name_a_model(case: Any) -> None:
    """Ask for a model that there is; no generated name is one."""
    body = case.body if case.path.startswith("/v1/") and isinstance(case.body, dict) else {}
    if isinstance(body.get("model"), str) and 0 < len(body["model"]) <= 200:
        body["model"] = "encoder" if case.path.endswith("embeddings") else "bot"


def _try(cases: SearchStrategy[Any], count: int, session: requests.Session, asked: Counter[int]) -> None:
    settings = hypothesis.settings(
        max_examples=count,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )

    @settings
    @hypothesis.given(cases)
    def call(case: Any) -> None:
        _name_a_model(case)
        checks = _checks(case.path)
        asked[case.call_and_validate(session=session, checks=checks, timeout=10).status_code] += 1

    call()
