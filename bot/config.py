"""Settings: one `bot.yml` in the project, overridden by the environment.

A variable is `BOT_` and the key in capitals, `__` between levels: `BOT_SERVER__PORT=8080`. A secret may be read from a
file instead: `BOT_SERVER__TOKEN_FILE=/run/secrets/token`. Everything has a default; an unknown key or a wrong value is
refused with its place, what was expected and what was found. Docstrings below the fields are the reference that
docs/settings.md is made from.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    Field,
    JsonValue,
    SecretStr,
    ValidationError,
    field_validator,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import SettingsError as EnvironmentFault

from bot.core.errors import ProjectError, SettingsError
from bot.core.program import Behaviour
from bot.hints import nearest
from bot.sections import ActionSettings as ActionSettings
from bot.sections import ChannelSettings as ChannelSettings
from bot.sections import ChannelsSettings as ChannelsSettings
from bot.sections import EncoderSettings as EncoderSettings
from bot.sections import GateSettings as GateSettings
from bot.sections import GeneratorSettings as GeneratorSettings
from bot.sections import LearningSettings as LearningSettings
from bot.sections import OpenAISettings as OpenAISettings
from bot.sections import PrivacySettings as PrivacySettings
from bot.sections import QueueSettings as QueueSettings
from bot.sections import RetrievalSettings as RetrievalSettings
from bot.sections import RunnerSettings as RunnerSettings
from bot.sections import Section as Section
from bot.sections import SpeakerSettings as SpeakerSettings
from bot.sections import StoreSettings as StoreSettings
from bot.sections import TrainingSettings as TrainingSettings
from bot.sections import VoiceSettings as VoiceSettings
from bot.sections import parts
from bot.server.settings import ServerSettings
from bot.yaml import Node, describe, read_text, read_yaml

FILE = "bot.yml"
PREFIX = "BOT_"
_MOST_SHOWN = 12
Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]


class Settings(BaseSettings):
    """All settings of a bot."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
    )

    name: str = Field(default="Understudy", min_length=1, max_length=80)
    """The bot's name as customers see it. Default: the name of the project folder."""
    languages: Annotated[tuple[Language, ...], NoDecode] = Field(default=("en",), min_length=1)
    """Languages the bot is made for, as ISO 639-1 codes; the first is its own. In the environment: en,de."""
    state: Path = Path(".bot")
    """Folder for the log, models and index; relative to the project."""
    knowledge: Annotated[tuple[str, ...], NoDecode] = ()
    """Files and folders that `bot ingest` reads; relative to the project. In the environment: separated by commas."""
    labels: dict[str, str] = {}
    """What a customer reads on a button for an intent: intent -> text. Default: the name of its flow."""
    behaviour: Behaviour = Behaviour()
    """How the bot leads a conversation."""
    server: ServerSettings = ServerSettings()
    """Where the server listens, who may call, and how much."""
    channels: ChannelsSettings = ChannelsSettings()
    """The channels that people reach the bot by."""
    queues: QueueSettings = QueueSettings()
    """How much may wait before new messages are refused."""
    store: StoreSettings = StoreSettings()
    """The log of conversations."""
    encoder: EncoderSettings = EncoderSettings()
    """The sentence encoder that all skills share."""
    runner: RunnerSettings = RunnerSettings()
    """How skills are run."""
    actions: ActionSettings = ActionSettings()
    """Custom actions."""
    retrieval: RetrievalSettings = RetrievalSettings()
    """Answers from documents."""
    gate: GateSettings = GateSettings()
    """What a newly trained bundle must show before it is put to use."""
    training: TrainingSettings = TrainingSettings()
    """How the bot's skills are trained."""
    learning: LearningSettings = LearningSettings()
    """How the bot learns from conversations."""
    privacy: PrivacySettings = PrivacySettings()
    """What may be learned from, and for how long."""
    openai: OpenAISettings = OpenAISettings()
    """The bot as a model behind an OpenAI-compatible server. Off until a key exists: `bot keys add NAME`."""
    generator: GeneratorSettings = GeneratorSettings()
    """A language model that words answers; off."""
    voice: VoiceSettings = VoiceSettings()
    """Calls: who listens, who speaks, and by which wires; off."""

    @field_validator("languages", "knowledge", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        """A single text is a list; commas separate, as environment variables hold no lists."""
        return parts(value)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over bot.yml; nothing else is read."""
        environment = EnvSettingsSource(settings_cls)
        environment.env_vars = _with_secrets(environment.env_vars)
        return environment, init_settings

    def path(self, root: Path, name: Path) -> Path:
        """A path of the settings, taken from the project folder `root` unless absolute."""
        return name if name.is_absolute() else root / name

    def state_folder(self, root: Path) -> Path:
        """The folder for log, models and index."""
        return self.path(root, self.state)

    def log_file(self, root: Path) -> Path:
        """The SQLite file of the log."""
        return self.path(root, self.store.path) if self.store.path else self.state_folder(root) / "log.db"


def _with_secrets(variables: Mapping[str, str | None]) -> dict[str, str | None]:
    """Variables, each secret's `..._file` replaced by what the file says, without the line feed at its end."""
    found = dict(variables)
    for variable, value in variables.items():
        name = variable.removesuffix("_file")
        if name == variable or not variable.startswith(PREFIX.lower()) or not _is_secret(_keys(name)):
            continue
        del found[variable]
        try:
            found.setdefault(name, read_text(Path(value or ""), str(value), limit=100_000).strip())
        except ProjectError as error:
            raise SettingsError(f"{variable.upper()} must name a readable file: {error}") from None
    return found


def load_settings(root: Path, defaults: Mapping[str, JsonValue] | None = None) -> Settings:
    """Read `bot.yml` in the project folder `root`, if there is one, and the environment.

    `defaults` stand in for keys that bot.yml does not have.

    Raises:
        SettingsError: lists every wrong key with its place and what was expected.
    """
    node = _read(root)
    if not isinstance(node.value, dict):
        raise SettingsError(f"{node.where}: expected `key: value` lines, found {describe(node)}")
    unknown = [
        *_unknown_variables(),
        *(_unknown_key(node, key) for key in node.map if key not in Settings.model_fields),
    ]
    given = {
        key: item.plain() for key, item in node.map.items() if key in Settings.model_fields and item.value is not None
    }
    try:
        values: dict[str, Any] = {"name": root.resolve().name[:80] or "Understudy", **(defaults or {}), **given}
        settings = Settings(**values)
    except ValidationError as error:
        raise _settings_error([*unknown, *(_explain(fault, node) for fault in error.errors())]) from None
    except EnvironmentFault as error:
        raise _settings_error([*unknown, f"the environment: {error}; lists and maps are written as JSON"]) from None
    if unknown:
        raise _settings_error(unknown)
    return _aligned(settings, node)


def _read(root: Path) -> Node:
    path = root / FILE
    if not path.exists():
        return Node({}, FILE, 1)
    try:
        node = read_yaml(path, FILE)
    except ProjectError as error:
        raise SettingsError(str(error)) from None
    return Node({}, FILE, 1) if node.value is None else node


def _aligned(settings: Settings, node: Node) -> Settings:
    """Carry top-level choices to where they are used: languages to the behaviour, the name to the server's page."""
    if "languages" in settings.behaviour.model_fields_set:
        where = _walk(node, ("behaviour", "languages"))
        raise _settings_error([f"{where}: `behaviour.languages` is not read; write `languages` at the top level"])
    update: dict[str, Any] = {
        "behaviour": settings.behaviour.model_copy(update={"languages": settings.languages}),
    }
    if "name" not in settings.server.model_fields_set:
        update["server"] = settings.server.model_copy(update={"name": settings.name})
    return settings.model_copy(update=update)


def _settings_error(faults: Iterable[str]) -> SettingsError:
    lines = list(dict.fromkeys(faults))
    shown = [f"  {line}" for line in lines[:_MOST_SHOWN]]
    if len(lines) > _MOST_SHOWN:
        shown.append(f"  and {len(lines) - _MOST_SHOWN} more")
    return SettingsError("\n".join([f"the settings have {len(lines)} error{'s' * (len(lines) > 1)}:", *shown]))


def _explain(fault: Any, node: Node) -> str:
    """One pydantic fault as `place: key: expected, found, fix`."""
    keys = tuple(str(key) for key in fault["loc"])
    dotted = ".".join(keys)
    variable = _variable(keys)
    where = f"{variable} in the environment" if variable else _walk(node, keys)
    if fault["type"] == "extra_forbidden":
        return f"{where}: unknown key {dotted!r}{_known(keys)}"
    found = "a value that is not shown" if _is_secret(list(keys)) else repr(fault.get("input"))[:60]
    return f"{where}: `{dotted}`: {_lower(str(fault['msg']))}, found {found}"


def _unknown_key(node: Node, key: str) -> str:
    return f"{node.where_key(key)}: unknown key {key!r}{_known((key,))}"


def _known(keys: tuple[str, ...]) -> str:
    """A hint at the keys that may stand where the last of `keys` stands."""
    known = _fields(keys[:-1])
    return nearest(keys[-1], known) or f"; known keys: {', '.join(sorted(known))}"


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]


