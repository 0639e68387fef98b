"""What outlives its conversation: bounded, only of people who allow it, and never against what the log says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bot.config import PrivacySettings
from bot.core import events as ev
from bot.core.errors import IntegrityError
from training.replay import Kept, Replay, Today, chosen, herded
from training.rows import Mark, Row
from training.settling import SETTLED
from training.sides import pseudonym

POLICY = PrivacySettings(retention_days=10)
NOW = 100 * 86_400.0


def row(name: str, intent: str = "order", **more: object) -> Row:
    fields = {"id": name, "text": f"words of {name}", "conversation": name, "user": pseudonym(name), "human": True}
    return Row.model_validate({"intent": intent, "source": "log", **fields, **more})


def said(name: str, at: float = NOW, event: ev.Event | None = None) -> ev.Recorded:
    return ev.Recorded(conversation=name, seq=1, turn=0, at=at, event=event or ev.Started(channel="x", sender=name))


def today(*log: ev.Recorded, policy: PrivacySettings = POLICY) -> Today:
    return Today(log, policy, NOW)


def test_only_what_the_log_does_not_have_any_more_is_recalled(tmp_path: Path) -> None:
    kept = Replay(tmp_path, 5)
    assert kept.keep([row("old"), row("new"), row("measures", side="test")], today(said("old"), said("new"))) == 2
    later = Today([said("old", 0.0), said("new")], POLICY, NOW)
    (found,) = kept.recalled(later)
    assert (found.id, found.source, found.side, found.weight) == ("old", "replay", "train", 1.0)
    assert Replay(tmp_path, 0).recalled(later) == ()


def test_of_each_intent_a_bounded_number_stands_for_all(tmp_path: Path) -> None:
    rows = [row(f"r{n}", "order" if n % 2 else "greet") for n in range(20)]
    kept = Replay(tmp_path, 4)
    assert kept.keep(rows, today(*(said(item.id) for item in rows))) == 8
    found = kept.recalled(today())
    assert {item.weight for item in found} == {2.5} and len(found) == 8
    assert kept.keep([], today()) == 8 and kept.recalled(today()) == found


def test_what_people_labelled_is_kept_first() -> None:
    rows = [Kept(**row(f"r{n}", human=n == 3, weight=0.9).model_dump()) for n in range(9)]
    assert [item.id for item in chosen(rows, 1)] == ["r3"]
    assert chosen(rows, 3) == chosen(rows[::-1], 3)


def test_herding_keeps_the_mean() -> None:
    vectors = np.random.default_rng(1).normal(size=(200, 8)).astype(np.float32)
    goal, places = vectors.mean(axis=0), herded(vectors, np.ones(200), 20)
    assert len(set(places)) == 20
    assert np.linalg.norm(vectors[places].mean(axis=0) - goal) < np.linalg.norm(vectors[:20].mean(axis=0) - goal) / 4


def test_a_label_that_was_taken_back_and_a_word_that_was_hidden_do_not_come_back(tmp_path: Path) -> None:
    kept, log = Replay(tmp_path, 5), today(said("a"), said("b"), said("c"))
    kept.keep([row("a"), row("b")], log)
    assert kept.keep([row("b", text="hidden"), row("c")], log, more=False) == 1
    assert [item.text for item in kept.rows()] == ["hidden"]


def test_a_refusal_holds_for_what_is_kept_and_opt_in_asks_for_a_yes(tmp_path: Path) -> None:
    def consent(name: str, train: bool) -> ev.Recorded:
        return said(name, event=ev.Consented(train=train, by="operator"))

    kept = Replay(tmp_path, 5)
    kept.keep([row("a"), row("b")], today(said("a"), consent("a", True), said("b")))
    opt_in = POLICY.model_copy(update={"train": "opt-in"})
    assert [item.id for item in kept.recalled(today(policy=opt_in))] == ["a"]
    refused = (said("x", event=ev.Started(channel="x", sender="b")), consent("x", False))
    assert [item.id for item in kept.recalled(today(*refused))] == ["a"]


def test_what_a_distrusted_rule_labelled_is_not_recalled(tmp_path: Path) -> None:
    kept = Replay(tmp_path, 5)
    kept.keep([row("a", human=False, weight=0.8, marks=(Mark(rule="of another time"),))], today(said("a")))
    assert kept.recalled(today()) == ()


def test_what_was_settled_is_recalled(tmp_path: Path) -> None:
    kept = Replay(tmp_path, 5)
    settled = row("old", human=False, weight=0.9, marks=(Mark(rule=SETTLED),))
    kept.keep([settled], today(said("old")))
    assert [item.id for item in kept.recalled(today())] == ["old"]


def test_a_file_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    kept = Replay(tmp_path, 5)
    kept.path.parent.mkdir()
    kept.path.write_text("no json\n")
    with pytest.raises(IntegrityError, match="move it away"):
        kept.recalled(today())
