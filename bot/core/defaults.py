"""What Rasa's default actions do. A project's own action of the same name takes their place."""

from __future__ import annotations

from bot.core import events as ev
from bot.core.conversation import Conversation, Turn
from bot.core.messages import Choice, Choices, Message
from bot.core.program import Program
from bot.core.responses import render, slot_values, words
from bot.core.script import FALLBACK, LISTEN, NLU_FALLBACK, REQUESTED, Script
from bot.core.steps import Record, Say, Step

SESSION, METADATA = "action_session_start", "session_started_metadata"
TWO_STAGE, REPHRASE = "action_two_stage_fallback", "action_default_ask_rephrase"
AFFIRM = "action_default_ask_affirmation"
DEFAULT_ACTIONS = frozenset((
    "action_restart", SESSION, FALLBACK, "action_deactivate_loop", "action_revert_fallback_events", AFFIRM, REPHRASE,
    TWO_STAGE, "action_unlikely_intent", "action_back", "action_extract_slots",
))  # fmt: skip
OUT_OF_SCOPE = "out_of_scope"


def new_session(conversation: Conversation, turn: Turn, script: Script) -> tuple[ev.Event, ...]:
    """A new session: slots are carried over if the project wants that; the message's metadata becomes a slot."""
    kept = conversation.slots if script.session.carry_over else {}
    values = {name: value for name, value in kept.items() if value is not None and name != REQUESTED}
    if turn.metadata:
        values[METADATA] = dict(turn.metadata)
    return (
        ev.SessionStarted(),
        *(ev.SlotSet(name=name, value=value, source="reset") for name, value in values.items()),
    )


def run_default(action: str, conversation: Conversation, turn: Turn, script: Script, program: Program) -> Step:
    """The step of a default action."""
    done = ev.ActionRan(action=action, key="")
    match action:
        case "action_restart":
            said = words("utter_restart", conversation, program, "Let us start again.")
            return Say(messages=said, events=(done, ev.Restarted()))
        case "action_session_start":
            return Record(events=(done, *new_session(conversation, turn, script)))
        case "action_default_fallback":
            return Say(messages=_default(conversation, program), events=(done, ev.Reverted()))
        case "action_back":
            said = words("utter_back", conversation, program, "Let us go one step back.")
            return Say(messages=said, events=(done, ev.Reverted(), ev.Reverted()))
        case "action_deactivate_loop":
            return Record(events=(ev.LoopChanged(loop=None), ev.SlotSet(name=REQUESTED, value=None), done))
        case "action_default_ask_affirmation":
            return Say(messages=(_did_you_mean(conversation, turn, program),), events=(done,))
        case "action_default_ask_rephrase":
            return Say(messages=words("utter_ask_rephrase", conversation, program), events=(done,))
        case "action_two_stage_fallback":
            return _two_stages(conversation, turn, program)
        case _:  # those that only mark a place
            return Record(events=(done,))


def _default(conversation: Conversation, program: Program) -> tuple[Message, ...]:
    name = "utter_default" if "utter_default" in program.responses else "utter_ask_rephrase"
    return words(name, conversation, program)


def _did_you_mean(conversation: Conversation, turn: Turn, program: Program) -> Message:
    """ "Did you mean ...?" with the best intents that are none of the fallbacks."""
    ranked = turn.understood.intents if turn.understood else ()
    names = [item.name for item in ranked if item.name not in (NLU_FALLBACK, OUT_OF_SCOPE)][:2]
    labels = {name: program.intents[name].label for name in names if name in program.intents}
    options = [Choice(title=label or name, payload=f"/{name}") for name, label in labels.items()]
    other = render("utter_none_of_these", conversation, program)
    options.append(Choice(title=other[0].text if other else "None of these", payload=f"/{OUT_OF_SCOPE}"))
    asked = words("utter_did_you_mean", conversation, program)[0]
    return asked.model_copy(update={"name": AFFIRM, "parts": (*asked.parts, Choices(options=tuple(options)))})


def _two_stages(conversation: Conversation, turn: Turn, program: Program) -> Step:
    """Ask "did you mean", then to rephrase, then "did you mean" again, then give up.

    The stage is kept in the slot `requested_slot`, as the question that is open.
    """
    track, done = conversation.track, ev.ActionRan(action=TWO_STAGE, key="")
    if track.loop is None or track.loop.name != TWO_STAGE:
        return Record(events=(ev.LoopChanged(loop=TWO_STAGE),))
    stage = slot_values(conversation, program).get(REQUESTED)
    intent = track.said.intent if track.said else ""
    ends: tuple[ev.Event, ...] = (ev.SlotSet(name=REQUESTED, value=None), ev.LoopChanged(loop=None))
    if stage and intent not in (NLU_FALLBACK, OUT_OF_SCOPE):  # understood after all: as if nothing had been asked
        return Record(events=(*ends, ev.ActionRejected(action=TWO_STAGE)))
    if stage == "affirmation" and intent == OUT_OF_SCOPE:
        said = words("utter_ask_rephrase", conversation, program)
        return Say(messages=said, events=(ev.SlotSet(name=REQUESTED, value="rephrasing"), done))
    if stage in (None, "rephrasing"):
        following = "affirmation" if stage is None else "last"
        asked = (_did_you_mean(conversation, turn, program),)
        return Say(messages=asked, events=(ev.SlotSet(name=REQUESTED, value=following), done))
    return Say(messages=_default(conversation, program), events=(*ends, done, ev.FollowUp(action=LISTEN)))
