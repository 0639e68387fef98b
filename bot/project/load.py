"""`load_project`: from a folder to a checked `Program`, training data and settings.

Read are `domain.yml` or the files below `domain/`, everything below `data/`, `bot.yml`, and of a Rasa project's
`config.yml` the language. Any section may stand in any of these files. All errors are gathered and raised together.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import JsonValue

from bot.config import FILE, Settings, load_settings
from bot.core.errors import ProjectError
from bot.core.filling import coerce
from bot.core.program import Act, Collect, Flow, FlowStep, Intent, Program, SetSlots, Slot
from bot.hints import nearest
from bot.project.checks import Parts, check_references, check_shapes
from bot.project.defaults import default_responses
from bot.project.domain import DomainReader
from bot.project.endpoints import Credentials, Endpoints, read_credentials, read_endpoints
from bot.project.flows import ReadFlow, pretty, read_flows
from bot.project.nlu import NluData, NluReader
from bot.project.problems import Problems, ProjectWarning
from bot.project.rasa_config import read_rasa_config
from bot.project.scan import scan_actions
from bot.project.warnings import Seen, warn
from bot.yaml import Node, describe, read_yaml

_DOMAIN = ("intents", "entities", "slots", "responses", "actions", "forms", "e2e_actions", "session_config", "config")
_LATER = ("rules", "stories")
_SECTIONS = ("version", "nlu", "flows", *_DOMAIN, *_LATER)
MAX_FILES = 2_000
"""Most YAML files in a project."""


@dataclass(frozen=True, slots=True)
class Project:
    """A project that has been read and checked.

    `knowledge` are existing files and folders, absolute. `kept` holds what later versions will use as it was written:
    forms, e2e_actions, session_config and config of the domain.
    """

    root: Path
    program: Program
    nlu: NluData
    settings: Settings
    knowledge: tuple[Path, ...] = ()
    warnings: tuple[ProjectWarning, ...] = ()
    kept: Mapping[str, JsonValue] = field(default_factory=dict)
    endpoints: Endpoints = field(default_factory=Endpoints)
    credentials: Credentials = field(default_factory=Credentials)


def load_project(root: Path) -> Project:
    """Read the project in folder `root`.

    Raises:
        ProjectErrors: lists what is wrong, with file, line and how to mend it.
        SettingsError: bot.yml or the environment is wrong.
    """
    problems = Problems()
    if not root.is_dir():
        raise ProjectError(f"there is no folder {str(root)!r}; name the project's folder, or make one with `bot init`")
    settings = load_settings(root, read_rasa_config(root, problems))
    reader = _Reader(root, problems)
    reader.read_all()
    knowledge = _knowledge(root, settings, problems)
    program = reader.program(settings, bool(knowledge))
    endpoints, credentials = read_endpoints(root, problems), read_credentials(root, problems)
    return Project(
        root=root,
        program=program,
        nlu=reader.nlu.data(),
        settings=settings,
        knowledge=knowledge,
        warnings=problems.finish(),
        kept=reader.domain.kept,
        endpoints=endpoints,
        credentials=credentials,
    )


def program_id(program: Program) -> str:
    """The sha256, in hex, of a program's content in canonical JSON."""
    content = program.model_dump(mode="json", exclude={"id"})
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _knowledge(root: Path, settings: Settings, problems: Problems) -> tuple[Path, ...]:
    paths = [(name, (root / name).resolve()) for name in settings.knowledge]
    for name, path in paths:
        if not path.exists():
            problems.error(f"`knowledge`: there is no file or folder {name!r}; make it, or remove the entry", FILE)
    return tuple(path for _, path in paths)


