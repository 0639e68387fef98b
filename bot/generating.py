"""Opens what words a bot's answers: a trained generator of its bundle, or a server that the settings name.

A generator of ours speaks once `bot train` has fine-tuned it and its gate has passed, for only then does the bundle
hold it. What a server writes goes through the same checks.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path

from bot.config import GeneratorSettings
from bot.core.errors import BotError
from bot.sections import ToneSettings
from bot.wording import Manner, Tone, Wording
from skills.decoder import Limits
from skills.generator_files import MERGED
from skills.guard import judges
from skills.local_generator import NAME, GeneratorOptions, LocalGenerator, open_generator
from skills.remote_generator import RemoteGenerator
from skills.speaking import Chain, supported
from skills.support_scorer import BASE, SupportScorer, TextStates

_log = logging.getLogger(__name__)
CONVERTED = "generators"
"""The folder of converted models in a bot's state."""


@dataclass(frozen=True, slots=True)
class Speaker:
    """A wording and the generator behind it."""

    wording: Wording
    generator: LocalGenerator | RemoteGenerator

    async def forget(self) -> None:
        """Keep nothing of earlier turns, once the texts under way have ended."""
        if isinstance(self.generator, LocalGenerator):
            await self.generator.forget()

    async def close(self) -> None:
        """End the texts under way."""
        await self.generator.close()


async def open_speaker(settings: GeneratorSettings, bundle: Path, state: Path, encoder: TextStates) -> Speaker | None:
    """What words the answers of a bot with the bundle in that folder; None if they are said as approved.

    `encoder` is the bot's: the support scorer reads sentences with it.

    Raises:
        BotError: there is one, and it cannot be used; says what to do.
    """
    folder = bundle / NAME / MERGED
    if not (settings.enabled and (settings.base_url or (settings.model and folder.is_dir()))):
        return None
    own = bundle / SupportScorer.name
    scorer = SupportScorer.load(own if own.is_dir() else BASE, encoder)
    generator: LocalGenerator | RemoteGenerator
    if settings.base_url:
        generator = await RemoteGenerator.connect(settings)
        await _look(generator)
    else:
        limits = Limits(kept=settings.memory_mib << 20)
        options = GeneratorOptions(state / CONVERTED, limits=limits)
        generator = await asyncio.to_thread(open_generator, str(folder), None, options)
    chain = Chain([*judges(settings.sites), ("support", supported), ("scorer", scorer.judge)], scorer.warm)
    return Speaker(Wording(generator, chain, _manner(settings)), generator)


async def _look(generator: RemoteGenerator) -> None:
    """Tell operators of a server that cannot be used. It may come later; until then answers are said as approved."""
    try:
        await generator.check()
    except BotError as error:
        _log.warning("answers are said as approved for now: %s", error)


def _manner(settings: GeneratorSettings) -> Manner:
    by_channel = {channel: _tone(tone) for channel, tone in settings.channels.items()}
    return Manner(_tone(settings.tone), by_channel, settings.max_tokens, settings.deadline_s)


def _tone(tone: ToneSettings) -> Tone:
    return Tone(tone.style, tone.sentences, tone.avoid, tone.instead)
