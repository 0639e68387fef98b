"""The callback channel against a real server that takes its posts, at times unwillingly."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from pydantic import JsonValue

from bot.core import events as ev
from bot.core.errors import SettingsError
from bot.core.messages import Address
from connectors.callback import CallbackChannel
from connectors.http import HttpChannel, Setup
from connectors.limits import Limits
from tests.connectors.live import Live, live
from tests.fakes import MemoryStore, eventually


@dataclass
class Backend:
    """What the bot's messages are posted to. `refusals` are statuses to answer with first."""

    url: str = ""
    refusals: list[int] = field(default_factory=list)
    tried: list[str] = field(default_factory=list)
    taken: list[tuple[str, Any]] = field(default_factory=list)
    requests: list[web.Request] = field(default_factory=list)

    @property
    def texts(self) -> list[str]:
        return [body["text"] for _, body in self.taken]

    async def take(self, request: web.Request) -> web.Response:
        key = request.headers["Idempotency-Key"]
        self.tried.append(key)
        self.requests.append(request)
        if self.refusals:
            status = self.refusals.pop(0)
            return web.Response(status=status, headers={"Location": "/elsewhere", "Retry-After": "0"})
        self.taken.append((key, await request.json()))
        return web.Response()


@pytest.fixture
async def backend() -> AsyncIterator[Backend]:
    found = Backend()
    app = web.Application()
    app.router.add_post("/bot", found.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}/bot"
    yield found
    await runner.cleanup()


def quickly(limits: Limits, setup: Setup) -> HttpChannel:
    channel = CallbackChannel(limits, setup)
    channel.first_wait, channel.look_every = 0.01, 0.02
    return channel


@asynccontextmanager
async def serving(backend: Backend, store: MemoryStore | None = None, **more: JsonValue) -> AsyncIterator[Live]:
    async with live(quickly, store, {"url": backend.url, **more}, limits={"drain_seconds": 2.0}) as served:
        yield served


async def say(served: Live, text: str, **more: object) -> tuple[int, str]:
    body = {"sender": "u1", "message": text, **more}
    async with served.http.post("/webhooks/callback/webhook", json=body) as answer:
        return answer.status, await answer.text()


async def test_the_answer_is_success_and_the_messages_are_posted_in_order(backend: Backend) -> None:
    async with serving(backend) as served:
        assert await say(served, "split") == (200, "success")
        assert await say(served, "plain") == (200, "success")
        await eventually(lambda: len(served.facts(ev.Delivered)) == 2)
    assert [body for _, body in backend.taken] == [
        {"recipient_id": "u1", "text": text} for text in ("One.", "Two.", "Three.", "Hi there.")
    ]
    assert [key for key, _ in backend.taken] == ["u1:1.1:0", "u1:1.1:1", "u1:1.1:2", "u1:2.1:0"]


async def test_a_refused_message_is_sent_again_under_the_same_key_before_any_other(backend: Backend) -> None:
    backend.refusals = [500, 302, 429, 404]
    async with serving(backend) as served:
        await say(served, "slow")
        served.actions.go.set()
        await eventually(lambda: len(served.facts(ev.Delivered)) == 2)
    assert backend.tried == ["u1:1.1:0"] * 5 + ["u1:1.2:0"]
    assert backend.texts == ["One moment.", "Done."]


async def test_after_a_restart_only_what_is_owed_is_sent(backend: Backend) -> None:
    store = MemoryStore()
    async with serving(backend, store) as served:
        await say(served, "plain")
        await eventually(lambda: len(served.facts(ev.Delivered)) == 1)
        backend.refusals = [503] * 1_000
        await say(served, "slow")
        served.actions.go.set()
        await eventually(lambda: len(served.facts(ev.Settled)) == 2)
    assert backend.texts == ["Hi there."]
    backend.refusals = []
    async with serving(backend, store) as served:
        await eventually(lambda: len(served.facts(ev.Delivered)) == 3)
    assert backend.texts == ["Hi there.", "One moment.", "Done."]


async def test_a_resend_under_its_id_is_answered_and_not_repeated(backend: Backend) -> None:
    async with serving(backend) as served:
        for _ in range(2):
            assert await say(served, "plain", message_id="m1") == (200, "success")
        await eventually(lambda: len(served.facts(ev.Delivered)) == 1)
    assert backend.texts == ["Hi there."]


async def test_what_the_bot_says_unasked_is_delivered_too(backend: Backend) -> None:
    async with serving(backend) as served:
        await say(served, "plain")
        await eventually(lambda: len(served.facts(ev.Delivered)) == 1)
        address = Address(channel="callback", conversation="u1", sender="u1")
        await (await served.manager.trigger(address, "book", name="reminder")).settled()
        await eventually(lambda: len(served.facts(ev.Delivered)) == 2)
    assert backend.texts == ["Hi there.", "Booked."]


async def test_an_imported_history_is_not_posted(backend: Backend) -> None:
    store = MemoryStore()
    async with serving(backend) as served:
        await say(served, "plain")
        await eventually(lambda: len(served.facts(ev.Settled)) == 1)
        for recorded in served.store.of("u1"):
            event = recorded.event
            if isinstance(event, ev.Received):
                event = event.model_copy(update={"live": False})
            if not isinstance(event, ev.Delivered):
                await store.append("u1", recorded.seq - 1, [recorded.model_copy(update={"event": event})])
    backend.taken.clear()
    async with serving(backend, store) as served:
        await say(served, "book")
        await eventually(lambda: len(served.facts(ev.Delivered)) == 1)
    assert backend.texts == ["Booked."]


async def test_the_operators_headers_token_and_password_go_with_every_post(backend: Backend) -> None:
    auth: JsonValue = {"username": "bot", "password": "secret"}
    more: dict[str, JsonValue] = {"token": "t1", "token_name": "key", "headers": {"X-Shop": "1"}, "basic_auth": auth}
    async with serving(backend, None, **more) as served:
        await say(served, "plain")
        await eventually(lambda: len(backend.taken) == 1)
    request = backend.requests[0]
    assert (request.query["key"], request.headers["X-Shop"]) == ("t1", "1")
    assert b64decode(request.headers["Authorization"].removeprefix("Basic ")) == b"bot:secret"


async def test_a_senders_name_of_any_script_makes_a_key_that_headers_can_hold(backend: Backend) -> None:
    async with serving(backend) as served:
        await say(served, "plain", sender="Анна/1")
        await eventually(lambda: len(backend.taken) == 1)
    assert backend.taken[0] == ("%D0%90%D0%BD%D0%BD%D0%B0%2F1:1.1:0", {"recipient_id": "Анна/1", "text": "Hi there."})


async def test_health_and_figures(backend: Backend) -> None:
    async with serving(backend) as served:
        await say(served, "plain")
        await eventually(lambda: len(served.facts(ev.Delivered)) == 1)
        async with served.http.get("/webhooks/callback/") as answer:
            assert await answer.json() == {"status": "ok"}
        async with served.http.get("/metrics") as answer:
            assert "understudy_callback_delivered_total 1.0" in await answer.text()


@pytest.mark.parametrize("wrong", [{}, {"url": "nowhere"}, {"url": "file:///etc/passwd"}])
def test_an_address_is_needed(wrong: dict[str, JsonValue]) -> None:
    with pytest.raises(SettingsError, match="channel 'callback': url"):
        CallbackChannel(Limits(), Setup(wrong))
