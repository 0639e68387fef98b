"""`/v1/audio/transcriptions` and `/v1/audio/speech`, as OpenAI's clients call them.

A file must be WAV; other formats are refused with what to send. Keys and quotas are those of `connectors.openai_api`.
What is transcribed or said here is no turn of a conversation and is not kept.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import aiohttp
from aiohttp import web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.streams import StreamReader
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from bot.core.errors import InputError
from bot.core.sentences import Sentences
from bot.core.speech import RATE, Heard, Speech, Utterance
from bot.core.spelling import written
from bot.sound import Resampler, read_wav, to_pcm16
from connectors.http import Answer, Call, Route
from connectors.openai_api_errors import Unsupported
from connectors.texts import VISIBLE
from connectors.voice.parts import Parts

TRANSCRIPTIONS, SPEECH = "/v1/audio/transcriptions", "/v1/audio/speech"
MOST_SECONDS = 600.0
API_RATE = 24_000
"""What OpenAI's `pcm` and `wav` have."""
_FIELDS = 40
Format = Literal["json", "text", "verbose_json", "srt", "vtt"]


class TranscribedWord(BaseModel):
    """A word and its time in seconds."""

    word: str
    start: float
    end: float


class Transcription(BaseModel):
    """What is said in a file; the last three are there when `verbose_json` was asked for."""

    text: str
    language: str | None = None
    duration: float | None = None
    words: list[TranscribedWord] | None = None


class SpeechRequest(BaseModel):
    """`POST /v1/audio/speech`. `model` and `voice` are taken as they come: the settings name who speaks."""

    model_config = ConfigDict(extra="ignore")

    model: str = Field(max_length=200)
    input: Annotated[str, StringConstraints(min_length=1, max_length=4_096, pattern=VISIBLE)]
    voice: str | dict[str, Any] = ""
    response_format: Literal["wav", "pcm", "mp3", "opus", "aac", "flac"] = "wav"
    speed: float = Field(default=1.0, ge=0.25, le=4.0)


@dataclass(frozen=True, slots=True)
class AudioApi:
    """The two operations. `admit` finds out who asks, and counts the request."""

    parts: Parts
    admit: Callable[[web.Request], None]

    def routes(self) -> Sequence[Route]:
        """The table."""
        common: dict[str, Any] = {"door": "key", "admit": self.admit, "large": True, "errors": (404, 429, 503)}
        form = "multipart/form-data"
        return (
            Route("POST", TRANSCRIPTIONS, self._transcribe, "What is said in a WAV file", {200: Transcription},
                  raw=form, **common),
            Route("POST", SPEECH, self._speak, "A text as sound", {200: "audio/wav"}, body=SpeechRequest, **common),
        )  # fmt: skip

    async def _transcribe(self, call: Call[bytes, None]) -> Answer | web.StreamResponse:
        fields = await form_fields(call.request.headers.get("Content-Type", ""), call.body)
        if "file" not in fields:
            raise Unsupported("the form needs a `file`, a WAV file", "file")
        form, language = _text(fields, "response_format") or "json", _text(fields, "language")
        if form not in Format.__args__:  # type: ignore[attr-defined]
            raise Unsupported("response_format is one of json, text, verbose_json, srt and vtt", "response_format")
        try:
            sound = read_wav(fields["file"], MOST_SECONDS)
        except InputError as error:
            raise Unsupported(str(error), "file") from None
        asked = Utterance(sound, language or self.parts.manners.language, _text(fields, "prompt"))
        return _told(await self.parts.recognise(asked), len(sound) / RATE, form)

    async def _speak(self, call: Call[SpeechRequest, None]) -> web.StreamResponse:
        body, manners = call.body, self.parts.manners
        if body.response_format not in ("wav", "pcm"):
            raise Unsupported("this bot's sound is wav or pcm; ask for response_format wav", "response_format")
        kind = "audio/wav" if body.response_format == "wav" else "audio/pcm"
        response = web.StreamResponse(headers={"Content-Type": kind})
        resampler, begun = Resampler(RATE, API_RATE), False
        for sentence in Sentences().end(body.input):
            speech = Speech(sentence, manners.language, manners.voice, manners.rate * body.speed)
            async with aclosing(self.parts.speaker.speak(speech)) as sound:
                async for samples in sound:
                    if not begun:  # only now: until here an error still has a status of its own
                        begun = await _begin(call.request, response)
                    await response.write(to_pcm16(resampler.run(samples)))
        if not begun:
            await _begin(call.request, response)
        await response.write_eof()
        return response


async def _begin(request: web.Request, response: web.StreamResponse) -> bool:
    await response.prepare(request)
    if response.content_type == "audio/wav":
        await response.write(endless_wav(API_RATE))
    return True


def endless_wav(rate: int) -> bytes:
    """The head of a mono PCM16 file whose length nobody knows yet, as players of streams expect it."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, rate * 2, 2, 16)
    return struct.pack("<4sI4s", b"RIFF", 0xFFFFFFFF, b"WAVE") + form + struct.pack("<4sI", b"data", 0xFFFFFFFF)


async def form_fields(content_type: str, body: bytes) -> dict[str, bytes]:
    """The fields of a multipart form.

    Raises:
        InputError: it is none.
    """
    if not content_type.lower().startswith("multipart/form-data"):
        raise InputError("expected multipart/form-data with a `file`")

    stream = StreamReader(BaseProtocol(asyncio.get_running_loop()), 2**16, loop=asyncio.get_running_loop())
    stream.feed_data(body)
    stream.feed_eof()
    found: dict[str, bytes] = {}
    try:
        reader = aiohttp.MultipartReader({"Content-Type": content_type}, stream)
        for _ in range(_FIELDS):
            part = await reader.next()
            if part is None:
                return found
            if not isinstance(part, aiohttp.BodyPartReader):
                break
            found[part.name or ""] = bytes(await part.read(decode=True))
    except (ValueError, RuntimeError, AssertionError, aiohttp.ClientError, web.HTTPException) as error:
        raise InputError(f"the form cannot be read: {str(error)[:100] or type(error).__name__}") from None
    raise InputError(f"expected a flat form of at most {_FIELDS} fields")


def _text(fields: dict[str, bytes], name: str) -> str:
    return fields.get(name, b"").decode("utf-8", "replace")[:2_000]


def _told(heard: Heard, seconds: float, form: str) -> Answer | web.StreamResponse:
    text = written(heard.text)
    if form in ("json", "verbose_json"):
        whole = Transcription(text=text)
        if form == "verbose_json":
            words = [TranscribedWord(word=one.text, start=one.start, end=one.end) for one in heard.words]
            whole = Transcription(text=text, language=heard.language, duration=seconds, words=words)
        return Answer(200, whole)
    if form == "text":
        return web.Response(text=text + "\n")
    srt = form == "srt"
    span = f"{_time(0, srt)} --> {_time(seconds, srt)}"
    body = f"1\n{span}\n{text}\n" if srt else f"WEBVTT\n\n{span}\n{text}\n"
    return web.Response(text=body, content_type="text/plain" if srt else "text/vtt")


def _time(seconds: float, comma: bool) -> str:
    whole = round(seconds * 1000)
    text = f"{whole // 3_600_000:02}:{whole // 60_000 % 60:02}:{whole // 1000 % 60:02}.{whole % 1000:03}"
    return text.replace(".", ",") if comma else text
