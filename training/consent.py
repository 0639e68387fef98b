"""Which conversations may be learned from: the one filter before anything is trained.

A person's latest word counts, in whichever of their conversations it was said; without one, the project's setting does
(opt-out or opt-in). What is older than the project keeps conversations teaches no more, erased or not yet.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from itertools import groupby

from bot.config import PrivacySettings, Settings
from bot.core import events as ev
from bot.core.errors import Conflict
from bot.core.protocols import EventStore
from training.privacy import VERSION, Masker
from training.redaction import redacted

DAY = 86_400.0
_TRIES = 20
_REGIONS = {
    "en": ("US", "GB"),
    "zh": ("CN", "TW", "HK"),
    "ja": ("JP",),
    "ko": ("KR",),
    "sv": ("SE",),
    "da": ("DK",),
    "cs": ("CZ",),
    "el": ("GR",),
    "hi": ("IN",),
    "uk": ("UA",),
    "pt": ("PT", "BR"),
    "de": ("DE", "AT", "CH"),
}
"""Main countries of languages whose code is not their country's."""


class Permission:
    """What the people of a log allow. `now` is seconds since 1970 UTC."""

    def __init__(self, log: Iterable[ev.Recorded], policy: PrivacySettings, now: float) -> None:
        self._policy, self._now = policy, now
        self._words: dict[str, tuple[float, bool]] = {}
        senders: dict[str, str] = {}
        for recorded in log:
            event = recorded.event
            if event.kind == "started":
                senders[recorded.conversation] = event.sender
            elif event.kind == "consented":
                self._hear(senders.get(recorded.conversation, recorded.conversation), recorded.at, event.train)

    def _hear(self, sender: str, at: float, train: bool) -> None:
        if at >= self._words.get(sender, (at, train))[0]:
            self._words[sender] = (at, train)

    def words(self) -> dict[str, bool]:
        """The latest yes or no of those who said one, by who they are to their channel."""
        return {sender: train for sender, (_, train) in self._words.items()}

    def permitted(self, history: Sequence[ev.Recorded]) -> bool:
        """Whether a conversation may be learned from; `history` are all its facts."""
        if not history or history[-1].event.kind == "erased":
            return False
        if expired(history[-1].at, self._policy, self._now):
            return False
        word = self._words.get(sender_of(history))
        return self._policy.train == "opt-out" if word is None else word[1]


def permitted(history: Sequence[ev.Recorded], policy: PrivacySettings | None = None, now: float | None = None) -> bool:
    """Whether one conversation may be learned from, as far as it tells by itself."""
    policy, now = policy or PrivacySettings(), time.time() if now is None else now
    return Permission(history, policy, now).permitted(history)


def expired(last: float, policy: PrivacySettings, now: float) -> bool:
    """Whether a conversation whose last fact is of this time is older than the project keeps conversations."""
    return policy.retention_days is not None and last < now - policy.retention_days * DAY


def sender_of(history: Sequence[ev.Recorded]) -> str:
    """Who spoke; the conversation's own id if it does not say."""
    started = [fact.event.sender for fact in history if isinstance(fact.event, ev.Started)]
    return (started and started[-1]) or history[0].conversation


def cleared(log: Sequence[ev.Recorded], settings: Settings | None, now: float | None = None) -> list[ev.Recorded]:
    """The facts that may be learned from, every word masked and what reviewers hid gone, in the order of the log.

    What this gives, and nothing else of a log, may be trained on. Facts keep conversation, seq, turn and position.
    """
    policy = settings.privacy if settings else PrivacySettings()
    permission = Permission(log, policy, time.time() if now is None else now)
    masker = masker_of(settings)
    ordered = sorted(
        redacted(log), key=lambda fact: fact.conversation
    )  # stable: each conversation's facts stay in order
    found: list[ev.Recorded] = []
    for _, facts in groupby(ordered, key=lambda fact: fact.conversation):
        history = list(facts)
        if permission.permitted(history):
            found += masker.history(history)
    return sorted(found, key=lambda fact: fact.position)


def masker_of(settings: Settings | None) -> Masker:
    """The masker for a project: it knows the phone numbers of the countries its people live in."""
    if settings is None:
        return Masker()
    regions = settings.privacy.regions or tuple(
        dict.fromkeys(region for lang in settings.languages for region in _REGIONS.get(lang[:2], (lang[:2].upper(),)))
    )
    return Masker(VERSION, regions)


async def note_consent(store: EventStore, conversations: Iterable[str], train: bool, at: float) -> int:
    """Write down what a person said about their conversations; how many there are that were not erased."""
    count = 0
    for name in conversations:
        for _ in range(_TRIES):
            history = await store.read(name)
            if not history or history[-1].event.kind == "erased":
                break
            last, event = history[-1], ev.Consented(train=train, by="operator")
            fact = ev.Recorded(conversation=name, seq=last.seq + 1, turn=last.turn, at=at, event=event)
            try:
                await store.append(name, last.seq, [fact])
            except Conflict:  # the person is talking to the bot just now
                continue
            count += 1
            break
    return count
