"""Reading YAML files that may be wrong, hostile, or both.

A file becomes a tree of `Node`s: plain values (YAML 1.2: `yes` and `no` are text) that know their file and line, so
that whoever finds a fault can say where it is. Refused, each with file, line and what to do: files over the size limit,
NUL, text that is not UTF-8, duplicate keys, tags that would build objects, more than one document, nesting without end,
and aliases that unfold into more than the file may hold.

The parsing itself is an event stream; nothing is ever constructed from a tag. libyaml's stream is taken for what both
parsers read alike; all else, faults included, is read by ruamel.yaml's, so that places and words do not depend on
whether PyYAML was built with libyaml. Only tabs beside words are for libyaml alone: the other parser refuses them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import JsonValue

from bot.core.errors import ProjectError

if TYPE_CHECKING:
    from ruamel.yaml.error import MarkedYAMLError

MAX_BYTES = 16_000_000
"""Largest file, in bytes."""
MAX_NODES = 1_000_000
"""Most values in one file, counting an alias as often as it is used."""
MAX_DEPTH = 60
"""Deepest nesting of lists and maps."""

_CORE = "tag:yaml.org,2002:"
_INT = re.compile(r"[-+]?\d{1,100}$")
_FLOAT = re.compile(r"[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?$")
_NULL = ("", "~", "null", "Null", "NULL")
_MEANING = frozenset("0123456789+-.~nNtTfF")
"""How an unquoted text begins that may be something else than text."""
_TRUE, _FALSE = ("true", "True", "TRUE"), ("false", "False", "FALSE")
_UNFIT = re.compile("[\0\ud800-\udfff]")
_FAST = getattr(yaml, "CSafeLoader", None)
_READ_OTHERWISE = re.compile("[\t\x85\u2028\u2029]")
"""Characters that libyaml takes another way: tabs inside texts, and line ends that YAML 1.2 does not know."""

Scalar = str | int | float | bool | None


@dataclass(slots=True)
class Node:
    """A value and its place. `keys` are the lines of keys; `style` is how a text is written: |, >, a quote or empty.

    `size` counts the values in it, `height` the levels below it, aliases unfolded.
    """

    value: Scalar | list[Node] | dict[str, Node]
    file: str
    line: int
    style: str = ""
    keys: dict[str, int] = field(default_factory=dict)
    size: int = 1
    height: int = 0

    @property
    def where(self) -> str:
        """The place as `file:line`."""
        return f"{self.file}:{self.line}"

    def where_key(self, key: str) -> str:
        """The place of a key of this map, or of the map if it has no such key."""
        return f"{self.file}:{self.keys.get(key, self.line)}"

    @property
    def map(self) -> dict[str, Node]:
        """The entries; empty when this is not a map."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def items(self) -> list[Node]:
        """The items; empty when this is not a list."""
        return self.value if isinstance(self.value, list) else []

    def plain(self) -> JsonValue:
        """The value without places."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value


def describe(node: Node | None) -> str:
    """What was found, in words short enough for an error message."""
    if node is None or node.value is None:
        return "nothing"
    if isinstance(node.value, dict):
        return "a map (key: value)"
    if isinstance(node.value, list):
        return "a list"
    shown = node.value if len(str(node.value)) <= 60 else str(node.value)[:57] + "..."
    names = {bool: "the truth value", int: "the number", float: "the number", str: "the text"}
    return f"{names[type(node.value)]} {shown!r}"


def read_yaml(path: Path, name: str) -> Node:
    """Read one file. `name` is what errors call it, such as `data/nlu.yml`.

    Raises:
        ProjectError: the file cannot be read as YAML; says where and what to change.
    """
    return parse_yaml(read_text(path, name), name)


def read_text(path: Path, name: str, limit: int = MAX_BYTES) -> str:
    """The text of a file that must be UTF-8 and at most `limit` bytes.

    Raises:
        ProjectError: it is not, or it cannot be read.
    """
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise ProjectError(f"the file cannot be read: {error.strerror}", name) from None
    if len(content) > limit:
        raise ProjectError(f"the file is larger than {limit:,} bytes; split it into several files", f"{name}:1")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        found = f"byte 0x{content[error.start]:02x} is not UTF-8 text"
        raise ProjectError(f"{found}; save the file as UTF-8", f"{name}:{line}") from None
    if "\0" in text:
        raise ProjectError("a NUL character; remove it", f"{name}:{text[: text.index(chr(0))].count(chr(10)) + 1}")
    return text


def parse_yaml(text: str, name: str) -> Node:
    """Read YAML text; an empty text is a node with no value.

    Raises:
        ProjectError: as for `read_yaml`.
    """
    odd = _READ_OTHERWISE.search(text) is not None
    quick = None if odd else _quickly(text, name)
    if quick is not None:
        return quick
    try:
        return parse_slowly(text, name)
    except ProjectError:
        spaced = (
            _quickly(text, name) if odd else None
        )  # tabs after a colon or at the end of a line: YAML, to libyaml alone
        if spaced is None:
            raise
        return spaced


def _quickly(text: str, name: str) -> Node | None:
    """What libyaml reads; None where it cannot, which says less than the other parser about what is wrong."""
    try:
        return None if _FAST is None else _Builder(name).build(yaml.parse(text, Loader=_FAST))
    except (yaml.YAMLError, ValueError):
        return None


def parse_slowly(text: str, name: str) -> Node:
    """Read YAML text with the parser that is pure Python: the same tree, the same errors, several times slower."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        return _Builder(name).build(YAML(typ="safe", pure=True).parse(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1}" if mark else name
        raise ProjectError(f"not valid YAML: {_reason(error)}", where) from None
    except YAMLError as error:
        raise ProjectError(f"not valid YAML: {_first_line(error)}", f"{name}:1") from None
    except (ValueError, OverflowError, RecursionError) as error:
        raise ProjectError(f"not valid YAML: {_first_line(error)}", f"{name}:1") from None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _reason(error: MarkedYAMLError) -> str:
    problem = str(error.problem or error.context or "it cannot be parsed")
    if "mapping values are not allowed" in problem:
        return 'a second ":" in one line; put the text in quotes'
    if "\\t" in problem:
        return "a tab in the indentation; use spaces"
    if "could not find expected ':'" in problem or "expected <block end>" in problem:
        return f"{problem}; check the indentation of this line and the one before it"
    return problem


