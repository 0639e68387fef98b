"""Taking over a Rasa project where it is: what its files mean here, and the one file of ours beside them.

Nothing of the project is copied or changed. What `config.yml`, `endpoints.yml` and `credentials.yml` say is read from
there each time the bot starts; `bot.yml` holds only what Rasa has no place for.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from bot.config import FILE
from bot.core.errors import InputError
from bot.core.script import NLU_FALLBACK
from bot.project import Project, load_project
from bot.project.defaults import default_responses
from bot.project.rasa_config import COMPONENTS
from bot.server.channels import not_served
from bot.yaml import Node, read_yaml

_DRIVERS = {"postgresql": "psycopg2-binary", "mysql": "pymysql", "mysql+pymysql": "pymysql", "oracle": "oracledb"}
_HEAD = """\
# Understudy's own settings. Everything else is read from the files of the Rasa project.
# All keys and their defaults: docs/settings.md
"""
_REST = """
knowledge: []  # files and folders that `bot ingest` reads, to answer what no intent covers

# Rasa obeys `/intent{...}` and `/restart` from anybody. Here only buttons that the bot has sent are obeyed,
# unless a channel lets typed payloads through:
# channels:
#   rest: {payloads: true}

# Seconds until a custom action is given up; Rasa waits for 300.
# actions: {deadline_s: 10}
"""


@dataclass(frozen=True, slots=True)
class Survey:
    """What was found: pairs of what a project has and what it becomes here, what is missing, what to do next."""

    project: Project
    maps: tuple[tuple[str, str], ...]
    missing: tuple[str, ...]
    commands: tuple[str, ...]


def adopt(root: Path) -> Survey:
    """Read the project in `root` and write `bot.yml` beside its files.

    Raises:
        InputError: it is no Rasa project, or there is a bot.yml already; nothing was written.
        ProjectErrors: the project has faults; nothing was written.
    """
    path = root / FILE
    if path.exists():
        raise InputError(f"{path} exists already and is left as it is; delete it to begin anew")
    if not any((root / name).exists() for name in ("domain.yml", "domain.yaml", "domain")):
        raise InputError(f"{root} has no domain.yml or domain/; expected the folder of a Rasa 3 project")
    project = load_project(root)
    found = survey(project)
    with path.open("x", encoding="utf-8") as file:
        file.write(settings_text(project))
    return found


def survey(project: Project) -> Survey:
    """What a project has, and what that is here."""
    config, endpoints = _file(project.root, "config"), _file(project.root, "endpoints")
    maps = (*_parts(project), *_components(config), *_servers(project, endpoints), *_channels(project))
    return Survey(project, maps, tuple(_missing(project)), tuple(_commands(project, endpoints)))


def settings_text(project: Project) -> str:
    """The text of a new bot.yml."""
    name = project.root.resolve().name[:80]
    languages = ", ".join(project.settings.languages)
    return f"{_HEAD}name: {json.dumps(name, ensure_ascii=False)}\nlanguages: [{languages}]\n{_REST}"


def _file(root: Path, name: str) -> Mapping[str, Node]:
    """The sections of one of Rasa's files; it was found readable before."""
    path = next(
        (root / f"{name}{suffix}" for suffix in (".yml", ".yaml") if (root / f"{name}{suffix}").is_file()), None
    )
    return read_yaml(path, path.name).map if path else {}


def _parts(project: Project) -> Iterator[tuple[str, str]]:
    program = project.program
    yield f"{len(project.nlu.examples)} examples of {len(program.intents)} intents", "the same, for `bot train`"
    usual = default_responses(program.behaviour)
    own = [name for name, wordings in program.responses.items() if wordings != usual.get(name)]
    yield f"{len(program.slots)} slots, {len(own)} responses", "the same"
    if program.script is not None:
        script = program.script
        yield f"{len(script.rules)} rules", "the same, looked up first"
        yield f"{len(script.stories)} stories", "remembered word by word, and taught to the ranking of next actions"
        yield f"{len(script.forms)} forms", "the same"


