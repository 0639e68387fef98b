"""A canary in a running manager, with real bundles' files and scripted models."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bot.bundles import BundleStore
from bot.canary import Canary, Candidate
from bot.cli.learning import _with_canary
from bot.core import events as ev
from bot.core.errors import Conflict, IntegrityError, SkillError
from bot.core.protocols import Understanding, Utterance
from bot.manager import Manager
from bot.manifest import Draft
from bot.rollout import Plan, Rollout, RolloutFile, over
from tests.fakes import Clock, MemoryStore, Reader, Shelf, eventually, models, program, tell

FAST = Plan(shares=(0.1, 0.5), conversations=(10,), minutes=0, shadow=0.0)


class Bad(Reader):
    """Understands nothing."""

    async def __call__(self, utterance: Utterance) -> Understanding:
        found = await super().__call__(utterance)
        return replace(found, in_scope=0.0)


class World:
    """A manager, two bundles and what looks after canaries."""

    def __init__(self, root: Path, candidate: Any) -> None:
        self.bundles, self.clock, self.log = BundleStore(root / "models"), Clock(), MemoryStore()
        self.old, self.new = (self._bundle(name) for name in ("old", "new"))
        self.bundles.promote(self.old, "first")
        self.candidate, self.file = candidate, RolloutFile(self.bundles)
        self.loads = 0

    def _bundle(self, word: str) -> str:
        def fill(stage: Path) -> Draft:
            (stage / "word").write_text(word)
            return Draft(kind="models")

        return self.bundles.create(fill).id

    def load(self, bundle: str) -> Candidate:
        self.loads += 1
        if isinstance(self.candidate, Exception):
            raise self.candidate
        return Candidate(bundle, self.candidate, None, lambda: None)

    def begin(self, plan: Plan = FAST) -> Rollout:
        return self.file.begin(self.new, self.clock(), plan)

    @property
    def state(self) -> Rollout:
        found = self.file.read()
        assert found is not None
        return found

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[tuple[Manager, Canary]]:
        """One run of the bot; the log and the files outlive it."""
        given = models(Reader(self.old), bundle=self.old, program=program().model_copy(update={"knowledge": False}))
        manager = Manager(self.log, given, clock=self.clock)
        canary = Canary(manager, self.log, self.bundles, self.load, self.clock)
        await canary.look()
        try:
            yield manager, canary
        finally:
            await manager.close()
            await canary.stop()

    async def talk(self, manager: Manager, canary: Canary, talks: range) -> int:
        """New conversations, with a look after each, until the canary is over; how many there were."""
        for number in talks:
            await tell(manager, "hello there", conversation=f"c{number}")
            self.clock.forward(1)
            await canary.look()
            if self.state.state != "running":
                return number
        return talks.stop


@pytest.fixture
def bad(tmp_path: Path) -> World:
    return World(tmp_path, Bad())


@pytest.fixture
def good(tmp_path: Path) -> World:
    return World(tmp_path, Reader())


async def test_a_harmful_candidate_is_taken_back_by_itself(bad: World) -> None:
    bad.begin()
    async with bad.serving() as (manager, canary):
        assert await bad.talk(manager, canary, range(400)) < 400
        assert (bad.state.state, bad.bundles.current()) == ("rolled_back", bad.old)
        assert bad.state.reason.startswith("harm") and bad.state.harm > 20
        assert manager.select is None and canary.figures()["canary_rollbacks_total"] == 1
        assert await tell(manager, "hello", conversation="later") == ["Hello!"]
    assert [line.action for line in bad.bundles.history()] == ["promote", "canary", "withdraw"]


async def test_a_candidate_that_breaks_is_taken_back_after_three_conversations(good: World) -> None:
    good.candidate.error = SkillError("intent", "weights are gone")
    good.begin(FAST.model_copy(update={"evidence": 1e9}))
    async with good.serving() as (manager, canary):
        await good.talk(manager, canary, range(200))
    assert good.state.state == "rolled_back" and "hard errors" in good.state.reason
    assert good.state.errors == (3, 0)


async def test_one_that_cannot_be_loaded_is_taken_back_at_once(good: World) -> None:
    good.candidate = IntegrityError("intent.json", "is missing")
    good.begin()
    async with good.serving() as (manager, _):
        assert manager.select is None
    assert good.state.state == "rolled_back" and "cannot be loaded" in good.state.reason


async def test_a_harmless_candidate_is_given_more_and_then_all(good: World) -> None:
    good.begin()
    async with good.serving() as (manager, canary):
        await good.talk(manager, canary, range(400))
        assert await tell(manager, "hello", conversation="c0") == ["Hello!"]
        assert len(good.candidate.seen) > 20
        used = len(good.candidate.seen)
        await tell(manager, "hello", conversation="new")  # until the models in use have followed the pointer
        assert len(good.candidate.seen) == used + 1
        manager.models = models(bundle=good.new)
        await canary.look()
        assert manager.select is None
    assert [stage.share for stage in good.state.stages] == [0.1, 0.5, 1.0]
    assert (good.state.state, good.bundles.current()) == ("promoted", good.new)


async def test_a_conversation_keeps_its_candidate_when_the_share_is_raised(good: World) -> None:
    rollout = good.begin()
    names = [f"c{n}" for n in range(2000)]
    small = {name for name in names if rollout.arm(name, 0.1) == 0}
    large = {name for name in names if rollout.arm(name, 0.5) == 0}
    assert small < large
    assert abs(len(small) - 200) < 60 and abs(len(large) - 1000) < 110


async def test_a_restart_counts_the_log_again(bad: World) -> None:
    bad.begin(FAST.model_copy(update={"evidence": 1e9, "conversations": (1000,)}))
    async with bad.serving() as (manager, canary):
        await bad.talk(manager, canary, range(60))
        before = canary.latest
    async with bad.serving() as (_, canary):
        after = canary.latest
    assert before is not None and after is not None
    assert (after.harm, after.turns, after.stages) == (before.harm, before.turns, before.stages)
    assert before.stages[0].harmed["no_answer"][0] == before.stages[0].talks[0] > 0


async def test_a_bot_that_was_down_when_the_limit_was_passed_takes_it_back_at_its_start(bad: World) -> None:
    bad.begin(FAST.model_copy(update={"evidence": 1e9, "conversations": (1000,)}))
    async with bad.serving() as (manager, canary):
        await bad.talk(manager, canary, range(150))
    running = bad.state
    bad.file.update(running.salt, lambda it: it.model_copy(update={"plan": FAST}))
    async with bad.serving() as (manager, _):
        assert bad.state.state == "rolled_back" and manager.select is None


async def test_without_a_canary_a_turn_asks_nobody(good: World) -> None:
    async with good.serving() as (manager, canary):
        await tell(manager, "hello")
        await canary.look()
        assert manager.select is None and canary.figures() == {} and good.loads == 0
        assert not manager.followers._watchers


async def test_a_person_takes_it_back_while_it_runs(good: World) -> None:
    good.begin()
    async with good.serving() as (manager, canary):
        good.file.withdraw("second thoughts", good.clock())
        await canary.look()
        assert await tell(manager, "hello") == ["Hello!"] and good.candidate.seen == []
    assert (good.state.state, good.state.reason) == ("withdrawn", "second thoughts")


async def test_another_promotion_ends_it(good: World) -> None:
    good.begin()
    async with good.serving() as (manager, canary):
        good.bundles.promote(good._bundle("third"), "by hand")
        await canary.look()
        assert manager.select is None
    assert good.state.state == "withdrawn"


async def test_the_candidate_scores_silently_and_changes_nothing(bad: World) -> None:
    bad.begin(FAST.model_copy(update={"shadow": 1.0, "silent": 30}))
    async with bad.serving() as (manager, canary):
        shown = [await tell(manager, "hello", conversation=f"c{n}") for n in range(20)]
        await eventually(lambda: len(bad.candidate.seen) == 20)
        await canary.look()
    assert shown == [["Hello!"]] * 20
    assert bad.state.shadow.turns + bad.state.shadow.missed == 20
    assert bad.state.shadow.agreed == 0 and bad.state.shadow.abstained == (bad.state.shadow.turns, 0)
    assert all(fact.event.bundle == bad.old for fact in bad.log.log if isinstance(fact.event, ev.Understood))


async def test_a_candidate_that_breaks_silently_is_taken_back_before_anybody_gets_it(good: World) -> None:
    good.candidate.error = SkillError("intent", "weights are gone")
    good.begin(FAST.model_copy(update={"silent": 30}))
    async with good.serving() as (manager, canary):
        await good.talk(manager, canary, range(30))
    assert good.state.state == "rolled_back" and "silently" in good.state.reason


def test_the_state_is_json_that_tells_the_share(good: World) -> None:
    good.begin()
    found = json.loads((good.bundles.root / "ROLLOUT").read_text())
    assert (found["candidate"], found["stages"][0]["share"], found["state"]) == (good.new, 0.1, "running")


async def test_one_that_was_damaged_on_disk_is_not_promoted(good: World) -> None:
    good.begin()
    async with good.serving() as (manager, canary):
        (good.bundles.root / good.new / "word").write_text("spoilt")
        await good.talk(manager, canary, range(400))
        assert manager.select is None
    assert (good.state.state, good.bundles.current()) == ("rolled_back", good.old)


async def test_a_bot_that_died_right_after_the_promotion_notes_it_at_its_start(good: World) -> None:
    good.begin()
    good.bundles.promote(good.new, "canary")
    manager = Manager(good.log, models(bundle=good.new))
    await Canary(manager, good.log, good.bundles, good.load, good.clock).look()
    assert good.state.state == "promoted" and manager.select is None and good.loads == 0


async def test_new_knowledge_reaches_both_arms(good: World) -> None:
    good.begin()
    async with good.serving() as (manager, canary):
        manager.models = models(Reader(good.old), bundle=good.old, retrieve=Shelf())
        await canary.look()
        assert manager.select is not None
        arms = {manager.select(f"c{n}").bundle: manager.select(f"c{n}") for n in range(100)}
    assert set(arms) == {good.old, good.new}
    assert all(each.retrieve is manager.models.retrieve for each in arms.values())


def made(bundle: str) -> Any:
    """What a round of learning gives, as far as it is looked at."""
    return SimpleNamespace(
        result=SimpleNamespace(verdict=SimpleNamespace(promote=True), bundle=SimpleNamespace(id=bundle))
    )


def test_learning_ships_its_candidates_as_canaries_and_none_twice(tmp_path: Path) -> None:
    world = World(tmp_path / ".bot", Reader())
    once = _with_canary(tmp_path, lambda: made(world.new))
    once()
    assert (world.state.candidate, world.bundles.current()) == (world.new, world.old)
    with pytest.raises(Conflict, match="under way"):
        once()
    world.file.update(world.state.salt, lambda it: over(it, "rolled_back", "harm", 1.0))
    once()
    assert world.state.state == "rolled_back"
    third = world._bundle("third")
    _with_canary(tmp_path, lambda: made(third))()
    assert (world.state.candidate, world.state.state) == (third, "running")


async def test_two_bots_of_one_project_count_together_and_follow_each_other(good: World) -> None:
    good.begin(FAST.model_copy(update={"shares": (0.5, 0.8)}))
    async with good.serving() as (one, left), good.serving() as (two, right):
        for number in range(60):
            await tell(one if number % 2 else two, "hello there", conversation=f"c{number}")
        await left.look()
        assert len(good.state.stages) == 2 and sum(good.state.stages[0].talks) == 60
        await right.look()
        good.clock.forward(6)  # both write down their counts
        await right.look()
        await left.look()
        assert left.latest == right.latest == good.state and len(good.state.stages) == 2
        await good.talk(two, right, range(60, 400))
        assert good.state.state == "promoted"
        await left.look()
        used = len(good.candidate.seen)
        await tell(one, "hello", conversation="new")  # the other bot's models have not followed the pointer yet
        assert len(good.candidate.seen) == used + 1


async def test_what_one_bot_sees_of_harm_takes_the_candidate_back_from_the_other(bad: World) -> None:
    bad.begin(FAST.model_copy(update={"shares": (0.5, 0.8), "conversations": (1000,)}))
    async with bad.serving() as (one, left), bad.serving() as (two, right):
        for number in range(80):
            await tell(one if number % 2 else two, "hello there", conversation=f"c{number}")
        await left.look()
        assert bad.state.state == "rolled_back"
        await right.look()
        assert two.select is None and right.latest == bad.state
        assert await tell(two, "hello", conversation="later") == ["Hello!"]


async def test_a_bot_that_finds_the_candidate_in_use_does_not_call_it_overtaken(good: World) -> None:
    good.begin()
    async with good.serving() as (_, canary):
        good.bundles.promote(good.new, "canary")  # another bot, which died before it wrote the end down
        await canary.look()
    assert good.state.state == "promoted"
