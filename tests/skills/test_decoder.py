"""The engine against the transformers library: same weights, same tokens, small random models of each family."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bot.core.errors import InputError, IntegrityError, NotFound, Overloaded
from skills.decoder import Decoder, Limits, Writing, greedy, sampled
from skills.decoder_files import Weights, read_shape
from skills.decoder_shape import DecoderShape
from tests.skills.decoders import PROMPT, SIZES, TIED, loaded, write_llama

_STRETCHED = {"rope_theta": 500.0, "factor": 4.0, "original_max_position_embeddings": 16}
_LLAMA3 = {"rope_type": "llama3", "low_freq_factor": 1.0, "high_freq_factor": 4.0, **_STRETCHED}
_WINDOW = {"use_sliding_window": True, "sliding_window": 9, "max_window_layers": 1}
GEOMETRIES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", {"attention_bias": True, "mlp_bias": True}),
    "llama, tied": (
        "Llama",
        {"tie_word_embeddings": True, "rope_parameters": {"rope_theta": 1000.0, "rope_type": "default"}},
    ),
    "llama3": ("Llama", {"rope_parameters": _LLAMA3}),
    "linear": ("Llama", {"rope_parameters": {"rope_type": "linear", "rope_theta": 500.0, "factor": 4.0}}),
    "yarn": ("Llama", {"rope_parameters": {"rope_type": "yarn", **_STRETCHED}}),
    "mistral": ("Mistral", {"sliding_window": 9}),
    "qwen2": ("Qwen2", {}),
    "qwen2, window": ("Qwen2", _WINDOW),
    "gemma": ("Gemma", {"head_dim": 16}),
}


def saved(folder: Path, name: str, **how: Any) -> Any:
    """A random model, saved as users have it."""
    import torch
    import transformers

    torch.manual_seed(3)
    kind, extra = GEOMETRIES[name]
    config = getattr(transformers, f"{kind}Config")(**SIZES, **extra, initializer_range=0.3)
    model = getattr(transformers, f"{kind}ForCausalLM")(config).eval()
    for name, weights in model.named_parameters():
        if name.endswith(("norm.weight", "bias")):
            torch.nn.init.normal_(weights, 0.5, 0.2)
    if "dtype" in how:
        model.to(how.pop("dtype"))
    model.save_pretrained(folder, **how)
    return model.float()


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("llama")
    write_llama(folder)
    return folder


def finish(decoder: Decoder, texts: list[Writing], tokens: int) -> list[list[int]]:
    while any(len(text.written) < tokens for text in texts):
        decoder.step()
    return [text.written[:tokens] for text in texts]


def expected(model: Any, tokens: int = 24) -> list[int]:
    """What the transformers library writes greedily."""
    import torch

    found = model.generate(
        torch.tensor([PROMPT]), max_new_tokens=tokens, do_sample=False, pad_token_id=0, eos_token_id=-1
    )
    return [int(token) for token in found[0, len(PROMPT) :]]


def write(decoder: Decoder, prompt: list[int], tokens: int = 12) -> list[int]:
    text = decoder.open(prompt, greedy)
    found = finish(decoder, [text], tokens)[0]
    decoder.close(text)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", GEOMETRIES)
def test_it_writes_what_transformers_writes(name: str, tmp_path: Path) -> None:
    model = saved(tmp_path, name)
    assert write(loaded(tmp_path), PROMPT, 24) == expected(model)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_shards_and_half_precision_are_read_as_they_are(dtype: str, tmp_path: Path) -> None:
    import torch

    model = saved(tmp_path, "llama", dtype=getattr(torch, dtype), max_shard_size="40KB")
    shards = sorted(tmp_path.glob("*.safetensors"))
    assert len(shards) > 1
    assert write(loaded(tmp_path), PROMPT, 24) == expected(model)
    shards[1].unlink()
    with pytest.raises(NotFound, match=shards[1].name):
        Weights(tmp_path)


def test_texts_written_together_are_those_written_alone(llama: Path) -> None:
    prompts = [PROMPT[:5], PROMPT, PROMPT[::-1] * 5, PROMPT[3:9]]
    alone = [write(loaded(llama, eight=True), prompt) for prompt in prompts]
    decoder = loaded(llama, eight=True)
    texts = []
    for prompt in prompts:
        texts.append(decoder.open(prompt, greedy))
        decoder.step()
    assert finish(decoder, texts, 12) == alone


def test_places_are_used_again_and_those_behind_move_up(llama: Path) -> None:
    decoder = loaded(llama, Limits(places=2))
    first, second = decoder.open(PROMPT[:9], greedy), decoder.open(PROMPT, greedy)
    with pytest.raises(Overloaded, match="2 texts"):
        decoder.open(PROMPT, greedy)
    decoder.step()
    decoder.close(first)
    third = decoder.open(PROMPT[7:], greedy)
    assert finish(decoder, [second, third], 8) == [write(loaded(llama), prompt, 8) for prompt in (PROMPT, PROMPT[7:])]
    decoder.close(first)  # again: nothing happens
    assert decoder.busy


def test_a_prompt_that_begins_like_an_earlier_text_is_not_read_again(llama: Path) -> None:
    decoder = loaded(llama)
    longer = [*PROMPT, *write(decoder, PROMPT), 7, 8, 9]
    text = decoder.open(longer, greedy)
    assert text.read == len(PROMPT) + 11  # the last token written was never read
    assert finish(decoder, [text], 12)[0] == write(loaded(llama), longer)


def test_what_is_kept_has_a_bound_and_the_longest_unused_goes_first(llama: Path) -> None:
    each = 2 * 2 * 2 * 16 * 4 * (len(PROMPT) + 11)
    decoder = loaded(llama, Limits(kept=2 * each))
    prompts = [[start, *PROMPT[1:]] for start in (1, 2, 3)]
    for prompt in prompts:
        write(decoder, prompt)
    reads = []
    for prompt in prompts:
        text = decoder.open(prompt, greedy)
        reads.append(text.read)
    assert reads == [0, len(PROMPT) - 1, len(PROMPT) - 1]


def test_the_same_seed_draws_the_same_text(llama: Path) -> None:
    decoder = loaded(llama)
    texts = [decoder.open(PROMPT, sampled(1.0, 0.9, seed)) for seed in (1, 1, 2)]
    first, same, other = finish(decoder, texts, 12)
    assert first == same != other


def test_a_full_text_writes_no_more(llama: Path) -> None:
    decoder = loaded(llama, Limits(room=48))
    text, beside = decoder.open(PROMPT, greedy), decoder.open(PROMPT[:4], greedy)
    for _ in range(30):
        decoder.step()
    assert (len(text.written), len(beside.written)) == (48 - len(PROMPT) + 1, 29)
    with pytest.raises(InputError, match="from 1 to 47"):
        decoder.open(PROMPT * 2, greedy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "gpt2"}, "a model of type 'gpt2'"),
        ({"rope_scaling": {"type": "dynamic", "factor": 2.0}}, "rotary positions of kind 'dynamic'"),
        ({"rope_parameters": {"rope_type": "longrope"}}, "rotary positions of kind 'longrope'"),
        ({"partial_rotary_factor": 0.5}, "heads turned in part"),
        ({"hidden_act": "relu"}, "the activation 'relu'"),
        ({"quantization_config": {"bits": 4}}, "weights that are rounded already"),
    ],
)
def test_models_that_the_engine_has_not_are_refused_by_name(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=rf"{message}.*base_url"):
        DecoderShape.of({"model_type": "llama", **SIZES, **TIED, **change})


def test_a_damaged_folder_is_refused_with_the_file_named(llama: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="save_pretrained"):
        Weights(tmp_path)
    (tmp_path / "model.safetensors").write_bytes((llama / "model.safetensors").read_bytes()[:-9])
    with pytest.raises(IntegrityError, match=r"model\.safetensors"):
        Weights(tmp_path)
    (tmp_path / "config.json").write_text("[1]")
    with pytest.raises(IntegrityError, match="expected an object"):
        read_shape(tmp_path)
