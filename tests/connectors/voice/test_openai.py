"""OpenAI's audio addresses and its Realtime socket, with the official client."""

from __future__ import annotations

import asyncio
import base64
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import openai
import pytest
from aiohttp import web

from bot.core import events as ev
from bot.sound import read_wav, resample, to_pcm16, write_wav
from connectors.openai_api_errors import WrongKey
from connectors.voice.realtime import RealtimeOffer
from tests.connectors.voice.served import Served, serving
from tests.fakes_voice import silence

KEY = "us-right"


def admit(request: web.Request) -> None:
    if request.headers.get("Authorization") != f"Bearer {KEY}":
        raise WrongKey("the key is wrong")


@dataclass
class Keyed:
    served: Served
    client: openai.AsyncOpenAI

    def other(self, key: str) -> openai.AsyncOpenAI:
        return self.client.with_options(api_key=key)


@asynccontextmanager
async def keyed() -> AsyncIterator[Keyed]:
    async with serving("plain thing", "split up", realtime=RealtimeOffer("kettle", admit)) as served:
        address = f"127.0.0.1:{served.port}/v1"
        client = openai.AsyncOpenAI(
            api_key=KEY, base_url=f"http://{address}", websocket_base_url=f"ws://{address}", max_retries=0
        )
        try:
            yield Keyed(served, client)
        finally:
            await client.close()


def wav(served: Served, text: str) -> tuple[str, bytes]:
    return "question.wav", write_wav(served.book.sound(text))


async def test_a_file_is_transcribed() -> None:
    async with keyed() as api:
        create = api.client.audio.transcriptions.create
        plain = await create(model="whisper-1", file=wav(api.served, "plain thing"))
        assert plain.text == "plain thing"
        told = await create(model="whisper-1", file=wav(api.served, "plain thing"), response_format="verbose_json")
        assert (told.language, told.duration) == ("en", 1.0)
        subtitles = await create(model="whisper-1", file=wav(api.served, "plain thing"), response_format="vtt")
        assert subtitles == "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\nplain thing\n"


async def test_a_text_is_said_as_wav_and_as_pcm() -> None:
    async with keyed() as api:
        create = api.client.audio.speech.create
        said = await create(model="tts-1", voice="alloy", input="Hello you. Bye.", response_format="wav")
        seconds = len("Hello you. Bye.") / 20
        assert abs(len(read_wav(said.content)) / 16_000 - seconds) < 0.02
        raw = await create(model="tts-1", voice="alloy", input="Hello you.", response_format="pcm")
        assert abs(len(raw.content) / 48_000 - len("Hello you.") / 20) < 0.02


async def test_what_cannot_be_done_is_refused_in_openais_shape() -> None:
    async with keyed() as api:
        with pytest.raises(openai.BadRequestError) as refused:
            await api.client.audio.speech.create(model="m", voice="alloy", input="x", response_format="mp3")
        assert refused.value.param == "response_format"
        with pytest.raises(openai.BadRequestError) as refused:
            await api.client.audio.transcriptions.create(model="m", file=("song.wav", b"ID3 no sound"))
        assert refused.value.param == "file"
        with pytest.raises(openai.AuthenticationError):
            await api.other("us-wrong").audio.speech.create(model="m", voice="alloy", input="x")


@pytest.mark.parametrize(
    "body", [b"", b"--b", b"--b\r\n\r\nx", b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--"]
)
async def test_a_broken_form_is_a_bad_request(body: bytes) -> None:
    async with keyed() as api:
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "multipart/form-data; boundary=b"}
        async with api.served.http.post("/v1/audio/transcriptions", data=body, headers=headers) as answer:
            assert answer.status == 400 and (await answer.json())["error"]["code"]


async def events(connection: Any, last: str) -> list[Any]:
    found: list[Any] = []
    async with asyncio.timeout(10):
        while not found or found[-1].type != last:
            found.append(await connection.recv())
    return found


async def test_a_realtime_session_hears_and_answers() -> None:
    async with keyed() as api, api.client.realtime.connect(model="kettle") as connection:
        sound = [api.served.book.sound("plain thing"), silence(1.0)]
        for one in sound:
            pcm = to_pcm16(resample(one, 16_000, 24_000))
            for start in range(0, len(pcm), 24_000):
                audio = base64.b64encode(pcm[start : start + 24_000]).decode()
                await connection.input_audio_buffer.append(audio=audio)
        found = await events(connection, "response.done")
    kinds = [event.type for event in found]
    assert kinds[0] == "session.created"
    order = ["input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped", "input_audio_buffer.committed",
             "conversation.item.input_audio_transcription.completed", "response.created",
             "response.output_audio.delta", "response.output_audio.done", "response.done"]  # fmt: skip
    places = [kinds.index(kind) for kind in order]
    assert places == sorted(places)
    heard = next(event for event in found if event.type == "conversation.item.input_audio_transcription.completed")
    assert heard.transcript == "plain thing"
    words = "".join(event.delta for event in found if event.type == "response.output_audio_transcript.delta")
    pcm = b"".join(base64.b64decode(e.delta) for e in found if e.type == "response.output_audio.delta")
    assert words == "Hi there." and abs(len(pcm) / 48_000 - len(words) / 20) < 0.02
    assert api.served.facts(ev.Received)[0].channel == "realtime"


async def test_a_typed_message_is_answered_aloud_and_can_be_cut_short() -> None:
    async with keyed() as api, api.client.realtime.connect(model="kettle") as connection:
        content: Any = [{"type": "input_text", "text": "split up"}]
        await connection.conversation.item.create(item={"type": "message", "role": "user", "content": content})
        await connection.response.create()
        await events(connection, "response.output_audio.delta")
        await connection.conversation.item.truncate(item_id="x", content_index=0, audio_end_ms=210)
        found = await events(connection, "response.done")
    assert found[-1].response.status == "cancelled"
    assert api.served.facts(ev.Interrupted)[0].heard == "One."


async def test_events_that_make_no_sense_are_errors_and_the_session_goes_on() -> None:
    async with keyed() as api, api.client.realtime.connect(model="kettle") as connection:
        wrong: list[Any] = [
            {"type": "never"}, {"type": "input_audio_buffer.append", "audio": "%%"}, {"type": "session.update"},
            {"type": "response.create"}, {"type": "conversation.item.create", "item": {"type": "function_call_output"}},
            {"type": "conversation.item.truncate", "audio_end_ms": "5"},
            {"type": "session.update", "session": {"audio": {"input": {"format": {"type": "audio/mp3"}}}}},
        ]  # fmt: skip
        for number, event in enumerate(wrong):
            await connection.send({**event, "event_id": f"e{number}"})
            (*_, error) = await events(connection, "error")
            assert error.error.event_id == f"e{number}"
        await connection.send({"type": "session.update", "session": {"type": "realtime"}})
        await events(connection, "session.updated")


async def test_another_model_and_a_wrong_key_get_no_session() -> None:
    async with keyed() as api:
        for client, model in ((api.client, "gpt"), (api.other("us-wrong"), "kettle")):
            with pytest.raises(Exception, match=r"40[14]"):
                async with client.realtime.connect(model=model):
                    pass


def test_an_endless_head_can_be_read() -> None:
    from connectors.voice.audio_api import endless_wav

    assert len(read_wav(io.BytesIO(endless_wav(24_000) + bytes(48_000)).getvalue())) == 16_000
