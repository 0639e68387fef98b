"""The Socket.IO channel with the real client of python-socketio, and with raw frames."""

from __future__ import annotations

import asyncio
import importlib.util
import io
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import jwt
import pytest
import socketio
import structlog
from aiohttp import ClientWebSocketResponse
from pydantic import JsonValue

from bot.core import events as ev
from connectors.http import Setup
from connectors.limits import Limits
from connectors.socketio import SocketIOChannel
from tests.connectors.live import Live, live
from tests.fakes import MemoryStore, eventually

LASTING: dict[str, JsonValue] = {"session_persistence": True}
KEY = "a key that is long enough for HS256"


class Visitor:
    """A client that keeps what it was told."""

    def __init__(self, transports: list[str] | None = None, namespace: str = "/") -> None:
        self.client = socketio.AsyncClient(reconnection=False)
        self.transports, self.namespace = transports or ["websocket"], namespace
        self.frames: list[Any] = []
        self.session: Any = None
        self._confirmed = asyncio.Event()
        self.client.on("bot_uttered", self._bot_uttered, namespace=namespace)
        self.client.on("session_confirm", self._session_confirm, namespace=namespace)

    @property
    def texts(self) -> list[str]:
        return [frame["text"] for frame in self.frames]

    async def _bot_uttered(self, *data: Any) -> None:
        self.frames += data

    async def _session_confirm(self, session: Any) -> None:
        self.session = session
        self._confirmed.set()

    async def come(self, served: Live, session: str | None = None, auth: Any = None, **more: Any) -> None:
        """Connect and ask for a session."""
        await self.client.connect(served.url, transports=self.transports, auth=auth, namespaces=[self.namespace])
        self._confirmed.clear()
        await self.emit("session_request", {"session_id": session, **more})
        async with asyncio.timeout(5):
            await self._confirmed.wait()

    async def emit(self, event: str, data: Any) -> None:
        await self.client.emit(event, data, namespace=self.namespace)

    async def say(self, text: str, **more: Any) -> None:
        await self.emit("user_uttered", {"message": text, "session_id": self.session, **more})

    async def heard(self, count: int) -> list[str]:
        """Wait for so many frames, and a moment for one too many."""
        await eventually(lambda: len(self.frames) >= count)
        await asyncio.sleep(0.03)
        return self.texts

    async def cut(self) -> None:
        """Lose the connection without a word."""
        if self.transports == ["polling"]:
            await self.client.eio.http.close()
        else:
            self.client.eio.ws._response.close()

    async def go(self) -> None:
        await self.client.disconnect()


@asynccontextmanager
async def visitor(*args: Any, **more: Any) -> AsyncIterator[Visitor]:
    one = Visitor(*args, **more)
    try:
        yield one
    finally:
        await one.go()


@pytest.fixture
async def lasting() -> AsyncIterator[Live]:
    async with live(SocketIOChannel, credentials=LASTING, limits={"drain_seconds": 0.4}) as served:
        yield served


@pytest.mark.parametrize("transports", [["websocket"], ["polling"], ["polling", "websocket"]])
async def test_a_conversation_over_every_transport(lasting: Live, transports: list[str]) -> None:
    async with visitor(transports) as ann:
        await ann.come(lasting, "s9")
        assert ann.session == "s9"
        await ann.say("plain")
        await ann.say("book")
        assert await ann.heard(2) == ["Hi there.", "Booked."]
        await eventually(lambda: len(lasting.facts(ev.Delivered)) == 2)


@pytest.mark.parametrize("transports", [["websocket"], ["polling"]])
@pytest.mark.parametrize("leave", [Visitor.cut, Visitor.go])
async def test_what_came_while_the_client_was_away_comes_once(lasting: Live, leave: Any, transports: list[str]) -> None:
    first = Visitor(transports)
    await first.come(lasting)
    await first.say("slow")
    assert await first.heard(1) == ["One moment."]
    await leave(first)
    lasting.actions.go.set()
    await eventually(lambda: len(lasting.facts(ev.Settled)) == 1)
    async with visitor(transports) as again:
        await again.come(lasting, first.session)
        assert again.session == first.session
        await again.say("plain")
        assert await again.heard(2) == ["Done.", "Hi there."]
    assert first.texts == ["One moment."]