def _walk(node: Node, keys: tuple[str, ...]) -> str:
    """The place of a key in bot.yml, or of the deepest part of the way to it."""
    where = node.where
    for key in keys:
        if key in node.map:
            where, node = node.where_key(key), node.map[key]
        elif key.isdecimal() and int(key) < len(node.items):
            node = node.items[int(key)]
            where = node.where
        else:
            break
    return where


def _variable(keys: tuple[str, ...]) -> str:
    """The environment variable that gave a value, if one did; a list or map comes from the variable of its parent."""
    for length in range(len(keys), 0, -1):
        wanted = PREFIX + "__".join(keys[:length]).upper()
        found = next((name for name in os.environ if name.upper() in (wanted, wanted + "_FILE")), "")
        if found:
            return found
    return ""


def _keys(variable: str) -> list[str]:
    return variable.upper().removeprefix(PREFIX).lower().split("__")


def _fields(keys: Iterable[str]) -> dict[str, Any]:
    """The fields of the section at these keys; none when there is no such section."""
    model: Any = Settings
    for key in keys:
        field = model.model_fields.get(key)
        model = field.annotation if field else None
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            return {}
    return dict(model.model_fields)


def _is_secret(keys: list[str]) -> bool:
    field = _fields(keys[:-1]).get(keys[-1]) if keys else None
    return field is not None and SecretStr in (field.annotation, *getattr(field.annotation, "__args__", ()))


def _unknown_variables() -> Iterable[str]:
    """Variables with our prefix that no setting reads: most likely misspelt."""
    for name in sorted(os.environ):
        if not name.upper().startswith(PREFIX):
            continue
        keys = _keys(name)
        if keys[0] == "labels" or keys[-1] in _fields(keys[:-1]):
            continue
        if keys[-1].endswith("_file") and _is_secret([*keys[:-1], keys[-1].removesuffix("_file")]):
            continue
        known = [PREFIX + "__".join([*keys[:-1], key]).upper() for key in _fields(keys[:-1])]
        yield f"{name} in the environment: there is no such setting{nearest(name.upper(), known)}"
