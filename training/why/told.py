"""A decision as a sentence that a support lead understands, and where in the project it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bot.core import events as ev
from bot.core.program import Program
from bot.core.script import LISTEN, Script
from training.why.values import Decision

_NEAR = {
    "intent": "{} asks for it",
    "clarified": 'the button of the "did you mean" question asks for it',
    "digression": "{} is another wish in between",
    "interrupts": "{} interrupts what was going on",
    "again": "a value of the task before was given anew",
    "entity": "it names the value",
    "text": "its words are the value",
    "payload": "a button gave the value",
    "button": "a button said so",
    "already running": "{} asks for what is under way already",
}


@dataclass(frozen=True, slots=True)
class Book:
    """The project as far as places need it: empty where there is none. `places` are those of `Project`."""

    program: Program | None = None
    places: Mapping[str, str] = field(default_factory=dict)

    def place(self, kind: str, name: str) -> str:
        """Where something is written, "" if that is not known."""
        return self.places.get(f"{kind} {name}", "")

    def story(self, name: str) -> str:
        """Where a rule or story is written."""
        script = self.program.script if self.program else None
        found = (story.where for story in (*script.rules, *script.stories) if story.name == name) if script else ()
        return next(iter(found), "")

    def of_action(self, action: str) -> str:
        """Where a response or a custom action is written down."""
        return self.place("response", action) or self.place("action", action)


def decision(event: ev.Predicted, found: ev.Understood | None, book: Book) -> Decision:
    """A `Predicted` fact, told."""
    said = _by_policy(event, book) if event.policy else _by_route(event, found, book)
    return Decision(
        action=event.action,
        argument=event.argument or "",
        policy=event.policy,
        reason=event.reason,
        said=said,
        place=_place(event, book),
        candidates=event.candidates,
        propensity=event.propensity,
    )


def _place(event: ev.Predicted, book: Book) -> str:
    if event.policy:
        form = event.reason.removeprefix("loop ")
        return book.place("form", form) if event.reason.startswith("loop ") else book.story(event.reason)
    if event.action in ("start_flow", "continue_flow", "cancel_flow") and event.argument:
        return book.place("flow", event.argument)
    return ""


# Flows --------------------------------------------------------------------------------------------------------------


def _by_route(event: ev.Predicted, found: ev.Understood | None, book: Book) -> str:
    why = _NEAR.get(event.reason, event.reason).format(_named(found))
    what = event.argument or ""
    if event.action == "clarify":
        return _close(event, book)
    if event.action in ("knowledge", "no_answer") and event.reason == "no intent":
        return f"{_not_accepted(found)}, so {_LOOKED if event.action == 'knowledge' else 'there was no answer'}"
    told = {
        "start_flow": f"The flow {what} began: {why}",
        "continue_flow": f"The message goes on with {what or 'the flow'}: {why}",
        "stay": f"The flow waits for {what}, and {why}, so it asked again",
        "correct_slot": f"An earlier answer was corrected: {why}",
        "knowledge": f"{_asked_of(event, found)}, so {_LOOKED}",
        "no_answer": f"There was no answer: {why}",
        "handoff": f"A person was called: {why}",
        "with_person": "A person has the conversation; the message was passed on",
        "resume": "The user called the bot back",
        "rephrase": f"The user was asked to say it in other words: {why or 'a button'}",
        "cancel_flow": f"The flow {what} was stopped: the user asked for that",
        "nothing_to_cancel": "The user wanted to stop, but nothing was going on",
        "unsupported_language": f"The message is in a language that the bot does not speak ({what})",
    }
    return told.get(event.action, f"{event.action} {what}: {why}".strip())


_LOOKED = "the knowledge base was asked"


def _named(found: ev.Understood | None) -> str:
    best = found.intents[0] if found is not None and found.intents else None
    return f"the intent {best.name} ({best.score:.2f})" if best else "the message"


def _asked_of(event: ev.Predicted, found: ev.Understood | None) -> str:
    if event.reason == "clarified":
        return "The button asked about the words before"
    if event.reason == "digression":
        return "A question in between, and no flow answers it"
    return f"The{_named(found)[3:]} has no flow of its own" if found and found.intents else "No flow fits"


def _not_accepted(found: ev.Understood | None) -> str:
    if found is None or not found.intents:
        return "No intent was recognised"
    return f"In-scope {found.in_scope:.2f} is below the threshold {found.threshold:.2f}: no intent counts"


def _close(event: ev.Predicted, book: Book) -> str:
    names = ", ".join(f"{item.name} {item.score:.2f}" for item in event.candidates)
    margin = ""
    if len(event.candidates) > 1:
        lead = event.candidates[0].score - event.candidates[1].score
        least = f" of the {book.program.behaviour.clarify_margin:.2f} needed" if book.program else ""
        margin = f": {lead:.2f} apart{least}"
    return f'Two intents are too close to tell ({names}){margin}, so "did you mean" was asked'


# Rules, stories, forms ----------------------------------------------------------------------------------------------


def _by_policy(event: ev.Predicted, book: Book) -> str:
    action = "The bot listens" if event.action == LISTEN else f"{event.action} comes next"
    match event.policy:
        case "RulePolicy" if event.reason.startswith("loop "):
            return f"{action}: the form {event.reason.removeprefix('loop ')} is active"
        case "RulePolicy":
            return f"{action}: rule {event.reason!r} says so"
        case "MemoizationPolicy":
            return f"{action}: it is remembered from story {event.reason!r}"
        case "RankingPolicy":
            return f"{action}: the learned ranking found it most likely ({_best(event)}), nothing else said anything"
        case "Fallback":
            return f"{action}: no rule and no story fits{_unsure(event, book)}"
        case "Followup":
            return f"{action}: the action before asked for it"
        case "External":
            return f"{action}: it was asked for from outside"
        case _:
            return f"{action}: chosen by {event.policy}"


def _best(event: ev.Predicted) -> str:
    return f"{event.candidates[0].score:.2f}" if event.candidates else "no score was kept"


def _unsure(event: ev.Predicted, book: Book) -> str:
    if event.reason == "unsure" and event.candidates:
        script = (book.program.script if book.program else None) or Script()
        best = event.candidates[0]
        return (
            f", and the learned ranking is not sure: {best.name} {best.score:.2f}, needed {script.fallback_below:.2f}"
        )
    said = {"no ranking": "there is no learned ranking in the bundle", "": "the ranking was not asked"}
    return f" ({said.get(event.reason, f'the learned ranking did not help: {event.reason}')})"


def wording(event: ev.Generated) -> str:
    """What came of having an answer worded."""
    passed = sum(not check.detail for check in event.checks)
    if not event.fallback:
        return f"worded by {event.model} in {event.seconds:.2f} s; {passed} checks passed"
    refused = next((check.detail for check in event.checks if check.detail), "")
    told = f": {event.rejected!r}{f' ({refused})' if refused else ''}" if event.rejected else ""
    return f"said as approved: the wording of {event.model or 'the generator'} was refused, {event.fallback}{told}"
