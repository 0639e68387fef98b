"""A Whisper model small enough to come with the tests: it hears ten words in pairs of tones, as on a telephone's keys.

`small.safetensors` holds its weights in half precision, without the rows of tokens that it never learned.
`python -m tests.skills.speech_small` trains it anew (minutes).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from shutil import copyfile
from typing import Any

import numpy as np
import numpy.typing as npt

from skills.speech_files import FILTERS, RANKS, SpeechFiles, opened, seal
from skills.speech_graph import write_decoder, write_encoder
from skills.speech_shape import SpeechShape

Floats = npt.NDArray[np.float32]
WORDS = ("the", "and", "you", "for", "with", "that", "was", "this", "kettle", "teapot")
RIVAL = "ketley"
"""Sounds like a kettle, and is said less often."""
DIMS = {
    "n_mels": 80,
    "n_audio_ctx": 150,
    "n_audio_state": 64,
    "n_audio_head": 2,
    "n_audio_layer": 1,
    "n_vocab": 512 + 1608,
    "n_text_ctx": 64,
    "n_text_state": 64,
    "n_text_head": 2,
    "n_text_layer": 2,
}
FILE = Path(__file__).with_name("small.safetensors")
_TABLE = "decoder.token_embedding.weight"
_KNOWN = 512 + 107
_LOW, _HIGH = (697, 770, 852, 941), (1209, 1336, 1477, 1633)


def sound(words: Sequence[str], seed: int = 0, noise: float = 0.003) -> tuple[Floats, list[tuple[float, float]]]:
    """The words as tones, and when each is heard, in seconds."""
    draws = np.random.default_rng(seed)
    pieces: list[npt.NDArray[np.float64]] = [np.zeros(int(draws.uniform(800, 3200)))]
    spans = []
    for word in words:
        n = WORDS.index("kettle" if word == RIVAL else word)
        time = np.arange(int(draws.uniform(3200, 5600))) / 16_000
        tone = np.sin(2 * np.pi * _LOW[n // 4] * time) + np.sin(2 * np.pi * _HIGH[n % 4] * time)
        begin = sum(map(len, pieces))
        spans.append((begin / 16_000, (begin + len(tone)) / 16_000))
        pieces += [draws.uniform(0.05, 0.3) * tone, np.zeros(int(draws.uniform(800, 2400)))]
    joined = np.concatenate(pieces)
    return (joined + draws.normal(0, noise, len(joined))).astype(np.float32), spans


def weights() -> dict[str, Floats]:
    """The model's tensors."""
    from safetensors.numpy import load_file

    found = {name: value.astype(np.float32) for name, value in load_file(FILE).items()}
    found[_TABLE] = np.concatenate([found[_TABLE], np.zeros((DIMS["n_vocab"] - _KNOWN, 64), np.float32)])
    return found


def converted(folder: Path, *, eight: bool = False) -> SpeechFiles:
    """The engine's files of the small model, made without torch."""
    shape, heads = SpeechShape.of(DIMS), [(1, 0), (1, 1)]
    write_encoder(folder, weights(), shape, eight=eight)
    write_decoder(folder, weights(), shape, heads, eight=eight)
    package = find_spec("whisper")
    assert package is not None and package.origin is not None
    assets = Path(package.origin).parent / "assets"
    copyfile(assets / "gpt2.tiktoken", folder / RANKS)
    with np.load(assets / "mel_filters.npz") as filters:
        np.save(folder / FILTERS, filters["mel_80"])
    precision = "int8" if eight else "float32"
    facts = {"digest": "0" * 64, "shape": DIMS, "precision": precision, "heads": heads, "divergence": None}
    seal(folder, facts)
    found = opened(folder)
    assert found is not None
    return found


def checkpoint(path: Path) -> Path:
    """The small model as openai-whisper writes its models."""
    import torch

    state = {name: torch.from_numpy(value) for name, value in weights().items()}
    torch.save({"dims": DIMS, "model_state_dict": state}, path)
    return path


def _train(steps: int) -> None:
    import torch
    from safetensors.numpy import save_file
    from torch.nn.functional import cross_entropy, gelu
    from whisper.model import ModelDimensions, Whisper

    from skills.speech_mel import LogMel
    from skills.speech_tokens import SpeechTokens

    package = find_spec("whisper")
    assert package is not None and package.origin is not None
    assets = Path(package.origin).parent / "assets"
    tokens = SpeechTokens.load(assets / "gpt2.tiktoken", SpeechShape.of(DIMS))
    with np.load(assets / "mel_filters.npz") as filters:
        mel = LogMel(filters["mel_80"])
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model: Any = Whisper(ModelDimensions(**DIMS))
    torch.nn.init.normal_(model.decoder.positional_embedding, std=0.02)
    torch.nn.init.normal_(model.decoder.token_embedding.weight, std=0.05)
    draws = np.random.default_rng(1)

    def row(seed: int) -> tuple[Floats, list[int]]:
        nobody = draws.random() < 0.15
        words = list(draws.choice(WORDS, draws.integers(1, 4)))
        words = [RIVAL if word == "kettle" and draws.random() < 0.25 else word for word in words]
        if nobody:
            level = 10 ** draws.uniform(-5, -1)
            return draws.normal(0, level, int(draws.integers(8000, 40_000))).astype(np.float32), []
        noise = 10 ** draws.uniform(-4, -2)
        return sound(words, seed, noise)[0], tokens.encode("".join(f" {word}" for word in words))

    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    for step in range(steps):
        rows = [row(step * 1000 + n) for n in range(16)]
        need = max(len(samples) for samples, _ in rows) / 320 + 5
        length = int(min(150, draws.integers(need, 151) if need < 150 else 150))
        sounds = torch.from_numpy(np.stack([mel.run(samples[: length * 320], length * 320) for samples, _ in rows]))
        longest = max(len(text) for _, text in rows) + 3
        given, wanted = torch.full((16, longest), tokens.end), torch.full((16, longest), -100)
        for n, (_, text) in enumerate(rows):
            line = [tokens.start, tokens.mark("notimestamps"), *text, tokens.end]
            given[n, : len(line)] = torch.tensor(line)
            wanted[n, : len(line) - 1] = torch.tensor(line[1:])
            if not text:
                wanted[n, 0] = tokens.mark("nospeech")
        state = gelu(model.encoder.conv2(gelu(model.encoder.conv1(sounds)))).permute(0, 2, 1)
        state = state + model.encoder.positional_embedding[: state.shape[1]]
        for block in model.encoder.blocks:
            state = block(state)
        logits = model.decoder(given, model.encoder.ln_post(state))
        loss = cross_entropy(logits.flatten(0, 1), wanted.flatten(), ignore_index=-100)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            model.decoder.token_embedding.weight[_KNOWN:] = 0
        if step % 50 == 0:
            sys.stdout.write(json.dumps({"step": step, "loss": round(float(loss), 4)}) + "\n")
            sys.stdout.flush()
    kept = {name: value.half().numpy() for name, value in model.state_dict().items()}
    save_file({name: value[:_KNOWN] if name == _TABLE else value for name, value in kept.items()}, FILE)


if __name__ == "__main__":
    _train(int(sys.argv[1]) if len(sys.argv) > 1 else 1200)
