"""Names in rules, stories and forms that do not exist.

An action that does not exist is an error: the bot could not do it. An intent, entity, slot or form that does not exist
is a warning of kind `UNDEFINED`, as a step with it can only never come true; `bot data validate` counts it as an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from bot.core.program import Slot
from bot.core.script import Did, Heard, LoopIs, SlotWas, StoryStep
from bot.hints import nearest
from bot.project.domain import DomainReader
from bot.project.expand import ReadStory
from bot.project.problems import UNDEFINED, Problems

DEFAULT_ACTIONS = (
    "action_listen",
    "action_restart",
    "action_session_start",
    "action_default_fallback",
    "action_deactivate_loop",
    "action_revert_fallback_events",
    "action_default_ask_affirmation",
    "action_default_ask_rephrase",
    "action_two_stage_fallback",
    "action_unlikely_intent",
    "action_back",
    "action_extract_slots",
)
"""Actions that every Rasa bot has."""
DEFAULT_LOOPS = ("action_two_stage_fallback",)
"""Loops that are no forms."""
DEFAULT_INTENTS = ("restart", "back", "session_start", "nlu_fallback")
"""Intents that every Rasa bot has."""


@dataclass(slots=True)
class Names:
    """What exists. `retrieval` are the intents before the slash of `faq/hours`; `responses` include our own."""

    domain: DomainReader
    slots: Mapping[str, Slot]
    intents: frozenset[str]
    entities: frozenset[str]
    retrieval: frozenset[str]
    responses: frozenset[str]
    actions: frozenset[str]
    problems: Problems
    said: set[tuple[str, str]] = field(default_factory=set)

    def unknown(self, what: str, name: str, known: Iterable[str], where: str, fix: str) -> None:
        """Warn of a name that does not exist, once."""
        if name not in known and (what, name) not in self.said:
            self.said.add((what, name))
            hint = nearest(name, known) or f"; {fix}"
            self.problems.warn(f"there is no {what} {name!r}{hint}", where, UNDEFINED)

    def slot(self, name: str, where: str) -> None:
        """Warn of a slot that does not exist."""
        self.unknown("slot", name, self.slots, where, "write it under `slots:` in the domain")

    def form(self, name: str, where: str) -> None:
        """Warn of a form that does not exist."""
        known = (*self.domain.script.forms, *DEFAULT_LOOPS)
        self.unknown("form", name, known, where, "write it under `forms:` in the domain")

    def intent(self, name: str, where: str) -> None:
        """Warn of an intent that does not exist."""
        if name not in DEFAULT_INTENTS and name not in self.retrieval:
            self.unknown("intent", name, self.intents, where, "list it under `intents:` in the domain")

    def entity(self, name: str, where: str) -> None:
        """Warn of an entity that does not exist."""
        self.unknown("entity", name, self.entities, where, "list it under `entities:` in the domain")

    def action(self, name: str, where: str) -> None:
        """Report an action that does not exist, once."""
        known = {*self.actions, *self.domain.responses, *self.domain.script.forms, *DEFAULT_ACTIONS}
        known |= {f"utter_{intent}" for intent in self.retrieval}
        if name in known or name in self.responses or ("action", name) in self.said:
            return
        self.said.add(("action", name))
        what, section = ("response", "responses") if name.startswith("utter_") else ("action", "actions")
        hint = nearest(name, sorted(known)) or f"; write it under `{section}:` in the domain"
        self.problems.error(f"there is no {what} {name!r}{hint}", where)


def check_names(names: Names, stories: Iterable[ReadStory]) -> None:
    """Report what does not exist in rules, stories, forms and the conditions of slot mappings."""
    for read in stories:
        for step, where in zip(read.story.steps, read.places, strict=True):
            _check_step(step, where, names)
    _check_forms(names)
    for slot in names.domain.slots.values():
        where = names.domain.slots_at[slot.name]
        for mapping in slot.mappings:
            if mapping.action:
                names.unknown("action", mapping.action, names.actions, where, "list it under `actions:` in the domain")
            for condition in mapping.conditions:
                if condition.loop:
                    names.form(condition.loop, where)


def _check_step(step: StoryStep, where: str, names: Names) -> None:
    match step:
        case Did():
            names.action(step.action, where)
        case SlotWas():
            names.slot(step.name, where)
        case LoopIs() if step.loop:
            names.form(step.loop, where)
        case Heard():
            if step.intent:
                names.intent(step.intent, where)
            for mention in step.mentions:
                names.entity(mention.type, where)


def _check_forms(names: Names) -> None:
    script = names.domain.script
    for form in script.forms.values():
        for intent in form.ignored_intents:
            names.intent(intent, script.forms_at[form.name])
        for slot in form.required:
            where = script.asked_at.get((form.name, slot), script.forms_at[form.name])
            if slot not in names.slots:
                hint = nearest(slot, names.slots) or "; write it under `slots:` in the domain"
                names.problems.error(f"form {form.name!r}: there is no slot {slot!r}{hint}", where)
            ends = (f"ask_{form.name}_{slot}", f"ask_{slot}")
            asks = [*(f"utter_{end}" for end in ends), *(f"action_{end}" for end in ends)]
            if not any(name in names.responses or name in names.actions for name in asks):
                message = f"form {form.name!r} has no question for slot {slot!r}"
                names.problems.warn(f"{message}; write response `utter_ask_{slot}`", where)
            if slot in names.slots and f"validate_{form.name}" not in names.actions and not _filled(names.slots[slot]):
                message = f"form {form.name!r} asks for slot {slot!r}, but nothing fills it"
                names.problems.warn(f"{message}; write its `mappings:`", where)


def _filled(slot: Slot) -> bool:
    return any(mapping.kind != "controlled" or mapping.action for mapping in slot.mappings)
