"""The model: openai-whisper's own, with a small vocabulary and a CTC head on the encoder while it learns.

The vocabulary is the first K ranks of GPT-2's (each merge of which is made of earlier ones, so that they are a whole
vocabulary), then Whisper's special tokens in their order: the size alone tells which tokens there are. A transcript is
`startoftranscript notimestamps words endoftext`; where nobody speaks, `nospeech` comes first and no words after.
The encoder sees as many positions as there is sound, not thirty seconds.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tiktoken
import torch
from torch import Tensor, nn
from torch.nn import functional
from whisper import log_mel_spectrogram
from whisper.model import ModelDimensions, Whisper

from bot.core.speech import RATE
from training.hearing.voices import Sound

MELS = 80
STEP = RATE // 2
"""Sound is filled up with silence to whole half seconds."""
_SPECIALS = 1608
_IGNORED = -100
_PATTERN = r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""


class Tokens:
    """The vocabulary of `ranks` ranks. `end`, `start`, `nospeech` and `plain` (no timestamps) are special tokens."""

    def __init__(self, ranks: int) -> None:
        self.ranks, self.blank = ranks, ranks
        self.end, self.start, self.nospeech, self.plain = ranks, ranks + 1, ranks + 105, ranks + 106
        self.size = ranks + _SPECIALS
        self._encoding = tiktoken.Encoding(
            "hearing", pat_str=_PATTERN, mergeable_ranks=dict(_ranks()[:ranks]), special_tokens={}
        )

    def of(self, text: str) -> list[int]:
        """The tokens of a transcript; none of an empty one."""
        return self._encoding.encode(f" {text}") if text else []

    def text(self, tokens: Sequence[int]) -> str:
        """The transcript of tokens; special ones say nothing."""
        return self._encoding.decode([token for token in tokens if token < self.ranks]).strip()


@lru_cache(maxsize=1)
def _ranks() -> tuple[tuple[bytes, int], ...]:
    lines = files("whisper").joinpath("assets/gpt2.tiktoken").read_text("ascii").split("\n")
    pairs = (line.split() for line in lines if line)
    return tuple((base64.b64decode(token), int(rank)) for token, rank in pairs)


class Batch(NamedTuple):
    """Utterances of like length: `mel` (n, 80, frames), `tokens` (n, longest) from `start` on, -100 behind the end."""

    mel: Tensor
    tokens: Tensor


class Hearing(nn.Module):
    """Whisper and a CTC head over its encoder's states."""

    def __init__(self, tokens: Tokens, width: int, layers: tuple[int, int]) -> None:
        super().__init__()
        heads = width // 64
        self.tokens = tokens
        self.dims = ModelDimensions(MELS, 1500, width, heads, layers[0], tokens.size, 448, width, heads, layers[1])
        self.whisper = Whisper(self.dims)
        self.ctc = nn.Linear(width, tokens.ranks + 1)
        decoder = self.whisper.decoder
        nn.init.normal_(decoder.token_embedding.weight, std=width**-0.5)
        nn.init.normal_(decoder.positional_embedding, std=0.01)

    def encode(self, mel: Tensor) -> Tensor:
        """States (n, frames / 2, width) of log-mel frames (n, 80, frames), however many there are."""
        encoder: Any = self.whisper.encoder
        seen = functional.gelu(encoder.conv2(functional.gelu(encoder.conv1(mel)))).permute(0, 2, 1)
        seen = seen + encoder.positional_embedding[: seen.shape[1]]
        for block in encoder.blocks:
            seen = block(seen)
        states: Tensor = encoder.ln_post(seen)
        return states

    def losses(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The mean loss of a token: of the decoder, and of the CTC head."""
        states = self.encode(batch.mel)
        logits = self.whisper.decoder(batch.tokens.clamp(min=0)[:, :-1], states)
        learned = batch.tokens[:, 1:].clone()
        learned[learned[:, 1] == self.tokens.end, 0] = self.tokens.nospeech
        words = functional.cross_entropy(logits.flatten(0, 1).float(), learned.flatten(), ignore_index=_IGNORED)
        return words, self._aligned(states, learned)

    def _aligned(self, states: Tensor, learned: Tensor) -> Tensor:
        texts = [row[(row >= 0) & (row < self.tokens.ranks)] for row in learned]
        counts = torch.tensor([len(text) for text in texts])
        scores = functional.log_softmax(self.ctc(states).float(), -1).transpose(0, 1)
        long = torch.full((len(texts),), scores.shape[0])
        found = functional.ctc_loss(
            scores, torch.cat(texts), long, counts, blank=self.tokens.blank, reduction="sum", zero_infinity=True
        )
        return found / (counts.sum() + len(texts))

    @torch.inference_mode()
    def hear(self, mel: Tensor, most: int = 60) -> list[str]:
        """What is said in log-mel frames (n, 80, frames), by the likeliest next token each time."""
        states = self.encode(mel)
        said = torch.tensor([[self.tokens.start, self.tokens.plain]] * len(mel), device=mel.device)
        silent = self.whisper.decoder(said[:, :1], states)[:, 0].argmax(-1) == self.tokens.nospeech
        over = silent.clone()
        for _ in range(most):
            if bool(over.all()):
                break
            following = self.whisper.decoder(said, states)[:, -1].argmax(-1).masked_fill(over, self.tokens.end)
            over = over | (following == self.tokens.end)
            said = torch.cat((said, following[:, None]), 1)
        return [self.tokens.text(row) for row in said.tolist()]

    def save(self, path: Path) -> None:
        """Write openai-whisper's kind of file, half precision; the CTC head under a key that openai-whisper ignores."""
        kept = {name: weights.half() for name, weights in self.whisper.state_dict().items()}
        head = {name: weights.half() for name, weights in self.ctc.state_dict().items()}
        torch.save({"dims": vars(self.dims), "model_state_dict": kept, "ctc": head}, path)


def opened(path: Path) -> Hearing:
    """A model from a file that `Hearing.save` wrote."""
    held = torch.load(path, map_location="cpu", weights_only=True)
    dims = held["dims"]
    model = Hearing(
        Tokens(dims["n_vocab"] - _SPECIALS), dims["n_audio_state"], (dims["n_audio_layer"], dims["n_text_layer"])
    )
    model.whisper.load_state_dict(held["model_state_dict"])
    model.ctc.load_state_dict(held["ctc"])
    return model.eval()


def mels(sounds: Sequence[Sound]) -> Tensor:
    """Log-mel frames (n, 80, frames) of sounds, filled up with silence to the longest and to whole half seconds."""
    longest = max(STEP * 2, *(len(sound) for sound in sounds))
    size = -(-longest // STEP) * STEP
    filled = (np.pad(sound, (0, size - len(sound))) for sound in sounds)
    return torch.stack([log_mel_spectrogram(torch.from_numpy(np.asarray(sound, np.float32))) for sound in filled])


def written(tokens: Tokens, texts: Sequence[str]) -> Tensor:
    """The tokens of transcripts, (n, longest), from `startoftranscript` on, -100 behind the end."""
    rows = [[tokens.start, tokens.plain, *tokens.of(text), tokens.end] for text in texts]
    longest = max(map(len, rows))
    return torch.tensor([row + [_IGNORED] * (longest - len(row)) for row in rows])
