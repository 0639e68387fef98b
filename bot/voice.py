"""What a bot hears and speaks with: loaded only where calls are taken, and handed to the wires and to turns.

The recogniser runs in a thread of its own, for all calls together: utterances that wait at the same time are one batch.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bot.core.sentences import Sentences
from bot.core.speech import Heard, Recogniser, Speaker, Speech, Utterance
from bot.core.spelling import written
from bot.models import Models
from bot.runner import Runner, RunnerLimits
from bot.sections import VoiceSettings
from bot.sound import Samples, read_wav
from bot.turns import Timing
from connectors.voice.parts import Manners, Parts

if TYPE_CHECKING:
    from bot.app import Bot

MOST_SECONDS = 60.0
"""The longest voice note that is listened to."""
_BATCH = 8
_MOST_WORDS = 500
"""Spellings that the recogniser is told to expect."""


@dataclass(frozen=True, slots=True)
class Voice:
    """Ears and mouth of a bot. `transcribe` tells what is said in a stored sound, by its sha256."""

    parts: Parts
    transcribe: Callable[[str], Awaitable[Heard]]
    runner: Runner[Utterance, Heard]

    def ears(self, models: Models) -> Models:
        """The models, with ears for voice notes."""
        return replace(models, transcribe=self.transcribe)

    async def close(self) -> None:
        """Let go of threads, processes and connections."""
        self.runner.close()
        await self.parts.speaker.close()


async def open_voice(bot: Bot) -> Voice:
    """The ears and the mouth that the settings choose.

    Raises:
        BotError: a model, or a program that speaks, is missing; says what to do.
    """
    from bot.speaking import open_speaker_of
    from skills.speech import SpeechOptions, open_recogniser
    from skills.turn_end import Pause, TurnEnd
    from skills.voice_activity import VoiceActivity

    chosen = bot.settings.voice
    activity = await asyncio.to_thread(VoiceActivity.load)
    options = SpeechOptions(state=bot.settings.state_folder(bot.root) / "recognisers", voiced=activity.share)
    own = bot.root / chosen.recogniser
    recogniser = await asyncio.to_thread(open_recogniser, str(own) if own.is_file() else chosen.recogniser, options)
    head = TurnEnd.load()

    def ending(text: str, samples: Samples, spoken_ms: float, language: str) -> float:
        return head.run([Pause(text, samples, spoken_ms, language)])[0]

    speaker = await open_speaker_of(chosen)
    return voice_of(bot, recogniser, speaker, Parts(_deaf, speaker, activity.open, ending))


def voice_of(bot: Bot, recogniser: Recogniser, speaker: Speaker, parts: Parts) -> Voice:
    """A bot's voice from a recogniser and a speaker; detector and turn head are those of `parts`."""
    deadline = max(bot.settings.voice.deadline_s, bot.settings.runner.deadline_s)  # the latter is longer for `patient`
    runner = Runner(recogniser, RunnerLimits(max_batch=_BATCH, deadline=deadline))
    likely = likely_words(bot)

    def observe(conversation: str, turn: int, stage: str, seconds: float) -> None:
        bot.observe(Timing(conversation, turn, stage, seconds))

    whole = replace(
        parts,
        recognise=runner.run,
        speaker=speaker,
        words=lambda conversation: likely,
        keep=bot.store.put_blob,
        hush=bot.manager.hush,
        observe=observe,
        manners=manners_of(bot.settings.voice, bot.settings.server.notice, bot.settings.languages[0]),
    )

    async def transcribe(blob: str) -> Heard:
        sound = read_wav(await bot.store.get_blob(blob), MOST_SECONDS)
        heard = await runner.run(Utterance(sound, whole.manners.language, words=likely))
        return replace(heard, text=written(heard.text))

    return Voice(whole, transcribe, runner)


async def _deaf(utterance: Utterance) -> Heard:
    raise NotImplementedError


def manners_of(chosen: VoiceSettings, notice: str, language: str) -> Manners:
    """How calls are led, by the settings."""
    return Manners(
        disclosure=chosen.disclosure or notice,
        record_notice=chosen.record_notice,
        greeting=chosen.greeting,
        still_there=chosen.still_there,
        say_again=chosen.say_again,
        farewell=chosen.farewell,
        record=chosen.record,
        language=chosen.language or language,
        call_seconds=chosen.call_s,
    )


def likely_words(bot: Bot) -> tuple[str, ...]:
    """Spellings of the bot's own domain: what its lookups and synonyms hold, then the entities of its examples."""
    nlu = bot.loaded.project.nlu
    known: list[str] = [value for values in nlu.lookups.values() for value in values]
    known += [*nlu.synonyms.values(), *nlu.synonyms]
    known += [entity.text for example in nlu.examples for entity in example.entities]
    return tuple(dict.fromkeys(word for word in known if word.strip()))[:_MOST_WORDS]


def all_sound(pieces: Sequence[Samples]) -> Samples:
    """Pieces as one sound."""
    import numpy as np

    return np.concatenate([np.zeros(0, np.float32), *pieces])


async def said_aloud(parts: Parts, text: str) -> AsyncGenerator[Samples, None]:
    """A text, sentence by sentence, as its sound is made.

    Raises:
        SkillError: it could not be said.
    """
    manners = parts.manners
    for sentence in Sentences().end(text):
        async with aclosing(
            parts.speaker.speak(Speech(sentence, manners.language, manners.voice, manners.rate))
        ) as sound:
            async for samples in sound:
                yield samples
