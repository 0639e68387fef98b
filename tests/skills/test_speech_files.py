"""The recogniser beside openai-whisper on one checkpoint, and files that are no checkpoints."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bot.core.errors import InputError, IntegrityError, NotFound
from bot.core.speech import Utterance
from skills.digests import sha256_of
from skills.speech import SpeechOptions, Whisper, open_recogniser
from skills.speech_files import NAMED, find_model, opened
from skills.speech_guard import Bounds, compression
from skills.speech_mel import LogMel
from skills.speech_shape import SpeechShape
from skills.speech_tokens import SpeechTokens
from skills.speech_words import path_starts
from tests.skills.speech_small import DIMS, checkpoint, sound, weights

pytestmark = pytest.mark.slow
BELIEVED = Bounds(quiet=-400, even=-1, compression=1e9, doubt=-1e9, nobody=2, surely_nobody=2)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint(tmp_path_factory.mktemp("small") / "small.pt")


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def ear(file: Path, state: Path) -> Whisper:
    options = SpeechOptions("float32", context="full", temperatures=(0.0,), state=state, bounds=BELIEVED, words=False)
    return open_recogniser(str(file), options)


@pytest.fixture
def peer(ear: Whisper, file: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """openai-whisper's model. Its decoding knows two vocabularies only, so it is given that of the checkpoint."""
    import whisper
    from whisper.tokenizer import Tokenizer

    def tokenizer(multilingual: bool, **options: Any) -> Any:
        return Tokenizer(encoding=ear.tokens.encoding, num_languages=99)

    monkeypatch.setattr("whisper.decoding.get_tokenizer", tokenizer)
    return whisper.load_model(str(file), device="cpu")


# The small model never learned times: all are as likely, and which of them a search follows is left open.
@pytest.mark.parametrize(("times", "beams"), [(False, 1), (True, 1), (False, 3)])
def test_the_text_is_openai_whispers(ear: Whisper, peer: Any, times: bool, beams: int) -> None:
    import torch
    import whisper

    ours = ear.with_options(replace(ear.options, times=times, beams=beams))
    options = whisper.DecodingOptions(
        language="en", fp16=False, without_timestamps=not times, beam_size=beams if beams > 1 else None
    )
    for seed in range(4):
        samples = sound(["for", "teapot", "with"][: seed + 1], seed=seed)[0]
        mel = whisper.log_mel_spectrogram(torch.from_numpy(np.pad(samples, (0, 48_000 - len(samples)))))
        theirs = whisper.decode(peer, mel, options)
        windows = ours._windows(0, samples, Utterance(samples))
        ours._hear(windows)
        draft = windows[0].draft
        assert list(draft.tokens) == theirs.tokens
        assert draft.mean == pytest.approx(theirs.avg_logprob, abs=1e-3)


def test_eight_bits_hear_the_same(ear: Whisper, file: Path, state: Path) -> None:
    eight = open_recogniser(str(file), replace(ear.options, precision="auto"))
    assert eight.files.precision == "int8"
    assert eight.files.divergence is not None
    assert eight.files.divergence < 0.02
    batch = [Utterance(sound(["for", "and", "teapot"], seed=seed)[0]) for seed in range(3)]
    assert [found.text for found in eight.run(batch)] == [found.text for found in ear.run(batch)]


def test_the_log_mel_is_openai_whispers(ear: Whisper) -> None:
    from whisper.audio import log_mel_spectrogram

    mel = LogMel.load(ear.files.folder / "filters.npy")
    for samples in (sound(["the", "and"])[0], np.zeros(16_000, np.float32), np.ones(800, np.float32)):
        padded = np.pad(samples, (0, 48_000 - len(samples)))
        assert mel.run(samples, 48_000) == pytest.approx(log_mel_spectrogram(padded).numpy(), abs=1e-4)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # openai-whisper leaves its file open
