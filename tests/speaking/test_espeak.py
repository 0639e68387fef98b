"""espeak-ng itself speaks; it must be installed (`make test` sees to it)."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path

import numpy as np
import psutil
import pytest

from bot.core.errors import SettingsError, SkillError
from bot.core.speech import RATE, Speaker, Speech
from bot.sections import SpeakerSettings, VoiceSettings
from bot.speaking import check_speaker, open_speaker_of
from bot.speaking.espeak import EspeakSpeaker
from tests.voice_speakers import sound_of

SENTENCE = "Your parcel is on its way and will arrive tomorrow."


async def opened(**settings: object) -> EspeakSpeaker:
    return await EspeakSpeaker.open(SpeakerSettings.model_validate(settings))


def empty(folder: Path) -> bool:
    return not any(folder.iterdir())


def children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if child.name() == "espeak-ng"]


async def test_a_sentence_is_heard() -> None:
    speaker = await opened()
    assert isinstance(speaker, Speaker) and speaker.id.startswith("espeak-ng 1.")
    sound = await sound_of(speaker.speak(Speech(SENTENCE)))
    assert sound.dtype == np.float32 and 2 < len(sound) / RATE < 5
    assert 0.2 < np.abs(sound).max() < 1 and np.abs(sound[: RATE // 20]).max() > 1e-3
    power = np.abs(np.fft.rfft(sound)) ** 2
    voice = slice(int(80 * len(sound) / RATE), int(4000 * len(sound) / RATE))
    assert power[voice].sum() > 0.9 * power.sum()


async def test_it_comes_in_pieces_while_it_is_made() -> None:
    async with aclosing((await opened()).speak(Speech(SENTENCE * 20))) as sound:
        first = await anext(sound)
        assert len(first) < RATE and children()


async def test_whoever_leaves_stops_the_process() -> None:
    async with aclosing((await opened()).speak(Speech(SENTENCE * 50))) as sound:
        await anext(sound)
        (process,) = children()
    assert not process.is_running()


async def test_a_cancelled_listener_stops_the_process() -> None:
    speaker = await opened()
    begun = asyncio.Event()

    async def listen() -> None:
        async for _ in speaker.speak(Speech(SENTENCE * 500)):
            begun.set()

    listening = asyncio.create_task(listen())
    await begun.wait()
    listening.cancel()
    await asyncio.wait([listening])
    assert listening.cancelled() and not children()


async def test_nothing_of_a_text_is_a_command_or_markup(tmp_path: Path) -> None:
    plain = await sound_of((await opened()).speak(Speech("and <break time='3s'/> &amp; --version")))
    assert 0.5 < len(plain) / RATE < 6
    await sound_of((await opened()).speak(Speech(f"-w {tmp_path}/x.wav <audio src='{tmp_path}'/> [[h@l'oU]]")))
    assert empty(tmp_path)


async def test_languages_voices_and_pace_are_heard() -> None:
    speaker = await opened(voices={"en": "en-us", "de": "de+f2"})
    sounds = [
        await sound_of(speaker.speak(speech))
        for speech in (
            Speech("hello there"),
            Speech("hello there", voice="en-gb"),
            Speech("hello there", "de"),
            Speech("hello there", rate=2.0),
            Speech("你好你好", "zh"),
        )
    ]
    assert len({len(sound) for sound in sounds}) == 5
    assert len(sounds[3]) < 0.7 * len(sounds[0])


async def test_the_letter_a_of_a_code_is_no_article() -> None:
    speaker = await opened()
    spelled, named = [
        await sound_of(speaker.speak(Speech(f"Gate {name} is open."))) for name in ("four A", "four eigh")
    ]
    assert len(spelled) == len(named)


async def test_emphasis_is_louder_or_longer() -> None:
    speaker = await opened()
    plain = await sound_of(speaker.speak(Speech("It is late today.")))
    stressed = await sound_of(speaker.speak(Speech("It is <emphasis> late </emphasis> today.")))
    assert len(stressed) != len(plain) and np.abs(stressed).max() < 1


@pytest.mark.parametrize("voice", ["nobody", "../../etc/passwd", "-w"])
async def test_an_unknown_voice_is_an_error(voice: str) -> None:
    with pytest.raises(SkillError, match="--voices"):
        await sound_of((await opened()).speak(Speech("Yes.", voice=voice)))


async def test_a_missing_program_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SettingsError, match="apt-get install espeak-ng"):
        await open_speaker_of(VoiceSettings())


async def test_a_program_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "espeak-ng"
    program.write_text('#!/bin/sh\n[ "$1" = --version ] || exec /bin/sleep 60\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    speaker = await opened(first_s=0.05)
    with pytest.raises(SkillError, match=r"made no sound within 0\.05 s"):
        await sound_of(speaker.speak(Speech("Yes.")))
    assert not [child for child in psutil.Process().children() if child.name() == "sleep"]


async def test_the_whole_chain_says_numbers_and_pauses() -> None:
    speaker = await open_speaker_of(VoiceSettings())
    await check_speaker(speaker)
    short = await sound_of(speaker.speak(Speech("It is **48213** 😀.")))
    paused = await sound_of(speaker.speak(Speech('It is <break time="1s"/>**48213** 😀.')))
    assert len(paused) > len(short) + 0.5 * RATE
    assert not len(await sound_of(speaker.speak(Speech("😀"))))
    await speaker.close()
