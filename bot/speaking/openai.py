"""Speech by an OpenAI-compatible server: `POST /v1/audio/speech`, PCM as it is made.

The server is a stranger, as in `skills.remote_generator`: every wait has a deadline, what it sends is bounded, and what
it says beyond its status is not repeated. Redirects are not followed; proxies and cookies of the environment are not
used. It is not asked twice: the next speaker of the chain is quicker than a second try.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator

import aiohttp
from pydantic import JsonValue
from yarl import URL

from bot.core.errors import SkillError
from bot.core.speech import RATE, Speech
from bot.sections import SpeakerSettings
from bot.sound import Resampler, Samples, from_pcm16
from bot.speaking.pace import NAME, paced
from skills.remote_address import checked_address, checked_key
from skills.speakable import without_emphasis

SENT_RATE = 24_000
"""Samples a second of the form `pcm`, as OpenAI defines it: 16 bits, little endian, mono."""
_VOICE = "alloy"
_KEY = "voice.speaker.api_key"
_BUFFER = 65_536
_SLOWEST, _FASTEST = 0.25, 4.0


class OpenAISpeaker:
    """A `Speaker` over a server. Used from one event loop; close it at the end."""

    def __init__(self, settings: SpeakerSettings, base: URL, session: aiohttp.ClientSession) -> None:
        self._settings, self._base, self._session = settings, base, session

    @classmethod
    async def connect(cls, settings: SpeakerSettings) -> OpenAISpeaker:
        """A speaker for the server that the settings name; it is not asked yet.

        Raises:
            SettingsError: the address or the key cannot be used; says what to change.
        """
        base = checked_address(settings.url or "", "voice.speaker.url", settings.api_key, _KEY)
        headers = {"Accept-Encoding": "identity"}
        if settings.api_key is not None:
            headers["Authorization"] = f"Bearer {checked_key(settings.api_key, _KEY)}"
        session = aiohttp.ClientSession(
            headers=headers,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            read_bufsize=_BUFFER,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=settings.connect_s),
            trust_env=False,
        )
        return cls(settings, base, session)

    @property
    def id(self) -> str:
        """The model and its server, with the voices that were chosen."""
        voices = (f"{key}={name}" for key, name in self._settings.voices.items())
        return " ".join([f"{self._settings.model} at {self._base.host}:{self._base.port}", *voices])

    async def close(self) -> None:
        """Let go of all connections; sentences under way end with an error."""
        await self._session.close()

    def speak(self, speech: Speech) -> AsyncGenerator[Samples, None]:
        """See `Speaker.speak`. Closing it closes the connection, which stops the server's work."""
        return paced(self._sound(speech), self._settings, self.id)

    async def _sound(self, speech: Speech) -> AsyncGenerator[Samples, None]:
        resampler, rest = Resampler(SENT_RATE, RATE), b""
        url = self._base / "audio" / "speech"
        try:
            async with self._session.post(url, json=self._body(speech), allow_redirects=False) as response:
                _expect(response)
                async for part in response.content.iter_any():
                    part = rest + part
                    even = len(part) // 2 * 2
                    rest = part[even:]
                    yield resampler.run(from_pcm16(part[:even]))
        except (aiohttp.ClientError, OSError) as error:
            raise SkillError(NAME, f"the server at {self._base} failed ({type(error).__name__})") from None
        yield resampler.run(from_pcm16(b""), last=True)

    def _body(self, speech: Speech) -> dict[str, JsonValue]:
        voices, base = self._settings.voices, speech.language.split("-")[0]
        return {
            "model": self._settings.model,
            "input": without_emphasis(speech.text),
            "voice": speech.voice or voices.get(speech.language) or voices.get(base) or _VOICE,
            "response_format": "pcm",
            "speed": min(max(speech.rate * self._settings.rate, _SLOWEST), _FASTEST),
        }


def _expect(response: aiohttp.ClientResponse) -> None:
    """Raises: SkillError: the server refuses, or answers with something else than sound."""
    status, media = response.status, response.content_type
    if status in (401, 403):
        raise _error(f"answers {status}: it does not take the key; check `voice.speaker.api_key`")
    if 300 <= status < 400:
        raise _error(f"answers {status}: it sends us elsewhere; put the right address into `voice.speaker.url`")
    if status == 404:
        raise _error("answers 404: no such address, model or voice; check `voice.speaker`")
    if status != 200:
        raise _error(f"answers {status}; its own log tells why")
    if not media.startswith(("audio/", "application/octet-stream")) or media in ("audio/mpeg", "audio/wav"):
        raise _error(f"answers with {media[:60]!r}, not with the PCM it was asked for; check `voice.speaker.url`")
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise _error("answers with compressed sound, though it was asked not to")


def _error(what: str) -> SkillError:
    return SkillError(NAME, f"the server {what}")
