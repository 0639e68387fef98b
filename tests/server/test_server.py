from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from bot.core.errors import SettingsError
from bot.core.events import ActionRan, Scored, SlotSet, Understood
from bot.server.app import CHANNELS, all_routes, build_app, find_channels
from bot.server.openapi import describe, public_path
from bot.server.routes import Services
from bot.server.run import serve
from bot.server.security import HEADERS
from bot.server.settings import ServerSettings
from bot.telemetry import Telemetry
from connectors.http import Route
from connectors.limits import Limits
from tests.connectors.fakes_gateway import MemoryGateway
from tests.server.served import Served, serving

ROOT = Path(__file__).parents[2]


def every_route() -> tuple[Route, ...]:
    settings = ServerSettings()
    return all_routes(Services(MemoryGateway(), {}), settings, find_channels(settings.limits), Telemetry())


def address(route: Route) -> str:
    path = re.sub(r"\{conversation(:\.\+)?\}", "web-" + "a" * 22, public_path(route))
    return path.replace("{sender}", "u1")


def test_the_channels_are_found_by_entry_point() -> None:
    assert {point.name for point in entry_points(group="understudy.channels")} >= {"rest", "web"}
    assert {channel.name for channel in find_channels(Limits())} >= {"rest", "web"}


@pytest.mark.parametrize("route", every_route(), ids=lambda route: f"{route.method} {public_path(route)}")
async def test_every_answer_has_the_security_headers(served: Served, route: Route) -> None:
    async with served.http.request(route.method, address(route)) as answer:
        page = answer.headers["Content-Type"].startswith(("text/html", "text/javascript", "text/css"))
        expected = HEADERS | ({"Cache-Control": "no-cache"} if page else {})
        if answer.content_type == "text/html":
            assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self';")
            del expected["Content-Security-Policy"]
        assert expected.items() <= dict(answer.headers).items()
        assert re.fullmatch(r"[0-9a-f]{16}", answer.headers["X-Request-Id"])
        assert answer.headers["Server"] == "understudy"
        assert answer.status < 500


@pytest.mark.parametrize("path", ["/nowhere", "/%ff", "/web/../bot.yml", "/web/%2e%2e/secret"])
async def test_errors_have_the_security_headers_too(served: Served, path: str) -> None:
    async with served.http.get(path) as answer:
        assert answer.status == 404
        assert HEADERS.items() <= dict(answer.headers).items()
        assert set((await answer.json())["error"]) == {"code", "message", "request_id"}


async def test_every_route_is_described_and_nothing_else(served: Served) -> None:
    async with served.http.get("/openapi.json") as answer:
        document = await answer.json()
    described = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    routed = {
        (route.method, route.resource.canonical.replace(":.+", ""))
        for route in served.app.router.routes()
        if route.resource is not None
    }
    assert described == {(route.method, public_path(route)) for route in every_route()} == routed


