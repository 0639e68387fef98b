"""Writes a tiny BERT-like model with random weights, as a folder of files that `Encoder.load` takes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from skills.encoder import EncoderSource

WIDTH, WIDE, LAYERS = 32, 64, 2
LETTERS = [*"abcdefghijklmnopqrstuvwxyz", *(f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz")]


def write_model(folder: Path, family: str = "bert", prefix: str = "") -> EncoderSource:
    """A model of the family; the source names its folder and digests."""
    folder.mkdir(parents=True)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *LETTERS]
    save_file({prefix + name: value for name, value in _tensors(len(words)).items()}, folder / "model.safetensors")
    config = {
        "model_type": family,
        "hidden_act": "gelu",
        "hidden_size": WIDTH,
        "num_attention_heads": 4,
        "num_hidden_layers": LAYERS,
        "intermediate_size": WIDE,
        "layer_norm_eps": 1e-5,
        "vocab_size": len(words),
        "max_position_embeddings": 64,
        "type_vocab_size": 1,
        "pad_token_id": 1 if family != "bert" else 0,
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text(json.dumps(_tokenizer(words)))
    return EncoderSource("small", {"model.safetensors": digest(folder / "model.safetensors")}, folder=folder)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _tensors(words: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(7)
    sizes = {
        "embeddings.word_embeddings.weight": (words, WIDTH),
        "embeddings.position_embeddings.weight": (64, WIDTH),
        "embeddings.token_type_embeddings.weight": (1, WIDTH),
        **_norm("embeddings.LayerNorm"),
    }
    for n in range(LAYERS):
        layer = f"encoder.layer.{n}."
        for part in ("query", "key", "value"):
            sizes |= _linear(f"{layer}attention.self.{part}", WIDTH, WIDTH)
        sizes |= _linear(f"{layer}attention.output.dense", WIDTH, WIDTH) | _norm(f"{layer}attention.output.LayerNorm")
        sizes |= _linear(f"{layer}intermediate.dense", WIDE, WIDTH)
        sizes |= _linear(f"{layer}output.dense", WIDTH, WIDE) | _norm(f"{layer}output.LayerNorm")
    return {name: random.normal(0, 0.3, size).astype(np.float32) for name, size in sizes.items()}


def _linear(name: str, rows: int, columns: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (rows, columns), f"{name}.bias": (rows,)}


def _norm(name: str) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (WIDTH,), f"{name}.bias": (WIDTH,)}


def _tokenizer(words: list[str]) -> dict[str, object]:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    tokenizer = Tokenizer(models.WordPiece({word: n for n, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [("[CLS]", words.index("[CLS]")), ("[SEP]", words.index("[SEP]"))]
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=ends)
    found: dict[str, object] = json.loads(tokenizer.to_str())
    return found
