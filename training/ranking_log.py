"""Actions that were right in logged conversations, for the learned ranking.

What a person chose or rated well is right. What remembered stories or another bot did, and nobody objected to, is
probably right. A guess of our own ranking that nobody judged says nothing, and what rules do is known anyway.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from bot.core import events as ev
from bot.core.conversation import Conversation, evolve
from bot.core.dialogue import situation
from bot.core.errors import IllegalHistory
from bot.core.features import Features
from bot.core.program import Program
from bot.core.rules import book
from training.examples import Origin
from training.gate.measured import Judged
from training.ranking_rows import Choice

UNOPPOSED = 0.3
"""The weight of a choice that nobody judged."""
MOST = 5000
"""How many of the latest choices are used."""
_CERTAIN = ("RulePolicy", "FormPolicy", "Followup", "Fallback")
_OUR_GUESS = "RankingPolicy"
_BY_HAND = "External"


def choices(history: Iterable[ev.Recorded], program: Program) -> tuple[Choice, ...]:
    """The choices to learn from in a log, with the states that the program gives them. Oldest conversation first."""
    if program.script is None:
        return ()
    talks: dict[str, list[ev.Recorded]] = {}
    for recorded in history:
        talks.setdefault(recorded.conversation, []).append(recorded)
    found = [choice for name, talk in talks.items() for choice in _of_talk(name, talk, program)]
    return tuple(found[-MOST:])


def _of_talk(name: str, talk: Sequence[ev.Recorded], program: Program) -> Iterator[Choice]:
    judged, known = _judgements(talk), set(book(program).actions)
    state = Conversation(id=name)
    for recorded in talk:
        event = recorded.event
        if isinstance(event, ev.Predicted) and event.action in known:
            # What was imported without a policy was chosen by another bot, as far as anybody knows.
            policy = "imported" if event.policy == _BY_HAND and event.reason == "import" else event.policy
            weight = _weight(policy, judged.get(recorded.turn))
            if weight and state.track.begun:
                where = situation(state, program)
                yield Choice(where.states, where.texts, event.action, weight, name)
        try:
            state = evolve(state, recorded)
        except IllegalHistory:  # cut short, or older than our rules: what came before is still true
            return


def _judgements(talk: Sequence[ev.Recorded]) -> dict[int, bool]:
    """By turn, whether what the bot did was right; the last word counts."""
    found: dict[int, bool] = {}
    said = {recorded.event.message.id: recorded.turn for recorded in talk if isinstance(recorded.event, ev.Replied)}
    for recorded in talk:
        event = recorded.event
        if isinstance(event, ev.Corrected):
            found[event.target] = False
        elif isinstance(event, ev.Rated) and event.score and event.message in said:
            found[said[event.message]] = event.score > 0
    return found


def _weight(policy: str, right: bool | None) -> float:
    if not policy or policy.endswith(_CERTAIN) or right is False:
        return 0.0
    if right or policy == _BY_HAND:
        return 1.0
    return 0.0 if policy == _OUR_GUESS else UNOPPOSED


class Ranks(Protocol):
    """Scores of the `actions`, and of none of them, for states and texts: float32 (choices, actions + 1)."""

    @property
    def actions(self) -> Sequence[str]:
        """The actions that it knows."""
        ...

    def scores(self, states: Sequence[Sequence[Features]], texts: Sequence[Sequence[str]]) -> npt.NDArray[np.float32]:
        """See above."""
        ...


def judged_choices(ranking: Ranks, held: Sequence[Choice]) -> list[Judged]:
    """Whether a ranking would have chosen what was right, for each choice, of all actions that it knows."""
    if not held:
        return []
    scores = ranking.scores([choice.states for choice in held], [choice.texts for choice in held])[:, :-1]
    best = scores.argmax(axis=1)
    return [_judged(choice, ranking.actions[number]) for choice, number in zip(held, best, strict=True)]


def _judged(choice: Choice, said: str) -> Judged:
    """The row is named by the last words of the user; what was done before tells repeated words apart."""
    before = " > ".join(state.action for state in choice.states[-3:])
    words = next((text for text in reversed(choice.texts) if text), "")
    return Judged(
        text=words,
        right=choice.action,
        said=said,
        score=float(said == choice.action),
        label=choice.action,
        where=f"{choice.talk}, after {before}",
        origin=Origin(group=choice.talk, source="log"),
    )
