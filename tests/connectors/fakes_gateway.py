"""A `Gateway` in memory that keeps the manager's promises, with a bot that is easy to predict.

It answers "You said: TEXT". Words in the text choose other answers: buttons, sources, slow, nothing; crash raises.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from bot.core.errors import BotError, DuplicateMismatch, NotFound, StorageUnavailable
from bot.core.events import Entity, Event, Received, Recorded, Replied, Scored, Settled, Started, Understood
from bot.core.messages import Address, Choice, Choices, Inbound, Message, Source, Text
from bot.core.protocols import Draft, Outcome, Receipt


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
        key = inbound.key
        if self.refusal:
            raise self.refusal
        if "crash" in inbound.message.text:
            raise RuntimeError("planted failure with a secret in it")
        event = Received(message=inbound.message, key=key, channel=inbound.address.channel, metadata=inbound.metadata)
        return self._take(inbound.address, event)

    async def trigger(self, address: Address, intent: str, entities: Sequence[Entity] = (), name: str = "") -> Receipt:
        key = name or f"x.{len(self.logs.get(address.conversation, ()))}"
        message = Message(id=f"u.{key}", parts=())
        event = Received(message=message, key=key, channel=address.channel, metadata={"is_external": True})
        scored = (Scored(name=intent, score=1.0),)
        meant = Understood(
            text="", language="", intents=scored, in_scope=1.0, entities=tuple(entities), source="external"
        )
        return self._take(address, event, meant)

    def _take(self, address: Address, event: Received, *then: Event) -> Receipt:
        conversation = address.conversation
        log = self.logs.setdefault(conversation, [])
        for recorded in log:
            if isinstance(recorded.event, Received) and recorded.event.key == event.key:
                if recorded.event.message != event.message:
                    raise DuplicateMismatch(f"message id {event.key!r} was used for another message")
                return self._receipt(recorded, duplicate=True)
        if not log:
            self._put(conversation, 0, Started(channel=address.channel, sender=address.sender))
        turn = max(r.turn for r in log) + 1
        recorded = self._put(conversation, turn, event)
        for fact in then:
            self._put(conversation, turn, fact)
        self._outcomes[conversation, turn] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._answer(recorded, event.message.text))
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

    async def follow_drafts(self, conversation: str, after: int) -> AsyncIterator[Recorded | Draft]:
        async for recorded in self.follow(conversation, after):
            yield recorded

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
