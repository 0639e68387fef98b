"""Opens a bundle in a fresh process, and imports nothing that only training needs: that would be half of its work."""

from __future__ import annotations

from pathlib import Path

from pydantic import JsonValue, TypeAdapter

from skills.encoder import Encoder, EncoderSettings, EncoderSource
from skills.understanding import Understander

_SOURCE, _SETTINGS = TypeAdapter(EncoderSource), TypeAdapter(EncoderSettings)


def described(encoder: Encoder) -> JsonValue:
    """What another process needs to know of an encoder to load the same."""
    source, settings = encoder.files.source, encoder.settings
    return {
        "source": _SOURCE.dump_python(source, mode="json"),
        "settings": _SETTINGS.dump_python(settings, mode="json"),
    }


def open_bundle(folder: Path, knowledge: JsonValue) -> Understander:
    """What answers customers, on the encoder that was `described`."""
    assert isinstance(knowledge, dict)
    source = _SOURCE.validate_python(knowledge["source"])
    settings = _SETTINGS.validate_python(knowledge["settings"])
    return Understander.load(folder, Encoder.load(source, settings))
