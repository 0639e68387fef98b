"""Streams of the REST channel, read by a real client: server-sent events that resume, and Rasa's lines of JSON."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from bot.core import events as ev
from connectors.rest import RestChannel
from tests.connectors.live import Live, live
from tests.fakes import eventually

PATH = "/webhooks/rest/webhook?stream=true"
EVENTS = {"Accept": "text/event-stream"}


@pytest.fixture
async def served() -> AsyncIterator[Live]:
    async with live(RestChannel, limits={"heartbeat_seconds": 0.05}) as running:
        yield running


class Reader:
    """A reader of server-sent events, as the standard describes them."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.answer, self.comments, self.last_id = answer, 0, ""

    async def next(self) -> tuple[str, Any]:
        """The next event: its name and its data."""
        fields: dict[str, str] = {}
        async for raw in self.answer.content:
            line = raw.decode().rstrip("\n")
            name, _, value = line.partition(": ")
            self.comments += line.startswith(":")
            if not line and "data" in fields:
                self.last_id = fields.get("id", self.last_id)
                return fields.get("event", "message"), json.loads(fields["data"])
            if name:
                fields[name] = value
        raise EOFError

    async def rest(self) -> list[tuple[str, Any]]:
        """All events to come."""
        found = []
        with pytest.raises(EOFError):
            while True:
                found.append(await self.next())
        return found


def texts(events: list[tuple[str, Any]]) -> list[str]:
    return [data["text"] for name, data in events if name == "message"]


async def test_events_come_as_they_are_committed_and_a_last_one_closes_the_turn(served: Live) -> None:
    async with served.http.post(PATH, json={"sender": "u1", "message": "slow"}, headers=EVENTS) as answer:
        assert answer.content_type == "text/event-stream"
        stream = Reader(answer)
        assert await stream.next() == ("message", {"recipient_id": "u1", "text": "One moment."})
        await served.actions.begun.wait()
        served.actions.go.set()
        assert await stream.rest() == [
            ("message", {"recipient_id": "u1", "text": "Done."}),
            ("done", {"recipient_id": "u1", "outcome": "replied"}),
        ]


async def test_a_quiet_stream_is_kept_alive(served: Live) -> None:
    async with served.http.post(PATH, json={"sender": "u1", "message": "slow"}, headers=EVENTS) as answer:
        stream = Reader(answer)
        await stream.next()
        await asyncio.sleep(0.5)  # ten heartbeats, of which a busy machine may miss most
        served.actions.go.set()
        await stream.rest()
        assert stream.comments >= 2


@pytest.mark.parametrize("sender", [{"sender": "u1"}, {}])
async def test_a_broken_stream_goes_on_after_its_last_event(served: Live, sender: dict[str, str]) -> None:
    body = {**sender, "message": "slow"}
    async with served.http.post(PATH, json=body, headers=EVENTS) as answer:
        stream = Reader(answer)
        _, first = await stream.next()
        answer.close()
    served.actions.go.set()
    async with served.http.post(PATH, json=body, headers=EVENTS | {"Last-Event-ID": stream.last_id}) as answer:
        again = Reader(answer)
        rest = await again.rest()
    assert [first["text"], *texts(rest)] == ["One moment.", "Done."]
    assert rest[0][1]["recipient_id"] == first["recipient_id"]
    assert len(served.facts(ev.Received)) == 1
    async with served.http.post(PATH, json=body, headers=EVENTS | {"Last-Event-ID": again.last_id}) as answer:
        assert await answer.read() == b""


async def test_going_on_inside_a_message_of_several_pieces(served: Live) -> None:
    body = {"sender": "u1", "message": "split", "message_id": "m1"}
    async with served.http.post(PATH, json=body, headers=EVENTS) as answer:
        stream = Reader(answer)
        await stream.next()
    async with served.http.post(PATH, json=body, headers=EVENTS | {"Last-Event-ID": stream.last_id}) as answer:
        assert texts(await Reader(answer).rest()) == ["Two.", "Three."]


async def test_a_conversation_with_a_reconnect_in_the_middle_loses_and_doubles_nothing(served: Live) -> None:
    heard: list[str] = []
    served.actions.go.set()
    for number, word in enumerate(["plain", "split", "slow", "book"]):
        body = {"sender": "u1", "message": word, "message_id": f"m{number}"}
        last, done = "", False
        while not done:
            headers = EVENTS | ({"Last-Event-ID": last} if last else {})
            async with served.http.post(PATH, json=body, headers=headers) as answer:
                stream = Reader(answer)
                name, data = await stream.next()
                heard += [data["text"]] if name == "message" else []
                last, done = stream.last_id, name == "done"
                answer.close()
    assert heard == ["Hi there.", "One.", "Two.", "Three.", "One moment.", "Done.", "Booked."]
    assert len(served.facts(ev.Received)) == 4