async def test_a_restart_of_the_bot_loses_and_doubles_nothing() -> None:
    store = MemoryStore()
    async with live(SocketIOChannel, store, LASTING) as served:
        ann = Visitor()
        await ann.come(served, "s1")
        await ann.say("split")
        assert await ann.heard(3) == ["One.", "Two.", "Three."]
        await ann.cut()
        await ann.go()
        await served.manager.submit(_message("plain", "s1"))
        await eventually(lambda: len(served.facts(ev.Settled)) == 2)
    async with live(SocketIOChannel, store, LASTING) as served, visitor() as again:
        await again.come(served, "s1")
        assert await again.heard(1) == ["Hi there."]


async def test_a_client_that_counts_gets_exactly_what_follows_its_last_frame(lasting: Live) -> None:
    async with visitor() as ann:
        await ann.come(lasting, "s1", last_id=0)
        assert ann.session == {"session_id": "s1"}
        ann.session = "s1"
        await ann.say("split")
        assert await ann.heard(3) == ["One.", "Two.", "Three."]
    ids = [frame["id"] for frame in ann.frames]
    for seen in range(3):
        async with visitor() as again:
            await again.come(lasting, "s1", last_id=ids[seen])
            await again.heard(2 - seen)
            assert [frame["id"] for frame in again.frames] == ids[seen + 1 :]


@pytest.mark.slow
@pytest.mark.parametrize("transports", [["websocket"], ["polling"]])
@pytest.mark.parametrize("seed", range(4))
async def test_a_client_that_counts_loses_and_doubles_nothing_however_often_it_is_cut(
    transports: list[str], seed: int
) -> None:
    chance, heard, last, said = random.Random(seed), list[str](), "0", 0
    generous = {"messages_burst": 1_000, "drain_seconds": 0.4}
    async with live(SocketIOChannel, credentials=LASTING, limits=generous) as served:
        while said < 30:
            async with visitor(transports) as ann:
                await ann.come(served, "s1", last_id=last)
                more = min(30 - said, chance.randint(1, 4))
                for number in range(said, said + more):
                    body = {"message": "split", "session_id": "s1", "message_id": f"m{number}"}
                    await ann.client.call("user_uttered", body, timeout=5)
                said += more
                await asyncio.sleep(chance.random() / 100)
                if chance.random() < 0.7:
                    await ann.cut()
                seen = list(ann.frames)
            heard += [frame["text"] for frame in seen]
            last = seen[-1]["id"] if seen else last
        async with visitor(transports) as ann:
            await ann.come(served, "s1", last_id=last)
            heard += await ann.heard(90 - len(heard))
    assert heard == ["One.", "Two.", "Three."] * 30


async def test_a_message_sent_twice_under_its_id_is_one_message(lasting: Live) -> None:
    async with visitor() as ann:
        await ann.come(lasting)
        acks = [
            await ann.client.call(
                "user_uttered", {"message": "plain", "session_id": ann.session, "message_id": "m1"}, timeout=5
            )
            for _ in range(2)
        ]
        assert await ann.heard(1) == ["Hi there."]
    assert [ack["duplicate"] for ack in acks] == [False, True]
    assert len(lasting.facts(ev.Received)) == 1


async def test_without_persistence_the_connection_is_the_conversation() -> None:
    async with live(SocketIOChannel) as served, visitor() as ann, visitor() as bob:
        for one in (ann, bob):
            await one.come(served, "s1")
            await one.say("plain")
            assert await one.heard(1) == ["Hi there."]
        assert len({recorded.conversation for recorded in served.store.log}) == 2
        assert served.facts(ev.Delivered) == []


async def test_two_windows_of_a_session_both_listen(lasting: Live) -> None:
    async with visitor() as one, visitor() as two:
        await one.come(lasting, "s1")
        await two.come(lasting, "s1")
        await one.say("plain")
        assert await one.heard(1) == await two.heard(1) == ["Hi there."]


async def test_messages_are_taken_in_the_order_they_are_sent(lasting: Live) -> None:
    async with visitor() as ann:
        await ann.come(lasting)
        texts = [f"plain {number}" for number in range(8)]
        for text in texts:
            await ann.say(text)
        await ann.heard(8)
    assert [fact.message.text for fact in lasting.facts(ev.Received)] == texts


