"""`bot data validate`: what is wrong, or likely wrong, with a project as a whole.

Errors: what cannot be loaded, names that do not exist, rules and stories that contradict each other, rules that leave
out what an action does in other rules. Warnings: everything that works, but hardly as meant.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bot.core.events import Understood
from bot.core.filling import read_payload
from bot.core.messages import Choice
from bot.core.program import Button, Program
from bot.core.rules import Contradiction, contradictions
from bot.core.script import LISTEN, Did, Gap, Heard, LoopIs, SlotWas, StoryStep, Uttered
from bot.hints import listed
from bot.project.expand import ReadStory
from bot.project.load import Project, load_project
from bot.project.names import DEFAULT_INTENTS
from bot.project.problems import UNDEFINED, Problems, ProjectErrors
from bot.project.scan import scan_actions
from bot.project.warnings import used_responses

_OTHER_USES = ("out_of_scope", *DEFAULT_INTENTS)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something found. `level` is "error" or "warning"; `where` is `file:line`, or empty when it has no place."""

    level: str
    message: str
    where: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


def validate(root: Path) -> tuple[Finding, ...]:
    """Everything that is found in the project in folder `root`, in the order of files and lines.

    Raises:
        SettingsError: bot.yml or the environment is wrong.
        ProjectError: there is no such folder.
    """
    try:
        project = load_project(root)
    except ProjectErrors as errors:
        return tuple(_stripped(str(error), error.where) for error in errors.errors)
    found = [
        Finding("error" if warning.kind == UNDEFINED else "warning", warning.message, warning.where)
        for warning in project.warnings
    ]
    found += _contradictions(project)
    found += _incomplete_rules(project)
    found += _unused(project)
    return tuple(sorted(dict.fromkeys(found), key=_order))


def _stripped(text: str, where: str) -> Finding:
    return Finding("error", text.removeprefix(f"{where}: "), where)


def _order(finding: Finding) -> tuple[str, int, str]:
    file, _, line = finding.where.rpartition(":")
    return (file, int(line), finding.message) if line.isdecimal() else (finding.where, 0, finding.message)


# Rules and stories --------------------------------------------------------------------------------------------------


def _contradictions(project: Project) -> Iterator[Finding]:
    by_place = {(read.story.name, read.story.where): read for read in project.stories}
    for note in contradictions(project.program):
        read = by_place.get((note.story, note.story_where))
        message = f"{_shown(note.action)} here, but rule {note.rule!r} ({note.rule_where}) calls for"
        fix = "change one of them, or give the rule a condition"
        where = _place(read, note) if read else note.story_where
        yield Finding("error", f"{note.story!r} has {message} {_shown(note.predicted)}; {fix}", where)


def _shown(action: str) -> str:
    return "the end of the bot's turn" if action == LISTEN else repr(action)


def _place(read: ReadStory, note: Contradiction) -> str:
    """The first step with the action that the rule speaks against."""
    for step, where in zip(read.story.steps, read.places, strict=True):
        if (isinstance(step, Did) and step.action == note.action) or (
            isinstance(step, Uttered) and step.text == note.action
        ):
            return where
    return note.story_where


@dataclass(frozen=True, slots=True)
class _Done:
    """An action in a rule with what the rule says about slots and forms up to the next one. `slots`: all set so far."""

    action: str
    where: str
    rule: str
    sets: frozenset[str]
    slots: frozenset[str]
    loop: bool


def _incomplete_rules(project: Project) -> Iterator[Finding]:
    """Rules in which an action does not set what it sets in other rules."""
    program = project.program
    done = [item for read in project.stories if read.story.rule for item in _done(read, program)]
    sets: dict[str, set[str]] = {}
    for item in done:
        sets.setdefault(item.action, set()).update(item.sets)
    forms = program.script.forms if program.script else {}
    for item in done:
        missing = sets[item.action] - item.slots
        if missing:
            message = f"rule {item.rule!r}: {item.action!r} sets {listed(missing)} in other rules, but not here"
            fix = "add `slot_was_set`, or `wait_for_user_input: false` if the rule ends with it"
            yield Finding("error", f"{message}; {fix}", item.where)
        if item.action in forms and not item.loop:
            message = f"rule {item.rule!r}: nothing says whether form {item.action!r} is active after this step"
            yield Finding(
                "error", f"{message}; add `- active_loop: {item.action}`, or `null` where it ends", item.where
            )


def _done(read: ReadStory, program: Program) -> Iterator[_Done]:
    steps = list(zip(read.story.steps, read.places, strict=True))
    held: set[str] = set()
    active: str | None = None
    for position, (step, where) in enumerate(steps):
        if isinstance(step, SlotWas):
            held.add(step.name)
        if isinstance(step, LoopIs):
            active = step.loop
        if not isinstance(step, Did) or step.action == LISTEN:
            continue
        after = list(_until_next(step for step, _ in steps[position + 1 :]))
        if position + 1 + len(after) < len(steps) and isinstance(steps[position + 1 + len(after)][0], Gap):
            continue
        influencing = {name for name, slot in program.slots.items() if slot.influences}
        sets = frozenset(s.name for s in after if isinstance(s, SlotWas)) & influencing
        loop = active == step.action or any(isinstance(s, LoopIs) for s in after)
        yield _Done(step.action, where, read.story.name, sets, frozenset({*held, *sets}), loop)


def _until_next(steps: Iterable[StoryStep]) -> Iterator[StoryStep]:
    for step in steps:
        if isinstance(step, Did | Uttered | Heard | Gap):
            return
        yield step


# What nothing uses --------------------------------------------------------------------------------------------------


def _unused(project: Project) -> Iterator[Finding]:
    program, places = project.program, project.places
    code = scan_actions(project.root, Problems()).text
    unless = "; only an action could say it" if program.actions and not code else ""
    intents = _used_intents(program)
    for name in () if program.knowledge else program.intents:
        where = places.get(f"intent {name}", "")
        if name.split("/")[0] not in intents and name not in intents and name not in _OTHER_USES:
            yield Finding("warning", f"intent {name!r} is used in no rule, story, flow, form or mapping", where)
    responses = used_responses(program)
    for name, where in ((key.partition(" ")[2], place) for key, place in places.items() if key.startswith("response ")):
        if name not in responses and name.split("/")[0] not in responses and name not in code:
            yield Finding("warning", f"response {name!r} is never used{unless}", where)
    script = program.script
    acted = {s.action for read in project.stories for s in read.story.steps if isinstance(s, Did)}
    for name in script.forms if script else ():
        if name not in acted:
            message = f"form {name!r} is started by no rule or story; add `- action: {name}`"
            yield Finding("warning", message, places.get(f"form {name}", ""))


def _used_intents(program: Program) -> frozenset[str]:
    behaviour, script = program.behaviour, program.script
    used = {*program.flow_for, *(name.split("/")[0] for name in program.flow_for)}
    used |= {behaviour.cancel_intent, behaviour.affirm_intent, behaviour.deny_intent, behaviour.handoff_intent}
    mappings = [mapping for slot in program.slots.values() for mapping in slot.mappings]
    used |= {name for mapping in mappings for name in (*mapping.intents, *mapping.not_intents)}
    buttons = (b for said in program.responses.values() for v in said for b in (*v.buttons, *v.quick_replies))
    used |= {read.intents[0].name for button in buttons if (read := _pressed(button)) and read.intents}
    if script is not None:
        used |= set(script.by_intent)
        used |= {name for form in script.forms.values() for name in form.ignored_intents}
    return frozenset(used)


def _pressed(button: Button) -> Understood | None:
    return read_payload(Choice(title=button.title, payload=button.payload))
