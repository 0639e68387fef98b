"""Walking a flow: from where it stands to the next thing to do.

A position is the id of the step done last, kept in the conversation's frame by the facts that name their step. Branches
are looked at again whenever the walk passes them, so a corrected slot leads down another path.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pydantic import JsonValue

from bot.core import events as ev
from bot.core.conditions import holds
from bot.core.conversation import Conversation, Frame
from bot.core.program import Act, Call, Collect, Flow, FlowStep, HandOff, Link, Program, SetSlots
from bot.core.responses import render, slot_values
from bot.core.steps import Record, Run, Say, Step
from bot.core.summary import summary

HANDED_OFF, OFFER_PERSON, REPHRASE = "utter_handed_off", "utter_offer_person", "utter_ask_rephrase"
Events = tuple[ev.Event, ...]


def advance(conversation: Conversation, program: Program) -> Step:
    """The next step of the flow on top, which is not waiting for an answer."""
    frame = conversation.stack[-1]
    flow = program.flows.get(frame.flow)
    if flow is None:
        return Record(events=(ev.FlowLeft(flow=frame.flow, reason="failed"),))
    values = slot_values(conversation, program)
    step = _start(flow, frame, values)
    for _ in range(len(flow.steps) + 1):
        if step is None:
            return Record(events=leave(flow, "completed"))
        doing = _perform(step, flow, conversation, program)
        if doing is not None:
            return doing
        step = _after(flow, step, values)
    return Record(events=leave(flow, "failed"))


def _start(flow: Flow, frame: Frame, values: Mapping[str, JsonValue]) -> FlowStep | None:
    if frame.last is None:
        return flow.steps[0]
    done = flow.by_id.get(frame.last)
    return done if done is None or frame.revisit else _after(flow, done, values)


def _after(flow: Flow, step: FlowStep, values: Mapping[str, JsonValue]) -> FlowStep | None:
    for edge in step.next:
        if holds(edge.when, values):
            return None if edge.to is None else flow.by_id.get(edge.to)
    return None


def _perform(step: FlowStep, flow: Flow, conversation: Conversation, program: Program) -> Step | None:
    """What a step asks for; None when there is nothing to do at it."""
    match step:
        case Collect():
            return _collect(step, conversation, program)
        case Act():
            return _act(step, conversation, program)
        case SetSlots():
            return Record(
                events=tuple(ev.SlotSet(name=name, value=value, step=step.id) for name, value in step.values.items())
            )
        case Link():
            return Record(events=(*leave(flow, "linked"), *enter(program, step.flow, "link")))
        case Call():
            return Record(events=enter(program, step.flow, "call", step.id))
        case HandOff():
            return hand_off(step.reason, conversation, program, step.id)
        case _:
            return None


def _act(step: Act, conversation: Conversation, program: Program) -> Step:
    if step.action not in program.responses:
        return Run(action=step.action, step=step.id)
    said = render(step.action, conversation, program)
    if not said:  # no variation fits: note that the step is done, or the flow would stand still
        return Record(events=(ev.ActionRan(action=step.action, key="", step=step.id),))
    return Say(messages=said, step=step.id)


def _collect(step: Collect, conversation: Conversation, program: Program) -> Step | None:
    values = slot_values(conversation, program)
    if values.get(step.slot) is None:
        return ask(step, conversation, program)
    for refused in step.rejections:
        if holds(refused.when, values):
            reset = ev.SlotSet(name=step.slot, value=None, source="reset")
            return ask(step, conversation, program, refused.utter or REPHRASE, (reset,))
    return None


def ask(
    step: Collect, conversation: Conversation, program: Program, first: str | None = None, events: Events = ()
) -> Say:
    """Ask for the slot of `step`, after the words of response `first`. After too many attempts, offer a person too."""
    frame = conversation.stack[-1]
    attempt = frame.attempts + 1 if frame.slot == step.slot and first else 1
    if attempt > program.behaviour.attempts:
        first = OFFER_PERSON
    said = render(first, conversation, program) if first else ()
    question = render(step.utter, conversation, program)
    asked = ev.Asked(slot=step.slot, flow=frame.flow, step=step.id, attempt=attempt)
    return Say(messages=said + question, events=(*events, asked))


def waiting_step(conversation: Conversation, program: Program) -> Collect | None:
    """The collect step that waits for the user's answer, if any."""
    frame = conversation.top
    flow = program.flows.get(frame.flow) if frame else None
    step = flow.by_id.get(frame.step) if flow and frame and frame.step else None
    return step if isinstance(step, Collect) else None


def enter(program: Program, flow_id: str, reason: str, step: str | None = None) -> Events:
    """The facts of starting a flow: slots that are always asked for anew are emptied."""
    flow = program.flows[flow_id]
    entered = ev.FlowEntered.model_validate({"flow": flow_id, "reason": reason, "step": step})
    return (entered, *_emptied(item.slot for item in flow.collects.values() if item.ask_before_filling))


def leave(flow: Flow, reason: str) -> Events:
    """The facts of leaving a flow: its own slots are emptied unless they are to persist."""
    left = ev.FlowLeft.model_validate({"flow": flow.id, "reason": reason})
    kept = set(flow.persisted_slots)
    resets = (item.slot for item in flow.collects.values() if item.reset_after_flow_ends and item.slot not in kept)
    return (left, *(_emptied(resets) if reason != "linked" else ()))


def _emptied(slots: Iterable[str]) -> Events:
    return tuple(ev.SlotSet(name=slot, value=None, source="reset") for slot in slots)


def leave_all(conversation: Conversation, program: Program, reason: str) -> Events:
    """The facts of leaving every flow in progress, the top one first."""
    return _leaving(conversation.stack, program, reason)


def leave_called(conversation: Conversation, program: Program, reason: str) -> Events:
    """The facts of leaving the flow on top and those that called it: to the user they are one."""
    stack = conversation.stack
    first = len(stack) - 1
    while first > 0 and _calls(stack[first - 1], stack[first].flow, program):
        first -= 1
    return _leaving(stack[first:], program, reason)


def _calls(frame: Frame, called: str, program: Program) -> bool:
    flow = program.flows.get(frame.flow)
    step = flow.by_id.get(frame.last or "") if flow else None
    return isinstance(step, Call) and step.flow == called


def _leaving(frames: Sequence[Frame], program: Program, reason: str) -> Events:
    events: list[ev.Event] = []
    for frame in reversed(frames):
        flow = program.flows.get(frame.flow)
        events += leave(flow, reason) if flow else (ev.FlowLeft(flow=frame.flow, reason="failed"),)
    return tuple(events)


def hand_off(reason: str, conversation: Conversation, program: Program, step: str | None = None) -> Say:
    """Tell the user that a person takes over, and note it."""
    told = summary(conversation, program)
    events = (ev.HandedOff(reason=reason, step=step, summary=told), *leave_all(conversation, program, "completed"))
    return Say(messages=render(HANDED_OFF, conversation, program), step=step, events=events)