async def test_the_operators_names_of_path_events_and_metadata() -> None:
    names: dict[str, JsonValue] = {
        "socketio_path": "/chat.io",
        "namespace": "/shop",
        "user_message_evt": "said",
        "bot_message_evt": "bot_uttered",
        "metadata_key": "about",
        "session_persistence": True,
    }
    async with live(SocketIOChannel, credentials=names) as served, visitor(namespace="/shop") as ann:
        await ann.client.connect(served.url, socketio_path="chat.io", namespaces=["/shop"], transports=["websocket"])
        await ann.emit("said", {"message": "plain", "session_id": "s1", "about": {"page": "cart"}})
        assert await ann.heard(1) == ["Hi there."]
        received = served.facts(ev.Received)[0]
        assert received.metadata == {"page": "cart"}


def token(key: str = KEY, method: str = "HS256") -> str:
    return jwt.encode({"sub": "ann"}, key, algorithm=method)


async def test_a_wrong_token_is_refused() -> None:
    wrong: list[Any] = [None, {}, {"token": "x"}, {"token": token("another key that is long enough!")}, {"token": 7}]
    async with live(SocketIOChannel, credentials={"jwt_key": KEY}) as served:
        for auth in wrong:
            with pytest.raises(socketio.exceptions.ConnectionError):
                await Visitor().come(served, auth=auth)


@pytest.mark.parametrize("written", [token(), f"Bearer {token()}"])
async def test_the_right_token_opens_the_door(written: str) -> None:
    async with live(SocketIOChannel, credentials={"jwt_key": KEY}) as served, visitor() as ann:
        await ann.come(served, auth={"token": written})
        await ann.say("plain")
        assert await ann.heard(1) == ["Hi there."]


async def test_buttons_work_after_a_reconnect_and_typed_payloads_do_not(lasting: Live) -> None:
    async with visitor() as ann:
        await ann.come(lasting, "s1")
        await ann.say("buttons")
        await ann.heard(2)
    async with visitor() as ann:
        await ann.come(lasting, "s1")
        await ann.say('/book{"n":2}')
        await ann.say("/restart")
        await ann.heard(2)
    pressed, typed = (fact for fact in lasting.facts(ev.Understood)[1:])
    assert (pressed.source, pressed.intents[0].name) == ("payload", "book")
    assert typed.source == "model"


async def test_conversations_of_other_channels_are_not_given_away(lasting: Live) -> None:
    await (await lasting.manager.submit(_message("plain", "u1", "rest"))).settled()
    async with visitor() as eve:
        await eve.come(lasting, "u1", last_id=0)
        assert eve.session["session_id"] != "u1"
        ack = await eve.client.call("user_uttered", {"message": "plain", "session_id": "u1"}, timeout=5)
        assert ack["error"]["code"] == "bad_input"


async def test_an_imported_history_is_not_sent_to_those_who_come_back(lasting: Live) -> None:
    message = ev.Received(message=_message("hi", "s1").message, key="old", channel="socketio")
    history = [
        ev.Started(channel="socketio", sender="s1"),
        message,
        ev.Replied(message=_message("old answer", "s1").message),
        ev.Settled(outcome="replied"),
    ]
    rows = [ev.Recorded(conversation="s1", seq=n, turn=int(n > 1), at=1.0, event=e) for n, e in enumerate(history, 1)]
    await lasting.store.append("s1", 0, rows)
    async with visitor() as ann:
        await ann.come(lasting, "s1")
        await ann.say("plain")
        assert await ann.heard(1) == ["Hi there."]


async def test_too_many_messages_are_refused_where_the_user_sees_it() -> None:
    async with live(SocketIOChannel, credentials=LASTING, limits={"messages_burst": 1}) as served, visitor() as ann:
        await ann.come(served)
        await ann.say("plain")
        await ann.say("plain")
        await ann.heard(2)
        refused = next(frame for frame in ann.frames if "error" in frame)
        assert refused["error"]["code"] == "rate_limited" and refused["text"]


NONSENSE: list[Any] = [
    None,
    [],
    "hi",
    {"message": 7},
    {"message": ""},
    {"message": "\ud800"},
    {"message": "a" * 9000},
    {"x": 1},
]


