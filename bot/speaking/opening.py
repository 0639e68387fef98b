"""The speakers that the settings name, put together."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from bot.core.errors import BotError, SkillError
from bot.core.speech import Speaker, Speech
from bot.sections import SpeakerSettings, VoiceSettings
from bot.sound import Samples
from bot.speaking.cache import Cached, Sounds
from bot.speaking.espeak import EspeakSpeaker
from bot.speaking.openai import OpenAISpeaker
from bot.speaking.pace import NAME
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
    return Spoken([Cached(speaker, sounds) for speaker in opened])


async def _engine(settings: SpeakerSettings) -> Speaker:
    if settings.kind == "wyoming":
        return WyomingSpeaker(settings)
    if settings.kind == "openai":
        return await OpenAISpeaker.connect(settings)
    return await EspeakSpeaker.open(settings)


async def check_speaker(speaker: Speaker, language: str = "en") -> list[str]:
    """Let everybody of the chain say a word; gives what is wrong with those that cannot.

    Raises:
        SkillError: nobody can.
    """
    if isinstance(speaker, Silent):
        return []
    chain = speaker.speakers if isinstance(speaker, Spoken) else (speaker,)
    faults = [fault for one in chain if (fault := await _fault(one, language))]
    if len(faults) == len(chain):
        raise SkillError(NAME, "; ".join(faults))
    return faults


async def _fault(speaker: Speaker, language: str) -> str:
    try:
        async with aclosing(speaker.speak(Speech("Yes.", language))) as sound:
            await anext(sound)
    except SkillError as error:
        return str(error).removeprefix(f"skill {NAME!r}: ")
    return ""
