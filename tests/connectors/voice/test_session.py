"""Whole calls on a clock that jumps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from bot.core import events as ev
from bot.core.errors import SkillError
from bot.core.messages import Address, Audio
from connectors.voice.parts import Manners
from connectors.voice.session import Call
from tests.connectors.live import bot
from tests.fakes import MemoryStore, managing, models
from tests.fakes_voice import Hum, Listener, Phrasebook, parts, silence, speak, virtually

ADDRESS = Address(channel="voice", conversation="c", sender="caller")


class Talk:
    """A call to the bot of `tests.connectors.live`, which says the reply that the first word names."""

    def __init__(self, call: Call, wire: Listener, store: MemoryStore, book: Phrasebook, hum: Hum) -> None:
        self.call, self.wire, self.store, self.book, self.hum = call, wire, store, book, hum

    async def say(self, text: str, then: float = 1.0, seconds: float | None = None) -> None:
        await speak(self.call, self.book.sound(text, seconds))
        await speak(self.call, silence(then))

    def facts(self, kind: type[Any]) -> list[Any]:
        return [recorded.event for recorded in self.store.log if isinstance(recorded.event, kind)]


@asynccontextmanager
async def calling(*texts: str, hum: Hum | None = None, **changes: Any) -> AsyncIterator[Talk]:
    store, book, hum, wire = MemoryStore(), Phrasebook(*texts), hum or Hum(), Listener()
    async with managing(store, models(program=bot())) as manager:
        call = Call(wire, manager, parts(book, hum, hush=manager.hush, **changes), ADDRESS)
        wire.call = call
        await call.open()
        try:
            yield Talk(call, wire, store, book, hum)
        finally:
            await call.close()


def test_a_caller_is_heard_and_answered() -> None:
    async def scene() -> None:
        async with calling("plain thing") as talk:
            await talk.say("plain thing", then=2.0)
            assert talk.wire.of("final")[0]["text"] == "plain thing"
            assert talk.hum.said == ["Hi there."]
            received = talk.facts(ev.Received)[0]
            assert received.message.text == "plain thing" and received.channel == "voice"
            assert received.metadata["voice"]["model"] == "phrasebook"
            assert talk.facts(ev.Interrupted) == []
            stages = talk.wire.of("latency")[0]["seconds"]
            assert list(stages) == ["vad_stop", "asr_final", "eot", "nlu", "tts_ttfb", "playout"]
            assert stages["playout"] < 1.0

    virtually(scene())


def test_partial_words_are_told_while_somebody_speaks() -> None:
    async def scene() -> None:
        async with calling("plain thing") as talk:
            await talk.say("plain thing")
            assert talk.wire.of("partial")[0] == {"text": "plain thing"}

    virtually(scene())


def test_the_disclosure_comes_first_and_sound_is_kept_only_after_the_notice() -> None:
    async def scene() -> None:
        kept: list[bytes] = []

        async def keep(content: bytes) -> str:
            kept.append(content)
            return "0" * 64

        manners = Manners(disclosure="I am a machine.", record_notice="This is recorded.", record=True)
        async with calling("plain thing", manners=manners, keep=keep) as talk:
            await speak(talk.call, silence(3.0))
            assert talk.hum.said == ["I am a machine.", "This is recorded."]
            await talk.say("plain thing", then=2.0)
            _, sound = talk.facts(ev.Received)[0].message.parts
            assert isinstance(sound, Audio) and 1.0 < sound.seconds < 2.0
            assert kept[0][:4] == b"RIFF"

    virtually(scene())


def test_barge_in_stops_the_sound_and_notes_what_was_heard() -> None:
    async def scene() -> None:
        async with calling("split up", "plain thing") as talk:
            await talk.say("split up", then=0.9)
            before = asyncio.get_running_loop().time()
            await talk.say("plain thing", then=2.0)
            assert talk.wire.cleared[0] - before < 0.15
            (cut,) = talk.facts(ev.Interrupted)
            whole = "One.\n\nTwo.\n\nThree."
            assert cut.message == "1.1" and whole.startswith(cut.heard) and cut.heard != whole
            assert talk.hum.said[-1] == "Hi there."

    virtually(scene())


def test_noise_over_an_answer_holds_it_and_it_goes_on_where_it_stopped() -> None:
    async def scene() -> None:
        async with calling("split up") as talk:
            await talk.say("split up", then=0.9)
            await speak(talk.call, talk.book.sound("?", 0.3))
            await speak(talk.call, silence(5.0))
            assert len(talk.wire.cleared) == 1
            assert talk.facts(ev.Interrupted) == []
            whole = sum(map(len, talk.hum.said)) / 20
            assert abs(talk.wire.heard_seconds() - whole) < 0.01

    virtually(scene())


def test_a_silent_caller_is_asked_and_then_the_call_ends() -> None:
    async def scene() -> None:
        async with calling(manners=Manners(farewell="Bye.")) as talk:
            while not talk.call.over.is_set():
                await speak(talk.call, silence(1.0))
            assert talk.hum.said == ["Are you still there?", "Are you still there?", "Bye."]

    virtually(scene())


def test_keys_are_a_message() -> None:
    async def scene() -> None:
        async with calling() as talk:
            for key in "482#":
                await talk.call.key(key)
            await speak(talk.call, silence(1.0))
            assert talk.facts(ev.Received)[0].message.text == "482"

    virtually(scene())


def test_hanging_up_in_an_answer_notes_what_was_heard() -> None:
    async def scene() -> None:
        async with calling("split up") as talk:
            await talk.say("split up", then=0.9)
            await talk.call.close()
            (cut,) = talk.facts(ev.Interrupted)
            assert cut.heard in ("", "One.", "One.\n\nTwo.")
        assert talk.wire.of("ended")

    virtually(scene())


def test_a_recogniser_that_fails_is_told_and_the_call_goes_on() -> None:
    async def scene() -> None:
        async with calling("plain thing") as talk:
            talk.book.error = SkillError("recogniser", "is broken")
            await talk.say("plain thing", then=3.0)
            assert talk.wire.of("error")[0]["code"] == "skill_failed"
            assert talk.hum.said == ["Sorry, I did not catch that. Please say it again."]
            talk.book.error = None
            await talk.say("plain thing", then=2.0)
            assert talk.hum.said[-1] == "Hi there."

    virtually(scene())


def test_a_flood_is_taken_at_the_pace_of_speech() -> None:
    async def scene() -> None:
        async with calling() as talk:
            loop = asyncio.get_running_loop()
            begun = loop.time()
            for _ in range(120):
                await talk.call.hear(talk.book.sound("?", 0.1))
            assert loop.time() - begun > 7
            assert talk.call.buffered < 2**20

    virtually(scene())


def test_what_was_heard_is_what_was_played() -> None:
    """Whole sentences, and the whole words of the one that was cut: by the samples that left the loudspeaker."""

    async def scene(wait: float) -> tuple[str, str]:
        async with calling("split up", "plain thing") as talk:
            await talk.say("split up", then=wait)
            await talk.say("plain thing", then=1.0)
            (first, *_) = [fact for fact in talk.facts(ev.Interrupted) if fact.message == "1.1"]
            before = talk.wire.cleared[0]
            played = sum(min(end, before) - start for start, end in talk.wire.playing if start < before)
            whole = "One.\n\nTwo.\n\nThree."
            return first.heard, whole[: round(played * 20 + 1e-6)]

    for wait in (0.8, 0.95, 1.2):
        heard, played = virtually(scene(wait))
        words = [end for end in ("", "One.", "One.\n\nTwo.", "One.\n\nTwo.\n\nThree.") if played.startswith(end)]
        assert heard == words[-1], (wait, heard, played)


def test_a_turn_that_was_cut_off_is_joined_with_what_follows() -> None:
    async def scene() -> None:
        async with calling("plain", "thing", hum=Hum(latency=1.5)) as talk:
            await talk.say("plain", then=0.8)
            await talk.say("thing", then=4.0)
            assert [fact.message.text for fact in talk.facts(ev.Received)] == ["plain", "plain thing"]
            assert talk.hum.said == ["Hi there.", "Hi there."]
            assert [fact.heard for fact in talk.facts(ev.Interrupted)] == [""]

    virtually(scene())


def test_say_that_again_repeats_the_answer_and_one_moment_is_waited_for() -> None:
    async def scene() -> None:
        async with calling("plain thing", "say that again", "one moment") as talk:
            await talk.say("plain thing", then=2.5)
            await talk.say("say that again", then=2.5)
            await talk.say("one moment", then=2.0)
            assert talk.hum.said == ["Hi there.", "Hi there."]
            assert len(talk.facts(ev.Received)) == 1

    virtually(scene())


def test_a_typed_message_is_answered_aloud() -> None:
    async def scene() -> None:
        async with calling() as talk:
            await talk.call.say("plain thing")
            await speak(talk.call, silence(2.0))
            assert talk.hum.said == ["Hi there."]

    virtually(scene())
