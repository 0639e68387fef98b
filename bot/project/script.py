"""The `Script` of a Rasa project: its rules, stories and forms put together, and the slots that Rasa adds by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bot.core.program import Slot, SlotMapping
from bot.core.script import REQUESTED, Did, Heard, Script
from bot.project.domain import DomainReader
from bot.project.expand import ReadStory, expand
from bot.project.problems import Problems
from bot.project.rasa_config import RasaConfig
from bot.project.stories import StoryReader

_METADATA = "session_started_metadata"
_KNOWLEDGE_ACTION = "action_query_knowledge_base"
_KNOWLEDGE_SLOTS = (
    "knowledge_base_listed_objects",
    "knowledge_base_last_object",
    "knowledge_base_last_object_type",
)
_BY_ACTIONS = (SlotMapping(kind="controlled"),)


@dataclass(frozen=True, slots=True)
class ReadScript:
    """A script with the places of its steps. `script` is None when the project has no rules, stories and forms."""

    script: Script | None = None
    stories: tuple[ReadStory, ...] = ()


def script_slots(domain: DomainReader) -> dict[str, Slot]:
    """The slots that a Rasa domain has without being told; those that the author wrote stay as they are."""
    names = [_METADATA]
    if domain.script.forms:
        names.append(REQUESTED)
    if _KNOWLEDGE_ACTION in domain.actions:
        names += _KNOWLEDGE_SLOTS
    return {
        name: Slot(name=name, type="text" if name == REQUESTED else "any", influences=False, mappings=_BY_ACTIONS)
        for name in names
        if name not in domain.slots
    }


def read_script(
    stories: StoryReader, domain: DomainReader, slots: Mapping[str, Slot], config: RasaConfig, problems: Problems
) -> ReadScript:
    """Put the script together. `slots` are all slots, those of `script_slots` too."""
    forms = domain.script.forms
    if not stories.parts and not forms:
        return ReadScript()
    found = expand(stories.parts, slots, domain.script.store_entities, problems)
    if config.restricts:
        _warn_of_long_rules(found, problems)
    script = Script(
        rules=tuple(read.story for read in found if read.story.rule),
        stories=tuple(read.story for read in found if not read.story.rule),
        forms=forms,
        session=domain.script.session,
    )
    return ReadScript(script.model_copy(update=config.script), tuple(found))


def _warn_of_long_rules(found: list[ReadStory], problems: Problems) -> None:
    """Rules are for one exchange; Rasa refuses longer ones."""
    said: set[str] = set()
    for read in found:
        heard = sum(isinstance(step, Heard) for step in read.story.steps)
        if read.story.rule and heard > 1 and read.story.where not in said:
            said.add(read.story.where)
            message = f"rule {read.story.name!r} has {heard} messages of the user"
            problems.warn(f"{message}; Rasa allows one in a rule: write a story, or use conditions", read.story.where)


def actions_of(stories: tuple[ReadStory, ...]) -> dict[str, str]:
    """The actions of all stories with their first places."""
    found: dict[str, str] = {}
    for read in stories:
        for step, where in zip(read.story.steps, read.places, strict=True):
            if isinstance(step, Did):
                found.setdefault(step.action, where)
    return found