async def test_trap_5_a_client_of_rasa_gets_lines_of_json(served: Live) -> None:
    for accept in ({}, {"Accept": "*/*"}, {"Accept": "application/json"}):
        async with served.http.post(PATH, json={"sender": "u1", "message": "split"}, headers=accept) as answer:
            assert answer.headers["Content-Type"].startswith("text/event-stream")
            lines = (await answer.read()).splitlines()
        assert [json.loads(line)["text"] for line in lines] == ["One.", "Two.", "Three."]


async def test_a_strange_last_event_id_is_refused(served: Live) -> None:
    for bad in ("7", "k:1", "k:a.b", ":1.1", "k:1.1.1x"):
        headers = EVENTS | {"Last-Event-ID": bad}
        async with served.http.post(PATH, json={"sender": "u1", "message": "plain"}, headers=headers) as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (400, "bad_input")


async def test_the_id_of_another_message_is_a_conflict(served: Live) -> None:
    headers = EVENTS | {"Last-Event-ID": "m1:3.0"}
    body = {"sender": "u1", "message": "plain", "message_id": "m2"}
    async with served.http.post(PATH, json=body, headers=headers) as answer:
        assert answer.status == 409


async def say(served: Live, body: object, **options: Any) -> Any:
    async with served.http.post("/webhooks/rest/webhook", data=json.dumps(body), **options) as answer:
        return await answer.json()


async def test_trap_1_a_body_may_call_itself_plain_text(served: Live) -> None:
    found = await say(served, {"sender": "u1", "message": "plain"}, headers={"Content-Type": "text/plain"})
    assert found == [{"recipient_id": "u1", "text": "Hi there."}]


async def test_trap_14_without_a_sender_a_conversation_is_begun_and_named(served: Live) -> None:
    first, second = await say(served, {"message": "plain"}), await say(served, {"message": "plain"})
    assert first[0]["recipient_id"] != second[0]["recipient_id"]
    again = await say(served, {"message": "book", "sender": first[0]["recipient_id"]})
    assert again == [{"recipient_id": first[0]["recipient_id"], "text": "Booked."}]


async def test_the_claimed_channel_is_kept_as_a_claim(served: Live) -> None:
    await say(served, {"sender": "u1", "message": "plain", "input_channel": "telegram"})
    received = served.facts(ev.Received)[0]
    assert (received.channel, received.claimed) == ("rest", "telegram")


SHAPES: dict[str, list[Any]] = {
    "image": [
        {"text": "Look:", "buttons": [{"title": "More", "payload": "/more"}]},
        {"image": "https://x.example/a.png"},
    ],
    "card": [{"text": "Mug : Blue", "buttons": [{"title": "Buy", "payload": "/buy"}]}],
    "attachment": [{"attachment": {"type": "file", "payload": {"src": "https://x.example/a.pdf"}}}],
    "data": [{"custom": {"data": {"stars": 5}}}],
    "buttons": [
        {"text": "Hi there.\n\nHow can I help?", "buttons": [{"title": "Book", "payload": '/book{"n":2}'}]},
    ],
}


async def test_the_shapes_of_rasas_messages(served: Live) -> None:
    for word, expected in SHAPES.items():
        found = await say(served, {"sender": "u1", "message": word})
        assert found == [{"recipient_id": "u1", **item} for item in expected]


@pytest.mark.parametrize("payloads", [False, True])
async def test_payloads_of_strangers_are_obeyed_only_where_the_operator_says_so(payloads: bool) -> None:
    async with live(RestChannel, payloads=payloads) as served:
        await say(served, {"sender": "u1", "message": '/book@0.5{{"n": 2}}'})
        found = served.facts(ev.Understood)[0]
        assert found.source == ("payload" if payloads else "model")


async def test_a_button_of_ours_works_whichever_turn_offered_it(served: Live) -> None:
    for words in ("buttons", "image", "plain", '/book{"n":2}'):
        found = await say(served, {"sender": "u1", "message": words})
    assert found == [{"recipient_id": "u1", "text": "Booked."}]
    await eventually(lambda: len(served.facts(ev.Settled)) == 4)
