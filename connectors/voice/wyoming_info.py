"""What a Wyoming server tells of itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_BY = {"name": "Understudy", "url": "https://pypi.org/project/understudy/"}


def info(name: str, languages: Sequence[str], speaker: str) -> dict[str, Any]:
    """The `info` event's data: what hears, understands, answers and speaks for the bot of this name."""
    model = {**_artifact(name, "what the bot was trained on"), "languages": list(languages)}
    voice = {**_artifact(speaker, "the voice that the bot's settings name"), "languages": list(languages)}
    asr = {
        **_artifact("understudy", "the bot's recogniser, which knows its names"),
        "models": [model],
        "supports_transcript_streaming": True,
        "requires_external_vad": True,
    }
    tts = {**_artifact("understudy", "the bot's speaker"), "voices": [voice], "supports_synthesize_streaming": True}
    handle = {
        **_artifact("understudy", "the whole bot: a turn of a conversation"),
        "models": [model],
        "supports_handled_streaming": True,
        "supports_home_control": False,
    }
    intent = {**_artifact("understudy", "the bot's intents, without an answer"), "models": [model]}
    return {"asr": [asr], "tts": [tts], "handle": [handle], "intent": [intent], "wake": [], "mic": [], "snd": []}


def _artifact(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "attribution": _BY, "installed": True, "description": description, "version": None}
