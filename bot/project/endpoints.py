"""`endpoints.yml` and `credentials.yml` of a Rasa project: which servers the bot calls and which channels it serves.

`${NAME}` anywhere in a text stands for an environment variable. One that is not set is an error when the section it
stands in is used, not before: training a bot needs no secrets.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import JsonValue

from bot.core.errors import ProjectError
from bot.hints import listed
from bot.project.fields import Fields
from bot.project.problems import Problems
from bot.yaml import Node, describe, read_yaml

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_INSTEAD = {
    "tracker_store": "conversations are kept in the log of `store.path`",
    "lock_store": "one process orders the turns of a conversation",
    "event_broker": "the log is the stream of events",
    "models": "models come from the project's own bundles",
    "nlu": "messages are understood in this process",
}
"""Sections that nothing reads, and what is done in their place."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server that is called. `basic_auth` is (name, password); `cafile` a path as written; `grpc`: not HTTP."""

    url: str
    token: str | None = field(default=None, repr=False)
    token_name: str = "token"  # noqa: S105 - the name of a parameter
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    basic_auth: tuple[str, str] | None = field(default=None, repr=False)
    params: Mapping[str, str] = field(default_factory=dict, repr=False)
    cafile: str | None = None
    selective_domain: bool = False
    grpc: bool = False


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The servers of `endpoints.yml`. Reading one whose variables are not set raises ProjectError."""

    read: Mapping[str, Endpoint | ProjectError] = field(default_factory=dict)

    @property
    def action(self) -> Endpoint | None:
        """The action server."""
        return self._one("action_endpoint")

    @property
    def nlg(self) -> Endpoint | None:
        """The server that words responses."""
        return self._one("nlg")

    @property
    def has_action(self) -> bool:
        """Whether an action server is named, its variables set or not."""
        return "action_endpoint" in self.read

    def _one(self, key: str) -> Endpoint | None:
        found = self.read.get(key)
        if isinstance(found, ProjectError):
            raise found
        return found


class Credentials(Mapping[str, Mapping[str, JsonValue]]):
    """The settings of each channel in `credentials.yml`. Taking one whose variables are not set raises ProjectError."""

    def __init__(self, read: Mapping[str, dict[str, JsonValue] | ProjectError] | None = None) -> None:
        self._read = dict(read or {})

    def __getitem__(self, channel: str) -> Mapping[str, JsonValue]:
        found = self._read[channel]
        if isinstance(found, ProjectError):
            raise found
        return found

    def __contains__(self, channel: object) -> bool:
        return channel in self._read

    def __iter__(self) -> Iterator[str]:
        return iter(self._read)

    def __len__(self) -> int:
        return len(self._read)

    def __repr__(self) -> str:
        return f"Credentials({listed(self)})"


def read_endpoints(root: Path, problems: Problems, environment: Mapping[str, str] | None = None) -> Endpoints:
    """The servers of `endpoints.yml`; none when there is no such file."""
    node = _file(root, "endpoints", problems)
    found: dict[str, Endpoint | ProjectError] = {}
    with Fields(node, problems, node.file, strict=False) as fields:
        unused = [key for key in _INSTEAD if fields.get(key)]
        for key in ("action_endpoint", "nlg"):
            section = fields.get(key)
            if section is not None:
                given = _filled(section, environment)
                found[key] = given if isinstance(given, ProjectError) else _endpoint(given, key, problems)
    if unused:
        reasons = "; ".join(f"{key}: {_INSTEAD[key]}" for key in unused)
        problems.warn(f"not read: {reasons}", node.where_key(unused[0]))
    return Endpoints(found)


def read_credentials(root: Path, problems: Problems, environment: Mapping[str, str] | None = None) -> Credentials:
    """The channels of `credentials.yml`; none when there is no such file."""
    node = _file(root, "credentials", problems)
    found: dict[str, dict[str, JsonValue] | ProjectError] = {}
    if not isinstance(node.value, dict):
        problems.error(f"expected channels such as `rest:`, found {describe(node)}", node.where)
    for channel, section in node.map.items():
        if section.value is not None and not isinstance(section.value, dict):
            message = f"channel {channel!r}: expected its settings as a map (key: value), found {describe(section)}"
            problems.error(message, node.where_key(channel))
        given = _filled(section, environment)
        found[channel] = given if isinstance(given, ProjectError) else {k: n.plain() for k, n in given.map.items()}
    return Credentials(found)


def _file(root: Path, stem: str, problems: Problems) -> Node:
    """The content of a file that may be missing or empty: then an empty map."""
    name = next((name for name in (f"{stem}.yml", f"{stem}.yaml") if (root / name).is_file()), "")
    try:
        node = read_yaml(root / name, name) if name else Node({}, "", 1)
    except ProjectError as error:
        problems.errors.append(error)
        node = Node({}, name, 1)
    return Node({}, name, 1) if node.value is None else node


def _filled(node: Node, environment: Mapping[str, str] | None) -> Node | ProjectError:
    """The section with its variables replaced, or an error that names one that is not set."""
    try:
        return _replaced(node, os.environ if environment is None else environment)
    except ProjectError as error:
        return error


def _replaced(node: Node, environment: Mapping[str, str]) -> Node:
    value = node.value
    if isinstance(value, dict):
        value = {key: _replaced(item, environment) for key, item in value.items()}
    elif isinstance(value, list):
        value = [_replaced(item, environment) for item in value]
    elif isinstance(value, str) and "${" in value:
        value = _VARIABLE.sub(lambda match: _variable(match[1], node, environment), value)
    return Node(value, node.file, node.line, keys=node.keys)


def _variable(name: str, node: Node, environment: Mapping[str, str]) -> str:
    if name not in environment:
        message = f"the environment variable {name!r} is not set; set it, or write the value in place of ${{{name}}}"
        raise ProjectError(message, node.where)
    return environment[name]


def _endpoint(node: Node, key: str, problems: Problems) -> Endpoint:
    with Fields(node, problems, key, strict=False) as fields:
        url = fields.required("url").strip()
        if url and "://" not in url:
            fields.wrong("url", "an address such as http://localhost:5055/webhook")
        endpoint = Endpoint(
            url=url,
            token=fields.text("token") or None,
            token_name=fields.text("token_name", "token"),
            headers=_words(fields, "headers"),
            basic_auth=_basic_auth(fields),
            params=_words(fields, "params"),
            cafile=fields.text("cafile") or None,
            selective_domain=fields.flag("enable_selective_domain", False),
            grpc=url.startswith(("grpc://", "grpcs://")),
        )
        fields.known("type", "method")
    return endpoint


def _words(fields: Fields, key: str) -> dict[str, str]:
    """A map of texts; numbers and truth values count as they are written."""
    found: dict[str, str] = {}
    for name, node in fields.entries(key).items():
        if isinstance(node.value, dict | list) or node.value is None:
            fields.error(f"{fields.what}: `{key}` holds texts, found {describe(node)} for {name!r}", node.where)
        else:
            found[name] = str(node.value).lower() if isinstance(node.value, bool) else str(node.value)
    return found


def _basic_auth(fields: Fields) -> tuple[str, str] | None:
    node = fields.get("basic_auth")
    if node is None:
        return None
    with Fields(node, fields.problems, f"{fields.what}: basic_auth") as inner:
        return inner.required("username"), inner.text("password")
