"""Generated requests against the description of Rasa's HTTP API: no 5xx, every answer as described."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import requests
import schemathesis
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.server.rasa_served import rasa_served

pytestmark = pytest.mark.slow
CASES = 8
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
LEFT_OUT = {("POST", "/model/train"), ("DELETE", "/model")}
"""What would train for minutes, or leave the others without a model."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The API in a thread of its own."""
    loop, stop, ready, address = asyncio.new_event_loop(), asyncio.Event(), threading.Event(), list[str]()

    async def serve() -> None:
        async with rasa_served(tmp_path, limits={"turn_seconds": 5}) as api:
            address.append(str(api.http._base_url).rstrip("/"))
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(10)
    yield address[0]
    loop.call_soon_threadsafe(stop.set)
    thread.join(20)
    loop.close()


def ours(method: str, path: str) -> bool:
    known = path.startswith(("/conversations", "/model", "/domain", "/status", "/version"))
    return known and (method, path) not in LEFT_OUT


def test_generated_requests_meet_the_description(server: str) -> None:
    schema = schemathesis.openapi.from_url(f"{server}/openapi.json")
    found = [each.ok() for each in schema.get_all_operations() if isinstance(each, Ok)]
    asked: Counter[int] = Counter()
    with requests.Session() as session:
        for operation in (one for one in found if ours(one.method.upper(), one.path)):
            varied = operation.body or operation.path_parameters or operation.query
            for mode in GenerationMode if varied else [GenerationMode.POSITIVE]:

                @hypothesis.settings(
                    max_examples=CASES, deadline=None, database=None, derandomize=True,
                    phases=[hypothesis.Phase.generate], suppress_health_check=list(hypothesis.HealthCheck),
                )  # fmt: skip
                @hypothesis.given(operation.as_strategy(generation_mode=mode))
                def call(case: Any) -> None:
                    asked[case.call_and_validate(session=session, checks=CHECKS, timeout=20).status_code] += 1

                call()
    assert {200, 400, 404} <= set(asked) and sum(asked.values()) > 150
