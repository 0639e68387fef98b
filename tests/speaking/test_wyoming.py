"""Speech from Wyoming servers: the `wyoming` package's own, and ones that send anything but frames."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import numpy as np
import pytest
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.event import Event
from wyoming.server import AsyncEventHandler, AsyncTcpServer
from wyoming.tts import Synthesize

from bot.core.errors import SettingsError, SkillError
from bot.core.speech import RATE, Speaker, Speech
from bot.sections import SpeakerSettings
from bot.sound import from_pcm16, to_pcm16
from bot.speaking.wyoming import WyomingSpeaker
from tests.voice_speakers import ToneSpeaker, sound_of

YES = Speech("Yes, it <emphasis> is </emphasis> here.", "de", voice="")
TONE = np.concatenate(ToneSpeaker(seconds_per_character=0.02).pieces("a" * 20))


def speaker_at(port: int, **settings: Any) -> WyomingSpeaker:
    return WyomingSpeaker(SpeakerSettings(kind="wyoming", url=f"tcp://127.0.0.1:{port}", **settings))


class Peer(AsyncEventHandler):
    """Says a tone at 22,050 Hz for every text, as Piper would."""

    asked: list[Synthesize] = []

    async def handle_event(self, event: Event) -> bool:
        if Synthesize.is_type(event.type):
            self.asked.append(Synthesize.from_event(event))
            form: dict[str, Any] = {"rate": 22050, "width": 2, "channels": 1}
            await self.write_event(AudioStart(**form).event())
            data = to_pcm16(0.5 * np.sin(np.arange(22050) * 2 * np.pi * 440 / 22050))
            for start in range(0, len(data), 2048):
                await self.write_event(AudioChunk(audio=data[start : start + 2048], **form).event())
            await self.write_event(AudioStop().event())
        return True


async def test_the_wyoming_packages_own_server_is_heard() -> None:
    server = AsyncTcpServer("127.0.0.1", 0)
    await server.start(Peer)
    assert server._server is not None
    speaker = speaker_at(server._server.sockets[0].getsockname()[1], voices={"de": "thorsten"})
    sound = await sound_of(speaker.speak(YES))
    await server.stop()
    assert isinstance(speaker, Speaker) and len(sound) == RATE
    assert np.argmax(np.abs(np.fft.rfft(sound))) == 440
    (asked,) = Peer.asked
    assert asked.text == "Yes, it is here." and asked.voice is not None and asked.voice.name == "thorsten"


Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]


@asynccontextmanager
async def server(*parts: bytes | float) -> AsyncIterator[int]:
    """A server that reads the request, then sends these bytes, or waits these seconds."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readline()
            for part in parts:
                if isinstance(part, bytes):
                    writer.write(part)
                    await writer.drain()
                else:
                    await asyncio.sleep(part)
        except (ConnectionError, asyncio.CancelledError):
            return
        finally:
            writer.close()

    found = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield found.sockets[0].getsockname()[1]
    finally:
        found.close()


def frame(kind: str, payload: bytes = b"", data: bytes = b"", **inline: Any) -> bytes:
    head = {"type": kind, "data": inline, "payload_length": len(payload), "data_length": len(data)}
    return json.dumps(head).encode() + b"\n" + data + payload


FORM = {"rate": RATE, "width": 2, "channels": 1}
STOP = frame("audio-stop")


def chunk(payload: bytes = to_pcm16(TONE), **form: Any) -> bytes:
    return frame("audio-chunk", payload, **(FORM | form))


@pytest.mark.parametrize(
    "parts",
    [
        (chunk() + STOP,),
        (frame("audio-start", **FORM), chunk(), STOP),
        (frame("pong"), frame("audio-chunk", to_pcm16(TONE), json.dumps(FORM).encode()), STOP),
        (chunk()[:100], 0.001, chunk()[100:-5], 0.001, chunk()[-5:], STOP),
        (*(bytes([byte]) for byte in frame("audio-start", **FORM)), chunk(), STOP),
        (b'{"type": "audio-stop", "type": "info"}\n', chunk(), b'{"type": "audio-stop"}\n'),
    ],
)
async def test_frames_are_read_however_they_come(parts: tuple[bytes | float, ...]) -> None:
    async with server(*parts) as port:
        sound = await sound_of(speaker_at(port).speak(YES))
    assert np.array_equal(from_pcm16(to_pcm16(sound[-1000:])), from_pcm16(to_pcm16(TONE[-1000:])))


