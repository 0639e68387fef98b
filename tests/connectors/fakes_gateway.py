"""A `Gateway` in memory that keeps the manager's promises, with a bot that is easy to predict.

It answers "You said: TEXT". Words in the text choose other answers: buttons, sources, slow, nothing; crash raises.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from bot.core.errors import BotError, DuplicateMismatch, NotFound, StorageUnavailable
from bot.core.events import Event, Received, Recorded, Replied, Settled, Started
from bot.core.messages import Choice, Choices, Inbound, Message, Source, Text
from bot.core.protocols import Outcome, Receipt


class MemoryGateway:
    """All conversations, in lists."""

    def __init__(self) -> None:
        self.logs: dict[str, list[Recorded]] = {}
        self.slow = asyncio.Event()
        self.broken = False
        self.refusal: BotError | None = None
        self._outcomes: dict[tuple[str, int], asyncio.Future[Outcome]] = {}
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    async def submit(self, inbound: Inbound) -> Receipt:
        conversation, key = inbound.address.conversation, inbound.key
        if self.refusal:
            raise self.refusal
        if "crash" in inbound.message.text:
            raise RuntimeError("planted failure with a secret in it")
        log = self.logs.setdefault(conversation, [])
        for recorded in log:
            if isinstance(recorded.event, Received) and recorded.event.key == key:
                if recorded.event.message != inbound.message:
                    raise DuplicateMismatch(f"message id {key!r} was used for another message")
                return self._receipt(recorded, duplicate=True)
        if not log:
            self._put(conversation, 0, Started(channel=inbound.address.channel, sender=inbound.address.sender))
        turn = max(r.turn for r in log) + 1
        event = Received(message=inbound.message, key=key, channel=inbound.address.channel, metadata=inbound.metadata)
        recorded = self._put(conversation, turn, event)
        self._outcomes[conversation, turn] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._answer(recorded, inbound.message.text))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return self._receipt(recorded, duplicate=False)

    async def record(self, conversation: str, event: Event) -> Recorded:
        if conversation not in self.logs:
            raise NotFound(f"there is no conversation {conversation!r}")
        return self._put(conversation, 0, event)

    async def read(self, conversation: str, after: int = 0, limit: int | None = None) -> Sequence[Recorded]:
        return self.logs.get(conversation, [])[after:][:limit]

    async def follow(self, conversation: str, after: int) -> AsyncIterator[Recorded]:
        while True:
            for recorded in self.logs.get(conversation, [])[after:]:
                after = recorded.seq
                yield recorded
                if self.broken and isinstance(recorded.event, Replied):
                    raise StorageUnavailable("the disk is gone")
            async with self._changed:
                while len(self.logs.get(conversation, [])) <= after:
                    await self._changed.wait()

    def seed(self, conversation: str, text: str, times: int) -> None:
        """Make a long past: turns with a reply each."""
        log = self.logs.setdefault(conversation, [])
        for turn in range(1, times + 1):
            event = Replied(message=Message(id=f"{turn}.1", parts=(Text(text=text),)))
            log.append(Recorded(conversation=conversation, seq=len(log) + 1, turn=turn, at=1e9, event=event))

    async def close(self) -> None:
        """Break off what runs."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _put(self, conversation: str, turn: int, event: Event) -> Recorded:
        log = self.logs[conversation]
        log.append(Recorded(conversation=conversation, seq=len(log) + 1, turn=turn, at=1e9 + len(log), event=event))
        task = asyncio.create_task(self._tell())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return log[-1]

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _answer(self, asked: Recorded, text: str) -> None:
        if "slow" in text:
            await self.slow.wait()
        messages = [] if "nothing" in text else [_reply(asked.turn, text)]
        for message in messages:
            self._put(asked.conversation, asked.turn, Replied(message=message))
        self._put(asked.conversation, asked.turn, Settled(outcome="replied"))
        self._outcomes[asked.conversation, asked.turn].set_result(Outcome(asked.turn, "replied", tuple(messages)))

    def _receipt(self, recorded: Recorded, duplicate: bool) -> Receipt:
        outcome = self._outcomes[recorded.conversation, recorded.turn]

        async def settled() -> Outcome:
            return await asyncio.shield(outcome)

        return Receipt(recorded.conversation, recorded.seq, recorded.turn, duplicate, settled)


def _reply(turn: int, text: str) -> Message:
    parts: list[Text | Choices] = [Text(text=f"You said: {text}")]
    if "buttons" in text:
        parts.append(Choices(options=(Choice(title="Yes", payload="/affirm"), Choice(title="No", payload="/deny"))))
    found = (Source(document="returns", title="Returns", chunk="c1", url="https://shop.example/returns"),)
    return Message(id=f"{turn}.1", parts=tuple(parts), sources=found if "sources" in text else ())