class _Reader:
    """Reads the files of one project and puts the parts together."""

    def __init__(self, root: Path, problems: Problems) -> None:
        self.root, self.problems = root, problems
        self.domain = DomainReader(problems)
        self.nlu = NluReader(root, problems)
        self.flows: dict[str, ReadFlow] = {}
        self.later: dict[str, str] = {}

    def read_all(self) -> None:
        """Read every file; a file that is no YAML is reported and left out."""
        found = 0
        for found, path in enumerate(self.files(), start=1):
            if found > MAX_FILES:
                self.problems.error(f"more than {MAX_FILES} YAML files; join some", self.name(path))
                return
            try:
                self.file(read_yaml(path, self.name(path)))
            except ProjectError as error:
                self.problems.errors.append(error)
        if not found:
            message = "no project here: expected domain.yml or YAML files below data/"
            self.problems.error(f"{message}; `bot init` makes a new one", self.root.name)

    def name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def files(self) -> Iterator[Path]:
        """The files to read, in a stable order."""
        for name in ("domain.yml", "domain.yaml"):
            if (self.root / name).is_file():
                yield self.root / name
        for folder in ("domain", "data"):
            found = (self.root / folder).rglob("*")
            yield from sorted(path for path in found if path.suffix in (".yml", ".yaml") and path.is_file())

    def file(self, node: Node) -> None:
        if node.value is None:
            return
        if not isinstance(node.value, dict):
            expected = f"expected sections such as `nlu:` or `flows:`, found {describe(node)}"
            self.problems.error(expected, node.where)
        for key, section in node.map.items():
            if key not in _SECTIONS:
                hint = nearest(key, _SECTIONS) or f"; sections: {', '.join(_SECTIONS)}"
                self.problems.error(f"unknown section {key!r}{hint}", node.where_key(key))
            elif key == "version" or section.value is not None:
                self.section(key, section)

    def section(self, key: str, section: Node) -> None:
        if key == "version":
            if not str(section.value).startswith("3"):
                self.problems.warn(f"written for version {section.value!r}; it is read as version 3.1", section.where)
        elif key in _LATER:
            self.later.setdefault(key, section.where)
        elif key == "nlu":
            self.nlu.read(section)
        elif key == "flows":
            self.add_flows(read_flows(section, self.problems))
        else:
            self.domain.read(key, section)

    def add_flows(self, flows: dict[str, ReadFlow]) -> None:
        for name, read in flows.items():
            if name in self.flows:
                self.problems.error(f"flow {name!r} is written in {self.flows[name].where} already", read.where)
            self.flows[name] = read

    def program(self, settings: Settings, knowledge: bool) -> Program:
        """The checked program; problems are left to the caller to raise."""
        behaviour = settings.behaviour
        actions = scan_actions(self.root, self.problems)
        intents = self.intent_names()
        responses = {**default_responses(behaviour), **self.domain.responses}
        known = frozenset({*self.domain.actions, *actions.places})
        parts = Parts(self.domain, self.flows, frozenset(intents), responses, known, self.problems)
        check_references(parts)
        check_shapes(parts)
        flows = {name: _finished(read.flow, responses, self.domain.slots) for name, read in self.flows.items()}
        flows |= self.retrieval_flows(flows, responses)
        made = Program(
            intents=self.intents(intents, flows, settings),
            entities=self.domain.entities,
            slots=self.domain.slots,
            responses=responses,
            flows=flows,
            actions=tuple(sorted(known)),
            behaviour=behaviour,
            knowledge=knowledge,
        )
        warn(Seen(made, self.domain, self.nlu, self.flows, actions, self.later, settings), self.problems)
        return made.model_copy(update={"id": program_id(made)})

    def intent_names(self) -> dict[str, None]:
        """Declared intents and those with examples, in order."""
        return dict.fromkeys([*self.domain.intents, *self.nlu.named])

    def retrieval_flows(self, flows: dict[str, Flow], responses: Mapping[str, object]) -> dict[str, Flow]:
        """A one-step flow for each retrieval intent `faq/hours` that has a response `utter_faq/hours` and no flow."""
        taken = {intent for flow in flows.values() for intent in flow.triggers}
        made: dict[str, Flow] = {}
        for intent in self.nlu.named:
            answer = f"utter_{intent}"
            if "/" in intent and intent not in taken and intent not in flows and answer in responses:
                steps = (Act(id=answer, action=answer),)
                made[intent] = Flow(id=intent, name=pretty(intent), triggers=(intent,), steps=steps)
        return made

    def intents(self, names: Mapping[str, None], flows: Mapping[str, Flow], settings: Settings) -> dict[str, Intent]:
        """Every intent with its label and the entities it may use."""
        titles = {intent: flow.name for flow in flows.values() for intent in flow.triggers}
        parents = {name.split("/")[0] for name in names if "/" in name}
        found: dict[str, Intent] = {}
        for name in names:
            declared = self.domain.intents.get(name) or self.domain.intents.get(name.split("/")[0])
            used, ignored = (declared.entities if declared else None), self.domain.ignored.get(name, ())
            if ignored:
                used = tuple(entity for entity in (used or self.domain.entities) if entity not in ignored)
            label = settings.labels.get(name) or titles.get(name) or pretty(name)
            retrieval = name in parents or "/" in name or bool(declared and declared.retrieval)
            found[name] = Intent(name=name, label=label, retrieval=retrieval, entities=used)
        return found


def _finished(flow: Flow, responses: Mapping[str, object], slots: Mapping[str, Slot]) -> Flow:
    """The flow with what the rest of the project says about its steps."""
    steps: list[FlowStep] = []
    for step in flow.steps:
        match step:
            case Collect():
                steps.append(_with_refusals(step, responses))
            case SetSlots():
                values = {name: coerce(slots[name], value) for name, value in step.values.items() if name in slots}
                steps.append(step.model_copy(update={"values": values}))
            case _:
                steps.append(step)
    return flow.model_copy(update={"steps": tuple(steps)})


def _with_refusals(step: Collect, responses: Mapping[str, object]) -> Collect:
    """Rejections that name no response say `utter_invalid_<slot>`, where there is one."""
    usual = f"utter_invalid_{step.slot}"
    if usual not in responses:
        return step
    refused = (rejection.model_copy(update={"utter": rejection.utter or usual}) for rejection in step.rejections)
    return step.model_copy(update={"rejections": tuple(refused)})
