import wave
from pathlib import Path

import pytest

from training.hearing.record import listed, main, record
from training.hearing.sentences import written_by_hand
from training.hearing.voices import HELD_OUT, RECORDED_HELD_OUT

AUDIO = Path(__file__).parents[3] / "examples/shop/audio"
HEAD = "file\tvoice\tintent\tsaid\n"


def test_the_shops_recordings_are_there_short_and_of_sixteen_thousand_samples() -> None:
    lines = listed(AUDIO)
    assert len(lines) >= 20 and len({line.intent for line in lines}) >= 15
    for line in lines:
        with wave.open(str(AUDIO / line.file)) as file:
            assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
            assert 1 < file.getnframes() / 16_000 < 6
    assert sum(path.stat().st_size for path in AUDIO.iterdir()) < 2 << 20


def test_the_shops_sentences_and_voices_are_kept_out_of_training() -> None:
    kept_out = set(written_by_hand())
    for line in listed(AUDIO):
        assert line.text in kept_out
        assert line.voice.name.rpartition("+")[2] in (*HELD_OUT, *RECORDED_HELD_OUT)


def test_a_line_that_is_wrong_is_told_with_its_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "sentences.tsv").write_text(f"{HEAD}a.wav\tespeak-ng en 160\tgreet\thello\n")
    assert main([str(tmp_path)]) == 2
    assert "line 2" in capsys.readouterr().err


def test_a_folder_without_a_list_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    assert "sentences.tsv" in capsys.readouterr().err


@pytest.mark.slow
def test_a_list_is_recorded_the_same_each_time(tmp_path: Path) -> None:
    (tmp_path / "sentences.tsv").write_text(f"{HEAD}a.wav\tespeak-ng en+f2 160 50\tgreet\thello there\n")
    first = record(tmp_path)[0].read_bytes()
    assert record(tmp_path)[0].read_bytes() == first and len(first) > 16_000
