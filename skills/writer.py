"""Lets many coroutines write with one decoder: step by step in a thread, each caller gets its tokens as they come.

A caller that goes away (a closed connection, a barge-in) stops its text at the next step. A text whose numbers break
ends alone; a step that fails ends the texts under way. Both end with `SkillError`, and the next texts begin on a
decoder whose places are free again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from bot.core.errors import BotError, SkillError
from skills.decoder import Choose, Decoder, Writing


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
    """What one turn of the thread did."""

    opened: list[tuple[_Waiter, Writing | BotError]] = field(default_factory=list)
    tokens: list[tuple[Writing, int]] = field(default_factory=list)


class Writer:
    """Owns a decoder; used from one event loop."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._pool = ThreadPoolExecutor(1, "writer")
        self._waiting: list[_Waiter] = []
        self._under_way: dict[Writing, _Waiter] = {}
        self._ended: list[Writing] = []
        self._worker: asyncio.Task[None] | None = None
        self._closed = False

    async def close(self) -> None:
        """End the texts under way, with an error to those who wait."""
        self._closed = True
        if self._worker is not None:
            self._worker.cancel()
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
        while self._waiting or self._under_way or self._ended:
            self._sweep()
            fresh = self._waiting[: self._decoder.limits.places - len(self._under_way)]
            ended, self._ended = self._ended, []
            turn = _Turn()
            step = loop.run_in_executor(self._pool, self._turn, turn, ended, fresh)
            await asyncio.wait([step])
            self._opened(turn)
            error = step.exception()
            if error is not None:
                self._fail(SkillError("generator", f"{type(error).__name__}: {error}"))
            else:
                self._give(turn)

    def _turn(self, turn: _Turn, ended: list[Writing], fresh: list[_Waiter]) -> None:
        """In the thread: make room, begin what is new, go on with all. Copies of kept texts are made here too."""
        for writing in ended:
            self._decoder.close(writing)
        for waiter in fresh:
            order = waiter.order
            try:
                turn.opened.append((waiter, self._decoder.open(order.prompt, order.choose, order.stable)))
            except BotError as error:
                turn.opened.append((waiter, error))
        if self._decoder.busy:
            turn.tokens = self._decoder.step()

    def _opened(self, turn: _Turn) -> None:
        for waiter, found in turn.opened:
            self._waiting.remove(waiter)
            if isinstance(found, BotError):
                waiter.tokens.put_nowait(found)
            else:
                self._under_way[found] = waiter

    def _give(self, turn: _Turn) -> None:
        for writing, token in turn.tokens:
            waiter = self._under_way[writing]
            ended = token in waiter.order.ends
            if not ended:
                waiter.tokens.put_nowait(token)
            if ended or len(writing.written) >= waiter.order.limit or len(writing.tokens) > self._decoder.room:
                self._end(writing, None)
        for writing in [writing for writing in self._under_way if writing.broken]:
            self._end(writing, SkillError("generator", "the model's output is no number"))

    def _sweep(self) -> None:
        """Stop the texts that nobody waits for."""
        self._waiting = [waiter for waiter in self._waiting if not waiter.gone]
        for writing in [writing for writing, waiter in self._under_way.items() if waiter.gone]:
            self._end(writing, None)

    def _end(self, writing: Writing, how: BotError | None) -> None:
        self._under_way.pop(writing).tokens.put_nowait(how)
        self._ended.append(writing)

    def _fail(self, error: SkillError) -> None:
        for writing, waiter in self._under_way.items():
            writing.broken = True  # nothing of it is kept
            self._ended.append(writing)
            waiter.tokens.put_nowait(error)
        for waiter in self._waiting:
            waiter.tokens.put_nowait(error)
        self._under_way, self._waiting = {}, []
