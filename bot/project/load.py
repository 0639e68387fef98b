"""`load_project`: from a folder to a checked `Program`, training data and settings.

Read are `domain.yml` or the files below `domain/` (or `domains/`), everything below `data/`, `bot.yml`, and of a Rasa
project `config.yml`, `endpoints.yml` and `credentials.yml`. Any section may stand in any of the files of the domain and
the data. All errors are gathered and raised together.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bot.config import FILE, Settings, load_settings
from bot.core.errors import ProjectError
from bot.core.filling import coerce
from bot.core.program import Act, Collect, Flow, FlowStep, Intent, Program, SetSlots, Slot
from bot.hints import nearest
from bot.project.checks import Parts, check_references, check_shapes
from bot.project.defaults import default_responses
from bot.project.domain import DomainReader
from bot.project.endpoints import Credentials, Endpoints, read_credentials, read_endpoints
from bot.project.expand import ReadStory
from bot.project.flows import ReadFlow, pretty, read_flows
from bot.project.imports import imported_files
from bot.project.names import Names, check_names
from bot.project.nlu import NluData, NluReader
from bot.project.problems import Problems, ProjectWarning
from bot.project.rasa_config import RasaConfig, read_rasa_config
from bot.project.scan import scan_actions
from bot.project.script import ReadScript, read_script, script_slots
from bot.project.stories import StoryReader
from bot.project.warnings import Seen, warn
from bot.sections import MINILM
from bot.yaml import Node, describe, read_yaml

_DOMAIN = ("intents", "entities", "slots", "responses", "actions", "forms", "e2e_actions", "session_config", "config")
_STORIES = ("rules", "stories")
_SECTIONS = ("version", "nlu", "flows", *_DOMAIN, *_STORIES)
_DOMAINS = ("domain.yml", "domain.yaml", "domain")
_OLD_NAMES = {"templates": "responses"}
MAX_FILES = 2_000
"""Most YAML files in a project."""


@dataclass(frozen=True, slots=True)
class Project:
    """A project that has been read and checked.

    `knowledge` are existing files and folders, absolute. `stories` are the rules and stories of `program.script` with
    the places of their steps, `places` those of intents, responses, actions, slots, forms, flows and their steps, by
    `intent greet`, `step order ask_size` and so on. `send_domain` are the actions that want to be sent the domain;
    `assistant_id` is that of `config.yml`, `built_in` the built-in entity types that it asks for (`None`: all).
    """

    root: Path
    program: Program
    nlu: NluData
    settings: Settings
    knowledge: tuple[Path, ...] = ()
    warnings: tuple[ProjectWarning, ...] = ()
    endpoints: Endpoints = field(default_factory=Endpoints)
    credentials: Credentials = field(default_factory=Credentials)
    stories: tuple[ReadStory, ...] = ()
    places: Mapping[str, str] = field(default_factory=dict)
    send_domain: frozenset[str] = frozenset()
    assistant_id: str = ""
    built_in: tuple[str, ...] | None = None


def load_project(root: Path) -> Project:
    """Read the project in folder `root`.

    Raises:
        ProjectErrors: lists what is wrong, with file, line and how to mend it.
        SettingsError: bot.yml or the environment is wrong.
    """
    problems = Problems()
    if not root.is_dir():
        raise ProjectError(f"there is no folder {str(root)!r}; name the project's folder, or make one with `bot init`")
    config = read_rasa_config(root, problems)
    settings = load_settings(root, config.settings)
    _check_encoder(settings, config, problems)
    reader = _Reader(root, config, problems)
    reader.read_all()
    knowledge = _knowledge(root, settings, problems)
    reader.endpoints, credentials = read_endpoints(root, problems), read_credentials(root, problems)
    program = reader.program(settings, bool(knowledge))
    return Project(
        root=root,
        program=program,
        nlu=reader.nlu.data(),
        settings=settings,
        knowledge=knowledge,
        warnings=problems.finish(),
        endpoints=reader.endpoints,
        credentials=credentials,
        stories=reader.script.stories,
        places=reader.places(),
        send_domain=frozenset(reader.domain.send_domain),
        assistant_id=config.assistant_id,
        built_in=config.built_in,
    )


def program_id(program: Program) -> str:
    """The sha256, in hex, of a program's content in canonical JSON."""
    content = program.model_dump(mode="json", exclude={"id"})
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _check_encoder(settings: Settings, config: RasaConfig, problems: Problems) -> None:
    """Say that the encoder of the installation knows English, where a Rasa project is in another language."""
    language = settings.languages[0].lower()
    if config.language_at and language.split("-")[0] != "en" and settings.encoder.model == MINILM:
        message = f"the encoder that comes with the installation knows English and understands {language!r} less well"
        fix = "a multilingual one is a line of bot.yml, `encoder: {model: ..., sha256: ...}` (docs/languages.md)"
        problems.warn(f"{message}; {fix}", config.language_at)


def _knowledge(root: Path, settings: Settings, problems: Problems) -> tuple[Path, ...]:
    paths = [(name, (root / name).resolve()) for name in settings.knowledge]
    for name, path in paths:
        if not path.exists():
            problems.error(f"`knowledge`: there is no file or folder {name!r}; make it, or remove the entry", FILE)
    return tuple(path for _, path in paths)


