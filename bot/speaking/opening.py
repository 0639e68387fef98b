"""The speakers that the settings name, put together."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from bot.core.errors import BotError, SkillError
from bot.core.speech import Speaker, Speech
from bot.sections import SpeakerSettings, VoiceSettings
from bot.sound import Samples
from bot.speaking.cache import Cached, Sounds
from bot.speaking.chain import Chain
from bot.speaking.espeak import EspeakSpeaker
from bot.speaking.openai import OpenAISpeaker
from bot.speaking.spoken import Spoken
from bot.speaking.wyoming import WyomingSpeaker

_MIB = 1 << 20


class Silent:
    """The caller's own browser speaks; on other wires nothing is said."""

    id = "browser"

    async def close(self) -> None:
        """There is nothing to close."""

    async def speak(self, speech: Speech) -> AsyncGenerator[Samples, None]:
        """No sound."""
        nothing: tuple[Samples, ...] = ()
        for piece in nothing:
            yield piece


async def open_speaker_of(settings: VoiceSettings) -> Speaker:
    """What the settings name, with its fallbacks and the memory of what was said. Close it at the end.

    Servers are not asked yet; `check_speaker` does.

    Raises:
        SettingsError: espeak-ng is not installed, or an address cannot be used; says what to do.
    """
    if settings.speaker.kind == "browser":
        return Silent()
    opened: list[Speaker] = []
    try:
        for chosen in (settings.speaker, *settings.fallbacks):
            if chosen.kind != "browser":
                opened.append(await _engine(chosen))
    except BotError:
        for speaker in opened:
            await speaker.close()
        raise
    sounds = Sounds(settings.speaker.cache_mib * _MIB)
    return Spoken(Chain([Cached(speaker, sounds) for speaker in opened]))


async def _engine(settings: SpeakerSettings) -> Speaker:
    if settings.kind == "wyoming":
        return WyomingSpeaker(settings)
    if settings.kind == "openai":
        return await OpenAISpeaker.connect(settings)
    return await EspeakSpeaker.open(settings)


async def check_speaker(speaker: Speaker, language: str = "en") -> None:
    """Say a word and listen.

    Raises:
        SkillError: nobody of the chain can speak.
    """
    if isinstance(speaker, Silent):
        return
    async with aclosing(speaker.speak(Speech("Yes.", language))) as sound:
        async for _ in sound:
            return
    raise SkillError("speaker", f"{speaker.id} gave no sound")
