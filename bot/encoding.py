"""Which encoder the settings choose, and loading it."""

from __future__ import annotations

from pathlib import Path

from bot.config import EncoderSettings as EncoderChoice
from bot.config import Settings
from skills.encoder import MINILM, Encoder, EncoderSettings, EncoderSource


def encoder_source(choice: EncoderChoice, root: Path) -> EncoderSource:
    """Which encoder the settings choose."""
    if choice.model == MINILM.name:
        return MINILM
    digests = {"model.safetensors": choice.sha256} if choice.sha256 else {}
    folder = root / choice.model
    if folder.is_dir():
        return EncoderSource(name=folder.name, digests=digests, folder=folder)
    return EncoderSource(name=choice.model, digests=digests, hub=choice.model, revision=choice.revision)


def load_encoder(settings: Settings, root: Path) -> Encoder:
    """The encoder that the settings choose."""
    options = EncoderSettings(threads=settings.encoder.threads, recent_bytes=settings.encoder.recent_mib << 20)
    return Encoder.load(encoder_source(settings.encoder, root), options)
