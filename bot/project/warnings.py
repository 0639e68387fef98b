"""Likely mistakes in a project that works: each check looks for one kind and says it once, or once per place."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bot.config import FILE, Settings
from bot.core.program import Act, Collect, Program, Variation
from bot.core.routing import NONE_OF_THESE, REPHRASE, RESUME
from bot.core.script import Did, Script
from bot.hints import listed, nearest
from bot.project.defaults import SYSTEM_RESPONSES
from bot.project.domain import DomainReader
from bot.project.endpoints import Endpoints
from bot.project.flows import ReadFlow
from bot.project.nlu import NluReader
from bot.project.problems import Problems
from bot.project.scan import ActionScan

FEW_EXAMPLES = 2
_HOLE = re.compile(r"(?<!\{)\{(\w+)\}(?!\})")
_PAYLOAD = re.compile(r"/([^\s{}@()/][^\s{}@()]*)(?:@[\d.]+)?\s*(?:\{.*\})?\s*$", re.DOTALL)
_OWN_PAYLOADS = (NONE_OF_THESE, REPHRASE, RESUME)
_RASA_RESPONSES = ("utter_default", "utter_ask_rephrase", "utter_restart", "utter_back", "utter_none_of_these")
_BUILT_IN = ("nlu_fallback", "restart", "back", "session_start", "out_of_scope")


@dataclass(frozen=True, slots=True)
class Seen:
    """What the checks look at."""

    program: Program
    domain: DomainReader
    nlu: NluReader
    flows: Mapping[str, ReadFlow]
    actions: ActionScan
    endpoints: Endpoints
    settings: Settings

    @property
    def elsewhere(self) -> bool:
        """Whether code of actions is not here to be read: then what seems unused may be used there."""
        return bool(self.domain.actions) and not self.actions.text


def warn(seen: Seen, problems: Problems) -> None:
    """Run every check."""
    for check in _CHECKS:
        check(seen, problems)


def _unread_keys(seen: Seen, problems: Problems) -> None:
    unused = {key: where for read in seen.flows.values() for key, where in read.unused.items()}
    if unused:
        problems.warn(f"keys of flows that have no effect here: {listed(unused)}", next(iter(unused.values())))
    if seen.domain.custom_types:
        types = seen.domain.custom_types
        problems.warn(f"slot classes are read as type any: {listed(types)}", next(iter(types.values())))


def _intents_without_examples(seen: Seen, problems: Problems) -> None:
    counts = dict.fromkeys(seen.program.intents, 0)
    for example in seen.nlu.examples:
        counts[example.intent] += 1
        if "/" in example.intent:
            parent = example.intent.split("/")[0]
            counts[parent] = counts.get(parent, 0) + 1
    for intent, count in counts.items():
        where = seen.domain.intents_at.get(intent) or seen.nlu.named.get(intent, "")
        if count == 0 and intent not in _BUILT_IN and not _from_elsewhere(intent, seen):
            problems.warn(f"intent {intent!r} has no examples, so no text is ever recognised as it", where)
        elif 0 < count < FEW_EXAMPLES:
            problems.warn(f"intent {intent!r} has one example; ten or more, in varied words, work better", where)


def _from_elsewhere(intent: str, seen: Seen) -> bool:
    """Whether an intent comes from outside, as Rasa names such intents, or from the code of actions."""
    return intent.startswith("EXTERNAL_") or f'"{intent}"' in seen.actions.text or f"'{intent}'" in seen.actions.text


def _undeclared(seen: Seen, problems: Problems) -> None:
    for intent, where in seen.nlu.named.items():
        if intent not in seen.domain.intents and intent.split("/")[0] not in seen.domain.intents:
            problems.warn(f"intent {intent!r} is not in the domain{nearest(intent, seen.domain.intents)}", where)
    known = seen.domain.entities
    said: set[str] = set()
    for example in seen.nlu.examples:
        for entity in example.entities:
            for kind, name, names in (
                ("entity", entity.type, list(known)),
                ("role", entity.role, known[entity.type].roles if entity.type in known else [entity.role]),
                ("group", entity.group, known[entity.type].groups if entity.type in known else [entity.group]),
            ):
                key = f"{kind} {entity.type} {name}"
                if name is not None and name not in names and key not in said:
                    said.add(key)
                    message = f"{kind} {name!r} is annotated but not in the domain"
                    problems.warn(f"{message}{nearest(name, [n for n in names if n])}", example.where)


def _mappings(seen: Seen, problems: Problems) -> None:
    """Mappings that name what does not exist never fill their slot."""
    annotated = {entity.type for example in seen.nlu.examples for entity in example.entities}
    for slot in seen.domain.slots.values():
        where = seen.domain.slots_at[slot.name]
        for mapping in slot.mappings:
            entities = {*seen.program.entities, *annotated}
            if mapping.entity and mapping.entity not in entities:
                hint = nearest(mapping.entity, sorted(entities)) or "; write it under `entities:`"
                problems.warn(
                    f"slot {slot.name!r} waits for entity {mapping.entity!r}, which is not there{hint}", where
                )
            for intent in (*mapping.intents, *mapping.not_intents):
                if intent not in seen.program.intents:
                    hint = nearest(intent, seen.program.intents)
                    problems.warn(f"slot {slot.name!r} names intent {intent!r}, which is not there{hint}", where)


def _same_example_twice(seen: Seen, problems: Problems) -> None:
    first: dict[str, tuple[str, str]] = {}
    for example in seen.nlu.examples:
        text = " ".join(example.text.split()).casefold()
        intent, where = first.setdefault(text, (example.intent, example.where))
        if intent != example.intent:
            other = f"{intent!r} in {where} and to {example.intent!r} here"
            problems.warn(f"{example.text[:60]!r} belongs to {other}; keep one", example.where)


def _unanswered_intents(seen: Seen, problems: Problems) -> None:
    if seen.program.script or seen.program.knowledge:
        return
    behaviour = seen.program.behaviour
    used = {behaviour.cancel_intent, behaviour.affirm_intent, behaviour.deny_intent, behaviour.handoff_intent}
    used |= {name for slot in seen.program.slots.values() for m in slot.mappings for name in m.intents}
    used |= {intent.split("/")[0] for intent in seen.program.flow_for} | set(seen.program.flow_for)
    left = [name for name in seen.program.intents if name not in used and name not in _BUILT_IN]
    if left:
        where = seen.domain.intents_at.get(left[0]) or seen.nlu.named.get(left[0], "")
        problems.warn(f"no flow starts with {listed(left)}, and there is no knowledge to answer from", where)


def _behaviour_intents(seen: Seen, problems: Problems) -> None:
    behaviour = seen.settings.behaviour
    for key in ("cancel_intent", "affirm_intent", "deny_intent", "handoff_intent"):
        name = getattr(behaviour, key)
        if key in behaviour.model_fields_set and name not in seen.program.intents:
            problems.warn(f"behaviour.{key}: there is no intent {name!r}{nearest(name, seen.program.intents)}", FILE)
    for name in seen.settings.labels:
        if name not in seen.program.intents:
            problems.warn(f"labels: there is no intent {name!r}{nearest(name, seen.program.intents)}", FILE)


def _unused_responses(seen: Seen, problems: Problems) -> None:
    if seen.elsewhere:
        return
    used = used_responses(seen.program)
    for name, where in seen.domain.responses_at.items():
        if name not in used and name.split("/")[0] not in used and name not in seen.actions.text:
            problems.warn(f"response {name!r} is never used", where)


def used_responses(program: Program) -> frozenset[str]:
    """The responses that flows, rules, stories and forms use; of retrieval intents the name before the slash."""
    used = {*SYSTEM_RESPONSES, *_RASA_RESPONSES}
    for flow in program.flows.values():
        for step in flow.steps:
            if isinstance(step, Act):
                used.add(step.action)
            elif isinstance(step, Collect):
                used |= {step.utter, *(rejection.utter or "" for rejection in step.rejections)}
    script = program.script or Script()
    used |= {step.action for story in (*script.rules, *script.stories) for step in story.steps if isinstance(step, Did)}
    for form in script.forms:  # the form's action may ask for any slot
        used |= {f"utter_ask_{end}" for slot in program.slots for end in (slot, f"{form}_{slot}")}
    return frozenset(used)


def _buttons(seen: Seen, problems: Problems) -> None:
    """A button whose `/intent` does not exist leads nowhere."""
    own = (seen.settings.behaviour.handoff_intent, *_BUILT_IN)
    for name, where in seen.domain.responses_at.items():
        buttons = (b for v in seen.domain.responses[name] for b in (*v.buttons, *v.quick_replies))
        for intent in {found[1] for button in buttons if (found := _PAYLOAD.match(button.payload))}:
            if intent not in seen.program.intents and intent not in own and f"/{intent}" not in _OWN_PAYLOADS:
                hint = nearest(intent, seen.program.intents)
                problems.warn(f"a button of {name!r} sends /{intent}, but there is no such intent{hint}", where)


def _unanswerable(seen: Seen, problems: Problems) -> None:
    """Slots that a flow asks for, but no answer can fill."""
    behaviour, intents = seen.program.behaviour, seen.program.intents
    for read in seen.flows.values():
        for name, step in read.flow.collects.items():
            slot, where = seen.program.slots.get(name), read.steps_at[step.id]
            if slot is None:
                continue
            if slot.mappings and all(mapping.kind == "controlled" for mapping in slot.mappings):
                problems.warn(f"slot {name!r} is asked for, but only actions may fill it; change its mappings", where)
            yes_no = [name for name in (behaviour.affirm_intent, behaviour.deny_intent) if name not in intents]
            if slot.type == "bool" and not slot.mappings and yes_no:
                problems.warn(f"slot {name!r} takes yes or no, but there is no intent {listed(yes_no)}", where)


def _holes(seen: Seen, problems: Problems) -> None:
    """`{name}` in a response that is nearly a slot's name; other names may come from actions."""
    for name, where in seen.domain.responses_at.items():
        for hole in sorted({hole for variation in seen.domain.responses[name] for hole in _found(variation)}):
            hint = nearest(hole, seen.program.slots)
            if hole not in seen.program.slots and hint:
                problems.warn(f"response {name!r} has {{{hole}}}, but there is no such slot{hint}", where)


