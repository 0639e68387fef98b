"""The review queue over HTTP: behind the operators' door, described, and validated."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from bot.core.errors import NotFound
from bot.server.app import all_routes, find_channels
from bot.server.openapi import describe
from bot.server.routes import Services
from bot.server.settings import ServerSettings
from bot.telemetry import Telemetry
from connectors.review import Decided, DecisionView, QueueView, Wanted
from tests.connectors.fakes_gateway import MemoryGateway
from tests.server.served import serving

QUEUE, DECISIONS = "/api/v1/review/queue", "/api/v1/review/decisions"
ONE = {"conversation": "c1", "turn": 1, "verdict": "relabel", "intent": "track"}


class ListDesk:
    """Remembers decisions; knows no conversation but c1."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, DecisionView]] = []

    async def queue(self, wanted: Wanted) -> QueueView:
        return QueueView(items=[], intents={"track": wanted.by}, open=wanted.limit, judged=len(self.taken))

    async def decide(self, by: str, decisions: Sequence[DecisionView]) -> Decided:
        for one in decisions:
            if one.conversation != "c1":
                raise NotFound(f"there is no conversation {one.conversation!r}")
            self.taken.append((by, one))
        return Decided(stored=[{"seq": len(self.taken)}], left=0)


async def test_the_queue_is_read_and_decided() -> None:
    desk = ListDesk()
    async with serving(review=desk) as served:
        async with served.http.get(QUEUE, params={"by": "ann", "limit": 7}) as answer:
            assert await answer.json() == {"items": [], "intents": {"track": "ann"}, "open": 7, "judged": 0}
        async with served.http.post(DECISIONS, json={"by": "ann", "decisions": [ONE]}) as answer:
            assert (answer.status, await answer.json()) == (201, {"stored": [{"seq": 1}], "left": 0})
    assert [(by, one.verdict, one.intent) for by, one in desk.taken] == [("ann", "relabel", "track")]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"by": "ann", "decisions": []}, 400),
        ({"by": "", "decisions": [ONE]}, 400),
        ({"by": "ann", "decisions": [ONE | {"verdict": "maybe"}]}, 400),
        ({"by": "ann", "decisions": [ONE | {"hidden": [[-1, 2]]}]}, 400),
        ({"by": "ann", "decisions": [ONE | {"conversation": "c2"}]}, 404),
    ],
)
async def test_what_makes_no_sense_is_refused(body: dict[str, object], status: int) -> None:
    async with serving(review=ListDesk()) as served, served.http.post(DECISIONS, json=body) as answer:
        assert answer.status == status and (await answer.json())["error"]["message"]


async def test_only_operators_come_in() -> None:
    async with serving(review=ListDesk(), token="a-long-enough-secret") as served:
        for method, path in (("GET", QUEUE), ("POST", DECISIONS)):
            async with served.http.request(method, path) as answer:
                assert answer.status == 401
        async with served.http.get(QUEUE, headers={"Authorization": "Bearer a-long-enough-secret"}) as answer:
            assert answer.status == 200


async def test_a_server_without_a_queue_has_no_such_address() -> None:
    async with serving() as served, served.http.get(QUEUE) as answer:
        assert answer.status == 404


def test_the_routes_are_described() -> None:
    settings, services = ServerSettings(), Services(MemoryGateway(), {}, review=ListDesk())
    found = describe(all_routes(services, settings, find_channels(settings.limits), Telemetry()), "Bot", "1")
    assert {QUEUE, DECISIONS} <= set(found["paths"])