def test_every_reference_of_the_description_leads_somewhere() -> None:
    document = describe(every_route(), "Test", "0")
    references = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))
    assert references <= set(document["components"]["schemas"])
    operations = [item for path in document["paths"].values() for item in path.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    for operation in operations:
        assert {"400", "403", "500"} <= set(operation["responses"])


async def test_health_tells_only_that_we_live(served: Served) -> None:
    async with served.http.get("/healthz") as answer:
        assert await answer.json() == {"status": "ok"}


@pytest.mark.parametrize(("ready", "status"), [(True, 200), (False, 503)])
async def test_readiness_names_the_checks(ready: bool, status: int) -> None:
    async with serving(ready=ready) as served, served.http.get("/readyz") as answer:
        assert (answer.status, await answer.json()) == (
            status,
            {"ready": ready, "checks": {"store": ready, "bundle": True}},
        )


async def test_metrics_count_messages_and_requests(served: Served) -> None:
    for _ in range(2):
        await served.http.post("/webhooks/rest/webhook", json={"sender": "u1", "message": "hi", "message_id": "m1"})
    async with served.http.get("/metrics") as answer:
        text = await answer.text()
    for line in (
        'understudy_messages_received_total{channel="rest"} 2.0',
        'understudy_messages_acked_total{channel="rest"} 1.0',
        'understudy_duplicates_suppressed_total{channel="rest"} 1.0',
        'understudy_http_requests_total{route="/webhooks/rest/webhook",status="200"} 2.0',
        "understudy_ws_connections 0.0",
        "understudy_ws_reconnects_total 0.0",
    ):
        assert line in text
    assert "u1" not in text


async def test_about_names_the_bot_and_discloses_that_it_is_one() -> None:
    async with serving(name="Kettle & Co") as served, served.http.get("/api/v1/about") as answer:
        about = await answer.json()
    assert about["name"] == "Kettle & Co"
    assert "automated assistant" in about["notice"]


@pytest.mark.parametrize("notice", ["", "  "])
def test_the_disclosure_cannot_be_emptied(notice: str) -> None:
    with pytest.raises(ValueError, match="notice"):
        ServerSettings(notice=notice)


async def test_operators_see_all_events(served: Served) -> None:
    await served.http.post("/webhooks/rest/webhook", json={"sender": "team/u 1", "message": "hi"})
    async with served.http.get("/api/v1/admin/conversations/team%2Fu%201/events?limit=3") as answer:
        page = await answer.json()
    assert [event["event"]["kind"] for event in page["events"]] == ["started", "received", "replied"]
    assert page["more"] is True


async def test_models_in_use_are_listed(served: Served) -> None:
    async with served.http.get("/api/v1/admin/models") as answer:
        assert await answer.json() == {"bundle": "b1"}


async def test_a_text_is_parsed_in_rasas_shape(served: Served) -> None:
    async with served.http.post("/model/parse", json={"text": "hi", "message_id": "x"}) as answer:
        parsed = await answer.json()
    assert parsed["intent"] == {"name": "nlu_fallback", "confidence": 0.8}
    assert {"text", "entities", "intent_ranking", "text_tokens", "response_selector"} <= set(parsed)


async def test_the_tracker_tells_the_conversation_in_rasas_events(served: Served) -> None:
    await served.http.post("/webhooks/rest/webhook", json={"sender": "u/1", "message": "hi", "message_id": "m1"})
    await served.gateway.record("u/1", SlotSet(name="size", value=2))
    await served.gateway.record("u/1", ActionRan(action="action_find", key="k"))
    async with served.http.get("/conversations/u%2F1/tracker?include_events=ALL") as answer:
        tracker = await answer.json()
    assert [event["event"] for event in tracker["events"]] == ["user", "bot", "action", "slot", "action"]
    assert tracker["events"][0]["text"] == "hi"
    assert tracker["slots"] == {"size": 2}
    assert (tracker["sender_id"], tracker["latest_action_name"]) == ("u/1", "action_find")


async def test_the_tracker_shows_what_was_understood(served: Served) -> None:
    await served.http.post("/webhooks/rest/webhook", json={"sender": "u1", "message": "hi"})
    fact = Understood(text="hi", language="en", intents=(Scored(name="greet", score=0.9),), in_scope=0.9)
    log = served.gateway.logs["u1"]
    log.append(log[-1].model_copy(update={"event": fact}))
    async with served.http.get("/conversations/u1/tracker") as answer:
        latest = (await answer.json())["latest_message"]
    assert latest["intent"] == {"name": "greet", "confidence": 0.9}


@pytest.mark.parametrize(("query", "events"), [("?include_events=NONE", None), ("?until=0", [])])
async def test_the_tracker_shows_the_events_asked_for(served: Served, query: str, events: object) -> None:
    await served.http.post("/webhooks/rest/webhook", json={"sender": "u1", "message": "hi"})
    async with served.http.get("/conversations/u1/tracker" + query) as answer:
        assert (await answer.json())["events"] == events


async def test_an_unknown_conversation_is_a_fresh_session(served: Served) -> None:
    async with served.http.get("/conversations/nobody/tracker") as answer:
        tracker = await answer.json()
    named = [event.get("name") or event["event"] for event in tracker["events"]]
    assert (answer.status, named) == (200, ["action_session_start", "session_started", "action_listen"])
    assert tracker["latest_message"]["text"] is None and "nobody" not in served.gateway.logs


async def test_a_taken_port_is_explained(served: Served) -> None:
    settings = ServerSettings(port=served.port)
    app = build_app(Services(MemoryGateway(), {}), settings, ())
    assert app[CHANNELS] == ()
    with pytest.raises(SettingsError, match=r"cannot listen on 127.0.0.1:\d+ .*choose another port"):
        await serve(app)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_turn_in_progress_finish(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "tests.server.standalone"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        threading.Timer(30, process.kill).start()
        url = process.stdout.readline().strip()
        body = json.dumps({"sender": "u", "message": "slow"}).encode()
        asked = subprocess.Popen(
            [sys.executable, "-c", _ASK, f"{url}/webhooks/rest/webhook", body.decode()],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout.readline().strip() == "taken"
        begun = time.monotonic()
        process.send_signal(number)
        answer, _ = asked.communicate(timeout=15)
        assert json.loads(answer)[0]["text"] == "You said: slow"
        assert process.wait(timeout=15) == 0
        assert time.monotonic() - begun < 10
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"{url}/healthz", timeout=1)


_ASK = """
import sys, urllib.request
request = urllib.request.Request(sys.argv[1], sys.argv[2].encode(), method="POST")
print(urllib.request.urlopen(request, timeout=20).read().decode())
"""
