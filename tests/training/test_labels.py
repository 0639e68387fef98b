"""How far rules are believed, and what follows when they speak about the same turn."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bot.core import events as ev
from bot.core.errors import IntegrityError
from bot.store import SqlStore
from tests.training.past import agent, bot, more, past, user
from training.examples import IntentExample
from training.labels import ENOUGH, Label, Provenance, RuleBook, evened, examples, merge, read_signals
from training.signals import RULES_BY_NAME, Candidate, Rule, Task
from training.signals.book import PRIOR, WINDOW, Audit, agreement, audits
from training.signals.turns import turns
from training.split import SplitOptions, split

INTENTS = tuple("abcdef")


def rule(name: str, start: float = 0.75, **fields: object) -> Rule:
    return replace(RULES_BY_NAME["rephrase_success"], name=name, start=start, **fields)  # type: ignore[arg-type]


def vote(name: str, turn: int, value: str, polarity: int = 1, task: Task = "intent") -> Candidate:
    return Candidate("c", turn, task, value, polarity, name, 1, (turn,))


def truth(turn: int, intent: str) -> Audit:
    return Audit("c", turn, intent, event=10_000 + turn)


def planted(names: dict[str, float], count: int, seed: int = 7) -> tuple[list[Candidate], list[str]]:
    """Votes of rules that are right as often as told; the wrong ones of a turn mostly meet on one intent."""
    random = np.random.default_rng(seed)
    votes, true = [], []
    for turn in range(1, count + 1):
        right, wrong = random.choice(INTENTS, 2, replace=False)
        true.append(str(right))
        for name, accuracy in names.items():
            votes.append(vote(name, turn, str(right if random.random() < accuracy else wrong)))
    return votes, true


# The book -----------------------------------------------------------------------------------------------------------


def test_a_rule_starts_with_its_starting_confidence() -> None:
    found = RuleBook().standing(rule("r", 0.9))
    assert found.accuracy == pytest.approx(0.9)
    assert found.a + found.b == pytest.approx(PRIOR)
    assert found.on
    assert found.low < found.accuracy < found.high


def test_weak_signs_are_off_until_an_audit_proves_them() -> None:
    weak = rule("r", 0.5)
    assert "not proven" in RuleBook().standing(weak).why
    book = RuleBook().judge([vote("r", n, "a") for n in range(20)], [truth(n, "a") for n in range(20)])
    assert book.standing(weak).on


@pytest.mark.parametrize("accuracy", [0.3, 0.6, 0.75, 0.95])
def test_the_posterior_recovers_planted_accuracies(accuracy: float) -> None:
    means, inside = [], 0
    random = np.random.default_rng(5)
    for _ in range(100):
        right = random.random(WINDOW) < accuracy
        votes = [vote("r", n, "a") for n in range(WINDOW)]
        book = RuleBook().judge(votes, [truth(n, "a" if right[n] else "b") for n in range(WINDOW)])
        means.append(book.standing(rule("r")).accuracy)
        known = book.standing(rule("r", accuracy))
        inside += known.low <= accuracy <= known.high
    pull = PRIOR / (PRIOR + WINDOW) * (0.75 - accuracy)
    assert np.mean(means) == pytest.approx(accuracy + pull, abs=0.025)
    assert inside >= 84  # of 100, at 90 %


def test_only_turns_drawn_at_random_judge_a_rule() -> None:
    history = past(user("a", "x"), bot("b", 1), user("c", "y", correction="z"), bot("d", 1), outcome="resolved")
    assert audits(turns(history)) == []
    judged = more(history, ev.Corrected(target=1, intent="x", audit=True))
    assert [(audit.turn, audit.intent, audit.predicted) for audit in audits(turns(judged))] == [(1, "x", "x")]
    standing = read_signals(judged).book.standing(RULES_BY_NAME["answer_accepted"])
    assert (standing.right, standing.wrong) == (1, 0)


def test_a_rule_is_not_judged_by_what_it_was_read_from() -> None:
    history = more(past(user("a", "x"), bot("b")), ev.Corrected(target=1, intent="y", audit=True))
    assert read_signals(history).book.answers == {}


def test_a_rule_that_turns_bad_switches_itself_off() -> None:
    good, bad = range(1, 201), range(201, 261)
    votes = [vote("r", n, "a") for n in (*good, *bad)]
    book = RuleBook().judge(votes, [truth(n, "a") for n in good])
    assert book.standing(rule("r")).on
    history = []
    for number in bad:
        book = book.judge(votes, [truth(number, "b")])
        history.append(book.standing(rule("r")).on)
    off = history.index(False)
    assert 10 < off < WINDOW
    assert not any(history[off:])
    assert merge([vote("r", 1, "a")], book, [rule("r")]) == []
    assert "wrong in" in book.standing(rule("r")).why


def test_a_bad_batch_of_labels_does_not_silence_people() -> None:
    people = rule("r", 0.97, human=True)
    book = RuleBook().judge([vote("r", n, "b") for n in range(200)], [truth(n, "a") for n in range(200)])
    assert book.standing(people).on and not book.standing(rule("r", 0.97)).on


def test_judging_again_changes_nothing_and_a_new_answer_replaces_the_old() -> None:
    votes, audited = [vote("r", n, "a") for n in range(60)], [truth(n, "a") for n in range(60)]
    book = RuleBook().judge(votes, audited)
    assert book.judge(votes, audited) == book
    assert book.judge(votes, audited[:20]) == book
    revised = book.judge(votes, [truth(59, "b")])
    assert [standing.wrong for standing in (book.standing(rule("r")), revised.standing(rule("r")))] == [0, 1]


def test_a_new_version_of_a_rule_begins_anew() -> None:
    book = RuleBook().judge([vote("r", n, "a") for n in range(9)], [truth(n, "b") for n in range(9)])
    assert book.standing(rule("r")).wrong == 9
    assert book.standing(rule("r", version=2)).wrong == 0
    newer = book.judge([replace(vote("r", 20, "a"), version=2)], [truth(20, "a")])
    assert (newer.standing(rule("r", version=2)).right, newer.standing(rule("r")).wrong) == (1, 0)


@pytest.mark.parametrize(
    ("candidate", "audit", "right"),
    [
        (vote("r", 1, "a", -1), truth(1, "b"), 1),
        (vote("r", 1, "a", -1), truth(1, "a"), 0),
        (vote("r", 1, "oos", task="scope"), truth(1, "out_of_scope"), 1),
        (vote("r", 1, "Hi.", 1, "reply"), replace(truth(1, "a"), predicted="a", answer="Hi."), 1),
        (vote("r", 1, "Hi.", -1, "reply"), replace(truth(1, "a"), predicted="b", answer="Hi."), 1),
        (vote("r", 1, "Hi.", 1, "reply"), replace(truth(1, "a"), predicted="a", answer="Hi.", better="Ho."), 0),
        (vote("r", 1, "Hi.", 1, "reply"), replace(truth(1, "a"), predicted="a", answer="Ho."), None),
        (vote("r", 1, "k1", 1, "passage"), truth(1, "a"), None),
    ],
)
def test_what_an_answer_says_of_a_candidate(candidate: Candidate, audit: Audit, right: int | None) -> None:
    standing = RuleBook().judge([candidate], [audit]).standing(rule("r"))
    assert (standing.right, standing.wrong) == ((0, 0) if right is None else (right, 1 - right))


def test_a_book_is_kept_as_json(tmp_path: Path) -> None:
    path = tmp_path / "learn" / "rules.json"
    assert RuleBook.load(path) == RuleBook()
    book = RuleBook().judge([vote("r", n, "a") for n in range(5)], [truth(n, "ab"[n % 2]) for n in range(5)])
    book.save(path)
    assert RuleBook.load(path) == book
    assert list(path.parent.iterdir()) == [path]
    assert '"c"' not in path.read_text()


@pytest.mark.parametrize("content", ["{", "[]", '{"format": 9}', '{"format": 1, "rules": {"r": {"version": 1}}}'])
def test_a_damaged_book_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "rules.json"
    path.write_text(content)
    with pytest.raises(IntegrityError, match="is no list of rules"):
        RuleBook.load(path)


def test_agreement_with_corrections_is_told_apart_from_accuracy() -> None:
    history = past(user("a", "x", correction="y"), bot("b", -1), user("c", "z", correction="z"), bot("d", 1))
    signals = read_signals(history)
    assert signals.agreement() == {"thumb_down": (1, 1), "thumb_up": (1, 1)}
    assert agreement([], signals.turns) == {}
    assert not signals.book.answers


# The merge ----------------------------------------------------------------------------------------------------------


def test_a_lone_vote_weighs_what_its_rule_weighs() -> None:
    found = merge([vote("r", 1, "a")], RuleBook(), [rule("r", 0.8)])
    assert [(label.value, label.confidence) for label in found] == [("a", 0.8)]
    (source,) = found[0].provenance
    assert source == Provenance("r", 1, (1,), 0.8, "a", 1)


def test_votes_that_agree_add_up_and_those_that_differ_take_away() -> None:
    rules = [rule("r", 0.8), rule("s", 0.8)]
    agree = merge([vote("r", 1, "a"), vote("s", 1, "a")], RuleBook(), rules)
    against = merge([vote("r", 1, "a"), vote("s", 1, "a", -1)], RuleBook(), [rules[0], rule("s", 0.76)])
    assert [label.confidence for label in agree] == [pytest.approx(0.945, abs=0.01)]
    assert [label.confidence for label in against] == [pytest.approx(0.56, abs=0.06)]
    assert merge([vote("r", 1, "a"), vote("s", 1, "b")], RuleBook(), rules) == []


def test_dawid_skene_beats_the_majority_when_one_rule_is_bad() -> None:
    names = {"good": 0.9, "fair": 0.85, "also": 0.85, "bad": 0.35}
    votes, true = planted(names, 400)
    labels = merge(votes, RuleBook(), [rule(name) for name in names])
    merged = {label.turn: label.value for label in labels}
    by_turn: dict[int, list[str]] = {}
    for item in votes:
        by_turn.setdefault(item.turn, []).append(item.value)
    majority = {turn: max(sorted(given), key=given.count) for turn, given in by_turn.items()}
    score = [np.mean([found.get(n) == t for n, t in enumerate(true, 1)]) for found in (merged, majority)]
    assert score[0] > score[1] + 0.04
    weights = {p.rule: p.confidence for p in labels[0].provenance}
    assert weights == {name: pytest.approx(accuracy, abs=0.06) for name, accuracy in names.items()}


def test_a_person_outvotes_rules_and_moves_no_accuracy() -> None:
    rules = [rule("person", 0.97, human=True), rule("r", 0.75), rule("s", 0.75)]
    votes = [vote(name, n, "b" if name == "person" else "a") for n in range(30) for name in ("person", "r")]
    found = merge([*votes, vote("r", 99, "a")], RuleBook(), rules)
    assert [label.value for label in found] == ["b"] * 30 + ["a"]
    assert [label.human for label in found] == [True] * 30 + [False]
    assert found[-1].confidence == 0.75


def test_what_only_speaks_against_or_supports_makes_no_intent() -> None:
    rules = [rule("r", 0.9), rule("weak", 0.9, supports=frozenset({"intent"}))]
    assert merge([vote("r", 1, "a", -1), vote("weak", 1, "a")], RuleBook(), rules) == []
    both = merge([vote("r", 1, "a"), vote("weak", 1, "a")], RuleBook(), rules)
    assert both[0].confidence > 0.9
    assert {source.rule for source in both[0].provenance} == {"r", "weak"}


def test_a_reply_that_was_judged_wrong_is_a_label_with_little_confidence() -> None:
    found = merge([vote("r", 1, "Hi.", -1, "reply")], RuleBook(), [rule("r", 0.9)])
    assert [(label.value, label.confidence, label.behind) for label in found] == [("Hi.", 0.1, ())]


def test_no_label_is_without_provenance() -> None:
    with pytest.raises(ValueError, match="without provenance"):
        Label("c", 1, "intent", "a", 0.9, ())
    votes, _ = planted({"r": 0.8, "s": 0.6}, 50)
    for label in merge(votes, RuleBook(), [rule("r"), rule("s")]):
        assert {source.rule for source in label.behind} <= {"r", "s"} != set()
        assert all(source.events == (label.turn,) and source.version == 1 for source in label.provenance)


def test_the_order_of_votes_does_not_matter_and_no_rule_votes_twice() -> None:
    votes, _ = planted({"r": 0.8, "s": 0.6, "t": 0.7}, 60)
    rules = [rule(name) for name in "rst"]
    once = merge(votes, RuleBook(), rules)
    shuffled = [votes[n] for n in np.random.default_rng(1).permutation(len(votes))]
    assert merge(shuffled, RuleBook(), rules[::-1]) == once
    doubled = merge([*votes, *(replace(item, events=(item.turn, 900)) for item in votes)], RuleBook(), rules)
    assert [label.confidence for label in doubled] == [label.confidence for label in once]
    assert doubled[0].provenance[0].events == (1, 900)


def test_rules_that_are_off_or_unknown_do_not_vote() -> None:
    assert merge([vote("r", 1, "a"), vote("unknown", 1, "b")], RuleBook(), [rule("r", 0.5)]) == []


# From a log to rows -------------------------------------------------------------------------------------------------


def resolved() -> list[ev.Recorded]:
    first = past(user("is it open today", "hours"), bot("Until six.", 1), outcome="resolved", name="one")
    other = past(user("was it sent", "order", correction="order"), bot("Yes.", 1), outcome="resolved", name="two")
    return [*first, *other]


def test_a_log_teaches_what_nobody_labelled_with_the_weight_of_its_rule() -> None:
    (row,) = examples(read_signals(resolved()))
    assert (row.text, row.intent, row.weight) == ("is it open today", "hours", 0.8)
    assert row.where == "one, turn 1 (answer_accepted 2)"
    assert (row.origin.group, row.origin.month) == ("one", "2026-03")


def test_rows_below_the_threshold_and_texts_with_two_labels_are_left_out() -> None:
    again = past(user("Is it open today", "order"), bot("Yes.", 1), outcome="resolved", name="three")
    assert examples(read_signals(resolved()), at_least=0.81) == ()
    assert examples(read_signals([*resolved(), *again])) == ()
    assert ENOUGH < 0.8


def test_what_rules_say_teaches_but_never_measures() -> None:
    rows = [replace(row, intent="hours") for row in examples(read_signals(resolved()))]
    plenty = [replace(row, text=f"text number {'x' * n}") for n in range(60) for row in rows]
    found = split(plenty, SplitOptions(share=0.5))
    assert found.held_out == ()
    assert len(found.train) > 0


def test_scope_is_proposed_once_its_rule_is_proven() -> None:
    lines = user("can you whistle a song", "a"), bot("No."), user("whistle a song can you", "b"), bot("No.")
    history = past(*lines, user("a person then"), agent("Hello."))
    proven = RuleBook().judge(
        [vote("rephrase_handoff", n, "x", -1) for n in range(40)], [truth(n, "y") for n in range(40)]
    )
    assert [label for label in read_signals(history).labels if label.task == "scope"] == []
    signals = read_signals(history, proven)
    assert [(label.turn, label.value) for label in signals.labels if label.task == "scope"] == [(1, "oos")]
    assert [label for label in signals.labels if label.task == "intent"] == []
    assert [(row.text, row.intent) for row in examples(signals)] == [("can you whistle a song", "oos")]


def test_the_same_log_gives_the_same_labels(tmp_path: Path) -> None:
    async def stored() -> list[ev.Recorded]:
        async with SqlStore(tmp_path / "log.db") as store:
            for name in ("one", "two"):
                await store.append(name, 0, tuple(fact for fact in resolved() if fact.conversation == name))
            return list(await store.tail(0, 100))

    log = asyncio.run(stored())
    once, twice = read_signals(log), read_signals(log)
    assert once == twice
    positions = {fact.position for fact in log}
    events = {event for label in once.labels for source in label.provenance for event in source.events}
    assert events
    assert events <= positions
    assert json.dumps([label.value for label in once.labels]) == '["hours", "Until six.", "order", "Yes."]'


def test_signs_of_one_intent_weigh_no_more_than_those_of_the_median_intent() -> None:
    counts = {"few": 1, "some": 2, "many": 8}
    signs = [IntentExample(f"{name} {n}", name, weight=0.8) for name, count in counts.items() for n in range(count)]
    found = evened([*signs, IntentExample("by hand", "many")])
    weights = {name: sum(row.weight for row in found if row.intent == name and row.weight < 1) for name in counts}
    assert weights == pytest.approx({"few": 0.8, "some": 1.6, "many": 1.6})
    assert found[-1].weight == 1
    assert evened(found[-1:]) == found[-1:]
