"""What was said before is not made again; what several need at once is made once."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import numpy as np
import pytest

from bot.core.errors import SkillError
from bot.core.speech import Speech
from bot.speaking.cache import Cached, Sounds
from tests.voice_speakers import ToneSpeaker, sound_of

HELLO = Speech("Hello, how can I help?")


async def test_a_sentence_is_made_once_and_sounds_the_same() -> None:
    tone = ToneSpeaker()
    cached = Cached(tone, Sounds(1 << 20))
    first, again = [await sound_of(cached.speak(HELLO)) for _ in range(2)]
    assert tone.said == [HELLO] and np.abs(first - again).max() < 1e-4


async def test_voice_language_and_pace_are_part_of_the_key() -> None:
    tone = ToneSpeaker()
    cached = Cached(tone, Sounds(1 << 20))
    for speech in (HELLO, Speech(HELLO.text, "de"), Speech(HELLO.text, voice="x"), Speech(HELLO.text, rate=2.0)):
        await sound_of(cached.speak(speech))
    assert len(tone.said) == 4


async def test_speakers_do_not_speak_for_one_another() -> None:
    sounds, one, other = Sounds(1 << 20), ToneSpeaker("one"), ToneSpeaker("other")
    for speaker in (one, other, one):
        await sound_of(Cached(speaker, sounds).speak(HELLO))
    assert [len(one.said), len(other.said)] == [1, 1]


async def test_memory_has_a_bound_and_the_oldest_go_first() -> None:
    tone, sounds = ToneSpeaker(), Sounds(40_000)
    cached = Cached(tone, sounds)
    for text in ("a" * 20, "b" * 20, "c" * 20, "a" * 20, "d" * 20, "e" * 20, "f" * 20, "g" * 20, "a" * 20, "b" * 20):
        await sound_of(cached.speak(Speech(text)))
    assert [speech.text[0] for speech in tone.said] == list("abcdefgb") and sounds.used <= 40_000


async def test_a_very_long_sound_does_not_push_out_the_others() -> None:
    tone, sounds = ToneSpeaker(), Sounds(40_000)
    cached = Cached(tone, sounds)
    await sound_of(cached.speak(HELLO))
    await sound_of(cached.speak(Speech("x" * 200)))
    await sound_of(cached.speak(HELLO))
    assert len(tone.said) == 2


async def test_callers_at_once_hear_one_making() -> None:
    tone = ToneSpeaker(delay_s=0.001)
    cached = Cached(tone, Sounds(1 << 20))
    sounds = await asyncio.gather(*(sound_of(cached.speak(HELLO)) for _ in range(5)))
    assert tone.said == [HELLO] and all(np.array_equal(sound, sounds[0]) for sound in sounds)


async def test_one_who_leaves_does_not_stop_the_others() -> None:
    tone = ToneSpeaker(delay_s=0.001)
    cached = Cached(tone, Sounds(0))
    other = asyncio.create_task(sound_of(cached.speak(HELLO)))
    async with aclosing(cached.speak(HELLO)) as sound:
        await anext(sound)
    assert len(await other) == sum(map(len, tone.pieces(HELLO.text))) and len(tone.said) == 1


async def test_the_last_who_leaves_stops_the_work() -> None:
    tone = ToneSpeaker(delay_s=0.001)
    cached = Cached(tone, Sounds(1 << 20))
    async with aclosing(cached.speak(HELLO)) as sound:
        await anext(sound)
    assert tone.left == [HELLO.text]
    assert len(await sound_of(cached.speak(HELLO))) and len(tone.said) == 2


async def test_a_failure_reaches_all_and_is_not_kept() -> None:
    tone = ToneSpeaker(delay_s=0.001)
    tone.breaks = {HELLO.text}
    cached = Cached(tone, Sounds(1 << 20))
    found = await asyncio.gather(*(sound_of(cached.speak(HELLO)) for _ in range(2)), return_exceptions=True)
    assert [type(error) for error in found] == [SkillError, SkillError]
    tone.breaks = set()
    assert len(await sound_of(cached.speak(HELLO)))


async def test_closing_ends_what_is_being_said() -> None:
    tone = ToneSpeaker(delay_s=0.01)
    cached = Cached(tone, Sounds(1 << 20))
    listening = asyncio.create_task(sound_of(cached.speak(HELLO)))
    await asyncio.sleep(0.005)
    await cached.close()
    with pytest.raises(SkillError, match="was closed"):
        await listening
    assert tone.closed
