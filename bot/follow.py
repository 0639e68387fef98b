"""Lets channels follow a conversation: stored events first, then live ones, without gap or repetition.

A follower's buffer is bounded. One that falls behind loses nothing: the gap in `seq` shows, and the log is read again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager

from bot.core.events import Erased, Recorded
from bot.core.protocols import Draft, EventStore

_PAGE = 500


class _Feed:
    """The live end of one follower."""

    def __init__(self, buffered: int) -> None:
        self._events: deque[Recorded | Draft] = deque(maxlen=buffered)
        self._news = asyncio.Event()
        self._closed = False

    def push(self, events: Sequence[Recorded | Draft]) -> None:
        self._events.extend(events)
        self._news.set()

    def close(self) -> None:
        self._closed = True
        self._news.set()

    async def next(self) -> Recorded | Draft | None:
        """The next live event; None when there will be none."""
        while not self._events:
            if self._closed:
                return None
            self._news.clear()
            await self._news.wait()
        return self._events.popleft()


class Followers:
    """Everyone who follows, by conversation. `show` is told of the drafts of all."""

    def __init__(self, store: EventStore, buffered: int = 256) -> None:
        self._store, self._buffered = store, buffered
        self._feeds: dict[str, set[_Feed]] = {}
        self._watchers: list[Callable[[Sequence[Recorded]], None]] = []
        self.show: Callable[[str, Draft], None] = lambda conversation, draft: None

    def watch(self, watcher: Callable[[Sequence[Recorded]], None]) -> Callable[[], None]:
        """Hand every conversation's events to `watcher` as they are committed; it must be quick and never fail.

        Returns what ends it.
        """
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    def publish(self, conversation: str, events: Sequence[Recorded]) -> None:
        """Hand committed events to those who follow."""
        for watcher in self._watchers:
            watcher(events)
        for feed in self._feeds.get(conversation, ()):
            feed.push(events)

    def draft(self, conversation: str, turn: int, text: str) -> None:
        """Show those who follow the beginning of an answer that is not said yet."""
        draft = Draft(turn, text)
        self.show(conversation, draft)
        for feed in self._feeds.get(conversation, ()):
            feed.push((draft,))

    def close(self) -> None:
        """End every follower once it has seen what is buffered."""
        for feeds in self._feeds.values():
            for feed in feeds:
                feed.close()

    async def follow(self, conversation: str, after: int) -> AsyncIterator[Recorded]:
        """See `Gateway.follow`."""
        async for news in self.follow_drafts(conversation, after):
            if not isinstance(news, Draft):
                yield news

    async def follow_drafts(self, conversation: str, after: int) -> AsyncIterator[Recorded | Draft]:
        """See `Gateway.follow_drafts`."""
        with self._subscribed(conversation) as feed:
            last, behind = after, True
            while True:
                while behind:
                    page = await self._store.read(conversation, last, _PAGE)
                    for recorded in page:
                        last = recorded.seq
                        yield recorded
                    behind = len(page) == _PAGE
                news = await feed.next()
                if news is None:
                    return
                if isinstance(news, Draft):
                    yield news
                    continue
                if news.seq == last + 1 or (news.seq > last and isinstance(news.event, Erased)):
                    last = news.seq
                    yield news
                behind = news.seq > last

    @contextmanager
    def _subscribed(self, conversation: str) -> Iterator[_Feed]:
        feed = _Feed(self._buffered)
        feeds = self._feeds.setdefault(conversation, set())
        feeds.add(feed)
        try:
            yield feed
        finally:
            feeds.discard(feed)
            if not feeds and self._feeds.get(conversation) is feeds:
                del self._feeds[conversation]
