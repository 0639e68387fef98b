"""The `nlu:` section: labelled examples, synonyms, regular expressions and lookup tables.

Retrieval intents (`faq/hours`) and multi-intents (`a+b`) are kept as labels. A value written inline in an annotation
also counts as a synonym, as in Rasa.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bot.core.errors import ProjectError
from bot.core.events import Entity
from bot.project.fields import Fields
from bot.project.markup import Marked, parse_markup
from bot.project.problems import Problems
from bot.yaml import Node, describe, read_text

MAX_EXAMPLE = 8_000
"""Longest example, in characters."""
_KINDS = ("intent", "synonym", "regex", "lookup")


@dataclass(frozen=True, slots=True)
class NluExample:
    """A text an author labelled. Offsets of `entities` count characters of `text`; `where` is `file:line`."""

    text: str
    intent: str
    entities: tuple[Entity, ...] = ()
    where: str = ""


@dataclass(frozen=True, slots=True)
class NluData:
    """Everything the skills are trained on. Synonyms map a text as written to its value; the others go by name."""

    examples: tuple[NluExample, ...] = ()
    synonyms: dict[str, str] = field(default_factory=dict)
    lookups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    regexes: dict[str, tuple[str, ...]] = field(default_factory=dict)


Line = tuple[str, str]
"""A text and its place."""


class NluReader:
    """Gathers the `nlu:` sections of a project's files. `root` bounds where lookup files may lie."""

    def __init__(self, root: Path, problems: Problems) -> None:
        self.root, self.problems = root, problems
        self.examples: list[NluExample] = []
        self.synonyms: dict[str, tuple[str, str]] = {}
        self.lookups: dict[str, dict[str, None]] = {}
        self.regexes: dict[str, dict[str, None]] = {}
        self.named: dict[str, str] = {}

    def data(self) -> NluData:
        """What has been read."""
        return NluData(
            examples=tuple(self.examples),
            synonyms={text: value for text, (value, _) in self.synonyms.items()},
            lookups={name: tuple(found) for name, found in self.lookups.items()},
            regexes={name: tuple(found) for name, found in self.regexes.items()},
        )

    def read(self, section: Node) -> None:
        """Read one `nlu:` section."""
        if not isinstance(section.value, list):
            self.problems.error(f"`nlu` must be a list of items, found {describe(section)}", section.where)
        for item in section.items:
            self.item(item)

    def item(self, node: Node) -> None:
        kind = next((kind for kind in _KINDS if kind in node.map), None)
        if kind is None:
            expected = "expected an item with `intent:`, `synonym:`, `regex:` or `lookup:`"
            self.problems.error(f"{expected}, found {_keys(node)}", node.where)
            return
        with Fields(node, self.problems, f"{kind} {node.map[kind].value!r}") as fields:
            name = fields.required(kind).strip()
            fields.known("metadata")
            examples = fields.get("examples")
        if examples is None:
            expected = "expected `examples: |` and lines that start with `- `"
            self.problems.warn(f"{fields.what} is left out: `examples` is missing; {expected}", node.where)
        elif name:
            getattr(self, kind)(name, examples, node.where)

    def intent(self, name: str, examples: Node, where: str) -> None:
        self.named.setdefault(name, where)
        for text, place in self.texts(examples):
            try:
                marked = parse_markup(text)
            except ProjectError as error:
                self.problems.error(str(error), place)
                continue
            self.add(name, marked, place)

    def add(self, intent: str, marked: Marked, where: str) -> None:
        if not marked.text.strip():
            self.problems.warn(f"an example of intent {intent!r} has no text and is skipped", where)
            return
        if "](" in marked.text:
            self.problems.warn(
                "`](` is plain text here, as there is no closing `)`; add it if an entity is meant", where
            )
        self.examples.append(NluExample(marked.text, intent, marked.entities, where))
        for text, value in marked.synonyms:
            self.learn(text, value, where)

    def learn(self, text: str, value: str, where: str) -> None:
        """Note a synonym; the first of two values for one text stays."""
        known = self.synonyms.setdefault(text, (value, where))
        if known[0] != value:
            first = f"{known[0]!r} in {known[1]}"
            self.problems.warn(f"{text!r} stands for {value!r} here and for {first}; the first one is used", where)

    def synonym(self, name: str, examples: Node, where: str) -> None:
        for text, place in self.texts(examples):
            self.learn(text, name, place)

    def regex(self, name: str, examples: Node, where: str) -> None:
        found = self.regexes.setdefault(name, {})
        for pattern, place in self.texts(examples):
            try:
                re.compile(pattern)
            except (re.error, OverflowError, RecursionError) as error:
                self.problems.error(f"{pattern!r} is not a regular expression: {error}", place)
            else:
                found[pattern] = None

    def lookup(self, name: str, examples: Node, where: str) -> None:
        found = self.lookups.setdefault(name, {})
        value = examples.value
        if isinstance(value, str) and value.strip().endswith(".txt") and "\n" not in value.strip():
            found.update(dict.fromkeys(self.table(value.strip(), examples.where)))
        else:
            found.update((text, None) for text, _ in self.texts(examples))

    def table(self, name: str, where: str) -> list[str]:
        """The lines of a lookup file, which must lie in the project folder."""
        path = (self.root / name).resolve()
        if not path.is_relative_to(self.root.resolve()):
            self.problems.error(f"lookup file {name!r} lies outside the project; copy it into the folder", where)
            return []
        if not path.is_file():
            self.problems.error(f"there is no lookup file {name!r} in the project", where)
            return []
        try:
            return [line.strip() for line in read_text(path, name).splitlines() if line.strip()]
        except ProjectError as error:
            self.problems.errors.append(error)
            return []

    def texts(self, examples: Node) -> Iterator[Line]:
        """The examples with their places; a fault is reported and left out."""
        source = self.block(examples) if isinstance(examples.value, str) else self.listed(examples)
        for text, where in source:
            if len(text) > MAX_EXAMPLE:
                self.problems.error(f"an example has {len(text):,} characters; at most {MAX_EXAMPLE:,} are read", where)
            else:
                yield text, where

    def block(self, examples: Node) -> Iterator[Line]:
        lines = str(examples.value).splitlines()
        if examples.style == ">":
            self.problems.error("`>` joins the lines; write `examples: |`", examples.where)
            return
        literal = examples.style == "|"
        for number, line in enumerate(lines):
            text, offset = line.strip(), number + 1 if literal else 0
            where = f"{examples.file}:{examples.line + offset}"
            if text.startswith("-"):
                yield text[1:].strip(), where
            elif text.startswith("#"):
                self.problems.warn("a comment inside the examples is skipped", where)
            elif text:
                self.problems.warn(f"an example must start with `- `; {text[:60]!r} is skipped", where)

    def listed(self, examples: Node) -> Iterator[Line]:
        if not isinstance(examples.value, list):
            self.problems.error(f"`examples` must be lines or a list, found {describe(examples)}", examples.where)
        for item in examples.items:
            text = item.map.get("text", item)
            if isinstance(item.value, dict):
                with Fields(item, self.problems, "example") as fields:
                    fields.known("text", "metadata", "intent")
            if isinstance(text.value, str):
                yield text.value.strip().removeprefix("- "), text.where
            else:
                self.problems.error(f"an example must be a text, found {describe(text)}", text.where)


def _keys(node: Node) -> str:
    return f"`{'`, `'.join(node.map)}`" if node.map else describe(node)
