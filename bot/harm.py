"""Signs that a conversation goes badly, counted by arm from committed facts.

A sign is not a proof: people want a person whatever a bot says. But signs come as often in both arms while the bundles
are alike. A conversation counts once for each sign, where it is seen first; so one angry customer is one.
The conversation's arm is that of its hash and the stage, whatever answered it: what is compared was drawn by lot.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bot.core import events as ev

ANY = "any"
SIGNS = (ANY, "no_answer", "handed_off", "failed", "rephrased", "thumbs_down")
"""The signs that are counted; `ANY` is any of the others."""
WEIGHTS = (0.5, 0.1, 0.1, 0.1, 0.1, 0.1)
"""What each sign's evidence weighs: a candidate may harm in one way only, which `ANY` would see late."""
_NO_ANSWER = frozenset(("no_answer", "rephrase", "stay", "unsupported_language", "action_default_fallback"))
_NO_ANSWER_SAID = frozenset(("utter_no_answer", "utter_ask_rephrase", "utter_default"))
_OWN_STAGES = frozenset(("understand", "rank"))
"""Stages of a turn that the bundle's own models do."""
SOON = 60.0
"""Seconds within which the same words again are a rephrase."""
ALIKE = 0.5
"""The part of words that two messages must share."""


@dataclass(slots=True)
class _Talk:
    """What is remembered of a conversation."""

    signs: set[str] = field(default_factory=set)
    stages: set[tuple[int, int]] = field(default_factory=set)
    words: frozenset[str] = frozenset()
    at: float = 0.0
    broken: bool = False


class Tally:
    """Counts. `begins` are the positions in the log after which the stages began, `arm` tells a conversation's arm.

    `arm(conversation, stage)` is 0 for the candidate, 1 for the baseline. `harmed` has shape (signs, stages, 2);
    `talks` counts conversations with a settled turn, shape (stages, 2); `turns` and `errors` (conversations in which
    the bundle's own models failed) are by arm. `position` is that of the last fact.
    """

    def __init__(self, arm: Callable[[str, int], int], begins: Sequence[int]) -> None:
        self._arm, self._begins = arm, list(begins)
        self._talks: dict[str, _Talk] = {}
        self.harmed: NDArray[np.int64] = np.zeros((len(SIGNS), len(begins), 2), dtype=np.int64)
        self.talks: NDArray[np.int64] = np.zeros((len(begins), 2), dtype=np.int64)
        self.turns, self.errors = [0, 0], [0, 0]
        self.position = self._begins[0]

    def next_stage(self) -> None:
        """What comes from here on belongs to another stage."""
        self._begins.append(self.position)
        self.harmed = np.pad(self.harmed, ((0, 0), (0, 1), (0, 0)))
        self.talks = np.pad(self.talks, ((0, 1), (0, 0)))

    def take(self, facts: Sequence[ev.Recorded]) -> None:
        """Take note of committed facts."""
        for recorded in facts:
            if recorded.position > self._begins[0]:
                self._take(recorded)
                self.position = max(self.position, recorded.position)

    def _take(self, recorded: ev.Recorded) -> None:
        event = recorded.event
        match event:
            case ev.Settled():
                self._settled(recorded, event)
            case ev.Failed():
                self._sign(recorded, "failed")
                if event.stage in _OWN_STAGES:
                    self._broke(recorded)
            case ev.Predicted() if event.action in _NO_ANSWER:
                self._sign(recorded, "no_answer")
            case ev.Replied() if event.message.name in _NO_ANSWER_SAID:
                self._sign(recorded, "no_answer")
            case ev.HandedOff():
                self._sign(recorded, "handed_off")
            case ev.Rated() if event.score < 0:
                self._sign(recorded, "thumbs_down")
            case ev.Received() if event.live:
                self._heard(recorded, event.message.text)
            case ev.Erased():
                self._talks.pop(recorded.conversation, None)
            case _:
                pass

    def _where(self, recorded: ev.Recorded) -> tuple[int, int]:
        stage = bisect_right(self._begins, recorded.position - 1) - 1
        return stage, self._arm(recorded.conversation, stage)

    def _talk(self, recorded: ev.Recorded) -> _Talk:
        return self._talks.setdefault(recorded.conversation, _Talk())

    def _sign(self, recorded: ev.Recorded, sign: str) -> None:
        talk, (stage, arm) = self._talk(recorded), self._where(recorded)
        for name in (sign, ANY):
            if name not in talk.signs:
                talk.signs.add(name)
                self.harmed[SIGNS.index(name), stage, arm] += 1

    def _settled(self, recorded: ev.Recorded, event: ev.Settled) -> None:
        talk, place = self._talk(recorded), self._where(recorded)
        self.turns[place[1]] += 1
        if place not in talk.stages:
            talk.stages.add(place)
            self.talks[place] += 1
        if event.outcome == "failed":
            self._sign(recorded, "failed")

    def _broke(self, recorded: ev.Recorded) -> None:
        talk = self._talk(recorded)
        if not talk.broken:
            talk.broken = True
            self.errors[self._where(recorded)[1]] += 1

    def _heard(self, recorded: ev.Recorded, text: str) -> None:
        """Whether the user says nearly the same again. A press on a button, or one word, is none."""
        talk, words = self._talk(recorded), frozenset(text.casefold().split())
        soon = recorded.at - talk.at <= SOON and min(len(words), len(talk.words)) > 1
        if soon and len(words & talk.words) >= ALIKE * len(words | talk.words) and not text.startswith("/"):
            self._sign(recorded, "rephrased")
        talk.words, talk.at = words, recorded.at