async def test_what_makes_no_sense_is_refused_and_the_connection_goes_on(lasting: Live) -> None:
    async with visitor() as ann:
        await ann.come(lasting)
        for data in NONSENSE:
            await ann.emit("user_uttered", {"session_id": ann.session, **data} if isinstance(data, dict) else data)
        await ann.say("plain")
        await ann.heard(len(NONSENSE) + 1)
        assert all("error" in frame for frame in ann.frames[:-1]) and ann.texts[-1] == "Hi there."
    assert len(lasting.facts(ev.Received)) == 1


# Raw frames -------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def raw(served: Live) -> AsyncIterator[ClientWebSocketResponse]:
    async with served.http.ws_connect("/socket.io/?EIO=4&transport=websocket") as socket:
        opened = json.loads((await socket.receive_str())[1:])
        assert (opened["pingInterval"], opened["pingTimeout"], opened["maxPayload"]) == (25_000, 20_000, 1_000_000)
        await socket.send_str("40")
        assert (await socket.receive_str()).startswith('40{"sid":')
        yield socket


async def exchange(socket: ClientWebSocketResponse, text: str, answers: int) -> list[Any]:
    await socket.send_str(f'42["user_uttered",{{"message":"{text}","session_id":"s9"}}]')
    async with asyncio.timeout(5):
        found = [await socket.receive_str() for _ in range(answers)]
    assert all(frame.startswith('42["bot_uttered",') for frame in found)
    return [json.loads(frame[2:])[1] for frame in found]


async def test_trap_6_a_session_is_confirmed_by_its_bare_id_or_by_an_object(lasting: Live) -> None:
    async with raw(lasting) as socket:
        await socket.send_str('42["session_request",{"session_id":"s9"}]')
        assert await socket.receive_str() == '42["session_confirm","s9"]'
        await socket.send_str('42["session_request",{"session_id":"s9","last_id":"0"}]')
        assert await socket.receive_str() == '42["session_confirm",{"session_id":"s9"}]'
        await socket.send_str('42["session_request",{}]')
        fresh = json.loads((await socket.receive_str())[2:])[1]
        assert len(fresh) == 32 and int(fresh, 16)


SHAPES: dict[str, list[Any]] = {
    "plain": [{"text": "Hi there."}],
    "split": [{"text": "One."}, {"text": "Two."}, {"text": "Three."}],
    "buttons": [
        {"text": "Hi there.", "quick_replies": []},
        {
            "text": "How can I help?",
            "quick_replies": [{"content_type": "text", "title": "Book", "payload": '/book{"n":2}'}],
        },
    ],
    "image": [
        {"text": "Look:", "quick_replies": [{"content_type": "text", "title": "More", "payload": "/more"}]},
        {"attachment": {"type": "image", "payload": {"src": "https://x.example/a.png"}}},
    ],
    "card": [
        {
            "attachment": {
                "type": "template",
                "payload": {
                    "template_type": "generic",
                    "elements": {
                        "title": "Mug",
                        "subtitle": "Blue",
                        "buttons": [{"type": "postback", "title": "Buy", "payload": "/buy"}],
                    },
                },
            }
        }
    ],
    "attachment": [{"attachment": {"type": "file", "payload": {"src": "https://x.example/a.pdf"}}}],
}


async def test_the_shapes_of_rasas_frames(lasting: Live) -> None:
    async with raw(lasting) as socket:
        for word, expected in SHAPES.items():
            assert await exchange(socket, word, len(expected)) == expected


async def test_trap_7_custom_content_in_rasas_way_and_plain(lasting: Live) -> None:
    async with raw(lasting) as socket:
        assert await exchange(socket, "data", 1) == [{"stars": 5}]
        assert await exchange(socket, "custom", 1) == [
            {"custom": {"type": "rating", "options": [{"value": 5, "payload": "/rate"}]}}
        ]


async def test_frames_that_make_no_sense_break_nothing(lasting: Live) -> None:
    for bad in ["42[]", "42{", "4", "9", "42[1,2]", '451-["x"]', '42["user_uttered"]']:
        async with raw(lasting) as socket:
            await socket.send_str(bad)
    async with raw(lasting) as socket:
        assert await exchange(socket, "plain", 1) == [{"text": "Hi there."}]


