"""Which bundles have seen a conversation: written beside them, and forgotten when asked."""

from __future__ import annotations

from pathlib import Path

from training.seen import Seen

ONE, TWO = "20261122-061500-0f3a9c1b2d4e", "20261123-061500-0f3a9c1b2d4e"


def test_a_bundle_has_seen_its_conversations_and_those_of_what_it_took_over(tmp_path: Path) -> None:
    seen = Seen(tmp_path / "models")
    seen.note(ONE, ["a", "b"])
    seen.note(TWO, ["c"], before=ONE)
    assert [seen.by([name]) for name in "abcd"] == [(ONE, TWO), (ONE, TWO), (TWO,), ()]


def test_what_is_forgotten_is_in_no_note(tmp_path: Path) -> None:
    seen = Seen(tmp_path / "models")
    seen.note(ONE, ["first-talk", "b"])
    assert seen.forget(["first-talk"]) == (ONE,)
    assert not any(b"first-talk" in path.read_bytes() for path in tmp_path.rglob("*.json"))
    assert (seen.by(["first-talk"]), seen.by(["b"]), seen.knows(ONE), seen.knows(TWO)) == ((), (ONE,), True, False)
