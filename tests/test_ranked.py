"""The learned ranking in a running turn: its answer is a fact, and whatever it does the turn ends visibly."""

from __future__ import annotations

import asyncio

import pytest

from bot.core import events as ev
from bot.core.errors import Overloaded, SkillError
from bot.core.findings import Scored
from bot.core.protocols import Ranked, Situation
from bot.manager import ManagerLimits
from bot.models import Deadlines
from tests.core.test_dialogue import program
from tests.fakes import MemoryStore, Reader, managing, models, tell

QUICK = ManagerLimits(retry=0.01, deadlines=Deadlines(rank=0.05))


class Ranking:
    """Gives a ranking after a message, and listens after an action. Raises `error`, or hangs, if told."""

    def __init__(self, *scores: tuple[str, float], error: Exception | None = None, hangs: bool = False) -> None:
        self.scores, self.error, self.hangs = scores, error, hangs
        self.asked: list[Situation] = []

    async def rank(self, situation: Situation) -> Ranked:
        self.asked.append(situation)
        if self.hangs:
            await asyncio.sleep(60)
        if self.error is not None:
            raise self.error
        spoke = situation.states[-1].action == "action_listen"
        scores = self.scores if spoke else (("action_listen", 1.0),)
        return Ranked(tuple(Scored(name=name, score=score) for name, score in scores), "b1")


async def talk(ranking: Ranking | None) -> tuple[list[str], list[ev.Predicted]]:
    """What "deny", which no rule and no story begins with, leads to."""
    store, script = MemoryStore(), program()
    given = models(Reader(), program=script, rank=ranking.rank if ranking else None)
    async with managing(store, given, QUICK) as manager:
        said = await tell(manager, "deny")
    return said, [recorded.event for recorded in store.log if isinstance(recorded.event, ev.Predicted)]


async def test_the_best_action_is_done_and_noted_with_the_next_ones() -> None:
    many = [("utter_help", 0.5), *((f"utter_{n}", 0.1 - n / 100) for n in range(6))]
    ranking = Ranking(*many)
    said, predicted = await talk(ranking)
    assert said == ["help"]
    assert [(item.action, item.policy) for item in predicted] == [
        ("utter_help", "RankingPolicy"),
        ("action_listen", "RankingPolicy"),
    ]
    assert [item.name for item in predicted[0].candidates] == [name for name, _ in many[:5]]
    assert ranking.asked[0].texts[-1] == "deny"


@pytest.mark.parametrize(
    ("ranking", "reason"),
    [
        (None, "no ranking"),
        (Ranking(("utter_help", 0.2)), "unsure"),
        (Ranking(), "unsure"),
        (Ranking(("utter_help", float("nan"))), "not a number"),
        (Ranking(error=SkillError("ranking", "is broken")), "skill_failed"),
        (Ranking(error=Overloaded("too many")), "overloaded"),
        (Ranking(hangs=True), "deadline_exceeded"),
    ],
)
async def test_without_a_sure_answer_in_time_the_fallback_is_seen(ranking: Ranking | None, reason: str) -> None:
    said, predicted = await talk(ranking)
    assert said
    assert (predicted[0].action, predicted[0].policy) == ("action_default_fallback", "Fallback")
    assert predicted[0].reason == reason


async def test_an_unsure_answer_is_kept_as_a_fact() -> None:
    _, predicted = await talk(Ranking(("utter_help", 0.2)))
    assert predicted[0].candidates == (Scored(name="utter_help", score=0.2),)
