"""The wires of calls for a running bot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.limits import Limits
from connectors.voice.channel import VoiceChannel, VoiceOffer

if TYPE_CHECKING:
    from bot.app import Bot
    from bot.voice import Voice


def voice_channel(bot: Bot, voice: Voice, limits: Limits) -> VoiceChannel:
    """What is called over HTTP."""
    return VoiceChannel(limits, VoiceOffer(voice.parts, calls=bot.settings.voice.calls))
