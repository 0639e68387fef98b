"""Who may ask how much: one bucket of requests and one of tokens for each key, refilled all the time.

An answer's tokens are known only afterwards, so a key may come to owe some; then it waits until they are paid.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from connectors.openai_api_errors import OverQuota

MINUTE = 60.0
Kind = Literal["requests", "tokens"]


@dataclass(frozen=True, slots=True)
class Client:
    """A program that holds a key. Without numbers of its own it has those of the settings."""

    id: str
    name: str
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None


class KeyRing(Protocol):
    """The keys that exist."""

    def known(self) -> bool:
        """Whether there is any that is not revoked."""
        ...

    def find(self, secret: str) -> Client | None:
        """Who holds this key; None if nobody does any more."""
        ...


@dataclass(slots=True)
class _Bucket:
    """`level` of `size`, at the time `at`; below zero it is owed."""

    size: int
    level: float
    at: float

    def refill(self, now: float) -> None:
        self.level = min(self.size, self.level + (now - self.at) * self.size / MINUTE)
        self.at = now

    def wait(self, wanted: float) -> float:
        """Seconds until there is so much."""
        return max(0.0, (wanted - self.level) * MINUTE / self.size)


class Quotas:
    """The buckets of all keys; in memory, so a restart fills them."""

    def __init__(self, requests: int, tokens: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._requests, self._tokens, self._clock = requests, tokens, clock
        self._buckets: dict[tuple[str, Kind], _Bucket] = {}

    def take(self, client: Client, kind: Kind, amount: int = 1) -> None:
        """Take requests or tokens.

        Raises:
            OverQuota: there are not so many; says when there will be.
        """
        bucket = self._bucket(client, kind)
        if amount > bucket.size:
            why = f"this request has {amount} {kind}; your key may use {bucket.size} a minute"
            raise OverQuota(why, MINUTE, kind, self.headers(client))
        if bucket.level < amount:
            wait = bucket.wait(amount)
            why = f"your key may use {bucket.size} {kind} a minute; try again in {wait:.1f} s"
            raise OverQuota(why, wait, kind, self.headers(client))
        bucket.level -= amount

    def charge(self, client: Client, tokens: int) -> None:
        """Take tokens that were used already."""
        self._bucket(client, "tokens").level -= tokens

    def headers(self, client: Client) -> dict[str, str]:
        """What is left, as OpenAI's headers tell it."""
        found: dict[str, str] = {}
        for kind in ("requests", "tokens"):
            bucket = self._bucket(client, "requests" if kind == "requests" else "tokens")
            found[f"x-ratelimit-limit-{kind}"] = str(bucket.size)
            found[f"x-ratelimit-remaining-{kind}"] = str(max(0, int(bucket.level)))
            found[f"x-ratelimit-reset-{kind}"] = _span(bucket.wait(bucket.size))
        return found

    def _bucket(self, client: Client, kind: Kind) -> _Bucket:
        if kind == "requests":
            size = client.requests_per_minute or self._requests
        else:
            size = client.tokens_per_minute or self._tokens
        now = self._clock()
        bucket = self._buckets.setdefault((client.id, kind), _Bucket(size, size, now))
        bucket.size = size
        bucket.refill(now)
        return bucket


def _span(seconds: float) -> str:
    """A time as in "250ms", "7s" or "1m30s"."""
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