class _Builder:
    """Turns the event stream into nodes without recursion, counting as it goes.

    Events are told apart by the names of their classes, which both parsers share.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.anchors: dict[str, Node] = {}
        self.open: list[tuple[Node, str | None, Node | None]] = []
        self.root: Node | None = None
        self.total = 0
        self.documents = 0

    def build(self, events: Iterator[Any]) -> Node:
        take: dict[str, Callable[[Any], None]] = {
            "ScalarEvent": lambda event: self.value(event, self.scalar(event)),
            "MappingStartEvent": lambda event: self.begin(event, {}),
            "SequenceStartEvent": lambda event: self.begin(event, []),
            "MappingEndEvent": self.close,
            "SequenceEndEvent": self.close,
            "AliasEvent": lambda event: self.attach(self.counted(event, self.alias(event))),
            "DocumentStartEvent": self.document,
        }
        for event in events:
            taken = take.get(type(event).__name__)
            if taken is not None:
                taken(event)
        return self.root or Node(None, self.name, 1)

    def document(self, event: Any) -> None:
        self.documents += 1
        if self.documents > 1:
            raise self.error("a second document starts here; keep one document in a file", event)

    def error(self, message: str, event: Any) -> ProjectError:
        return ProjectError(message, f"{self.name}:{event.start_mark.line + 1}")

    def value(self, event: Any, node: Node) -> None:
        if event.anchor:
            self.anchors[event.anchor] = node
        self.attach(self.counted(event, node))

    def begin(self, event: Any, empty: list[Node] | dict[str, Node]) -> None:
        node = self.counted(event, self.collection(event, empty))
        if event.anchor:
            self.anchors[event.anchor] = node
        self.open.append((node, None, None))

    def counted(self, event: Any, node: Node) -> Node:
        self.total += node.size
        if self.total > MAX_NODES:
            raise self.error(f"more than {MAX_NODES:,} values, aliases unfolded; split the file", event)
        if len(self.open) + node.height >= MAX_DEPTH:
            raise self.error(f"nested deeper than {MAX_DEPTH} levels", event)
        return node

    def alias(self, event: Any) -> Node:
        node = self.anchors.get(event.anchor)
        if node is None:
            raise self.error(f"alias *{event.anchor} has no anchor &{event.anchor} before it", event)
        if any(holder is node for holder, _, _ in self.open):
            raise self.error(f"alias *{event.anchor} stands inside what it refers to", event)
        return node

    def collection(self, event: Any, empty: list[Node] | dict[str, Node]) -> Node:
        expected = "map" if isinstance(empty, dict) else "seq"
        if event.tag not in (None, "!", _CORE + expected):
            raise self.error(f"tag {str(event.tag)!r} is not allowed; remove it", event)
        return Node(empty, self.name, event.start_mark.line + 1)

    def scalar(self, event: Any) -> Node:
        text: str = event.value
        if _UNFIT.search(text):
            raise self.error("an escape that stands for no character (NUL or half a surrogate pair); remove it", event)
        tag = event.tag or ""
        value: Scalar
        if tag in ("", "!"):
            value = resolve(text) if event.implicit[0] and not tag else text
        elif tag == _CORE + "str":
            value = text
        elif tag.startswith(_CORE) and tag[len(_CORE) :] in ("int", "float", "bool", "null"):
            value = resolve(text)
        else:
            raise self.error(f"tag {tag!r} is not allowed; remove it", event)
        return Node(value, self.name, event.start_mark.line + 1, style=event.style or "")

    def attach(self, node: Node) -> None:
        if not self.open:
            self.root = node
            return
        holder, key, key_node = self.open[-1]
        if isinstance(holder.value, list):
            holder.value.append(node)
        elif key is None:
            self.open[-1] = (holder, self.key(holder, node), node)
            return
        else:
            if node.value is None and key_node is not None:
                node.line = min(node.line, key_node.line)  # of nothing, the parsers see different places
            self.enter(holder, key, node)
            self.open[-1] = (holder, None, None)
        holder.size += node.size + (key_node is not None)
        holder.height = max(holder.height, node.height + 1)

    def key(self, holder: Node, node: Node) -> str:
        if isinstance(node.value, list | dict):
            raise ProjectError("a list or a map cannot be a key; write `name: value`", node.where)
        key = _key_text(node.value)
        if key in holder.map:
            first = holder.keys[key]
            raise ProjectError(f"key {key!r} stands here again (first in line {first}); keep one of them", node.where)
        holder.keys[key] = node.line
        return key

    def enter(self, holder: Node, key: str, node: Node) -> None:
        if key != "<<":
            holder.map[key] = node
            return
        del holder.keys["<<"]
        for source in node.items or [node]:
            if not isinstance(source.value, dict):
                raise ProjectError("`<<` merges maps; expected a map or a list of maps", node.where)
            for name, value in source.value.items():
                if name not in holder.map:
                    holder.map[name], holder.keys[name] = value, source.keys[name]

    def close(self, _: Any) -> None:
        node, _, _ = self.open.pop()
        self.attach(node)


def _key_text(value: Scalar | list[Node] | dict[str, Node]) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "null" if value is None else str(value)


def resolve(text: str) -> Scalar:
    """What an unquoted text means in YAML 1.2; numbers that JSON cannot hold stay text."""
    if text and text[0] not in _MEANING:
        return text
    if text in _NULL:
        return None
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    if _INT.match(text):
        return int(text)
    if len(text) < 100 and _FLOAT.match(text) and math.isfinite(float(text)):
        return float(text)
    return text
