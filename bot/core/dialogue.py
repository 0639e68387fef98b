"""A scripted turn: rules first, then remembered stories, then the learned ranking, then the fallback.

After the message was understood its slots are extracted. Then, until an action listens, an action is chosen (`choose`,
a `Predicted` fact with its policy) and done. This is Rasa's prediction loop as steps; the manager's bound on steps
keeps it from going round for ever.
"""

from __future__ import annotations

from typing import NamedTuple

from bot.core import events as ev
from bot.core.conversation import FAILED, Conversation, Turn
from bot.core.defaults import DEFAULT_ACTIONS, SESSION, new_session, run_default
from bot.core.extraction import extract, extracting
from bot.core.features import Features, features
from bot.core.forms import run_form
from bot.core.messages import Message, Text
from bot.core.program import Program
from bot.core.protocols import Situation
from bot.core.responses import render, words
from bot.core.routing import route
from bot.core.rules import Book, book, cause, matching, meets, recall
from bot.core.script import LISTEN, NLU_FALLBACK, Script
from bot.core.steps import Rank, Record, Run, Say, Settle, Step
from bot.core.track import State, here

VALIDATE_SLOTS = "action_validate_slot_mappings"
_BY_INTENT = {"restart": "action_restart", "back": "action_back", "session_start": "action_session_start"}
RANKED_STATES = 10
"""How many of the latest states the ranking looks at."""


class Choice(NamedTuple):
    """What the policies choose. `interrupts`: the active form is told that it was interrupted."""

    predicted: ev.Predicted
    interrupts: bool = False


def step(conversation: Conversation, turn: Turn, script: Script, program: Program) -> Step:
    """The next step of a turn that the script deals with."""
    track = conversation.track
    if turn.action_error is not None:
        return _failed(turn, conversation, program)
    if track.closed:
        return _listen(turn, conversation, program)
    if not track.begun or (not track.heard and _expired(track.idle, script)):
        return Record(events=new_session(conversation, turn, script))
    if track.fresh and SESSION in program.actions and SESSION not in track.ran:
        return Run(action=SESSION)
    if not track.heard:
        return Record(events=extract(conversation, program))
    if track.paused:
        return _listen(turn, conversation, program, "utter_with_person")
    if track.pending is not None:
        return _perform(track.pending.action, turn, conversation, script, program)
    if track.action == LISTEN:
        for name in extracting(conversation, program):
            if name not in track.ran:
                return Run(action=name)
    if track.action == LISTEN and VALIDATE_SLOTS in program.actions and VALIDATE_SLOTS not in track.ran:
        return Run(action=VALIDATE_SLOTS, candidates=track.filled)
    return _next(conversation, script, program)


def _expired(idle: float, script: Script) -> bool:
    return 0 < script.session.expires * 60 < idle


def _next(conversation: Conversation, script: Script, program: Program) -> Step:
    chosen = _choose(conversation, script, program)
    if isinstance(chosen, Rank):
        return chosen
    interrupted = (ev.LoopInterrupted(),) if chosen.interrupts else ()
    return Record(events=(*interrupted, chosen.predicted))


def _failed(turn: Turn, conversation: Conversation, program: Program) -> Step:
    """An action failed: say so, once."""
    if turn.apologised:
        return Settle(outcome="failed")
    return Say(messages=words(FAILED, conversation, program))


# Choosing -----------------------------------------------------------------------------------------------------------


def choose(conversation: Conversation, program: Program) -> ev.Predicted | Rank:
    """What the policies choose now: an action with its policy, or to ask the ranking."""
    chosen = _choose(conversation, program.script or Script(), program)
    return chosen if isinstance(chosen, Rank) else chosen.predicted


def _choose(conversation: Conversation, script: Script, program: Program) -> Choice | Rank:
    track, intent = conversation.track, conversation.track.said.intent if conversation.track.said else ""
    if track.followup is not None:
        return _by("Followup", track.followup)
    if track.action == LISTEN and intent in _BY_INTENT:
        return _by("RulePolicy", _BY_INTENT[intent], f"default {intent}")
    loop = track.loop
    if loop is not None and not loop.rejected:
        action = LISTEN if track.action == loop.name else loop.name
        return _by("RulePolicy", action, f"loop {loop.name}")
    known = book(program)
    states = _states(conversation, program, known)
    by_rule = _by_rule(known, states, loop.name if loop else "")
    if by_rule is not None and by_rule.predicted.action != track.rejected:
        return by_rule
    told = recall(known, _told(conversation, program, known), script.history)
    if told is not None and told[0] != track.rejected:
        return _by("MemoizationPolicy", *told)
    return _otherwise(conversation, script, program, known)


def _by(policy: str, action: str, reason: str = "") -> Choice:
    return Choice(ev.Predicted(action=action, reason=reason, policy=policy))


