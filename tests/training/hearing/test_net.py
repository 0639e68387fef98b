from pathlib import Path

import numpy as np
import pytest
import torch
from whisper import load_model
from whisper.tokenizer import get_tokenizer

from training.hearing.net import Batch, Hearing, Tokens, mels, opened, written

RANKS = 300
# openai-whisper leaves the file of its vocabulary open.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module")
def model() -> Hearing:
    torch.manual_seed(0)
    return Hearing(Tokens(RANKS), 64, (1, 1)).eval()


def test_text_survives_its_tokens() -> None:
    tokens = Tokens(RANKS)
    for text in ("where is my order", "i don't know", "zürich b k seven"):
        assert tokens.text(tokens.of(text)) == text


def test_tokens_are_whispers_own_of_their_ranks() -> None:
    whispers = get_tokenizer(multilingual=False)
    assert whispers.decode(Tokens(1024).of("a broken kettle")) == " a broken kettle"


def test_special_tokens_stand_as_in_whisper() -> None:
    ours, whispers = Tokens(50256), get_tokenizer(multilingual=False)
    assert (ours.end, ours.start, ours.nospeech, ours.plain) == (
        whispers.eot,
        whispers.sot,
        whispers.no_speech,
        whispers.no_timestamps,
    )
    assert ours.size == 51864


def test_a_transcript_is_start_plain_words_end() -> None:
    tokens = Tokens(RANKS)
    rows = written(tokens, ["", "a"])
    assert rows[0].tolist() == [tokens.start, tokens.plain, tokens.end, -100]
    assert rows[1].tolist() == [tokens.start, tokens.plain, *tokens.of("a"), tokens.end]


def test_sound_is_filled_up_to_half_seconds_and_one_second_at_least() -> None:
    assert mels([np.zeros(100, np.float32)]).shape == (1, 80, 100)
    assert mels([np.zeros(16_001, np.float32), np.zeros(9, np.float32)]).shape == (2, 80, 150)


def test_the_encoder_sees_only_the_positions_there_are(model: Hearing) -> None:
    with torch.inference_mode():
        assert model.encode(torch.randn(2, 80, 150)).shape == (2, 75, 64)


def test_thirty_seconds_are_encoded_as_by_openai_whisper(model: Hearing) -> None:
    mel = torch.randn(1, 80, 3000)
    with torch.inference_mode():
        assert torch.allclose(model.encode(mel), model.whisper.encoder(mel), atol=1e-5)


def test_what_is_learned_lowers_both_losses() -> None:
    torch.manual_seed(0)
    model = Hearing(Tokens(RANKS), 64, (1, 1))
    batch = Batch(torch.randn(3, 80, 100), written(model.tokens, ["yes", "no", ""]))
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    seen = []
    for _ in range(5):
        losses = model.losses(batch)
        sum(losses).backward()
        optimizer.step()
        optimizer.zero_grad()
        seen.append([loss.item() for loss in losses])
    assert seen[-1][0] < seen[0][0] and seen[-1][1] < seen[0][1]


def test_where_nobody_speaks_the_first_token_is_nospeech() -> None:
    torch.manual_seed(0)
    model = Hearing(Tokens(RANKS), 64, (1, 1))
    batch = Batch(torch.zeros(2, 80, 100), written(model.tokens, ["", ""]))
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
    for _ in range(15):
        model.losses(batch)[0].backward()
        optimizer.step()
        optimizer.zero_grad()
    with torch.inference_mode():
        first = model.whisper.decoder(batch.tokens[:, :1], model.encode(batch.mel))[:, 0].argmax(-1)
    assert first.tolist() == [model.tokens.nospeech] * 2
    assert model.hear(batch.mel) == ["", ""]


def test_openai_whisper_opens_what_is_saved(model: Hearing, tmp_path: Path) -> None:
    model.save(tmp_path / "model.pt")
    assert load_model(str(tmp_path / "model.pt"), device="cpu").dims == model.dims


def test_a_saved_model_hears_the_same_as_before_but_for_half_precision(model: Hearing, tmp_path: Path) -> None:
    model.save(tmp_path / "model.pt")
    mel = torch.randn(1, 80, 100)
    with torch.inference_mode():
        assert torch.allclose(opened(tmp_path / "model.pt").encode(mel), model.encode(mel), atol=0.02)
