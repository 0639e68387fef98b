"""The route of a turn: what the user wants, given what the bot was waiting for.

While a flow waits for a slot, a message is in this order: another wish said with confidence, an answer, a correction of
an earlier answer, a question in between, or a miss. Otherwise it is a wish (which starts a flow or is looked up), a
choice between two wishes that are too close to tell apart, or something to look up in the knowledge base.
"""

from __future__ import annotations

from dataclasses import dataclass

from bot.core import events as ev
from bot.core.conditions import holds
from bot.core.conversation import Conversation, Turn
from bot.core.events import Predicted, Scored, SlotSet, Understood
from bot.core.filling import Filled, coerce, for_asked, from_entities, pressed, set_slots
from bot.core.flows import Events, enter, leave_called, waiting_step
from bot.core.messages import Choice
from bot.core.program import Collect, Flow, Program
from bot.core.responses import slot_values

RESUME = "/resume_bot"
NONE_OF_THESE = "/none_of_these"
REPHRASE = "/rephrase"


@dataclass(frozen=True, slots=True)
class Route:
    """What routing looks at, gathered once."""

    turn: Turn
    understood: Understood
    conversation: Conversation
    program: Program

    @property
    def intent(self) -> str:
        """The accepted intent, or ""."""
        return self.understood.intents[0].name if self.understood.accepted else ""

    @property
    def sure(self) -> bool:
        """Whether the intent is certain enough to interrupt a flow."""
        at = self.program.behaviour.digress_at
        return bool(self.intent) and self.understood.intents[0].score >= at

    @property
    def pressed(self) -> bool:
        """Whether the turn is a press on a button of ours."""
        return self.understood.source == "payload"

    @property
    def asks(self) -> bool:
        """Whether the text is a question by its punctuation."""
        return self.turn.text.rstrip().endswith(("?", "\uff1f"))


def choice_of(turn: Turn, conversation: Conversation) -> Choice | None:
    """The button that a turn presses: one that was offered, or any payload from one who may send them."""
    found = pressed(turn.text, conversation.offered, conversation.earlier)
    if found is None and turn.payloads and turn.text.startswith("/"):
        return Choice(title=turn.text, payload=turn.text)
    return found


def route(turn: Turn, understood: Understood, conversation: Conversation, program: Program) -> Events:
    """The facts that follow from what was understood; `Predicted` is among them."""
    at = Route(turn, understood, conversation, program)
    special = _special(at)
    if special:
        return special
    waiting = waiting_step(conversation, program)
    return _freely(at) if waiting is None else _while_waiting(at, waiting)


def _predicted(at: Route, action: str, argument: str | None = None, reason: str = "") -> Predicted:
    return Predicted(action=action, argument=argument, reason=reason, candidates=at.understood.intents[:5])


def _special(at: Route) -> Events:
    """Buttons of the bot itself."""
    if not at.pressed:
        return ()
    doubt = at.conversation.doubt
    choice = choice_of(at.turn, at.conversation)
    payload = choice.payload if choice else ""
    if payload == NONE_OF_THESE:
        query = doubt.text if doubt else at.turn.text
        return (_predicted(at, "knowledge", query, "clarified"),)
    if payload == REPHRASE:
        return (_predicted(at, "rephrase", reason="button"),)
    if payload.startswith("/SetSlot"):
        return _set_by_button(at, set_slots(payload))
    if doubt is not None and choice in at.conversation.offered:
        label = ev.Corrected(target=doubt.turn, intent=at.intent, source="click")
        clarified = Route(at.turn, _with_entities(at.understood, doubt.entities), at.conversation, at.program)
        return (label, *_wish(clarified, "clarified", doubt.text))
    return ()


def _with_entities(understood: Understood, entities: tuple[ev.Entity, ...]) -> Understood:
    return understood.model_copy(update={"entities": understood.entities + entities})


def _set_by_button(at: Route, pairs: dict[str, str]) -> Events:
    facts: list[ev.Event] = [_predicted(at, "continue_flow", reason="button")]
    for name, raw in pairs.items():
        slot = at.program.slots.get(name)
        value = coerce(slot, raw) if slot else None
        if value is not None:
            facts.append(SlotSet(name=name, value=value, source="payload"))
    return tuple(facts)


# While a flow waits for an answer -----------------------------------------------------------------------------------


