"""The Wyoming server, with the protocol's own package as the client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.event import Event
from wyoming.handle import Handled
from wyoming.info import Describe, Info
from wyoming.intent import Intent, Recognize
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart, SynthesizeStop

from bot.core import events as ev
from bot.core.protocols import Understanding
from bot.sound import to_pcm16
from connectors.limits import Limits
from connectors.voice.wyoming import WyomingOffer, WyomingServer
from tests.connectors.live import bot
from tests.fakes import MemoryStore, managing, models
from tests.fakes_voice import Hum, Phrasebook, parts


async def understand(text: str) -> Understanding:
    entities = (ev.Entity(type="order_id", value="48213", start=0, end=5, text="48213", extractor="rule"),)
    return Understanding(text, "en", True, (ev.Scored(name="order", score=0.9),), 0.9, 0.5, entities, "b1")


@asynccontextmanager
async def served(limits: Limits | None = None) -> AsyncIterator[tuple[WyomingServer, Phrasebook, Hum, MemoryStore]]:
    store, book, hum = MemoryStore(), Phrasebook("plain thing", took=0.0), Hum(latency=0.0)
    offer = WyomingOffer(parts(book, hum), understand, "Kettle", ("en",), port=0)
    async with managing(store, models(program=bot())) as manager:
        server = WyomingServer(limits or Limits(body_seconds=0.3), offer)
        await server.open(manager)
        try:
            yield server, book, hum, store
        finally:
            await server.close()


async def told(client: AsyncTcpClient, last: str) -> list[Event]:
    """The events up to one of a type."""
    found: list[Event] = []
    async with asyncio.timeout(5):
        while not found or found[-1].type != last:
            event = await client.read_event()
            assert event is not None
            found.append(event)
    return found


async def test_a_peer_learns_what_is_served() -> None:
    async with served() as (server, *_), AsyncTcpClient("127.0.0.1", server.port) as client:
        await client.write_event(Describe().event())
        (event,) = await told(client, "info")
    found = Info.from_event(event)
    assert [len(one) for one in (found.asr, found.tts, found.handle, found.intent)] == [1, 1, 1, 1]
    assert found.asr[0].supports_transcript_streaming and found.tts[0].supports_synthesize_streaming


async def test_speech_becomes_text_for_streaming_and_classic_peers() -> None:
    async with served() as (server, book, *_), AsyncTcpClient("127.0.0.1", server.port) as client:
        await client.write_event(Transcribe(language="en").event())
        await client.write_event(AudioStart(16_000, 2, 1).event())
        sound = to_pcm16(book.sound("plain thing"))
        for start in range(0, len(sound), 2048):
            await client.write_event(AudioChunk(16_000, 2, 1, sound[start : start + 2048]).event())
        await client.write_event(AudioStop().event())
        events = await told(client, "transcript-stop")
    assert [event.type for event in events] == [
        "transcript-start", "transcript-chunk", "transcript", "transcript-stop",
    ]  # fmt: skip
    assert Transcript.from_event(events[2]).text == "plain thing"


async def test_a_text_gets_its_intent() -> None:
    async with served() as (server, *_), AsyncTcpClient("127.0.0.1", server.port) as client:
        await client.write_event(Recognize("where is 48213").event())
        events = await told(client, "intents-stop")
    intent = Intent.from_event(events[1])
    assert (intent.name, [(one.name, one.value) for one in intent.entities]) == ("order", [("order_id", "48213")])


async def test_a_transcript_is_answered_as_a_turn_of_the_conversation_it_names() -> None:
    async with served() as (server, _, _, store), AsyncTcpClient("127.0.0.1", server.port) as client:
        for _ in range(2):
            await client.write_event(Transcript("split up", context={"conversation_id": "kitchen"}).event())
            events = await told(client, "handled-stop")
    handled = Handled.from_event(events[-2])
    assert handled.text == "One.\n\nTwo.\n\nThree." and handled.context == {"conversation_id": "kitchen"}
    assert "".join(event.data["text"] for event in events if event.type == "handled-chunk") == handled.text
    assert len({recorded.conversation for recorded in store.log}) == 1


async def test_a_text_is_said_at_once_and_piece_by_piece() -> None:
    async with served() as (server, _, hum, _), AsyncTcpClient("127.0.0.1", server.port) as client:
        await client.write_event(Synthesize("Hello you.").event())
        classic = await told(client, "audio-stop")
        streamed = [SynthesizeStart(), SynthesizeChunk("Hello "), SynthesizeChunk("you."), Synthesize("Hello you.")]
        for event in (*streamed, SynthesizeStop()):
            await client.write_event(event.event())
        stream = await told(client, "synthesize-stopped")
    for events in (classic, stream):
        sound = b"".join(event.payload or b"" for event in events)
        assert len(sound) == len("Hello you.") * 800 * 2
    assert hum.said == ["Hello you.", "Hello you."]


HOSTILE = [
    b"[]\n", b"{}\n", b'{"type":5}\n', b"nonsense\n", b"\xff\xfe\n", b'{"type":"ping","payload_length":"5"}\n',
    b'{"type":"ping","payload_length":99999999999}\n', b'{"type":"ping","data_length":-1}\n', b"x" * 70_000 + b"\n",
    b'{"type":"ping","data":[1]}\n', b'{"type":"ping","data_length":2}\n[]', b"[" * 60_000 + b"\n",
    b'{"type":"ping","data_length":9}\n{"a"', b'{"type":"ping","data_length":true}\n',
]  # fmt: skip


@pytest.mark.parametrize("raw", HOSTILE, ids=range(len(HOSTILE)))
async def test_what_is_no_event_is_an_error_event_and_the_end(raw: bytes) -> None:
    async with served() as (server, *_):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(raw)
        writer.write_eof()
        async with asyncio.timeout(5):
            answer = await reader.read()
        writer.close()
        header, _, data = answer.partition(b"\n")
        assert json.loads(header)["type"] == "error" and json.loads(data)["code"] == "broken_frame"
        async with AsyncTcpClient("127.0.0.1", server.port) as client:
            await client.write_event(Event("ping", {"text": "still there"}))
            assert (await told(client, "pong"))[0].data == {"text": "still there"}


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("audio-stop", {}),
    ("audio-start", {"rate": "16000", "width": 2, "channels": 1}),
    ("audio-start", {"rate": 3, "width": 2, "channels": 1}),
    ("audio-start", {"rate": 16_000, "width": 9, "channels": 1}),
    ("audio-start", {"rate": 16_000, "width": 2, "channels": 64}),
    ("recognize", {}),
    ("recognize", {"text": "\x00"}),
    ("transcript", {"text": 5}),
    ("synthesize", {"text": "x" * 9_000}),
    ("synthesize-chunk", {"text": "x"}),
    ("synthesize-stop", {}),
]


async def test_events_that_make_no_sense_are_errors_and_the_connection_goes_on() -> None:
    async with served() as (server, *_), AsyncTcpClient("127.0.0.1", server.port) as client:
        for kind, data in WRONG:
            await client.write_event(Event(kind, data))
            assert (await told(client, "error"))[0].data["code"] == "bad_input"
        await client.write_event(Event("never-heard-of"))
        await client.write_event(Event("ping"))
        await told(client, "pong")


async def test_more_sound_than_an_utterance_has_is_refused() -> None:
    async with served() as (server, *_), AsyncTcpClient("127.0.0.1", server.port) as client:
        await client.write_event(AudioStart(16_000, 2, 1).event())
        for _ in range(31):
            await client.write_event(AudioChunk(16_000, 2, 1, bytes(32_000)).event())
        assert "30 s" in (await told(client, "error"))[0].data["text"]
