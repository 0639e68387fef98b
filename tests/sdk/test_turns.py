"""What the manager makes of actions: refusals, worded responses, keys, history, servers that do not answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from bot.core import events as ev
from bot.core.errors import Rejected
from bot.core.messages import Choice, Choices, Image, Message, Text
from bot.core.protocols import ActionCall, ActionResult, Worded
from bot.manager import ManagerLimits
from bot.models import Deadlines
from bot.sdk.http import HttpActions
from tests.fakes import Actions, MemoryStore, inbound, managing, models, program, tell
from tests.sdk.serving import answering
from tests.sdk.talking import converse, project_program, replies, understand

Act = Callable[[ActionCall], ActionResult]


def nothing(call: ActionCall) -> ActionResult:
    return ActionResult()


async def scripted(said: Sequence[str], **known: Act) -> tuple[list[ev.Recorded], Actions]:
    """A conversation with the test project; actions not given do nothing."""
    actions = Actions(**dict.fromkeys(project_program().actions, nothing) | known)
    return await converse(actions, said), actions


def one(call: ActionCall) -> ActionResult:
    button = Choices(options=(Choice(title="More", payload="/more"),))
    said = Worded("utter_hello", {"name": "Eve", "visits": 2}, (button, Image(url="i.png")))
    return ActionResult(messages=(said, "utter_stopped"), events=(ev.FollowUp(action="action_second"),))


async def test_a_response_is_worded_with_the_actions_values_and_its_parts_are_added() -> None:
    history, actions = await scripted(["greet"], action_hello=one)
    said = [recorded.event.message for recorded in history if isinstance(recorded.event, ev.Replied)]
    assert [message.text for message in said] == ["Hello Eve, visit number 2.", "Stopped."]
    assert [part.kind for part in said[0].parts] == ["text", "image", "choices"]
    assert [choice.title for choice in said[0].choices] == ["Order", "More"]
    assert [call.name for call in actions.calls][-1] == "action_second"
    kinds = [recorded.event.kind for recorded in history]
    assert kinds.index("action_ran", kinds.index("extracted")) < kinds.index("replied") < kinds.index("follow_up")


async def test_a_response_that_the_domain_lacks_is_not_said(caplog: pytest.LogCaptureFixture) -> None:
    history, _ = await scripted(["greet"], action_hello=lambda call: ActionResult(messages=("utter_nowhere",)))
    assert "utter_nowhere" in caplog.text
    assert "utter_nowhere" not in str(replies(history))


@pytest.mark.parametrize("payload", ['/inform{"size": "small"}', '/inform{{"size": "small"}}'])
async def test_trap_8_buttons_of_actions_may_have_single_or_doubled_braces(payload: str) -> None:
    button = Choices(options=(Choice(title="Small", payload=payload),))
    said = Message(id="", parts=(Text(text="Which?"), button))
    history, _ = await scripted(["menu", payload], action_menu=lambda call: ActionResult(messages=(said,)))
    assert ev.SlotSet(name="size", value="small", source="entity") in [recorded.event for recorded in history]


def refusing(call: ActionCall) -> ActionResult:
    raise Rejected(call.name)


async def test_a_refused_action_is_a_fact_and_something_else_is_done() -> None:
    history, _ = await scripted(["refuse"], action_refuse=refusing)
    events = [recorded.event for recorded in history]
    assert ev.ActionRejected(action="action_refuse") in events
    assert replies(history) == [["I did not get that."]] and events[-1] == ev.Settled(outcome="replied")


async def test_in_a_flow_a_refusal_is_a_failure() -> None:
    async with managing(given=models(actions=Actions(action_order=refusing))) as manager:
        assert await tell(manager, "order") == ["Something broke."]


async def test_a_validation_that_refuses_speaks_for_its_form() -> None:
    history, _ = await scripted(["order size=large"], validate_pizza_form=refusing)
    assert ev.ActionRejected(action="pizza_form") in [recorded.event for recorded in history]
    assert history[-1].event == ev.Settled(outcome="replied")


async def test_an_action_that_runs_twice_in_a_turn_gets_two_keys() -> None:
    taken = []

    def again(call: ActionCall) -> ActionResult:
        taken.append(call.key)
        return ActionResult(events=() if len(taken) > 1 else (ev.Reverted(what="action"),))

    await scripted(["again"], action_again=again)
    assert taken == ["c/1/action_again", "c/1/action_again/2"]


async def test_an_action_that_a_crash_cut_short_is_repeated_with_the_same_key() -> None:
    store, keys = MemoryStore(), list[str]()

    class Hanging(Actions):
        async def run(self, call: ActionCall) -> ActionResult:
            keys.append(call.key)
            if len(keys) == 1:
                await asyncio.sleep(60)
            return ActionResult(messages=("utter_stopped",))

    given = models(program=project_program(), understand=understand, actions=Hanging(action_hello=nothing))
    given = replace(given, program=given.program.model_copy(update={"actions": ("action_hello",)}))
    async with managing(store, given) as manager:
        await manager.submit(inbound("greet"))
        async with asyncio.timeout(5):
            while not keys:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    async with managing(store, given) as manager:
        await manager.recover()
    assert keys == ["c/1/action_hello"] * 2 and replies(store.of("c")) == [["Stopped."]]


async def test_an_action_may_read_the_whole_conversation() -> None:
    seen: list[list[str]] = []

    class Reading(Actions):
        async def run(self, call: ActionCall) -> ActionResult:
            assert call.history is not None and call.state is not None
            history = await call.history(0)
            seen.append([recorded.event.kind for recorded in history])
            assert call.state.seq == len(history)
            return ActionResult()

    store = MemoryStore()
    async with managing(store, models(actions=Reading(action_order=nothing))) as manager:
        await tell(manager, "hello")
        await tell(manager, "order")
    assert seen[0] == [recorded.event.kind for recorded in store.of("c")][: len(seen[0])]
    assert seen[0][-1] in ("flow_entered", "predicted")


async def test_what_is_said_early_is_shown_before_the_action_ends() -> None:
    shown = asyncio.Event()

    class Early(Actions):
        async def run(self, call: ActionCall) -> ActionResult:
            assert call.say is not None
            call.say(Message(id="", parts=(Text(text="Working."),)))
            await asyncio.wait_for(shown.wait(), 5)
            return ActionResult(messages=("utter_hello",))

    async with managing(given=models(actions=Early(action_order=nothing))) as manager:
        receipt = await manager.submit(inbound("order"))
        async for recorded in manager.follow("c", 0):
            if isinstance(recorded.event, ev.Replied):
                assert recorded.event.message.text == "Working."
                break
        shown.set()
        outcome = await receipt.settled()
    assert [message.text for message in outcome.messages] == ["Working.", "Hello!"]


@pytest.mark.parametrize("answer", [(500, "x"), (400, "{}"), (404, "{}"), (200, "<p>"), None])
async def test_every_end_of_a_call_is_a_visible_outcome(answer: tuple[int, str] | None) -> None:
    async with answering(answer) as (_, endpoint):
        said = await _order(HttpActions(endpoint, program()))
    assert said == ["Something broke."]


async def test_a_server_that_does_not_answer_ends_the_turn_within_the_deadline() -> None:
    async with answering((200, "{}")) as (answers, endpoint):
        answers.gate.clear()
        assert await _order(HttpActions(endpoint, program())) == ["Something broke."]
        answers.gate.set()


async def _order(server: HttpActions) -> list[str]:
    limits = ManagerLimits(deadlines=Deadlines(action=0.3))
    async with managing(given=models(actions=server), limits=limits) as manager:
        said = await tell(manager, "order")
    await server.close()
    return said
