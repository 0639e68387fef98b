"""Checks what clients saw against the log, in the manner of Jepsen.

Clients note every operation with the time it began and ended. `check` returns the rules that were broken:

    lost         an acknowledged message is not in the log            doubled    a message is in the log twice
    refused      a message that was refused is in the log             order      acknowledged earlier, yet a later seq
    stale        a read misses what was acknowledged before it began  torn       a read is no slice of the log
    outcomes     an acknowledged message has not exactly one outcome  unseen     a shown message is not in the log
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from bot.core import events as ev
from bot.core.messages import Message


@dataclass(frozen=True)
class Sent:
    """A message. "ok": acknowledged with `seq`; "fail": refused; "info": the client never learned."""

    key: str
    began: float
    ended: float
    result: Literal["ok", "fail", "info"]
    seq: int = 0


@dataclass(frozen=True)
class Read:
    """Events after `after`, as a client got them."""

    after: int
    began: float
    events: tuple[ev.Recorded, ...]


@dataclass
class History:
    """What the clients of one conversation saw."""

    sent: list[Sent] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)
    shown: list[Message] = field(default_factory=list)


def check(history: History, log: Sequence[ev.Recorded]) -> list[str]:
    """The broken rules, each with its case. `log` is the final read of the conversation, all turns over."""
    rules = (_messages, _order, _reads, _outcomes, _shown)
    return [f"{problem}" for rule in rules for problem in rule(history, log)]


def _messages(history: History, log: Sequence[ev.Recorded]) -> Iterator[str]:
    stored = Counter(item.event.key for item in log if isinstance(item.event, ev.Received))
    yield from (f"doubled {key}" for key, count in stored.items() if count > 1)
    results: dict[str, set[str]] = {}
    for sent in history.sent:
        results.setdefault(sent.key, set()).add(sent.result)
    for key, seen in results.items():
        if "ok" in seen and not stored[key]:
            yield f"lost {key}"
        if seen == {"fail"} and stored[key]:
            yield f"refused {key}"


def _order(history: History, log: Sequence[ev.Recorded]) -> Iterator[str]:
    place = {item.event.key: item.seq for item in log if isinstance(item.event, ev.Received)}
    acknowledged = [sent for sent in history.sent if sent.result == "ok"]
    for sent in acknowledged:
        if sent.key in place and place[sent.key] != sent.seq:
            yield f"order {sent.key}: acknowledged as {sent.seq}, stored as {place[sent.key]}"
    first = {sent.key: sent for sent in reversed(acknowledged)}
    for earlier in first.values():
        for later in first.values():
            if earlier.ended < later.began and earlier.seq >= later.seq:
                yield f"order {earlier.key} before {later.key}"


def _reads(history: History, log: Sequence[ev.Recorded]) -> Iterator[str]:
    for number, read in enumerate(history.reads):
        expected = [item for item in log if item.seq > read.after][: len(read.events)]
        if list(read.events) != expected:
            yield f"torn read {number}"
        last = read.events[-1].seq if read.events else read.after
        for sent in history.sent:
            if sent.result == "ok" and sent.ended < read.began and sent.seq > last:
                yield f"stale read {number}"
                break


def _outcomes(history: History, log: Sequence[ev.Recorded]) -> Iterator[str]:
    turn = {item.event.key: item.turn for item in log if isinstance(item.event, ev.Received)}
    settled = Counter(item.turn for item in log if isinstance(item.event, ev.Settled))
    visible = {item.turn for item in log if isinstance(item.event, ev.Replied | ev.HandedOff)}
    for key in {sent.key for sent in history.sent if sent.result == "ok"}:
        number = turn.get(key)
        if number is not None and (settled[number] != 1 or number not in visible):
            yield f"outcomes of {key}: {settled[number]}"


def _shown(history: History, log: Sequence[ev.Recorded]) -> Iterator[str]:
    stored = [item.event.message for item in log if isinstance(item.event, ev.Replied)]
    yield from (f"unseen {message.id}" for message in history.shown if message not in stored)
