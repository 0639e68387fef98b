"""The OpenAI-compatible server over a real manager: answers, streams, errors, quotas."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import aiohttp
import numpy as np
import pytest

from bot.core.errors import SkillError
from bot.core.protocols import Piece, Prompt
from bot.wording import Wording
from connectors.openai_api_quota import Quotas
from skills.speaking import Chain
from tests.connectors.openai_live import KEY, Served, body, openai_live, text_of
from tests.fakes import Author, Clock, Reader, Shelf, eventually, models, program

NO_KEY = "us-wrong"


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with openai_live() as running:
        yield running


async def test_an_answer_has_the_shape_of_a_chat_completion(served: Served) -> None:
    status, found, headers = await served.post(body("plain"))
    assert (status, found["object"], found["model"], found["system_fingerprint"]) == (
        200,
        "chat.completion",
        "bot",
        "b1",
    )
    assert found["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hi there.", "refusal": None, "annotations": []},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ]
    assert found["usage"] == {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    assert headers["X-Conversation"].startswith("openai-k1-h-")
    assert headers["x-ratelimit-remaining-requests"] == "999"


async def test_a_stream_has_role_text_reason_usage_and_end(served: Served) -> None:
    first, said, last, usage, end = await served.chunks("plain", stream_options={"include_usage": True})
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert (said["choices"][0]["delta"], said["usage"]) == ({"content": "Hi there."}, None)
    assert (last["choices"][0]["delta"], last["choices"][0]["finish_reason"]) == ({}, "stop")
    assert (usage["choices"], usage["usage"]["total_tokens"], end) == ([], 7, None)
    assert len({chunk["id"] for chunk in (first, said, last, usage)}) == 1


async def test_usage_is_sent_only_where_it_is_asked_for(served: Served) -> None:
    assert all("usage" not in chunk for chunk in await served.chunks("plain") if chunk)


async def test_buttons_pictures_and_many_paragraphs_are_one_text(served: Served) -> None:
    assert await served.say("buttons") == "Hi there.\n\nHow can I help?\n\n- Book"
    assert await served.say("split") == "One.\n\nTwo.\n\nThree."
    assert (await served.say("image")).startswith("Look:")
    assert text_of(await served.chunks("split")) == "One.\n\nTwo.\n\nThree."


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
async def test_an_answer_is_cut_where_the_client_says_so(served: Served, name: str) -> None:
    _, found, _ = await served.post(body("buttons", **{name: 3}))
    assert (found["choices"][0]["message"]["content"], found["choices"][0]["finish_reason"]) == (
        "Hi there.\n\nHow",
        "length",
    )
    chunks = await served.chunks("buttons", **{name: 3})
    assert (text_of(chunks), chunks[-2]["choices"][0]["finish_reason"]) == ("Hi there.\n\nHow", "length")


class Slowly(Author):
    """Begins when those who want to follow do so."""

    async def write(self, prompt: Prompt) -> AsyncGenerator[Piece, None]:
        await asyncio.sleep(0.1)
        async for piece in super().write(prompt):
            yield piece


def generating(served: Served, author: Author) -> None:
    """Let answers of the knowledge base be worded."""
    given = program().model_copy(update={"generates": True})
    word = Wording(author, Chain([])).word
    served.live.manager.models = models(Reader(), program=given, retrieve=Shelf(), generate=word)


async def test_drafts_stream_before_the_answer_is_whole(served: Served) -> None:
    generating(served, Slowly("You have thirty ", "days. ", "Bye."))
    chunks = await served.chunks("returns?")
    texts = [choice["delta"].get("content") for chunk in chunks if chunk for choice in chunk["choices"]]
    assert [text for text in texts if text] == ["You have thirty days.", " Bye."]
    assert await served.say("returns?") == "You have thirty days. Bye."


async def test_an_answer_that_is_not_what_its_drafts_promised_follows_in_full(served: Served) -> None:
    generating(served, Slowly("You have ninety days. ", "And", error=SkillError("generator", "gone")))
    told = text_of(await served.chunks("returns?"))
    assert told == "You have ninety days.\n\nThirty days."
    assert await served.say("returns?") == "Thirty days."
    await served.say("returns?", told, "and then?")
    assert list(served.heard().values()) == [["returns?", "and then?"]]


async def test_a_client_that_goes_away_stops_the_stream_and_not_the_turn(served: Served) -> None:
    async with served.live.http.post(
        "/v1/chat/completions", json=body("slow", stream=True), headers={"Authorization": f"Bearer {KEY}"}
    ) as answer:
        await answer.content.readuntil(b"One moment.")
    await served.live.actions.begun.wait()
    served.live.actions.go.set()
    await eventually(lambda: any(recorded.event.kind == "settled" for recorded in served.live.store.log))
    assert await served.say("slow") == "One moment.\n\nDone."
    assert list(served.heard().values()) == [["slow"]]


async def test_a_client_that_left_is_noticed_though_nothing_is_said(served: Served) -> None:
    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(served.live.url, connector=connector) as http:
        request = http.post(
            "/v1/chat/completions", json=body("slow", stream=True), headers={"Authorization": f"Bearer {KEY}"}
        )
        async with request as answer:
            await answer.content.readuntil(b"One moment.")
    await eventually(lambda: served.channel.stats()["openai_streams_left_total"] == 1)


async def test_a_turn_that_takes_too_long_goes_on(served: Served) -> None:
    async with openai_live(limits={"turn_seconds": 0.05}) as hurried:
        status, found, headers = await hurried.post(body("slow"))
        assert (status, found["error"]["code"], found["error"]["type"]) == (504, "outcome_pending", "server_error")
        assert "Retry-After" in headers
        hurried.live.actions.go.set()
        await eventually(lambda: any(recorded.event.kind == "settled" for recorded in hurried.live.store.log))
        assert await hurried.say("slow") == "One moment.\n\nDone."


async def test_a_stream_that_cannot_go_on_says_so(served: Served) -> None:
    task = asyncio.create_task(served.chunks("slow"))
    await served.live.actions.begun.wait()
    await served.live.manager.close()
    chunks = await task
    assert chunks[-1]["error"]["code"] == "storage_unavailable" and None not in chunks


async def refusal(
    served: Served, given: dict[str, Any], key: str = KEY, path: str = "chat/completions"
) -> tuple[Any, ...]:
    status, found, _ = await served.post(given, key, path)
    assert set(found["error"]) == {"message", "type", "param", "code"}
    return status, found["error"]["code"], found["error"]["param"]


UNSUPPORTED = "unsupported_value"
CONTENT = "messages[0].content"
IMAGE = [
    {"type": "text", "text": "what is this?"},
    {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}},
]
AUDIO = [{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}]
REFUSED: dict[str, tuple[dict[str, Any], tuple[Any, ...]]] = {
    "unknown_model": (body("hi", model="gpt-4o"), (404, "model_not_found", "model")),
    "long_message": (body("a" * 8_001), (400, "context_length_exceeded", CONTENT)),
    "long_talk": (body(*["word " * 3_000] * 4, "hi"), (400, "context_length_exceeded", "messages")),
    "huge": (body("a" * 1_000_000), (400, "context_length_exceeded", "messages")),
    "image": (body(IMAGE), (400, UNSUPPORTED, f"{CONTENT}[1]")),
    "audio": (body(AUDIO), (400, UNSUPPORTED, f"{CONTENT}[0]")),
    "blank": (body(" \u200b"), (400, UNSUPPORTED, CONTENT)),
    "nul": (body("a\0"), (400, UNSUPPORTED, CONTENT)),
    "not_the_users": (body("hi", "hello"), (400, UNSUPPORTED, "messages")),
    "two_answers": (body("hi", n=2), (400, UNSUPPORTED, "n")),
    "json_answer": (body("hi", response_format={"type": "json_object"}), (400, UNSUPPORTED, "response_format")),
    "a_forced_tool": (body("hi", tool_choice="required"), (400, UNSUPPORTED, "tool_choice")),
    "log_probabilities": (body("hi", logprobs=True), (400, UNSUPPORTED, "logprobs")),
    "speech": (body("hi", modalities=["text", "audio"]), (400, UNSUPPORTED, "modalities")),
    "no_messages": (body(), (400, "bad_input", None)),
    "half_a_character": (body("hi \ud83d"), (400, "bad_input", None)),
    "a_strange_id": (body("hi", metadata={"message_id": "a b"}), (400, UNSUPPORTED, "metadata.message_id")),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
async def test_what_a_bot_cannot_do_is_refused_in_openais_shape(served: Served, case: str) -> None:
    given, expected = REFUSED[case]
    assert await refusal(served, given) == expected
    assert not served.live.store.log


async def test_what_changes_nothing_is_taken(served: Served) -> None:
    more = {"temperature": 1, "top_p": 0.5, "seed": 3, "stop": ["x"], "tools": [{"type": "function"}], "store": True}
    assert await served.say("plain", **more, n=1, tool_choice="auto", response_format={"type": "text"}) == "Hi there."


@pytest.mark.parametrize("path", ["models", "models/bot"])
async def test_everything_needs_a_key(served: Served, path: str) -> None:
    for headers in ({}, {"Authorization": f"Bearer {NO_KEY}"}, {"Authorization": f"Basic {KEY}"}):
        async with served.live.http.get(f"/v1/{path}", headers=headers) as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (401, "invalid_api_key")
    assert await refusal(served, body("hi"), NO_KEY) == (401, "invalid_api_key", None)
    assert await refusal(served, {}, NO_KEY, "embeddings") == (401, "invalid_api_key", None)


async def test_without_any_key_it_is_off(served: Served) -> None:
    served.ring.keys.clear()
    assert await refusal(served, body("hi")) == (404, "api_off", None)


async def test_the_key_is_looked_at_before_the_body_is_read(served: Served) -> None:
    async with served.live.http.post("/v1/chat/completions", data=io.BytesIO(b"{" * 3_000_000)) as answer:
        assert answer.status == 401


async def test_the_models_are_listed(served: Served) -> None:
    async with served.live.http.get("/v1/models", headers={"Authorization": f"Bearer {KEY}"}) as answer:
        found = await answer.json()
    assert [model["id"] for model in found["data"]] == ["bot", "encoder"]
    async with served.live.http.get("/v1/models/gpt", headers={"Authorization": f"Bearer {KEY}"}) as answer:
        assert (answer.status, (await answer.json())["error"]["code"]) == (404, "model_not_found")
    async with served.live.http.get("/v1/nothing") as answer:
        assert (answer.status, (await answer.json())["error"]["type"]) == (404, "invalid_request_error")


async def test_embeddings_come_as_numbers_or_as_bytes(served: Served) -> None:
    given = {"model": "encoder", "input": ["a b", "ccc"]}
    _, numbers, _ = await served.post(given, path="embeddings")
    _, coded, _ = await served.post({**given, "encoding_format": "base64", "dimensions": 3}, path="embeddings")
    assert numbers["data"][1] == {"object": "embedding", "index": 1, "embedding": [3.0, 1.0, 0.5]}
    assert numbers["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
    raw = [base64.b64decode(item["embedding"]) for item in coded["data"]]
    assert [np.frombuffer(one, "<f4").tolist() for one in raw] == [[3.0, 1.0, 0.5]] * 2


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"model": "bot"}, (404, "model_not_found", "model")),
        ({"input": [1, 2]}, (400, "unsupported_value", "input")),
        ({"input": [[1, 2]]}, (400, "unsupported_value", "input")),
        ({"input": []}, (400, "unsupported_value", "input")),
        ({"input": ["a", ""]}, (400, "unsupported_value", "input")),
        ({"input": ["a"] * 257}, (400, "unsupported_value", "input")),
        ({"input": "a " * 21}, (400, "context_length_exceeded", "input")),
        ({"dimensions": 2}, (400, "unsupported_value", "dimensions")),
    ],
)
async def test_what_cannot_be_embedded_is_refused(served: Served, changed: dict[str, Any], expected: Any) -> None:
    given = {"model": "encoder", "input": "a", **changed}
    assert await refusal(served, given, path="embeddings") == expected


async def test_a_key_has_so_many_requests_a_minute() -> None:
    async with openai_live(Quotas(2, 1000)) as served:
        assert [(await served.post(body("hi")))[0] for _ in range(2)] == [200, 200]
        status, found, headers = await served.post(body("hi"))
        assert (status, found["error"]["type"], found["error"]["code"]) == (429, "requests", "rate_limit_exceeded")
        assert 0 < int(headers["Retry-After"]) <= 31
        assert (headers["x-ratelimit-limit-requests"], headers["x-ratelimit-remaining-requests"]) == ("2", "0")
        assert (await served.post(body("hi"), "us-two"))[0] == 200


async def test_a_key_has_so_many_tokens_a_minute_those_of_answers_counted() -> None:
    async with openai_live(Quotas(1000, 12)) as served:
        assert await served.say("plain") == "Hi there."
        status, found, headers = await served.post(body("a b"))
        assert (status, found["error"]["type"], headers["x-ratelimit-remaining-tokens"]) == (429, "tokens", "5")
        status, found, _ = await served.post(body("a " * 20))
        assert (status, "your key may use 12 a minute" in found["error"]["message"]) == (429, True)


def test_quotas_refill_all_the_time() -> None:
    from connectors.openai_api_errors import OverQuota
    from connectors.openai_api_quota import Client

    clock, client = Clock(), Client("k", "k", requests_per_minute=60)
    quotas = Quotas(1, 600, clock)
    quotas.take(client, "tokens", 600)
    quotas.charge(client, 30)
    with pytest.raises(OverQuota) as caught:
        quotas.take(client, "tokens", 10)
    assert caught.value.retry_after == pytest.approx(4)
    assert quotas.headers(client)["x-ratelimit-reset-tokens"] == "1m3s"
    clock.forward(4)
    quotas.take(client, "tokens", 10)
    quotas.take(client, "requests", 60)
    assert quotas.headers(client)["x-ratelimit-limit-requests"] == "60"
    clock.forward(59.75)
    assert quotas.headers(client)["x-ratelimit-reset-requests"] == "250ms"


async def test_an_error_shows_neither_key_nor_words(served: Served) -> None:
    status, found, _ = await served.post(body("my secret words", n=2), KEY)
    assert status == 400 and "secret" not in json.dumps(found) and KEY not in json.dumps(found)
