"""Speech by a Wyoming server, such as Piper's.

Frames are read by the same guarded reader that hears callers: the `wyoming` package would wait for 100 GB if told so,
and take rubbish for the end. The protocol knows no key: name only servers of your own machine or network.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from pydantic import JsonValue
from yarl import URL

from bot.core.errors import InputError, SettingsError, SkillError
from bot.core.speech import Speech
from bot.sections import SpeakerSettings
from bot.sound import Samples
from bot.speaking.pace import NAME, paced
from connectors.voice.pcm import Pcm
from connectors.voice.wyoming_frames import LINE_BYTES, Event, frame, read_event
from skills.speakable import without_emphasis

_PORT = 10_200
_OTHERS = 1_000
"""Events that are no sound before we stop listening."""


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
        sound: Pcm | None = None
        try:
            writer.write(frame(Event("synthesize", self._asked(speech))))
            await writer.drain()
            while (event := await self._next(reader)).type != "audio-stop":
                sound = sound or Pcm.of(event.data)
                yield sound.samples(event.payload)
            if sound is not None:
                yield sound.end()
        except InputError as error:
            raise _error(f"sends what is no event with sound: {error}") from None
        except (OSError, TimeoutError) as error:
            raise _error(f"broke off ({type(error).__name__})") from None
        finally:
            writer.transport.abort()

    async def _next(self, reader: asyncio.StreamReader) -> Event:
        """The next event of sound, or its end."""
        for _ in range(_OTHERS):
            event = await read_event(reader, self._settings.between_s)
            if event is None:
                raise _error("broke off before the end of its sentence")
            if event.type == "error":
                raise _error("cannot say it; its own log tells why")
            if event.type in ("audio-start", "audio-chunk", "audio-stop"):
                return event
        raise _error("sends anything but sound")

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            async with asyncio.timeout(self._settings.connect_s):
                return await asyncio.open_connection(self._host, self._port, limit=LINE_BYTES)
        except (OSError, TimeoutError):
            raise _error(f"at {self._host}:{self._port} does not answer; is it running?") from None

    def _asked(self, speech: Speech) -> dict[str, JsonValue]:
        voices, base = self._settings.voices, speech.language.split("-")[0]
        name = speech.voice or voices.get(speech.language) or voices.get(base)
        voice: dict[str, JsonValue] = {"name": name} if name else {"language": speech.language}
        return {"text": without_emphasis(speech.text), "voice": voice}


def _error(what: str) -> SkillError:
    return SkillError(NAME, f"the Wyoming server {what}")
