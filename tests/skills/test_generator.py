"""The causal language model, on a small one with random weights that is written to disk and loaded like any other."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.core.errors import InputError, NotFound
from bot.core.protocols import Prompt
from skills.generator import CausalGenerator, _until_stop

pytestmark = pytest.mark.slow
TEMPLATE = "{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}<assistant>"
ASK = Prompt(talk=(("user", "where is my order"),), passages=("It is on its way.",), max_tokens=12)


@pytest.fixture(scope="module", params=["llama", "qwen2"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    from tokenizers import ByteLevelBPETokenizer
    from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast, Qwen2Config

    path = tmp_path_factory.mktemp(request.param)
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(["where is my order? it is on its way to you"] * 4, vocab_size=300, show_progress=False)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe._tokenizer, eos_token="<end>", pad_token="<pad>")
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(path)
    kind = {"llama": LlamaConfig, "qwen2": Qwen2Config}[request.param]
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    torch.manual_seed(0)
    config = kind(vocab_size=len(tokenizer), num_key_value_heads=2, **sizes)
    AutoModelForCausalLM.from_config(config).save_pretrained(path)
    return path


def test_a_saved_model_is_loaded_and_repeats_itself(folder: Path) -> None:
    generator = CausalGenerator.load(str(folder))
    first, second = generator.run([ASK, ASK])
    assert first == second and first


def test_the_pieces_of_the_stream_make_the_text(folder: Path) -> None:
    generator = CausalGenerator.load(str(folder))
    pieces = list(generator.stream(ASK))
    assert pieces[-1].done and not any(piece.done for piece in pieces[:-1])
    assert "".join(piece.text for piece in pieces) == generator.run([ASK])[0]


def test_sampling_follows_its_seed(folder: Path) -> None:
    generator = CausalGenerator.load(str(folder))

    def sample(seed: int) -> str:
        return generator.run([Prompt(talk=ASK.talk, max_tokens=12, temperature=1.5, seed=seed)])[0]

    assert sample(1) == sample(1)
    assert len({sample(seed) for seed in range(4)}) > 1


def test_a_closed_stream_stops_the_model(folder: Path) -> None:
    generator = CausalGenerator.load(str(folder))
    stream = generator.stream(Prompt(talk=ASK.talk, max_tokens=100_000))
    next(stream)
    stream.close()
    assert generator.run([ASK])


def test_a_repository_must_be_pinned_and_a_folder_must_hold_a_model(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="revision"):
        CausalGenerator.load("someone/some-model")
    with pytest.raises(NotFound, match="cannot be loaded"):
        CausalGenerator.load(str(tmp_path))


@pytest.mark.parametrize(("pieces", "shown"), [(["on its", " way.", " Us", "er: x"], "on its way. "), (["all"], "all")])
def test_a_stop_sequence_is_never_shown(pieces: list[str], shown: str) -> None:
    found = list(_until_stop(iter(pieces), ("User:",)))
    assert "".join(piece.text for piece in found) == shown and found[-1].done
