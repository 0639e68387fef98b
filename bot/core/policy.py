"""`decide`: what to do next in a conversation. Total, pure, deterministic.

A turn goes through four stages, each visible in its facts: the words are understood (`Understood`), a route is chosen
(`Predicted` with the facts that follow from it), the route is carried out, and the turn is settled. Asking `decide`
again after any fact, in this process or after a crash, goes on where the facts end.

    nothing to do ── Received ──> understand ── Understood ──> route ── Predicted ──> act ... ── Settled ──> listen
"""

from __future__ import annotations

from collections.abc import Sequence

from bot.core import events as ev
from bot.core.conversation import Conversation, Turn
from bot.core.dialogue import step
from bot.core.events import Hit
from bot.core.filling import pressed, read_payload
from bot.core.flows import REPHRASE, advance, ask, hand_off, leave_all, waiting_step
from bot.core.messages import Audio, Choice, Choices, Message, Source, Text
from bot.core.program import Program
from bot.core.responses import render, words
from bot.core.routing import NONE_OF_THESE, RESUME, choice_of, route
from bot.core.script import Script
from bot.core.steps import Generate, Listen, Record, Retrieve, Say, Settle, Step, Transcribe, Understand

__all__ = ["decide", "render"]

_SAYS = {
    "clarify": "utter_did_you_mean",
    "unsupported_language": "utter_unsupported_language",
    "cancel_flow": "utter_cancelled",
    "nothing_to_cancel": "utter_nothing_to_cancel",
    "rephrase": "utter_ask_rephrase",
    "no_answer": "utter_no_answer",
    "with_person": "utter_with_person",
    "resume": "utter_resumed",
    "correct_slot": "utter_corrected",
}
"""What a route says for itself, before any flow goes on. Routes that are not here say nothing of their own."""
_PASSAGES = 3
"""The most passages that an answer is worded from."""


def decide(conversation: Conversation, program: Program) -> Step:
    """The next step."""
    turn = conversation.current
    if turn is None:
        return Listen()
    if turn.failed is not None:
        return _apologise(turn, conversation, program)
    if conversation.status == "handed_off" and not turn.handed_off:
        return _beside_person(turn, conversation, program)
    if turn.predicted is not None:
        return _act(turn, turn.predicted, conversation, program)
    if turn.understood is None:
        return _read(turn, conversation)
    if program.script is not None and not _of_flow(turn.understood, conversation, program, program.script):
        return step(conversation, turn, program.script, program)
    return Record(events=route(turn, turn.understood, conversation, program))


def _of_flow(found: ev.Understood, conversation: Conversation, program: Program, script: Script) -> bool:
    """Whether a bot that has both flows and a script deals with the message in a flow, or hands over."""
    if conversation.stack:
        return True
    intent = found.intents[0].name if found.accepted else ""
    if conversation.track.heard or intent in script.by_intent:
        return False
    return intent in program.flow_for or intent == program.behaviour.handoff_intent


def _apologise(turn: Turn, conversation: Conversation, program: Program) -> Step:
    if turn.replies:
        return Settle(outcome="failed")
    return Say(messages=words("utter_failed", conversation, program))


def _beside_person(turn: Turn, conversation: Conversation, program: Program) -> Step:
    """A person has the conversation: pass messages on, unless the user calls the bot back."""
    if turn.predicted is None:
        choice = pressed(turn.text, conversation.offered)
        if choice is not None and choice.payload == RESUME:
            return Record(events=(ev.Predicted(action="resume", reason="button"), ev.Resumed(by="user")))
        return Record(events=(ev.Predicted(action="with_person", reason="handed off"),))
    if not turn.answered:
        return Say(messages=words("utter_with_person", conversation, program))
    return Settle(outcome="handed_off")


def _read(turn: Turn, conversation: Conversation) -> Step:
    choice = choice_of(turn, conversation)
    if choice is not None:
        understood = read_payload(choice)
        if understood is not None:
            return Record(events=(understood,))
    sound = next((part for part in turn.message.parts if isinstance(part, Audio)), None)
    if sound is not None and not turn.text:
        if turn.transcribed:
            return Record(events=(ev.Predicted(action="rephrase", reason="no words were heard"),))
        return Transcribe(blob=sound.blob)
    return Understand(text=turn.text if choice is None else choice.payload)


