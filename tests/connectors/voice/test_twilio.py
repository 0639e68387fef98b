"""Telephone calls: a client that speaks Twilio's frames, with good and forged signatures."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientWebSocketResponse, WSServerHandshakeError

from bot.core import events as ev
from bot.sound import Samples, mulaw_decode, mulaw_encode, resample
from connectors.voice.twilio import ANSWER, STREAM, TwilioOffer
from tests.connectors.voice.served import Served, serving
from tests.fakes_voice import silence

TOKEN, HOST = "a-token-of-twilio", "bot.example"
SERVED: dict[str, Any] = {
    "twilio": TwilioOffer(TOKEN, f"wss://{HOST}"),
    "server": {"hosts": [HOST]},
}


def signature(address: str, fields: dict[str, str] | None = None) -> str:
    text = address + "".join(name + value for name, value in sorted((fields or {}).items()))
    return base64.b64encode(hmac.new(TOKEN.encode(), text.encode(), hashlib.sha1).digest()).decode()


def headers(signed: str) -> dict[str, str]:
    return {"Host": HOST, "X-Twilio-Signature": signed}


@pytest.fixture
async def phone() -> AsyncIterator[Served]:
    async with serving("plain thing", "split up", **SERVED) as running:
        yield running


START = {
    "event": "start",
    "sequenceNumber": "1",
    "streamSid": "MZ1",
    "start": {
        "accountSid": "AC1",
        "streamSid": "MZ1",
        "callSid": "CA1",
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": {},
    },
}


@asynccontextmanager
async def calling(served: Served) -> AsyncIterator[ClientWebSocketResponse]:
    signed = headers(signature(f"wss://{HOST}{STREAM}"))
    async with served.http.ws_connect(STREAM, headers=signed) as socket:
        await socket.send_json({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        await socket.send_json(START)
        yield socket


def media(sound: bytes, **more: Any) -> dict[str, Any]:
    payload = base64.b64encode(sound).decode()
    return {"event": "media", "streamSid": "MZ1", "media": {"track": "inbound", "payload": payload, **more}}


async def say(socket: ClientWebSocketResponse, *sounds: Samples) -> None:
    for sound in sounds:
        line = mulaw_encode(resample(sound, 16_000, 8_000))
        for number, start in enumerate(range(0, len(line), 160)):
            await socket.send_json(media(line[start : start + 160], timestamp=str(number * 20), chunk=str(number)))


async def hear(socket: ClientWebSocketResponse, frames: int) -> tuple[Samples, list[Any]]:
    """So many frames; the sound in them. Marks are sent back."""
    sound, found = b"", []
    async with asyncio.timeout(5):
        while len(found) < frames:
            found.append(await socket.receive_json())
            frame = found[-1]
            assert frame["streamSid"] == "MZ1"
            if frame["event"] == "mark":
                await socket.send_json(frame)
            elif frame["event"] == "media":
                sound += base64.b64decode(frame["media"]["payload"])
    return mulaw_decode(sound), found


async def test_a_telephone_call_is_heard_and_answered(phone: Served) -> None:
    async with calling(phone) as socket:
        await say(socket, phone.book.sound("plain thing"))
        await say(socket, silence(1.0))
        sound, found = await hear(socket, 7)
    received = phone.facts(ev.Received)[0]
    assert (received.message.text, received.channel) == ("plain thing", "twilio")
    assert {"media", "mark"} == {frame["event"] for frame in found}
    assert len(sound) > 2_000 and abs(sound).max() > 0.05


async def test_keys_are_heard(phone: Served) -> None:
    async with calling(phone) as socket:
        for digit in "482#":
            await socket.send_json({"event": "dtmf", "streamSid": "MZ1", "dtmf": {"track": "inbound", "digit": digit}})
        await say(socket, silence(0.3))
        await hear(socket, 1)
    assert phone.facts(ev.Received)[0].message.text == "482"


@pytest.mark.parametrize("signed", ["", "AAAA", signature(f"https://{HOST}{STREAM}"), signature(f"wss://evil{STREAM}")])
async def test_a_forged_signature_is_refused_before_there_is_a_socket(phone: Served, signed: str) -> None:
    with pytest.raises(WSServerHandshakeError) as refused:
        await phone.http.ws_connect(STREAM, headers=headers(signed))
    assert refused.value.status == 403


async def test_a_call_is_answered_with_our_stream(phone: Served) -> None:
    fields = {"CallSid": "CA1", "From": "+441632960001"}
    signed = headers(signature(f"https://{HOST}{ANSWER}", fields))
    async with phone.http.post(ANSWER, data=fields, headers=signed) as answer:
        assert (answer.status, answer.content_type) == (200, "text/xml")
        assert f'<Stream url="wss://{HOST}{STREAM}"/>' in await answer.text()
    async with phone.http.post(ANSWER, data={**fields, "From": "+1"}, headers=signed) as answer:
        assert answer.status == 403


WRONG: list[Any] = [
    [], {}, {"event": "media"}, {"event": "media", "media": {"payload": "%%%"}}, {"event": "never"}, START,
    {"event": "media", "media": {"payload": 5}}, {"event": "dtmf", "dtmf": {"digit": "12"}},
]  # fmt: skip


async def test_frames_that_make_no_sense_do_not_end_the_call(phone: Served) -> None:
    async with calling(phone) as socket:
        for frame in WRONG:
            await socket.send_str(json.dumps(frame))
        await say(socket, phone.book.sound("plain thing"), silence(1.0))
        await hear(socket, 1)


async def test_sound_before_the_start_ends_the_call(phone: Served) -> None:
    signed = headers(signature(f"wss://{HOST}{STREAM}"))
    async with phone.http.ws_connect(STREAM, headers=signed) as socket:
        await socket.send_json(media(b"\xff" * 160))
        await socket.receive()
        assert socket.close_code == 1008
