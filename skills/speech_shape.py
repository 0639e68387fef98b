"""The sizes of a Whisper model, and which tensors belong to them.

Any sizes are taken, not only those that were published: what is wrong with a file is said here, before anything is
built from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from bot.core.errors import InputError

SPECIALS = 1608
"""Tokens that are no text in an English vocabulary: end and start, 99 languages, six marks, 1501 times."""
_PUBLISHED = (51_864, 51_865, 51_866)
_MOST = {"n_vocab": 200_000, "n_audio_ctx": 1500, "n_text_ctx": 4096, "n_audio_layer": 64, "n_text_layer": 64}
_WIDEST = 4096


@dataclass(frozen=True, slots=True)
class SpeechShape:
    """The sizes as a checkpoint names them (`dims`). `n_audio_ctx` positions of 20 ms are one window of sound."""

    n_mels: int
    n_audio_ctx: int
    n_audio_state: int
    n_audio_head: int
    n_audio_layer: int
    n_vocab: int
    n_text_ctx: int
    n_text_state: int
    n_text_head: int
    n_text_layer: int

    @classmethod
    def of(cls, dims: Mapping[str, Any]) -> SpeechShape:
        """From a checkpoint's `dims`.

        Raises:
            InputError: one is missing or is no size of a Whisper model.
        """
        names = [field.name for field in fields(cls)]
        if missing := [name for name in names if not _size(dims.get(name))]:
            raise InputError(f"expected the sizes of a Whisper model, found none of {', '.join(missing)} in `dims`")
        made = cls(**{name: int(dims[name]) for name in names})
        made._check()
        return made

    @property
    def plain(self) -> dict[str, int]:
        """The sizes by name."""
        return asdict(self)

    @property
    def multilingual(self) -> bool:
        """Whether it knows languages, as openai-whisper tells it."""
        return self.n_vocab >= _PUBLISHED[1]

    @property
    def languages(self) -> int:
        """How many."""
        return self.n_vocab - 51_765 - 1 if self.multilingual else 99

    @property
    def text_tokens(self) -> int:
        """Tokens that are text; the others follow them."""
        return self.n_vocab - SPECIALS - (self.languages - 99)

    @property
    def seconds(self) -> float:
        """The longest sound that is heard at once."""
        return self.n_audio_ctx / 50

    @property
    def tensors(self) -> dict[str, tuple[int, ...]]:
        """The tensors of `model_state_dict` that are used, with their sizes."""
        wide, text = self.n_audio_state, self.n_text_state
        found: dict[str, tuple[int, ...]] = {
            "encoder.conv1.weight": (wide, self.n_mels, 3),
            "encoder.conv1.bias": (wide,),
            "encoder.conv2.weight": (wide, wide, 3),
            "encoder.conv2.bias": (wide,),
            "encoder.positional_embedding": (self.n_audio_ctx, wide),
            "decoder.token_embedding.weight": (self.n_vocab, text),
            "decoder.positional_embedding": (self.n_text_ctx, text),
            **_norm("encoder.ln_post", wide),
            **_norm("decoder.ln", text),
        }
        for n in range(self.n_audio_layer):
            found |= _block(f"encoder.blocks.{n}", wide, ("attn",))
        for n in range(self.n_text_layer):
            found |= _block(f"decoder.blocks.{n}", text, ("attn", "cross_attn"))
        return found

    def _check(self) -> None:
        for name, most in _MOST.items():
            if getattr(self, name) > most:
                raise InputError(f"{name} is {getattr(self, name)}; up to {most} is expected")
        if self.n_mels not in (80, 128):
            raise InputError(f"n_mels is {self.n_mels}; openai-whisper's models have 80 or 128")
        if self.n_audio_state != self.n_text_state:
            raise InputError(f"encoder and decoder differ in width: {self.n_audio_state} and {self.n_text_state}")
        for width, heads in ((self.n_audio_state, self.n_audio_head), (self.n_text_state, self.n_text_head)):
            if width > _WIDEST or width % 32 or width % heads or width // heads % 8:
                raise InputError(f"{heads} heads in a width of {width}: the width of a head is to be a multiple of 8")
        if self.n_vocab not in _PUBLISHED and not 256 + SPECIALS <= self.n_vocab < _PUBLISHED[0]:
            raise InputError(
                f"n_vocab is {self.n_vocab}; expected one of {_PUBLISHED}, or the first of openai-whisper's English "
                f"text tokens, at least 256, and {SPECIALS} others after them"
            )


def _size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _norm(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _block(name: str, width: int, attentions: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    for attention in attentions:
        for part in ("query", "key", "value", "out"):
            found[f"{name}.{attention}.{part}.weight"] = (width, width)
            if part != "key":
                found[f"{name}.{attention}.{part}.bias"] = (width,)
        found |= _norm(f"{name}.{attention}_ln", width)
    found |= {f"{name}.mlp.0.weight": (4 * width, width), f"{name}.mlp.0.bias": (4 * width,)}
    found |= {f"{name}.mlp.2.weight": (width, 4 * width), f"{name}.mlp.2.bias": (width,)}
    return found | _norm(f"{name}.mlp_ln", width)
