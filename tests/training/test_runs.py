"""One trainer at a time; a killed one goes on where it was and ends with the same bytes."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from bot.core.errors import Conflict
from training.runs import Runs, digest_of, key_of
from training.workshop import Made

MADE = Made("counts", ("a", "b"), {"seed": 1}, {"metrics": {}})


def fill(folder: Path) -> Made:
    folder.mkdir(parents=True)
    (folder / "head").write_text("weights")
    return MADE


def never(folder: Path) -> Made:
    raise AssertionError("made twice")


def test_a_stage_is_made_once_and_copied(tmp_path: Path) -> None:
    runs = Runs(tmp_path / "runs")
    with runs.alone():
        assert runs.stage("key", tmp_path / "one", fill) == MADE
    with runs.alone():
        assert runs.stage("key", tmp_path / "two", never) == MADE
        assert [path.name for path in (tmp_path / "two").iterdir()] == ["head"]
        runs.clear()
        assert runs.stage("key", tmp_path / "three", fill) == MADE


def test_half_a_stage_is_no_stage(tmp_path: Path) -> None:
    runs = Runs(tmp_path / "runs")

    def dies(folder: Path) -> Made:
        fill(folder)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), runs.alone():
        runs.stage("key", tmp_path / "one", dies)
    (tmp_path / "runs" / "killed").mkdir()
    with runs.alone():
        assert {path.name for path in (tmp_path / "runs").iterdir()} == {".lock"}
        assert runs.stage("key", tmp_path / "one", fill) == MADE


def test_a_second_trainer_waits_and_is_told_for_whom(tmp_path: Path) -> None:
    first, second, told = Runs(tmp_path), Runs(tmp_path), list[str]()
    may_end, order = threading.Event(), list[str]()

    def hold() -> None:
        with first.alone():
            order.append("first in")
            may_end.wait(10)
            order.append("first out")

    holder = threading.Thread(target=hold)
    holder.start()
    while not order:
        pass

    def tell(share: float, what: str) -> None:
        told.append(what)
        may_end.set()

    with second.alone(tell):
        order.append("second in")
    holder.join()
    assert order == ["first in", "first out", "second in"]
    assert "waiting for another training (process" in told[0]


def test_a_trainer_without_patience_refuses(tmp_path: Path) -> None:
    with Runs(tmp_path).alone(), pytest.raises(Conflict, match=r"process \d+, since"), Runs(tmp_path, 0.0).alone():
        pass


def test_a_stage_is_named_by_all_that_it_depends_on() -> None:
    assert key_of({"rows": digest_of(["a", "b"])}) == key_of({"rows": digest_of(["a", "b"])})
    assert key_of({"rows": digest_of(["a", "b"])}) != key_of({"rows": digest_of(["b", "a"])})
