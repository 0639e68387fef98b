"""Rasa's test stories: conversations with the user's words, what they mean, and what the bot must do.

    stories:
    - story: happy path
      steps:
      - user: I want to go to [Rome](city)
        intent: book
      - action: utter_ask_date
      - slot_was_set:
        - city: Rome

Read are `test_*.yml` of the project folder and every file below `tests/`. A story with `or` is several stories; a story
that begins with a checkpoint goes on from each story that ends with it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import JsonValue

from bot.core.errors import ProjectError
from bot.core.events import Entity
from bot.core.filling import read_payload
from bot.core.messages import Choice
from bot.core.rasa.stories import Line
from bot.core.script import Did, Heard, LoopIs, Mention, SlotWas, Uttered
from bot.project.markup import parse_markup
from bot.yaml import Node, describe, read_yaml

MAX_STORIES = 5_000
"""Most test stories, with every `or` and checkpoint written out."""
_KINDS = ("user", "intent", "action", "bot", "slot_was_set", "active_loop", "or", "checkpoint")


@dataclass(frozen=True, slots=True)
class GoldStep:
    """A step and its place, `tests/test_stories.yml:12`."""

    line: Line
    where: str


@dataclass(frozen=True, slots=True)
class GoldStory:
    """One straight conversation."""

    name: str
    steps: tuple[GoldStep, ...]
    where: str


@dataclass(frozen=True, slots=True)
class _Part:
    """A story that may begin and end with checkpoints."""

    story: GoldStory
    begins: str | None = None
    ends: str | None = None


def story_files(root: Path) -> list[Path]:
    """The files of a project folder that may hold tests; a file stands for itself."""
    if not root.is_dir():
        return [root]
    return [*sorted(root.glob("test_*.y*ml")), *sorted((root / "tests").rglob("*.y*ml"))]


def read_stories(root: Path) -> tuple[GoldStory, ...]:
    """The test stories of a project folder or of one file.

    Raises:
        ProjectError: with file and line, for anything that is not as described above.
    """
    base = root if root.is_dir() else root.parent
    parts: list[_Part] = []
    for path in story_files(root):
        top = read_yaml(path, path.relative_to(base).as_posix())
        stories = top.map.get("stories")
        if stories is not None and not isinstance(stories.value, list | None):
            raise ProjectError(f"`stories` must be a list of stories, found {describe(stories)}", stories.where)
        for node in stories.items if stories else ():
            parts += _parts(node)
    return _linked(parts)


def _parts(node: Node) -> Iterator[_Part]:
    name, steps = node.map.get("story"), node.map.get("steps")
    if name is None or steps is None or not isinstance(steps.value, list):
        raise ProjectError(f"expected a story with `story` (its name) and `steps`, found {describe(node)}", node.where)
    options = [_options(step) for step in steps.items]
    for chosen in itertools.islice(itertools.product(*options), MAX_STORIES + 1):
        marks = [step.map["checkpoint"].plain() if "checkpoint" in step.map else None for step in steps.items]
        straight = tuple(itertools.chain.from_iterable(chosen))
        begins, ends = (marks[0], marks[-1]) if marks else (None, None)
        story = GoldStory(str(name.plain()), straight, node.where)
        yield _Part(story, _text(begins), _text(ends if len(marks) > 1 else None))


def _text(value: JsonValue) -> str | None:
    return None if value is None else str(value)


def _linked(parts: Sequence[_Part]) -> tuple[GoldStory, ...]:
    """Whole conversations: parts joined where one ends with the checkpoint that another begins with."""
    found: list[GoldStory] = []
    begun: list[tuple[_Part, tuple[_Part, ...]]] = [(part, (part,)) for part in parts if part.begins is None]
    while begun:
        part, trail = begun.pop(0)
        following = [] if part.ends is None else [p for p in parts if p.begins == part.ends and p not in trail]
        if part.ends is None or not following:
            found.append(part.story)
        for other in following:
            steps = (*part.story.steps, *other.story.steps)
            joined = replace(part.story, name=f"{part.story.name} > {other.story.name}", steps=steps)
            begun.append((_Part(joined, None, other.ends), (*trail, other)))
        if len(found) + len(begun) > MAX_STORIES:
            raise ProjectError(f"more than {MAX_STORIES} stories with `or` and checkpoints written out; test in parts")
    return tuple(found)


def _options(node: Node) -> list[tuple[GoldStep, ...]]:
    """The ways in which a step can go: one, or one for each of an `or`."""
    options = node.map.get("or")
    if options is not None:
        return [tuple(_step(item)) for item in options.items]
    return [tuple(_step(node))]


def _step(node: Node) -> Iterator[GoldStep]:
    kind = next((name for name in _KINDS if name in node.map), None)
    if kind is None:
        raise ProjectError(f"expected one of {', '.join(_KINDS)}, found {describe(node)}", node.where)
    if kind in ("user", "intent"):
        yield GoldStep(_heard(node), node.where)
    else:
        for line in _READERS[kind](node.map[kind]):
            yield GoldStep(line, node.where)


def _heard(node: Node) -> Line:
    """What the user says; the entities of a payload `/intent{...}` are those it names."""
    intent, user = node.map.get("intent"), node.map.get("user")
    name = str(intent.plain()).strip().removeprefix("/") if intent and intent.value is not None else None
    source = str(user.plain()).strip() if user and user.value is not None else ""
    pressed = read_payload(Choice(title=source, payload=source)) if source.startswith("/") else None
    if pressed is not None:
        return Line(Heard(intent=name or next((i.name for i in pressed.intents), None)), source, pressed.entities)
    try:
        marked = parse_markup(source)
    except ProjectError as error:
        raise ProjectError(str(error), user.where if user else node.where) from None
    given = node.map.get("entities")
    entities = marked.entities or tuple(_entity(item, marked.text) for item in (given.items if given else ()))
    mentions = tuple(Mention(type=item.type, role=item.role, group=item.group, value=item.value) for item in entities)
    return Line(Heard(intent=name, text=marked.text or None, mentions=mentions), marked.text, entities)


def _entity(node: Node, text: str) -> Entity:
    """An entity that is not marked in the words: its name, or `name: value` with a role and a group."""
    entries = {key: value.plain() for key, value in node.map.items()} or {str(node.plain()): None}
    role, group = (_text(entries.pop(key, None)) for key in ("role", "group"))
    if len(entries) != 1:
        raise ProjectError(f"expected an entity as `name: value`, found {describe(node)}", node.where)
    ((name, value),) = entries.items()
    said = str(value or "")
    start = max(text.find(said), 0)
    end = start + len(said) if said in text else start
    return Entity(type=name, value=value, text=said, start=start, end=end, role=role, group=group)


def _did(node: Node) -> Iterator[Line]:
    yield Line(Did(action=str(node.plain())))


def _uttered(node: Node) -> Iterator[Line]:
    yield Line(Uttered(text=str(node.plain()).strip()))


def _loop(node: Node) -> Iterator[Line]:
    yield Line(LoopIs(loop=_text(node.plain())))


def _slots(node: Node) -> Iterator[Line]:
    for item in node.items if isinstance(node.value, list) else [node]:
        if not item.map:
            if not isinstance(item.value, str):
                raise ProjectError(f"expected a slot as `name: value`, found {describe(item)}", item.where)
            yield Line(SlotWas(name=item.value, any=True))
        for name, value in item.map.items():
            yield Line(SlotWas(name=name, value=value.plain()))


def _nothing(node: Node) -> Iterator[Line]:
    yield from ()


_READERS: dict[str, Callable[[Node], Iterator[Line]]] = {
    "action": _did,
    "bot": _uttered,
    "slot_was_set": _slots,
    "active_loop": _loop,
    "checkpoint": _nothing,
    "or": _nothing,
}
