"""Both bundles are asked the same, plain and with noise, and timed by turns."""

from __future__ import annotations

from pathlib import Path

from tests.training.toy import ToyUnderstander
from training.examples import OOS, IntentExample
from training.gate.evidence import HeldOut, folder_bytes, latencies, measure, opinions

BUNDLE = ToyUnderstander({"buy": {"kettle": 1.0}, "leave": {"bye": 1.0}}, {})
ROWS = (IntentExample("a kettle please", "buy"), IntentExample("bye then", "leave"), IntentExample("rain?", OOS))


def test_rows_are_measured_plain_and_with_each_noise() -> None:
    side = measure(BUNDLE, {"intent": ("buy", "leave")}, HeldOut(ROWS))
    assert [result.right for result in side.intents] == [True, True, False]
    assert sorted(side.noise) == ["case", "speech", "typos"]
    assert [len(rows) for rows in side.noise.values()] == [2, 2, 2]
    assert side.measured()["intent"].right == (True, True)


def test_a_skill_that_a_bundle_lacks_is_not_measured() -> None:
    side = measure(BUNDLE, {"entities": ("city",)}, HeldOut(ROWS))
    assert (side.intents, side.measured()) == ((), {})


def test_every_bundle_has_its_time() -> None:
    assert all(0 < time < 1000 for time in latencies((BUNDLE, BUNDLE), [row.text for row in ROWS]))


def test_opinions_are_of_in_scope_rows() -> None:
    assert [found.predicted for found in opinions(BUNDLE, ROWS)] == ["buy", "leave"]
    assert opinions(BUNDLE, ROWS[2:]) == ()


def test_all_files_below_a_folder_count(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one").write_bytes(b"1234")
    (tmp_path / "two").write_bytes(b"56")
    assert folder_bytes(tmp_path) == 6
