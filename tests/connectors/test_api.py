from __future__ import annotations

import re
from typing import Any

import pytest

from bot.core.events import Rated, Received, Recorded
from bot.core.messages import Message
from connectors.views import event_view
from tests.server.served import Served, serving


async def begin(served: Served) -> str:
    async with served.http.post("/api/v1/conversations") as answer:
        assert answer.status == 201
        return str((await answer.json())["conversation"])


async def post(served: Served, path: str, **body: object) -> tuple[int, Any]:
    async with served.http.post(f"/api/v1/conversations/{path}", json=body) as answer:
        return answer.status, await answer.json()


async def events(served: Served, conversation: str, query: str = "") -> Any:
    async with served.http.get(f"/api/v1/conversations/{conversation}/events{query}") as answer:
        return await answer.json()


async def test_a_conversation_id_cannot_be_guessed(served: Served) -> None:
    first, second = await begin(served), await begin(served)
    assert first != second
    assert re.fullmatch(r"web-[\w-]{22}", first)
    assert not served.gateway.logs


async def test_a_message_is_answered_with_its_outcome(served: Served) -> None:
    conversation = await begin(served)
    status, body = await post(served, f"{conversation}/messages", id="m1", text="sources")
    assert status == 200
    assert body["messages"][0]["parts"] == [{"kind": "text", "text": "You said: sources"}]
    assert body["messages"][0]["sources"][0]["document"] == "returns"
    assert {k: body[k] for k in ("id", "seq", "turn", "duplicate", "outcome")} == {
        "id": "m1", "seq": 2, "turn": 1, "duplicate": False, "outcome": "replied"
    }  # fmt: skip


async def test_without_waiting_the_durable_acknowledgement_comes_alone(served: Served) -> None:
    conversation = await begin(served)
    status, body = await post(served, f"{conversation}/messages?wait=false", id="m1", text="slow")
    assert (status, body["seq"]) == (202, 2)
    assert "messages" not in body
    again, body = await post(served, f"{conversation}/messages?wait=false", id="m1", text="slow")
    assert (again, body["duplicate"]) == (202, True)


async def test_another_text_under_a_used_id_is_a_conflict(served: Served) -> None:
    conversation = await begin(served)
    await post(served, f"{conversation}/messages", id="m1", text="hi")
    status, _ = await post(served, f"{conversation}/messages", id="m1", text="bye")
    assert status == 409


@pytest.mark.parametrize("body", [{}, {"text": "a", "payload": "/b"}, {"text": ""}, {"text": "a", "more": 1}])
async def test_a_message_is_a_text_or_a_payload(served: Served, body: dict[str, object]) -> None:
    status, _ = await post(served, f"{await begin(served)}/messages", **body)
    assert status == 400


async def test_the_public_view_holds_only_words_and_outcomes(served: Served) -> None:
    conversation = await begin(served)
    await post(served, f"{conversation}/messages", id="m1", payload="/affirm", title="Yes")
    found = await events(served, conversation)
    assert [event["kind"] for event in found["events"]] == ["user", "bot", "settled"]
    assert found["events"][0]["text"] == "Yes"
    assert (found["last_seq"], found["more"]) == (4, False)


async def test_history_comes_in_pages(served: Served) -> None:
    conversation = await begin(served)
    await post(served, f"{conversation}/messages", text="hi")
    first = await events(served, conversation, "?limit=2")
    rest = await events(served, conversation, f"?after={first['last_seq']}")
    assert first["more"] is True
    assert [event["seq"] for event in first["events"] + rest["events"]] == [2, 3, 4]


async def test_an_unknown_conversation_is_empty(served: Served) -> None:
    assert await events(served, await begin(served)) == {"events": [], "last_seq": 0, "more": False}


@pytest.mark.parametrize("other", ["u1", "web-short", "web-" + "a" * 23, "rest-" + "a" * 22, "..%2fweb"])
async def test_conversations_of_other_channels_cannot_be_read_or_joined(served: Served, other: str) -> None:
    await served.http.post("/webhooks/rest/webhook", json={"sender": other, "message": "private"})
    async with served.http.get(f"/api/v1/conversations/{other}/events") as answer:
        assert answer.status == 404
        assert "private" not in await answer.text()
    status, _ = await post(served, f"{other}/messages", text="hi")
    assert status == 404


async def test_a_rating_is_recorded_against_the_bots_message(served: Served) -> None:
    conversation = await begin(served)
    await post(served, f"{conversation}/messages", text="hi")
    status, body = await post(served, f"{conversation}/ratings", seq=3, score=-1.0, reason="wrong")
    assert (status, body["seq"]) == (201, 5)
    assert served.gateway.logs[conversation][-1].event == Rated(message="1.1", score=-1, reason="wrong")


@pytest.mark.parametrize(
    ("seq", "status"), [(2, 404), (9, 404), (0, 400), (True, 400), ("3", 400), (3.5, 400), (3.0, 201)]
)
async def test_only_a_message_of_the_bot_can_be_rated(served: Served, seq: object, status: int) -> None:
    conversation = await begin(served)
    await post(served, f"{conversation}/messages", text="hi")
    found, _ = await post(served, f"{conversation}/ratings", seq=seq, score=1.0)
    assert found == status


async def test_too_many_messages_are_refused_with_a_time() -> None:
    async with serving(limits={"messages_burst": 2, "messages_per_second": 0.1}) as served:
        conversation = await begin(served)
        found = [(await post(served, f"{conversation}/messages", text="hi"))[0] for _ in range(3)]
        assert found == [200, 200, 429]
        async with served.http.post(f"/api/v1/conversations/{conversation}/messages", json={"text": "a"}) as answer:
            assert 1 <= int(answer.headers["Retry-After"]) <= 11


async def test_too_many_new_conversations_of_one_address_are_refused() -> None:
    async with serving(limits={"new_conversations_per_minute": 2}) as served:
        await begin(served)
        await begin(served)
        async with served.http.post("/api/v1/conversations") as answer:
            assert answer.status == 429


def test_a_message_that_nobody_said_is_not_shown() -> None:
    event = Received(message=Message(id="1", parts=()), key="reminder.1", channel="web", metadata={"is_external": True})
    assert event_view(Recorded(conversation="c", seq=1, turn=1, at=1.0, event=event)) is None
