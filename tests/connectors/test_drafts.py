"""Answers under way: each channel that can shows them sentence by sentence, and then the message that is said."""

from __future__ import annotations

import json

from bot.models import Models
from bot.wording import Wording
from connectors.api import new_conversation
from connectors.rest import RestChannel
from connectors.web.channel import WebChannel
from skills.speaking import Chain
from tests.connectors.live import live
from tests.fakes import Author, Reader, Shelf, models, program

DRAFT, WHOLE = "You have thirty days.", "You have thirty days. Bye."


def worded() -> Models:
    author = Author("You have thirty ", "days. ", "Bye.")
    given = program().model_copy(update={"generates": True})
    return models(Reader(), program=given, retrieve=Shelf(), generate=Wording(author, Chain([])).word)


async def test_a_stream_of_events_holds_drafts_without_a_position() -> None:
    async with live(RestChannel) as served:
        served.manager.models = worded()
        body, headers = {"sender": "u1", "message": "returns?"}, {"Accept": "text/event-stream"}
        async with served.http.post("/webhooks/rest/webhook?stream=true", json=body, headers=headers) as answer:
            events = (await answer.text()).strip().split("\n\n")
    kinds = [event.split("\n")[0].split(":")[0] for event in events]
    assert kinds == ["event", "id", "event"] and events[0].startswith("event: draft\ndata: ")
    assert json.loads(events[0].split("data: ")[1]) == {"recipient_id": "u1", "text": DRAFT}
    assert json.loads(events[1].split("data: ")[1])["text"] == WHOLE


async def test_lines_of_json_hold_what_is_said_and_no_drafts() -> None:
    async with live(RestChannel) as served:
        served.manager.models = worded()
        body = {"sender": "u1", "message": "returns?"}
        async with served.http.post("/webhooks/rest/webhook?stream=true", json=body) as answer:
            lines = (await answer.text()).strip().splitlines()
    assert [json.loads(line)["text"] for line in lines] == [WHOLE]


async def test_a_web_socket_shows_drafts_before_the_message() -> None:
    async with live(WebChannel) as served, served.http.ws_connect("/api/v1/ws") as socket:
        served.manager.models = worded()
        await socket.send_json({"type": "hello", "conversation": new_conversation()})
        await socket.send_json({"type": "message", "id": "k1", "text": "returns?"})
        seen = []
        while True:
            frame = await socket.receive_json()
            if frame["type"] == "draft":
                seen.append((frame["turn"], frame["text"]))
            elif frame["type"] == "event" and frame["event"]["kind"] == "bot":
                seen.append((1, frame["event"]["message"]["parts"][0]["text"]))
                break
    assert seen == [(1, DRAFT), (1, WHOLE)]
