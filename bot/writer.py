"""Lets many coroutines write with one decoder: one thread goes step by step, each caller gets its tokens as they come.

A caller that goes away (a closed connection, a barge-in) stops its text at the next step. A step that fails ends the
texts under way with `SkillError`; the next ones begin on a decoder whose places are free again.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
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
    loop: asyncio.AbstractEventLoop
    tokens: asyncio.Queue[int | BotError | None] = field(default_factory=asyncio.Queue)
    cancelled: threading.Event = field(default_factory=threading.Event)

    def tell(self, what: int | BotError | None) -> None:
        with suppress(RuntimeError):  # its loop has closed: nobody waits any more
            self.loop.call_soon_threadsafe(self.tokens.put_nowait, what)


class Writer:
    """Owns a decoder and its thread. Use as a context manager."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._orders: queue.SimpleQueue[_Order | None] = queue.SimpleQueue()
        self._waiting: list[_Order] = []
        self._under_way: dict[Writing, _Order] = {}
        self._thread = threading.Thread(target=self._work, name="writer", daemon=True)

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._orders.put(None)
        self._thread.join()

    async def stream(
        self, prompt: Sequence[int], choose: Choose, *, limit: int, ends: frozenset[int] = frozenset()
    ) -> AsyncIterator[int]:
        """The tokens of a text, at most `limit`, up to one of `ends`, which is not given. Waits for a place.

        Raises:
            InputError: the prompt is too long.
            SkillError: the decoder failed.
        """
        order = _Order(prompt, choose, limit, ends, asyncio.get_running_loop())
        self._orders.put(order)
        try:
            while (token := await order.tokens.get()) is not None:
                if isinstance(token, BotError):
                    raise token
                yield token
        finally:
            order.cancelled.set()

    def _work(self) -> None:
        while self._take():
            try:
                self._admit()
                for writing, token in self._decoder.step():
                    self._give(writing, token)
            except Exception as error:  # the boundary: a decoder that fails must not take the others' bot down
                self._fail(SkillError("generator", f"{type(error).__name__}: {error}"))
            self._sweep()
        self._fail(SkillError("generator", "the bot is shutting down"))

    def _take(self) -> bool:
        """Collect new orders, waiting for one if there is nothing else to do; whether to go on."""
        idle = not self._under_way and not self._waiting
        while idle or not self._orders.empty():
            order = self._orders.get()
            if order is None:
                return False
            self._waiting.append(order)
            idle = False
        return True

    def _admit(self) -> None:
        """Begin the texts that wait, in order, as far as there are places."""
        while self._waiting and len(self._under_way) < self._decoder.limits.places:
            order = self._waiting.pop(0)
            try:
                self._under_way[self._decoder.open(order.prompt, order.choose)] = order
            except BotError as error:
                order.tell(error)

    def _give(self, writing: Writing, token: int) -> None:
        order = self._under_way[writing]
        ended = token in order.ends
        if not ended:
            order.tell(token)
        if ended or len(writing.written) >= order.limit or len(writing.tokens) > self._decoder.room:
            self._end(writing)

    def _sweep(self) -> None:
        """Stop the texts that nobody waits for."""
        self._waiting = [order for order in self._waiting if not order.cancelled.is_set()]
        for writing in [writing for writing, order in self._under_way.items() if order.cancelled.is_set()]:
            self._end(writing)

    def _end(self, writing: Writing) -> None:
        self._decoder.close(writing)
        self._under_way.pop(writing).tell(None)

    def _fail(self, error: SkillError) -> None:
        for writing, order in self._under_way.items():
            self._decoder.close(writing)
            order.tell(error)
        for order in self._waiting:
            order.tell(error)
        self._under_way, self._waiting = {}, []