async def test_the_older_engine_is_refused(lasting: Live) -> None:
    async with lasting.http.get("/socket.io/?EIO=3&transport=polling") as answer:
        assert answer.status == 400


async def test_a_body_that_is_too_large_is_refused(lasting: Live) -> None:
    async with lasting.http.post(
        "/socket.io/?EIO=4&transport=polling&sid=x", data=io.BytesIO(b"4" * 1_100_000)
    ) as answer:
        assert answer.status in (400, 413)


async def test_pages_of_other_sites_need_the_operators_word() -> None:
    site = {"Origin": "https://shop.example"}
    path = "/socket.io/?EIO=4&transport=polling"
    async with live(SocketIOChannel) as served, served.http.get(path, headers=site) as answer:
        assert answer.status == 403
    allowed = live(SocketIOChannel, origins=["https://shop.example"])
    async with allowed as served, served.http.get(path, headers=site) as answer:
        assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (200, "https://shop.example")


async def test_health(lasting: Live) -> None:
    async with lasting.http.get("/webhooks/socketio/") as answer:
        assert await answer.json() == {"status": "ok"}


async def test_a_reader_that_takes_nothing_is_cut_off_and_keeps_its_place() -> None:
    async with live(SocketIOChannel, credentials=LASTING, limits={"send_seconds": 0.1}) as served:
        for number in range(40):
            await served.manager.submit(_message(f"plain {number}", "s1"))
        await eventually(lambda: len(served.facts(ev.Settled)) == 40)
        async with served.http.ws_connect("/socket.io/?EIO=4&transport=websocket", autoping=False) as deaf:
            await deaf.send_str("40")
            await deaf.send_str('42["session_request",{"session_id":"s1"}]')
            async with asyncio.timeout(5):
                while not (await deaf.receive()).type.name.startswith("CLOS"):
                    pass
        async with visitor() as ann:
            await ann.come(served, "s1")
            assert len(await ann.heard(40)) == 40


async def test_a_server_that_stops_ends_the_turn_and_closes_only_the_transport(lasting: Live) -> None:
    async with raw(lasting) as socket:
        assert (await exchange(socket, "slow", 1)) == [{"text": "One moment."}]
        await lasting.actions.begun.wait()
        stopping = asyncio.create_task(lasting.runner.cleanup())
        lasting.actions.go.set()
        async with asyncio.timeout(5):
            assert await socket.receive_str() == '42["bot_uttered",{"text":"Done."}]'
            assert await socket.receive_str() == "1"
            await stopping


async def test_a_session_takes_so_many_clients_and_a_client_so_many_requests() -> None:
    few = {"sockets_per_conversation": 1, "messages_burst": 3}
    async with live(SocketIOChannel, credentials=LASTING, limits=few) as served, visitor() as one, visitor() as two:
        await one.come(served, "s1")
        await two.come(served, "s1")
        await two.heard(1)
        assert two.frames[0]["error"]["code"] == "overloaded"
        for _ in range(3):
            await one.emit("session_request", {"session_id": "s1"})
        await one.heard(1)
        assert one.frames[0]["error"]["code"] == "rate_limited"


async def test_the_stream_of_the_library_is_told_in_a_line(lasting: Live) -> None:
    with structlog.testing.capture_logs() as lines:
        async with raw(lasting) as socket:
            await socket.send_str('42["secret words"')
            await exchange(socket, "plain", 1)
    faults = [line for line in lines if line["event"] == "socketio_event_failed"]
    assert len(faults) == 1 and "secret" not in str(faults)


def _message(words: str, conversation: str, channel: str = "socketio") -> Any:
    from bot.core.messages import Address, Inbound, Message, Text

    message = Message(id=f"u.{words}", parts=(Text(text=words),))
    address = Address(channel=channel, conversation=conversation, sender=conversation)
    return Inbound(address=address, message=message, key=words)


def test_wrong_credentials_are_explained() -> None:
    from bot.core.errors import SettingsError

    for method in ("none", *(["RS256"] if importlib.util.find_spec("cryptography") is None else [])):
        with pytest.raises(SettingsError, match="channel 'socketio': jwt_method"):
            SocketIOChannel(Limits(), Setup({"jwt_key": KEY, "jwt_method": method}))
