"""Runs a synchronous skill off the event loop: one thread, batches across conversations, deadlines, a breaker.

A batch is whatever waits when the thread becomes free, so an idle skill answers at once and a busy one gets larger
batches; nobody waits for a batch to fill. One bad item never spoils its neighbours: a failed batch is run again item by
item. A thread that hangs is given up and replaced a few times; then, or after repeated failures, the breaker refuses at
once and lets one call through from time to time to see whether the skill is well again. What is asked for again, such
as the meaning of "yes", is answered from memory.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from bot.core.errors import DeadlineExceeded, Overloaded, SkillError
from bot.core.protocols import Skill

In = TypeVar("In")
Out = TypeVar("Out")


@dataclass(frozen=True, slots=True)
class RunnerLimits:
    """`queue`: calls that may wait or run. `deadline`, `rest`: seconds. `failures` in a row open the breaker.

    `replacements`: how many hung threads are tolerated at a time.
    """

    max_batch: int = 32
    queue: int = 1024
    deadline: float = 2.0
    failures: int = 5
    rest: float = 5.0
    replacements: int = 3


@dataclass(frozen=True, slots=True)
class Memory(Generic[In]):
    """Which results are kept: the latest `size`, by `key`, which tells all that the result for an item depends on.

    Where `key` gives None the skill is asked every time. Whoever gets a result must not change it.
    """

    key: Callable[[In], Hashable | None]
    size: int


@dataclass(slots=True)
class RunnerStats:
    """Counts since the start."""

    items: int = 0
    batches: int = 0
    failures: int = 0
    expired: int = 0


@dataclass(slots=True, eq=False)
class _Job:
    item: Any
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop
    retried: bool = False


@dataclass(slots=True, eq=False)
class _Worker:
    """A thread, the batch it runs and since when; `abandoned` tells it to end when it comes back."""

    running: tuple[_Job, ...] = ()
    since: float = 0.0
    abandoned: bool = False


@dataclass(slots=True)
class _Breaker:
    """Open while `until` lies in the future; after that one call at a time is let through."""

    limits: RunnerLimits
    clock: Callable[[], float]
    failures: int = 0
    until: float = 0.0
    probing: bool = False

    def refuses(self) -> bool:
        if not self.until:
            return False
        if self.clock() < self.until or self.probing:
            return True
        self.probing = True
        return False

    def success(self) -> None:
        self.failures, self.until, self.probing = 0, 0.0, False

    def failure(self) -> None:
        self.failures += 1
        if self.probing or self.failures >= self.limits.failures:
            self.open()

    def open(self) -> None:
        self.until, self.probing = self.clock() + self.limits.rest, False


class Runner(Generic[In, Out]):
    """Calls one skill from the event loop. All methods belong to the loop's thread."""

    def __init__(
        self,
        skill: Skill[In, Out],
        limits: RunnerLimits | None = None,
        clock: Callable[[], float] = time.monotonic,
        memory: Memory[In] | None = None,
    ) -> None:
        self._skill, self.limits = skill, limits or RunnerLimits()
        self._memory = memory if memory is not None and memory.size else None
        self._kept: OrderedDict[Hashable, Out] = OrderedDict()
        self._breaker = _Breaker(self.limits, clock)
        self._inbox: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._waiting = self._hung = 0
        self._closed = False
        self.stats = RunnerStats()
        self._start_thread()

    async def run(self, item: In, deadline: float | None = None) -> Out:
        """The skill's result for one item, within `deadline` seconds.

        Raises:
            Overloaded: too many calls wait already.
            DeadlineExceeded: no result in time.
            SkillError: the skill raised, or is resting after repeated failures.
        """
        key = self._memory.key(item) if self._memory is not None else None
        if key is None:
            return await self._ask(item, deadline)
        found = self._kept.get(key)
        if found is None:
            found = await self._ask(item, deadline)
            self._keep(key, found)
        self._kept.move_to_end(key)
        return found

    def _keep(self, key: Hashable, result: Out) -> None:
        assert self._memory is not None
        self._kept[key] = result
        if len(self._kept) > self._memory.size:
            self._kept.popitem(last=False)

    async def _ask(self, item: In, deadline: float | None) -> Out:
        seconds = self.limits.deadline if deadline is None else deadline
        self._admit()
        loop = asyncio.get_running_loop()
        job = _Job(item, loop.create_future(), loop)
        alarm = loop.call_later(seconds, self._expire, job, seconds)
        self._waiting += 1
        self._inbox.put(job)
        try:
            result: Out = await job.future
            return result
        finally:
            alarm.cancel()
            self._waiting -= 1

    def forget(self) -> None:
        """Drop the results that are kept."""
        self._kept.clear()

    def close(self) -> None:
        """End the thread after the batch it runs; a hung one is left behind."""
        self._closed = True
        self._inbox.put(None)

    def _admit(self) -> None:
        name = self._skill.name
        if self._closed:
            raise SkillError(name, "is closed")
        if self._waiting >= self.limits.queue:
            raise Overloaded(f"skill {name!r} has {self._waiting} calls waiting; try again later")
        if self._breaker.refuses():
            raise SkillError(name, f"rests after {self._breaker.failures} failures; it is tried again in seconds")

    def _start_thread(self) -> None:
        self._worker = worker = _Worker()
        threading.Thread(target=self._work, args=(worker,), name=f"skill-{self._skill.name}", daemon=True).start()

    # On the loop's thread

    def _expire(self, job: _Job, seconds: float) -> None:
        if job.future.done():
            return
        job.future.set_exception(DeadlineExceeded(self._skill.name, f"gave no result within {seconds:g} s"))
        self.stats.expired += 1
        self._failed()
        if job in self._worker.running:
            self._suspect(self._worker, self._worker.since)

    def _suspect(self, worker: _Worker, since: float) -> None:
        """Give the thread up if it has run this batch for a whole deadline; a long queue alone is no hang."""
        if not worker.running or worker.since != since or worker.abandoned:
            return
        left = since + self.limits.deadline - time.monotonic()
        if left > 0:
            asyncio.get_running_loop().call_later(left, self._suspect, worker, since)
        elif self._hung >= self.limits.replacements:
            self._breaker.open()
        else:
            self._abandon(worker)

    def _abandon(self, worker: _Worker) -> None:
        """Leave a hung thread, and give what it held, except the expired, to another one."""
        self._hung += 1
        worker.abandoned = True
        rest = [job for job in worker.running if not job.future.done() and not job.retried]
        self._start_thread()
        for job in rest:
            job.retried = True
            self._inbox.put(job)

    def _deliver(self, done: Sequence[tuple[_Job, Any]], worker: _Worker) -> None:
        if worker.abandoned:
            self._hung -= 1
        for job, result in done:
            if isinstance(result, SkillError):
                self._failed()
            else:
                self._breaker.success()
            if job.future.done():
                continue
            if isinstance(result, SkillError):
                job.future.set_exception(result)
            else:
                job.future.set_result(result)

    def _failed(self) -> None:
        self.stats.failures += 1
        self._breaker.failure()

    # On the skill's thread

    def _work(self, worker: _Worker) -> None:
        while not worker.abandoned and self._serve(worker):
            pass

    def _serve(self, worker: _Worker) -> bool:
        """Run what waits; whether more may come. Its own function: nothing is held while the next is awaited."""
        batch, last = self._collect()
        if batch:
            worker.since, worker.running = time.monotonic(), tuple(batch)
            done = self._run(batch)
            worker.running = ()
            self._post(batch[0].loop, done, worker)
        return not last

    def _post(self, loop: asyncio.AbstractEventLoop, done: Sequence[tuple[_Job, Any]], worker: _Worker) -> None:
        with suppress(RuntimeError):  # the loop was closed while the skill ran: nobody waits any more
            loop.call_soon_threadsafe(self._deliver, done, worker)

    def _collect(self) -> tuple[list[_Job], bool]:
        """What waits now, at least one, at most a batch; and whether the runner was closed."""
        batch: list[_Job] = []
        while len(batch) < self.limits.max_batch:
            try:
                job = self._inbox.get_nowait() if batch else self._inbox.get()
            except queue.Empty:
                break
            if job is None:
                return batch, True
            if job.future.done():
                continue
            batch.append(job)
            if job.retried:
                break
        return batch, False

    def _run(self, batch: Sequence[_Job]) -> Sequence[tuple[_Job, Any]]:
        self.stats.batches += 1
        self.stats.items += len(batch)
        results = self._call([job.item for job in batch])
        if isinstance(results, SkillError) and len(batch) > 1:
            return [pair for job in batch if not job.future.done() for pair in self._run([job])]
        if isinstance(results, SkillError):
            return [(batch[0], results)]
        return list(zip(batch, results, strict=True))

    def _call(self, items: Sequence[Any]) -> Sequence[Any] | SkillError:
        name = self._skill.name
        try:
            results = self._skill.run(items)
        except Exception as error:  # the boundary to code that is not ours: skills raise whatever they raise
            failure = SkillError(name, f"raised {type(error).__name__}: {error}")
            failure.__cause__ = error
            return failure
        if len(results) != len(items):
            return SkillError(name, f"returned {len(results)} results for {len(items)} items")
        return results
