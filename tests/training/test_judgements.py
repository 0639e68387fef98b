"""Judgements as facts, taking them back, and how far people agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bot.core.errors import InputError, NotFound
from bot.core.events import Corrected, Entity
from tests.training.reviewing import asked, bot, logged, user
from training.data import reviewed
from training.judgements import Decision, agreement, alpha, anchoring, fact, judged, note
from training.redaction import redacted
from training.signals import turns

ROME = Entity(type="city", value="Rome", text="Rome", start=3, end=7)


def decision(verdict: str = "relabel", **more: Any) -> Decision:
    return Decision.model_validate({"conversation": "c0", "turn": 1, "verdict": verdict, **more})


def said(decided: Decision, by: str = "ann", **metadata: Any) -> Corrected:
    return fact(decided, "to Rome", by, metadata)


def test_a_decision_becomes_a_fact_with_how_it_came_about() -> None:
    found = said(decision(intent="track", entities=[ROME]), reason="audit", probability=0.2)
    assert (found.intent, found.entities, found.by, found.source, found.audit) == (
        "track",
        (ROME,),
        "ann",
        "reviewer",
        True,
    )
    assert found.metadata == {"reason": "audit", "probability": 0.2}
    assert said(decision(intent="track"), reason="margin").audit is False
    assert said(decision("reject")).usable is False


@pytest.mark.parametrize(
    "wrong", [decision("accept"), decision(intent="a", hidden=[(3, 9)]), decision("reject", hidden=[(4, 4)])]
)
def test_what_makes_no_sense_is_refused(wrong: Decision) -> None:
    with pytest.raises(InputError):
        said(wrong)


async def test_the_last_word_counts_and_can_be_taken_back(tmp_path: Path) -> None:
    store = await asked(tmp_path, "to Rome")
    for one in (decision(intent="refund"), decision(intent="track")):
        await note(store, "c0", said(one))
    assert [row.intent for row in reviewed(store.log)[0]] == ["track"]
    await note(store, "c0", said(decision("undo")))
    assert (reviewed(store.log)[0], judged(store.log), turns(store.log)[0].corrections) == ((), {}, ())


async def test_one_cannot_take_back_what_another_said(tmp_path: Path) -> None:
    store = await asked(tmp_path, "to Rome")
    await note(store, "c0", said(decision(intent="track")))
    await note(store, "c0", said(decision("undo"), by="bob"))
    assert [row.intent for row in reviewed(store.log)[0]] == ["track"]


async def test_what_is_not_usable_teaches_nothing(tmp_path: Path) -> None:
    store = await asked(tmp_path, "to Rome")
    await note(store, "c0", said(decision(intent="track")))
    await note(store, "c0", said(decision("reject")))
    assert reviewed(store.log)[0] == () and not turns(store.log)[0].said
    await note(store, "c0", said(decision(intent="track")))
    assert len(reviewed(store.log)[0]) == 1 and turns(store.log)[0].said


async def test_hidden_words_are_gone_from_the_whole_conversation(tmp_path: Path) -> None:
    store = await logged(
        tmp_path, [user("to Rome"), bot("Rome it is, ROME."), user("yes, rome")], [user("to Rome"), bot()]
    )
    await note(store, "c0", said(decision(intent="track", hidden=[(3, 7)])))
    first, second, other = turns(redacted(store.log))
    assert (first.text, second.text, other.text) == ("to ████", "yes, ████", "to Rome")
    assert first.answer == "████ it is, ████." and first.conversation == "c0"
    await note(store, "c0", said(decision("undo")))
    assert redacted(store.log) == store.log


async def test_a_conversation_that_is_gone_cannot_be_judged(tmp_path: Path) -> None:
    store = await asked(tmp_path, "to Rome")
    await store.erase("c0", 9.0)
    for name in ("c0", "none"):
        with pytest.raises(NotFound):
            await note(store, name, said(decision(intent="track")))


def test_alpha_is_that_of_the_literature() -> None:
    # Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", example B: binary data, two observers.
    a, b = [0, 1, 0, 0, 0, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]
    assert alpha(list(zip(a, b, strict=True))) == pytest.approx(0.095, abs=1e-3)
    # Example C: nominal data, any number of observers, missing data.
    rows = ["1 2 3 3 2 1 4 1 2 * * *", "1 2 3 3 2 2 4 1 2 5 * 3", "* 3 3 3 2 3 4 2 2 5 1 *", "1 2 3 3 2 4 4 1 2 5 1 *"]
    units = [[v for v in unit if v != "*"] for unit in zip(*(row.split() for row in rows), strict=True)]
    assert alpha(units) == pytest.approx(0.743, abs=1e-3)


def test_alpha_without_pairs_or_without_variety() -> None:
    assert alpha([["a"], []]) is None
    assert alpha([["a", "a"], ["a", "a"]]) == 1.0


async def test_agreement_names_what_is_disputed(tmp_path: Path) -> None:
    store = await asked(tmp_path, "one", "two")
    for name, by, intent in (
        ("c0", "ann", "track"),
        ("c0", "bob", "refund"),
        ("c1", "ann", "track"),
        ("c1", "bob", "track"),
    ):
        await note(store, name, said(decision(intent=intent), by=by))
    found = agreement(judged(store.log))
    assert found.turns == 2 and found.alpha is not None and found.alpha < 0.5
    assert found.disputed == ((("c0", 1), {"ann": "track", "bob": "refund"}),)
    assert {label: n for label, (_, n) in found.labels.items()} == {"track": 3, "refund": 1}


async def test_anchoring_compares_orders(tmp_path: Path) -> None:
    store = await asked(tmp_path, "one", "two", "three")
    for n, (intent, shuffled) in enumerate([("track", False), ("refund", True), ("track", True)]):
        shown: dict[str, Any] = {"best": "track", "shuffled": shuffled}
        await note(store, f"c{n}", said(decision(intent=intent), **shown))
    found = anchoring(judged(store.log))
    assert (found.ranked, found.shuffled) == ((1, 1), (1, 2))
