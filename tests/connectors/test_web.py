"""The WebSocket, over real client sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType

from bot.core.errors import Overloaded
from connectors.api import new_conversation
from connectors.limits import Limits
from connectors.web import WebChannel
from connectors.web.channel import STATIC
from tests.server.served import Served, serving


@asynccontextmanager
async def connected(
    served: Served, conversation: str, last_seq: int = 0
) -> AsyncIterator[tuple[ClientWebSocketResponse, list[Any]]]:
    """A socket after its hello, and the frames it got up to `resumed`."""
    async with served.http.ws_connect("/api/v1/ws") as socket:
        await socket.send_json({"type": "hello", "conversation": conversation, "last_seq": last_seq})
        yield socket, await frames(socket, "resumed")


async def frames(socket: ClientWebSocketResponse, until: str) -> list[Any]:
    """Frames up to the first of a type or, for events, of a kind."""
    found: list[Any] = []
    async with asyncio.timeout(5):
        while not found or until not in (found[-1]["type"], found[-1].get("event", {}).get("kind")):
            found.append(await socket.receive_json())
    return found


async def close_code(socket: ClientWebSocketResponse) -> int | None:
    async with asyncio.timeout(5):
        while not socket.closed:
            await socket.receive()
    return socket.close_code


def seqs(found: list[Any]) -> list[int]:
    return [frame["event"]["seq"] for frame in found if frame["type"] == "event"]


async def test_a_message_is_acknowledged_and_answered(served: Served) -> None:
    async with connected(served, new_conversation()) as (socket, _):
        await socket.send_json({"type": "message", "id": "m1", "text": "hi"})
        found = await frames(socket, "settled")
    ack = next(frame for frame in found if frame["type"] == "ack")
    assert (ack["id"], ack["seq"], ack["duplicate"]) == ("m1", 2, False)
    assert seqs(found) == [2, 3, 4]


async def test_resuming_brings_exactly_what_was_missed(served: Served) -> None:
    conversation = new_conversation()
    async with connected(served, conversation) as (socket, _):
        await socket.send_json({"type": "message", "id": "m1", "text": "slow"})
        await frames(socket, "user")
    served.gateway.slow.set()
    async with connected(served, conversation, last_seq=2) as (socket, missed):
        while len(missed) < 3:
            missed += await frames(socket, "settled")
    assert seqs(missed) == [3, 4]


async def test_a_resend_after_a_reconnect_doubles_nothing(served: Served) -> None:
    conversation = new_conversation()
    for expected in (False, True, True):
        async with connected(served, conversation) as (socket, _):
            await socket.send_json({"type": "message", "id": "m1", "text": "hi"})
            ack = (await frames(socket, "ack"))[-1]
            assert ack["duplicate"] is expected
    assert len(served.gateway.logs[conversation]) == 4


async def test_every_socket_of_a_conversation_sees_the_same(served: Served) -> None:
    conversation = new_conversation()
    async with connected(served, conversation) as (one, _), connected(served, conversation) as (two, _):
        await one.send_json({"type": "message", "id": "m1", "text": "hi"})
        assert seqs(await frames(one, "settled")) == seqs(await frames(two, "settled")) == [2, 3, 4]


async def test_a_client_ahead_of_the_log_is_told_to_forget(served: Served) -> None:
    async with connected(served, new_conversation(), last_seq=7) as (_, found):
        assert [frame["type"] for frame in found] == ["reset", "resumed"]


async def test_a_long_backlog_comes_in_order() -> None:
    async with serving(limits={"page_events": 3}) as served:
        conversation = new_conversation()
        async with connected(served, conversation) as (socket, _):
            for turn in range(4):
                await socket.send_json({"type": "message", "id": f"m{turn}", "text": "hi"})
                await frames(socket, "settled")
        async with connected(served, conversation) as (_, found):
            assert seqs(found) == list(range(2, 14))


async def test_a_bad_frame_is_explained_and_the_socket_goes_on(served: Served) -> None:
    async with connected(served, new_conversation()) as (socket, _):
        for bad in ("{", "[]", '{"type": "message"}', '{"type": "other"}', '{"type": "hello"}'):
            await socket.send_str(bad)
            assert (await frames(socket, "error"))[-1]["code"] == "bad_input"
        await socket.send_json({"type": "message", "id": "m1", "text": "hi"})
        assert (await frames(socket, "ack"))[-1]["id"] == "m1"


async def test_many_bad_frames_close_the_socket(served: Served) -> None:
    async with connected(served, new_conversation()) as (socket, _):
        for _ in range(10):
            await socket.send_str("{")
        assert await close_code(socket) == 1008


@pytest.mark.parametrize(
    ("frame", "code"),
    [(b"\x00", 1003), ("a" * 70_000, 1009), ('{"type": "message", "id": "m", "text": "a"}', 1008)],
)
async def test_a_wrong_first_frame_closes_the_socket(served: Served, frame: bytes | str, code: int) -> None:
    async with served.http.ws_connect("/api/v1/ws") as socket:
        await (socket.send_bytes(frame) if isinstance(frame, bytes) else socket.send_str(frame))
        assert await close_code(socket) == code


async def test_text_that_is_not_utf8_closes_the_socket(served: Served) -> None:
    async with connected(served, new_conversation()) as (socket, _):
        await socket.send_frame(b"\xff\xfe", WSMsgType.TEXT)
        assert await close_code(socket) == 1007


async def test_silence_instead_of_a_hello_closes_the_socket() -> None:
    async with serving(limits={"hello_seconds": 0.02}) as served, served.http.ws_connect("/api/v1/ws") as socket:
        assert await close_code(socket) == 1008


async def test_the_conversation_may_stand_in_the_address(served: Served) -> None:
    conversation = new_conversation()
    async with served.http.ws_connect(f"/api/v1/ws?conversation={conversation}") as socket:
        await socket.send_json({"type": "hello"})
        assert (await frames(socket, "resumed"))[-1]["conversation"] == conversation


@pytest.mark.parametrize("conversation", ["u1", "web-x", ""])
async def test_conversations_of_other_channels_cannot_be_opened(served: Served, conversation: str) -> None:
    await served.http.post("/webhooks/rest/webhook", json={"sender": "u1", "message": "private"})
    async with served.http.ws_connect("/api/v1/ws") as socket:
        await socket.send_json({"type": "hello", "conversation": conversation})
        first = await socket.receive()
        assert first.type is WSMsgType.CLOSE or "private" not in first.data


async def test_a_refused_message_says_when_to_try_again(served: Served) -> None:
    served.gateway.refusal = Overloaded("full", retry_after=2.5)
    async with connected(served, new_conversation()) as (socket, _):
        await socket.send_json({"type": "message", "id": "m1", "text": "hi"})
        error = (await frames(socket, "error"))[-1]
    assert (error["id"], error["code"], error["retry_after"]) == ("m1", "overloaded", 2.5)


async def test_too_many_sockets_of_a_conversation_are_refused() -> None:
    async with serving(limits={"sockets_per_conversation": 1}) as served:
        conversation = new_conversation()
        async with connected(served, conversation), served.http.ws_connect("/api/v1/ws") as second:
            await second.send_json({"type": "hello", "conversation": conversation})
            assert await close_code(second) == 1013
        async with connected(served, conversation) as (_, found):
            assert found[-1]["type"] == "resumed"


async def test_too_many_sockets_in_all_are_refused_before_the_upgrade() -> None:
    async with serving(limits={"sockets": 1}) as served, served.http.ws_connect("/api/v1/ws"):
        with pytest.raises(aiohttp.WSServerHandshakeError, match="503"):
            await served.http.ws_connect("/api/v1/ws")


async def test_a_slow_reader_is_closed_and_nobody_else() -> None:
    async with serving(limits={"send_seconds": 0.1}) as served:
        conversation = new_conversation()
        served.gateway.seed(conversation, "a" * 8_000, times=1_500)
        _, writer = await asyncio.open_connection("127.0.0.1", served.port, limit=1024)
        writer.write(_handshake(served.port) + _masked(f'{{"type":"hello","conversation":"{conversation}"}}'))
        async with asyncio.timeout(10):
            for wanted in (1, 0):
                while served.web.stats()["ws_connections"] != wanted:  # noqa: ASYNC110 - the figures are all there is
                    await asyncio.sleep(0.01)
        writer.transport.abort()
        async with connected(served, new_conversation()) as (_, found):
            assert found[-1]["type"] == "resumed"


def _handshake(port: int) -> bytes:
    fields = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    return f"GET /api/v1/ws HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{fields}{key}\r\n".encode()


def _masked(text: str) -> bytes:
    """A text frame under the mask of four zero bytes."""
    assert len(text) < 126
    return bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text.encode()


async def test_draining_answers_open_turns_and_closes_with_1012(served: Served) -> None:
    async with connected(served, new_conversation()) as (socket, _):
        await socket.send_json({"type": "message", "id": "m1", "text": "slow"})
        await frames(socket, "ack")
        draining = asyncio.create_task(served.web.drain())
        await asyncio.sleep(0.02)
        assert not socket.closed
        served.gateway.slow.set()
        assert seqs(await frames(socket, "settled"))[-1] == 4
        assert await close_code(socket) == 1012
        await draining
    with pytest.raises(aiohttp.WSServerHandshakeError, match="503"):
        await served.http.ws_connect("/api/v1/ws")


async def test_open_sockets_and_resumes_are_counted(served: Served) -> None:
    conversation = new_conversation()
    async with connected(served, conversation), connected(served, conversation, last_seq=1):
        assert served.web.stats() == {"ws_connections": 2, "ws_reconnects_total": 1}


async def test_plain_http_on_the_socket_is_told_so(served: Served) -> None:
    async with served.http.get("/api/v1/ws") as answer:
        assert answer.status == 400
        assert "WebSocket" in (await answer.json())["error"]["message"]


@pytest.mark.parametrize("path", ["/", "/web/app.js", "/web/markdown.js", "/web/style.css"])
async def test_the_page_is_served(served: Served, path: str) -> None:
    async with served.http.get(path) as answer:
        assert (answer.status, answer.charset) == (200, "utf-8")
        assert await answer.text()


def test_the_page_holds_no_inline_code_and_loads_nothing_from_elsewhere() -> None:
    page = (STATIC / "index.html").read_text()
    assert page.count("<script") == page.count('<script type="module" src="/web/')
    assert " style=" not in page and "<style" not in page and " on" not in page.replace(" on=", "!")
    for name in ("index.html", "app.js", "markdown.js", "style.css"):
        text = (STATIC / name).read_text()
        assert (
            "innerHTML" not in text and "eval(" not in text and "http://" not in text.replace("http://www.w3.org", "")
        )


async def test_closing_stops_taking_messages(served: Served) -> None:
    channel = WebChannel(Limits())
    await channel.open(served.gateway)
    await channel.close()
    assert channel.stats()["ws_connections"] == 0