def _found(variation: Variation) -> list[str]:
    texts = [variation.text or "", variation.image or "", *(button.title for button in variation.buttons)]
    return [hole for text in texts for hole in _HOLE.findall(text)]


def _actions_without_code(seen: Seen, problems: Problems) -> None:
    """Custom actions that nothing could run."""
    code = seen.actions
    missing = [
        name
        for name in seen.domain.actions
        if name not in code.places and name not in code.text and not name.startswith("utter_")
    ]
    if not missing or seen.endpoints.has_action:
        return
    fix = 'write functions with @action("name") in actions.py'
    if seen.program.script is not None and not code.text:
        fix = "name the action server under `action_endpoint:` in endpoints.yml, or put the package `actions` here"
    problems.warn(f"no code for {listed(missing)}; {fix}", seen.domain.actions_at[missing[0]])


def _answers_of_retrieval(seen: Seen, problems: Problems) -> None:
    """In a scripted bot each of `faq/hours` needs a response `utter_faq/hours`."""
    if seen.program.script is None:
        return
    for intent, where in seen.nlu.named.items():
        answer = f"utter_{intent}"
        if "/" in intent and answer not in seen.program.responses:
            hint = nearest(answer, seen.program.responses) or "; write it under `responses:`"
            problems.warn(f"there is no response {answer!r} for intent {intent!r}{hint}", where)


_CHECKS: tuple[Callable[[Seen, Problems], None], ...] = (
    _unread_keys,
    _intents_without_examples,
    _undeclared,
    _mappings,
    _same_example_twice,
    _unanswered_intents,
    _behaviour_intents,
    _unused_responses,
    _holes,
    _buttons,
    _unanswerable,
    _actions_without_code,
    _answers_of_retrieval,
)
