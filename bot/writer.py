"""Lets many coroutines write with one decoder: step by step in a thread, each caller gets its tokens as they come.

A caller that goes away (a closed connection, a barge-in) stops its text at the next step. A step that fails ends the
texts under way with `SkillError`; the next ones begin on a decoder whose places are free again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from bot.core.errors import BotError, SkillError
from skills.decoder import Choose, Decoder, Writing


@dataclass(slots=True, eq=False)
class _Order:
    """A text that somebody waits for. `tokens` gets each token, then None, or what went wrong."""

    prompt: Sequence[int]
    choose: Choose
    limit: int
    ends: frozenset[int]
    tokens: asyncio.Queue[int | BotError | None] = field(default_factory=asyncio.Queue)
    gone: bool = False


class Writer:
    """Owns a decoder; used from one event loop."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._pool = ThreadPoolExecutor(1, "writer")
        self._waiting: list[_Order] = []
        self._under_way: dict[Writing, _Order] = {}
        self._worker: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """End the texts under way, with an error to those who wait."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.wait([self._worker])
        self._pool.shutdown()
        self._fail(SkillError("generator", "the bot is shutting down"))

    async def stream(
        self, prompt: Sequence[int], choose: Choose, *, limit: int, ends: frozenset[int] = frozenset()
    ) -> AsyncGenerator[int, None]:
        """The tokens of a text, at most `limit`, up to one of `ends`, which is not given. Waits for a place.

        Raises:
            InputError: the prompt is too long.
            SkillError: the decoder failed.
        """
        order = _Order(prompt, choose, limit, ends)
        self._waiting.append(order)
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        try:
            while (token := await order.tokens.get()) is not None:
                if isinstance(token, BotError):
                    raise token
                yield token
        finally:
            order.gone = True

    async def _work(self) -> None:
        """Go on as long as there is something to write."""
        loop = asyncio.get_running_loop()
        while self._waiting or self._under_way:
            self._sweep()
            self._admit()
            step = loop.run_in_executor(self._pool, self._decoder.step)
            await asyncio.wait([step])
            error = step.exception()
            if error is not None:
                self._fail(SkillError("generator", f"{type(error).__name__}: {error}"))
                continue
            for writing, token in step.result():
                self._give(writing, token)

    def _admit(self) -> None:
        """Begin the texts that wait, in order, as far as there are places."""
        while self._waiting and len(self._under_way) < self._decoder.limits.places:
            order = self._waiting.pop(0)
            try:
                self._under_way[self._decoder.open(order.prompt, order.choose)] = order
            except BotError as error:
                order.tokens.put_nowait(error)

    def _give(self, writing: Writing, token: int) -> None:
        order = self._under_way[writing]
        ended = token in order.ends
        if not ended:
            order.tokens.put_nowait(token)
        if ended or len(writing.written) >= order.limit or len(writing.tokens) > self._decoder.room:
            self._end(writing)

    def _sweep(self) -> None:
        """Stop the texts that nobody waits for."""
        self._waiting = [order for order in self._waiting if not order.gone]
        for writing in [writing for writing, order in self._under_way.items() if order.gone]:
            self._end(writing)

    def _end(self, writing: Writing) -> None:
        self._decoder.close(writing)
        self._under_way.pop(writing).tokens.put_nowait(None)

    def _fail(self, error: SkillError) -> None:
        for writing in self._under_way:
            self._decoder.close(writing)
        for order in (*self._under_way.values(), *self._waiting):
            order.tokens.put_nowait(error)
        self._under_way, self._waiting = {}, []
