"""Trackers told turn by turn are those told at once, and memory is bounded and forgets."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from bot.core import events as ev
from bot.core.protocols import ActionResult
from bot.core.rasa.tracker import rasa_tracker
from bot.sdk.telling import History, Teller, Told
from tests.fakes import Actions, managing, models, tell
from tests.sdk.talking import FORTY, converse, project_program

PROGRAM = project_program()
KEY = "told by json_items"


async def conversation(said: Sequence[str] = FORTY[:14]) -> list[ev.Recorded]:
    return await converse(Actions(**dict.fromkeys(PROGRAM.actions, lambda call: ActionResult())), said)


def reading(facts: Sequence[ev.Recorded], asked: list[int] | None = None) -> History:
    async def read(after: int) -> Sequence[ev.Recorded]:
        if asked is not None:
            asked.append(after)
        return [fact for fact in facts if fact.seq > after]

    return read


async def test_after_every_fact_the_tracker_is_the_one_told_at_once() -> None:
    facts, teller, memo = await conversation(), Teller(PROGRAM), dict[str, Any]()
    for number in range(1, len(facts) + 1):
        told = json.loads((await teller.tracker("c", reading(facts[:number]), memo)).json())
        assert told == rasa_tracker("c", facts[:number], PROGRAM, include="ALL"), number


async def test_what_is_settled_is_not_read_again() -> None:
    facts, teller, memo = await conversation(), Teller(PROGRAM), dict[str, Any]()
    asked: list[int] = []
    for _ in range(2):
        await teller.tracker("c", reading(facts, asked), memo)
    assert asked == [0, len(facts)]


async def test_another_program_tells_it_anew() -> None:
    facts, memo, asked = await conversation(), dict[str, Any](), list[int]()
    for program in (PROGRAM, PROGRAM.model_copy()):
        await Teller(program).tracker("c", reading(facts, asked), memo)
    assert asked == [0, 0]


async def test_an_erased_conversation_and_additions_to_what_was_told_are_told_anew() -> None:
    facts, teller = await conversation(FORTY[:3]), Teller(PROGRAM)
    last = facts[-1]
    for event in (ev.Erased(events=3), ev.Foreign(name="", data={"more": 1})):
        memo: dict[str, Any] = {}
        await teller.tracker("c", reading(facts), memo)
        later = [*facts, last.model_copy(update={"seq": last.seq + 1, "event": event})]
        told = json.loads((await teller.tracker("c", reading(later), memo)).json())
        assert told == rasa_tracker("c", later, PROGRAM, include="ALL")


async def test_memory_is_bounded_and_the_longest_unused_goes_first() -> None:
    facts = await conversation(FORTY[:3])
    memos: list[dict[str, Any]] = [{}, {}, {}]
    await Teller(PROGRAM).tracker("c", reading(facts), memos[0])
    size = memos[0].pop(KEY).size
    teller = Teller(PROGRAM, budget=2 * size)
    for memo in memos:
        await teller.tracker("c", reading(facts), memo)
    assert [KEY in memo for memo in memos] == [False, True, True]
    assert isinstance(memos[1][KEY], Told)


async def test_a_conversation_that_is_erased_leaves_nothing_in_memory() -> None:
    memos: list[dict[str, Any]] = []

    class Keeping(Actions):
        async def run(self, call: Any) -> ActionResult:
            call.memo["rasa"] = "what was said"
            memos.append(call.memo)
            return ActionResult()

    async with managing(given=models(actions=Keeping(action_order=lambda call: ActionResult()))) as manager:
        await tell(manager, "order")
        await manager.erase("c")
    assert memos == [{}]
