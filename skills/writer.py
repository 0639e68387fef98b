"""Lets many coroutines write with one decoder, in a thread; each caller gets its tokens as they come.

The thread takes several steps at a time, a few milliseconds, as waking the event loop for each token would cost a small
model a good part of its speed; a first token and an end are told at once.

A caller that goes away (a closed connection, a barge-in) stops its text at the next step. A text whose numbers break
ends alone; a step that fails ends the texts under way. Both end with `SkillError`, and the next texts begin on a
decoder whose places are free again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from bot.core.errors import BotError, SkillError
from skills.decoder import Choose, Decoder, Writing

_MOMENT = 0.005
"""Seconds that the thread goes on before others hear of it."""


@dataclass(frozen=True, slots=True)
class Order:
    """A text to be written: at most `limit` tokens, up to one of `ends`, which is not given.

    `choose` and `stable` are as in `Decoder.open`.
    """

    prompt: Sequence[int]
    choose: Choose
    limit: int
    ends: frozenset[int] = frozenset()
    stable: int | None = None


@dataclass(slots=True, eq=False)
class _Waiter:
    """Somebody who waits for a text. `tokens` gets each token, then None, or what went wrong."""

    order: Order
    tokens: asyncio.Queue[int | BotError | None] = field(default_factory=asyncio.Queue)
    gone: bool = False


@dataclass(slots=True)
class _Turn:
    """What one turn of the thread did: who is no longer waiting for a place, and what is to be told to whom."""

    opened: list[_Waiter] = field(default_factory=list)
    told: list[tuple[_Waiter, int | BotError | None]] = field(default_factory=list)


class Writer:
    """Owns a decoder; used from one event loop."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._pool = ThreadPoolExecutor(1, "writer")
        self._waiting: list[_Waiter] = []
        self._under_way: dict[Writing, _Waiter] = {}
        self._worker: asyncio.Task[None] | None = None
        self._closed = False

    async def close(self) -> None:
        """End the texts under way, with an error to those who wait."""
        self._closed = True
        if self._worker is not None:
            await asyncio.wait([self._worker])
        self._pool.shutdown()
        self._fail(SkillError("generator", "the bot is shutting down"))

    async def forget(self) -> None:
        """Wait until nothing is being written, and keep nothing of what was read."""
        if self._worker is not None:
            await asyncio.wait([self._worker])
        self._decoder.forget()

    async def stream(self, order: Order) -> AsyncGenerator[int, None]:
        """The tokens of a text. Waits for a place.

        Raises:
            InputError: the prompt is too long.
            SkillError: the decoder failed, or was closed.
        """
        if self._closed:
            raise SkillError("generator", "the bot is shutting down")
        waiter = _Waiter(order)
        self._waiting.append(waiter)
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        try:
            while (token := await waiter.tokens.get()) is not None:
                if isinstance(token, BotError):
                    raise token
                yield token
        finally:
            waiter.gone = True

    async def _work(self) -> None:
        """Go on as long as there is something to write."""
        loop = asyncio.get_running_loop()
        while not self._closed and (self._waiting or self._under_way):
            self._waiting = [waiter for waiter in self._waiting if not waiter.gone]
            fresh = self._waiting[: self._decoder.limits.places - len(self._under_way)]
            turn = _Turn()
            work = loop.run_in_executor(self._pool, self._turn, turn, fresh)
            await asyncio.wait([work])
            self._waiting = [waiter for waiter in self._waiting if waiter not in turn.opened]
            for waiter, what in turn.told:
                waiter.tokens.put_nowait(what)
            error = work.exception()
            if error is not None:
                self._fail(SkillError("generator", f"{type(error).__name__}: {error}"))

    def _turn(self, turn: _Turn, fresh: list[_Waiter]) -> None:
        """In the thread: stop what nobody waits for, begin what is new, go on with all for a moment."""
        for writing in [writing for writing, waiter in self._under_way.items() if waiter.gone]:
            self._end(writing)
        for waiter in fresh:
            order = waiter.order
            try:
                self._under_way[self._decoder.open(order.prompt, order.choose, order.stable)] = waiter
            except BotError as error:
                turn.told.append((waiter, error))
            turn.opened.append(waiter)
        until = time.monotonic() + _MOMENT
        while self._under_way and not self._step(turn) and time.monotonic() < until:
            pass

    def _step(self, turn: _Turn) -> bool:
        """One step; whether somebody got a first token, or an end, and should hear of it at once."""
        soon = False
        for writing, token in self._decoder.step():
            waiter = self._under_way[writing]
            order, written = waiter.order, len(writing.tokens) - writing.prompt
            ended = token in order.ends
            if not ended:
                turn.told.append((waiter, token))
            if ended or written >= order.limit or len(writing.tokens) > self._decoder.room:
                self._end(writing)
                turn.told.append((waiter, None))
            soon = soon or written == 1 or writing not in self._under_way
        for writing in [writing for writing in self._under_way if writing.broken]:
            turn.told.append((self._end(writing), SkillError("generator", "the model's output is no number")))
            soon = True
        return soon

    def _end(self, writing: Writing) -> _Waiter:
        """Give the place back; who waited for the text."""
        self._decoder.close(writing)
        return self._under_way.pop(writing)

    def _fail(self, error: SkillError) -> None:
        for writing in list(self._under_way):
            writing.broken = True  # nothing of it is kept
            self._end(writing).tokens.put_nowait(error)
        for waiter in self._waiting:
            waiter.tokens.put_nowait(error)
        self._waiting = []
