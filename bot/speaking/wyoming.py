"""Speech by a Wyoming server, such as Piper's: a line of JSON, perhaps more JSON, perhaps sound.

The `wyoming` package reads frames trustingly: it waits for 100 GB if told so, and takes rubbish for the end. So frames
are read here, each part bounded, and whatever is not a frame is an error. The protocol knows no key: name only servers
of your own machine or network.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import cast

from pydantic import JsonValue
from yarl import URL

from bot.core.errors import InputError, SettingsError, SkillError
from bot.core.speech import RATE, Speech
from bot.sections import SpeakerSettings
from bot.sound import Resampler, Samples, from_pcm16
from bot.speaking.pace import NAME, paced
from skills.speakable import without_emphasis

HEAD_BYTES = 65_536
DATA_BYTES = 262_144
PAYLOAD_BYTES = 1 << 20
"""The most bytes of a line, of the JSON behind it, and of the sound behind that."""
_PORT = 10_200
_UNKNOWN = 1_000
"""Frames of other kinds before we stop listening."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One event: its type, what it says, and its sound."""

    type: str
    data: dict[str, JsonValue]
    payload: bytes = b""


class WyomingSpeaker:
    """A `Speaker` over a Wyoming server; a connection for each sentence, as its clients do."""

    def __init__(self, settings: SpeakerSettings) -> None:
        """Raises: SettingsError: the address cannot be used."""
        self._settings = settings
        try:
            url = URL(settings.url or "")
            self._host, self._port = url.host or "", url.port or _PORT
        except ValueError:
            self._host = ""
        if not self._host or url.scheme != "tcp" or url.path not in ("", "/"):
            raise SettingsError("`voice.speaker.url`: expected an address such as tcp://127.0.0.1:10200")

    @property
    def id(self) -> str:
        """The server, with the voices that were chosen."""
        voices = (f"{key}={name}" for key, name in self._settings.voices.items())
        return " ".join([f"wyoming at {self._host}:{self._port}", *voices])

    async def close(self) -> None:
        """Nothing is kept between sentences."""

    def speak(self, speech: Speech) -> AsyncGenerator[Samples, None]:
        """See `Speaker.speak`. Its pace is the server's own: the protocol cannot ask for another."""
        return paced(self._sound(speech), self._settings, self.id)

    async def _sound(self, speech: Speech) -> AsyncGenerator[Samples, None]:
        reader, writer = await self._connect()
        try:
            writer.write(frame_bytes(Frame("synthesize", self._asked(speech))))
            await writer.drain()
            sound = _Sound()
            async with aclosing(_frames(reader)) as frames:
                async for frame in frames:
                    if frame.type == "audio-stop":
                        break
                    piece = sound.take(frame)
                    if piece is not None:
                        yield piece
            yield sound.end()
        except OSError as error:
            raise _error(f"broke off ({type(error).__name__})") from None
        finally:
            writer.transport.abort()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            async with asyncio.timeout(self._settings.connect_s):
                return await asyncio.open_connection(self._host, self._port, limit=HEAD_BYTES)
        except (OSError, TimeoutError):
            raise _error(f"at {self._host}:{self._port} does not answer; is it running?") from None

    def _asked(self, speech: Speech) -> dict[str, JsonValue]:
        voices, base = self._settings.voices, speech.language.split("-")[0]
        name = speech.voice or voices.get(speech.language) or voices.get(base)
        voice: dict[str, JsonValue] = {"name": name} if name else {"language": speech.language}
        return {"text": without_emphasis(speech.text), "voice": voice}


class _Sound:
    """The sound of a sentence as its frames come."""

    def __init__(self) -> None:
        self._resampler: Resampler | None = None
        self._form: tuple[int, int, int] | None = None
        self._others = 0

    def take(self, frame: Frame) -> Samples | None:
        """The samples of a frame that has some.

        Raises:
            SkillError: the server tells of an error, or its sound is none that we know.
        """
        if frame.type == "error":
            raise _error("cannot say it; its own log tells why")
        if frame.type not in ("audio-start", "audio-chunk"):
            self._others += 1
            if self._others > _UNKNOWN:
                raise _error("sends anything but sound")
            return None
        self._begin(frame)
        return self._run(frame.payload) if frame.type == "audio-chunk" else None

    def end(self) -> Samples:
        """What is left of it."""
        return self._run(b"", last=True) if self._resampler else from_pcm16(b"")

    def _begin(self, frame: Frame) -> None:
        values = [frame.data.get(key) for key in ("rate", "width", "channels")]
        if not all(isinstance(value, int) for value in values):
            raise _error("sends sound of no rate, width or channels")
        rate, width, channels = form = cast(tuple[int, int, int], tuple(values))
        if self._form not in (None, form) or width != 2 or channels != 1:
            raise _error(f"sends sound with {channels} channels of {width} bytes at {rate} Hz; expected 1 of 2 bytes")
        try:
            self._resampler = self._resampler or Resampler(rate, RATE)
        except InputError:
            raise _error(f"sends sound at {rate} Hz") from None
        self._form = form

    def _run(self, payload: bytes, last: bool = False) -> Samples:
        assert self._resampler is not None
        try:
            return self._resampler.run(from_pcm16(payload), last)
        except InputError:
            raise _error("sends half a sample") from None


def frame_bytes(frame: Frame) -> bytes:
    """A frame as it is sent."""
    data = json.dumps(frame.data).encode()
    head: dict[str, JsonValue] = {"type": frame.type, "version": "1.0.0", "data_length": len(data)}
    return json.dumps(head).encode() + b"\n" + data


async def _frames(reader: asyncio.StreamReader) -> AsyncGenerator[Frame, None]:
    """The frames up to the end of the connection, which must not come before the sound's.

    Raises:
        SkillError: what comes is no frame, or too long for one.
    """
    while True:
        try:
            line = await reader.readuntil(b"\n")
            head = _object(line)
            data = _object(await reader.readexactly(_length(head, "data_length", DATA_BYTES)) or b"{}")
            payload = await reader.readexactly(_length(head, "payload_length", PAYLOAD_BYTES))
        except asyncio.IncompleteReadError:
            raise _error("broke off before the end of its sentence") from None
        except asyncio.LimitOverrunError:
            raise _error("sends a line without end") from None
        kind, inline = head.get("type"), head.get("data")
        if not isinstance(kind, str):
            raise _error("sends a frame without a type")
        yield Frame(kind, (inline if isinstance(inline, dict) else {}) | data, payload)


def _object(line: bytes) -> dict[str, JsonValue]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise _error("sends something that is no frame")
    return found


def _length(head: dict[str, JsonValue], key: str, most: int) -> int:
    length = head.get(key) or 0
    if not isinstance(length, int) or not 0 <= length <= most:
        raise _error(f"sends a frame with an impossible {key}")
    return length


def _error(what: str) -> SkillError:
    return SkillError(NAME, f"the Wyoming server {what}")
