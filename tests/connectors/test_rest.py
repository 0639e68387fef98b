from __future__ import annotations

import json

import aiohttp
import pytest

from bot.core.errors import Busy, Overloaded
from bot.core.events import Received, Started
from tests.server.served import Served, serving

PATH = "/webhooks/rest/webhook"


async def say(served: Served, headers: dict[str, str] | None = None, **body: object) -> tuple[int, object]:
    async with served.http.post(PATH, json=body, headers=headers) as answer:
        return answer.status, await answer.json()


async def test_health_answers_as_rasa_does(served: Served) -> None:
    async with served.http.get("/webhooks/rest/") as answer:
        assert await answer.json() == {"status": "ok"}


async def test_a_message_gets_the_bots_messages(served: Served) -> None:
    status, body = await say(served, sender="u1", message="hi")
    assert (status, body) == (200, [{"recipient_id": "u1", "text": "You said: hi"}])


async def test_buttons_and_sources_come_with_the_text(served: Served) -> None:
    _, body = await say(served, sender="u1", message="buttons and sources")
    assert body == [
        {
            "recipient_id": "u1",
            "text": "You said: buttons and sources",
            "buttons": [{"title": "Yes", "payload": "/affirm"}, {"title": "No", "payload": "/deny"}],
            "sources": [{"title": "Returns", "url": "https://shop.example/returns", "document": "returns"}],
        }
    ]


async def test_trap_19_an_empty_outcome_is_said_in_words(served: Served) -> None:
    _, body = await say(served, sender="u1", message="nothing")
    assert isinstance(body, list)
    assert "no answer" in body[0]["text"]
    async with served.http.post(f"{PATH}?stream=true", json={"sender": "u1", "message": "nothing"}) as answer:
        assert "no answer" in json.loads(await answer.read())["text"]


async def test_two_callers_without_a_sender_share_no_conversation(served: Served) -> None:
    _, first = await say(served, message="hi")
    _, second = await say(served, message="hi")
    assert isinstance(first, list) and isinstance(second, list)
    assert first[0]["recipient_id"] != second[0]["recipient_id"]


async def test_metadata_and_the_true_channel_are_recorded(served: Served) -> None:
    await say(served, sender="u1", message="hi", metadata={"page": None}, input_channel="spoofed")
    started, received = (recorded.event for recorded in served.gateway.logs["u1"][:2])
    assert isinstance(started, Started) and started.channel == "rest"
    assert isinstance(received, Received) and received.metadata == {"page": None}


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "m1"}])
async def test_a_resend_is_answered_but_not_repeated(served: Served, headers: dict[str, str]) -> None:
    body = {"sender": "u1", "message": "hi"} | ({} if headers else {"message_id": "m1"})
    first, second = await say(served, headers, **body), await say(served, headers, **body)
    assert first == second
    assert sum(isinstance(recorded.event, Received) for recorded in served.gateway.logs["u1"]) == 1


async def test_another_message_under_a_used_id_is_a_conflict(served: Served) -> None:
    await say(served, sender="u1", message="hi", message_id="m1")
    status, body = await say(served, sender="u1", message="bye", message_id="m1")
    assert isinstance(body, dict)
    assert (status, body["error"]["code"]) == (409, "idempotency_mismatch")


async def test_two_different_ids_for_one_message_are_refused(served: Served) -> None:
    status, _ = await say(served, {"Idempotency-Key": "a"}, sender="u1", message="hi", message_id="b")
    assert status == 409


async def test_a_full_bot_refuses_with_503_and_a_time(served: Served) -> None:
    served.gateway.refusal = Overloaded("full", retry_after=2.5)
    async with served.http.post(PATH, json={"sender": "u1", "message": "hi"}) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (503, "3")


async def test_a_busy_conversation_refuses_with_429(served: Served) -> None:
    served.gateway.refusal = Busy("wait for an answer")
    async with served.http.post(PATH, json={"sender": "u1", "message": "hi"}) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (429, "1")


async def test_a_turn_that_takes_too_long_answers_504_and_goes_on() -> None:
    async with serving(limits={"turn_seconds": 0.02}) as served:
        status, body = await say(served, sender="u1", message="slow", message_id="m1")
        assert isinstance(body, dict)
        assert (status, body["error"]["code"]) == (504, "outcome_pending")
        served.gateway.slow.set()
        status, _ = await say(served, sender="u1", message="slow", message_id="m1")
        assert status == 200


async def test_a_streamed_answer_is_lines_of_json(served: Served) -> None:
    async with served.http.post(f"{PATH}?stream=true", json={"sender": "u1", "message": "hi"}) as answer:
        assert answer.content_type == "text/event-stream"
        assert [json.loads(line) async for line in answer.content] == [{"recipient_id": "u1", "text": "You said: hi"}]


async def test_a_stream_that_fails_on_the_way_is_cut_off(served: Served) -> None:
    served.gateway.broken = True
    async with served.http.post(f"{PATH}?stream=true", json={"sender": "u1", "message": "hi"}) as answer:
        assert answer.status == 200
        with pytest.raises(aiohttp.ClientError):
            await answer.read()