def _act(turn: Turn, predicted: ev.Predicted, conversation: Conversation, program: Program) -> Step:
    if turn.handed_off:
        return Settle(outcome="handed_off")
    if turn.action_error is not None:
        return _give_up(turn, conversation, program)
    if not turn.answered:
        own = _own_words(turn, predicted, conversation, program)
        if own is not None:
            return own
    if conversation.stack and not turn.asked:
        return _go_on(turn, predicted, conversation, program)
    if not turn.replies:
        return Say(messages=words("utter_anything_else", conversation, program))
    return Settle(outcome="replied")


def _give_up(turn: Turn, conversation: Conversation, program: Program) -> Step:
    """An action failed: leave its flow, say so, offer a person."""
    if conversation.stack:
        return Say(
            messages=words("utter_failed", conversation, program), events=leave_all(conversation, program, "failed")
        )
    return Settle(outcome="failed" if turn.replies else "replied")


def _own_words(turn: Turn, predicted: ev.Predicted, conversation: Conversation, program: Program) -> Step | None:
    action = predicted.action
    if action == "knowledge":
        return _from_knowledge(turn, conversation, program)
    if action == "handoff":
        return hand_off("asked for", conversation, program)
    if action == "clarify":
        return Say(messages=(_did_you_mean(predicted, conversation, program),))
    name = _SAYS.get(action)
    return None if name is None else Say(messages=words(name, conversation, program))


def _did_you_mean(predicted: ev.Predicted, conversation: Conversation, program: Program) -> Message:
    asked = words("utter_did_you_mean", conversation, program)[0]
    other = render("utter_none_of_these", conversation, program)
    options = [Choice(title=_label(item.name, program), payload=f"/{item.name}") for item in predicted.candidates]
    options.append(Choice(title=other[0].text if other else "None of these", payload=NONE_OF_THESE))
    return asked.model_copy(update={"parts": (*asked.parts, Choices(options=tuple(options)))})


def _label(intent: str, program: Program) -> str:
    known = program.intents.get(intent)
    return known.label if known else intent


def _from_knowledge(turn: Turn, conversation: Conversation, program: Program) -> Step | None:
    if turn.retrieved is None:
        return Retrieve(query=_query(turn, conversation))
    hits = tuple(hit for hit in turn.retrieved.hits if hit.score >= turn.retrieved.floor)
    if hits:
        approved = hits[0].words
        if program.generates and turn.generated is None:
            return Generate(approved=approved, hits=hits[:_PASSAGES])
        return Say(messages=(_answer(approved, hits, turn.generated),))
    if conversation.stack:
        return None
    return Say(messages=words("utter_no_answer", conversation, program))


def _answer(approved: str, hits: Sequence[Hit], generated: ev.Generated | None) -> Message:
    """The approved text with its source, or the generator's with the passages that support its sentences."""
    if generated is None or not generated.text:
        return Message(id="", parts=(Text(text=approved),), sources=(_source(hits[0]),))
    spans = {hit.chunk: tuple((it.start, it.end) for it in generated.cited if it.chunk == hit.chunk) for hit in hits}
    sources = tuple(_source(hit, spans[hit.chunk]) for hit in hits if spans[hit.chunk])
    return Message(id="", parts=(Text(text=generated.text),), sources=sources or (_source(hits[0]),))


def _source(hit: Hit, spans: tuple[tuple[int, int], ...] = ()) -> Source:
    return Source(document=hit.document, title=hit.title, chunk=hit.chunk, url=hit.url, spans=spans)


def _query(turn: Turn, conversation: Conversation) -> str:
    predicted = turn.predicted
    asked = predicted.argument if predicted and predicted.reason == "clarified" else None
    return asked or turn.text


def _go_on(turn: Turn, predicted: ev.Predicted, conversation: Conversation, program: Program) -> Step:
    """Go on with the flow on top, or repeat its open question after something else was dealt with."""
    step = waiting_step(conversation, program)
    if step is None:
        return advance(conversation, program)
    if predicted.action == "stay" or not (turn.answered or turn.left):
        return ask(step, conversation, program, REPHRASE)
    frame = conversation.stack[-1]
    said: tuple[Message, ...] = ()
    if turn.left:
        said = render("utter_back_to", conversation, program, {"flow": program.flows[frame.flow].name})
    asked = ev.Asked(slot=step.slot, flow=frame.flow, step=step.id, attempt=max(frame.attempts, 1))
    return Say(messages=said + render(step.utter, conversation, program), events=(asked,))