def _while_waiting(at: Route, step: Collect) -> Events:
    if at.intent in (at.program.behaviour.cancel_intent, at.program.behaviour.handoff_intent) and at.sure:
        return _wish(at, "interrupts")
    flow = at.program.flows[at.conversation.stack[-1].flow]
    answer = for_asked(at.program.slots[step.slot], at.understood, at.program)
    if _digresses(at, flow, answer):
        return _wish(at, "digression")
    heard = _heard_in_flow(at, flow)
    if answer is not None and answer.source == "text" and (at.asks or _corrects(at, heard)):
        answer = None
    if answer is not None:
        others = _heard_in_flow(at, flow, skip=answer.entity)
        return (_predicted(at, "continue_flow", step.slot, answer.source), *others, _slot_set(answer, answer.source))
    if _corrections(heard):
        return (_predicted(at, "correct_slot", reason="entity"), *heard)
    if not at.understood.supported:
        return (_predicted(at, "unsupported_language", at.understood.language),)
    if at.program.knowledge and at.asks:
        return (_predicted(at, "knowledge", reason="digression"), *heard)
    return (_predicted(at, "stay", step.slot, "no answer in the message"), *heard)


def _digresses(at: Route, flow: Flow, answer: Filled | None) -> bool:
    """Whether the message is another wish rather than an answer."""
    target = at.program.flow_for.get(at.intent)
    if not at.sure or _is_answer(at) or target == flow.id:
        return False
    if answer is None or at.pressed:
        return target is not None or at.program.knowledge
    very_sure = target is not None and at.understood.intents[0].score >= _VERY_SURE
    if answer.source == "text":
        return at.asks or very_sure
    return very_sure and not _only_answer(at, answer)


_VERY_SURE = 0.9
"""How sure a new wish must be to win over an answer to the open question."""


def _corrections(facts: Events) -> list[SlotSet]:
    return [fact for fact in facts if isinstance(fact, SlotSet) and fact.source == "correction"]


def _corrects(at: Route, heard: Events) -> bool:
    """Whether a free text is about an earlier answer rather than the open question: it says little else."""
    found = from_entities(at.understood, at.program)
    spans = [found[fact.name].entity for fact in _corrections(heard)]
    if spans and at.intent and _is_answer(at):
        return True
    return any(span is not None and len(span.text) * 4 >= len(at.turn.text.strip()) for span in spans)


def _only_answer(at: Route, answer: Filled) -> bool:
    """Whether nearly the whole message is the value itself."""
    span = answer.entity
    return span is not None and len(span.text) * 2 >= len(at.turn.text.strip())


def _is_answer(at: Route) -> bool:
    """Intents that are replies by nature: yes, no, and those that slot mappings name."""
    behaviour = at.program.behaviour
    if at.intent in ("", behaviour.affirm_intent, behaviour.deny_intent, "inform"):
        return True
    named = {name for slot in at.program.slots.values() for mapping in slot.mappings for name in mapping.intents}
    return at.intent in named and at.intent not in at.program.flow_for


def _slot_set(filled: Filled, source: str, step: str | None = None) -> SlotSet:
    return SlotSet.model_validate({"name": filled.slot, "value": filled.value, "source": source, "step": step})


def _heard_in_flow(at: Route, flow: Flow, skip: ev.Entity | None = None) -> Events:
    """Other slots that the message fills; one of the running flow that had another value is a correction."""
    waiting = at.conversation.stack[-1].slot
    values = slot_values(at.conversation, at.program)
    facts: list[ev.Event] = []
    for name, filled in from_entities(at.understood, at.program, skip).items():
        collect = flow.collects.get(name)
        if values.get(name) == filled.value or name == waiting:
            continue
        if collect is None or values.get(name) is None:
            facts.append(_slot_set(filled, "entity"))
        else:
            facts += [*_asked_anew(flow, collect), _slot_set(filled, "correction", collect.id)]
    return tuple(facts)


def _asked_anew(flow: Flow, corrected: Collect) -> Events:
    """After a correction, later slots that must always be asked for are emptied."""
    order = [step.id for step in flow.steps]
    later = (c for c in flow.collects.values() if order.index(c.id) > order.index(corrected.id))
    return tuple(SlotSet(name=c.slot, source="reset") for c in later if c.ask_before_filling)


# Otherwise ----------------------------------------------------------------------------------------------------------