class _Reader:
    """Reads the files of one project and puts the parts together."""

    def __init__(self, root: Path, config: RasaConfig, problems: Problems) -> None:
        self.root, self.config, self.problems = root, config, problems
        self.domain = DomainReader(problems)
        self.nlu = NluReader(root, problems)
        self.flows: dict[str, ReadFlow] = {}
        self.stories = StoryReader(problems)
        self.script = ReadScript()
        self.endpoints = Endpoints()
        self.old = False

    def read_all(self) -> None:
        """Read every file; one that is no YAML is reported and left out, an imported one of another tool skipped."""
        found = 0
        own = set(self.files())
        for found, path in enumerate(dict.fromkeys((*self.files(), *imported_files(self.config.imports))), start=1):
            if found > MAX_FILES:
                self.problems.error(f"more than {MAX_FILES} YAML files; join some", self.name(path))
                return
            try:
                node = read_yaml(path, self.name(path))
                if path in own or not node.map.keys().isdisjoint(_SECTIONS):
                    self.file(node)
            except ProjectError as error:
                self.problems.errors.append(error)
        old = next((self.root / "data").rglob("*.md"), None) if not (self.nlu.named or self.stories.parts) else None
        if old is not None:
            message = "Markdown training data of Rasa 1 is not read; convert it with Rasa 2 (`rasa data convert`)"
            self.problems.warn(message, self.name(old))
        if not found:
            message = "no project here: expected domain.yml or YAML files below data/"
            self.problems.error(f"{message}; `bot init` makes a new one", self.root.name)

    def name(self, path: Path) -> str:
        return path.relative_to(self.root if path.is_relative_to(self.root) else self.root.resolve()).as_posix()

    def files(self) -> Iterator[Path]:
        """The files to read, in a stable order."""
        for name in ("domain.yml", "domain.yaml"):
            if (self.root / name).is_file():
                yield self.root / name
        folders = ("domain", "data") if any((self.root / name).exists() for name in _DOMAINS) else ("domains", "data")
        for folder in folders:
            found = (self.root / folder).rglob("*")
            yield from sorted(path for path in found if path.suffix in (".yml", ".yaml") and path.is_file())

    def file(self, node: Node) -> None:
        if node.value is None:
            return
        if not isinstance(node.value, dict):
            expected = f"expected sections such as `nlu:` or `flows:`, found {describe(node)}"
            self.problems.error(expected, node.where)
        for given, section in node.map.items():
            key = _OLD_NAMES.get(given, given)
            if key not in _SECTIONS:
                self.unknown_section(key, node.where_key(key))
            elif key == "version" or section.value is not None:
                self.section(key, section)

    def unknown_section(self, key: str, where: str) -> None:
        """A misspelt section is an error; one that is nothing of ours may belong to another tool."""
        hint = nearest(key, _SECTIONS)
        if hint:
            self.problems.error(f"unknown section {key!r}{hint}", where)
        else:
            self.problems.warn(f"unknown section {key!r} is left out; sections: {', '.join(_SECTIONS)}", where)

    def section(self, key: str, section: Node) -> None:
        if key == "version":
            if not str(section.value).startswith("3"):
                self.old = True
                self.problems.warn(f"written for version {section.value!r}; it is read as version 3.1", section.where)
        elif key in _STORIES:
            self.stories.read(key, section)
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
        if self.old:
            self.domain.fill_automatically()
        behaviour, domain = settings.behaviour, self.domain
        actions = scan_actions(self.root, self.problems)
        intents = self.intent_names()
        scripted = bool(self.stories.parts or domain.script.forms)
        slots = {**domain.slots, **(script_slots(domain) if scripted else {})}
        responses = {**default_responses(behaviour), **domain.responses}
        known = frozenset({*domain.actions, *actions.places})
        parts = Parts(domain, self.flows, frozenset(intents), responses, known, self.problems)
        check_references(parts)
        check_shapes(parts)
        self.script = read_script(self.stories, domain, slots, self.config, self.problems)
        flows = {name: _finished(read.flow, responses, slots) for name, read in self.flows.items()}
        if self.script.script is None:
            flows |= self.retrieval_flows(flows, responses)
        made = Program(
            assistant=self.config.assistant_id,
            intents=self.intents(intents, flows, settings),
            entities=domain.entities,
            slots=slots,
            responses=responses,
            flows=flows,
            actions=tuple(sorted(known)),
            behaviour=behaviour,
            knowledge=knowledge,
            script=self.script.script,
        )
        self.check_script(made)
        warn(Seen(made, domain, self.nlu, self.flows, actions, self.endpoints, settings), self.problems)
        return made.model_copy(update={"id": program_id(made)})

    def check_script(self, program: Program) -> None:
        """Report names in the script that do not exist."""
        if program.script is None:
            return
        annotated = {entity.type for example in self.nlu.examples for entity in example.entities}
        names = Names(
            domain=self.domain,
            slots=program.slots,
            intents=frozenset(program.intents),
            entities=frozenset({*program.entities, *annotated}),
            retrieval=frozenset(name.split("/")[0] for name, intent in program.intents.items() if intent.retrieval),
            responses=frozenset(program.responses),
            actions=frozenset(program.actions),
            problems=self.problems,
        )
        check_names(names, self.script.stories)

    def places(self) -> dict[str, str]:
        """Where things are written, by kind and name."""
        domain = self.domain
        kinds = {
            "intent": {**self.nlu.named, **domain.intents_at},
            "response": domain.responses_at,
            "action": domain.actions_at,
            "slot": domain.slots_at,
            "form": domain.script.forms_at,
        }
        steps = {f"{name} {step}": where for name, read in self.flows.items() for step, where in read.steps_at.items()}
        kinds |= {"flow": {name: read.where for name, read in self.flows.items()}, "step": steps}
        return {f"{kind} {name}": where for kind, found in kinds.items() for name, where in found.items()}

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
            ignored = (*ignored, *self.domain.unfelt)
            if ignored:
                offered = self.domain.entities if used is None else used
                used = tuple(entity for entity in offered if entity not in ignored)
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