def _components(config: Mapping[str, Node]) -> Iterator[tuple[str, str]]:
    ours: dict[str, list[str]] = {}
    for name in _names(config):
        ours.setdefault(COMPONENTS.get(name, "nothing: it is left out"), []).append(name)
    yield from ((f"config.yml: {', '.join(names)}", what) for what, names in ours.items())


def _names(config: Mapping[str, Node]) -> list[str]:
    """The components of pipeline and policies, each once."""
    items = [item for key in ("pipeline", "policies") if key in config for item in config[key].items]
    names = [item.map["name"].value if "name" in item.map else item.value for item in items]
    short = [name.rsplit(".", 1)[-1] if name.startswith("rasa.") else name for name in names if isinstance(name, str)]
    return list(dict.fromkeys(short))


def _servers(project: Project, endpoints: Mapping[str, Node]) -> Iterator[tuple[str, str]]:
    action = project.endpoints.action if project.endpoints.has_action else None
    if action is not None:
        how = "gRPC" if action.grpc else "HTTP"
        yield (
            f"endpoints.yml: action_endpoint {action.url}",
            f"called over {how}, or `--actions actions` without a server",
        )
    if "nlg" in endpoints:
        yield "endpoints.yml: nlg", "called for every response"
    stores = {"tracker_store": "the log in .bot/log.db; import the old one", "lock_store": "not needed: one process"}
    others = {"event_broker": "not needed: the log can be followed", "models": "bundles in .bot/models"}
    for name, what in (stores | others).items():
        if name in endpoints:
            yield f"endpoints.yml: {name}", what


def _channels(project: Project) -> Iterator[tuple[str, str]]:
    lacking = not_served(project.credentials)
    for name in project.credentials:
        served = f" {name}," not in lacking.replace(";", ",")
        what = "the same channel" if served else "not served; see docs/channels.md"
        yield f"credentials.yml: {name}", "not needed: it is for Rasa X" if name == "rasa" else what


def _missing(project: Project) -> Iterator[str]:
    yield from map(str, project.warnings)
    script = project.program.script
    if script is not None and script.nlu_fallback and NLU_FALLBACK not in script.by_intent:
        yield "no rule says what to do when nothing was understood (intent: nlu_fallback); the default answer is used"
    if not list(project.root.glob("**/test_*.yml")):
        yield "no test stories (tests/test_stories.yml): nothing shows that the bot behaves as before"


def _commands(project: Project, endpoints: Mapping[str, Node]) -> Iterator[str]:
    folder = project.root
    yield f"bot data validate {folder}"
    yield f"bot train {folder}"
    yield f"bot test {folder}"
    store = endpoints["tracker_store"].plain() if "tracker_store" in endpoints else None
    if isinstance(store, dict) and str(store.get("type", "")).lower() == "sql":
        url, driver = _url(store, folder)
        pip = f"pip install {driver}; " if driver else ""
        yield f"{pip}bot import --rasa-store {url} -p {folder}"
    own = (folder / "actions").is_dir() or (folder / "actions.py").is_file()
    yield f"bot serve {folder}{' --actions actions' if own else ''}"


def _url(store: Mapping[str, JsonValue], folder: Path) -> tuple[str, str]:
    """The SQLAlchemy URL of a tracker store, its password left out, and the driver that it needs."""
    dialect, name = str(store.get("dialect") or "sqlite"), str(store.get("db") or "rasa.db")
    if dialect == "sqlite":
        return f"sqlite:///{folder / name}", ""
    user = f"{store['username']}:PASSWORD@" if store.get("username") else ""
    port = f":{store['port']}" if store.get("port") else ""
    return f"{dialect}://{user}{store.get('url') or 'localhost'}{port}/{name}", _DRIVERS.get(dialect, "")
