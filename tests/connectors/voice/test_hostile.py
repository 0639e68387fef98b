"""Spoilt frames over every wire: errors, never a crash, and another call goes on as if nothing were."""

from __future__ import annotations

import random
from typing import Any

import pytest
from structlog.testing import capture_logs

from connectors.voice.realtime import RealtimeOffer
from connectors.voice.wyoming import WyomingOffer
from tests.connectors.voice.attacks import attacks
from tests.connectors.voice.served import Served, serving
from tests.connectors.voice.test_openai import admit
from tests.connectors.voice.test_twilio import SERVED
from tests.connectors.voice.test_websocket import called, say, until
from tests.connectors.voice.test_wyoming import understand
from tests.fakes_voice import Hum, Phrasebook, parts, silence

OWN = parts(Phrasebook("plain thing", took=0.0), Hum(latency=0.0))
EVERYTHING: dict[str, Any] = {
    **SERVED,
    "realtime": RealtimeOffer("kettle", admit),
    "wyoming": WyomingOffer(OWN, understand, "K", ("en",), port=0),
    "calls": 64,
}


async def unharmed(served: Served) -> None:
    """Somebody else calls and is answered."""
    async with called(served) as socket:
        await say(socket, served.book.sound("plain thing"), silence(1.0))
        frames, _ = await until(socket, "said")
    assert any(frame["type"] == "final" and frame["text"] == "plain thing" for frame in frames)


async def attacked(wire: str, count: int, seed: int, caplog: pytest.LogCaptureFixture) -> None:
    with capture_logs() as logs:
        async with serving("plain thing", **EVERYTHING) as served:
            await attacks(served)[wire](count, random.Random(seed))
            assert all(call.buffered < 2**20 for call in served.channel.desk.calls)
            await unharmed(served)
    broken = [line for line in logs if line["event"] in ("call_failed", "request_failed")]
    assert broken == []
    assert [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")] == []


WIRES = ("browser", "twilio", "realtime", "wyoming")


@pytest.mark.parametrize("wire", WIRES)
async def test_spoilt_frames_harm_nobody(wire: str, caplog: pytest.LogCaptureFixture) -> None:
    await attacked(wire, 300, 1, caplog)


@pytest.mark.slow
@pytest.mark.parametrize("wire", WIRES)
async def test_many_spoilt_frames_harm_nobody(wire: str, caplog: pytest.LogCaptureFixture) -> None:
    await attacked(wire, 2_000, 2, caplog)


async def test_every_wire_is_described() -> None:
    async with serving(**EVERYTHING) as served, served.http.get("/openapi.json") as answer:
        paths = (await answer.json())["paths"]
    assert {"/api/v1/voice", "/v1/audio/transcriptions", "/v1/realtime", "/api/v1/voice/twilio/answer"} <= set(paths)
