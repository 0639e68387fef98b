"""Turns for fitting and measuring: notation, truth, and that test and training are apart."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from bot.core.errors import InputError
from bot.core.hearing import Frame
from bot.core.thresholds import Thresholds
from skills.turn_end import TurnEnd
from training.hearing.voices import Voice
from training.turns.calls import Ears, play
from training.turns.clips import Clip, Turn, filled, read

ROOT = Path(__file__).parent.parent.parent


def clip(*pieces: str, expects: int = 0) -> Clip:
    """Pieces of one second with pauses of 800 ms, and silence after them."""
    starts = tuple(500.0 + 1800 * number for number in range(len(pieces)))
    ends = tuple(start + 1000 for start in starts)
    turn = Turn("en", expects, pieces, ("hesitation",) * (len(pieces) - 1))
    return Clip(turn, Voice("none", "none", 0, 0), np.zeros(int((ends[-1] + 3200) * 16), np.float32), starts, ends)


def frames(of: Clip) -> list[Frame]:
    spans = list(zip(of.starts, of.ends, strict=True))
    count = len(of.samples) // 512
    return [Frame(32.0, float(any(start <= n * 32 < end for start, end in spans)), -20.0) for n in range(count)]


def test_a_sentence_is_filled_and_cut_at_its_pauses() -> None:
    turn = filled("en", 5, "it is {2/d3} /c or so", random.Random(1))
    assert [len(piece.split()) for piece in turn.pieces] == [4, 3, 2]
    assert turn.kinds == ("within a number", "could be all")
    assert len(filled("de", 4, "{c4}", random.Random(1)).pieces[0].split()) == 5


def test_words_are_said_one_after_the_other() -> None:
    turn = clip("my number is", "four two")
    assert [turn.text_at(at) for at in (0, 1000, 1600, 9000)] == ["", "my", "my number is", "my number is four two"]
    assert [(gap.start, gap.end) for gap in turn.gaps] == [(1500.0, 2300.0)]


def test_no_sentence_of_the_test_is_in_training() -> None:
    train = {row[2] for row in read(ROOT / "training" / "turns" / "sentences.txt") if "{" not in row[2].split(" ")[0]}
    test = {row[2] for row in read(ROOT / "benchmarks" / "data" / "pauses.txt") if "{" not in row[2].split(" ")[0]}
    assert len(train) > 100 and len(test) > 80
    assert not train & test


def test_other_lines_are_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_text("fr 0 | bonjour\n")
    with pytest.raises(InputError, match="expected `LANGUAGE"):
        read(tmp_path / "bad.txt")


def test_a_hesitation_is_cut_off_by_silence_alone_and_not_by_the_head() -> None:
    turn = clip("my order number is", "four two one one eight", expects=5)
    plain = play(turn, frames(turn), None, Thresholds(), Ears(), random.Random(1))
    head = play(turn, frames(turn), TurnEnd.load(), Thresholds(), Ears(), random.Random(1))
    assert (plain.cut_in, head.cut_in) == ("hesitation", "")
    assert plain.waited is not None and plain.waited < 0
    assert head.waited is not None and 200 < head.waited < 500
    assert [asked.over for asked in head.asked] == [False, True]


def test_words_come_back_spoiled_or_not_at_all() -> None:
    dice = random.Random(2)
    assert Ears().hear("a b", dice) == "a b"
    assert Ears(silent=True).hear("a b", dice) is None
    assert Ears(wrong=1.0).hear("alpha bravo", dice) != "alpha bravo"
