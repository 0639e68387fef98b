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
    ConfigDict,
    Field,
    JsonValue,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
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
from bot.server.settings import ServerSettings
from bot.yaml import Node, describe, read_text, read_yaml

FILE = "bot.yml"
PREFIX = "BOT_"
MINILM = "all-MiniLM-L6-v2"
_MOST_SHOWN = 12
Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]


class Section(BaseModel):
    """A part of the settings: frozen, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class StoreSettings(Section):
    """The log of conversations."""

    path: Path | None = None
    """The SQLite file; relative to the project. Default: `log.db` in the state folder."""


class EncoderSettings(Section):
    """The sentence encoder that all skills share."""

    model: str = Field(default=MINILM, min_length=1)
    """`all-MiniLM-L6-v2` (comes with the installation), a folder, or the id of a Hugging Face repository."""
    revision: str | None = None
    """Commit of the repository, 40 hex digits; needed for a repository."""
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    """Digest of `model.safetensors`, 64 hex digits; needed for a folder or a repository."""
    threads: int = Field(default=1, ge=1, le=256)
    """CPU threads of one forward pass."""
    recent_mib: int = Field(default=32, ge=0, le=65_536)
    """Memory for the encodings of recent short texts, in MiB: what is said again costs nothing. 0: none."""

    @model_validator(mode="after")
    def _pinned(self) -> EncoderSettings:
        """Weights of another encoder are only used when they are the ones that were meant."""
        if self.model != MINILM and self.sha256 is None:
            raise ValueError("another encoder needs `sha256`, the digest of its model.safetensors")
        return self


class RunnerSettings(Section):
    """How skills are run."""

    deadline_s: float = Field(default=2.0, gt=0, le=600)
    """Seconds until a skill that has not answered is given up and the fallback answer is sent."""
    max_batch: int = Field(default=32, ge=1, le=1024)
    """Most items of one batch."""


class QueueSettings(Section):
    """How much may wait before new messages are refused."""

    conversation: int = Field(default=64, ge=1, le=10_000)
    """Messages of one conversation without an outcome."""
    all: int = Field(default=2_000, ge=1, le=1_000_000)
    """Messages of all conversations together without an outcome."""


class RetrievalSettings(Section):
    """Answers from documents."""

    top: int = Field(default=5, ge=1, le=100)
    """How many passages a search gives."""
    floor: float | None = Field(default=None, ge=0, le=1)
    """Relevance below which the bot says that it does not know, 0 to 1. Default: fitted on the documents."""


class ChannelSettings(Section):
    """One channel."""

    payloads: bool = False
    """Whether anybody may type `/intent{"entity": "value"}`, `/restart` and the like and is obeyed, as in Rasa: for
    test harnesses. Off: such texts are words, and only buttons that the bot has sent are obeyed."""


class ChannelsSettings(Section):
    """The channels. Which of them are served: docs/channels.md."""

    web: ChannelSettings = ChannelSettings()
    """The web page and our own API."""
    rest: ChannelSettings = ChannelSettings()
    """Rasa's REST channel."""
    callback: ChannelSettings = ChannelSettings()
    """Rasa's callback channel."""
    socketio: ChannelSettings = ChannelSettings()
    """Rasa's Socket.IO channel."""


class ActionSettings(Section):
    """Custom actions. Which server runs them: docs/actions.md."""

    deadline_s: float = Field(default=10.0, gt=0, le=600)
    """Seconds until an action that has not answered is given up and the user is told that something went wrong."""
    compress: bool = False
    """Whether requests to an action server over HTTP are deflated."""
    words_deadline_s: float = Field(default=2.0, gt=0, le=600)
    """Seconds until a server that words responses is given up and the domain's own wording is sent."""


class GeneratorSettings(Section):
    """A language model that words answers. Off: a bot answers from approved text until its generator is proven."""

    model: str | None = None
    """A folder or the id of a Hugging Face repository; with `base_url`, the name of the served model."""
    revision: str | None = None
    """Commit of the repository, 40 hex digits."""
    base_url: str | None = Field(default=None, pattern=r"^https?://\S+$")
    """An OpenAI-compatible server to use instead of a model of our own, such as http://127.0.0.1:8000/v1."""


def _parts(value: object) -> object:
    """A single text is a list; commas separate, as environment variables hold no lists."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


class GateSettings(Section):
    """What a newly trained bundle must show before it is put to use. The rules: docs/gate.md."""

    critical: Annotated[tuple[str, ...], NoDecode] = ()
    """Intents of which no message may be understood worse than now: payments, safety, handing over to a person. In the
    environment: separated by commas."""

    @field_validator("critical", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return _parts(value)


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
    generator: GeneratorSettings = GeneratorSettings()
    """A language model that words answers; off."""

    @field_validator("languages", "knowledge", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        """A single text is a list; commas separate, as environment variables hold no lists."""
        return _parts(value)

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
