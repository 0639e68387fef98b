"""Conversations written as stories: YAML like that of Rasa's own story writer, to be read and to be learned from.

A story is a list of `Line`s; `sessions` makes them from the facts of a conversation, `write_stories` turns them into
text. Test stories show the user's words with their entities marked in them, training stories only what was meant.
The YAML is of our own making: every text that could be taken for something else is quoted as JSON quotes it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from pydantic import JsonValue

from bot.core import events as ev
from bot.core.events import Entity, Recorded
from bot.core.script import LISTEN, NLU_FALLBACK, Did, Heard, LoopIs, SlotWas, StoryStep, Uttered

HEADER = 'version: "3.1"\nstories:\n'
_PLAIN = re.compile(r"[^\W\d][\w/+.-]*( [\w/+.,()'-]+)*")
_WORDS = frozenset(("null", "true", "false", "yes", "no", "on", "off", "y", "n"))
_BLOCK = re.compile(r"[^\s\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]([^\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]|\n(?=\S))*")
_UNREADABLE = re.compile(r"[\x7f-\x9f\u2028\u2029\ufeff]")
_LIKE_MARKUP = re.compile(r"\][({\[]")
_LIKE_ESCAPE = re.compile(r"\\(?=[\[\](){}\\]|\Z)")


class Line(NamedTuple):
    """One step of a story. `text` and `entities` are those of the user's message; `comment` is shown behind it."""

    step: StoryStep
    text: str = ""
    entities: tuple[Entity, ...] = ()
    comment: str = ""


# From facts to lines ------------------------------------------------------------------------------------------------


def sessions(history: Iterable[Recorded]) -> tuple[tuple[Line, ...], ...]:
    """The story of each session in which something was said or done; what was restarted or reverted is left out."""
    events = [recorded.event for recorded in history]
    teller = _Teller(any(isinstance(event, ev.SessionStarted) for event in events))
    for event in events:
        teller.tell(event)
    return tuple(tuple(lines) for lines in teller.sessions if lines)


class _Teller:
    """Reads facts in order. `chosen` is where the action under way stands; in bots without a script none is."""

    def __init__(self, scripted: bool) -> None:
        self.sessions: list[list[Line]] = [[]]
        self.understood: ev.Understood | None = None
        self.text = ""
        self.heard = False
        self.chosen: int | None = None
        self.scripted = scripted

    @property
    def lines(self) -> list[Line]:
        return self.sessions[-1]

    def tell(self, event: ev.Event) -> None:
        match event:
            case ev.SessionStarted():
                self.sessions.append([])
            case ev.Received():
                self.text, self.understood, self.heard = event.message.text, None, False
            case ev.Transcribed():
                self.text = event.text
            case ev.Understood():
                self.understood = event
                if not self.scripted:
                    self.hear()
            case ev.Extracted() if self.understood is not None:
                self.hear(event.intent)
            case ev.SlotSet() if event.source != "reset":
                self.lines.append(Line(SlotWas(name=event.name, value=event.value)))
            case ev.LoopChanged():
                self.lines.append(Line(LoopIs(loop=event.loop)))
            case _:
                self.act(event)

    def hear(self, counted: str = "") -> None:
        """Tell the message. `counted` is what counted as its intent; a retrieval intent's full name says more."""
        assert self.understood is not None
        found = self.understood
        best = found.intents[0].name if found.accepted else NLU_FALLBACK
        intent = best if counted in ("", best.partition("/")[0]) else counted
        if self.heard:  # somebody has corrected what was understood
            self.lines.pop()
        self.heard = True
        self.lines.append(Line(Heard(intent=intent), self.text, found.entities))

    def act(self, event: ev.Event) -> None:
        match event:
            case ev.Predicted() if event.policy and event.action != LISTEN:
                self.chosen = len(self.lines)
                self.lines.append(Line(Did(action=event.action)))
            case ev.ActionRejected() if self.chosen is not None:
                del self.lines[self.chosen]
                self.chosen = None
            case ev.ActionRan() if not self.scripted:
                self.lines.append(Line(Did(action=event.action)))
            case ev.Replied() if not self.scripted:
                name = event.message.name
                self.lines.append(Line(Did(action=name) if name else Uttered(text=event.message.text)))
            case ev.Restarted():
                self.lines.clear()
                self.chosen = None
            case ev.Reverted():
                self.revert(Heard if event.what == "message" else Did)
            case _:  # facts that stories do not tell
                pass

    def revert(self, kind: type[Heard | Did]) -> None:
        """Take back everything from the last line of this kind on."""
        self.chosen = None
        while self.lines and not isinstance(self.lines.pop().step, kind):
            pass


