"""Turns that begin as sound, and answers that nobody listens to any more."""

from __future__ import annotations

import asyncio
from typing import Any

from bot.core import events as ev
from bot.core.messages import Address, Audio, Inbound, Message
from bot.core.speech import Heard
from bot.manager import ManagerLimits
from bot.models import Deadlines
from tests.fakes import MemoryStore, Shelf, eventually, inbound, managing, models, program

SOUND = Inbound(
    address=Address(channel="test", conversation="c", sender="ann"),
    message=Message(id="m", parts=(Audio(blob="0" * 64),)),
    key="k",
)


def found(store: MemoryStore, kind: type[Any]) -> list[Any]:
    return [recorded.event for recorded in store.log if isinstance(recorded.event, kind)]


async def hear(text: str, seconds: float = 0.0) -> tuple[list[str], MemoryStore]:
    """A voice note to a recogniser that hears this; what was answered, and the log."""
    store = MemoryStore()

    async def transcribe(blob: str) -> Heard:
        assert blob == "0" * 64
        await asyncio.sleep(seconds)
        return Heard(text, "en", 0.9, 0.1, model="r1")

    limits = ManagerLimits(deadlines=Deadlines(transcribe=0.05))
    async with managing(store, models(transcribe=transcribe), limits) as manager:
        outcome = await (await manager.submit(SOUND)).settled()
    return [message.text for message in outcome.messages], store


async def test_a_voice_note_is_transcribed_and_answered() -> None:
    said, store = await hear("hello there")
    assert said == ["Hello!"]
    assert found(store, ev.Transcribed) == [ev.Transcribed(text="hello there", language="en", bundle="r1")]


async def test_a_voice_note_without_words_is_asked_for_again() -> None:
    said, store = await hear("")
    assert len(said) == 1
    assert [event.action for event in found(store, ev.Predicted)] == ["rephrase"]


async def test_a_recogniser_that_hangs_fails_the_turn_visibly() -> None:
    said, store = await hear("late", seconds=5)
    assert (said, found(store, ev.Failed)[0].code) == (["Something broke."], "deadline_exceeded")


async def test_without_a_recogniser_sound_fails_visibly() -> None:
    store = MemoryStore()
    async with managing(store) as manager:
        outcome = await (await manager.submit(SOUND)).settled()
    assert [message.text for message in outcome.messages] == ["Something broke."]


async def test_an_answer_that_nobody_hears_is_worded_no_further() -> None:
    store, begun = MemoryStore(), asyncio.Event()

    async def word(*asked: Any) -> ev.Generated:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    worded = program().model_copy(update={"generates": True})
    async with managing(store, models(program=worded, retrieve=Shelf(), generate=word)) as manager:
        manager.hush("c")  # nothing is being worded yet
        receipt = await manager.submit(inbound("how long do returns take"))
        await begun.wait()
        manager.hush("c")
        outcome = await receipt.settled()
        await eventually(lambda: bool(found(store, ev.Settled)))
    assert [message.text for message in outcome.messages] == ["Thirty days."]
    assert found(store, ev.Generated)[0].fallback == "interrupted"
