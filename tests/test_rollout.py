"""The arithmetic of a canary: evidence, steps, signs, shares, and the state on disk."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import numpy as np
import pytest

from benchmarks.canary import World, simulate
from bot.bundles import BundleStore
from bot.core import events as ev
from bot.core.errors import Conflict, InputError, IntegrityError, NotFound
from bot.core.messages import Message, Text
from bot.harm import SIGNS, WEIGHTS, Tally
from bot.manifest import Draft
from bot.rollout import Figures, Plan, RolloutFile, move
from bot.sequential import HARMFUL, evidence, harm, harmless

PLAN = Plan(shares=(0.05, 0.5), conversations=(40, 200), minutes=0)


def of(candidate: int, baseline: int) -> np.ndarray:
    """The same counts for every sign, in one stage."""
    return np.array([[[candidate, baseline]]] * len(SIGNS))


# Evidence


def test_the_evidence_is_the_mean_likelihood_ratio() -> None:
    ratios, share = (2.0, 3.0), 0.1
    odds = [share * ratio / (share * ratio + 1 - share) for ratio in ratios]
    expected = np.mean([(p / share) ** 2 * ((1 - p) / (1 - share)) ** 5 for p in odds])
    assert np.exp(evidence(np.array([[2, 5]]), (share,), ratios, 1.0)) == pytest.approx(expected)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_one_more_conversation_changes_nothing_on_average_while_nothing_changed(share: float) -> None:
    before, shares = np.array([[3, 20]]), (share,)
    after = [np.exp(evidence(before + np.array(step), shares, HARMFUL, 1.0)) for step in ([1, 0], [0, 1])]
    assert share * after[0] + (1 - share) * after[1] == pytest.approx(np.exp(evidence(before, shares, HARMFUL, 1.0)))
    better = share / 2
    assert better * after[0] + (1 - better) * after[1] < np.exp(evidence(before, shares, HARMFUL, 1.0))


def test_stages_add_up_and_those_without_two_arms_count_for_nothing() -> None:
    one = evidence(np.array([[2, 5], [9, 9]]), (0.1, 0.5), HARMFUL, 1.0)
    assert one == pytest.approx(evidence(np.array([[2, 5], [9, 9], [70, 0]]), (0.1, 0.5, 1.0), HARMFUL, 1.0))


def test_harm_and_harmlessness_exclude_each_other() -> None:
    assert harm(of(30, 10), (0.5,), WEIGHTS) > 20 > 1 > harmless(of(30, 10)[0], (0.5,))
    assert harmless(of(20, 60)[0], (0.5,)) > 20 > 1 > harm(of(20, 60), (0.5,), WEIGHTS)


def test_harm_of_one_kind_is_seen() -> None:
    counts = of(50, 50)
    assert harm(counts, (0.5,), WEIGHTS) < 1
    counts[SIGNS.index("failed"), 0] = (20, 0)
    assert harm(counts, (0.5,), WEIGHTS) > 20


def test_two_hundred_canaries_of_the_same_bundle_are_taken_back_in_five_percent_at_most() -> None:
    found = simulate(World(swing=0.5), 200, 3_000, PLAN, seed=11)
    assert (found.state == 2).mean() <= 0.05
    assert (found.state == 1).mean() >= 0.9


def test_two_hundred_harmful_ones_are_taken_back() -> None:
    found = simulate(World((3.0,) * 5), 200, 3_000, PLAN, seed=12)
    assert (found.state == 2).mean() >= 0.99
    assert np.median(found.exposed) < 40


# Steps


def figures(**changes: float) -> Figures:
    return Figures(**{"harm": 1.0, "harmless": 1.0, "talks": 0, "seconds": 1e6, "share": 0.05, **changes})  # type: ignore[arg-type]


def test_steps() -> None:
    assert move(figures(), PLAN)[0] == "stay"
    assert move(figures(talks=40), PLAN)[0] == "advance"
    assert move(figures(talks=40, share=0.5), PLAN)[0] == "stay"
    assert move(figures(harmless=20.0), PLAN)[0] == "advance"
    assert move(figures(talks=40, harm=5.0), PLAN)[0] == "stay"
    assert move(figures(talks=40, harm=20.0), PLAN)[0] == "rollback"
    assert move(figures(talks=40, seconds=59.0), Plan(shares=(0.05,), minutes=1))[0] == "stay"


def test_hard_errors_take_it_back_unless_the_machine_is_in_trouble() -> None:
    broken = {"errors": (3, 0), "turns": (100, 900)}
    assert move(figures(**broken), PLAN)[0] == "rollback"  # type: ignore[arg-type]
    assert move(figures(errors=(3, 20), turns=(100, 900)), PLAN)[0] == "stay"  # type: ignore[arg-type]
    assert move(figures(silent_errors=3), PLAN)[0] == "rollback"


def test_silent_scoring_comes_before_the_first_conversation() -> None:
    plan = PLAN.model_copy(update={"silent": 30})
    assert move(figures(share=0.0, silent=29, talks=99), plan)[0] == "stay"
    assert move(figures(share=0.0, silent=30), plan)[0] == "advance"


# Signs


class Log:
    """Facts of conversations, one after another. Names that begin with "n" have the candidate."""

    def __init__(self) -> None:
        self.tally, self._places = Tally(lambda name, _: 0 if name.startswith("n") else 1, [0]), count(1)

    def add(self, name: str, *facts: ev.Event, at: float = 0.0) -> None:
        for fact in facts:
            self.tally.take(
                [ev.Recorded(conversation=name, seq=1, turn=1, at=at, event=fact, position=next(self._places))]
            )

    def says(self, name: str, text: str, at: float) -> None:
        message = Message(id="m", parts=(Text(text=text),))
        self.add(name, ev.Received(message=message, key="k", channel="test", live=True), at=at)

    def counts(self, sign: str, stage: int = 0) -> tuple[int, ...]:
        return tuple(self.tally.harmed[SIGNS.index(sign), stage].tolist())


@pytest.fixture
def log() -> Log:
    return Log()


SETTLED = ev.Settled(outcome="replied")


@pytest.mark.parametrize(
    ("fact", "sign"),
    [
        (ev.Predicted(action="no_answer"), "no_answer"),
        (ev.Replied(message=Message(id="1", name="utter_no_answer", parts=())), "no_answer"),
        (ev.HandedOff(reason="asked for"), "handed_off"),
        (ev.Failed(code="x", stage="action"), "failed"),
        (ev.Settled(outcome="failed"), "failed"),
        (ev.Rated(message="1", score=-1), "thumbs_down"),
    ],
)
def test_signs_of_harm(log: Log, fact: ev.Event, sign: str) -> None:
    log.add("new", fact)
    log.add("old", ev.Predicted(action="start_flow"), ev.Rated(message="1", score=1), SETTLED)
    assert log.counts(sign) == log.counts("any") == (1, 0)


def test_a_conversation_counts_once_for_each_sign(log: Log) -> None:
    for _ in range(3):
        log.add("new", ev.HandedOff(reason="x"), ev.Predicted(action="no_answer"), SETTLED)
    assert (log.counts("any"), log.counts("handed_off"), log.counts("no_answer")) == ((1, 0), (1, 0), (1, 0))
    assert log.tally.talks.tolist() == [[1, 0]] and log.tally.turns == [3, 0]


def test_nearly_the_same_words_again_soon_are_a_rephrase(log: Log) -> None:
    log.says("new", "where is my parcel", 0.0)
    log.says("new", "where is my parcel now", 20.0)
    log.says("old", "where is my parcel", 0.0)
    log.says("old", "thanks a lot", 20.0)
    log.says("old", "where is my parcel", 900.0)
    assert log.counts("rephrased") == (1, 0)


def test_what_happens_after_a_stage_began_belongs_to_it(log: Log) -> None:
    log.add("new", ev.HandedOff(reason="x"), SETTLED)
    log.tally.next_stage()
    log.add("new", ev.HandedOff(reason="x"), SETTLED)
    log.add("new2", ev.HandedOff(reason="x"))
    assert (log.counts("any", 0), log.counts("any", 1)) == ((1, 0), (1, 0))
    assert log.tally.talks.tolist() == [[1, 0], [1, 0]]


def test_only_failures_of_its_own_models_are_hard_errors(log: Log) -> None:
    log.add("new", ev.Failed(code="x", stage="action"), ev.Failed(code="x", stage="understand"))
    log.add("new", ev.Failed(code="x", stage="understand"))
    assert log.tally.errors == [1, 0]


# State


@pytest.fixture
def bundles(tmp_path: Path) -> BundleStore:
    store = BundleStore(tmp_path)
    for word in ("a", "b", "c"):
        store.create(lambda stage, word=word: (stage / "w").write_text(word) and Draft(kind="models"))  # type: ignore[misc]
    return store


def test_a_canary_needs_a_baseline_and_one_at_a_time(bundles: BundleStore) -> None:
    file, names = RolloutFile(bundles), [item.id for item in bundles.list()]
    with pytest.raises(NotFound, match="nothing to compare"):
        file.begin(names[0], 0.0)
    bundles.promote(names[0], "first")
    with pytest.raises(Conflict, match="in use already"):
        file.begin(names[0], 0.0)
    with pytest.raises(InputError, match="rise"):
        file.begin(names[1], 0.0, Plan(shares=(0.5, 0.1)))
    file.begin(names[1], 0.0)
    with pytest.raises(Conflict, match="runs already"):
        file.begin(names[2], 0.0)
    assert file.withdraw("enough", 1.0) is not None and file.withdraw("again", 1.0) is None
    assert file.begin(names[2], 2.0).share == 0.01


def test_what_is_over_is_not_written_again(bundles: BundleStore) -> None:
    file, names = RolloutFile(bundles), [item.id for item in bundles.list()]
    bundles.promote(names[0], "first")
    begun = file.begin(names[1], 0.0)
    file.withdraw("by hand", 1.0)
    assert file.update(begun.salt, lambda it: it.model_copy(update={"harm": 7.0})).harm == 1.0
    assert "was withdrawn at 1970" in (file.read() or begun).told()


def test_a_canary_leaves_the_way_back_as_it_was(bundles: BundleStore) -> None:
    names = [item.id for item in bundles.list()]
    bundles.promote(names[0], "first")
    bundles.promote(names[1], "second")
    RolloutFile(bundles).begin(names[2], 0.0)
    RolloutFile(bundles).withdraw("x", 1.0)
    assert bundles.rollback("back").id == names[0]


def test_a_spoilt_state_is_named(bundles: BundleStore) -> None:
    file = RolloutFile(bundles)
    file.path.write_text("{}")
    with pytest.raises(IntegrityError, match="not the state of a canary"):
        file.read()
