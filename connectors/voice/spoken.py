"""What a caller said, as the message that goes to the log."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

import structlog
from pydantic import JsonValue

from bot.core.errors import BotError
from bot.core.messages import Address, Audio, Inbound, Message, Part, Text
from bot.core.speech import RATE, Heard, Utterance
from bot.sound import Samples, write_wav
from connectors.voice.parts import Parts
from connectors.voice.tape import Tape

_log = structlog.get_logger("understudy.voice")
_MOST_WORDS = 100
_END_MS = 2_000.0
"""Sound by whose end it is told whether a turn is over."""


async def recognise(parts: Parts, conversation: str, sound: Samples) -> Heard:
    """What is said in a sound.

    Raises:
        BotError: it could not be recognised.
    """
    words = tuple(parts.words(conversation))
    return await parts.recognise(Utterance(sound, parts.manners.language, words=words))


def likely_over(parts: Parts, heard: Heard, tape: Tape, start: float, end: float) -> float | None:
    """The probability that the turn from `start` to `end` (ms) is over; None where nobody tells."""
    if parts.ending is None:
        return None
    sound = tape.cut(max(start, end - _END_MS), end)
    return parts.ending(heard.text, sound, end - start, heard.language or parts.manners.language)


async def kept(parts: Parts, sound: Samples | None) -> Audio | None:
    """The sound in the blob store; None if it is not to be there, or could not be kept."""
    if sound is None or parts.keep is None:
        return None
    try:
        return Audio(blob=await parts.keep(write_wav(sound)), seconds=len(sound) / RATE)
    except BotError as error:
        _log.warning("sound_not_kept", code=error.code)
        return None


def message_of(
    address: Address, text: str, heard: Heard, seconds: Mapping[str, float], sound: Audio | None = None
) -> Inbound:
    """A message with what the recogniser said of it in its metadata; `seconds` are the stages so far."""
    key = uuid.uuid4().hex
    parts: list[Part] = [Text(text=text), *([sound] if sound else [])]
    words: list[JsonValue] = [[one.text, one.start, one.end, one.probability] for one in heard.words[:_MOST_WORDS]]
    told: dict[str, JsonValue] = {
        "heard": heard.text,
        "language": heard.language,
        "confidence": heard.confidence,
        "no_speech": heard.no_speech,
        "model": heard.model,
        "words": words,
        "seconds": dict(seconds),
    }
    message = Message(id=f"u.{key}", parts=tuple(parts))
    return Inbound(address=address, message=message, key=key, metadata={"voice": told})