# From lines to text -------------------------------------------------------------------------------------------------


def write_stories(stories: Iterable[tuple[str, Sequence[Line]]], *, test: bool = True, header: bool = True) -> str:
    """YAML of named stories; without `header` it can be appended to the `stories:` of a file."""
    return (HEADER if header else "") + "".join(_story(name, lines, test) for name, lines in stories)


def _story(name: str, lines: Sequence[Line], test: bool) -> str:
    steps = "".join(f"  - {text}\n" for line in lines for text in _step(line, test))
    return f"- story: {scalar(name)}\n  steps:{' []' if not steps else ''}\n{steps}"


def _step(line: Line, test: bool) -> Iterator[str]:
    """The step, its continuation lines indented; nothing for what stories cannot say."""
    comment = "  # " + " ".join(line.comment.split()) if line.comment else ""
    match line.step:
        case Heard():
            yield _heard(line, line.step, comment, test)
        case Did(action=action):
            yield f"action: {scalar(action)}{comment}"
        case Uttered(text=text):
            yield f"bot: {scalar(text)}{comment}"
        case SlotWas(any=True, name=name):
            yield f"slot_was_set:{comment}\n    - {scalar(name)}"
        case SlotWas(name=name, value=value):
            yield f"slot_was_set:{comment}\n    - {scalar(name)}: {scalar(value)}"
        case LoopIs(loop=loop):
            yield f"active_loop: {scalar(loop)}{comment}"
        case _:
            pass


def _heard(line: Line, step: Heard, comment: str, test: bool) -> str:
    keys = [f"intent: {scalar(step.intent)}{comment}"] if step.intent else []
    text = line.text or step.text or ""
    if text and (test or not step.intent):
        entities = () if text.startswith("/") else line.entities  # a payload names its entities itself
        keys.append("user: " + _block(annotate(text, entities), "" if keys else comment))
    elif line.entities:
        named = "".join(f"\n    - {scalar(entity.type)}: {scalar(entity.value)}" for entity in line.entities)
        keys.append(f"entities:{named}")
    return "\n    ".join(keys)


def _block(text: str, comment: str) -> str:
    """A text as a literal block, or quoted when a block would change it."""
    if not _BLOCK.fullmatch(text):
        return scalar(text) + comment
    return f"|-{comment}\n      " + text.replace("\n", "\n      ")


def scalar(value: JsonValue) -> str:
    """A value as YAML on one line."""
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return _UNREADABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False))


def annotate(text: str, entities: Iterable[Entity]) -> str:
    """The text with its entities marked as `[Berlin](city)`, several on one span as `[AB12][{...}, {...}]`.

    The same entity found twice is marked once; of spans that overlap in part the one that begins first counts.
    """
    spans: dict[tuple[int, int], dict[str, None]] = {}
    for entity in sorted(entities, key=lambda entity: (entity.start, -entity.end)):
        if 0 <= entity.start < entity.end <= len(text):
            spans.setdefault((entity.start, entity.end), {})[_mark(text, entity)] = None
    written, end = [], 0
    for (start, stop), marks in spans.items():
        if start >= end:
            written += [_escape(text[end:start], "["), _span(text[start:stop], tuple(marks))]
            end = stop
    return "".join((*written, _escape(text[end:])))


def _mark(text: str, entity: Entity) -> str:
    found: dict[str, JsonValue] = {"entity": entity.type}
    if entity.value != text[entity.start : entity.end]:
        found["value"] = entity.value if not isinstance(entity.value, dict | list) else json.dumps(entity.value)
    found |= {key: value for key, value in (("role", entity.role), ("group", entity.group)) if value}
    return json.dumps(found, ensure_ascii=False)


def _span(text: str, marks: tuple[str, ...]) -> str:
    shown = _LIKE_ESCAPE.sub(r"\\\\", text).replace("[", "\\[").replace("]", "\\]")
    if len(marks) > 1:
        return f"[{shown}][{', '.join(marks)}]"
    found = json.loads(marks[0])
    short = len(found) == 1 and not set(found["entity"]) & set("():")
    return f"[{shown}]({found['entity']})" if short else f"[{shown}]{marks[0]}"


def _escape(text: str, following: str = "") -> str:
    """Keep plain text from being read as markup."""
    text = _LIKE_ESCAPE.sub(r"\\\\", text)
    return text.replace("[", "\\[") if _LIKE_MARKUP.search(text + following) else text