@pytest.mark.parametrize(("size", "languages"), [(51_864, 99), (51_865, 99), (51_866, 100)])
def test_the_tokens_are_openai_whispers(size: int, languages: int) -> None:
    import whisper.tokenizer

    shape = SpeechShape.of({**DIMS, "n_vocab": size})
    name = "multilingual" if shape.multilingual else "gpt2"
    ours = SpeechTokens.load(Path(whisper.tokenizer.__file__).parent / "assets" / f"{name}.tiktoken", shape)
    theirs = whisper.tokenizer.get_tokenizer(
        shape.multilingual, num_languages=languages, language="de", task="transcribe"
    )
    text = "Zwei Tee-Kannen, bitte! <|endoftext|> 茶壶 48213"
    assert ours.encode(text) == theirs.encode(text, disallowed_special=())
    assert ours.decode(ours.encode(text)) == text
    assert (ours.end, ours.start, ours.times) == (theirs.eot, theirs.sot, theirs.timestamp_begin)
    assert ours.mark("nospeech") == theirs.no_speech
    assert set(theirs.non_speech_tokens) <= set(ours.never)
    assert [ours.decode(word) for word in ours.words(ours.encode(" Two teapots, please."), "en")] == [
        " Two", " teapots", ",", " please", ".",
    ]  # fmt: skip
    if shape.multilingual:
        assert ours.beginning("de", times=False) == list(theirs.sot_sequence_including_notimestamps)
        assert ours.known("DE-at") == "de"


def test_the_path_through_attention_is_openai_whispers(monkeypatch: pytest.MonkeyPatch) -> None:
    from whisper import timing

    monkeypatch.setattr(timing, "backtrace", timing.backtrace.py_func)  # compiling it would take seconds
    cost = np.random.default_rng(1).normal(size=(6, 40))
    rows, columns = timing.dtw_cpu.py_func(cost)
    entered = columns[np.pad(np.diff(rows), (1, 0), constant_values=1).astype(bool)]
    assert path_starts(cost).tolist() == entered.tolist()


def test_compression_is_openai_whispers() -> None:
    from whisper.utils import compression_ratio

    assert compression("no no no no, é") == compression_ratio("no no no no, é")


def test_a_converted_model_is_used_again_unless_it_was_changed(ear: Whisper, file: Path, state: Path) -> None:
    found = find_model(str(file), "float32", sha256_of(file), state)
    assert found == ear.files
    weights = found.folder / "decoder.bin"
    kept = weights.read_bytes()
    weights.write_bytes(kept[:-1] + b"!")
    assert opened(found.folder) is None
    weights.write_bytes(kept)
    assert opened(found.folder) == found


def test_a_wrong_digest_is_told(file: Path, state: Path) -> None:
    with pytest.raises(IntegrityError, match="expected sha256 00"):
        find_model(str(file), "auto", "00" * 32, state)


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"expected a checkpoint file \(\.pt\) or one of"):
        find_model(str(tmp_path / "none.pt"), state=tmp_path)
    with pytest.raises(NotFound, match="train"):
        find_model("starter", state=tmp_path)


def test_an_error_of_the_child_is_ours(file: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.pt"
    cut.write_bytes(file.read_bytes()[:100_000])
    with pytest.raises(IntegrityError, match="cut off"):
        find_model(str(cut), state=tmp_path / "state")


def broken(change: Any) -> dict[str, Any]:
    import torch

    state = {name: torch.from_numpy(value) for name, value in weights().items()}
    found: dict[str, Any] = {"dims": dict(DIMS), "model_state_dict": state}
    change(found)
    return found


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        (lambda found: found.pop("dims"), InputError, "holds no `dims`"),
        (lambda found: found["dims"].pop("n_mels"), InputError, "n_mels"),
        (lambda found: found["dims"].update(n_text_layer=3), InputError, "no tensor"),
        (lambda found: found["dims"].update(n_text_ctx=32), InputError, "is to be of size"),
        (lambda found: found["model_state_dict"]["decoder.ln.bias"].fill_(float("nan")), IntegrityError, "no numbers"),
    ],
)
def test_a_checkpoint_that_is_none_is_told(tmp_path: Path, change: Any, kind: type[Exception], message: str) -> None:
    import torch

    from skills.speech_convert import read

    path = tmp_path / "broken.pt"
    torch.save(broken(change), path)
    with pytest.raises(kind, match=message):
        read(path)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("data", [b"", b"no checkpoint", b"PK\x03\x04" + b"\0" * 100, b"\x80\x04cos\nsystem\n."])
def test_any_other_file_is_told(tmp_path: Path, data: bytes) -> None:
    from skills.speech_convert import read

    path = tmp_path / "other.pt"
    path.write_bytes(data)
    with pytest.raises(IntegrityError, match="no readable checkpoint"):
        read(path)


def test_every_published_model_is_known_by_its_digest() -> None:
    import whisper

    assert {name: url.split("/")[-2] for name, url in whisper._MODELS.items()} == NAMED
