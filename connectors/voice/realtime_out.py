"""What a Realtime session sends: the bot's side of a call in OpenAI's events.

Each answer is a response with one item, which holds the sound and its words. The protocol has no marks, so what was
played is told by the clock, or by a client's `conversation.item.truncate`.
"""

from __future__ import annotations

import asyncio
import base64
import uuid
from collections.abc import Callable
from typing import Any

from bot.core.errors import BotError
from bot.core.speech import RATE
from bot.sound import Resampler, Samples, to_pcm16
from connectors.voice.parts import News
from connectors.voice.session import Call
from connectors.voice.sockets import Peer


def _id(kind: str) -> str:
    return f"{kind}_{uuid.uuid4().hex[:24]}"


class RealtimeWire:
    """A `Wire` in OpenAI's events."""

    def __init__(self, peer: Peer, name: str, model: str) -> None:
        self.call: Call | None = None
        self._peer = peer
        self._formats = {"input": "audio/pcm", "output": "audio/pcm"}
        self._down = Resampler(RATE, 24_000)
        self._encode: Callable[[Samples], bytes] = to_pcm16
        self._name, self._model = name, model
        self._until = 0.0
        self._heard_item = self._last_item = ""
        self._response: dict[str, Any] | None = None
        self._words: list[str] = []

    @property
    def session(self) -> dict[str, Any]:
        """The session as it is told."""
        rates = {"audio/pcm": {"rate": 24_000}}
        audio = {way: {"format": {"type": kind, **rates.get(kind, {})}} for way, kind in self._formats.items()}
        vad = {"type": "server_vad", "create_response": True, "interrupt_response": True}
        audio["input"] |= {"turn_detection": vad, "transcription": {"model": self._model}}
        return {
            "type": "realtime", "object": "realtime.session", "id": self._name, "model": self._model,
            "output_modalities": ["audio"], "audio": audio, "tools": [], "instructions": "",
        }  # fmt: skip

    def format(self, way: str) -> str:
        """The format of the input or the output."""
        return self._formats[way]

    def set_formats(self, came: str, goes: str, rate: int, encode: Callable[[Samples], bytes]) -> None:
        """From now on sound goes out so."""
        self._formats = {"input": came, "output": goes}
        self._down, self._encode = Resampler(RATE, rate), encode

    async def say(self, kind: str, **fields: Any) -> None:
        """Send an event."""
        await self._peer.send({"type": kind, "event_id": _id("event"), **fields})

    async def fail(self, error: BotError, event_id: str | None) -> None:
        """Tell of an event that was not obeyed."""
        told = {"type": "invalid_request_error", "code": error.code, "message": str(error), "param": None}
        await self.say("error", error={**told, "event_id": event_id})

    async def typed(self, text: str) -> None:
        """A message that the client has written is taken."""
        content = [{"type": "input_text", "text": text}]
        item, before = self._item("user", "completed", content), self._last_item
        self._last_item = item["id"]
        await self.say("conversation.item.added", previous_item_id=before or None, item=item)
        await self.say("conversation.item.done", previous_item_id=before or None, item=item)

    # The wire

    async def play(self, samples: Samples) -> None:
        """Sound of the answer."""
        now = asyncio.get_running_loop().time()
        self._until = max(self._until, now) + len(samples) / RATE
        delta = base64.b64encode(self._encode(self._down.run(samples))).decode()
        await self.say("response.output_audio.delta", delta=delta, **await self._place())

    async def mark(self, name: str) -> None:
        """Reached when the time has passed that the sound takes."""
        if self.call is not None:
            asyncio.get_running_loop().call_at(self._until, self.call.marked, name)

    async def clear(self) -> None:
        """Clients stop playing at `input_audio_buffer.speech_started`."""
        self._until = 0.0
        await self.say("output_audio_buffer.cleared", response_id=self._response["id"] if self._response else None)

    async def tell(self, news: News) -> None:
        """News, as the events that fit them."""
        fields = news.fields
        match news.kind:
            case "speech_started":
                self._heard_item = _id("item")
                at = fields.get("at") or 0
                await self.say(
                    "input_audio_buffer.speech_started", audio_start_ms=round(_number(at)), item_id=self._heard_item
                )
            case "speech_stopped":
                end = round(_number(fields.get("at")))
                await self.say("input_audio_buffer.speech_stopped", audio_end_ms=end, item_id=self._heard_item)
            case "final":
                await self._heard(str(fields["text"]))
            case "say":
                self._words.append(str(fields["text"]))
                place = await self._place()
                await self.say("response.output_audio_transcript.delta", delta=fields["text"], **place)
            case "said" | "interrupted":
                await self._finish("cancelled" if news.kind == "interrupted" else "completed")
            case "error":
                told = {"type": "server_error", "code": fields["code"], "message": fields["message"], "param": None}
                await self.say("error", error={**told, "event_id": None})

    async def _heard(self, text: str) -> None:
        if not self._heard_item:
            return  # it was typed
        name, before, self._heard_item = self._heard_item, self._last_item or None, ""
        self._last_item = name
        item = self._item("user", "completed", [{"type": "input_audio", "transcript": text}], name)
        await self.say("input_audio_buffer.committed", item_id=name, previous_item_id=before)
        await self.say("conversation.item.added", previous_item_id=before, item=item)
        await self.say("conversation.item.done", previous_item_id=before, item=item)
        kind = "conversation.item.input_audio_transcription"
        await self.say(f"{kind}.delta", item_id=name, content_index=0, delta=text)
        usage = {"type": "duration", "seconds": 0}
        await self.say(f"{kind}.completed", item_id=name, content_index=0, transcript=text, usage=usage)

    # Responses

    async def _place(self) -> dict[str, Any]:
        """Where a piece of the answer belongs; its response begins with its first piece."""
        if self._response is None:
            self._response = {"id": _id("resp"), "object": "realtime.response", "status": "in_progress", "output": []}
            item, before = self._item("assistant", "in_progress", []), self._last_item or None
            self._response["item"] = item["id"]
            self._last_item = item["id"]
            told = {name: value for name, value in self._response.items() if name != "item"}
            await self.say("response.created", response=told)
            await self.say("response.output_item.added", response_id=self._response["id"], output_index=0, item=item)
            await self.say("conversation.item.added", previous_item_id=before, item=item)
            await self.say("response.content_part.added", part={"type": "audio", "transcript": ""}, **self._at())
        return self._at()

    def _at(self) -> dict[str, Any]:
        assert self._response is not None
        name = {"response_id": self._response["id"], "item_id": self._response["item"]}
        return {**name, "output_index": 0, "content_index": 0}

    async def _finish(self, status: str) -> None:
        if self._response is None:
            return
        at, text = self._at(), "".join(self._words).strip()
        self._words = []
        response, self._response = self._response, None
        done = "completed" if status == "completed" else "incomplete"
        item = self._item("assistant", done, [{"type": "output_audio", "transcript": text}], response["item"])
        await self.say("response.output_audio.done", **at)
        await self.say("response.output_audio_transcript.done", transcript=text, **at)
        await self.say("response.content_part.done", part={"type": "audio", "transcript": text}, **at)
        await self.say("response.output_item.done", response_id=response["id"], output_index=0, item=item)
        await self.say("conversation.item.done", previous_item_id=None, item=item)
        told = {"id": response["id"], "object": "realtime.response", "status": status, "output": [item]}
        details = {"type": "cancelled", "reason": "turn_detected"} if status == "cancelled" else None
        await self.say("response.done", response={**told, "status_details": details})

    def _item(self, role: str, status: str, content: list[dict[str, Any]], name: str = "") -> dict[str, Any]:
        made = {"id": name or _id("item"), "object": "realtime.item", "type": "message"}
        return {**made, "role": role, "status": status, "content": content}


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