def _freely(at: Route) -> Events:
    understood = at.understood
    if not understood.supported and not at.pressed:
        return (_predicted(at, "unsupported_language", understood.language),)
    again = _flow_again(at)
    if again:
        return again
    if not understood.accepted:
        return _unknown(at)
    if _accepts_offer(at):
        return (_predicted(at, "handoff", reason="accepted the offer"),)
    close = _close(at)
    if close:
        return (Predicted(action="clarify", reason="two intents are close", candidates=close),)
    return _wish(at, "intent")


def _flow_again(at: Route) -> Events:
    """ "No, I meant order 48213" after a flow is done: do it again with the new value."""
    flow = at.program.flows.get(at.conversation.last_flow or "")
    if flow is None or (at.sure and not _is_answer(at) and at.program.flow_for.get(at.intent) != flow.id):
        return ()
    filled = from_entities(at.understood, at.program)
    if not any(name in flow.collects for name in filled):
        return ()
    return _start(at, flow, "again")


def _unknown(at: Route) -> Events:
    if at.program.knowledge:
        return (_predicted(at, "knowledge", reason="no intent"),)
    return (_predicted(at, "no_answer", reason="no intent"),)


def _accepts_offer(at: Route) -> bool:
    """ "Yes" to the offer of a person."""
    conversation, behaviour = at.conversation, at.program.behaviour
    fresh = conversation.offered_in == at.turn.number - 1
    offered = any(choice.payload == f"/{behaviour.handoff_intent}" for choice in conversation.offered)
    return at.intent == behaviour.affirm_intent and fresh and offered


def _close(at: Route) -> tuple[Scored, ...]:
    """The intents to choose between, or none when one is clear."""
    ranked = at.understood.intents
    margin = at.program.behaviour.clarify_margin
    if at.pressed or len(ranked) < 2 or at.conversation.doubt is not None:
        return ()
    near = [item for item in ranked[:3] if ranked[0].score - item.score < margin and not _small_talk(at, item.name)]
    if len(near) < 2 or near[0] != ranked[0] or not any(item.name in at.program.flow_for for item in near):
        return ()
    return tuple(near)


def _small_talk(at: Route, intent: str) -> bool:
    """Intents that nobody can mean by a button: yes, no, cancel."""
    behaviour = at.program.behaviour
    return intent in (behaviour.affirm_intent, behaviour.deny_intent, behaviour.cancel_intent)


def _wish(at: Route, reason: str, query: str | None = None) -> Events:
    """Do what the intent asks for."""
    behaviour, program = at.program.behaviour, at.program
    if at.intent == behaviour.handoff_intent and at.intent not in program.flow_for:
        return (_predicted(at, "handoff", reason=reason),)
    if at.intent == behaviour.cancel_intent and at.intent not in program.flow_for:
        return _cancel(at)
    flow = program.flows.get(program.flow_for.get(at.intent, ""))
    if flow is not None and holds(flow.guard, slot_values(at.conversation, program)):
        return _start(at, flow, reason)
    if _is_answer(at):
        return (_predicted(at, "rephrase", reason="nothing was asked"),)
    if program.knowledge:
        return (_predicted(at, "knowledge", query, reason), *_heard(at, None))
    return (_predicted(at, "no_answer", reason="no flow and no knowledge"),)


def _cancel(at: Route) -> Events:
    frame = at.conversation.top
    if frame is None:
        return (_predicted(at, "nothing_to_cancel"),)
    return (_predicted(at, "cancel_flow", frame.flow), *leave_called(at.conversation, at.program, "cancelled"))


def _start(at: Route, flow: Flow, reason: str) -> Events:
    running = any(frame.flow == flow.id for frame in at.conversation.stack)
    if running:
        return (_predicted(at, "continue_flow", flow.id, "already running"), *_heard(at, flow))
    entered = enter(at.program, flow.id, "trigger")
    return (_predicted(at, "start_flow", flow.id, reason), *entered, *_heard(at, flow))


def _heard(at: Route, flow: Flow | None) -> Events:
    """Slots that the message fills by the way."""
    values = slot_values(at.conversation, at.program)
    facts: list[ev.Event] = []
    for name, filled in from_entities(at.understood, at.program).items():
        collect = flow.collects.get(name) if flow else None
        if values.get(name) == filled.value or (collect and collect.ask_before_filling):
            continue
        facts.append(_slot_set(filled, "entity"))
    return tuple(facts)
