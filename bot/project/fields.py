"""Reading a map of a project file key by key.

    with Fields(node, problems, "slot 'size'") as fields:
        kind = fields.choice("type", ("text", "bool"), "text")
        minimum = fields.number("min_value")

Each reader reports a wrong type where it stands and gives the default. Leaving the block reports every key that nobody
asked for, with the nearest one that was: so the code that reads a map is also the list of the keys it may have.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType

from pydantic import JsonValue

from bot.hints import nearest
from bot.project.problems import Problems
from bot.yaml import Node, describe


class Fields:
    """The keys of one map. `what` names the thing in messages.

    Not `strict`: an unknown key that is near to no known one is only warned about.
    """

    def __init__(self, node: Node, problems: Problems, what: str, strict: bool = True) -> None:
        self.node, self.problems, self.what, self.strict = node, problems, what, strict
        self.asked: dict[str, None] = {}
        if not isinstance(node.value, dict):
            self.error(f"{what}: expected a map (key: value), found {describe(node)}")

    def __enter__(self) -> Fields:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is not None:
            return
        for key in self.node.map:
            if key not in self.asked:
                hint = nearest(key, self.asked) or f"; known keys: {', '.join(self.asked)}"
                report = self.problems.error if self.strict or hint.startswith("; did") else self.problems.warn
                report(f"{self.what}: unknown key {key!r}{hint}", self.node.where_key(key))

    def error(self, message: str, where: str = "") -> None:
        """Report an error at a place, by default that of the map."""
        self.problems.error(message, where or self.node.where)

    def where(self, key: str) -> str:
        """The place of a key."""
        return self.node.where_key(key)

    def wrong(self, key: str, expected: str, fix: str = "") -> None:
        """Report that a key's value is not what was expected."""
        found = describe(self.node.map[key])
        self.error(f"{self.what}: `{key}` must be {expected}, found {found}{fix}", self.where(key))

    def get(self, key: str) -> Node | None:
        """The value of a key; None when it is absent or empty."""
        self.asked[key] = None
        node = self.node.map.get(key)
        return None if node is None or node.value is None else node

    def known(self, *keys: str) -> None:
        """Keys that may stand here and are read elsewhere or not at all."""
        self.asked.update(dict.fromkeys(keys))

    def text(self, key: str, default: str = "") -> str:
        """A text."""
        node = self.get(key)
        if node is None:
            return default
        if isinstance(node.value, str):
            return node.value
        self.wrong(key, "a text", "" if isinstance(node.value, list | dict) else "; put it in quotes")
        return default

    def required(self, key: str) -> str:
        """A text that must be there and not be blank; empty after an error."""
        given = self.node.map.get(key)
        value = self.text(key)
        if not value.strip() and (given is None or given.value is None or isinstance(given.value, str)):
            if isinstance(self.node.value, dict):
                self.error(f"{self.what}: `{key}` is missing; expected a text", self.where(key))
            return ""
        return value

    def flag(self, key: str, default: bool) -> bool:
        """true or false."""
        node = self.get(key)
        if node is None:
            return default
        if isinstance(node.value, bool):
            return node.value
        self.wrong(key, "true or false")
        return default

    def number(self, key: str) -> float | None:
        """A number, if there is one."""
        node = self.get(key)
        if node is None:
            return None
        if isinstance(node.value, int | float) and not isinstance(node.value, bool):
            return float(node.value)
        self.wrong(key, "a number")
        return None

    def choice(self, key: str, options: Sequence[str], default: str) -> str:
        """One of a few words."""
        value = self.text(key, default)
        if value in options:
            return value
        hint = nearest(value, options) or f"; expected one of {', '.join(options)}"
        self.error(f"{self.what}: `{key}` cannot be {value!r}{hint}", self.where(key))
        return default

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts; one text counts as a list of one."""
        node = self.get(key)
        if node is None:
            return ()
        found = node.items if isinstance(node.value, list) else [node]
        if all(isinstance(item.value, str) for item in found):
            return tuple(str(item.value) for item in found)
        self.wrong(key, "a list of texts")
        return ()

    def words(self, key: str) -> tuple[str, ...]:
        """A list of texts or numbers, as texts."""
        node = self.get(key)
        if node is None:
            return ()
        found = node.items if isinstance(node.value, list) else [node]
        if all(isinstance(item.value, str | int) for item in found):
            return tuple(str(item.value) for item in found)
        self.wrong(key, "a list of texts")
        return ()

    def items(self, key: str) -> list[Node]:
        """A list."""
        node = self.get(key)
        if node is None:
            return []
        if not isinstance(node.value, list):
            self.wrong(key, "a list")
        return node.items

    def entries(self, key: str) -> dict[str, Node]:
        """A map."""
        node = self.get(key)
        if node is None:
            return {}
        if not isinstance(node.value, dict):
            self.wrong(key, "a map (key: value)")
        return node.map

    def json(self, key: str) -> JsonValue:
        """Any value."""
        node = self.get(key)
        return None if node is None else node.plain()

    def json_map(self, key: str) -> dict[str, JsonValue] | None:
        """A map of any values, if there is one."""
        entries = self.entries(key)
        return {name: node.plain() for name, node in entries.items()} if entries else None
