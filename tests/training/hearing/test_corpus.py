import io
import json
import random
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bot.core.errors import NotFound
from bot.core.speech import RATE
from training.hearing.corpus import Clip, opened, speak, store
from training.hearing.recordings import human, recordings, strung
from training.hearing.sentences import Sentence
from training.hearing.voices import HELD_OUT, RECORDED, RECORDED_HELD_OUT, TRAINED, Voice, any_voice, at_rate, say


def a_clip(count: int, text: str = "yes", voice: str = "v") -> Clip:
    return Clip(np.linspace(-0.5, 0.5, count, dtype=np.float32), text, voice)


def recorded(folder: Path, name: str, rows: list[dict[str, object]], rate: int = RATE) -> None:
    (folder / "speech").mkdir(exist_ok=True)
    (folder / "speech" / f"{name}.train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with zipfile.ZipFile(folder / "speech" / f"{name}.train.zip", "w") as archive:
        for row in rows:
            file = io.BytesIO()
            soundfile.write(file, np.zeros(rate // 2), rate, format="FLAC")
            archive.writestr(str(row["path"]), file.getvalue())


def test_clips_come_back_as_they_were_kept(tmp_path: Path) -> None:
    clips = [a_clip(100, "yes", "anna"), a_clip(50, "", "ben")]
    store(tmp_path / "a", clips)
    store(tmp_path / "b", [a_clip(10, "no")])
    corpus = opened([tmp_path / "a", tmp_path / "b"])
    assert [corpus.clip(row).text for row in range(len(corpus))] == ["yes", "", "no"]
    assert np.allclose(corpus.clip(1).samples, clips[1].samples, atol=1e-4)
    assert corpus.clip(0).voice == "anna" and corpus.seconds(2) == 10 / RATE


def test_sound_of_another_rate_keeps_its_length_in_seconds() -> None:
    assert len(at_rate(np.zeros(22_050), 22_050)) == RATE


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(NotFound, match="apt-get install"):
        say("yes", Voice("no-such-synthesiser", "en", 160, 50))


def test_held_out_voices_are_none_of_training() -> None:
    assert not set(HELD_OUT) & set(TRAINED) and not set(RECORDED) & set(RECORDED_HELD_OUT)
    families = {name.rstrip("0123456789") for name in HELD_OUT} - {"f", "m"}
    assert not families & {name.rstrip("0123456789") for name in TRAINED}


def test_a_voice_by_chance_keeps_to_its_side() -> None:
    dice = random.Random(0)
    held = [any_voice(dice, held_out=True) for _ in range(60)]
    assert all(voice.name.rpartition("+")[2] in (*HELD_OUT, *RECORDED_HELD_OUT) for voice in held)
    trained = [any_voice(dice) for _ in range(60)]
    assert all(voice.name.rpartition("+")[2] in (*TRAINED, *RECORDED) for voice in trained)


def test_recordings_are_lower_case_and_in_english(tmp_path: Path) -> None:
    rows = [
        {"path": "a.flac", "text": "Good Morning", "speaker": "s1", "lang": "en"},
        {"path": "b.flac", "text": None, "speaker": None, "lang": "en"},
        {"path": "c.flac", "text": "早", "speaker": "s2", "lang": "zh"},
    ]
    recorded(tmp_path, "some", rows, rate=8000)
    clips = recordings(tmp_path, "some", "train")
    assert [clip.text for clip in clips] == ["good morning", ""]
    assert len(clips[0].samples) == RATE // 2


def test_a_set_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="--data"):
        recordings(tmp_path, "some", "train")


def test_digits_are_strung_together_by_one_speaker() -> None:
    clips = [a_clip(100, text, voice) for voice in ("s1", "s2") for text in ("one", "two")]
    for clip in strung(clips, 20, random.Random(0)):
        assert clip.voice in ("s1", "s2") and 2 <= len(clip.text.split()) <= 6


def test_people_are_both_sets(tmp_path: Path) -> None:
    recorded(tmp_path, "fsdd", [{"path": "a.flac", "text": "one", "speaker": "s", "lang": "en"}])
    recorded(tmp_path, "speechocean762", [{"path": "b.flac", "text": "hello", "speaker": "t", "lang": "en"}])
    assert len(human(tmp_path, 0)) == 1 + 1 + 2


@pytest.mark.slow
def test_a_part_is_spoken_once(tmp_path: Path) -> None:
    sentences = [Sentence("yes please", "yes please."), Sentence("a b", "ay b")]
    path = speak(tmp_path, sentences, 0, seed=0, recorded=0)
    before = path.with_suffix(".i16").stat().st_mtime_ns
    assert (
        speak(tmp_path, sentences, 0, seed=0, recorded=0) == path
        and path.with_suffix(".i16").stat().st_mtime_ns == before
    )
    corpus = opened([path])
    assert [corpus.clip(row).text for row in range(2)] == ["yes please", "a b"]
    assert all(0.2 < corpus.seconds(row) < 4 for row in range(2))


@pytest.mark.slow
def test_every_voice_of_espeak_is_a_voice_of_its_own() -> None:
    said = {name: say("yes", Voice("espeak-ng", f"en+{name}", 170, 50)).tobytes() for name in (*TRAINED, *HELD_OUT)}
    assert len(set(said.values())) == len(said)
