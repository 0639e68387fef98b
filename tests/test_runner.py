from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from bot.core.errors import DeadlineExceeded, Overloaded, SkillError
from bot.runner import Memory, Runner, RunnerLimits
from tests.fakes import Clock, EchoSkill, eventually


@contextmanager
def running(skill: Any, clock: Any = time.monotonic, **limits: Any) -> Iterator[Runner[Any, Any]]:
    runner: Runner[Any, Any] = Runner(skill, RunnerLimits(**limits), clock)
    try:
        yield runner
    finally:
        if isinstance(skill, EchoSkill):
            skill.release.set()
        runner.close()


async def failure(work: Any) -> str:
    with pytest.raises(SkillError) as caught:
        await work
    return str(caught.value)


async def test_gives_each_caller_its_own_result() -> None:
    with running(EchoSkill()) as runner:
        assert await asyncio.gather(*map(runner.run, range(100))) == list(range(100))


async def test_an_idle_skill_runs_at_once_and_alone() -> None:
    skill = EchoSkill()
    with running(skill) as runner:
        for item in "abc":
            await runner.run(item)
    assert skill.batches == [["a"], ["b"], ["c"]]


async def test_what_waits_while_a_batch_runs_forms_the_next_one() -> None:
    skill = EchoSkill(hang=["first"])
    with running(skill, max_batch=8) as runner:
        first = asyncio.create_task(runner.run("first"))
        await eventually(skill.entered.is_set)
        calls = [asyncio.create_task(runner.run(item)) for item in range(10)]
        await asyncio.sleep(0)
        skill.release.set()
        await asyncio.gather(first, *calls)
    assert [len(batch) for batch in skill.batches] == [1, 8, 2]


async def test_a_bad_item_fails_alone() -> None:
    skill = EchoSkill(errors={"bad": ValueError("no")})
    with running(skill) as runner:
        results = await asyncio.gather(*map(runner.run, ["a", "bad", "b"]), return_exceptions=True)
    assert results[0] == "a" and results[2] == "b"
    assert str(results[1]) == "skill 'echo': raised ValueError: no"


async def test_what_is_asked_for_again_is_answered_from_memory() -> None:
    skill = EchoSkill()
    memory: Memory[str] = Memory(lambda item: None if item == "now" else item, 2)
    runner: Runner[Any, Any] = Runner(skill, memory=memory)
    for item in ("a", "now", "now", "a", "b", "a", "c", "a", "b"):  # c drives b out, for a was asked for since
        assert await runner.run(item) == item
    runner.close()
    assert [item for batch in skill.batches for item in batch] == ["a", "now", "now", "b", "c", "b"]


async def test_a_failure_is_not_remembered() -> None:
    errors: dict[Any, Exception] = {"bad": ValueError("no")}
    runner: Runner[Any, Any] = Runner(EchoSkill(errors), memory=Memory(str, 2))
    await failure(runner.run("bad"))
    del errors["bad"]
    assert await runner.run("bad") == "bad"
    runner.close()


async def test_what_was_remembered_can_be_dropped() -> None:
    skill = EchoSkill()
    runner: Runner[Any, Any] = Runner(skill, memory=Memory(str, 2))
    await runner.run("a")
    runner.forget()
    await runner.run("a")
    runner.close()
    assert skill.batches == [["a"], ["a"]]


async def test_a_memory_of_no_size_keeps_nothing() -> None:
    skill = EchoSkill()
    runner: Runner[Any, Any] = Runner(skill, memory=Memory(str, 0))
    assert [await runner.run("a"), await runner.run("a")] == ["a", "a"]
    runner.close()
    assert skill.batches == [["a"], ["a"]]


async def test_a_wrong_number_of_results_is_an_error() -> None:
    class Short:
        name = "short"

        def run(self, batch: Sequence[int]) -> Sequence[int]:
            return []

    with running(Short()) as runner:
        assert "returned 0 results for 1 items" in await failure(runner.run(1))


async def test_a_full_queue_refuses() -> None:
    skill = EchoSkill(hang=["slow"])
    with running(skill, queue=2) as runner:
        calls = [asyncio.create_task(runner.run(item)) for item in ("slow", "next")]
        await eventually(skill.entered.is_set)
        with pytest.raises(Overloaded):
            await runner.run("third")
        skill.release.set()
        assert await asyncio.gather(*calls) == ["slow", "next"]


async def test_a_cancelled_call_never_reaches_the_skill() -> None:
    skill = EchoSkill(hang=["slow"])
    with running(skill) as runner:
        slow = asyncio.create_task(runner.run("slow"))
        await eventually(skill.entered.is_set)
        waiting = asyncio.create_task(runner.run("unwanted"))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        skill.release.set()
        await slow
        assert await runner.run("last") == "last"
    assert ["unwanted"] not in skill.batches


async def test_a_hung_call_ends_at_its_deadline_and_others_go_on_in_another_thread() -> None:
    skill = EchoSkill(hang=["hang"])
    with running(skill, deadline=0.05) as runner:
        with pytest.raises(DeadlineExceeded, match="'echo'"):
            await runner.run("hang")
        assert await runner.run("next", deadline=5) == "next"


async def test_a_long_queue_is_not_taken_for_a_hang() -> None:
    skill = EchoSkill(hang=["slow"])
    with running(skill, deadline=5) as runner:
        slow = asyncio.create_task(runner.run("slow"))
        await eventually(skill.entered.is_set)
        with pytest.raises(DeadlineExceeded):
            await runner.run("impatient", deadline=0.01)
        skill.release.set()
        assert await slow == "slow"


async def test_after_repeated_failures_calls_are_refused_at_once_until_a_probe_succeeds() -> None:
    clock = Clock()
    skill = EchoSkill(errors={"bad": ValueError("no")})
    with running(skill, clock, failures=3, rest=5) as runner:
        for _ in range(3):
            assert "raised" in await failure(runner.run("bad"))
        assert "rests" in await failure(runner.run("good"))
        clock.forward(6)
        assert "raised" in await failure(runner.run("bad"))
        assert "rests" in await failure(runner.run("good"))
        clock.forward(6)
        assert [await runner.run("good"), await runner.run("good")] == ["good", "good"]


async def test_too_many_hung_threads_open_the_breaker() -> None:
    skill = EchoSkill(hang=["hang"])
    with running(skill, deadline=0.03, replacements=1, failures=99) as runner:
        for _ in range(2):
            assert "no result" in await failure(runner.run("hang"))
        await asyncio.sleep(0.05)
        assert "rests" in await failure(runner.run("good"))


async def test_a_closed_runner_refuses() -> None:
    with running(EchoSkill()) as runner:
        pass
    assert "closed" in await failure(runner.run(1))


async def test_counts_what_it_did() -> None:
    with running(EchoSkill(errors={"bad": ValueError("no")})) as runner:
        await runner.run("good")
        await failure(runner.run("bad"))
        assert (runner.stats.items, runner.stats.failures) == (2, 1)
