"""When a speaker cannot say a sentence the next one does, but nobody says it twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass

import numpy as np
import pytest

from bot.core.errors import DeadlineExceeded, SkillError
from bot.core.speech import RATE, Speech
from bot.sections import SpeakerSettings, VoiceSettings
from bot.sound import Samples
from bot.speaking import check_speaker, open_speaker_of
from bot.speaking.chain import Chain
from bot.speaking.pace import MOST_SAMPLES, paced
from bot.speaking.spoken import Spoken
from tests.voice_speakers import ToneSpeaker, sound_of

YES = Speech("Yes.", voice="anna")


def failing(text: str, name: str = "first") -> ToneSpeaker:
    speaker = ToneSpeaker(name)
    speaker.fails = {text}
    return speaker


async def test_the_next_speaker_says_what_the_first_cannot() -> None:
    first, second = failing(YES.text), ToneSpeaker("second")
    chain = Chain([first, second])
    assert chain.id == "first | second"
    assert len(await sound_of(chain.speak(YES)))
    assert second.said == [Speech("Yes.")], "a voice by name is the first speaker's"


async def test_who_failed_is_left_alone_for_a_while() -> None:
    first, second = failing(YES.text), ToneSpeaker("second")
    chain = Chain([first, second], rest_s=60)
    for _ in range(3):
        await sound_of(chain.speak(YES))
    assert (len(first.said), len(second.said)) == (1, 3)
    again = Chain([first, second], rest_s=0)
    for _ in range(2):
        await sound_of(again.speak(YES))
    assert len(first.said) == 3


async def test_a_sentence_that_has_begun_is_not_begun_again() -> None:
    first, second = ToneSpeaker("first", 0.1), ToneSpeaker("second")
    first.breaks = {YES.text}
    with pytest.raises(SkillError, match="first"):
        await sound_of(Chain([first, second]).speak(YES))
    assert second.said == []


async def test_when_all_fail_the_last_one_tells_why() -> None:
    chain = Chain([failing(YES.text), failing(YES.text, "second")])
    for name in ("second", "second"):
        with pytest.raises(SkillError, match=name):
            await sound_of(chain.speak(YES))
    await chain.close()


@dataclass(frozen=True)
class Times:
    first_s: float = 0.05
    between_s: float = 0.05
    total_s: float = 5.0


async def said(*steps: Samples | float) -> AsyncGenerator[Samples, None]:
    """Pieces, and seconds of waiting between them."""
    for step in steps:
        if isinstance(step, float):
            await asyncio.sleep(step)
        else:
            yield step


SILENCE, TONE = np.zeros(RATE // 10, np.float32), np.full(RATE // 10, 0.5, np.float32)


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        ((1.0, TONE), "made no sound within 0.05 s"),
        ((SILENCE, 0.03, SILENCE, 1.0), "made no sound within 0.05 s"),
        ((TONE, 1.0, TONE), "did not go on within 0.05 s"),
    ],
)
async def test_what_is_late_is_given_up(steps: tuple[Samples | float, ...], why: str) -> None:
    with pytest.raises(DeadlineExceeded, match=why):
        await sound_of(paced(said(*steps), Times(), "it"))


async def test_what_takes_its_time_between_pieces_must_end_too() -> None:
    slow = said(TONE, *(0.01, TONE) * 50)
    with pytest.raises(DeadlineExceeded, match=r"did not end within 0\.1 s"):
        await sound_of(paced(slow, Times(between_s=5.0, total_s=0.1), "it"))


@pytest.mark.parametrize("steps", [(), (SILENCE, SILENCE), (TONE[:0],)])
async def test_silence_is_a_failure(steps: tuple[Samples, ...]) -> None:
    with pytest.raises(SkillError, match="no sound"):
        await sound_of(paced(said(*steps), Times(), "it"))


async def test_the_time_of_the_listener_does_not_count() -> None:
    sound = paced(said(*[TONE] * 4), Times(total_s=0.2), "it")
    async for _ in sound:
        await asyncio.sleep(0.07)


async def test_silence_before_the_first_sound_is_not_waited_for() -> None:
    found = await sound_of(paced(said(SILENCE, SILENCE, TONE, SILENCE), Times(), "it"))
    assert len(found) == RATE // 100 + 2 * len(TONE) and found[RATE // 100] == 0.5


async def test_an_endless_sound_is_given_up() -> None:
    endless = said(*[np.ones(RATE * 10, np.float32)] * 13)
    with pytest.raises(SkillError, match="does not end"):
        async for piece in paced(endless, Times(), "it"):
            assert len(piece) < MOST_SAMPLES


async def test_words_are_said_and_pauses_are_kept() -> None:
    tone = ToneSpeaker()
    sound = await sound_of(Spoken([tone]).speak(Speech('It is **5**<break time="250ms"/>✓ now')))
    assert [speech.text for speech in tone.said] == ["It is five", "now."]
    assert len(sound) == round((len("It is five") + len("now.")) * 0.01 * RATE) + RATE // 4


async def test_the_browser_speaks_for_itself() -> None:
    speaker = await open_speaker_of(VoiceSettings(speaker=SpeakerSettings(kind="browser")))
    assert not len(await sound_of(speaker.speak(YES)))
    await check_speaker(speaker)
    await speaker.close()


async def test_a_chain_is_opened_as_the_settings_say() -> None:
    far = SpeakerSettings(kind="wyoming", url="tcp://127.0.0.1:1", voices={"en": "amy"})
    speaker = await open_speaker_of(VoiceSettings(speaker=far, fallbacks=(SpeakerSettings(),)))
    assert speaker.id.startswith("wyoming at 127.0.0.1:1 en=amy | espeak-ng 1.")
    assert len(await sound_of(speaker.speak(YES)))
    (fault,) = await check_speaker(speaker)
    assert "is it running" in fault
    await speaker.close()


async def test_a_text_without_an_end_is_said_in_parts() -> None:
    tone = ToneSpeaker(seconds_per_character=0.0001)
    await sound_of(Spoken([tone]).speak(Speech("and so on " * 200 + "x" * 1_000)))
    assert max(len(speech.text) for speech in tone.said) <= 600
    assert " ".join(speech.text for speech in tone.said[:4]).startswith("and so on and so on")


async def test_a_speaker_that_is_not_there_fails_its_check() -> None:
    far = SpeakerSettings(kind="wyoming", url="tcp://127.0.0.1:1")
    with pytest.raises(SkillError, match="is it running"):
        await check_speaker(await open_speaker_of(VoiceSettings(speaker=far)))