def _by_rule(known: Book, states: tuple[Features, ...], loop: str) -> Choice | None:
    rule = matching(known.rules, states)
    interrupted = False
    if loop:
        unhappy = [item for item in known.unhappy if meets(item.states, states)]
        interrupted = any(item.interrupted for item in unhappy)
        if rule is not None and rule.action == LISTEN and not rule.states[-1].loop:
            # a general rule is done; the form goes on, unless something else is said to come first
            if all(item.interrupted for item in unhappy):
                return Choice(ev.Predicted(action=loop, reason=rule.name, policy="RulePolicy"))
            rule = None
    if rule is None:
        return None
    return Choice(ev.Predicted(action=rule.action, reason=rule.name, policy="RulePolicy"), interrupted)


def _otherwise(conversation: Conversation, script: Script, program: Program, known: Book) -> Choice | Rank:
    """Nothing is certain: ask the ranking, or fall back; after an action the bot may just listen."""
    track = conversation.track
    fresh = track.action == LISTEN
    action = script.fallback_action if fresh and script.fallback else LISTEN
    lost = fresh and track.said is not None and track.said.intent == NLU_FALLBACK
    if script.ranks and script.stories and not lost:
        barred = _barred(_states(conversation, program, known)[-1], program, known)
        return Rank(otherwise=action, below=script.fallback_below, barred=barred)
    return _by("Fallback", action)


def _barred(state: Features, program: Program, known: Book) -> tuple[str, ...]:
    """Actions with effects that no rule or story has here: after this intent or action, in this form.

    A guess may find the words for a new situation, but it must not book a table.
    """
    place = (cause(state), state.loop)
    harmless = (*program.responses, LISTEN)
    acting = (name for name in known.actions if name not in harmless and not name.startswith("utter_"))
    return tuple(name for name in acting if (*place, name) not in known.follows)


def _states(conversation: Conversation, program: Program, known: Book) -> tuple[Features, ...]:
    """The latest states as rules see them, as many as the longest rule looks at."""
    return tuple(_seen(state, program, known) for state in _with_now(conversation)[-known.reach :])


def _with_now(conversation: Conversation) -> tuple[State, ...]:
    return (*conversation.track.states, here(conversation.track, conversation.slots))


def _public_states(conversation: Conversation, known: Book) -> list[State]:
    """All states but those of turns that only rules know."""
    return [state for state in _with_now(conversation) if not state.rule or state.rule not in known.hidden]


def _seen(state: State, program: Program, known: Book) -> Features:
    found = features(state, program)
    if state.said is not None and state.said.text in known.texts:
        return found._replace(text=state.said.text, intent="", entities=frozenset())
    return found


def _told(conversation: Conversation, program: Program, known: Book) -> tuple[Features, ...]:
    """The states as stories see them: without turns, slots and forms that only rules know."""
    return tuple(_public(_seen(state, program, known), known) for state in _public_states(conversation, known))


def _public(state: Features, known: Book) -> Features:
    slots = frozenset((name, value) for name, value in state.slots if name not in known.private_slots)
    return state._replace(slots=slots, loop="" if state.loop in known.private_loops else state.loop)


def situation(conversation: Conversation, program: Program) -> Situation:
    """What the ranking is asked about: the latest states, and the actions that stories have."""
    known = book(program)
    kept = _public_states(conversation, known)[-RANKED_STATES:]
    actions = tuple(name for name in known.actions if name != conversation.track.rejected)
    return Situation(
        states=tuple(_public(_seen(state, program, known), known) for state in kept),
        texts=tuple(state.said.text if state.said else "" for state in kept),
        actions=actions,
    )


# Doing --------------------------------------------------------------------------------------------------------------


def _perform(action: str, turn: Turn, conversation: Conversation, script: Script, program: Program) -> Step:
    if action == LISTEN:
        return _listen(turn, conversation, program)
    pending = conversation.track.pending
    if program.knowledge and turn.understood and pending and pending.policy == "Fallback":
        return Record(events=route(turn, turn.understood, conversation, program))
    if action in program.actions:
        return Run(action=action)
    if action in script.forms:
        return run_form(script.forms[action], conversation, program)
    if action in DEFAULT_ACTIONS:
        return run_default(action, conversation, turn, script, program)
    name = response_name(action, turn, program)
    done = ev.ActionRan(action=action, key="")
    if name:
        said = render(name, conversation, program)
        return Say(messages=said, events=(done,)) if said else Record(events=(done,))
    if " " in action or not action.startswith(("action_", "utter_", "validate_")):  # a sentence of a story
        return Say(messages=(Message(id="", parts=(Text(text=action),)),), events=(done,))
    return Run(action=action)


def response_name(action: str, turn: Turn, program: Program) -> str:
    """The response that an action says: itself, or for a retrieval intent the one of the best full intent."""
    if action in program.responses:
        return action
    prefix = f"{action.removeprefix('utter_')}/"
    for scored in turn.understood.intents if turn.understood else ():
        if scored.name.startswith(prefix) and f"utter_{scored.name}" in program.responses:
            return f"utter_{scored.name}"
    return ""


def _listen(turn: Turn, conversation: Conversation, program: Program, name: str = "utter_anything_else") -> Step:
    """The turn is over; a message is never left without an answer."""
    external = turn.understood is not None and turn.understood.source == "external"
    if not turn.replies and not external:
        return Say(messages=words(name, conversation, program))
    return Settle(outcome="replied")