HOSTILE: dict[str, tuple[tuple[bytes | float, ...], str]] = {
    "closes": ((), "broke off"),
    "closes_midway": ((chunk(),), "broke off"),
    "closes_in_a_frame": ((chunk()[:-9],), "broke off"),
    "array": ((b"[1]\n",), "no JSON"),
    "number": ((b"1\n",), "no JSON"),
    "no_json": ((b"GET / HTTP/1.1\r\n\r\n",), "no JSON"),
    "no_utf8": ((b'{"type": "\xff\xfe"}\n',), "no JSON"),
    "deep": ((b"[" * 60_000 + b"\n",), "no JSON"),
    "huge_number": ((b'{"type": "pong", "data_length": ' + b"9" * 5_000 + b"}\n",), "no JSON"),
    "no_type": ((b'{"data": {}}\n',), "needs `type`"),
    "type_is_a_list": ((b'{"type": [1]}\n',), "needs `type`"),
    "endless_line": ((b"a" * 140_000,), "at most 65536 bytes"),
    "text_length": ((b'{"type": "audio-chunk", "payload_length": "5"}\n',), "`payload_length` must"),
    "negative_length": ((b'{"type": "audio-chunk", "payload_length": -1}\n',), "`payload_length` must"),
    "100_gb": ((b'{"type": "audio-chunk", "payload_length": 99999999999}\n',), "`payload_length` must"),
    "much_data": ((b'{"type": "pong", "data_length": 300000}\n',), "`data_length` must"),
    "data_is_no_object": ((frame("audio-chunk", b"", b"[1]"),), "no JSON"),
    "no_form": ((frame("audio-chunk", b"ab"),), "whole numbers for rate"),
    "float_rate": ((chunk(rate=16000.5),), "whole numbers for rate"),
    "65_channels": ((chunk(channels=65),), "1 to 8 channels"),
    "wide": ((chunk(width=5),), "1 to 4 bytes"),
    "tiny_rate": ((chunk(rate=3),), "found 3"),
    "error": ((frame("error", text="the key is sk-1"),), "its own log"),
    "silence": ((chunk(bytes(3200)), STOP), "no sound"),
    "nothing": ((STOP,), "no sound"),
    "only_others": ((frame("pong") * 1_100,), "anything but sound"),
    "hangs": ((5.0,), "made no sound within 0.05 s"),
    "hangs_midway": ((chunk(), 5.0), "did not go on within 0.05 s"),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_what_is_no_speech_is_an_error(name: str) -> None:
    parts, why = HOSTILE[name]
    async with server(*parts) as port:
        with pytest.raises(SkillError, match=why) as error:
            await sound_of(speaker_at(port, first_s=0.05 if name == "hangs" else 5.0, between_s=0.05).speak(YES))
    assert "sk-1" not in str(error.value)


async def test_whoever_leaves_closes_the_connection() -> None:
    gone = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        try:
            while True:
                writer.write(chunk())
                await writer.drain()
                await asyncio.sleep(0.001)
        except ConnectionError:
            gone.set()

    found = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with aclosing(speaker_at(found.sockets[0].getsockname()[1]).speak(YES)) as sound:
        await anext(sound)
    await asyncio.wait_for(gone.wait(), 5)
    found.close()


@pytest.mark.parametrize("url", ["http://127.0.0.1:10200", "tcp://127.0.0.1:10200/path", "tcp://127.0.0.1:99999"])
def test_an_address_that_cannot_be_is_told_before_the_first_call(url: str) -> None:
    with pytest.raises(SettingsError, match="tcp://127"):
        WyomingSpeaker(SpeakerSettings(kind="wyoming", url=url))
