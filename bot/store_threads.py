"""The threads of the log: work goes in by a queue, results come back on the event loop that asked.

A hand-over costs a queue and a future of asyncio, and no more: an executor's own futures and locks would cost three
times as much, at every turn. Should a thread ever end before its time, nobody waits for it in vain.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from bot.core.errors import BotError, StorageUnavailable

Work = TypeVar("Work")


@dataclass(slots=True)
class Job(Generic[Work]):
    """Work for a thread. `future` belongs to `loop`."""

    work: Work
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop


class JobThread(Generic[Work]):
    """A thread that does jobs in the order of submission. `do` gets what waits, and answers each with `resolve`."""

    def __init__(self, name: str, do: Callable[[list[Job[Work]]], None], largest_batch: int = 1) -> None:
        self._do, self._largest = do, largest_batch
        self._jobs: queue.SimpleQueue[Job[Work] | None] = queue.SimpleQueue()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, work: Work) -> asyncio.Future[Any]:
        """Queue work; the future gets its result.

        Raises:
            StorageUnavailable: the thread has ended.
        """
        if self._ended:
            raise StorageUnavailable("the log is closed")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._jobs.put(Job(work, future, loop))
        return future

    def stop(self) -> None:
        """Finish what is queued, then end the thread."""
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        batch: list[Job[Work]] = []
        last = False
        try:
            while not last:
                batch, last = self._drain()
                if batch:
                    self._do(batch)
                batch = []  # what was done is not held while the next is awaited
        finally:
            self._ended = True
            self._refuse(batch)

    def _drain(self) -> tuple[list[Job[Work]], bool]:
        """What comes next and all that waits behind it, up to the largest batch; and whether the end was among it."""
        batch: list[Job[Work]] = []
        while len(batch) < self._largest:
            try:
                job = self._jobs.get_nowait() if batch else self._jobs.get()
            except queue.Empty:
                break
            if job is None:
                return batch, True
            batch.append(job)
        return batch, False

    def _refuse(self, batch: list[Job[Work]]) -> None:
        """Nothing more will be done: tell those who still wait."""
        while not self._jobs.empty():
            job = self._jobs.get_nowait()
            if job is not None:
                batch.append(job)
        resolve(batch, [StorageUnavailable("the log's thread has ended")] * len(batch))


def resolve(jobs: Sequence[Job[Any]], results: Sequence[Any]) -> None:
    """Hand results over, waking each event loop once. An exception among them is raised where it is awaited."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any]]] = {}
    for job, result in zip(jobs, results, strict=True):
        by_loop.setdefault(job.loop, []).append((job.future, result))
    for loop, done in by_loop.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_settle, done)


def _settle(done: list[tuple[asyncio.Future[Any], Any]]) -> None:
    for future, result in done:
        if future.done():
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)


def answer(job: Job[Any], work: Callable[[], Any], errors: tuple[type[Exception], ...] = (BotError,)) -> None:
    """Do one thing and hand over what comes of it: its result, or an error of these types."""
    try:
        result = work()
    except errors as error:
        result = error
    resolve([job], [result])
