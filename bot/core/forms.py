"""Forms: one pass of Rasa's form action, step by step.

A pass activates the form, checks what the message filled (by `validate_<form>`, if the project has it), then asks for
the next slot, ends the form, or refuses the message when it is no answer, so that other rules can deal with it.
"""

from __future__ import annotations

from pydantic import JsonValue

from bot.core import events as ev
from bot.core.conversation import Conversation
from bot.core.extraction import triggered
from bot.core.messages import Message, Text
from bot.core.program import Program
from bot.core.responses import render, slot_values
from bot.core.script import LISTEN, REQUESTED, Form
from bot.core.steps import Record, Run, Say, Step


def run_form(form: Form, conversation: Conversation, program: Program) -> Step:
    """The next step of the form's pass that is under way."""
    track = conversation.track
    if track.loop is None or track.loop.name != form.name:
        return Record(events=(ev.LoopChanged(loop=form.name), *triggered(form, conversation, program)))
    checking = _check(form, conversation, program)
    if checking is not None:
        return checking
    values = slot_values(conversation, program)
    if REQUESTED in track.filled:  # the validation, or this pass, has said what to ask for
        slot = values.get(REQUESTED)
    else:
        slot = next((name for name in form.required if values.get(name) is None), None)
    return _ask(form, str(slot), conversation, program) if slot else _end(form)


def _check(form: Form, conversation: Conversation, program: Program) -> Step | None:
    """Validate what was filled; refuse a message that fills nothing when something was asked for."""
    track, values = conversation.track, slot_values(conversation, program)
    begins = track.running is None or track.running.name != form.name
    again = not begins and (track.action != LISTEN or (track.running is not None and track.running.interrupted))
    filled = [name for name in form.required if name in track.filled or (begins and values.get(name) is not None)]
    validator = f"validate_{form.name}"
    if validator in program.actions and validator not in track.ran:
        return Run(action=validator, candidates=() if again else tuple(filled))
    if again:  # the form goes on after other talk; the validation was asked only what to ask for
        return None
    asked = track.at.slots.get(REQUESTED)
    if begins or asked is None or _answered(form, asked, conversation):
        return None
    kept = () if values.get(REQUESTED) == asked else (ev.SlotSet(name=REQUESTED, value=asked),)
    return Record(events=(*kept, ev.ActionRejected(action=form.name)))


def _answered(form: Form, asked: JsonValue, conversation: Conversation) -> bool:
    """Whether the message or the validation filled a slot of the form; what to ask for next is no answer."""
    track, before = conversation.track, conversation.track.at.slots
    changed = (conversation.slots.get(name) != before.get(name) for name in track.filled if name != REQUESTED)
    return any(name == asked or name in form.required for name in track.filled) or any(changed)


def question(form: Form, slot: str, program: Program) -> str:
    """The response or action that asks for a slot; "" when there is none."""
    names = (
        f"action_ask_{form.name}_{slot}",
        f"utter_ask_{form.name}_{slot}",
        f"action_ask_{slot}",
        f"utter_ask_{slot}",
    )
    return next((name for name in names if name in program.actions or name in program.responses), "")


def _ask(form: Form, slot: str, conversation: Conversation, program: Program) -> Step:
    asks = question(form, slot, program)
    request = ev.SlotSet(name=REQUESTED, value=slot)
    done = ev.ActionRan(action=form.name, key="")
    track = conversation.track
    if asks in program.responses or not asks:
        said = render(asks, conversation, program) if asks else ()
        plain = Message(id="", parts=(Text(text=f"Please tell me: {slot.replace('_', ' ')}."),))
        return Say(messages=said or (plain,), events=(request, done))
    if asks in track.ran:
        return Record(events=(done,))
    current = slot_values(conversation, program).get(REQUESTED)
    if REQUESTED not in track.filled or current != slot:
        return Record(events=(request,))
    return Run(action=asks)


def _end(form: Form) -> Step:
    nothing = ev.SlotSet(name=REQUESTED, value=None)
    return Record(events=(nothing, ev.LoopChanged(loop=None), ev.ActionRan(action=form.name, key="")))
