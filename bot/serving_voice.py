"""The wires of calls for a running bot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.errors import SettingsError
from bot.sections import VoiceSettings
from connectors.limits import Limits
from connectors.openai_api import OpenAIChannel
from connectors.voice.channel import VoiceChannel, VoiceOffer
from connectors.voice.parts import Parts
from connectors.voice.realtime import RealtimeOffer
from connectors.voice.twilio import TwilioOffer
from connectors.voice.wyoming import WyomingOffer

if TYPE_CHECKING:
    from bot.app import Bot
    from bot.voice import Voice


def voice_channel(bot: Bot, voice: Voice, limits: Limits, keyed: OpenAIChannel) -> VoiceChannel:
    """What is called over HTTP, and Wyoming where it has a port. Keys and quotas are those of `keyed`.

    Raises:
        SettingsError: the settings for Twilio are incomplete.
    """
    chosen = bot.settings.voice
    offer = VoiceOffer(
        voice.parts,
        calls=chosen.calls,
        twilio=twilio_offer(chosen),
        wyoming=_wyoming(bot, voice.parts, chosen),
        realtime=RealtimeOffer(keyed.model, keyed.admit),
    )
    return VoiceChannel(limits, offer)


def twilio_offer(chosen: VoiceSettings) -> TwilioOffer | None:
    """What calls from Twilio need; None where there are none.

    Raises:
        SettingsError: half of it is missing.
    """
    if chosen.twilio_token is None:
        return None
    if chosen.public_url is None:
        raise SettingsError("`voice.twilio_token` needs `voice.public_url`, the address that Twilio calls: wss://...")
    return TwilioOffer(chosen.twilio_token.get_secret_value(), chosen.public_url)


def _wyoming(bot: Bot, parts: Parts, chosen: VoiceSettings) -> WyomingOffer | None:
    if chosen.wyoming_port is None:
        return None
    name, languages = bot.settings.name, tuple(bot.settings.languages)
    return WyomingOffer(parts, bot.parse, name, languages, chosen.wyoming_host, chosen.wyoming_port, chosen.calls)
